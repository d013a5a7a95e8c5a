package cuda

import (
	"math"

	"forja/kernels"
)

// KVAppend stores rows of k and v in the caches.
func (b *Backend) KVAppend(kcache, vcache, k, v, slot kernels.Tensor) {
	together := kcache.DType == vcache.DType && k.DType == v.DType
	b.append(kcache, vcache, k, v, slot, 1+int(when(together, 1)))
	if !together {
		b.append(vcache, vcache, v, v, slot, 1)
	}
}

// append stores the first pair, or both, which are of the same types.
func (b *Backend) append(kcache, vcache, k, v, slot kernels.Tensor, pairs int) {
	kernel := [2][2]kernelID{{kvAppendF32F32, kvAppendF32BF16}, {kvAppendBF16F32, kvAppendBF16BF16}}[when(
		kcache.DType == kernels.BF16, 1)][when(k.DType == kernels.BF16, 1)]
	b.kvAppend(kernel, dim3{uint32(k.Rows()), uint32(pairs), 1}, 0, b.addr(kcache), b.addr(vcache), b.addr(k), b.addr(v),
		b.addr(slot), int32(k.Cols()), int64(kcache.Stride), int64(vcache.Stride), int64(k.Stride), int64(v.Stride),
		b.wide(kcache, vcache, k, v))
}

// Numbers of src/decode.cu.
const (
	pagedWarps = 4
	pagedTile  = 32  // positions of a warp's step
	pagedChunk = 256 // columns of values that a block sums
	qBF16      = 1
	oBF16      = 2
	kBF16      = 4
	vBF16      = 8
)

// A pagedKernel is a variant of paged attention: heads that share what a block reads, and columns of a piece of a key.
type pagedKernel struct {
	id           kernelID
	heads, piece int
}

// shared is the dynamic shared memory of a block.
func (k pagedKernel) shared(depth int) int {
	queries := aligned(depth, k.piece) / 8 * (8*k.heads + 4)
	return 4 * (queries + pagedWarps*k.heads*(pagedTile+2+aligned(min(depth, pagedChunk), 8)))
}

// pagedKernel picks the variant that reads the cache least often.
func (b *Backend) pagedKernel(kcache, vcache kernels.Tensor, group, depth int) pagedKernel {
	var list []pagedKernel // the first that has enough heads, or the last
	switch {
	case kcache.DType != vcache.DType || depth%8 != 0 || b.wide(kcache, vcache) == 0:
		list = []pagedKernel{{pagedAttentionAny, 1, 128}}
	case kcache.DType == kernels.F32:
		list = []pagedKernel{{pagedAttentionF32H1, 1, 128}, {pagedAttentionF32H4, 4, 128}}
	case depth <= 64:
		list = []pagedKernel{{pagedAttentionD64H1, 1, 64}, {pagedAttentionD64H4, 4, 64}, {pagedAttentionD64H8, 8, 64}}
	default:
		list = []pagedKernel{{pagedAttentionD128H1, 1, 128}, {pagedAttentionD128H4, 4, 128}, {pagedAttentionD128H8, 8, 128}}
	}
	best := list[0]
	const most = 48 << 10
	for _, k := range list[1:] {
		if best.heads < group && k.shared(depth) <= most {
			best = k
		}
	}
	return best
}

// stretches is among how many blocks a sequence is divided: as many as give every multiprocessor of a large card four blocks,
// of at least two steps of all warps each. It depends on shapes alone, and so does the result.
func (b *Backend) stretches(blocks, longest, bytes int) int {
	const enough, most = 512, 64
	_, work := b.work()
	return max(1, min(ceilDiv(enough, max(blocks, 1)), ceilDiv(longest, 2*pagedWarps*pagedTile), most, work/max(bytes, 1)))
}

// PagedAttention is attention of single queries against the cache.
func (b *Backend) PagedAttention(o, q, kcache, vcache, table, seq, pos kernels.Tensor, page int, a kernels.Attn) {
	queries, depth, group := q.Rows(), a.HeadDim, a.Heads/a.KVHeads
	scale := a.Scale
	if scale == 0 {
		scale = float32(1 / math.Sqrt(float64(depth)))
	}
	half := func(t kernels.Tensor, flag uint32) uint32 { return when(t.DType == kernels.BF16, flag) }
	flags := half(q, qBF16) | half(o, oBF16) | half(kcache, kBF16) | half(vcache, vBF16)

	k := b.pagedKernel(kcache, vcache, group, depth)
	grid := dim3{uint32(queries * a.KVHeads * ceilDiv(group, k.heads)), 1, uint32(ceilDiv(depth, pagedChunk))}
	stretches := b.stretches(int(grid.x*grid.z), table.Cols()*page, 4*queries*a.Heads*(depth+2))
	grid.y = uint32(stretches)
	partial, _ := b.work()
	b.pagedAttention(k.id, grid, k.shared(depth), b.addr(o), partial, b.addr(q), b.addr(kcache), b.addr(vcache), b.addr(table),
		b.addr(seq), b.addr(pos), int64(o.Stride), int64(q.Stride), int64(kcache.Stride), int64(vcache.Stride),
		int64(table.Stride), int32(queries), int32(a.Heads), int32(a.KVHeads), int32(depth), int32(page), scale, flags)
	if stretches > 1 {
		b.joinAttention(joinAttentionF32, dim3{uint32(queries * a.Heads), 1, 1}, 0, b.addr(o), partial, int64(o.Stride),
			int32(queries), int32(a.Heads), int32(depth), int32(stretches), flags)
	}
}
