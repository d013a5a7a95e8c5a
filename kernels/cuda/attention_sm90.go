package cuda

import (
	"forja/kernels"
	"forja/kernels/cuda/driver"
)

// An attentionHopper is a kernel for sm_90a: a block owns a tile of queries and stays on its multiprocessor.
type attentionHopper struct {
	kernel        kernelID
	depth         int // of the head; smaller ones are padded with zeros
	queries, keys int // rows of a tile
}

var attentionHoppers = [...]attentionHopper{
	{attentionSM90D64, 64, 192, 128},
	{attentionSM90D128, 128, 128, 128},
}

// shared is the dynamic shared memory: queries and outputs, two tiles of keys and of values, barriers, what each query sees.
func (t *attentionHopper) shared() int {
	return (2*t.queries+4*t.keys)*t.depth*2 + 128 + t.queries*8
}

// fitsTMA reports whether the kernels for sm_90a take the operands: what TMA demands of strides is what the bf16 kernels do.
func (b *Backend) fitsTMA(p *attending, operands ...kernels.Tensor) bool {
	return b.hopper && p.HeadDim <= 128 && p.HeadDim%8 == 0 && p.scale > 0 && b.wholeChunks(operands...)
}

// headMap describes rows of heads as (column, head, time, sequence), in boxes of 64 columns and so many rows.
func (b *Backend) headMap(p *attending, t kernels.Tensor, heads, rows int) *driver.TensorMap {
	size := uint64(t.DType.Size())
	stride := uint64(max(t.Stride, t.Cols())+7) &^ 7 * size // that of a single row is free
	depth, time, batch := uint64(p.HeadDim), uint64(p.time), uint64(p.batch)
	return b.tensorMapOf(driver.TensorShape{
		Base: driver.Ptr(b.addr(t)), Type: driver.TensorBF16, Rank: 4,
		Dim:     [driver.MaxRank]uint64{depth, uint64(heads), time, batch},
		Stride:  [driver.MaxRank - 1]uint64{depth * size, stride, time * stride},
		Box:     [driver.MaxRank]uint32{64, 1, uint32(rows), 1},
		Swizzle: driver.Swizzle128,
	})
}

// attendOnHopper is Attention by TMA and wgmma.
func (b *Backend) attendOnHopper(p *attending, o, lse, q, k, v kernels.Tensor) {
	t := &attentionHoppers[0]
	if p.HeadDim > t.depth {
		t = &attentionHoppers[1]
	}
	g, section := p.grid(p.Heads, t.queries, 1)
	if g.x == 0 {
		return
	}
	g.x = min(g.x, uint32(b.sms))
	const group = 64 // rows that a warpgroup stores
	b.attentionSM90(t.kernel, g, t.shared(), b.headMap(p, o, p.Heads, group), b.headMap(p, q, p.Heads, t.queries),
		b.headMap(p, k, p.KVHeads, t.keys), b.headMap(p, v, p.KVHeads, t.keys), b.addr(lse), p.lo, p.hi,
		int32(p.batch), int32(p.time), int32(p.Heads), int32(p.Heads/p.KVHeads), section, p.scale, p.flags)
}
