package interp

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// The loops for AVX2 give bit for bit what the portable ones give, also when the result overwrites an operand.
func TestVectorLoopsAgreeWithPortableOnes(t *testing.T) {
	if !hasAVX2 {
		t.Skip("this processor has no AVX2")
	}
	r := rand.New(rand.NewPCG(6, 6))
	draw := func(width int) *lanes {
		var v lanes
		for l := range v {
			v[l] = operand(r) & (^uint64(0) >> (64 - width))
		}
		return &v
	}
	isNaN := func(v uint64) bool { return math.IsNaN(float64(f32(v))) }
	same := func(name string, float bool, got, want *lanes) {
		for l := range want {
			if !(float && isNaN(got[l]) && isNaN(want[l]) && got[l]>>32 == 0) {
				require.Equal(t, want[l], got[l], name)
			}
		}
	}
	portable := func(op string) binaryLoop {
		return func(D, A, B *lanes) {
			for l := range D {
				a, b := f32(A[l]), f32(B[l])
				D[l] = u32(map[string]float32{"add": a + b, "sub": a - b, "mul": a * b}[op])
			}
		}
	}
	bitwise := func(f func(a, b uint64) uint64) binaryLoop {
		return func(D, A, B *lanes) {
			for l := range D {
				D[l] = f(A[l], B[l])
			}
		}
	}
	for _, x := range []struct {
		name       string
		width      int
		fast, slow binaryLoop
	}{
		{"add32", 32, add32AVX2, addInt[uint32]}, {"sub32", 32, sub32AVX2, subInt[uint32]},
		{"add64", 64, add64AVX2, addInt[uint64]}, {"sub64", 64, sub64AVX2, subInt[uint64]},
		{"mul.lo", 32, mulLow32AVX2, mulLow[uint32]}, {"mul.wide.s32", 32, mulWideS32AVX2, mulWide[int32, int64]},
		{"mul.wide.u32", 32, mulWideU32AVX2, mulWide[uint32, uint64]},
		{"and", 64, andAVX2, bitwise(func(a, b uint64) uint64 { return a & b })}, {"or", 64, orAVX2, bitwise(func(a, b uint64) uint64 { return a | b })},
		{"xor", 64, xorAVX2, bitwise(func(a, b uint64) uint64 { return a ^ b })},
		{"shl", 32, shl32AVX2, shiftLeft[uint32]}, {"shr.u32", 32, shrU32AVX2, shiftRight[uint32]}, {"shr.s32", 32, shrS32AVX2, shiftRight[int32]},
		{"min", 32, minS32AVX2, minInt[int32]}, {"max", 32, maxS32AVX2, maxInt[int32]},
		{"f32 add", 32, addF32AVX2, portable("add")}, {"f32 sub", 32, subF32AVX2, portable("sub")}, {"f32 mul", 32, mulF32AVX2, portable("mul")},
	} {
		for range 50 {
			a, b := draw(x.width), draw(x.width)
			var got, want lanes
			x.fast(&got, a, b)
			x.slow(&want, a, b)
			float := x.name[0] == 'f'
			same(x.name, float, &got, &want)
			x.fast(a, a, b)
			same(x.name, float, a, &want)
		}
	}
	for range 500 {
		a, b, c := draw(32), draw(32), draw(32)
		var got, want lanes
		mad32AVX2(&got, a, b, c)
		madLow[uint32](&want, a, b, c)
		same("mad", false, &got, &want)
		fmaF32AVX2(&got, a, b, c)
		fmaLanes(&want, a, b, c)
		same("fma", true, &got, &want)
		floatS32AVX2(&got, a)
		for l := range want {
			want[l] = u32(float32(int32(a[l])))
		}
		same("float of s32", false, &got, &want)
		b[3], b[7] = a[3], a[7] // let some be equal
		require.Equal(t, equalLanes(a, b), equalAVX2(a, b))
		require.Equal(t, less[int32](a, b), less32AVX2(a, b))
		require.Equal(t, less[uint32](a, b), less64AVX2(a, b))
		require.Equal(t, less32(a, b), lessF32AVX2(a, b))
		require.Equal(t, lessEqual32(a, b), lessEqualF32AVX2(a, b))
		a, b = draw(64), draw(64)
		require.Equal(t, less[int64](a, b), less64AVX2(a, b))
	}
}
