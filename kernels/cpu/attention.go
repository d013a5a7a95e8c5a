package cpu

import (
	"math"

	"forja/kernels"
	"forja/kernels/cpu/vec"
)

// Attention walks over blocks of queries and keys, after FlashAttention-2 (Dao 2023): scores of a block exist only as a
// tile in scratch, and a running maximum and sum rescale what was added before.
const (
	queryBlock = 64
	keyBlock   = 128
)

// heads is what both directions of attention know of their operands.
type heads struct {
	q, k, v    matrix
	lo, hi     []int32
	lse        []float32
	time       int // queries and keys of a sequence
	heads      int
	group      int // heads that share a key-value head
	depth      int // D
	scale      float32
	causal     bool
	sequences  int
	queryParts int
}

func (p *heads) set(lse, q, k, v, lo, hi kernels.Tensor, a kernels.Attn) {
	p.q, p.k, p.v, p.lse, p.lo, p.hi = view(q), view(k), view(v), floats(lse), ints(lo), ints(hi)
	p.sequences, p.time = q.Shape[0], q.Shape[1]
	p.heads, p.group, p.depth, p.causal = a.Heads, a.Heads/a.KVHeads, a.HeadDim, a.Causal
	p.scale = a.Scale
	if p.scale == 0 {
		p.scale = float32(1 / math.Sqrt(float64(a.HeadDim)))
	}
	p.queryParts = ceilDiv(p.time, queryBlock)
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

// loadBlock copies rows [i0, i1) of the columns of a head to dense F32.
func loadBlock(m *matrix, i0, i1, head, depth int, s *scratch) []float32 {
	x := s.floats((i1 - i0) * depth)
	for i := i0; i < i1; i++ {
		m.loadTo(x[(i-i0)*depth:(i-i0+1)*depth], i, head*depth, (head+1)*depth)
	}
	return x
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
	part := k % p.queryParts
	head, sequence := k/p.queryParts%p.heads.heads, k/p.queryParts/p.heads.heads
	t0 := part * queryBlock
	t1 := min(t0+queryBlock, p.time)
	n, d, first := t1-t0, p.depth, sequence*p.time
	q := loadBlock(&p.q, first+t0, first+t1, head, d, s)
	vec.Scale(q, p.scale, q)
	o, scores := s.zeros(n*d), s.floats(n*keyBlock)
	top, sum := s.floats(n), s.zeros(n)
	vec.Fill(top, float32(math.Inf(-1)))

	begin, _ := p.visible(sequence, t0)
	_, end := p.visible(sequence, t1-1)
	mark := s.used
	for k0 := begin; k0 < end; k0 += keyBlock {
		s.used = mark
		k1 := min(k0+keyBlock, end)
		keys := loadBlock(&p.k, first+k0, first+k1, head/p.group, d, s)
		values := loadBlock(&p.v, first+k0, first+k1, head/p.group, d, s)
		width := k1 - k0
		mulNT(scores, q, keys, n, width, d)
		for r := range n {
			lo, hi := p.visible(sequence, t0+r)
			lo, hi = max(lo-k0, 0), min(hi-k0, width)
			p.probabilities(scores[r*width:(r+1)*width], lo, hi, &top[r], &sum[r], o[r*d:(r+1)*d])
		}
		mulNN(o, scores, values, n, d, width)
	}
	for r := range n {
		row := o[r*d : (r+1)*d]
		if sum[r] > 0 {
			vec.Scale(row, 1/sum[r], row)
		}
		p.o.store(first+t0+r, head*d, row)
		p.lse[(sequence*p.heads.heads+head)*p.time+t0+r] = top[r] + float32(math.Log(float64(sum[r])))
	}
}

// probabilities turns one query's scores of a block, of which [lo, hi) are visible, to unnormalised probabilities. top
// and sum are the query's running maximum and sum, o its output so far; all are rescaled if the maximum rises.
func (p *attend) probabilities(scores []float32, lo, hi int, top, sum *float32, o []float32) {
	if lo >= hi {
		clear(scores)
		return
	}
	clear(scores[:lo])
	clear(scores[hi:])
	scores = scores[lo:hi]
	if m := vec.Max(scores); m > *top {
		shrink := float32(math.Exp(float64(*top - m)))
		*sum *= shrink
		vec.Scale(o, shrink, o)
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
	b.run(p.sequences*p.heads.heads*p.queryParts, 2*p.q.rows*p.q.cols*p.time, p)
}

// Products of dense tiles on one thread: c is (m,n), k the inner extent.

// mulNT is c = a(m,k)·b(n,k)ᵀ.
func mulNT(c, a, b []float32, m, n, k int) {
	for i := range m {
		for j := range n {
			c[i*n+j] = vec.Dot(a[i*k:(i+1)*k], b[j*k:(j+1)*k])
		}
	}
}

// mulNN is c += a(m,k)·b(k,n).
func mulNN(c, a, b []float32, m, n, k int) {
	for i := range m {
		for l := range k {
			vec.Axpy(c[i*n:(i+1)*n], a[i*k+l], b[l*n:(l+1)*n])
		}
	}
}

// mulTN is c += a(k,m)ᵀ·b(k,n).
func mulTN(c, a, b []float32, m, n, k int) {
	for l := range k {
		for i := range m {
			vec.Axpy(c[i*n:(i+1)*n], a[l*m+i], b[l*n:(l+1)*n])
		}
	}
}
