package cpu

import (
	"forja/kernels"
	"forja/kernels/cpu/vec"
)

// rope is RoPE on groups of rows.
type rope struct {
	b           *Backend
	y, x, table matrix
	pos         []int32
	heads       int
	inverse     bool
	rowsPer     int
}

// Do turns a group of rows.
func (p *rope) Do(worker, k int) {
	rotate := vec.Rotate
	if p.inverse {
		rotate = vec.RotateBack
	}
	d := p.table.cols
	half := d / 2
	for i := k * p.rowsPer; i < min((k+1)*p.rowsPer, p.y.rows); i++ {
		s := p.b.scratch[worker].reset()
		x, y := p.x.load(i, 0, p.x.cols, s), p.y.dest(i, 0, p.y.cols, s)
		angles := p.table.f32(int(p.pos[i]), 0, d)
		cos, sin := angles[:half], angles[half:]
		for h := range p.heads {
			from, to := x[h*d:(h+1)*d], y[h*d:(h+1)*d]
			rotate(to[:half], to[half:], from[:half], from[half:], cos, sin)
		}
		copy(y[p.heads*d:], x[p.heads*d:])
		p.y.store(i, 0, y)
	}
}

// RoPE rotates the first heads of each row by the angles of its position.
func (b *Backend) RoPE(y, x, table, pos kernels.Tensor, heads int, inverse bool) {
	p := &b.rope
	p.y, p.x, p.table, p.pos = view(y), view(x), view(table), ints(pos)
	if p.y.absent() {
		return
	}
	p.heads, p.inverse = heads, inverse
	p.rowsPer = max(1, pieceSize/p.y.cols)
	b.run(ceilDiv(p.y.rows, p.rowsPer), 2*p.y.rows*p.y.cols, p)
}
