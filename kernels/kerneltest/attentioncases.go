package kerneltest

import (
	"fmt"
	"math"
	"slices"
	"sync"

	"forja/kernels"
)

var attentionForms = []struct {
	batch, time, heads, kv, d int
	scope                     scope
}{
	{2, 5, 4, 2, 8, small}, {1, 1, 1, 1, 1, normal}, {1, 2, 3, 1, 7, normal}, {2, 17, 2, 2, 16, normal},
	{1, 33, 6, 2, 32, normal}, {1, 64, 2, 1, 64, normal}, {2, 65, 2, 2, 80, normal}, {1, 130, 4, 2, 64, normal}, {1, 100, 2, 1, 128, normal},
	{2, 200, 4, 1, 64, long}, {1, 600, 1, 1, 128, long},
}

// bounds are the kinds of lo and hi of a case. All but the first and last see packed documents.
var bounds = []string{"everything", "documents", "document starts", "document ends", "window", "anything"}

// bound returns lo and hi of a kind for each query of a batch.
func (tr *trial) bound(kind string, batch, time int) (lo, hi []int32) {
	for range batch {
		cuts := []int{0, time}
		for range time / 4 {
			cuts = append(cuts, tr.rng.IntN(time+1))
		}
		slices.Sort(cuts)
		starts, ends := make([]int32, time), make([]int32, time)
		for t := range time {
			i, _ := slices.BinarySearch(cuts, t+1) // the first cut after t
			starts[t], ends[t] = int32(cuts[i-1]), int32(cuts[i])
			if kind == "window" {
				starts[t], ends[t] = int32(max(0, t-7)), int32(t+1)
			}
		}
		if kind == "anything" { // and often nothing
			for t := range time {
				starts[t], ends[t] = int32(tr.rng.IntN(time+1)), int32(tr.rng.IntN(time+1))
			}
			slices.Sort(starts)
			slices.Sort(ends)
			for t := range time {
				ends[t] = max(starts[t], ends[t])
			}
		}
		lo, hi = append(lo, starts...), append(hi, ends...)
	}
	return lo, hi
}

// An attentionRig is the operands that both directions share.
type attentionRig struct {
	attention
	qt, kt, vt, lot, hit *operand
}

// sequence is a (B,T,columns) operand; the qkv of a case are column ranges of one if fused.
func (tr *trial) qkv(d []kernels.DType, batch, time int, a kernels.Attn, fused bool, make func(d kernels.DType, shape ...int) *operand) (q, k, v *operand) {
	n, s := a.Heads*a.HeadDim, a.KVHeads*a.HeadDim
	if fused {
		all := make(d[0], batch, time, n+2*s)
		return tr.columns(all, 0, n), tr.columns(all, n, n+s), tr.columns(all, n+s, n+2*s)
	}
	return make(d[0], batch, time, n), make(d[1], batch, time, s), make(d[2], batch, time, s)
}

func (tr *trial) attention(d []kernels.DType, batch, time int, a kernels.Attn, kind string, fused bool) attentionRig {
	r := attentionRig{attention: attention{Attn: a, batch: batch, time: time}, lot: none, hit: none}
	r.qt, r.kt, r.vt = tr.qkv(d, batch, time, a, fused, tr.normal)
	lo, hi := tr.bound(kind, batch, time)
	if kind != "everything" && kind != "document ends" {
		r.lot = tr.ints(lo...)
		r.lo = r.lot.scalars()
	}
	if kind != "everything" && kind != "document starts" {
		r.hit = tr.ints(hi...)
		r.hi = r.hit.scalars()
	}
	r.q, r.k, r.v = r.qt.values(), r.kt.values(), r.vt.values()
	r.half = r.qt.half() && r.kt.half() && r.vt.half()
	return r
}

func attentionCases(l *list) {
	turn := 0
	for _, f := range attentionForms {
		for _, d := range mixtures(8) {
			for _, kind := range bounds {
				for _, causal := range []bool{false, true} {
					if turn++; f.batch*f.heads*f.time*f.time*f.d > 1<<18 && turn%5 != 0 {
						continue
					}
					a := kernels.Attn{Heads: f.heads, KVHeads: f.kv, HeadDim: f.d, Causal: causal}
					if turn%3 == 0 {
						a.Scale = 0.3
					}
					fused := turn%2 == 0
					name := fmt.Sprintf("(%d,%d) %+v %v %s fused %t", f.batch, f.time, a, d[:4], kind, fused)
					l.add("Attention", f.scope, name, func(tr *trial) { buildAttention(tr, d, f.batch, f.time, a, kind, fused) })
					l.add("AttentionGrad", f.scope, name, func(tr *trial) { buildAttentionGrad(tr, d, f.batch, f.time, a, kind, fused) })
				}
			}
		}
	}
}

func buildAttention(tr *trial, d []kernels.DType, batch, time int, a kernels.Attn, kind string, fused bool) {
	r := tr.attention(d, batch, time, a, kind, fused)
	o, lse := tr.output(d[3], batch, time, a.Heads*a.HeadDim), tr.outVector(kernels.F32, batch, a.Heads, time)
	tr.call = func(b kernels.Backend) { b.Attention(o.t, lse.t, r.qt.t, r.kt.t, r.vt.t, r.lot.t, r.hit.t, a) }
	oracle := sync.OnceValue(r.forward)
	tr.want(o, func() mat { return oracle().o })
	tr.want(lse, func() mat { return oracle().lse })
}

func buildAttentionGrad(tr *trial, d []kernels.DType, batch, time int, a kernels.Attn, kind string, fused bool) {
	r := tr.attention(d, batch, time, a, kind, fused)
	f := r.forward()
	do := tr.normal(d[4], batch, time, a.Heads*a.HeadDim)
	o := tr.output(d[3], batch, time, a.Heads*a.HeadDim).set(func(i int) float64 { return f.o.v[i].v })
	lse := tr.outVector(kernels.F32, batch, a.Heads, time).set(func(i int) float64 { return f.lse.v[i].v })
	for i, v := range f.o.v { // Σ do·o may be computed from the o that is stored or from the probabilities
		f.o.v[i].e = v.e + math.Abs(v.v-o.get(i))
	}
	r.half = r.half && do.half()
	dq, dk, dv := tr.qkv(d[5:], batch, time, a, fused, tr.output)
	delta := tr.free(tr.outVector(kernels.F32, batch, a.Heads, time))
	tr.call = func(b kernels.Backend) {
		b.AttentionGrad(dq.t, dk.t, dv.t, delta.t, do.t, o.t, lse.t, r.qt.t, r.kt.t, r.vt.t, r.lot.t, r.hit.t, a)
	}
	oracle := sync.OnceValue(func() attended { return r.backward(do.values(), f.o, lse.values()) })
	tr.want(dq, func() mat { return oracle().dq })
	tr.want(dk, func() mat { return oracle().dk })
	tr.want(dv, func() mat { return oracle().dv })
}
