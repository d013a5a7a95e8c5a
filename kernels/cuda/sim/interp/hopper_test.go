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

// rig is a heap with helpers to move values to and from it.
type rig struct {
	t testing.TB
	h *Heap
}

func newRig(t testing.TB) *rig { return &rig{t, NewHeap(64 << 20)} }

// bytes puts data on the heap.
func (r *rig) bytes(data []byte) uint64 {
	r.t.Helper()
	addr := r.empty(len(data))
	b, err := r.h.Bytes(addr, len(data))
	require.NoError(r.t, err)
	copy(b, data)
	r.h.MarkWritten(addr, len(data))
	return addr
}

// empty reserves memory that nobody has written.
func (r *rig) empty(n int) uint64 {
	r.t.Helper()
	addr, err := r.h.Alloc(n)
	require.NoError(r.t, err)
	return addr
}

// halves puts bf16 values, which must be exact, on the heap.
func (r *rig) halves(values []float32) uint64 {
	b := make([]byte, 0, 2*len(values))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint16(b, uint16(bf16Bits(v)))
	}
	return r.bytes(b)
}

// floats reads n float32.
func (r *rig) floats(addr uint64, n int) []float32 {
	r.t.Helper()
	b, err := r.h.Bytes(addr, 4*n)
	require.NoError(r.t, err)
	x := make([]float32, n)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return x
}

// read reads n bytes.
func (r *rig) read(addr uint64, n int) []byte {
	r.t.Helper()
	b, err := r.h.Bytes(addr, n)
	require.NoError(r.t, err)
	return b
}

// params lays out arguments with C alignment: uint64 a pointer, int32 and uint32 themselves, [128]byte a tensor map.
func params(values ...any) []byte {
	var b []byte
	for _, v := range values {
		switch v := v.(type) {
		case uint64:
			for len(b)%8 != 0 {
				b = append(b, 0)
			}
			b = binary.LittleEndian.AppendUint64(b, v)
		case int32:
			b = binary.LittleEndian.AppendUint32(b, uint32(v))
		case uint32:
			b = binary.LittleEndian.AppendUint32(b, v)
		case [128]byte:
			for len(b)%64 != 0 {
				b = append(b, 0)
			}
			b = append(b, v[:]...)
		default:
			panic(fmt.Sprintf("%T", v))
		}
	}
	return b
}

// entry wraps the body of a kernel with the parameters named p0, p1, ... of the given types.
func entry(threads int, cluster int, types []string, body string) string {
	var s strings.Builder
	s.WriteString(".version 8.0\n.target sm_90a\n.address_size 64\n.extern .shared .align 1024 .b8 dynamic[];\n.visible .entry k(\n")
	for i, t := range types {
		comma := ","
		if i == len(types)-1 {
			comma = ""
		}
		fmt.Fprintf(&s, "\t.param %s p%d%s%s\n", strings.TrimSuffix(t, "[128]"), i, t[len(strings.TrimSuffix(t, "[128]")):], comma)
	}
	fmt.Fprintf(&s, ")\n.maxntid %d\n.minnctapersm 1\n", threads)
	if cluster > 1 {
		fmt.Fprintf(&s, ".reqnctapercluster %d, 1, 1\n", cluster)
	}
	s.WriteString("{\n.reg .pred %p<16>;\n.reg .b16 %h<16>;\n.reg .b32 %r<512>;\n.reg .f32 %f<512>;\n.reg .b64 %rd<32>;\n")
	s.WriteString(body)
	s.WriteString("ret;\n}\n")
	return s.String()
}

// parse gives the only kernel of a module.
func parse(t testing.TB, src string) *Kernel {
	t.Helper()
	m, err := Parse(src)
	require.NoError(t, err)
	require.Len(t, m.Kernels, 1)
	for _, k := range m.Kernels {
		return k
	}
	return nil
}

// everyWay runs a launch with and without the checker and with some seeds; it must succeed every time.
func everyWay(t testing.TB, f func(o Options) error) {
	t.Helper()
	for _, o := range []Options{{}, {Check: true}, {Seed: 1}, {Check: true, Seed: 2}, {Seed: 3}} {
		o.Workers = 1
		require.NoError(t, f(o), "%+v", o)
	}
}

// small random numbers whose products and sums are exact in float32 and which are exact in bf16.
func smallNumbers(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.IntN(17) - 8)
	}
	return x
}
