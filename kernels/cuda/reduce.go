package cuda

import "forja/kernels"

// Rows that a block of sum_rows sums, and the most blocks that share a column: the order of a sum depends on the shape alone.
const (
	rowsOfSum = 128
	mostSums  = 1024
)

// BiasGrad is db(N) = Σ over rows of dy(M,N), added to db if accumulate.
func (b *Backend) BiasGrad(db, dy kernels.Tensor, accumulate bool) {
	rows, cols, out := dy.Rows(), dy.Cols(), b.addr(db)
	chunk := max(rowsOfSum, ceilDiv(rows, mostSums))
	chunks := ceilDiv(rows, chunk)
	if chunks <= 1 {
		b.sumRows(out, b.addr(dy), dy.DType, rows, cols, dy.Stride, chunk, accumulate)
		return
	}
	partial, bytes := b.work()
	width := bytes / (4 * chunks) &^ 255
	for lo := 0; lo < cols; lo += width {
		n := min(width, cols-lo)
		from := b.addr(dy) + ptr(lo*dy.DType.Size())
		b.sumRows(partial, from, dy.DType, rows, n, dy.Stride, chunk, false)
		b.sumRows(out+ptr(4*lo), partial, kernels.F32, chunks, n, n, chunks, accumulate)
	}
}

// sumRows queues the sums of chunks of rows of a matrix: row i of out(·,cols) is that of chunk i.
func (b *Backend) sumRows(out, in ptr, d kernels.DType, rows, cols, stride, chunk int, accumulate bool) {
	k, size := sumRowsF32, d.Size()
	if d == kernels.BF16 {
		k = sumRowsBF16
	}
	wide := when(in%16 == 0 && (stride*size%16 == 0 || rows <= 1), 1)
	grid := dim3{uint32(ceilDiv(cols, 512/size)), uint32(max(1, ceilDiv(rows, chunk))), 1}
	b.launcher.sumRows(k, grid, 0, out, in, int32(rows), int32(cols), int64(stride), int32(chunk), int32(wide),
		int32(when(accumulate, 1)))
}
