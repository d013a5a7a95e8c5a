package graph

import "forja/kernels"

// Attention is softmax attention over a fused projection qkv (B,T,(H+2·Hkv)·D), columns q, k, v in this order.
// lo and hi, I32 (B,T), bound the keys that each query sees; nil is no bound. The result is (B,T,H·D).
func (g *Graph) Attention(qkv, lo, hi *Node, a kernels.Attn) *Node {
	return g.apply(attention{a}, qkv, lo, hi)[0]
}

type (
	attention     struct{ a kernels.Attn }
	attentionGrad struct {
		gradOp
		a kernels.Attn
	}
)

// heads splits a fused projection into q, k and v.
func heads(t kernels.Tensor, a kernels.Attn) (q, k, v kernels.Tensor) {
	n, m := a.Heads*a.HeadDim, a.KVHeads*a.HeadDim
	return t.Columns(0, n), t.Columns(n, n+m), t.Columns(n+m, n+2*m)
}

func (o attention) Infer(in []Type) ([]Type, error) {
	s := in[0].Shape
	if len(s) != 3 || s[2] != (o.a.Heads+2*o.a.KVHeads)*o.a.HeadDim {
		return in[:2], bad("qkv %v for %d+2·%d heads of %d", s, o.a.Heads, o.a.KVHeads, o.a.HeadDim)
	}
	return []Type{in[0].with(o.a.Heads * o.a.HeadDim), {kernels.Shape{s[0], o.a.Heads, s[1]}, kernels.F32}}, nil
}
func (o attention) Grad(g *Graph, c *Call, dy []*Node) ([]*Node, error) {
	d := g.apply(attentionGrad{a: o.a}, dy[0], c.Out[0], c.Out[1], c.In[0], c.In[1], c.In[2])[0]
	return []*Node{d, nil, nil}, nil
}
func (o attention) Bind(b Binding) Kernel {
	y, lse, lo, hi := b.Y[0], b.Y[1], b.X[1], b.X[2]
	q, k, v := heads(b.X[0], o.a)
	return func(be kernels.Backend) { be.Attention(y, lse, q, k, v, lo, hi, o.a) }
}

func (attentionGrad) Infer(in []Type) ([]Type, error) { return []Type{in[3], in[2]}, nil }
func (o attentionGrad) Bind(b Binding) Kernel {
	delta, do, y, lse, lo, hi := b.Y[1], b.X[0], b.X[1], b.X[2], b.X[4], b.X[5]
	dq, dk, dv := heads(b.Y[0], o.a)
	q, k, v := heads(b.X[3], o.a)
	return func(be kernels.Backend) { be.AttentionGrad(dq, dk, dv, delta, do, y, lse, q, k, v, lo, hi, o.a) }
}

// Cache is the storage of one layer's keys and values: (slots, Hkv·D) each, slots in pages of Page rows.
type Cache struct {
	K, V *Var
	Page int
}

// CachedAttention appends k and v of a fused projection qkv (M,(H+2·Hkv)·D) to the cache, row i in slot[i], and is
// then the attention of each row's query to positions 0..pos[i] of sequence seq[i], found through table.
func (g *Graph) CachedAttention(qkv *Node, c Cache, table, seq, pos, slot *Node, a kernels.Attn) *Node {
	k, v := g.Leaf(c.K), g.Leaf(c.V)
	g.effect(kvAppend{a: a}, []*Var{c.K, c.V}, qkv, k, v, slot)
	return g.apply(pagedAttention{a: a, page: c.Page}, qkv, k, v, table, seq, pos)[0]
}

type (
	kvAppend struct {
		effectOp
		a kernels.Attn
	}
	pagedAttention struct {
		effectOp
		a    kernels.Attn
		page int
	}
)

func (kvAppend) Infer(in []Type) ([]Type, error) { return nil, nil }
func (o kvAppend) Bind(b Binding) Kernel {
	kc, vc, slot := b.X[1], b.X[2], b.X[3]
	_, k, v := heads(b.X[0], o.a)
	return func(be kernels.Backend) { be.KVAppend(kc, vc, k, v, slot) }
}

func (o pagedAttention) Infer(in []Type) ([]Type, error) {
	if n := in[0].Shape.Cols(); n != (o.a.Heads+2*o.a.KVHeads)*o.a.HeadDim {
		return in[:1], bad("qkv %v for %d+2·%d heads of %d", in[0].Shape, o.a.Heads, o.a.KVHeads, o.a.HeadDim)
	}
	return []Type{in[0].with(o.a.Heads * o.a.HeadDim)}, nil
}
func (o pagedAttention) Bind(b Binding) Kernel {
	y, kc, vc, table, seq, pos := b.Y[0], b.X[1], b.X[2], b.X[3], b.X[4], b.X[5]
	q, _, _ := heads(b.X[0], o.a)
	return func(be kernels.Backend) { be.PagedAttention(y, q, kc, vc, table, seq, pos, o.page, o.a) }
}
