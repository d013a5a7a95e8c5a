package cpu

import (
	"forja/kernels"
	"forja/kernels/cpu/vec"
)

// kvAppend is KVAppend, row by row.
type kvAppend struct {
	b              *Backend
	kcache, vcache matrix
	k, v           matrix
	slot           []int32
}

// Do stores row i.
func (p *kvAppend) Do(worker, i int) {
	slot := int(p.slot[i])
	if slot < 0 {
		return
	}
	s := p.b.scratch[worker].reset()
	p.kcache.store(slot, 0, p.k.load(i, 0, p.k.cols, s))
	p.vcache.store(slot, 0, p.v.load(i, 0, p.v.cols, s))
}

// KVAppend stores rows of k and v in the cache.
func (b *Backend) KVAppend(kcache, vcache, k, v, slot kernels.Tensor) {
	p := &b.kvAppend
	p.kcache, p.vcache, p.k, p.v, p.slot = view(kcache), view(vcache), view(k), view(v), ints(slot)
	if p.k.absent() {
		return
	}
	b.run(p.k.rows, 2*p.k.rows*p.k.cols, p)
}

// paged is PagedAttention on one query and one key-value head, with the group of heads that shares it.
type paged struct {
	b              *Backend
	o, q           matrix
	kcache, vcache matrix
	table          matrix
	seq, pos       []int32
	page           int
	group, depth   int
	scale          float32
}

// Do computes one key-value head of one query.
func (p *paged) Do(worker, k int) {
	shared := p.kcache.cols / p.depth
	i, kvHead := k/shared, k%shared
	s := p.b.scratch[worker].reset()
	d := p.depth
	lo, hi := kvHead*d, (kvHead+1)*d
	if p.seq[i] < 0 {
		p.o.store(i, lo*p.group, s.zeros(d*p.group))
		return
	}
	q := s.floats(p.group * d)
	p.q.loadTo(q, i, lo*p.group, hi*p.group)
	vec.Scale(q, p.scale, q)
	n := int(p.pos[i]) + 1
	scores, o, wide := s.floats(p.group*n), s.zeros(p.group*d), s.floats(d)
	for t := range n {
		key := p.kcache.loadWide(p.row(i, t), lo, hi, wide)
		for h := range p.group {
			scores[h*n+t] = vec.Dot(q[h*d:(h+1)*d], key)
		}
	}
	for h := range p.group {
		softmaxRow(scores[h*n:(h+1)*n], scores[h*n:(h+1)*n])
	}
	for t := range n {
		value := p.vcache.loadWide(p.row(i, t), lo, hi, wide)
		for h := range p.group {
			vec.Axpy(o[h*d:(h+1)*d], scores[h*n+t], value)
		}
	}
	p.o.store(i, lo*p.group, o)
}

// row is the cache row of position t of query i's sequence.
func (p *paged) row(i, t int) int {
	pages := (*[1 << 30]int32)(p.table.at(int(p.seq[i]), 0))
	return int(pages[t/p.page])*p.page + t%p.page
}

// PagedAttention is attention of single queries against the cache.
func (b *Backend) PagedAttention(o, q, kcache, vcache, table, seq, pos kernels.Tensor, page int, a kernels.Attn) {
	p := &b.paged
	p.o, p.q, p.kcache, p.vcache, p.table = view(o), view(q), view(kcache), view(vcache), view(table)
	if p.o.absent() {
		return
	}
	p.seq, p.pos, p.page, p.group, p.depth = ints(seq), ints(pos), page, a.Heads/a.KVHeads, a.HeadDim
	p.scale = scoreScale(a)
	work := 0
	for _, t := range p.pos {
		work += int(t) * p.q.cols
	}
	b.run(p.q.rows*a.KVHeads, work, p)
}
