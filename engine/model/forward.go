package model

import (
	"fmt"

	"forja/engine/graph"
	"forja/kernels"
)

// Inputs are the host-set inputs of a forward pass over whole sequences, I32 (B,T).
type Inputs struct {
	Tokens    *graph.Node
	Positions *graph.Node // within the document
	Lo        *graph.Node // first position of the row that each position may attend to; nil is 0
}

// Hidden records the transformer up to its final norm: (B,T,C).
func (m *Model) Hidden(g *graph.Graph, in Inputs) *graph.Node {
	return m.run(g, in.Tokens, in.Positions, func(layer int, qkv *graph.Node) *graph.Node {
		return g.Attention(qkv, in.Lo, nil, m.attn())
	})
}

// LogProb records the language model: for each position, log p of its target (below 0: none), log Σ exp of the logits,
// and the entropy.
func (m *Model) LogProb(g *graph.Graph, in Inputs, targets *graph.Node) (logp, lse, entropy *graph.Node) {
	x := m.Hidden(g, in)
	return g.LinearLogProb(x, g.Leaf(m.head), targets, graph.LogProbOptions{Vocab: m.Vocab})
}

// Logits records the logits of hidden states, F32 with the padded vocabulary: (…,V').
func (m *Model) Logits(g *graph.Graph, xMC *graph.Node) *graph.Node {
	return g.Linear(xMC, g.Leaf(m.head), graph.LinearOptions{F32: true})
}

// DecodeInputs are the inputs of a step of generation over M tokens of any sequences, I32 (M) but for Table.
type DecodeInputs struct {
	Tokens, Positions *graph.Node
	Seq               *graph.Node // sequence of each token; below 0 is padding
	Slot              *graph.Node // cache row of each token
	Table             *graph.Node // (S,pages): pages of each sequence
}

// Decode records one step of generation: it appends the tokens to the caches, one for each layer, and returns their
// hidden states (M,C).
func (m *Model) Decode(g *graph.Graph, in DecodeInputs, caches []graph.Cache) *graph.Node {
	return m.run(g, in.Tokens, in.Positions, func(layer int, qkv *graph.Node) *graph.Node {
		return g.CachedAttention(qkv, caches[layer], in.Table, in.Seq, in.Positions, in.Slot, m.attn())
	})
}

// NewCaches describes the key-value caches of all layers: pages of page positions, stored as d.
func (m *Model) NewCaches(pages, page int, d kernels.DType) []graph.Cache {
	cs := make([]graph.Cache, m.Layers)
	for i := range cs {
		n := m.KVHeads * m.HeadDim
		cs[i] = graph.Cache{
			K:    graph.NewVar(fmt.Sprintf("cache.%d.k", i), d, pages*page, n),
			V:    graph.NewVar(fmt.Sprintf("cache.%d.v", i), d, pages*page, n),
			Page: page,
		}
	}
	return cs
}

// run records the blocks. attend is the attention of one layer over its fused projection.
func (m *Model) run(g *graph.Graph, tokens, positions *graph.Node, attend func(layer int, qkv *graph.Node) *graph.Node) *graph.Node {
	x := g.Embed(g.Leaf(m.wte), tokens)
	if m.wpe != nil {
		x = g.EmbedAdd(x, g.Leaf(m.wpe), positions)
	}
	for i, b := range m.blocks {
		x = g.Checkpoint(func() *graph.Node {
			qkv := m.apply(g, b.qkv, m.normalize(g, x, b.normA), nil, kernels.NoActivation)
			if m.rope != nil {
				qkv = g.RoPE(qkv, g.Leaf(m.rope), positions, m.Heads+m.KVHeads)
			}
			h := m.apply(g, b.o, attend(i, qkv), x, kernels.NoActivation)
			return m.feedForward(g, b, h)
		})
	}
	return m.normalize(g, x, m.norm)
}

// feedForward is h plus the block's second half.
func (m *Model) feedForward(g *graph.Graph, b *block, h *graph.Node) *graph.Node {
	y := m.normalize(g, h, b.normF)
	if m.Arch == GPT2 {
		return m.apply(g, b.down, m.apply(g, b.fc, y, nil, kernels.GELU), h, kernels.NoActivation)
	}
	return m.apply(g, b.down, g.SwiGLU(m.apply(g, b.fc, y, nil, kernels.NoActivation)), h, kernels.NoActivation)
}

func (m *Model) normalize(g *graph.Graph, x *graph.Node, n norm) *graph.Node {
	if n.b != nil {
		return g.LayerNorm(x, g.Leaf(n.w), g.Leaf(n.b), float32(m.NormEps))
	}
	return g.RMSNorm(x, g.Leaf(n.w), float32(m.NormEps))
}

// apply records a projection and its adapters.
func (m *Model) apply(g *graph.Graph, l *linear, x, residual *graph.Node, act kernels.Activation) *graph.Node {
	o := graph.LinearOptions{Residual: residual, Act: act}
	if l.b != nil {
		o.Bias = g.Leaf(l.b)
	}
	if len(l.adapters) == 0 {
		return g.Linear(x, g.Leaf(l.w), o)
	}
	o.Act = kernels.NoActivation
	y := g.Linear(x, g.Leaf(l.w), o)
	for _, a := range l.adapters {
		y = a.apply(g, m.lora, x, y)
	}
	if act != kernels.NoActivation {
		y = g.Activate(y, act)
	}
	return y
}
