package cuda

import (
	"forja/kernels"
	"forja/kernels/cuda/driver"
)

// An attentionHopper is the kernels for sm_90a of a head size; smaller heads are padded with zeros. Their blocks stay on their
// multiprocessors.
type attentionHopper struct {
	depth                     int
	forward                   kernelID
	queriesTile, keysTile     int // rows of tiles of the forward kernel
	keys, queries             kernelID
	keysStages, queriesStages int // pairs of blocks in flight in the gradient's kernels
}

var attentionHoppers = [...]attentionHopper{
	{64, attentionSM90D64, 192, 128, attentionGradSM90KeysD64, attentionGradSM90QueriesD64, 4, 4},
	{128, attentionSM90D128, 128, 128, attentionGradSM90KeysD128, attentionGradSM90QueriesD128, 2, 3},
}

// hopperRows is the rows of a block of a tile, which one warpgroup multiplies or stores.
const hopperRows = 64

// barriers is room for them in shared memory.
const barriers = 128

// shared is the forward kernel's dynamic shared memory: queries and outputs, two tiles of keys and of values, what each
// query sees.
func (t *attentionHopper) shared() int {
	return (2*t.queriesTile+4*t.keysTile)*t.depth*2 + barriers + t.queriesTile*8
}

// keysShared is two buffers of two blocks of keys and of values, and stages of a block of queries and one of gradients with
// what is known of each query; queriesShared two blocks each of queries, gradients and results, and stages of keys and values.
func (t *attentionHopper) keysShared() int {
	const stats = 1152
	return (8+2*t.keysStages)*hopperRows*t.depth*2 + t.keysStages*stats + barriers
}
func (t *attentionHopper) queriesShared() int {
	return (6+2*t.queriesStages)*hopperRows*t.depth*2 + 2*hopperRows*8 + barriers
}

// hopperSize is the kernels for a head size.
func hopperSize(depth int) *attentionHopper {
	if depth <= attentionHoppers[0].depth {
		return &attentionHoppers[0]
	}
	return &attentionHoppers[1]
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
	t := hopperSize(p.HeadDim)
	g, section := p.grid(p.Heads, t.queriesTile, 1)
	if g.x == 0 {
		return
	}
	g.x = min(g.x, uint32(b.sms))
	b.attentionSM90(t.forward, g, t.shared(), b.headMap(p, o, p.Heads, hopperRows), b.headMap(p, q, p.Heads, t.queriesTile),
		b.headMap(p, k, p.KVHeads, t.keysTile), b.headMap(p, v, p.KVHeads, t.keysTile), b.addr(lse), p.lo, p.hi,
		int32(p.batch), int32(p.time), int32(p.Heads), int32(p.Heads/p.KVHeads), section, p.scale, p.flags)
}

// attendGradOnHopper is AttentionGrad by TMA and wgmma, for delta that is known.
func (b *Backend) attendGradOnHopper(p *attending, dq, dk, dv, delta, do, lse, q, k, v kernels.Tensor) {
	t := hopperSize(p.HeadDim)
	for _, pass := range [...]struct {
		kernel        kernelID
		heads, shared int
	}{{t.keys, p.KVHeads, t.keysShared()}, {t.queries, p.Heads, t.queriesShared()}} {
		g, section := p.grid(pass.heads, 2*hopperRows, 1)
		if g.x == 0 {
			return
		}
		g.x = min(g.x, uint32(b.sms))
		b.attentionGradSM90(pass.kernel, g, pass.shared, b.headMap(p, dq, p.Heads, hopperRows), b.headMap(p, dk, p.KVHeads, hopperRows),
			b.headMap(p, dv, p.KVHeads, hopperRows), b.headMap(p, do, p.Heads, hopperRows), b.headMap(p, q, p.Heads, hopperRows),
			b.headMap(p, k, p.KVHeads, hopperRows), b.headMap(p, v, p.KVHeads, hopperRows), b.addr(lse), b.addr(delta), p.lo, p.hi,
			int32(p.batch), int32(p.time), int32(p.Heads), int32(p.Heads/p.KVHeads), section, p.scale, p.flags)
	}
}
