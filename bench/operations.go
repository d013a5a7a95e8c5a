package bench

import (
	"context"
	"fmt"
	"slices"

	"forja/kernels"
)

// An operation is one kernel call and what it does.
type operation struct {
	name string
	work float64 // GFLOP or GB a call, by unit
	unit string
	call func()
}

// measure times operations one after another.
func (r *rig) measure(ctx context.Context, what string, d kernels.DType, ops ...operation) error {
	for _, o := range ops {
		r.Say("%s %s %v", what, o.name, d)
		ts, err := r.race(ctx, o.call)
		if err != nil {
			return fmt.Errorf("%s %v: %w", o.name, d, err)
		}
		res := ts[0].result(fmt.Sprintf("%s/%v/%s", what, d, o.name), d, o.work/1e9, o.unit)
		if o.unit == "GB/s" && r.copied > 0 {
			res = res.over("copy", r.copied)
		}
		if what == "copy" && r.b.Info().Kind == "cuda" {
			r.copied = max(r.copied, res.Rate)
		}
		r.Result(res)
	}
	return nil
}

// perDType calls f for every dtype with operands that are freed afterwards.
func (r *rig) perDType(f func(*tensors, kernels.DType) error) error {
	for _, d := range r.DTypes {
		t := &tensors{b: r.b}
		err := f(t, d)
		t.free()
		if err == nil {
			err = t.err
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var absent kernels.Tensor

// copies count the bytes read and written. What memory-bound kernels reach on a card is compared with this.
func copies(ctx context.Context, r *rig) error {
	return r.perDType(func(t *tensors, d kernels.DType) error {
		x, y := t.empty(d, r.side, r.side), t.empty(d, r.side, r.side)
		if t.err != nil {
			return t.err
		}
		return r.measure(ctx, "copy", d, operation{fmt.Sprintf("%dx%d", r.side, r.side), float64(2 * x.Size() * d.Size()), "GB/s", func() { r.b.Copy(y, x) }})
	})
}

// attentions counts the arithmetic of the visible half of the scores: two products forward, five backward.
func attentions(ctx context.Context, r *rig) error {
	batch, heads, depth := r.batch, r.heads, r.depth
	n := heads * depth
	a := kernels.Attn{Heads: heads, KVHeads: heads, HeadDim: depth, Causal: true}
	return r.perDType(func(t *tensors, d kernels.DType) error {
		for _, T := range r.lengths {
			x, dx := t.random(d, 1, batch, T, 3*n), t.empty(d, batch, T, 3*n)
			o, do := t.empty(d, batch, T, n), t.random(d, 2, batch, T, n)
			lse, delta := t.empty(kernels.F32, batch, heads, T), t.empty(kernels.F32, batch, heads, T)
			if t.err != nil {
				return t.err
			}
			q, k, v := x.Columns(0, n), x.Columns(n, 2*n), x.Columns(2*n, 3*n)
			dq, dk, dv := dx.Columns(0, n), dx.Columns(n, 2*n), dx.Columns(2*n, 3*n)
			flops := 2 * float64(n) * float64(batch) * float64(T) * float64(T+1)
			err := r.measure(ctx, "attention", d,
				operation{fmt.Sprintf("forward/T%d", T), flops, "GFLOP/s", func() { r.b.Attention(o, lse, q, k, v, absent, absent, a) }},
				operation{fmt.Sprintf("backward/T%d", T), 2.5 * flops, "GFLOP/s", func() {
					r.b.AttentionGrad(dq, dk, dv, delta, do, o, lse, q, k, v, absent, absent, a)
				}})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// norms counts the bytes of activations read and written once. On a processor they may come from a cache.
func norms(ctx context.Context, r *rig) error {
	m, n, f := r.tokens, r.channels, r.wide
	return r.perDType(func(t *tensors, d kernels.DType) error {
		x, res, dy, w, bias := t.random(d, 1, m, n), t.random(d, 2, m, n), t.random(d, 3, m, n), t.random(d, 4, n), t.random(d, 5, n)
		y, sum, dx := t.empty(d, m, n), t.empty(d, m, n), t.empty(d, m, n)
		stats, rstd, dw, db := t.empty(kernels.F32, m, 2), t.empty(kernels.F32, m), t.empty(kernels.F32, n), t.empty(kernels.F32, n)
		wide, wideY, wideDY, gates := t.random(d, 6, m, f), t.empty(d, m, f), t.random(d, 7, m, f), t.random(d, 8, m, 2*f)
		dgates := t.empty(d, m, 2*f)
		if t.err != nil {
			return t.err
		}
		narrow, broad := float64(m*n*d.Size()), float64(m*f*d.Size())
		return r.measure(ctx, "norm", d,
			operation{"layernorm", 4 * narrow, "GB/s", func() { r.b.LayerNorm(y, sum, stats, x, res, w, bias, 1e-5) }},
			operation{"layernorm_grad", 4 * narrow, "GB/s", func() { r.b.LayerNormGrad(dx, dw, db, dy, sum, w, stats, res, false) }},
			operation{"rmsnorm", 4 * narrow, "GB/s", func() { r.b.RMSNorm(y, sum, rstd, x, res, w, 1e-5) }},
			operation{"rmsnorm_grad", 4 * narrow, "GB/s", func() { r.b.RMSNormGrad(dx, dw, dy, sum, w, rstd, res, false) }},
			operation{"gelu", 2 * broad, "GB/s", func() { r.b.Activate(wideY, wide, kernels.GELU) }},
			operation{"gelu_grad", 3 * broad, "GB/s", func() { r.b.ActivateGrad(wideY, wideDY, wide, kernels.GELU) }},
			operation{"swiglu", 3 * broad, "GB/s", func() { r.b.SwiGLU(wideY, gates.Columns(0, f), gates.Columns(f, 2*f)) }},
			operation{"swiglu_grad", 5 * broad, "GB/s", func() {
				r.b.SwiGLUGrad(dgates.Columns(0, f), dgates.Columns(f, 2*f), wideDY, gates.Columns(0, f), gates.Columns(f, 2*f))
			}},
			operation{"bias_grad", narrow, "GB/s", func() { r.b.BiasGrad(db, dy, false) }})
	})
}

// heads counts the three products of the head over the padded vocabulary, for several numbers of rows whose logits exist
// at a time: the fewer, the less memory.
func heads(ctx context.Context, r *rig) error {
	m, c, vocab, chunks := r.headTokens, r.heads*r.depth, r.vocab, r.headRows
	padded := (vocab + 63) / 64 * 64
	most := slices.Max(chunks)
	return r.perDType(func(t *tensors, d kernels.DType) error {
		x, w, logits := t.random(d, 1, m, c), t.random(d, 2, padded, c), t.empty(kernels.F32, most, padded)
		dx, dw, target := t.empty(d, m, c), t.empty(kernels.F32, padded, c), t.ids(vocab, 3, m)
		logp, lse, entropy, dlogp := t.empty(kernels.F32, m), t.empty(kernels.F32, m), t.empty(kernels.F32, m), t.empty(kernels.F32, m)
		if t.err != nil {
			return t.err
		}
		r.b.Fill(dlogp, -1/float32(m))
		flops := 6 * float64(m) * float64(c) * float64(padded)
		for _, rows := range chunks {
			z := logits.RowRange(0, rows)
			err := r.measure(ctx, "head", d, operation{fmt.Sprintf("rows%d", rows), flops, "GFLOP/s", func() {
				r.b.LinearLogProbBoth(logp, lse, entropy, dx, dw, absent, z, dlogp, absent, x, w, absent, target, vocab, false)
			}})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// optimizers counts the bytes of the state that an update reads and writes: 28 a parameter in f32, 30 with a bf16 copy.
func optimizers(ctx context.Context, r *rig) error {
	n := r.parameters
	return r.perDType(func(t *tensors, d kernels.DType) error {
		w, m, v := t.empty(d, 1, n), t.empty(kernels.F32, 1, n), t.empty(kernels.F32, 1, n)
		g, control := t.random(kernels.F32, 2, 1, n), t.filled(kernels.F32, []float32{1e-4, 0.1, 0.05, 1, 1, 0, 0, 0}, kernels.ControlSize)
		master, bytes := absent, 28.0
		if d != kernels.F32 {
			master, bytes = t.empty(kernels.F32, 1, n), 30
		}
		if t.err != nil {
			return t.err
		}
		p := kernels.AdamW{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Decay: 0.1}
		ops := []operation{{"adamw", bytes * float64(n), "GB/s", func() { r.b.AdamW(w, master, m, v, g, control, p) }}}
		if d == kernels.F32 {
			ops = append(ops, operation{"grad_norm", 4 * float64(n), "GB/s", func() { r.b.GradNorm(control, g, 0) }})
		}
		return r.measure(ctx, "adamw", d, ops...)
	})
}
