package cuda

import (
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/kernels"
)

// An H100 issues 8.8 instructions of a thread in the time in which its memory moves a byte: 132 multiprocessors, 128 a clock,
// 1.755 GHz; 3.35 TB/s.
const instructionsPerByte = 132 * 128 * 1.755e9 / 3.35e12

// Kernels that are bound by memory move what their comments say, in whole sectors, with instructions to spare. PTX stands for
// the machine's instructions, which are about as many.
func TestElementsAndRowsMoveOnce(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b, err := Open(Options{Simulate: true, Capability: 90, Memory: 256 << 20, Count: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()
	b.sms = 8 // so that blocks take several rows
	none := kernels.Tensor{}
	for _, d := range []kernels.DType{kernels.F32, kernels.BF16} {
		const m, n = 64, 768
		s := int64(d.Size()) * m * n // bytes of a matrix
		dense := func(d kernels.DType, rows, cols int) kernels.Tensor {
			x := operandSpec{d, rows, cols, normal(1)}.make(t, b, placements[0])
			t.Cleanup(func() { b.Free(x.Buf) })
			return x
		}
		x, y, z := dense(d, m, n), dense(d, m, n), dense(d, m, n)
		w, bias := dense(d, 1, n), dense(d, 1, n)
		stats, table := dense(kernels.F32, 1, 2*m), dense(kernels.F32, m, 64)
		pos := operandSpec{kernels.I32, 1, m, func(i, j int) float64 { return float64(j) }}.make(t, b, placements[0])
		t.Cleanup(func() { b.Free(pos.Buf) })
		rng := pos.Columns(0, kernels.RandomBlock)
		long := kernels.New(x.Buf, d, m/8, 8*n)
		vectors := int64(2*d.Size()) * n
		for _, c := range []struct {
			kernel        string
			read, written int64
			issue         float64 // at most, of what an H100 has time for
			call          func()
		}{
			{"copy__x128", s, s, 0.3, func() { b.Copy(y, x) }},
			{"fill__x128", 0, s, 0.3, func() { b.Fill(y, 1) }},
			{"add__", 2 * s, s, 0.3, func() { b.Add(z, x, y) }},
			{"activate__", s, s, 0.6, func() { b.Activate(y, x, kernels.GELU) }},
			{"activate_grad__", 2 * s, s, 0.6, func() { b.ActivateGrad(z, y, x, kernels.GELU) }},
			{"swiglu__", 2 * s, s, 0.4, func() { b.SwiGLU(z, x, y) }},
			{"swiglu_grad__", 3 * s, 2 * s, 0.4, func() { b.SwiGLUGrad(y, z, dense(d, m, n), x, dense(d, m, n)) }},
			{"dropout__", s + s/4, s, 2.5, func() { b.Dropout(y, x, rng, 0.5, 1, m) }},      // and the generator's block
			{"rope__", s + 4*m*n, s, 0.3, func() { b.RoPE(y, x, table, pos, n/64, false) }}, // and angles
			{"softmax__", s, s, 0.7, func() { b.Softmax(y, x) }},
			{"softmax_grad__", 2 * s, s, 0.6, func() { b.SoftmaxGrad(z, y, x) }},
			{"norm__", 2*s + m*vectors, 2 * s, 0.3, func() { b.LayerNorm(y, z, stats, x, y, w, bias, 1e-5) }},
			{"norm__", s + m*vectors/2, s, 0.4, func() { b.RMSNorm(long, none, stats.Columns(0, m/8), long, none, kernels.New(y.Buf, d, 8*n), 1e-5) }},
			{"norm_grad__", 3*s + 40*vectors/2, s, 0.6, func() { b.LayerNormGrad(z, none, none, x, y, w, stats, z, false) }},
			{"embed__", s, s, 0.4, func() { b.Embed(y, x, pos, false) }},
		} {
			moved := movedBy(b, c.kernel)
			c.call()
			require.NoError(t, b.Sync())
			after := movedBy(b, c.kernel)
			for i := range moved {
				moved[i] = after[i] - moved[i]
			}
			read, written := float64(32*moved[0]), float64(32*moved[1])
			issue := float64(32*moved[2]) / (read + written) / instructionsPerByte
			t.Logf("%-15s %-4v reads %.3f, writes %.3f of what it must, issues %.2f of what there is time for", c.kernel, d,
				read/float64(max(c.read, 1)), written/float64(c.written), issue)
			assert.LessOrEqual(t, read, 1.1*float64(c.read), "%s %v reads", c.kernel, d)
			assert.InDelta(t, c.written, written, 0.03*float64(c.written), "%s %v writes", c.kernel, d)
			assert.LessOrEqual(t, issue, c.issue, "%s %v issues", c.kernel, d)
		}
	}
}

// movedBy counts for kernels whose name begins so: 32-byte sectors loaded and stored, instructions of warps.
func movedBy(b *Backend, prefix string) (sum [3]int64) {
	for _, s := range b.Machine().Stats() {
		if strings.HasPrefix(s.Kernel, prefix) {
			c := &s.Counters
			sum[0] += c.GlobalLoadSectors
			sum[1] += c.GlobalStoreSectors
			for _, n := range c.Instructions {
				sum[2] += n
			}
		}
	}
	return sum
}
