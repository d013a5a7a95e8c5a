package interp

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fragmentKernel loads the registers of a, b and c of every lane from p0, p1 and p2, multiplies and stores d at p3.
func fragmentKernel(shape, typ string, na, nb int) string {
	var s strings.Builder
	s.WriteString("mov.u32 %r0, %tid.x;\n")
	list := map[string]string{}
	for i, x := range []struct {
		name string
		n    int
	}{{"a", na}, {"b", nb}, {"c", 4}, {"d", 4}} {
		fmt.Fprintf(&s, "ld.param.u64 %%rd%d, [p%d];\nmul.wide.u32 %%rd%d, %%r0, %d;\nadd.u64 %%rd%d, %%rd%d, %%rd%d;\n", i, i, 10+i, 4*x.n, i, i, 10+i)
		var regs []string
		for j := range x.n {
			reg := fmt.Sprintf("%%r%d", 10*(i+1)+j)
			regs = append(regs, reg)
			if x.name != "d" {
				fmt.Fprintf(&s, "ld.global.b32 %s, [%%rd%d+%d];\n", reg, i, 4*j)
			}
		}
		list[x.name] = "{" + strings.Join(regs, ", ") + "}"
	}
	fmt.Fprintf(&s, "mma.sync.aligned.%s.row.col.f32.%s.%s.f32 %s, %s, %s, %s;\n", shape, typ, typ, list["d"], list["a"], list["b"], list["c"])
	for j := range 4 {
		fmt.Fprintf(&s, "st.global.b32 [%%rd3+%d], %%r%d;\n", 4*j, 40+j)
	}
	return entry(32, 1, []string{".u64", ".u64", ".u64", ".u64"}, s.String())
}

func TestMmaMultipliesFragments(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for _, x := range []struct {
		typ string
		k   int
	}{{"bf16", 16}, {"bf16", 8}, {"f16", 16}, {"f16", 8}, {"tf32", 8}} {
		name := fmt.Sprint(x.typ, " k", x.k)
		A, B, C := smallNumbers(rng, 16*x.k), smallNumbers(rng, x.k*8), smallNumbers(rng, 128)
		perWord, bits := 2, bf16Bits
		switch x.typ {
		case "f16":
			bits = halfBits
		case "tf32":
			perWord, bits = 1, func(v float32) uint64 { return uint64(math.Float32bits(v)) }
		}
		na, nb := 16*x.k/32/perWord, x.k*8/32/perWord
		a, b, c := make([]byte, 128*na), make([]byte, 128*nb), make([]byte, 128*4)
		for l := range 32 {
			for i := range na * perWord {
				row, col := aPosition16(l, i)
				if x.typ == "tf32" {
					row, col = l/4+8*(i%2), l%4+4*(i/2)
				}
				v := bits(A[row*x.k+col]) << (16 * (i % perWord))
				word := a[4*(l*na+i/perWord):]
				binary.LittleEndian.PutUint32(word, binary.LittleEndian.Uint32(word)|uint32(v))
			}
			for i := range nb * perWord {
				row, col := bPosition16(l, i)
				if x.typ == "tf32" {
					row, col = l%4+4*i, l/4
				}
				v := bits(B[row*8+col]) << (16 * (i % perWord))
				word := b[4*(l*nb+i/perWord):]
				binary.LittleEndian.PutUint32(word, binary.LittleEndian.Uint32(word)|uint32(v))
			}
			for i := range 4 {
				row, col := cPosition(l, i)
				binary.LittleEndian.PutUint32(c[4*(4*l+i):], math.Float32bits(C[row*8+col]))
			}
		}
		k := parse(t, fragmentKernel(fmt.Sprint("m16n8k", x.k), x.typ, na, nb))
		r := newRig(t)
		d := r.empty(512)
		p := params(r.bytes(a), r.bytes(b), r.bytes(c), d)
		everyWay(t, func(o Options) error { return k.Launch(r.h, [3]uint32{1, 1, 1}, [3]uint32{32, 1, 1}, 0, p, o) })
		got := r.floats(d, 128)
		for l := range 32 {
			for i := range 4 {
				row, col := cPosition(l, i)
				want := C[row*8+col]
				for j := range x.k {
					want += A[row*x.k+j] * B[j*8+col]
				}
				require.Equal(t, want, got[4*l+i], "%s: lane %d, d%d", name, l, i)
			}
		}
	}
}

func TestMmaReadsCBeforeItWritesD(t *testing.T) {
	src := strings.Replace(fragmentKernel("m16n8k16", "bf16", 4, 2), "{%r40, %r41, %r42, %r43}, {%r10", "{%r32, %r33, %r30, %r31}, {%r10", 1)
	src = strings.NewReplacer("], %r40;", "], %r32;", "], %r41;", "], %r33;", "], %r42;", "], %r30;", "], %r43;", "], %r31;").Replace(src)
	r := newRig(t)
	var c []byte
	for i := range 128 {
		c = binary.LittleEndian.AppendUint32(c, math.Float32bits(float32(i)))
	}
	d := r.empty(512)
	p := params(r.bytes(make([]byte, 512)), r.bytes(make([]byte, 256)), r.bytes(c), d)
	require.NoError(t, parse(t, src).Launch(r.h, [3]uint32{1, 1, 1}, [3]uint32{32, 1, 1}, 0, p, Options{}))
	for i, v := range r.floats(d, 128) {
		require.Equal(t, float32(i), v)
	}
}

func TestMmaRefusesOtherShapes(t *testing.T) {
	good := fragmentKernel("m16n8k16", "bf16", 4, 2)
	for _, x := range [][2]string{
		{"m16n8k16", "m16n8k32"}, {"m16n8k16", "m8n8k4"}, {"row.col", "col.col"}, {"bf16.bf16", "bf16.f16"}, {"f32.bf16.bf16.f32", "f16.bf16.bf16.f16"},
		{"bf16.bf16", "tf32.tf32"}, {"{%r20, %r21}", "{%r20}"}, {".sync", ""},
	} {
		_, err := Parse(strings.Replace(good, x[0], x[1], 1))
		require.Error(t, err, x[1])
	}
	require.ErrorContains(t, func() error {
		r := newRig(t)
		src := strings.Replace(good, "mma.sync", "setp.lt.u32 %p1, %r0, 31;\n@%p1 mma.sync", 1)
		d := r.empty(512)
		return parse(t, src).Launch(r.h, [3]uint32{1, 1, 1}, [3]uint32{32, 1, 1}, 0,
			params(r.bytes(make([]byte, 512)), r.bytes(make([]byte, 256)), r.bytes(make([]byte, 512)), d), Options{})
	}(), "all 32 must take part")
}
