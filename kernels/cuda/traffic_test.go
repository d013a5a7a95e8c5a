package cuda

import (
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"forja/kernels"
)

// issued is how many instructions of single lanes an H100 issues while its memory moves a byte: 132 multiprocessors, 128 lanes,
// 1.75 GHz, 3.35 TB/s.
const issued = 8.8

// Kernels that memory bounds move what their formats make necessary, in whole sectors and without bank conflicts in their loops,
// and leave the card time to issue their instructions. PTX stands for the machine's instructions, of which there are somewhat
// more where it divides.
func TestKernelsAreBoundByMemory(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b, err := Open(Options{Simulate: true, Capability: 90, Memory: 256 << 20, Count: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()
	r := rand.New(rand.NewPCG(1, 2))
	none := kernels.Tensor{}
	dense := func(d kernels.DType, rows, cols int) kernels.Tensor {
		buf, err := b.Alloc(rows * cols * d.Size())
		require.NoError(t, err)
		t.Cleanup(func() { b.Free(buf) })
		x := kernels.New(buf, d, rows, cols)
		host := make([]byte, rows*cols*d.Size())
		for i := range rows * cols {
			if d.Float() {
				put(host[i*d.Size():], d, r.NormFloat64())
			}
		}
		b.Upload(x, host)
		return x
	}
	f, h, ints := kernels.F32, kernels.BF16, kernels.I32
	const n, vocab = 1 << 16, 8192
	control, w, half := dense(f, 1, kernels.ControlSize), dense(f, 1, n), dense(h, 1, n)
	m, v, g := dense(f, 1, n), dense(f, 1, n), dense(f, 1, n)
	for i, x := range []float64{0.1, 1, 1, 1, 1, 0, 0, 0} {
		var host [4]byte
		put(host[:], f, x)
		b.Upload(control.Columns(i, i+1), host[:])
	}
	b.Fill(v, 1)
	x, head, logits := dense(h, 4, 64), dense(h, vocab, 64), dense(f, 4, vocab)
	target, logp, lse, dx := dense(ints, 1, 4), dense(f, 1, 4), dense(f, 1, 4), dense(h, 4, 64)
	keys, values, table := dense(h, 1024, 128), dense(h, 1024, 128), newIndices(t, b, 3, 2, 1, 0).Reshape(1, 4)
	zero, last := newIndices(t, b, 0), newIndices(t, b, 1023)
	attend := func(heads, depth int) func() {
		return func() {
			b.PagedAttention(dense(h, 1, heads*depth), dense(h, 1, heads*depth), keys.Columns(0, depth), values.Columns(0, depth), table,
				zero, last, 256, kernels.Attn{Heads: heads, KVHeads: 1, HeadDim: depth})
		}
	}
	multiply := func(d kernels.DType, m int) func() {
		return func() { b.Linear(dense(d, m, 256), dense(d, m, 2048), dense(d, 256, 2048), kernels.Epilogue{}) }
	}
	for _, c := range []struct {
		kernel        string
		call          func()
		read, written int // bytes that are necessary; 0 where there are only a few results
	}{
		{"adamw__bf16", func() { b.AdamW(half, w, m, v, g, control, kernels.AdamW{Beta1: 0.9, Beta2: 0.9, Eps: 1}) }, 16 * n, 14 * n},
		{"adamw__f32", func() { b.AdamW(w, none, m, v, g, control, kernels.AdamW{Beta1: 0.9, Beta2: 0.9, Eps: 1}) }, 16 * n, 12 * n},
		{"square_sums__f32", func() { b.GradNorm(control, g, 1) }, 4 * n, 0},
		{"sum_rows__bf16", func() { b.BiasGrad(g.Columns(0, 256).Reshape(256), half.Reshape(256, 256), false) }, 2 * n, 0},
		{"muon_mix__f32", func() {
			b.mix(w.Reshape(256, 256), m.Reshape(256, 256), g.Reshape(256, 256), control, 0.9)
		}, 8 * n, 8 * n},
		{"log_prob__value", func() { b.LinearLogProb(logp, lse, none, logits, x, head, none, target, vocab) }, 4 * 4 * vocab, 0},
		{"log_prob__both_bf16", func() {
			b.LinearLogProbBoth(logp, lse, none, dx, none, none, logits, logp, none, x, head, none, target, vocab, false)
		}, 2 * 4 * 4 * vocab, 2 * 4 * vocab},
		{"paged_attention__d64_h4", attend(4, 64), 2 * 2 * 64 * 1024, 0},
		{"paged_attention__d128_h4", attend(4, 128), 2 * 2 * 128 * 1024, 0},
		{"paged_attention__d128_h8", attend(8, 128), 2 * 2 * 128 * 1024, 0},
		{"gemv__bf16_8", multiply(h, 1), 2 * 256 * 2048, 0},
		{"gemv__f32_1", multiply(f, 1), 4 * (256 + 128) * 2048, 0}, // and the one row once for two columns
	} {
		before := counted(b, c.kernel)
		c.call()
		require.NoError(t, b.Sync())
		d := counted(b, c.kernel)
		for i := range d {
			d[i] -= before[i]
		}
		require.Positive(t, d[instructions], "%s did not run", c.kernel)
		share := func(a, b float64) float64 { return a / max(b, 1) }
		require.LessOrEqual(t, share(d[bytesRead], float64(c.read)), 1.2, "%s reads too much", c.kernel)
		require.LessOrEqual(t, share(32*d[sectorsRead], d[bytesRead]), 1.02, "%s reads parts of sectors", c.kernel)
		if c.written > 0 {
			require.LessOrEqual(t, share(d[bytesWritten], float64(c.written)), 1.02, "%s writes too much", c.kernel)
			require.LessOrEqual(t, share(32*d[sectorsWritten], d[bytesWritten]), 1.02, "%s writes parts of sectors", c.kernel)
		}
		require.LessOrEqual(t, share(32*d[instructions], float64(c.read+c.written)), issued, "%s issues too much", c.kernel)
		if strings.HasPrefix(c.kernel, "paged") || strings.HasPrefix(c.kernel, "log") {
			require.LessOrEqual(t, share(d[wavefronts], d[wavefrontsAtBest]), 1.05, "%s has bank conflicts", c.kernel)
		}
	}
}

// What counted counts.
const (
	bytesRead = iota
	bytesWritten
	sectorsRead
	sectorsWritten
	instructions // of warps
	wavefronts   // in shared memory
	wavefrontsAtBest
	counts
)

func counted(b *Backend, kernel string) (d [counts]float64) {
	for _, s := range b.Machine().Stats() {
		if s.Kernel != kernel {
			continue
		}
		c := &s.Counters
		for i, v := range [counts]int64{c.GlobalBytesRead, c.GlobalBytesWritten, c.GlobalLoadSectors, c.GlobalStoreSectors, 0,
			c.SharedWavefronts, c.SharedIdeal} {
			d[i] = float64(v)
		}
		for _, v := range c.Instructions {
			d[instructions] += float64(v)
		}
	}
	return d
}
