package cuda

import (
	"forja/kernels"
	"forja/kernels/cuda/driver"
)

// A hopperForward is a forward kernel for sm_90a. A block stays on its multiprocessor and takes tiles of queries.
type hopperForward struct {
	kernel        kernelID
	depth         int // of a head; smaller heads are padded with zeros
	queries, keys int // rows of a tile
	step          int // time for a tile of keys, in parts of one another's where the depth is the same
}

// Three warpgroups keep the multiprocessor busier than two, but two waste less on the diagonal and on a tile that ends the
// sequence. The times of a step are from counts of instructions, not measured.
var hopperForwards = [...]hopperForward{
	{attentionSM90D64Short, 64, 128, 128, 8},
	{attentionSM90D64, 64, 192, 128, 11},
	{attentionSM90D128, 128, 128, 128, 8},
}

// A hopperGrad is the gradient's kernels for sm_90a: keys and queries, and pairs of blocks that each has in flight.
type hopperGrad struct {
	depth                     int
	keys, queries             kernelID
	keysStages, queriesStages int
}

var hopperGrads = [...]hopperGrad{
	{64, attentionGradSM90KeysD64, attentionGradSM90QueriesD64, 4, 4},
	{128, attentionGradSM90KeysD128, attentionGradSM90QueriesD128, 2, 3},
}

// hopperRows is the rows of a block of a tile, which one warpgroup multiplies or stores.
const hopperRows = 64

// barriers is room for them in shared memory.
const barriers = 128

// shared is the dynamic shared memory: queries and outputs, two tiles of keys and of values, what each query sees.
func (f *hopperForward) shared() int {
	return (2*f.queries+4*f.keys)*f.depth*2 + barriers + f.queries*8
}

// time is that of all steps of one head: those of tiles before the diagonal if it is causal.
func (f *hopperForward) time(p *attending) int {
	tiles := ceilDiv(p.time, f.queries)
	if p.Causal {
		return tiles * (tiles + 1) / 2 * f.queries * f.step / f.keys
	}
	return tiles * ceilDiv(p.time, f.keys) * f.step
}

// keysShared is two buffers of two blocks of keys and of values, and stages of a block of queries and one of gradients with
// what is known of each query; queriesShared two blocks each of queries, gradients and results, and stages of keys and values.
func (g *hopperGrad) keysShared() int {
	const stats = 1152
	return (8+2*g.keysStages)*hopperRows*g.depth*2 + g.keysStages*stats + barriers
}
func (g *hopperGrad) queriesShared() int {
	return (6+2*g.queriesStages)*hopperRows*g.depth*2 + 2*hopperRows*8 + barriers
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

// hopperForward is the forward kernel that takes the least time.
func (p *attending) hopperForward() (f *hopperForward) {
	for i := range hopperForwards {
		c := &hopperForwards[i]
		if p.HeadDim <= c.depth && (f == nil || c.depth == f.depth && c.time(p) < f.time(p)) {
			f = c
		}
	}
	return f
}

// attendOnHopper is Attention by TMA and wgmma.
func (b *Backend) attendOnHopper(p *attending, o, lse, q, k, v kernels.Tensor) {
	f := p.hopperForward()
	g, section := b.attentionGrid(p, p.Heads, f.queries, 1)
	if g.x == 0 {
		return
	}
	g.x = min(g.x, uint32(b.sms))
	b.attentionSM90(f.kernel, g, f.shared(), b.headMap(p, o, p.Heads, hopperRows), b.headMap(p, q, p.Heads, f.queries),
		b.headMap(p, k, p.KVHeads, f.keys), b.headMap(p, v, p.KVHeads, f.keys), b.addr(lse), p.lo, p.hi,
		int32(p.batch), int32(p.time), int32(p.Heads), int32(p.Heads/p.KVHeads), section, p.scale, p.flags)
}

// attendGradOnHopper is AttentionGrad by TMA and wgmma, for delta that is known.
func (b *Backend) attendGradOnHopper(p *attending, dq, dk, dv, delta, do, lse, q, k, v kernels.Tensor) {
	f := &hopperGrads[0]
	if p.HeadDim > f.depth {
		f = &hopperGrads[1]
	}
	queries := func(t kernels.Tensor) *driver.TensorMap { return b.headMap(p, t, p.Heads, hopperRows) }
	keys := func(t kernels.Tensor) *driver.TensorMap { return b.headMap(p, t, p.KVHeads, hopperRows) }
	launch := func(kernel kernelID, heads, shared int, dq, dk, dv, do, q, k, v *driver.TensorMap) {
		g, section := b.attentionGrid(p, heads, 2*hopperRows, 1)
		g.x = min(g.x, uint32(b.sms))
		b.attentionGradSM90(kernel, g, shared, dq, dk, dv, do, q, k, v, b.addr(lse), b.addr(delta), p.lo, p.hi, int32(p.batch),
			int32(p.time), int32(p.Heads), int32(p.Heads/p.KVHeads), section, p.scale, p.flags)
	}
	if p.batch*p.time > 0 {
		dqMap, dkMap, dvMap, doMap, qMap, kMap, vMap := queries(dq), keys(dk), keys(dv), queries(do), queries(q), keys(k), keys(v)
		launch(f.keys, p.KVHeads, f.keysShared(), dqMap, dkMap, dvMap, doMap, qMap, kMap, vMap)
		launch(f.queries, p.Heads, f.queriesShared(), dqMap, dkMap, dvMap, doMap, qMap, kMap, vMap)
	}
}
