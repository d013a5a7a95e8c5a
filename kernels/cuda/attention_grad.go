package cuda

import "forja/kernels"

// AttentionGrad is the gradient of Attention: Σ do·o of each query first, then dk and dv, then dq.
func (b *Backend) AttentionGrad(dq, dk, dv, delta, do, o, lse, q, k, v, lo, hi kernels.Tensor, a kernels.Attn) {
	p := b.attending(q, lo, hi, a)
	p.half(attentionHalfGrad, do)
	p.half(attentionHalfO, o)
	b.delta(delta, do, o, &p)
	if b.fitsTMA(&p, dq, dk, dv, do, q, k, v) {
		b.attendGradOnHopper(&p, dq, dk, dv, delta, do, lse, q, k, v)
		return
	}
	launch := func(f attentionGradKernel, kernel kernelID, heads, rows, slabs, shared int) {
		g, section := b.attentionGrid(&p, heads, rows, slabs)
		f(kernel, g, shared, b.addr(dq), b.addr(dk), b.addr(dv), b.addr(delta), b.addr(do), b.addr(lse), b.addr(q), b.addr(k),
			b.addr(v), p.lo, p.hi, int64(dq.Stride), int64(dk.Stride), int64(dv.Stride), int64(do.Stride), int64(q.Stride),
			int64(k.Stride), int64(v.Stride), int32(p.batch), int32(p.time), int32(a.Heads), int32(a.Heads/a.KVHeads),
			int32(a.HeadDim), section, p.scale, p.flags)
	}
	if s := b.attentionSize(&p, dq, dk, dv, do, q, k, v); s != nil {
		launch(b.attentionGrad, s.keys.kernel, a.KVHeads, s.keys.own, s.slabs, s.keysShared())
		launch(b.attentionGrad, s.queries.kernel, a.Heads, s.queries.own, 1, s.queriesShared())
		return
	}
	p.half(attentionHalfQ, q)
	p.half(attentionHalfK, k)
	p.half(attentionHalfV, v)
	p.half(attentionHalfDQ, dq)
	p.half(attentionHalfDK, dk)
	p.half(attentionHalfDV, dv)
	keys, queries, slabs := attentionAnyGradKeys1, attentionAnyGradQueries1, 1
	if a.HeadDim > anySlab {
		keys, queries, slabs = attentionAnyGradKeys2, attentionAnyGradQueries2, ceilDiv(a.HeadDim, 2*anySlab)
	}
	launch(b.attentionAnyGrad, keys, a.KVHeads, anyTile, slabs, 0)
	launch(b.attentionAnyGrad, queries, a.Heads, anyTile, slabs, 0)
}

// An attentionGradKernel launches a kernel of a family of gradients.
type attentionGradKernel func(k kernelID, g dim3, shared int, dq, dk, dv, delta, grad, lse, q, key, v, lo, hi ptr,
	lddq, lddk, lddv, ldgrad, ldq, ldk, ldv int64, batch, time, heads, group, depth, section int32, scale float32, flags uint32)

// delta is Σ do·o of each query and head.
func (b *Backend) delta(delta, do, o kernels.Tensor, p *attending) {
	kernel, each := attentionDeltaAny, 8 // heads of rows of a block
	n := p.batch * p.time * p.Heads
	if b.wholeChunks(do, o) && p.HeadDim%8 == 0 && p.HeadDim <= 256 && n < 1<<31 {
		const threads, rows = 256, 4
		lanes := 1
		for lanes < p.HeadDim/8 {
			lanes *= 2
		}
		kernel, each = attentionDeltaBF16, rows*threads/lanes
	}
	b.attentionDelta(kernel, dim3{uint32(ceilDiv(n, each)), 1, 1}, 0, b.addr(delta), b.addr(do), b.addr(o),
		int64(do.Stride), int64(o.Stride), int32(p.batch), int32(p.time), int32(p.Heads), int32(p.HeadDim), p.flags)
}
