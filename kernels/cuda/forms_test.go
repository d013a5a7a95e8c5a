package cuda

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/kernels"
)

// A placement is where operands lie: what comes before them, and between their rows.
type placement struct {
	name       string
	shift, pad int // elements
}

var placements = []placement{{"dense", 0, 0}, {"rows apart", 16, 16}, {"unaligned", 1, 3}}

// An operandSpec is a tensor to make: rows are apart as the placement says, vectors are dense.
type operandSpec struct {
	d          kernels.DType
	rows, cols int
	value      func(i, j int) float64 // nil: an output
}

// A formCase is an operation whose results must be the same bits in every placement.
type formCase struct {
	name     string
	operands []operandSpec
	call     func(b *Backend, t []kernels.Tensor)
}

func (o operandSpec) make(t *testing.T, b *Backend, p placement) kernels.Tensor {
	if o.rows == 1 {
		p.pad = 0
	}
	buf, err := b.Alloc((p.shift + o.rows*(o.cols+p.pad)) * o.d.Size())
	require.NoError(t, err)
	x := kernels.New(buf, o.d, o.rows, o.cols)
	x.Off, x.Stride = p.shift, o.cols+p.pad
	if o.value != nil {
		host := make([]byte, o.rows*o.cols*o.d.Size())
		for i := range o.rows {
			for j := range o.cols {
				encode(host[(i*o.cols+j)*o.d.Size():], o.d, o.value(i, j))
			}
		}
		b.Upload(x, host)
	}
	return x
}

// encode stores a number. F16 is the upper half of its F32, which is some other number, and BF16 is rounded toward zero.
func encode(at []byte, d kernels.DType, v float64) {
	bits := math.Float32bits(float32(v))
	switch d {
	case kernels.F32:
		binary.NativeEndian.PutUint32(at, bits)
	case kernels.I32:
		binary.NativeEndian.PutUint32(at, uint32(int32(v)))
	case kernels.U8:
		at[0] = byte(v)
	default:
		binary.NativeEndian.PutUint16(at, uint16(bits>>16))
	}
}

// run gives the bytes of all outputs.
func (c formCase) run(t *testing.T, b *Backend, p placement) []byte {
	ts := make([]kernels.Tensor, len(c.operands))
	for i, o := range c.operands {
		ts[i] = o.make(t, b, p)
	}
	c.call(b, ts)
	var all [][]byte
	for i, o := range c.operands {
		if o.value == nil {
			dst := make([]byte, o.rows*o.cols*o.d.Size())
			b.Download(dst, ts[i])
			all = append(all, dst)
		}
	}
	require.NoError(t, b.Sync())
	for _, x := range ts {
		b.Free(x.Buf)
	}
	return slices.Concat(all...)
}

// All forms of a kernel give the same bits; that those of the form for any alignment are right is kerneltest's business.
// Sums are of small integers, so that their order does not matter. Every kernel of these families runs.
func TestFormsAgree(t *testing.T) {
	b := simulate(t, Options{Capability: 80})
	b.sms = 1 // few blocks, so that each takes several rows
	for _, d := range [][2]kernels.DType{{kernels.F32, kernels.F32}, {kernels.BF16, kernels.BF16}, {kernels.BF16, kernels.F32}} {
		for _, c := range slices.Concat(elementCases(d), rowCases(d), normFormCases(d), tableCases(d)) {
			want := c.run(t, b, placements[2])
			for _, p := range placements[:2] {
				assert.Equal(t, want, c.run(t, b, p), "%s %v, %s", c.name, d, p.name)
			}
		}
	}
	for id, info := range kernelTable {
		switch info.module {
		case "copy", "elementwise", "dropout", "rope", "softmax", "norm", "norm_grad", "embed":
			assert.NotNil(t, b.loaded[id].module, "%s has not run", info.entry)
		}
	}
}

// dice are 32 random bits for each element, the same in every placement.
func dice(seed, i, j int) int {
	x := uint64(seed)<<48 ^ uint64(i)<<24 ^ uint64(j)
	for range 2 {
		x = (x ^ x>>29) * 0xbf58476d1ce4e5b9
	}
	return int(x >> 32)
}

// normal is some number of usual size.
func normal(seed int) func(i, j int) float64 {
	return func(i, j int) float64 { return float64(dice(seed, i, j))*0x1p-30 - 2 }
}

// whole is an integer from -2 to 2, in each row as often as its negative.
func whole(seed, cols int) func(i, j int) float64 {
	return func(i, j int) float64 {
		mirror := cols - 1 - j
		v := float64(dice(seed, i, min(j, mirror))%5 - 2)
		switch {
		case j == mirror:
			return 0
		case j > mirror:
			return -v
		}
		return v
	}
}

