package interp

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHalfToFloatWidensEveryHalf(t *testing.T) {
	for h := range 1 << 16 {
		sign, exp, frac := 1.0, h>>10&31, float64(h&1023)
		if h>>15 == 1 {
			sign = -1
		}
		var want float64
		switch exp {
		case 0:
			want = sign * frac * math.Pow(2, -24)
		case 31:
			if frac == 0 {
				want = math.Inf(int(sign))
			} else {
				want = math.NaN()
			}
		default:
			want = sign * (1 + frac/1024) * math.Pow(2, float64(exp-15))
		}
		got := halfToFloat(uint16(h))
		if math.IsNaN(want) {
			require.True(t, got != got, "%#x", h)
			continue
		}
		require.Equal(t, math.Float64bits(want), math.Float64bits(float64(got)), "%#x", h)
	}
}

// warpRegisters makes n registers of 32 lanes, upper halves dirty to show that they are not read.
func warpRegisters(n int) []*[32]uint64 {
	r := make([]*[32]uint64, n)
	for i := range r {
		r[i] = new([32]uint64)
	}
	return r
}

// bf16Bits rounds towards zero: exact for the small integers of these tests.
func bf16Bits(x float32) uint64 { return uint64(math.Float32bits(x) >> 16) }

// halfBits encodes a small integer or a multiple of 1/16.
func halfBits(x float32) uint64 {
	if x == 0 {
		return 0
	}
	b := math.Float32bits(x)
	return uint64(b>>16&0x8000 | (b>>23&255-112)<<10 | b>>13&1023)
}

// The tables of the ISA for mma.m16n8k16 and m16n8k8, written as it does: groupID = lane >> 2, threadID_in_group = lane % 4.
func aPosition16(lane, i int) (row, col int) { // element i of a0..a7
	row = lane >> 2
	if i == 2 || i == 3 || i == 6 || i == 7 {
		row += 8
	}
	col = lane%4*2 + i&1
	if i >= 4 {
		col += 8
	}
	return row, col
}

func bPosition16(lane, i int) (row, col int) { // element i of b0..b3
	row = lane%4*2 + i&1
	if i >= 2 {
		row += 8
	}
	return row, lane >> 2
}

func cPosition(lane, i int) (row, col int) { // element i of c0..c3
	row = lane >> 2
	if i >= 2 {
		row += 8
	}
	return row, lane%4*2 + i&1
}

func TestMmaBlockIsTheProductOfTheFragments(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	small := func() float32 { return float32(rng.IntN(33)-16) / 4 }
	for _, e := range []element{elemBF16, elemF16, elemTF32} {
		for _, groups := range []int{1, 2} {
			if e == elemTF32 && groups == 2 {
				continue
			}
			for _, zero := range []bool{false, true} {
				t.Run(fmt.Sprint(e, groups, zero), func(t *testing.T) {
					k := 8 * groups
					A, B, C := make([]float32, 16*k), make([]float32, k*8), make([]float32, 16*8)
					for _, m := range [][]float32{A, B, C} {
						for i := range m {
							m[i] = small()
						}
					}
					bits := bf16Bits
					if e == elemF16 {
						bits = halfBits
					}
					a, b, c, d := warpRegisters(2*groups), warpRegisters(groups), warpRegisters(4), warpRegisters(4)
					var fa fragA
					var fb fragB
					if e == elemTF32 {
						a, b = warpRegisters(4), warpRegisters(2)
						for l := range 32 {
							for i := range 4 { // a0: (g, t), a1: (g+8, t), a2: (g, t+4), a3: (g+8, t+4)
								a[i][l] = uint64(math.Float32bits(A[(l>>2+8*(i&1))*k+l%4+4*(i>>1)]) | 0x1fff)
							}
							for i := range 2 {
								b[i][l] = uint64(math.Float32bits(B[(l%4+4*i)*8+l>>2]) | 0x1000)
							}
						}
						fa.tf32(a)
						fb.tf32(b)
					} else {
						for l := range 32 {
							for i := range 4 * groups {
								r, col := aPosition16(l, i)
								a[i/2][l] |= bits(A[r*k+col]) << (16 * (i & 1))
							}
							for i := range 2 * groups {
								r, col := bPosition16(l, i)
								b[i/2][l] |= bits(B[r*8+col]) << (16 * (i & 1))
							}
						}
						fa.registers(e, a)
						fb.registers(e, b)
					}
					for l := range 32 {
						for i := range 4 {
							r, col := cPosition(l, i)
							c[i][l] = 0xdead<<32 | uint64(math.Float32bits(C[r*8+col]))
						}
					}
					m := mmaBlock{a: &fa, b: &fb, groups: groups, zero: zero}
					copy(m.c[:], c)
					copy(m.d[:], d)
					check := func() {
						for l := range 32 {
							for i := range 4 {
								r, col := cPosition(l, i)
								want := C[r*8+col]
								if zero {
									want = 0
								}
								for x := range k {
									want += A[r*k+x] * B[x*8+col]
								}
								require.Equal(t, uint64(math.Float32bits(want)), d[i][l], "lane %d register %d", l, i)
							}
						}
					}
					m.runPortable()
					check()
					for i := range d {
						*d[i] = [32]uint64{}
					}
					m.run()
					check()
				})
			}
		}
	}
}

func BenchmarkMmaBlock(b *testing.B) {
	var fa fragA
	var fb fragB
	d := warpRegisters(4)
	m := mmaBlock{a: &fa, b: &fb, groups: 2}
	copy(m.c[:], d)
	copy(m.d[:], d)
	for _, f := range []struct {
		name string
		run  func()
	}{{"portable", m.runPortable}, {"best", m.run}} {
		b.Run(f.name, func(b *testing.B) {
			for b.Loop() {
				f.run()
			}
			b.ReportMetric(4096*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}
