package cpu

import (
	"math"
	"unsafe"

	"forja/kernels"
	"forja/kernels/cpu/vec"
)

// pieceSize is the number of elements that a worker takes at a time: a few buffers of it fit the first-level cache.
const pieceSize = 2048

// cut divides a matrix into pieces of about pieceSize elements: whole rows together, or columns of one row.
type cut struct {
	rows, cols       int
	rowsPer, colsPer int
	across           int // pieces next to each other
}

func newCut(rows, cols int) cut {
	c := cut{rows: rows, cols: cols}
	if cols >= pieceSize {
		c.rowsPer, c.colsPer = 1, pieceSize
	} else {
		c.rowsPer, c.colsPer = pieceSize/max(cols, 1), max(cols, 1)
	}
	c.across = ceilDiv(cols, c.colsPer)
	return c
}

func (c *cut) pieces() int { return ceilDiv(c.rows, c.rowsPer) * c.across }

// piece is rows [i0, i1) and columns [lo, hi).
func (c *cut) piece(k int) (i0, i1, lo, hi int) {
	i0, lo = k/c.across*c.rowsPer, k%c.across*c.colsPer
	return i0, min(i0+c.rowsPer, c.rows), lo, min(lo+c.colsPer, c.cols)
}

// flatten makes one long row of each of several matrices of one shape if all are dense.
func flatten(ms ...*matrix) {
	for _, m := range ms {
		if !m.absent() && !m.dense() {
			return
		}
	}
	for _, m := range ms {
		if !m.absent() {
			m.cols *= m.rows
			m.rows, m.stride = 1, m.cols
		}
	}
}

// pointwise is y, z = f(a, b, c) on every element, with as many operands as f uses.
type pointwise struct {
	b     *Backend
	cut   cut
	f     func(p *pointwise, y, z, a, b, c []float32)
	y, z  matrix
	x     [3]matrix
	act   kernels.Activation
	value float32
}

// Do computes piece k.
func (p *pointwise) Do(worker, k int) {
	i0, i1, lo, hi := p.cut.piece(k)
	for i := i0; i < i1; i++ {
		s := p.b.scratch[worker].reset()
		var x [3][]float32
		for j := range x {
			if !p.x[j].absent() {
				x[j] = p.x[j].load(i, lo, hi, s)
			}
		}
		y := p.y.dest(i, lo, hi, s)
		if p.z.absent() {
			p.f(p, y, nil, x[0], x[1], x[2])
			p.y.store(i, lo, y)
			continue
		}
		z := p.z.dest(i, lo, hi, s)
		p.f(p, y, z, x[0], x[1], x[2])
		p.y.store(i, lo, y)
		p.z.store(i, lo, z)
	}
}

// start runs p.f, which costs about work operations an element.
func (p *pointwise) start(work int, y, z, a, b, c kernels.Tensor) {
	p.y, p.z, p.x[0], p.x[1], p.x[2] = view(y), view(z), view(a), view(b), view(c)
	if p.y.absent() {
		return
	}
	flatten(&p.y, &p.z, &p.x[0], &p.x[1], &p.x[2])
	p.cut = newCut(p.y.rows, p.y.cols)
	p.b.run(p.cut.pieces(), work*p.y.rows*p.y.cols, p)
}

var absent kernels.Tensor

// Fill sets every element of dst to v.
func (b *Backend) Fill(dst kernels.Tensor, v float32) {
	p := &b.pointwise
	p.value, p.f = v, func(p *pointwise, y, _, _, _, _ []float32) { vec.Fill(y, p.value) }
	if dst.DType == kernels.I32 {
		n := int32(v)
		dst.DType, p.value = kernels.F32, *(*float32)(unsafe.Pointer(&n))
	}
	p.start(1, dst, absent, absent, absent, absent)
}

// Add is z = x + y.
func (b *Backend) Add(z, x, y kernels.Tensor) {
	p := &b.pointwise
	p.f = func(_ *pointwise, z, _, x, y, _ []float32) { vec.Add(z, x, y) }
	p.start(1, z, absent, x, y, absent)
}

// Activate is y = f(x).
func (b *Backend) Activate(y, x kernels.Tensor, f kernels.Activation) {
	p := &b.pointwise
	p.act, p.f = f, func(p *pointwise, y, _, x, _, _ []float32) { activate(p.act, y, x) }
	p.start(4, y, absent, x, absent, absent)
}

// ActivateGrad is dx = dy·f'(x).
func (b *Backend) ActivateGrad(dx, dy, x kernels.Tensor, f kernels.Activation) {
	p := &b.pointwise
	p.act, p.f = f, func(p *pointwise, dx, _, dy, x, _ []float32) { activateGrad(p.act, dx, dy, x) }
	p.start(4, dx, absent, dy, x, absent)
}