// one is one of some numbers.
func one(seed int, of ...float64) func(i, j int) float64 {
	return func(i, j int) float64 { return of[dice(seed, i, j)%len(of)] }
}

func elementCases(d [2]kernels.DType) (cs []formCase) {
	const m, n = 5, 48
	out := func(d kernels.DType) operandSpec { return operandSpec{d, m, n, nil} }
	in := func(d kernels.DType, seed int) operandSpec { return operandSpec{d, m, n, normal(seed)} }
	add := func(name string, call func(b *Backend, t []kernels.Tensor), os ...operandSpec) {
		cs = append(cs, formCase{name, os, call})
	}
	add("Add", func(b *Backend, t []kernels.Tensor) { b.Add(t[0], t[1], t[2]) }, out(d[0]), in(d[1], 1), in(d[0], 2))
	for f := kernels.NoActivation; f <= kernels.Tanh; f++ {
		add("Activate", func(b *Backend, t []kernels.Tensor) { b.Activate(t[0], t[1], f) }, out(d[0]), in(d[1], 1))
		add("ActivateGrad", func(b *Backend, t []kernels.Tensor) { b.ActivateGrad(t[0], t[1], t[2], f) }, out(d[0]), in(d[1], 1), in(d[0], 2))
	}
	add("SwiGLU", func(b *Backend, t []kernels.Tensor) { b.SwiGLU(t[0], t[1], t[2]) }, out(d[0]), in(d[1], 1), in(d[0], 2))
	add("SwiGLUGrad", func(b *Backend, t []kernels.Tensor) { b.SwiGLUGrad(t[0], t[1], t[2], t[3], t[4]) },
		out(d[0]), out(d[1]), in(d[0], 1), in(d[1], 2), in(d[0], 3))
	block := operandSpec{kernels.I32, 1, kernels.RandomBlock, func(i, j int) float64 { return float64(1000 + j) }}
	add("Dropout", func(b *Backend, t []kernels.Tensor) { b.Dropout(t[0], t[1], t[2], 0.3, 7, m) }, out(d[0]), in(d[1], 1), block)
	table := operandSpec{kernels.F32, 20, 16, normal(4)}
	pos := operandSpec{kernels.I32, 1, m, func(i, j int) float64 { return float64(19 - j) }}
	for _, inverse := range []bool{false, true} {
		add("RoPE", func(b *Backend, t []kernels.Tensor) { b.RoPE(t[0], t[1], t[2], t[3], 2, inverse) }, out(d[0]), in(d[1], 1), table, pos)
	}
	add("Copy", func(b *Backend, t []kernels.Tensor) { b.Copy(t[0], t[1]) }, out(d[1]), in(d[0], 1))
	for _, from := range []kernels.DType{d[1], kernels.F16} {
		add("Copy", func(b *Backend, t []kernels.Tensor) { b.Copy(t[0], t[1]) }, out(d[0]), operandSpec{from, m, n, normal(1)})
	}
	add("Copy", func(b *Backend, t []kernels.Tensor) { b.Copy(t[0], t[1]) }, out(kernels.U8), operandSpec{kernels.U8, m, n, one(1, 0, 1, 255)})
	add("Fill", func(b *Backend, t []kernels.Tensor) { b.Fill(t[0], 0.1) }, out(d[0]))
	return cs
}

func rowCases(d [2]kernels.DType) (cs []formCase) {
	const m = 9
	for _, n := range []int{64, 1032, 4104} {
		cs = append(cs, formCase{fmt.Sprint("Softmax ", n),
			[]operandSpec{{d[0], m, n, nil}, {d[1], m, n, one(1, 0, math.Inf(-1), -200)}},
			func(b *Backend, t []kernels.Tensor) { b.Softmax(t[0], t[1]) }})
		cs = append(cs, formCase{fmt.Sprint("SoftmaxGrad ", n),
			[]operandSpec{{d[0], m, n, nil}, {d[1], m, n, whole(1, n)}, {d[0], m, n, one(2, 0, 0.25, 0.5)}},
			func(b *Backend, t []kernels.Tensor) { b.SoftmaxGrad(t[0], t[1], t[2]) }})
	}
	return cs
}

