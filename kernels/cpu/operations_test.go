package cpu

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"forja/kernels"
)

// operation builds arguments of one call, large enough for several workers, and marks the outputs.
type operation struct {
	name  string
	build func(r *rig) func(kernels.Backend)
}

func norms(name string, rms, frozen bool) operation {
	return operation{name, func(r *rig) func(kernels.Backend) {
		const m, n = 90, 200
		y, sum, stats := r.out(r.float(m, n)), r.out(r.float(m, n)), r.out(r.vec(m, 2))
		x, res, w, c := r.float(m, n), r.float(m, n), r.dense(n), r.dense(n)
		dx, dy, dw, db := r.out(r.float(m, n)), r.float(m, n), r.out(r.vec(n)), r.out(r.vec(n))
		if frozen {
			dw, db = absent, absent
		}
		rstd := r.out(r.vec(m))
		return func(b kernels.Backend) {
			if rms {
				b.RMSNorm(y, sum, rstd, x, res, w, 1e-5)
				b.RMSNormGrad(dx, dw, dy, x, w, rstd, absent, false)
			} else {
				b.LayerNorm(y, sum, stats, x, res, w, c, 1e-5)
				b.LayerNormGrad(dx, dw, db, dy, x, w, stats, res, true)
			}
		}
	}}
}

func attentions(name string, causal, bounds bool, group int) operation {
	return operation{name, func(r *rig) func(kernels.Backend) {
		const batch, time, depth, shared = 2, 150, 16, 2
		a := kernels.Attn{Heads: shared * group, KVHeads: shared, HeadDim: depth, Causal: causal}
		q, k, v := r.float(batch, time, a.Heads*depth), r.float(batch, time, shared*depth), r.float(batch, time, shared*depth)
		o, lse := r.out(r.float(batch, time, a.Heads*depth)), r.out(r.vec(batch, a.Heads, time))
		do, delta := r.float(batch, time, a.Heads*depth), r.out(r.vec(batch, a.Heads, time))
		dq, dk, dv := r.out(r.float(batch, time, a.Heads*depth)), r.out(r.float(batch, time, shared*depth)), r.out(r.float(batch, time, shared*depth))
		lo, hi := absent, absent
		if bounds {
			lo, hi = documents(r, batch, time, 0, 70, 71, 149)
		}
		return func(b kernels.Backend) {
			b.Attention(o, lse, q, k, v, lo, hi, a)
			b.AttentionGrad(dq, dk, dv, delta, do, o, lse, q, k, v, lo, hi, a)
		}
	}}
}

// documents are bounds of sequences cut at the given positions; the last document is padding, which sees nothing.
func documents(r *rig, batch, time int, cuts ...int) (lo, hi kernels.Tensor) {
	var l, h []int32
	for range batch {
		for t := range time {
			i, _ := slices.BinarySearch(cuts, t+1)
			from, to := cuts[i-1], time
			if i < len(cuts) {
				to = cuts[i]
			} else {
				from = time
			}
			l, h = append(l, int32(from)), append(h, int32(to))
		}
	}
	return r.ints(l...), r.ints(h...)
}

func headOps(name string, masked bool, call int) operation {
	return operation{name, func(r *rig) func(kernels.Backend) {
		const m, c, rows, vocab, chunk = 50, 24, 320, 310, 16
		x, w, bias, logits := r.float(m, c), r.float(rows, c), r.dense(rows), r.out(r.f32(chunk, rows))
		target := r.indices(m, vocab, true)
		logp, lse, entropy := r.out(r.vec(m)), r.out(r.vec(m)), r.out(r.vec(m))
		dx, dw, dbias := r.out(r.float(m, c)), r.out(r.f32(rows, c)), r.out(r.vec(rows))
		dlogp, dlse := r.vec(m), r.vec(m)
		if masked {
			mask := func(i int) float64 {
				if i%3 == 0 {
					return 0
				}
				return float64(i)
			}
			r.fill(dlogp, mask)
			r.fill(dlse, mask)
		}
		return func(b kernels.Backend) {
			switch call {
			case 0:
				b.LinearLogProb(logp, lse, entropy, logits, x, w, bias, target, vocab)
				b.LinearLogProbGrad(dx, dw, dbias, logits, dlogp, dlse, x, w, bias, target, lse, vocab, false)
			case 1:
				b.LinearLogProbBoth(logp, lse, entropy, dx, dw, dbias, logits, dlogp, dlse, x, w, bias, target, vocab, false)
			case 2:
				b.LinearLogProbBoth(logp, lse, absent, absent, dw, absent, logits, dlogp, absent, x, w, absent, target, vocab, true)
			}
		}
	}}
}

