package cpu

import (
	"math"

	"forja/kernels"
	"forja/kernels/cpu/gemm"
	"forja/kernels/cpu/vec"
)

// Attention walks over blocks of queries and keys, after FlashAttention-2 (Dao 2023): scores of a block exist only as a
// tile in scratch, and a running maximum and sum rescale what was added before. A query block is whole panels of the
// matrix product; the tiles of a key block leave room for its keys and values in a second-level cache.
const (
	queryBlock = 96
	keyBlock   = 256
)

// heads is what both directions of attention know of their operands.
type heads struct {
	q, k, v   matrix
	lo, hi    []int32
	lse       []float32
	sequences int
	time      int // queries and keys of a sequence
	count     int // query heads
	group     int // query heads that share a key-value head
	depth     int // D
	scale     float32
	causal    bool
	parts     int // query blocks of a sequence
}

func (p *heads) set(lse, q, k, v, lo, hi kernels.Tensor, a kernels.Attn) {
	p.q, p.k, p.v, p.lse, p.lo, p.hi = view(q), view(k), view(v), floats(lse), ints(lo), ints(hi)
	p.sequences, p.time = q.Shape[0], q.Shape[1]
	p.count, p.group, p.depth, p.causal = a.Heads, a.Heads/a.KVHeads, a.HeadDim, a.Causal
	p.scale = scoreScale(a)
	p.parts = ceilDiv(p.time, queryBlock)
}

func scoreScale(a kernels.Attn) float32 {
	if a.Scale != 0 {
		return a.Scale
	}
	return float32(1 / math.Sqrt(float64(a.HeadDim)))
}

// visible is the range of keys that query t of a sequence sees; empty is [x, x).
func (p *heads) visible(sequence, t int) (lo, hi int) {
	hi = p.time
	if p.causal {
		hi = t + 1
	}
	i := sequence*p.time + t
	if p.hi != nil {
		hi = min(hi, int(p.hi[i]))
	}
	if p.lo != nil {
		lo = min(max(int(p.lo[i]), 0), p.time)
	}
	return lo, max(lo, hi)
}

// keysOf is the range of keys that queries [t0, t1) see together. Bounds do not decrease.
func (p *heads) keysOf(sequence, t0, t1 int) (lo, hi int) {
	lo, _ = p.visible(sequence, t0)
	_, hi = p.visible(sequence, t1-1)
	return lo, hi
}

// rows is rows [t0, t1) of a sequence, in the columns of a head.
func (p *heads) rows(m *matrix, sequence, head, t0, t1 int) matrix {
	first := sequence * p.time
	return m.block(first+t0, first+t1, head*p.depth, (head+1)*p.depth)
}

// multiply is a product of small matrices on one worker: c = scale·a·b over k, plus c if accumulate.
func (b *Backend) multiply(worker int, l gemm.Layout, k int, scale float32, x, y, c matrix, accumulate bool) {
	b.small[worker].Mul(l, c.rows, c.cols, k, scale, x.operand(), y.operand(), c.operand(), accumulate, nil)
}

// attend is Attention on one block of queries of one head.
type attend struct {
	b *Backend
	heads
	o matrix
}

// Do computes the block of queries of one head that k names.
func (p *attend) Do(worker, k int) {
	s := p.b.scratch[worker].reset()
	t0 := k % p.parts * queryBlock
	t1 := min(t0+queryBlock, p.time)
	head, sequence := k/p.parts%p.count, k/p.parts/p.count
	n, d := t1-t0, p.depth
	q := p.rows(&p.q, sequence, head, t0, t1)
	o := dense32(s.zeros(n*d), n, d)
	top, sum := s.floats(n), s.zeros(n)
	vec.Fill(top, float32(math.Inf(-1)))

	begin, end := p.keysOf(sequence, t0, t1)
	mark := s.used
	for k0 := begin; k0 < end; k0 += keyBlock {
		s.used = mark
		k1 := min(k0+keyBlock, end)
		scores := dense32(s.floats(n*(k1-k0)), n, k1-k0)
		p.b.multiply(worker, gemm.NT, d, p.scale, q, p.rows(&p.k, sequence, head/p.group, k0, k1), scores, false)
		for r := range n {
			lo, hi := p.visible(sequence, t0+r)
			probabilities(scores.row(r), lo-k0, hi-k0, &top[r], &sum[r], o.row(r))
		}
		p.b.multiply(worker, gemm.NN, k1-k0, 1, scores, p.rows(&p.v, sequence, head/p.group, k0, k1), o, true)
	}
	out, lse := p.rows(&p.o, sequence, head, t0, t1), p.lse[(sequence*p.count+head)*p.time+t0:]
	for r := range n {
		if sum[r] > 0 {
			vec.Scale(o.row(r), 1/sum[r], o.row(r))
		}
		out.store(r, 0, o.row(r))
		lse[r] = top[r] + float32(math.Log(float64(sum[r])))
	}
}

// clip is the part of [lo, hi) that lies in a block of n keys.
func clip(lo, hi, n int) (int, int) {
	lo, hi = max(lo, 0), min(hi, n)
	return min(lo, max(hi, 0)), max(hi, 0)
}

// probabilities turns one query's scores of a block, of which [lo, hi) are visible, to unnormalised probabilities. top
// and sum are the query's running maximum and sum, o its output so far; all are rescaled if the maximum rises.
func probabilities(scores []float32, lo, hi int, top, sum *float32, o []float32) {
	lo, hi = clip(lo, hi, len(scores))
	clear(scores[:lo])
	clear(scores[hi:])
	scores = scores[lo:hi]
	if len(scores) == 0 {
		return
	}
	if m := vec.Max(scores); m > *top {
		if *sum > 0 {
			shrink := float32(math.Exp(float64(*top - m)))
			*sum *= shrink
			vec.Scale(o, shrink, o)
		}
		*top = m
	}
	*sum += vec.ExpSum(scores, scores, *top)
}

// Attention is o = softmax(s·q·kᵀ)·v for each head.
func (b *Backend) Attention(o, lse, q, k, v, lo, hi kernels.Tensor, a kernels.Attn) {
	p := &b.attend
	p.set(lse, q, k, v, lo, hi, a)
	p.o = view(o)
	if p.o.absent() {
		return
	}
	b.run(p.sequences*p.count*p.parts, 2*p.q.rows*p.q.cols*p.time, p)
}
