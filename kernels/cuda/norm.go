package cuda

import "forja/kernels"

// A rowKernel is a kernel for rows up to a length.
type rowKernel struct {
	cols     int // at most
	id       kernelID
	rows     int // that a block works on at a time
	resident int // blocks of a multiprocessor
}

// choose is the first kernel for rows of so many columns. Those in registers are for operands of one type.
func choose(o *operands, held [2][]rowKernel, long [forms]kernelID) (k rowKernel, ok bool) {
	if o.form <= allBF16 {
		for _, k := range held[o.form] {
			if o.cols <= k.cols {
				return k, true
			}
		}
	}
	return rowKernel{0, long[o.form], 1, 8}, false
}

// normKernels are for LayerNorm and RMSNorm; the resident blocks are a few times what fits, since rows are independent.
var normKernels = map[bool][2][]rowKernel{
	false: {
		{{1024, normLayerF321024, 8, 16}, {4096, normLayerF324096, 1, 16}, {8192, normLayerF328192, 1, 8}},
		{{1024, normLayerBF161024, 8, 16}, {4096, normLayerBF164096, 1, 16}, {8192, normLayerBF168192, 1, 8}},
	},
	true: {
		{{1024, normRmsF321024, 8, 16}, {4096, normRmsF324096, 1, 16}, {8192, normRmsF328192, 1, 8}},
		{{1024, normRmsBF161024, 8, 16}, {4096, normRmsBF164096, 1, 16}, {8192, normRmsBF168192, 1, 8}},
	},
}

var normLong = map[bool][forms]kernelID{
	false: {normLayerF32Long, normLayerBF16Long, normLayerMixedLong, normLayerSingleLong},
	true:  {normRmsF32Long, normRmsBF16Long, normRmsMixedLong, normRmsSingleLong},
}

// LayerNorm is h = x + r; y = (h - mean)·rstd·w + b over each row.
func (b *Backend) LayerNorm(y, sum, stats, x, r, w, bias kernels.Tensor, eps float32) {
	b.normalise(y, sum, stats, x, r, w, bias, eps, false)
}

// RMSNorm is h = x + r; y = h·rstd·w.
func (b *Backend) RMSNorm(y, sum, rstd, x, r, w kernels.Tensor, eps float32) {
	b.normalise(y, sum, rstd, x, r, w, kernels.Tensor{}, eps, true)
}

func (b *Backend) normalise(y, sum, stats, x, r, w, bias kernels.Tensor, eps float32, rms bool) {
	if y.Size() == 0 {
		return
	}
	o := b.rowOperands(y.Rows(), y.Cols(), y, sum, x, r, w, bias)
	k, _ := choose(&o, normKernels[rms], normLong[rms])
	b.norm(k.id, b.blocks(ceilDiv(o.rows, k.rows), k.resident), 0, o.at[0], o.at[1], b.addr(stats), o.at[2], o.at[3], o.at[4], o.at[5],
		o.ld[0], o.ld[1], o.ld[2], o.ld[3], int32(o.rows), int32(o.cols), o.half, eps, 1/float32(o.cols))
}

// normGradKernels are for the gradients. The resident blocks are those that fit, since each keeps its sums to the end.
var normGradKernels = map[bool][2][]rowKernel{
	false: {
		{{256, normGradLayerF32256, 4, 5}, {1024, normGradLayerF321024, 1, 5}, {2048, normGradLayerF322048, 1, 4},
			{4096, normGradLayerF324096, 1, 2}, {8192, normGradLayerF328192, 1, 1}},
		{{256, normGradLayerBF16256, 4, 5}, {1024, normGradLayerBF161024, 1, 5}, {2048, normGradLayerBF162048, 1, 4},
			{4096, normGradLayerBF164096, 1, 2}, {8192, normGradLayerBF168192, 1, 1}},
	},
	true: {
		{{256, normGradRmsF32256, 4, 5}, {1024, normGradRmsF321024, 1, 5}, {2048, normGradRmsF322048, 1, 4},
			{4096, normGradRmsF324096, 1, 2}, {8192, normGradRmsF328192, 1, 1}},
		{{256, normGradRmsBF16256, 4, 5}, {1024, normGradRmsBF161024, 1, 5}, {2048, normGradRmsBF162048, 1, 4},
			{4096, normGradRmsBF164096, 1, 2}, {8192, normGradRmsBF168192, 1, 1}},
	},
}

