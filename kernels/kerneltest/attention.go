package kerneltest

import (
	"math"

	"forja/kernels"
)

// An attention is the arguments of Attention in float64. lo and hi may be nil.
type attention struct {
	kernels.Attn
	batch, time int
	q, k, v     mat
	lo, hi      []float64
	half        bool // matrices between products may be BF16
}

// An attended is what Attention computes and its gradient.
type attended struct{ o, lse, dq, dk, dv mat }

func (p attention) scale() num {
	if p.Scale != 0 {
		return exact(float64(p.Scale))
	}
	return exact(1).over(exact(float64(p.HeadDim)).root())
}

// visible is the range of keys that a query sees.
func (p attention) visible(b, t int) (lo, hi int) {
	hi = p.time
	if p.hi != nil {
		hi = int(p.hi[b*p.time+t])
	}
	if p.lo != nil {
		lo = int(p.lo[b*p.time+t])
	}
	if p.Causal {
		hi = min(hi, t+1)
	}
	return lo, hi
}

// head is one head's columns of a row.
func (p attention) head(m mat, row, head int) []num { return m.row(row)[head*p.HeadDim:][:p.HeadDim] }

// rescaling is the relative error of rescaling n terms by running maxima, in all.
func rescaling(n int, scores []num) float64 {
	least, most := math.Inf(1), math.Inf(-1)
	for _, s := range scores {
		least, most = math.Min(least, s.v), math.Max(most, s.v)
	}
	blocks := float64(n / 16)
	if blocks == 0 {
		return 0
	}
	return unit * (5*blocks + 2*(most-least)) // an exponential and a product each; their arguments sum to the range at most
}

// scores of one query, scaled.
func (p attention) scores(b, t, head, lo, hi int) []num {
	s := make([]num, hi-lo)
	query := p.head(p.q, b*p.time+t, head)
	for u := range s {
		s[u] = dot(query, p.head(p.k, b*p.time+lo+u, head/(p.Heads/p.KVHeads))).times(p.scale())
	}
	return s
}

// logSumExp is log Σ exp of the scores.
func logSumExp(x []num) num {
	top := math.Inf(-1)
	for _, v := range x {
		top = math.Max(top, v.v)
	}
	var s sum
	for _, v := range x {
		s.add(v.minus(exact(top)).exp())
	}
	return exact(top).plus(s.total().log())
}

// weighted is Σ p·v over rows of one head, from a row on.
func (p attention) weighted(probs []num, v mat, first, head int) []num {
	o := make([]num, p.HeadDim)
	for j := range o {
		var s sum
		for u, w := range probs {
			s.addProduct(w, p.head(v, first+u, head)[j])
		}
		o[j] = s.total()
	}
	return o
}

// query is the output of one head of one query, which sees at least one key, and its lse.
func (p attention) query(b, t, h int) (o []num, lse num) {
	lo, hi := p.visible(b, t)
	s := p.scores(b, t, h, lo, hi)
	more := rescaling(hi-lo, s)
	lse = logSumExp(s)
	lse.e += more
	probs := softmaxRow(s)
	for i := range probs {
		probs[i].e += more * probs[i].v
		probs[i] = probs[i].halved(p.half)
	}
	return p.weighted(probs, p.v, b*p.time+lo, h/(p.Heads/p.KVHeads)), lse
}

// forward is o and lse.
func (p attention) forward() (r attended) {
	r.o, r.lse = newMat(p.q.rows, p.q.cols), newMat(p.batch*p.Heads, p.time)
	for b := range p.batch {
		for h := range p.Heads {
			for t := range p.time {
				lse := r.lse.at(b*p.Heads+h, t)
				if lo, hi := p.visible(b, t); lo >= hi {
					*lse = exact(math.Inf(-1))
					continue
				}
				var o []num
				o, *lse = p.query(b, t, h)
				copy(p.head(r.o, b*p.time+t, h), o)
			}
		}
	}
	return r
}

// backward is the gradient, for the lse that Attention stored and an o that carries the rounding of what it stored.
func (p attention) backward(do, o, lse mat) (r attended) {
	r.dq = newMat(p.q.rows, p.q.cols)
	group, d := p.Heads/p.KVHeads, p.HeadDim
	dk, dv := make([]sum, p.k.rows*p.k.cols), make([]sum, p.k.rows*p.k.cols)
	for b := range p.batch {
		for h := range p.Heads {
			for t := range p.time {
				lo, hi := p.visible(b, t)
				if lo >= hi {
					continue
				}
				row := b*p.time + t
				grad := p.head(do, row, h)
				delta := dot(grad, p.head(o, row, h))
				ds := p.scores(b, t, h, lo, hi)
				for u, s := range ds {
					key := b*p.time + lo + u
					prob := s.minus(*lse.at(b*p.Heads+h, t)).exp()
					dp := dot(grad, p.head(p.v, key, h/group))
					ds[u] = prob.times(dp.minus(delta)).halved(p.half)
					at := key*p.k.cols + h/group*d
					for j := range d {
						dv[at+j].addProduct(prob.halved(p.half), grad[j])
						dk[at+j].addProduct(ds[u], p.head(p.q, row, h)[j])
					}
				}
				for j, s := range p.weighted(ds, p.k, b*p.time+lo, h/group) {
					p.head(r.dq, row, h)[j] = s.times(p.scale())
				}
			}
		}
	}
	r.dk, r.dv = newMat(p.k.rows, p.k.cols), newMat(p.k.rows, p.k.cols)
	for i := range dk {
		r.dk.v[i], r.dv.v[i] = dk[i].total().times(p.scale()), dv[i].total()
	}
	return r
}