func optimisers(name string, master bool, rows, cols int, useMuon bool) operation {
	return operation{name, func(r *rig) func(kernels.Backend) {
		w, full := r.out(r.f32(rows, cols)), absent
		if master {
			w, full = r.out(r.make(kernels.BF16, pad, rows, cols)), r.out(r.f32(rows, cols))
		}
		m, v, g := r.out(r.f32(rows, cols)), r.out(r.f32(rows, cols)), r.f32(rows, cols)
		r.fill(v, func(i int) float64 { return float64(i%7) / 3 })
		control := r.out(r.vec(kernels.ControlSize))
		copy(floats(control), []float32{0.01, 0.5, 0.3, 0, 1})
		scratch := r.out(r.vec(kernels.MuonScratch(rows, cols)))
		return func(b kernels.Backend) {
			b.GradNorm(control, g, 0.5)
			if useMuon {
				b.Muon(w, full, m, g, scratch, control, kernels.Muon{Momentum: 0.95, Decay: 0.1})
			} else {
				b.AdamW(w, full, m, v, g, control, kernels.AdamW{Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, Decay: 0.1, LRScale: 2})
			}
		}
	}}
}

var operations = []operation{
	{"Copy", func(r *rig) func(kernels.Backend) {
		a, b, c, d := r.f32(70, 300), r.out(r.float(70, 300)), r.make(kernels.F16, pad, 70, 300), r.out(r.float(70, 300))
		return func(k kernels.Backend) { k.Copy(b, a); k.Copy(d, c) }
	}},
	{"Fill", func(r *rig) func(kernels.Backend) {
		a, b := r.out(r.float(70, 300)), r.out(r.ints(make([]int32, 9)...))
		return func(k kernels.Backend) { k.Fill(a, 1.5); k.Fill(b, -3) }
	}},
	{"Add", func(r *rig) func(kernels.Backend) {
		x, y, z := r.float(70, 300), r.float(70, 300), r.out(r.f32(70, 300))
		return func(k kernels.Backend) { k.Add(z, x, y) }
	}},
	{"Add dense", func(r *rig) func(kernels.Backend) {
		x, y, z := r.dense(70, 301), r.dense(70, 301), r.out(r.dense(70, 301))
		return func(k kernels.Backend) { k.Add(z, x, y) }
	}},
	{"Activate", func(r *rig) func(kernels.Backend) {
		x, y, dy, dx := r.float(70, 300), r.out(r.float(70, 300)), r.float(70, 300), r.out(r.float(70, 300))
		return func(k kernels.Backend) {
			for f := kernels.NoActivation; f <= kernels.Tanh; f++ {
				k.Activate(y, x, f)
				k.ActivateGrad(dx, dy, x, f)
			}
		}
	}},
	{"SwiGLU", func(r *rig) func(kernels.Backend) {
		fused, y := r.float(70, 300), r.out(r.float(70, 150))
		dgate, dup, dy := r.out(r.float(70, 150)), r.out(r.float(70, 150)), r.float(70, 150)
		gate, up := fused.Columns(0, 150), fused.Columns(150, 300)
		return func(k kernels.Backend) {
			k.SwiGLU(y, gate, up)
			k.SwiGLUGrad(dgate, dup, dy, gate, up)
		}
	}},
	{"Dropout", func(r *rig) func(kernels.Backend) {
		x, y, rng := r.float(4, 10, 300), r.out(r.float(4, 10, 300)), r.ints(1, -2, 3, 4)
		return func(k kernels.Backend) { k.Dropout(y, x, rng, 0.3, 7, 10) }
	}},
	{"RoPE", func(r *rig) func(kernels.Backend) {
		x, y, table, pos := r.float(70, 300), r.out(r.float(70, 300)), r.f32(40, 32), r.indices(70, 40, false)
		return func(k kernels.Backend) { k.RoPE(y, x, table, pos, 5, false); k.RoPE(y, x, table, pos, 6, true) }
	}},
	{"Softmax", func(r *rig) func(kernels.Backend) {
		x, y, dy, dx := r.float(70, 300), r.out(r.float(70, 300)), r.float(70, 300), r.out(r.float(70, 300))
		return func(k kernels.Backend) { k.Softmax(y, x); k.SoftmaxGrad(dx, dy, y) }
	}},
	{"Linear", func(r *rig) func(kernels.Backend) {
		y, pre := r.out(r.float(70, 130)), r.out(r.float(70, 130))
		x, w, bias, res := r.float(70, 90), r.float(130, 90), r.dense(130), r.float(70, 130)
		return func(k kernels.Backend) {
			k.Linear(y, x, w, kernels.Epilogue{})
			k.Linear(y, x, w, kernels.Epilogue{Scale: 0.5, Bias: bias, Act: kernels.GELU, Pre: pre, Residual: res})
			k.Linear(y, x, w, kernels.Epilogue{Bias: bias, Residual: y})
			k.Linear(y, x, w, kernels.Epilogue{Act: kernels.SiLU, Residual: y})
		}
	}},
	{"LinearDX", func(r *rig) func(kernels.Backend) {
		dx, pre := r.out(r.float(70, 90)), r.float(70, 90)
		inPlace := r.out(r.float(70, 90))
		dy, w, res := r.float(70, 130), r.float(130, 90), r.float(70, 90)
		return func(k kernels.Backend) {
			k.LinearDX(dx, dy, w, kernels.Epilogue{Scale: 2, Act: kernels.GELU, Pre: pre, Residual: res})
			k.LinearDX(dx, dy, w, kernels.Epilogue{Residual: dx})
			k.LinearDX(dx, dy, w, kernels.Epilogue{Act: kernels.SiLU, Pre: pre, Residual: dx})
			k.LinearDX(inPlace, dy, w, kernels.Epilogue{Act: kernels.SiLU, Pre: inPlace})
		}
	}},
	{"LinearDW", func(r *rig) func(kernels.Backend) {
		dw, dy, x, db := r.out(r.f32(130, 90)), r.float(70, 130), r.float(70, 90), r.out(r.vec(130))
		return func(k kernels.Backend) {
			k.LinearDW(dw, dy, x, 0, false)
			k.LinearDW(dw, dy, x, 0.5, true)
			k.BiasGrad(db, dy, false)
			k.BiasGrad(db, dy, true)
		}
	}},
	{"Embed", func(r *rig) func(kernels.Backend) {
		y, z, table, idx := r.out(r.float(80, 300)), r.out(r.float(80, 300)), r.float(30, 300), r.indices(80, 30, true)
		dtable, again, dy := r.out(r.f32(30, 300)), r.out(r.f32(30, 300)), r.float(80, 300)
		return func(k kernels.Backend) {
			k.Embed(y, table, idx, false)
			k.Embed(z, table, idx, true)
			k.EmbedGrad(dtable, dy, idx, false)
			k.EmbedGrad(again, dy, idx, true)
		}
	}},
	norms("LayerNorm", false, false),
	norms("LayerNorm frozen", false, true),
	norms("RMSNorm", true, false),
	norms("RMSNorm frozen", true, true),
	attentions("Attention", false, false, 1),
	attentions("Attention causal", true, false, 3),
	attentions("Attention of documents", true, true, 2),
	attentions("Attention of bidirectional documents", false, true, 1),
	headOps("LinearLogProb and gradient", false, 0),
	headOps("LinearLogProb and masked gradient", true, 0),
	headOps("LinearLogProbBoth", false, 1),
	headOps("LinearLogProbBoth masked", true, 1),
	headOps("LinearLogProbBoth bare", true, 2),
	optimisers("AdamW", false, 70, 300, false),
	optimisers("AdamW with master", true, 70, 300, false),
	optimisers("Muon wide", false, 40, 90, true),
	optimisers("Muon tall with master", true, 90, 40, true),
	{"KVAppend", func(r *rig) func(kernels.Backend) {
		kc, vc, k, v := r.out(r.float(64, 300)), r.out(r.float(64, 300)), r.float(30, 300), r.float(30, 300)
		slots := make([]int32, 30)
		for i := range slots {
			slots[i] = int32(2 * i)
		}
		slots[4] = -1
		slot := r.ints(slots...)
		return func(b kernels.Backend) { b.KVAppend(kc, vc, k, v, slot) }
	}},
	{"PagedAttention", func(r *rig) func(kernels.Backend) {
		a := kernels.Attn{Heads: 6, KVHeads: 2, HeadDim: 16}
		q, o, kc, vc := r.float(3, 96), r.out(r.float(3, 96)), r.float(160, 32), r.float(160, 32)
		table, seq, pos := r.ints(9, 0, 3, 4, 5, 8, 1, 2), r.ints(1, -1, 0), r.ints(50, 0, 17)
		table = table.Reshape(2, 4)
		return func(b kernels.Backend) { b.PagedAttention(o, q, kc, vc, table, seq, pos, 16, a) }
	}},
	{"Sample", func(r *rig) func(kernels.Backend) {
		next, logp, logits, params := r.out(r.ints(0, 0, 0, 0)), r.out(r.vec(4)), r.f32(4, 2000), r.f32(4, kernels.SampleParams)
		seen := r.make(kernels.U8, 0, 4, 2000)
		copy(ref(view(params)).row(0), []float32{0, 0, 0, 0, 1.1, 0.5})
		copy(ref(view(params)).row(1), []float32{1, 50, 0.9, 0.01, 1.3, 0.7})
		copy(ref(view(params)).row(2), []float32{0.7, 0, 0, 0, 0, 0.99})
		copy(ref(view(params)).row(3), []float32{1.5, 0, 0.95, 0, 0, 0.1})
		return func(b kernels.Backend) { b.Sample(next, logp, logits, params, seen, 1990) }
	}},
}