var normGradLong = map[bool][forms]kernelID{
	false: {normGradLayerF32Long, normGradLayerBF16Long, normGradLayerMixedLong, normGradLayerSingleLong},
	true:  {normGradRmsF32Long, normGradRmsBF16Long, normGradRmsMixedLong, normGradRmsSingleLong},
}

// normGradShares compute partial sums of dw and db by columns, where normGradLong compute dx.
var normGradShares = map[bool][forms]kernelID{
	false: {normGradLayerF32Shares, normGradLayerBF16Shares, normGradLayerMixedShares, normGradLayerSingleShares},
	true:  {normGradRmsF32Shares, normGradRmsBF16Shares, normGradRmsMixedShares, normGradRmsSingleShares},
}

// LayerNormGrad is the gradient of LayerNorm at h, plus residual.
func (b *Backend) LayerNormGrad(dx, dw, db, dy, h, w, stats, residual kernels.Tensor, accumulate bool) {
	b.normaliseGrad(dx, dw, db, dy, h, w, stats, residual, accumulate, false)
}

// RMSNormGrad is the gradient of RMSNorm at h, plus residual.
func (b *Backend) RMSNormGrad(dx, dw, dy, h, w, rstd, residual kernels.Tensor, accumulate bool) {
	b.normaliseGrad(dx, dw, kernels.Tensor{}, dy, h, w, rstd, residual, accumulate, true)
}

func (b *Backend) normaliseGrad(dx, dw, db, dy, h, w, stats, residual kernels.Tensor, accumulate, rms bool) {
	rows, cols := dy.Rows(), dy.Cols()
	if cols == 0 {
		return
	}
	o := b.rowOperands(rows, cols, dx, dy, h, w, residual)
	partial, room := b.work()
	most := room / (8 * cols) // partial sums of dw and db
	weights := !dw.Nil() || !db.Nil()
	if !weights {
		partial, most = 0, rows
	}
	grad := func(id kernelID, grid dim3, dx, partial ptr) {
		b.normGrad(id, grid, 0, dx, partial, o.at[1], o.at[2], o.at[3], o.at[4], b.addr(stats), o.ld[0], o.ld[1], o.ld[2], o.ld[4],
			int32(rows), int32(cols), o.half, 1/float32(cols))
	}
	k, held := choose(&o, normGradKernels[rms], normGradLong[rms])
	parts := 0
	switch {
	case rows == 0:
	case held:
		blocks := b.blocks(min(ceilDiv(rows, k.rows), most), k.resident)
		parts = int(blocks.x)
		grad(k.id, blocks, o.at[0], partial)
	default:
		if weights { // before dx, which may be dy
			const threads = 128
			across := ceilDiv(cols/o.form.width(), threads)
			parts = min(rows, most, max(1, 8*b.sms/across))
			grad(normGradShares[rms][o.form], dim3{uint32(across), uint32(parts), 1}, 0, partial)
		}
		if !dx.Nil() {
			grad(k.id, b.blocks(rows, k.resident), o.at[0], 0)
		}
	}
	if weights {
		tiles := ceilDiv(cols, 32)
		b.normColumns(normColumnsF32, dim3{uint32(2 * tiles), 1, 1}, 0, b.addr(dw), b.addr(db), partial, int32(cols), int32(parts), flag(accumulate))
	}
}

// flag is a bool as kernels take it.
func flag(b bool) int32 {
	if b {
		return 1
	}
	return 0
}
