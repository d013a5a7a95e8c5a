package cpu

import (
	"forja/kernels"
	"forja/kernels/cpu/gemm"
	"forja/kernels/cpu/vec"
)

// product is a matrix product and its epilogue, which package gemm calls for every tile while it is in cache.
type product struct {
	b        *Backend
	bias     matrix // one row
	act      kernels.Activation
	backward bool // multiply by act'(pre) instead of applying act and storing pre
	pre      matrix
	residual matrix
	dst      matrix // only where gemm computes elsewhere
}

// tileColumns is the number of elements that the epilogue widens at a time.
const tileColumns = 512

// Tile finishes rows of n elements, ld apart, the first of which is element (i0, j0) of the product.
func (p *product) Tile(tile []float32, ld, i0, j0, rows, n int) {
	var wide [tileColumns]float32
	for lo := 0; lo < n; lo += tileColumns {
		hi := min(lo+tileColumns, n)
		for r := range rows {
			p.finish(tile[r*ld+lo:r*ld+hi], i0+r, j0+lo, j0+hi, wide[:])
		}
	}
}

// finish computes columns [lo, hi) of row i from their products t, in place.
func (p *product) finish(t []float32, i, lo, hi int, wide []float32) {
	if !p.bias.absent() {
		vec.Add(t, t, p.bias.loadWide(0, lo, hi, wide))
	}
	if p.backward {
		activateGrad(p.act, t, t, p.pre.loadWide(i, lo, hi, wide))
	} else {
		if !p.pre.absent() {
			p.pre.store(i, lo, t)
		}
		if p.act != kernels.NoActivation {
			activate(p.act, t, t)
		}
	}
	if !p.residual.absent() {
		vec.Add(t, t, p.residual.loadWide(i, lo, hi, wide))
	}
	if !p.dst.absent() {
		p.dst.store(i, lo, t)
	}
}

// mul computes dst, (m,n) = x·y over k, with the epilogue of a call.
func (p *product) mul(l gemm.Layout, k int, dst, x, y matrix, e kernels.Epilogue, backward bool) {
	if dst.absent() {
		return
	}
	p.bias, p.act, p.pre, p.residual, p.dst = vector(e.Bias), e.Act, view(e.Pre), view(e.Residual), matrix{}
	p.backward = backward && e.Act != kernels.NoActivation
	accumulate := false
	if p.residual.same(&dst) && p.act == kernels.NoActivation && p.pre.absent() {
		accumulate, p.residual = true, matrix{}
	}
	out := dst
	if dst.dtype == kernels.F32 && (p.residual.same(&dst) || p.pre.same(&dst)) {
		// gemm sums in dst itself, whose old content the epilogue needs.
		p.dst = dst
		out = dense32(p.b.shared.reset().floats(dst.rows*dst.cols), dst.rows, dst.cols)
	}
	scale := e.Scale
	if scale == 0 {
		scale = 1
	}
	var epilogue gemm.Epilogue
	if !p.bias.absent() || p.act != kernels.NoActivation || !p.pre.absent() || !p.residual.absent() {
		epilogue = p
	}
	p.b.gemm.Mul(l, dst.rows, dst.cols, k, scale, x.operand(), y.operand(), out.operand(), accumulate, epilogue)
}

// inPlace moves a residual of dst's own type into dst, so that the sum has the same bits whether a planner let the two
// share memory or not: gemm adds the product, block by block of k, to what is there.
func (b *Backend) inPlace(dst kernels.Tensor, e kernels.Epilogue) kernels.Epilogue {
	r := e.Residual
	if !r.Nil() && !dst.Nil() && e.Act == kernels.NoActivation && e.Pre.Nil() && r.DType == dst.DType && !r.Same(dst) {
		b.Copy(dst, r)
		e.Residual = dst
	}
	return e
}

// Linear is y = f(s·x·wᵀ + bias) + residual.
func (b *Backend) Linear(y, x, w kernels.Tensor, e kernels.Epilogue) {
	e = b.inPlace(y, e)
	b.product.mul(gemm.NT, x.Cols(), view(y), view(x), view(w), e, false)
}

// LinearDX is dx = s·dy·w·f'(pre) + residual.
func (b *Backend) LinearDX(dx, dy, w kernels.Tensor, e kernels.Epilogue) {
	e = b.inPlace(dx, e)
	b.product.mul(gemm.NN, dy.Cols(), view(dx), view(dy), view(w), e, true)
}

// LinearDW is dw = s·dyᵀ·x.
func (b *Backend) LinearDW(dw, dy, x kernels.Tensor, scale float32, accumulate bool) {
	e := kernels.Epilogue{Scale: scale}
	if accumulate {
		e.Residual = dw
	}
	b.product.mul(gemm.TN, dy.Rows(), view(dw), view(dy), view(x), e, false)
}

// stripes sums the rows of a matrix into one, a stripe of columns at a time.
type stripes struct {
	b          *Backend
	dst        []float32
	x          matrix
	accumulate bool
}

// stripeWidth columns are summed by one worker; stripeRows rows into one partial sum.
const (
	stripeWidth = 128
	stripeRows  = 64
)

// Do sums stripe k.
func (p *stripes) Do(worker, k int) {
	lo := k * stripeWidth
	hi := min(lo+stripeWidth, len(p.dst))
	s := p.b.scratch[worker].reset()
	total, part := p.dst[lo:hi], s.floats(hi-lo)
	if !p.accumulate {
		clear(total)
	}
	mark := s.used
	for i0 := 0; i0 < p.x.rows; i0 += stripeRows {
		clear(part)
		for i := i0; i < min(i0+stripeRows, p.x.rows); i++ {
			s.used = mark
			vec.Add(part, part, p.x.load(i, lo, hi, s))
		}
		vec.Add(total, total, part)
	}
}

func (p *stripes) start(dst []float32, x matrix, accumulate bool) {
	p.dst, p.x, p.accumulate = dst, x, accumulate
	p.b.run(ceilDiv(len(dst), stripeWidth), x.rows*len(dst), p)
}

// BiasGrad is db = Σ over rows of dy.
func (b *Backend) BiasGrad(db, dy kernels.Tensor, accumulate bool) {
	b.stripes.start(floats(db), view(dy), accumulate)
}
