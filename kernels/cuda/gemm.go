package cuda

import (
	"forja/kernels"
)

// A layout says along which axis of each operand the summed index runs, in the terms of src/gemm.cu.
type layout int

const (
	nt layout = iota // a(m,k)·b(n,k)ᵀ
	nn               // a(m,k)·b(k,n)
	tn               // a(k,m)ᵀ·b(k,n)
)

func (l layout) String() string { return [...]string{"nt", "nn", "tn"}[l] }

// A product is out(m,n) = f(scale·a·b + bias) + residual, with the argument of f stored in pre; or, if gradient,
// scale·a·b·f'(pre) + residual. A scale of 0 means 1, absent tensors have no part in it. pre (if gradient) and residual may be
// exactly out.
type product struct {
	layout              layout
	a, b, out           kernels.Tensor
	m, n, k             int
	scale               float32
	act                 kernels.Activation
	gradient            bool
	bias, pre, residual kernels.Tensor
}

// Flags of a product, as in src/gemm_epilogue.h and src/gemm_f32.cu.
const (
	outBF16 = 1 << iota
	biasBF16
	preBF16
	residualBF16
	gradientFlag
	vectorEpilogue // out, bias, pre and residual can be accessed four elements at a time
	_
	_
	aBF16 // the rest is for products in f32
	bBF16
	aVector
	bVector
)

// multiply queues a product.
func (b *Backend) multiply(p *product) {
	if p.m > 0 && p.n > 0 && !b.gemv(p) {
		b.multiplyAs(p, b.plan(p))
	}
}

// multiplyAs queues a product as planned.
func (b *Backend) multiplyAs(p *product, how gemmPlan) {
	e := b.epilogue(p)
	if how.splits == 1 {
		how.tile.start(b, p, e, how.splits)
		return
	}
	slices, _ := b.work()
	how.tile.start(b, p, epilogue{out: slices, n: p.n, ldo: aligned(p.n, 4), scale: 1, flags: vectorEpilogue}, how.splits)
	groups := p.m * ceilDiv(p.n, 4)
	grid := dim3{uint32(min(ceilDiv(groups, 256), 8*b.sms)), 1, 1}
	b.gemmreduce(gemmreduceF32, grid, 0, e.out, slices, e.bias, e.pre, e.residual, int32(p.m), int32(p.n),
		int32(aligned(p.n, 4)), int32(e.ldo), int32(e.ldp), int32(e.ldr), int32(how.splits), int32(e.act), e.scale, e.flags)
}

// start launches the kernel of a tile, once or for each of several slices of k.
func (t *gemmTile) start(b *Backend, p *product, e epilogue, splits int) {
	if t.hopper {
		b.startHopper(t, p, e, splits)
		return
	}
	launch, flags := b.gemm, e.flags
	if t.single {
		launch = b.gemmf32
		flags |= when(p.a.DType == kernels.BF16, aBF16) | when(p.b.DType == kernels.BF16, bBF16) |
			when(b.vector(p.a), aVector) | when(b.vector(p.b), bVector)
	}
	grid := dim3{uint32(ceilDiv(p.m, t.m) * ceilDiv(p.n, t.n)), uint32(splits), 1}
	launch(t.kernels[p.layout], grid, t.shared, e.out, b.addr(p.a), b.addr(p.b), e.bias, e.pre, e.residual,
		int32(p.m), int32(p.n), int32(p.k), int32(leading(p.a)), int32(leading(p.b)), int32(e.ldo), int32(e.ldp), int32(e.ldr),
		int32(sliceOf(p.k, t.k, splits)), int32(e.act), e.scale, flags)
}

// leading is the elements from row to row of an operand. That of a single row can be anything: here the next, which is not
// read, would be as well aligned.
func leading(t kernels.Tensor) int {
	if t.Rows() == 1 {
		return aligned(t.Cols(), 8)
	}
	return t.Stride
}

// sliceOf is how much of k each of several slices sums: whole steps.
func sliceOf(k, step, splits int) int { return ceilDiv(ceilDiv(k, step), splits) * step }

// An epilogue is the Epilogue of src/gemm_epilogue.h.
type epilogue struct {
	out, bias, pre, residual ptr
	n, ldo, ldp, ldr         int
	act                      kernels.Activation
	scale                    float32
	flags                    uint32
}

func (b *Backend) epilogue(p *product) epilogue {
	e := epilogue{
		out: b.addr(p.out), bias: b.addr(p.bias), pre: b.addr(p.pre), residual: b.addr(p.residual),
		n: p.n, ldo: p.out.Stride, ldp: p.pre.Stride, ldr: p.residual.Stride, act: p.act, scale: p.scale,
	}
	if e.scale == 0 {
		e.scale = 1
	}
	half := func(t kernels.Tensor, flag uint32) uint32 { return when(!t.Nil() && t.DType == kernels.BF16, flag) }
	bias := p.bias
	bias.Stride, bias.Shape = 0, kernels.Shape{1, p.n} // a vector of any shape
	e.flags = half(p.out, outBF16) | half(p.bias, biasBF16) | half(p.pre, preBF16) | half(p.residual, residualBF16) |
		when(p.gradient, gradientFlag) |
		when(b.vector(p.out) && b.vector(bias) && b.vector(p.pre) && b.vector(p.residual), vectorEpilogue)
	return e
}

// vector reports whether any four elements of a row, from a multiple of four on, are one access. An absent tensor has none.
func (b *Backend) vector(t kernels.Tensor) bool { return t.Nil() || b.divides(4*t.DType.Size(), t) }

// divides reports whether all rows begin at a multiple of so many bytes.
func (b *Backend) divides(bytes int, t kernels.Tensor) bool {
	return int(b.addr(t))%bytes == 0 && (t.Rows() == 1 || t.Stride*t.DType.Size()%bytes == 0)
}

func when(condition bool, flag uint32) uint32 {
	if condition {
		return flag
	}
	return 0
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
