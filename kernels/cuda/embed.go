package cuda

import (
	"math/bits"

	"forja/kernels"
)

var (
	embedKernels    = [forms]kernelID{embedF32, embedBF16, embedMixed, embedSingle}
	embedSumKernels = [forms]kernelID{allF32: embedSumF32, allBF16: embedSumBF16, single: embedSumSingle}
)

// Embed is y[i] = table[idx[i]].
func (b *Backend) Embed(y, table, idx kernels.Tensor, accumulate bool) {
	var o operands
	o.rows, o.cols = y.Rows(), y.Cols()
	ts := []kernels.Tensor{y, table}
	b.locate(&o, ts...)
	o.form = b.form(ts, o.cols)
	o.width = o.form.width()
	rows := b.addr(table) // of the whole table, for every piece
	for index := b.addr(idx); o.next(); index += ptr(o.count) * 4 {
		b.embed(embedKernels[o.form], b.grid(&o), 0, o.at[0], rows, index, o.ld[0], o.ld[1], o.count, o.chunks, o.half, flag(accumulate))
	}
}

// EmbedGrad is dtable[r] = Σ of dy[i] over idx[i] = r, in order of i.
func (b *Backend) EmbedGrad(dtable, dy, idx kernels.Tensor, accumulate bool) {
	if !accumulate {
		b.Fill(dtable, 0)
	}
	if dtable.Size() == 0 || dy.Size() == 0 {
		return
	}
	at, room := b.work()
	most := room / (16*sortTile + 4*sortRadix) * sortTile // positions that can be sorted at once
	for first := 0; first < dy.Rows(); first += most {
		b.embedGrad(dtable, dy, idx, first, min(dy.Rows()-first, most), at, accumulate || first > 0)
	}
}

const sortTile, sortRadix = 2048, 256 // of src/embed.cu

// embedGrad adds n rows of dy from first: it sorts their indices with their positions, and adds up the rows of each run of
// equal ones. work has room for two of both and for the sort's counts.
func (b *Backend) embedGrad(dtable, dy, idx kernels.Tensor, first, n int, work ptr, accumulate bool) {
	tiles, limit := ceilDiv(n, sortTile), dtable.Rows()
	array := func(i int) ptr { return work + ptr(i*tiles*sortTile*4) }
	counts, grid := array(4), dim3{uint32(tiles), 1, 1}
	keys, positions := b.addr(idx)+ptr(first)*4, ptr(0)
	for pass := range ceilDiv(bits.Len(uint(limit)), 8) {
		shift := int32(8 * pass)
		out, positionsOut := array(pass%2*2), array(pass%2*2+1)
		b.sortCount(sortCountI32, grid, 0, counts, keys, int32(n), shift, int32(limit))
		b.sortScan(sortScanU32, dim3{1, 1, 1}, 0, counts, int32(sortRadix*tiles))
		b.sortScatter(sortScatterI32, grid, 0, out, positionsOut, counts, keys, positions, int32(n), shift, int32(limit))
		keys, positions = out, positionsOut
	}
	cols := dtable.Cols()
	form, half := b.form([]kernels.Tensor{dy}, cols), uint32(0)
	if dy.DType == kernels.BF16 {
		half = 1
	}
	if form == mixed || !b.fits(4, []kernels.Tensor{dtable}, nil) {
		form = single
	}
	slices := ceilDiv(cols/form.width(), 32)
	const warps = 8 // of a block
	b.embedSum(embedSumKernels[form], b.blocks(ceilDiv(n*slices, warps), 8), 0, b.addr(dtable), b.addr(dy)+ptr(first*dy.Stride*dy.DType.Size()),
		keys, positions, int64(dtable.Stride), int64(dy.Stride), int32(n), int32(slices), int32(cols), int32(limit), half, flag(accumulate))
}
