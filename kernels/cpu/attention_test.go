package cpu

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"forja/kernels"
)

// attention64 is attention and, given do, its gradients, with whole score matrices in float64.
type attention64 struct {
	o, lse, dq, dk, dv []float64
}

func newAttention64(q, k, v, do, lo, hi kernels.Tensor, a kernels.Attn) (r attention64) {
	batch, time, d := q.Shape[0], q.Shape[1], a.HeadDim
	group := a.Heads / a.KVHeads
	Q, K, V, DO := load64(q), load64(k), load64(v), load64(do)
	r.o, r.dq = make([]float64, len(Q.v)), make([]float64, len(Q.v))
	r.dk, r.dv = make([]float64, len(K.v)), make([]float64, len(K.v))
	scale := float64(a.Scale)
	if scale == 0 {
		scale = 1 / math.Sqrt(float64(d))
	}
	for b := range batch {
		for h := range a.Heads {
			for t := range time {
				i := b*time + t
				from, to := 0, time
				if !lo.Nil() {
					from, to = int(ints(lo)[i]), int(ints(hi)[i])
				}
				if a.Causal {
					to = min(to, t+1)
				}
				if from >= to {
					r.lse = append(r.lse, math.Inf(-1))
					continue
				}
				query := Q.row(i)[h*d : (h+1)*d]
				grad := DO.row(i)[h*d : (h+1)*d]
				kv := func(m m64, u int) []float64 { return m.row(b*time + u)[h/group*d : (h/group+1)*d] }
				var probs []float64
				sum := 0.0
				for u := from; u < to; u++ {
					probs = append(probs, math.Exp(scale*dot64(query, kv(K, u))))
					sum += probs[u-from]
				}
				r.lse = append(r.lse, math.Log(sum))
				delta := 0.0
				for u := from; u < to; u++ {
					probs[u-from] /= sum
					delta += probs[u-from] * dot64(grad, kv(V, u))
					for j := range d {
						r.o[i*Q.cols+h*d+j] += probs[u-from] * kv(V, u)[j]
					}
				}
				for u := from; u < to; u++ {
					p := probs[u-from]
					ds := scale * p * (dot64(grad, kv(V, u)) - delta)
					at := (b*time+u)*K.cols + h/group*d
					for j := range d {
						r.dv[at+j] += p * grad[j]
						r.dk[at+j] += ds * query[j]
						r.dq[i*Q.cols+h*d+j] += ds * kv(K, u)[j]
					}
				}
			}
		}
	}
	return r
}

func TestAttentionMatchesWholeScoreMatrices(t *testing.T) {
	for _, c := range []struct {
		time, depth, shared, group int
		causal, bounds             bool
	}{
		{1, 8, 1, 1, true, false},
		{150, 16, 2, 1, true, false},
		{150, 16, 1, 3, false, false},
		{131, 24, 2, 2, true, true},
		{200, 5, 1, 1, false, true},
		{64, 64, 1, 2, true, false},
		{300, 33, 1, 1, true, false},
	} {
		everyDType(t, func(t *testing.T, r *rig) {
			a := kernels.Attn{Heads: c.shared * c.group, KVHeads: c.shared, HeadDim: c.depth, Causal: c.causal, Scale: 0.3}
			n := c.shared * c.depth
			fused := r.float(2, c.time, n*(c.group+2))
			q, k, v := fused.Columns(0, n*c.group), fused.Columns(n*c.group, n*(c.group+1)), fused.Columns(n*(c.group+1), n*(c.group+2))
			o, lse := r.out(r.float(2, c.time, n*c.group)), r.out(r.vec(2, a.Heads, c.time))
			do, delta := r.float(2, c.time, n*c.group), r.out(r.vec(2, a.Heads, c.time))
			dfused := r.out(r.float(2, c.time, n*(c.group+2)))
			dq, dk, dv := dfused.Columns(0, n*c.group), dfused.Columns(n*c.group, n*(c.group+1)), dfused.Columns(n*(c.group+1), n*(c.group+2))
			lo, hi := absent, absent
			if c.bounds {
				lo, hi = documents(r, 2, c.time, 0, 10, 11, 90, c.time-3)
			}
			r.run(func(b kernels.Backend) {
				b.Attention(o, lse, q, k, v, lo, hi, a)
				b.AttentionGrad(dq, dk, dv, delta, do, o, lse, q, k, v, lo, hi, a)
			})
			want := newAttention64(q, k, v, do, lo, hi, a)
			r.near(want.lse, lse, constant(64))
			r.near(want.o, o, constant(64))
			limit := 64 * math.Sqrt(float64(c.time*c.depth*c.group))
			if r.dtype == kernels.BF16 { // delta is taken from the rounded o
				limit *= 0x1p15 / math.Sqrt(float64(c.time))
			}
			r.near(want.dq, dq, constant(limit))
			r.near(want.dk, dk, constant(limit))
			r.near(want.dv, dv, constant(limit))
		})
	}
}

func TestPagedAttentionEqualsAttentionOfTheLastQuery(t *testing.T) {
	everyDType(t, func(t *testing.T, r *rig) {
		const time, depth, page = 45, 16, 8
		a := kernels.Attn{Heads: 6, KVHeads: 2, HeadDim: depth, Causal: true}
		k, v, q := r.float(1, time, 2*depth), r.float(1, time, 2*depth), r.float(1, time, 6*depth)
		kc, vc := r.out(r.float(10*page, 2*depth)), r.out(r.float(10*page, 2*depth))
		table := r.ints(7, 7, 7, 7, 7, 7, 9, 0, 4, 2, 8, 1).Reshape(2, 6)
		slots := make([]int32, time)
		for p := range slots {
			slots[p] = ints(table)[6+p/page]*page + int32(p%page)
		}
		slot, seq, pos := r.ints(slots...), r.ints(1, -1, 1), r.ints(44, 0, 20)
		queries, o := r.float(3, 6*depth), r.out(r.float(3, 6*depth))
		for i, at := range []int{44, 3, 20} {
			copy(ref(view(queries)).bytes(i), ref(view(q)).bytes(at))
		}
		r.run(func(b kernels.Backend) {
			b.KVAppend(kc, vc, k, v, slot)
			b.PagedAttention(o, queries, kc, vc, table, seq, pos, page, a)
		})
		want := newAttention64(q, k, v, q, absent, absent, a).o
		n := 6 * depth
		rows := append(append(append([]float64{}, want[44*n:45*n]...), make([]float64, n)...), want[20*n:21*n]...)
		r.near(rows, o, constant(64))
	})
}

func ref(m matrix) *matrix { return &m }

func TestBoundsOutsideTheSequenceAreClipped(t *testing.T) {
	r := newRig(t, 1, kernels.F32)
	a := kernels.Attn{Heads: 1, KVHeads: 1, HeadDim: 4}
	q, k, v, o, lse := r.float(1, 3, 4), r.float(1, 3, 4), r.float(1, 3, 4), r.out(r.float(1, 3, 4)), r.out(r.vec(1, 1, 3))
	lo, hi := r.ints(-5, 0, 9), r.ints(3, 3, 99)
	r.run(func(b kernels.Backend) { b.Attention(o, lse, q, k, v, lo, hi, a) })
	require.True(t, math.IsInf(values(lse)[2], -1))
	require.Equal(t, make([]float64, 4), values(o)[8:])
}
