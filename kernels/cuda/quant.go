package cuda

import (
	"fmt"

	"forja/kernels"
)

// quantKernels are those of a format and the type that is multiplied: unpacking, and products with one and with up to fewRows rows.
type quantKernels struct{ unpack, one, few kernelID }

const fewRows = 8

var quantised = map[kernels.Quant]map[kernels.DType]quantKernels{
	kernels.NF4: {
		kernels.F32:  {quantUnpackNF4F32, quantFewNF4F321, quantFewNF4F328},
		kernels.BF16: {quantUnpackNF4BF16, quantFewNF4BF161, quantFewNF4BF168},
	},
	kernels.Q8: {
		kernels.F32:  {quantUnpackQ8F32, quantFewQ8F321, quantFewQ8F328},
		kernels.BF16: {quantUnpackQ8BF16, quantFewQ8BF161, quantFewQ8BF168},
	},
}

// LinearQuant is Linear with quantised weights. With few rows they are multiplied as they are; else some rows of them after
// others are unpacked into half of the working memory, which leaves the other half to the product.
func (b *Backend) LinearQuant(y, x, w, scales kernels.Tensor, q kernels.Quant, e kernels.Epilogue) {
	m, n, k := y.Rows(), y.Cols(), x.Cols()
	if m == 0 || n == 0 {
		return
	}
	if m <= fewRows {
		b.fewQuant(y, x, w, scales, q, e)
		return
	}
	_, room := b.work()
	step := max(room/2/max(k*x.DType.Size(), 1)/16*16, 16)
	for lo := 0; lo < n; lo += step {
		hi := min(lo+step, n)
		part := b.unpacked(w, scales, q, x.DType, lo, hi-lo, 0, k)
		b.Linear(y.Columns(lo, hi), x, part, e.Columns(lo, hi))
		b.held = 0
	}
}

// LinearQuantDX is LinearDX with quantised weights, some columns of them after others.
func (b *Backend) LinearQuantDX(dx, dy, w, scales kernels.Tensor, q kernels.Quant, e kernels.Epilogue) {
	n, k := dy.Cols(), dx.Cols()
	if dx.Rows() == 0 {
		return
	}
	_, room := b.work()
	step := max(room/2/max(n*dy.DType.Size(), 1)/q.Block(), 1) * q.Block()
	for lo := 0; lo < k; lo += step {
		hi := min(lo+step, k)
		part := b.unpacked(w, scales, q, dy.DType, 0, n, lo, hi-lo)
		b.LinearDX(dx.Columns(lo, hi), dy, part, e.Columns(lo, hi))
		b.held = 0
	}
}

// unpacked is rows and columns of quantised weights, as floats at the beginning of the working memory. The operations that
// follow have the rest, until held is 0 again.
func (b *Backend) unpacked(w, scales kernels.Tensor, q kernels.Quant, d kernels.DType, row, rows, col, cols int) kernels.Tensor {
	at, room := b.work()
	bytes := aligned(rows*cols*d.Size(), 256)
	if bytes > room {
		b.fail(fmt.Errorf("unpack %d×%d quantised weights: %d bytes do not fit the %d of working memory", rows, cols, bytes, room))
		return kernels.Tensor{}
	}
	b.weights = buffer{b: b, at: b.scratch, size: bytes}
	part := kernels.New(&b.weights, d, rows, cols)
	if rows*cols > 0 {
		const units = 8 * 256 // weights of a block's step
		w, scales := w.RowRange(row, row+rows), scales.RowRange(row, row+rows)
		blocks := min(ceilDiv(rows*cols, units), 16*b.sms)
		b.quantUnpack(quantised[q][d].unpack, dim3{uint32(blocks), 1, 1}, 0, at, b.addr(w), b.addr(scales), int32(rows), int32(cols), int32(col),
			int64(w.Stride), int64(scales.Stride), words(b, w))
	}
	b.held = bytes
	return part
}

// fewQuant queues a product with few rows.
func (b *Backend) fewQuant(y, x, w, scales kernels.Tensor, q kernels.Quant, e kernels.Epilogue) {
	p := &product{layout: nt, a: x, out: y, m: y.Rows(), n: y.Cols(), k: x.Cols(), scale: e.Scale, bias: e.Bias, act: e.Act, pre: e.Pre,
		residual: e.Residual}
	f, id := b.epilogue(p), quantised[q][x.DType]
	kernel := id.few
	if p.m == 1 {
		kernel = id.one
	}
	const columns = 16 // of a block
	b.quantFew(kernel, dim3{uint32(ceilDiv(p.n, columns)), 1, 1}, 0, f.out, b.addr(x), b.addr(w), b.addr(scales), f.bias, f.pre, f.residual,
		int32(p.m), int32(p.n), int32(p.k), int64(x.Stride), int64(w.Stride), int64(scales.Stride), int32(f.ldo), int32(f.ldp), int32(f.ldr),
		int32(f.act), f.scale, f.flags, words(b, w), int32(b.wide(x)))
}

// words is 1 if rows of packed weights begin where eight bytes are two words.
func words(b *Backend, w kernels.Tensor) int32 {
	if b.divides(8, w) {
		return 1
	}
	return 0
}
