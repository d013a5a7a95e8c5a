package cpu

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"forja/kernels"
)

// measure reports work units per second of processor time, which other load on the machine disturbs less than the clock.
// One call is made first, so that scratch has grown.
func measure(b *testing.B, work float64, unit string, call func()) {
	call()
	b.ResetTimer()
	begin := processorTime()
	for b.Loop() {
		call()
	}
	b.ReportMetric(work*float64(b.N)/1e9/(processorTime()-begin).Seconds(), unit+"/cpu-s")
}

func processorTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// The benchmarks use the shapes of GPT-2 124M with 1024 tokens, and FORJA_THREADS threads.
const (
	benchTokens, benchWidth     = 1024, 768
	benchHeads, benchVocab      = 12, 50257
	benchPadded, benchHeadDepth = 50304, 64
)

// quiet is a dense tensor of numbers in (-½, ½), quickly made. Larger ones would make the softmax of the head so peaked
// that its gradient is subnormal, which processors are slow at.
func (r *rig) quiet(d kernels.DType, shape ...int) kernels.Tensor {
	buf, err := r.b.Alloc(kernels.Shape(shape).Size() * d.Size())
	if err != nil {
		r.t.Fatal(err)
	}
	t := kernels.New(buf, d, shape...)
	n := uint32(1)
	return r.fill(t, func(int) float64 {
		n = n*1664525 + 1013904223
		return float64(n>>8)/(1<<24) - 0.5
	})
}

// BenchmarkAttention counts the visible half of the scores only. Linear is what to compare with, in the same run.
func BenchmarkAttention(b *testing.B) {
	for _, d := range dtypes {
		b.Run("Linear/"+d.String(), func(b *testing.B) {
			r := newRig(b, 0, d)
			y, x, w := r.quiet(d, benchTokens, benchWidth), r.quiet(d, benchTokens, benchWidth), r.quiet(d, benchWidth, benchWidth)
			measure(b, 2*benchTokens*benchWidth*benchWidth, "GFLOP", func() { r.b.Linear(y, x, w, kernels.Epilogue{}) })
		})
		for _, steps := range []int{256, 1024} {
			const n = benchWidth
			a := kernels.Attn{Heads: benchHeads, KVHeads: benchHeads, HeadDim: benchHeadDepth, Causal: true}
			r := newRig(b, 0, d)
			batch := benchTokens / steps
			x, dx := r.quiet(d, batch, steps, 3*n), r.quiet(d, batch, steps, 3*n)
			q, k, v := x.Columns(0, n), x.Columns(n, 2*n), x.Columns(2*n, 3*n)
			dq, dk, dv := dx.Columns(0, n), dx.Columns(n, 2*n), dx.Columns(2*n, 3*n)
			o, do := r.quiet(d, batch, steps, n), r.quiet(d, batch, steps, n)
			lse, delta := r.vec(batch, benchHeads, steps), r.vec(batch, benchHeads, steps)
			flops := 2 * benchWidth * float64(batch*steps*(steps+1))
			b.Run(fmt.Sprintf("forward/%v/T=%d", d, steps), func(b *testing.B) {
				measure(b, flops, "GFLOP", func() { r.b.Attention(o, lse, q, k, v, absent, absent, a) })
			})
			b.Run(fmt.Sprintf("backward/%v/T=%d", d, steps), func(b *testing.B) {
				measure(b, 2.5*flops, "GFLOP", func() {
					r.b.AttentionGrad(dq, dk, dv, delta, do, o, lse, q, k, v, absent, absent, a)
				})
			})
		}
	}
}

func BenchmarkHead(b *testing.B) {
	const c = benchWidth
	for _, d := range dtypes {
		for _, rows := range []int{128, 256, 1024} {
			b.Run(fmt.Sprintf("%v/R=%d", d, rows), func(b *testing.B) {
				r := newRig(b, 0, d)
				x, w, logits := r.quiet(d, benchTokens, c), r.quiet(d, benchPadded, c), r.quiet(kernels.F32, rows, benchPadded)
				target, logp, lse, dlogp := r.indices(benchTokens, benchVocab, false), r.vec(benchTokens), r.vec(benchTokens), r.vec(benchTokens)
				dx, dw := r.quiet(d, benchTokens, c), r.quiet(kernels.F32, benchPadded, c)
				measure(b, 6*benchTokens*c*benchVocab, "GFLOP", func() {
					r.b.LinearLogProbBoth(logp, lse, absent, dx, dw, absent, logits, dlogp, absent, x, w, absent, target, benchVocab, false)
				})
			})
		}
	}
}