// SwiGLU is y = SiLU(gate)·up.
func (b *Backend) SwiGLU(y, gate, up kernels.Tensor) {
	p := &b.pointwise
	p.f = func(_ *pointwise, y, _, gate, up, _ []float32) { vec.SwiGLU(y, gate, up) }
	p.start(4, y, absent, gate, up, absent)
}

// SwiGLUGrad is dgate = dy·up·SiLU'(gate), dup = dy·SiLU(gate).
func (b *Backend) SwiGLUGrad(dgate, dup, dy, gate, up kernels.Tensor) {
	p := &b.pointwise
	p.f = func(_ *pointwise, dgate, dup, dy, gate, up []float32) { vec.SwiGLUGrad(dgate, dup, dy, gate, up) }
	p.start(4, dgate, dup, dy, gate, up)
}

// activate is y = f(x) on a row. y may be x.
func activate(f kernels.Activation, y, x []float32) {
	switch f {
	case kernels.GELU:
		vec.GELU(y, x)
	case kernels.GELUErf:
		vec.GELUErf(y, x)
	case kernels.SiLU:
		vec.SiLU(y, x)
	case kernels.Tanh:
		vec.Tanh(y, x)
	default:
		copy(y, x)
	}
}

// activateGrad is dx = dy·f'(x) on a row. dx may be dy or x.
func activateGrad(f kernels.Activation, dx, dy, x []float32) {
	switch f {
	case kernels.GELU:
		vec.GELUGrad(dx, dy, x)
	case kernels.GELUErf:
		vec.GELUErfGrad(dx, dy, x)
	case kernels.SiLU:
		vec.SiLUGrad(dx, dy, x)
	case kernels.Tanh:
		for i, v := range x {
			e := math.Exp(-2 * math.Abs(float64(v)))
			dx[i] = float32(float64(dy[i]) * 4 * e / ((1 + e) * (1 + e)))
		}
	default:
		copy(dx, dy)
	}
}

// copying is dst = src between any two dtypes that a copy may join.
type copying struct {
	b        *Backend
	cut      cut
	dst, src matrix
}

// Do copies piece k.
func (p *copying) Do(worker, k int) {
	i0, i1, lo, hi := p.cut.piece(k)
	for i := i0; i < i1; i++ {
		s := p.b.scratch[worker].reset()
		from, to := p.src.dtype, p.dst.dtype
		switch {
		case from == to:
			copy(p.dst.bytes(i)[lo*to.Size():hi*to.Size()], p.src.bytes(i)[lo*to.Size():])
		case from == kernels.F16:
			y := p.dst.dest(i, lo, hi, s)
			vec.WidenF16(y, p.src.bf16(i, lo, hi))
			p.dst.store(i, lo, y)
		default:
			p.dst.store(i, lo, p.src.load(i, lo, hi, s))
		}
	}
}

// Copy converts src to dst.
func (b *Backend) Copy(dst, src kernels.Tensor) {
	p := &b.copying
	p.dst, p.src = view(dst), view(src)
	if p.dst.absent() {
		return
	}
	flatten(&p.dst, &p.src)
	p.cut = newCut(p.dst.rows, p.dst.cols)
	b.run(p.cut.pieces(), p.dst.rows*p.dst.cols, p)
}

// softmax is Softmax or, with dy, SoftmaxGrad, one row at a time.
type softmax struct {
	b        *Backend
	y, x, dy matrix
	rowsPer  int
}

// Do computes a group of rows.
func (p *softmax) Do(worker, k int) {
	for i := k * p.rowsPer; i < min((k+1)*p.rowsPer, p.y.rows); i++ {
		s := p.b.scratch[worker].reset()
		x, y := p.x.load(i, 0, p.x.cols, s), p.y.dest(i, 0, p.y.cols, s)
		if p.dy.absent() {
			softmaxRow(y, x)
		} else {
			vec.SoftmaxGradRow(y, p.dy.load(i, 0, p.dy.cols, s), x)
		}
		p.y.store(i, 0, y)
	}
}

// softmaxRow is y = exp(x - max x)/Σ. y may be x.
func softmaxRow(y, x []float32) {
	sum := vec.ExpSum(y, x, vec.Max(x))
	vec.Scale(y, 1/sum, y)
}

func (p *softmax) start() {
	if p.y.absent() {
		return
	}
	p.rowsPer = max(1, pieceSize/p.y.cols)
	p.b.run(ceilDiv(p.y.rows, p.rowsPer), 4*p.y.rows*p.y.cols, p)
}

// Softmax is y = exp(x - max x)/Σ over each row.
func (b *Backend) Softmax(y, x kernels.Tensor) {
	p := &b.softmax
	p.y, p.x, p.dy = view(y), view(x), matrix{}
	p.start()
}

// SoftmaxGrad is dx = y·(dy - Σ dy·y) over each row.
func (b *Backend) SoftmaxGrad(dx, dy, y kernels.Tensor) {
	p := &b.softmax
	p.y, p.x, p.dy = view(dx), view(y), view(dy)
	p.start()
}
