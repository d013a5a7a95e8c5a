package cuda

import "forja/kernels/cuda/driver"

// tiles90 run on Hopper, where operands and results suit tensor maps. Their rates are estimates from other implementations of the
// same design.
var tiles90 = []gemmTile{
	{name: "128x256 pair", kernels: [3]kernelID{gemmsm90NT128x256Pair, gemmsm90NN128x256Pair, gemmsm90TN128x256Pair},
		m: 128, n: 256, k: 64, shared: hopperShared(128, 256, 4), blocks: 1, hopper: true, cluster: 2, rate: 0.80},
	{name: "128x256", kernels: [3]kernelID{gemmsm90NT128x256, gemmsm90NN128x256, gemmsm90TN128x256},
		m: 128, n: 256, k: 64, shared: hopperShared(128, 256, 4), blocks: 1, hopper: true, rate: 0.77},
	{name: "128x128 pair", kernels: [3]kernelID{gemmsm90NT128x128Pair, gemmsm90NN128x128Pair, gemmsm90TN128x128Pair},
		m: 128, n: 128, k: 64, shared: hopperShared(128, 128, 6), blocks: 1, hopper: true, cluster: 2, rate: 0.68},
	{name: "128x128 turns", kernels: [3]kernelID{gemmsm90NT128x128Turns, gemmsm90NN128x128Turns, gemmsm90TN128x128Turns},
		m: 128, n: 128, k: 64, shared: hopperShared(128, 128, 6), blocks: 1, hopper: true, turns: true, rate: 0.72},
	{name: "128x128 turns pair", kernels: [3]kernelID{gemmsm90NT128x128TurnsPair, gemmsm90NN128x128TurnsPair, gemmsm90TN128x128TurnsPair},
		m: 128, n: 128, k: 64, shared: hopperShared(128, 128, 6), blocks: 1, hopper: true, turns: true, cluster: 2, rate: 0.74},
}

// hopperShared is the shared memory of a kernel: stages, a staging area of 4 KB for each of eight warps, two barriers for each stage.
func hopperShared(m, n, stages int) int { return stages*(m+n)*128 + 8*4096 + stages*16 }

// suitsHopper reports whether the kernels for Hopper have the epilogue of a product, and its results suit tensor maps.
func (b *Backend) suitsHopper(p *product) bool {
	const unit = 16 // bytes of a tensor map's base and strides
	pairs := func(size int) int { return 2 * size }
	ok := b.divides(unit, p.out) && p.n%2 == 0 && (!p.gradient || p.residual.Nil())
	if !p.bias.Nil() {
		ok = ok && int(b.addr(p.bias))%pairs(p.bias.DType.Size()) == 0
	}
	if !p.residual.Nil() {
		ok = ok && b.divides(pairs(p.residual.DType.Size()), p.residual)
	}
	switch {
	case p.pre.Nil():
	case p.gradient:
		ok = ok && b.divides(pairs(p.pre.DType.Size()), p.pre)
	default:
		ok = ok && b.divides(unit, p.pre) && p.pre.DType == p.out.DType
	}
	return ok
}

// startHopper launches a persistent kernel: as many blocks as there are multiprocessors, or fewer if there are fewer tiles.
func (b *Backend) startHopper(t *gemmTile, p *product, e epilogue, splits int) {
	const box = 64 // rows of k in a box of an MN-major operand
	cluster := max(t.cluster, 1)
	boxA, boxB := t.m, t.n/cluster
	if p.layout == tn {
		boxA = box
	}
	if p.layout != nt {
		boxB = box
	}
	a := b.matrixMap(p.a.Rows(), p.a.Cols(), p.a.Stride, b.addr(p.a), boxA)
	w := b.matrixMap(p.b.Rows(), p.b.Cols(), p.b.Stride, b.addr(p.b), boxB)
	columns := p.n
	if splits > 1 {
		columns = e.ldo // partial sums, rows padded with zeros
	}
	out := b.resultMap(e.out, e.flags&outBF16 != 0, splits, p.m, columns, e.ldo)
	pre := out
	if e.pre != 0 && e.flags&gradientFlag == 0 {
		pre = b.resultMap(e.pre, e.flags&preBF16 != 0, 1, p.m, p.n, e.ldp)
	}
	tiles := ceilDiv(p.m, t.m*cluster) * ceilDiv(p.n, t.n) * splits
	grid := dim3{uint32(min(tiles, max(b.sms/cluster, 1)) * cluster), 1, 1}
	b.gemmsm90(t.kernels[p.layout], grid, t.shared, a, w, out, pre, e.bias, e.pre, e.residual, int32(p.m), int32(columns), int32(p.k),
		int32(e.ldp), int32(e.ldr), int32(sliceOf(p.k, t.k, splits)), int32(splits), int32(e.act), e.scale, e.flags)
}

// matrixMap is the tensor map of a bf16 operand: boxes of so many rows of 64 columns.
func (b *Backend) matrixMap(rows, cols, stride int, at ptr, box int) *driver.TensorMap {
	return b.tensorMapOf(driver.TensorShape{
		Base: driver.Ptr(at), Type: driver.TensorBF16, Rank: 2, Swizzle: driver.Swizzle128,
		Dim:    [driver.MaxRank]uint64{uint64(cols), uint64(rows)},
		Stride: [driver.MaxRank - 1]uint64{pitch(rows, stride, cols, 2)},
		Box:    [driver.MaxRank]uint32{64, uint32(box)},
	})
}

// resultMap is the tensor map of a result of several slices: boxes of 16 rows of 128 bytes.
func (b *Backend) resultMap(at ptr, half bool, slices, rows, cols, stride int) *driver.TensorMap {
	kind, size := driver.TensorF32, 4
	if half {
		kind, size = driver.TensorBF16, 2
	}
	row := pitch(rows, stride, cols, size)
	return b.tensorMapOf(driver.TensorShape{
		Base: driver.Ptr(at), Type: kind, Rank: 3, Swizzle: driver.Swizzle128,
		Dim:    [driver.MaxRank]uint64{uint64(cols), uint64(rows), uint64(slices)},
		Stride: [driver.MaxRank - 1]uint64{row, row * uint64(rows)},
		Box:    [driver.MaxRank]uint32{uint32(128 / size), 16, 1},
	})
}

// pitch is the bytes from row to row. That of a single row can be anything: here it is legal.
func pitch(rows, stride, cols, size int) uint64 {
	if rows == 1 {
		return uint64(aligned(cols*size, 16))
	}
	return uint64(stride * size)
}