func BenchmarkRows(b *testing.B) {
	const m, n = benchTokens, benchWidth
	for _, d := range dtypes {
		r := newRig(b, 0, d)
		x, y, z, w, bias := r.quiet(d, m, n), r.quiet(d, m, n), r.quiet(d, m, n), r.quiet(d, n), r.quiet(d, n)
		wide, wideY, wideDY := r.quiet(d, m, 4*n), r.quiet(d, m, 4*n), r.quiet(d, m, 4*n)
		stats, dw, db := r.vec(m, 2), r.vec(n), r.vec(n)
		table, pos, dtable, idx := r.quiet(kernels.F32, m, 64), r.indices(m, m, false), r.quiet(kernels.F32, benchVocab, n), r.indices(m, benchVocab, false)
		for _, c := range []struct {
			name string
			size int
			call func()
		}{
			{"Add", m * n, func() { r.b.Add(z, x, y) }},
			{"LayerNorm", m * n, func() { r.b.LayerNorm(y, z, stats, x, x, w, bias, 1e-5) }},
			{"LayerNormGrad", m * n, func() { r.b.LayerNormGrad(z, dw, db, y, x, w, stats, z, true) }},
			{"GELU", m * 4 * n, func() { r.b.Activate(wideY, wide, kernels.GELU) }},
			{"GELUGrad", m * 4 * n, func() { r.b.ActivateGrad(wideY, wideDY, wide, kernels.GELU) }},
			{"RoPE", m * n, func() { r.b.RoPE(y, x, table, pos, 12, false) }},
			{"BiasGrad", m * n, func() { r.b.BiasGrad(db, y, true) }},
			{"EmbedGrad", m * n, func() { r.b.EmbedGrad(dtable, y, idx, true) }},
			{"Dropout", m * n, func() { r.b.Dropout(y, x, r.ints(1, 2, 3, 4), 0.1, 1, m) }},
		} {
			b.Run(c.name+"/"+d.String(), func(b *testing.B) { measure(b, float64(c.size), "Gelem", c.call) })
		}
	}
}

func BenchmarkOptimizers(b *testing.B) {
	r := newRig(b, 0, kernels.F32)
	const rows, cols = 4096, 4096
	w, m := r.quiet(kernels.F32, rows, cols), r.quiet(kernels.F32, rows, cols)
	v, g := r.quiet(kernels.F32, rows, cols), r.quiet(kernels.F32, rows, cols)
	r.b.Fill(v, 1)
	control := r.control(1e-4, 0.5, 0.5, 0, 1)
	b.Run("AdamW", func(b *testing.B) {
		measure(b, rows*cols, "Gelem", func() {
			r.b.AdamW(w, absent, m, v, g, control, kernels.AdamW{Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, Decay: 0.1})
		})
	})
	b.Run("GradNorm", func(b *testing.B) {
		measure(b, rows*cols, "Gelem", func() { r.b.GradNorm(control, g, 1) })
	})
}

func BenchmarkDecoding(b *testing.B) {
	const position = 512
	a := kernels.Attn{Heads: benchHeads, KVHeads: benchHeads, HeadDim: benchHeadDepth}
	for _, d := range dtypes {
		r := newRig(b, 0, d)
		q, o := r.quiet(d, 1, benchWidth), r.quiet(d, 1, benchWidth)
		kc, vc := r.quiet(d, 1024, benchWidth), r.quiet(d, 1024, benchWidth)
		pages := make([]int32, 64)
		for i := range pages {
			pages[i] = int32(i)
		}
		table, seq, pos := r.ints(pages...).Reshape(1, 64), r.ints(0), r.ints(position-1)
		b.Run("PagedAttention/"+d.String(), func(b *testing.B) {
			measure(b, float64(2*position*benchWidth*d.Size()), "GB", func() {
				r.b.PagedAttention(o, q, kc, vc, table, seq, pos, 16, a)
			})
		})
		w, y := r.quiet(d, 4*benchWidth, benchWidth), r.quiet(d, 1, 4*benchWidth)
		b.Run("Linear of one row/"+d.String(), func(b *testing.B) {
			measure(b, float64(4*benchWidth*benchWidth*d.Size()), "GB", func() { r.b.Linear(y, q, w, kernels.Epilogue{}) })
		})
	}
	for _, c := range []struct {
		name   string
		params []float32
	}{{"temperature", []float32{1, 0, 0, 0, 0, 0.7}}, {"top-k", []float32{1, 50, 0, 0, 0, 0.7}}, {"top-p", []float32{0.8, 0, 0.9, 0, 0, 0.7}}} {
		b.Run("Sample/"+c.name, func(b *testing.B) {
			r := newRig(b, 1, kernels.F32)
			next, logp, logits, params := r.ints(0), r.vec(1), r.f32(1, benchVocab), r.f32(1, kernels.SampleParams)
			copy(ref(view(params)).row(0), c.params)
			measure(b, benchVocab, "Gelem", func() { r.b.Sample(next, logp, logits, params, absent, benchVocab) })
		})
	}
}
