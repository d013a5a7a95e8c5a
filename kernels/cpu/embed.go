package cpu

import (
	"forja/kernels"
	"forja/kernels/cpu/vec"
)

// embed is Embed on groups of rows.
type embed struct {
	b          *Backend
	y, table   matrix
	idx        []int32
	accumulate bool
	rowsPer    int
}

// Do looks a group of rows up.
func (p *embed) Do(worker, k int) {
	n := p.y.cols
	for i := k * p.rowsPer; i < min((k+1)*p.rowsPer, p.y.rows); i++ {
		s := p.b.scratch[worker].reset()
		r := int(p.idx[i])
		switch {
		case p.accumulate && r >= 0:
			y := p.y.load(i, 0, n, s)
			vec.Add(y, y, p.table.load(r, 0, n, s))
			p.y.store(i, 0, y)
		case p.accumulate:
		case r >= 0:
			p.y.store(i, 0, p.table.load(r, 0, n, s))
		default:
			clear(p.y.bytes(i))
		}
	}
}

// Embed is y[i] = table[idx[i]].
func (b *Backend) Embed(y, table, idx kernels.Tensor, accumulate bool) {
	p := &b.embed
	p.y, p.table, p.idx, p.accumulate = view(y), view(table), ints(idx), accumulate
	if p.y.absent() {
		return
	}
	p.rowsPer = max(1, pieceSize/p.y.cols)
	b.run(ceilDiv(p.y.rows, p.rowsPer), p.y.rows*p.y.cols, p)
}

// embedGrad is EmbedGrad on stripes of columns, so that each sum runs in order of i.
type embedGrad struct {
	b          *Backend
	dtable, dy matrix
	idx        []int32
}

// Do adds up stripe k of all rows.
func (p *embedGrad) Do(worker, k int) {
	lo := k * stripeWidth
	hi := min(lo+stripeWidth, p.dtable.cols)
	for i, r := range p.idx {
		if r >= 0 {
			s := p.b.scratch[worker].reset()
			d := p.dtable.f32(int(r), lo, hi)
			vec.Add(d, d, p.dy.load(i, lo, hi, s))
		}
	}
}

// EmbedGrad is dtable[r] = Σ of dy[i] over idx[i] = r.
func (b *Backend) EmbedGrad(dtable, dy, idx kernels.Tensor, accumulate bool) {
	if !accumulate {
		b.Fill(dtable, 0)
	}
	p := &b.embedGrad
	p.dtable, p.dy, p.idx = view(dtable), view(dy), ints(idx)
	if p.dtable.absent() || p.dy.absent() {
		return
	}
	b.run(ceilDiv(p.dtable.cols, stripeWidth), p.dy.rows*p.dy.cols, p)
}