func normFormCases(d [2]kernels.DType) (cs []formCase) {
	none := kernels.Tensor{}
	for _, n := range []int{64, 520, 1032, 2056, 4104, 8200} {
		m := 11
		if n > 1024 {
			m = 5
		}
		h, w := operandSpec{d[1], m, n, whole(1, n)}, operandSpec{d[0], 1, n, one(3, 0.5, 1, 2)}
		r, bias := operandSpec{d[0], m, n, whole(2, n)}, operandSpec{d[1], 1, n, normal(4)}
		out := operandSpec{d[0], m, n, nil}
		stats, rstd := operandSpec{kernels.F32, 1, 2 * m, nil}, operandSpec{kernels.F32, 1, m, nil}
		cs = append(cs,
			formCase{fmt.Sprint("LayerNorm ", n), []operandSpec{out, stats, h, w, bias}, func(b *Backend, t []kernels.Tensor) {
				b.LayerNorm(t[0], none, t[1], t[2], none, t[3], t[4], 1e-5)
			}},
			formCase{fmt.Sprint("LayerNorm with a residual ", n), []operandSpec{out, out, stats, h, r, w, bias}, func(b *Backend, t []kernels.Tensor) {
				b.LayerNorm(t[0], t[1], t[2], t[3], t[4], t[5], t[6], 1e-5)
			}},
			formCase{fmt.Sprint("RMSNorm with a residual ", n), []operandSpec{out, out, rstd, h, r, w}, func(b *Backend, t []kernels.Tensor) {
				b.RMSNorm(t[0], t[1], t[2], t[3], t[4], t[5], 1e-5)
			}})

		grad := operandSpec{kernels.F32, 1, n, nil}
		stats.value = func(i, j int) float64 { return []float64{float64(j%3 - 1), 0.5}[j%2] }
		rstd.value = one(5, 0.5, 1)
		cs = append(cs,
			formCase{fmt.Sprint("LayerNormGrad ", n), []operandSpec{out, grad, grad, h, r, w, stats, r}, func(b *Backend, t []kernels.Tensor) {
				b.LayerNormGrad(t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], false)
			}},
			formCase{fmt.Sprint("LayerNormGrad of the weights ", n), []operandSpec{grad, h, r, w, stats}, func(b *Backend, t []kernels.Tensor) {
				b.LayerNormGrad(none, t[0], none, t[1], t[2], t[3], t[4], none, false)
			}},
			formCase{fmt.Sprint("RMSNormGrad ", n), []operandSpec{out, grad, h, r, w, rstd}, func(b *Backend, t []kernels.Tensor) {
				b.RMSNormGrad(t[0], t[1], t[2], t[3], t[4], t[5], none, false)
			}})
	}
	return cs
}

func tableCases(d [2]kernels.DType) []formCase {
	const m, n, rows = 70, 96, 300
	idx := operandSpec{kernels.I32, 1, m, one(6, -1, 0, 3, 3, 40, 255, 256, 299)}
	return []formCase{
		{"Embed", []operandSpec{{d[0], m, n, nil}, {d[1], rows, n, normal(1)}, idx}, func(b *Backend, t []kernels.Tensor) {
			b.Embed(t[0], t[1], t[2], false)
		}},
		{"EmbedGrad", []operandSpec{{kernels.F32, rows, n, nil}, {d[1], m, n, normal(1)}, idx}, func(b *Backend, t []kernels.Tensor) {
			b.EmbedGrad(t[0], t[1], t[2], false)
		}},
	}
}

// Operations allocate nothing on the host.
func TestElementwiseOperationsDoNotAllocate(t *testing.T) {
	b := simulate(t, Options{Capability: 80})
	x := operandSpec{kernels.F32, 4, 8, normal(1)}.make(t, b, placements[1])
	h := operandSpec{kernels.BF16, 4, 8, normal(1)}.make(t, b, placements[1])
	v := operandSpec{kernels.F32, 1, 8, normal(1)}.make(t, b, placements[0])
	ints := operandSpec{kernels.I32, 1, 4, one(1, 0, 1)}.make(t, b, placements[0])
	none := kernels.Tensor{}
	require.NoError(t, b.Sync())
	b.err = errors.New("launch nothing")
	assert.Zero(t, testing.AllocsPerRun(10, func() {
		b.Copy(x, x)
		b.Copy(h, x)
		b.Fill(x, 1)
		b.Add(x, x, h)
		b.Activate(x, x, kernels.GELU)
		b.ActivateGrad(x, x, h, kernels.GELU)
		b.SwiGLU(x, h, x)
		b.SwiGLUGrad(x, h, x, h, x)
		b.Dropout(x, x, ints, 0.5, 1, 2)
		b.RoPE(x, x, x, ints, 1, false)
		b.Softmax(x, x)
		b.SoftmaxGrad(x, x, h)
		b.LayerNorm(x, x, v, x, x, v, v, 1)
		b.LayerNormGrad(x, v, v, x, x, v, v, x, false)
		b.Embed(x, h, ints, true)
		b.EmbedGrad(x, h, ints, false)
		b.RMSNorm(x, none, v, x, none, v, 1)
	}))
	b.err = nil
}
