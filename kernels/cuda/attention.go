package cuda

import (
	"math"

	"forja/kernels"
)

// Flags of the kernels in src/attention*.
const (
	attentionCausal uint32 = 1 << iota
	attentionHalfQ
	attentionHalfK
	attentionHalfV
	attentionHalfO
	attentionHalfGrad
	attentionHalfDQ
	attentionHalfDK
	attentionHalfDV
)

// An attentionTile is a kernel: a block owns rows of one operand and has rows of another pass by, in copies that alternate.
type attentionTile struct {
	kernel            kernelID
	own, pass, copies int
}

// An attentionSize is a head size of the bf16 kernels for sm_80: smaller heads are padded with zeros in shared memory.
type attentionSize struct {
	depth                  int
	forward, keys, queries attentionTile
	slabs                  int // blocks that share the columns of a tile of keys in the gradient
}

var attentionSizes = [...]attentionSize{
	{32, attentionTile{attentionD32, 128, 64, 2}, attentionTile{attentionGradKeysD32, 128, 32, 2}, attentionTile{attentionGradQueriesD32, 128, 32, 2}, 1},
	{64, attentionTile{attentionD64, 128, 64, 2}, attentionTile{attentionGradKeysD64, 128, 32, 2}, attentionTile{attentionGradQueriesD64, 128, 32, 2}, 1},
	{128, attentionTile{attentionD128, 128, 32, 2}, attentionTile{attentionGradKeysD128, 128, 32, 2}, attentionTile{attentionGradQueriesD128, 128, 32, 2}, 1},
	{256, attentionTile{attentionD256, 64, 32, 2}, attentionTile{attentionGradKeysD256, 64, 32, 1}, attentionTile{attentionGradQueriesD256, 64, 32, 1}, 2},
}

// shared is the forward kernel's dynamic shared memory: queries, keys and values, and what each query sees; keysShared and
// queriesShared those of the gradient's, of which the first also has lse and delta of the queries that pass by.
func (s *attentionSize) shared() int {
	return (s.forward.own+2*s.forward.copies*s.forward.pass)*s.depth*2 + s.forward.own*8
}
func (s *attentionSize) keysShared() int    { return s.keys.pair(s.depth) + 2*s.keys.copies*s.keys.pass*4 }
func (s *attentionSize) queriesShared() int { return s.queries.pair(s.depth) }

// pair is the bytes of two operands of depth columns, and of two that pass by.
func (t *attentionTile) pair(depth int) int { return 2 * (t.own + t.copies*t.pass) * depth * 2 }

// anyTile and anySlab are rows of a block and columns of a slab of the kernels for any operands.
const (
	anyTile = 64
	anySlab = 64
)

// An attending is what both directions of attention know of their operands.
type attending struct {
	kernels.Attn
	batch, time int
	lo, hi      ptr
	scale       float32
	flags       uint32
}

func (b *Backend) attending(q, lo, hi kernels.Tensor, a kernels.Attn) attending {
	p := attending{Attn: a, batch: q.Shape[0], time: q.Shape[1], lo: b.addr(lo), hi: b.addr(hi), scale: a.Scale}
	if p.scale == 0 {
		p.scale = float32(1 / math.Sqrt(float64(a.HeadDim)))
	}
	if a.Causal {
		p.flags = attentionCausal
	}
	return p
}

// half sets a flag where a tensor is BF16.
func (p *attending) half(flag uint32, t kernels.Tensor) {
	if t.DType == kernels.BF16 {
		p.flags |= flag
	}
}

// size is the bf16 kernels that take the operands, nil if none do: they copy rows in pieces of 16 bytes, and their running
// maximum is that of scores before scaling.
func (b *Backend) attentionSize(p *attending, operands ...kernels.Tensor) *attentionSize {
	if !b.wholeChunks(operands...) || p.HeadDim%8 != 0 || p.scale <= 0 {
		return nil
	}
	for i := range attentionSizes {
		if s := &attentionSizes[i]; p.HeadDim <= s.depth {
			return s
		}
	}
	return nil
}

// wholeChunks reports whether tensors are BF16 with rows that are aligned to 16 bytes.
func (b *Backend) wholeChunks(ts ...kernels.Tensor) bool {
	for _, t := range ts {
		if t.DType != kernels.BF16 || b.addr(t)%16 != 0 || t.Stride%8 != 0 && t.Rows() > 1 {
			return false
		}
	}
	return true
}

// grid is a block for each tile of rows of each head, in the order that task in src/attention.h gives, and the number of
// heads of a section: those whose keys and values the second-level cache holds, or so many that several blocks share one.
func (b *Backend) attentionGrid(p *attending, heads, rows, slabs int) (g dim3, section int32) {
	const cache = 32 << 20
	shared := p.Heads / p.KVHeads // heads with the same keys and values
	if heads == p.KVHeads {
		shared = 1
	}
	fit := cache / max(4*p.time*p.HeadDim, 1) * shared
	section = int32(max(min(max(fit, b.sms/8), heads*p.batch), 1))
	return dim3{uint32(ceilDiv(p.time, rows) * heads * p.batch), uint32(slabs), 1}, section
}

// Attention is o = softmax(s·q·kᵀ)·v for each head.
func (b *Backend) Attention(o, lse, q, k, v, lo, hi kernels.Tensor, a kernels.Attn) {
	p := b.attending(q, lo, hi, a)
	if b.fitsTMA(&p, o, q, k, v) {
		b.attendOnHopper(&p, o, lse, q, k, v)
		return
	}
	launch, kernel, shared := b.attentionAny, attentionAny1, 0
	rows, slabs := anyTile, 1
	if s := b.attentionSize(&p, o, q, k, v); s != nil {
		launch, kernel, rows, shared = b.attention, s.forward.kernel, s.forward.own, s.shared()
	} else {
		if a.HeadDim > anySlab {
			kernel, slabs = attentionAny2, ceilDiv(a.HeadDim, 2*anySlab)
		}
		p.half(attentionHalfQ, q)
		p.half(attentionHalfK, k)
		p.half(attentionHalfV, v)
		p.half(attentionHalfO, o)
	}
	g, section := b.attentionGrid(&p, a.Heads, rows, slabs)
	launch(kernel, g, shared, b.addr(o), b.addr(lse), b.addr(q), b.addr(k), b.addr(v), p.lo, p.hi,
		int64(o.Stride), int64(q.Stride), int64(k.Stride), int64(v.Stride), int32(p.batch), int32(p.time), int32(a.Heads),
		int32(a.Heads/a.KVHeads), int32(a.HeadDim), section, p.scale, p.flags)
}
