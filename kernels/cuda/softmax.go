package cuda

import "forja/kernels"

// Kernels for rows by form and size: up to 1024 columns, up to 4096, more.
var (
	softmaxKernels = [forms][3]kernelID{
		{softmaxF32Warp, softmaxF32Block, softmaxF32Long}, {softmaxBF16Warp, softmaxBF16Block, softmaxBF16Long},
		{softmaxMixedLong, softmaxMixedLong, softmaxMixedLong}, {softmaxSingleLong, softmaxSingleLong, softmaxSingleLong},
	}
	softmaxGradKernels = [forms][3]kernelID{
		{softmaxGradF32Warp, softmaxGradF32Block, softmaxGradF32Long}, {softmaxGradBF16Warp, softmaxGradBF16Block, softmaxGradBF16Long},
		{softmaxGradMixedLong, softmaxGradMixedLong, softmaxGradMixedLong}, {softmaxGradSingleLong, softmaxGradSingleLong, softmaxGradSingleLong},
	}
)

// rowOperands describes tensors whose rows are rows: dense ones stay as they are. Vectors of a row's length may be among them.
func (b *Backend) rowOperands(rows, cols int, ts ...kernels.Tensor) (o operands) {
	o.rows, o.cols = rows, cols
	b.locate(&o, ts...)
	o.form = b.form(ts, cols)
	return o
}

// softmaxOf chooses a kernel and its grid.
func (b *Backend) softmaxOf(o *operands, ids *[forms][3]kernelID) (kernelID, dim3) {
	const warps = 8 // of a block, each with a row
	switch held := o.form <= allBF16; {
	case held && o.cols <= 1024:
		return ids[o.form][0], b.blocks(ceilDiv(o.rows, warps), 8)
	case held && o.cols <= 4096:
		return ids[o.form][1], b.blocks(o.rows, 8)
	}
	return ids[o.form][2], b.blocks(o.rows, 8)
}

// Softmax is y = exp(x - max x)/Σ over each row.
func (b *Backend) Softmax(y, x kernels.Tensor) {
	if y.Size() == 0 {
		return
	}
	o := b.rowOperands(y.Rows(), y.Cols(), y, x)
	id, grid := b.softmaxOf(&o, &softmaxKernels)
	b.softmax(id, grid, 0, o.at[0], o.at[1], o.ld[0], o.ld[1], int32(o.rows), int32(o.cols), o.half)
}

// SoftmaxGrad is dx = y·(dy - Σ dy·y) over each row.
func (b *Backend) SoftmaxGrad(dx, dy, y kernels.Tensor) {
	if dx.Size() == 0 {
		return
	}
	o := b.rowOperands(dx.Rows(), dx.Cols(), dx, dy, y)
	id, grid := b.softmaxOf(&o, &softmaxGradKernels)
	b.softmaxGrad(id, grid, 0, o.at[0], o.at[1], o.at[2], o.ld[0], o.ld[1], o.ld[2], int32(o.rows), int32(o.cols), o.half)
}