func everyOperation(t *testing.T, f func(t *testing.T, op operation, d kernels.DType)) {
	for _, d := range dtypes {
		for _, op := range operations {
			t.Run(op.name+"/"+d.String(), func(t *testing.T) { f(t, op, d) })
		}
	}
}

func TestOperationsWriteNothingButTheirOutputs(t *testing.T) {
	everyOperation(t, func(t *testing.T, op operation, d kernels.DType) {
		r := newRig(t, 2, d)
		call := op.build(r)
		before := make([][]byte, len(r.bufs))
		for i, b := range r.bufs {
			before[i] = bytes.Clone(b.mem)
		}
		r.run(call)
		for _, out := range r.outs { // what outputs hold now was allowed to change
			i := slices.Index(r.bufs, out.Buf.(*buffer))
			was := out
			was.Buf = &buffer{mem: before[i], size: len(before[i])}
			m, old := view(out), view(was)
			for i := range m.rows {
				copy(old.bytes(i), m.bytes(i))
			}
		}
		for i, b := range r.bufs {
			require.True(t, bytes.Equal(before[i], b.mem), "tensor %d or its surroundings", i)
		}
	})
}

func TestResultsDoNotDependOnTheNumberOfThreads(t *testing.T) {
	everyOperation(t, func(t *testing.T, op operation, d kernels.DType) {
		var first *rig
		for _, threads := range []int{1, 2, 3} {
			r := newRig(t, threads, d)
			r.run(op.build(r))
			if first == nil {
				first = r
			}
			for i, b := range r.bufs {
				require.True(t, bytes.Equal(first.bufs[i].mem, b.mem), "tensor %d with %d threads", i, threads)
			}
		}
	})
}

func TestOperationsAllocateNothing(t *testing.T) {
	everyOperation(t, func(t *testing.T, op operation, d kernels.DType) {
		r := newRig(t, 2, d)
		call := op.build(r)
		call(r.b)
		for range 3 { // until both workers have had the largest share
			call(r.b)
		}
		require.Zero(t, testing.AllocsPerRun(5, func() { call(r.b) }))
	})
}
