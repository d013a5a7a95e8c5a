package cpu

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"forja/kernels"
)

// rig is a backend with tensors whose surroundings are watched.
type rig struct {
	t     testing.TB
	b     *Backend
	rng   *rand.Rand
	dtype kernels.DType // of tensors that may be F32 or BF16
	bufs  []*buffer
	outs  []kernels.Tensor
}

func newRig(t testing.TB, threads int, dtype kernels.DType) *rig {
	b, err := open(Options{Threads: threads})
	require.NoError(t, err)
	r := &rig{t: t, b: b, rng: rand.New(rand.NewPCG(1, 2)), dtype: dtype}
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return r
}

// guard is the number of elements around and pad between the rows of tensors that need not be dense.
const guard, pad = 5, 3

// make is a tensor of undefined content, surrounded by random bytes.
func (r *rig) make(d kernels.DType, pad int, shape ...int) kernels.Tensor {
	t := kernels.New(nil, d, shape...)
	t.Off, t.Stride = guard, t.Cols()+pad
	buf, err := r.b.Alloc((2*guard + t.Rows()*t.Stride) * d.Size())
	require.NoError(r.t, err)
	t.Buf = buf
	for i := range buf.(*buffer).mem {
		buf.(*buffer).mem[i] = byte(r.rng.Uint32())
	}
	r.bufs = append(r.bufs, buf.(*buffer))
	return t
}

// out marks a tensor as written.
func (r *rig) out(t kernels.Tensor) kernels.Tensor {
	r.outs = append(r.outs, t)
	return t
}

// float and f32 are random normal matrices with gaps between rows, vec a dense F32 tensor.
func (r *rig) float(shape ...int) kernels.Tensor { return r.normal(r.make(r.dtype, pad, shape...)) }
func (r *rig) f32(shape ...int) kernels.Tensor {
	return r.normal(r.make(kernels.F32, pad, shape...))
}
func (r *rig) vec(shape ...int) kernels.Tensor { return r.normal(r.make(kernels.F32, 0, shape...)) }
func (r *rig) dense(shape ...int) kernels.Tensor {
	return r.normal(r.make(r.dtype, 0, shape...))
}

func (r *rig) normal(t kernels.Tensor) kernels.Tensor {
	return r.fill(t, func(int) float64 { return r.rng.NormFloat64() })
}

// fill sets element i to f(i).
func (r *rig) fill(t kernels.Tensor, f func(i int) float64) kernels.Tensor {
	m := view(t)
	row := make([]float32, m.cols)
	for i := 0; i < m.rows && !m.absent(); i++ {
		for j := range row {
			row[j] = float32(f(i*m.cols + j))
		}
		m.store(i, 0, row)
	}
	return t
}

// ints is a dense I32 tensor.
func (r *rig) ints(values ...int32) kernels.Tensor {
	t := r.make(kernels.I32, 0, len(values))
	copy(ints(t), values)
	return t
}

// indices is n indices below limit, some negative if holes.
func (r *rig) indices(n, limit int, holes bool) kernels.Tensor {
	values := make([]int32, n)
	for i := range values {
		values[i] = int32(r.rng.IntN(limit))
		if holes && i%5 == 3 {
			values[i] = -1
		}
	}
	return r.ints(values...)
}

// values is a float tensor as float64.
func values(t kernels.Tensor) []float64 {
	m := view(t)
	x := make([]float64, 0, m.rows*m.cols)
	row := make([]float32, m.cols)
	for i := range m.rows {
		m.loadTo(row, i, 0, m.cols)
		for _, v := range row {
			x = append(x, float64(v))
		}
	}
	return x
}

// run checks the call and executes it.
func (r *rig) run(call func(kernels.Backend)) {
	r.t.Helper()
	require.NoError(r.t, kernels.Check(call))
	call(r.b)
	require.NoError(r.t, r.b.Sync())
}

// near compares a tensor with its oracle: the error of element i may be bound(i) of rounding errors of float32, and one
// rounding to the tensor's dtype.
func (r *rig) near(want []float64, got kernels.Tensor, bound func(i int) float64) {
	r.t.Helper()
	store := 0x1p-24
	if got.DType == kernels.BF16 {
		store = 0x1p-8
	}
	g := values(got)
	require.Len(r.t, g, len(want))
	for i, w := range want {
		if math.IsInf(w, 0) && g[i] == w {
			continue
		}
		limit := bound(i)*0x1p-24*2 + math.Abs(w)*store*2
		if diff := math.Abs(g[i] - w); !(diff <= limit) {
			require.Failf(r.t, "far from the oracle", "element %d is %g, want %g ± %g", i, g[i], w, limit)
		}
	}
}

// constant is a bound that is the same for all elements.
func constant(c float64) func(int) float64 { return func(int) float64 { return c } }

var dtypes = []kernels.DType{kernels.F32, kernels.BF16}

// everyDType runs a test for both storage types. The conformance suite covers the other instruction sets.
func everyDType(t *testing.T, f func(t *testing.T, r *rig)) {
	for _, d := range dtypes {
		t.Run(d.String(), func(t *testing.T) { f(t, newRig(t, 2, d)) })
	}
}
