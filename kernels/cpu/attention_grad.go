package cpu

import (
	"forja/kernels"
	"forja/kernels/cpu/vec"
)

// attendGrad is AttentionGrad on one key-value head of one sequence: with its group of query heads and all blocks in
// order, so that every sum has one order.
type attendGrad struct {
	b *Backend
	heads
	dq, dk, dv, do, o matrix
	delta             []float32
}

// Do computes the gradients of one key-value head.
func (p *attendGrad) Do(worker, k int) {
	s := p.b.scratch[worker].reset()
	shared := p.heads.heads / p.group
	kvHead, sequence := k%shared, k/shared
	first, d := sequence*p.time, p.depth
	keys := loadBlock(&p.k, first, first+p.time, kvHead, d, s)
	values := loadBlock(&p.v, first, first+p.time, kvHead, d, s)
	dk, dv := s.zeros(p.time*d), s.zeros(p.time*d)
	mark := s.used
	for head := kvHead * p.group; head < (kvHead+1)*p.group; head++ {
		for t0 := 0; t0 < p.time; t0 += queryBlock {
			s.used = mark
			p.block(sequence, head, t0, min(t0+queryBlock, p.time), keys, values, dk, dv, s)
		}
	}
	for t := range p.time {
		p.dk.store(first+t, kvHead*d, dk[t*d:(t+1)*d])
		p.dv.store(first+t, kvHead*d, dv[t*d:(t+1)*d])
	}
}

// block computes dq of queries [t0, t1) of a head and adds their share of dk and dv.
func (p *attendGrad) block(sequence, head, t0, t1 int, keys, values, dk, dv []float32, s *scratch) {
	n, d, first := t1-t0, p.depth, sequence*p.time
	row := (sequence*p.heads.heads + head) * p.time
	q := loadBlock(&p.q, first+t0, first+t1, head, d, s)
	vec.Scale(q, p.scale, q)
	do := loadBlock(&p.do, first+t0, first+t1, head, d, s)
	o := loadBlock(&p.o, first+t0, first+t1, head, d, s)
	delta, lse := p.delta[row+t0:row+t1], p.lse[row+t0:row+t1]
	for r := range n {
		delta[r] = vec.Dot(do[r*d:(r+1)*d], o[r*d:(r+1)*d])
	}
	dq, probs, dprobs := s.zeros(n*d), s.floats(n*keyBlock), s.floats(n*keyBlock)

	begin, _ := p.visible(sequence, t0)
	_, end := p.visible(sequence, t1-1)
	for k0 := begin; k0 < end; k0 += keyBlock {
		k1 := min(k0+keyBlock, end)
		width := k1 - k0
		mulNT(probs, q, keys[k0*d:k1*d], n, width, d)
		mulNT(dprobs, do, values[k0*d:k1*d], n, width, d)
		for r := range n {
			lo, hi := p.visible(sequence, t0+r)
			lo, hi = max(lo-k0, 0), min(hi-k0, width)
			scoreGrad(probs[r*width:(r+1)*width], dprobs[r*width:(r+1)*width], lo, hi, lse[r], delta[r])
		}
		mulTN(dv[k0*d:k1*d], probs, do, width, d, n)
		mulTN(dk[k0*d:k1*d], dprobs, q, width, d, n)
		mulNN(dq, dprobs, keys[k0*d:k1*d], n, d, width)
	}
	vec.Scale(dq, p.scale, dq)
	for r := range n {
		p.dq.store(first+t0+r, head*d, dq[r*d:(r+1)*d])
	}
}

// scoreGrad turns one query's scores of a block, of which [lo, hi) are visible, to probabilities, and the gradient of
// the probabilities to that of the scores.
func scoreGrad(probs, dprobs []float32, lo, hi int, lse, delta float32) {
	if lo >= hi {
		lo, hi = 0, 0
	}
	clear(probs[:lo])
	clear(probs[hi:])
	clear(dprobs[:lo])
	clear(dprobs[hi:])
	x, dx := probs[lo:hi], dprobs[lo:hi]
	vec.ExpSum(x, x, lse)
	for j := range dx {
		dx[j] = x[j] * (dx[j] - delta)
	}
}

// AttentionGrad is the gradient of Attention.
func (b *Backend) AttentionGrad(dq, dk, dv, delta, do, o, lse, q, k, v, lo, hi kernels.Tensor, a kernels.Attn) {
	p := &b.attendDX
	p.set(lse, q, k, v, lo, hi, a)
	p.dq, p.dk, p.dv, p.do, p.o, p.delta = view(dq), view(dk), view(dv), view(do), view(o), floats(delta)
	if p.dq.absent() {
		return
	}
	b.run(p.sequences*a.KVHeads, 5*p.q.rows*p.q.cols*p.time, p)
}
