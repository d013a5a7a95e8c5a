package cpu

import (
	"forja/kernels"
	"forja/kernels/cpu/gemm"
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
	shared := p.count / p.group
	kvHead, sequence := k%shared, k/shared
	dk := dense32(s.zeros(p.time*p.depth), p.time, p.depth)
	dv := dense32(s.zeros(p.time*p.depth), p.time, p.depth)
	mark := s.used
	for head := kvHead * p.group; head < (kvHead+1)*p.group; head++ {
		for t0 := 0; t0 < p.time; t0 += queryBlock {
			s.used = mark
			p.block(worker, sequence, head, t0, min(t0+queryBlock, p.time), &dk, &dv)
		}
	}
	dkOut, dvOut := p.rows(&p.dk, sequence, kvHead, 0, p.time), p.rows(&p.dv, sequence, kvHead, 0, p.time)
	for t := range p.time {
		dkOut.store(t, 0, dk.row(t))
		dvOut.store(t, 0, dv.row(t))
	}
}

// block computes dq of queries [t0, t1) of a head and adds their share of dk and dv.
func (p *attendGrad) block(worker, sequence, head, t0, t1 int, dk, dv *matrix) {
	s, n, d := &p.b.scratch[worker], t1-t0, p.depth
	q, do := p.rows(&p.q, sequence, head, t0, t1), p.rows(&p.do, sequence, head, t0, t1)
	at := (sequence*p.count + head) * p.time
	delta, lse := p.delta[at+t0:at+t1], p.lse[at+t0:at+t1]
	p.deltas(delta, p.rows(&p.o, sequence, head, t0, t1), do, s)
	dq := dense32(s.zeros(n*d), n, d)

	begin, end := p.keysOf(sequence, t0, t1)
	mark := s.used
	for k0 := begin; k0 < end; k0 += keyBlock {
		s.used = mark
		k1 := min(k0+keyBlock, end)
		width := k1 - k0
		keys, values := p.rows(&p.k, sequence, head/p.group, k0, k1), p.rows(&p.v, sequence, head/p.group, k0, k1)
		probs, dprobs := dense32(s.floats(n*width), n, width), dense32(s.floats(n*width), n, width)
		p.b.multiply(worker, gemm.NT, d, p.scale, q, keys, probs, false)
		p.b.multiply(worker, gemm.NT, d, 1, do, values, dprobs, false)
		for r := range n {
			lo, hi := p.visible(sequence, t0+r)
			scoreGrad(probs.row(r), dprobs.row(r), lo-k0, hi-k0, lse[r], delta[r])
		}
		p.b.multiply(worker, gemm.TN, n, 1, probs, do, dv.block(k0, k1, 0, d), true)
		p.b.multiply(worker, gemm.TN, n, p.scale, dprobs, q, dk.block(k0, k1, 0, d), true)
		p.b.multiply(worker, gemm.NN, width, p.scale, dprobs, keys, dq, true)
	}
	out := p.rows(&p.dq, sequence, head, t0, t1)
	for r := range n {
		out.store(r, 0, dq.row(r))
	}
}

// deltas is Σ do·o of each row.
func (p *attendGrad) deltas(delta []float32, o, do matrix, s *scratch) {
	mark := s.used
	for r := range delta {
		s.used = mark
		delta[r] = vec.Dot(o.load(r, 0, o.cols, s), do.load(r, 0, do.cols, s))
	}
	s.used = mark
}

// scoreGrad turns one query's scores of a block, of which [lo, hi) are visible, to probabilities, and the gradient of
// the probabilities to that of the scores.
func scoreGrad(probs, dprobs []float32, lo, hi int, lse, delta float32) {
	lo, hi = clip(lo, hi, len(probs))
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
