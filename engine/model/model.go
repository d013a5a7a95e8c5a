package model

import (
	"fmt"

	"forja/engine/graph"
	"forja/kernels"
)

// A Model is a configuration and the storage of its parameters.
type Model struct {
	Config

	wte, wpe *graph.Var // embeddings of tokens and, in GPT-2, of positions
	blocks   []*block
	norm     norm
	head     *graph.Var // wte where tied
	rope     *graph.Var // F32 (Context, HeadDim), not trained

	params  []*graph.Var // all of them but adapters, in storage order
	tensors []Tensor
	lora    *LoRA
}

// A block is one transformer layer.
type block struct {
	normA, normF     norm
	qkv, o, fc, down *linear // fc is the feed-forward's first projection: [gate | up] in LLaMA
}

type norm struct{ w, b *graph.Var }

// A linear is a projection's storage and its adapters.
type linear struct {
	w, b     *graph.Var
	adapters []*adapter
}

// A Tensor is one tensor as Hugging Face names and shapes it, and where it is in a Model.
type Tensor struct {
	Name      string
	Shape     []int // in the file
	Var       *graph.Var
	Row, Rows int    // rows of the Var's matrix view
	Transpose bool   // the file holds the transpose, as GPT-2's Conv1D does
	Module    string // of a projection that LoRA can target, else empty
}

// New lays out the parameters of a configuration.
func New(c Config) (*Model, error) {
	c = c.Fill()
	if err := c.Validate(); err != nil {
		return nil, err
	}
	m := &Model{Config: c}
	if c.Arch == GPT2 {
		m.layoutGPT()
	} else {
		m.layoutLLaMA()
	}
	return m, nil
}

// param adds a parameter's storage.
func (m *Model) param(name string, shape ...int) *graph.Var {
	v := graph.NewVar(name, kernels.F32, shape...)
	m.params = append(m.params, v)
	return v
}

// whole maps all of a Var to one tensor of the same shape.
func (m *Model) whole(name string, v *graph.Var) {
	m.tensors = append(m.tensors, Tensor{Name: name, Shape: v.Shape, Var: v, Rows: v.Shape.Rows()})
}

// rows maps some rows of a Var to a tensor.
func (m *Model) rows(name string, v *graph.Var, row, rows int) {
	shape := []int{rows}
	if len(v.Shape) == 2 {
		shape = []int{rows, v.Shape[1]}
	}
	m.tensors = append(m.tensors, Tensor{Name: name, Shape: shape, Var: v, Row: row, Rows: rows})
}

// projection maps rows of a linear, weight and bias, to the tensors of a module.
func (m *Model) projection(module string, l *linear, row, rows int, conv1D bool) {
	t := Tensor{Name: module + ".weight", Shape: []int{rows, l.w.Shape[1]}, Var: l.w, Row: row, Rows: rows, Module: module}
	if conv1D {
		t.Shape, t.Transpose = []int{l.w.Shape[1], rows}, true
	}
	m.tensors = append(m.tensors, t)
	if l.b != nil {
		// A vector's rows are its elements.
		m.tensors = append(m.tensors, Tensor{Name: module + ".bias", Shape: []int{rows}, Var: l.b, Row: row, Rows: rows})
	}
}

func (m *Model) linear(name string, out, in int, bias bool) *linear {
	l := &linear{w: m.param(name+".w", out, in)}
	if bias {
		l.b = m.param(name+".b", out)
	}
	return l
}

// Tensors lists the model's tensors as Hugging Face names and shapes them, in file order. Padding is in none.
func (m *Model) Tensors() []Tensor { return m.tensors }

// Params lists the storage of all parameters but adapters.
func (m *Model) Params() []*graph.Var { return m.params }

// Trainable lists the storage that training changes: the adapters where there are any, else the parameters.
func (m *Model) Trainable() []*graph.Var {
	if m.lora != nil {
		return m.lora.vars()
	}
	var vs []*graph.Var
	for _, v := range m.params {
		if !v.Frozen {
			vs = append(vs, v)
		}
	}
	return vs
}

// SetDType stores the parameters as d. Adapters stay F32. It must come before the model is recorded or given storage.
func (m *Model) SetDType(d kernels.DType) {
	for _, v := range m.params {
		v.DType = d
	}
}

// Constants lists storage that is neither trained nor saved, with its values.
func (m *Model) Constants() map[*graph.Var][]float32 {
	if m.rope == nil {
		return nil
	}
	return map[*graph.Var][]float32{m.rope: m.Rope.Table(m.Context, m.HeadDim)}
}

func (m *Model) attn() kernels.Attn {
	return kernels.Attn{Heads: m.Heads, KVHeads: m.KVHeads, HeadDim: m.HeadDim, Causal: true}
}

func (m *Model) layoutGPT() {
	c := m.Channels
	m.wte = m.param("wte", m.PaddedVocab(), c)
	m.wpe = m.param("wpe", m.Context, c)
	m.rows("transformer.wte.weight", m.wte, 0, m.Vocab)
	m.whole("transformer.wpe.weight", m.wpe)
	pair := func(name, file string) norm {
		n := norm{m.param(name+".w", c), m.param(name+".b", c)}
		m.whole(file+".weight", n.w)
		m.whole(file+".bias", n.b)
		return n
	}
	for i := range m.Layers {
		at, h := fmt.Sprintf("h%d", i), fmt.Sprintf("transformer.h.%d", i)
		b := &block{}
		b.normA = pair(at+".ln1", h+".ln_1")
		b.qkv = m.linear(at+".qkv", 3*c, c, true)
		m.projection(h+".attn.c_attn", b.qkv, 0, 3*c, true)
		b.o = m.linear(at+".o", c, c, true)
		m.projection(h+".attn.c_proj", b.o, 0, c, true)
		b.normF = pair(at+".ln2", h+".ln_2")
		b.fc = m.linear(at+".fc", m.FFN, c, true)
		m.projection(h+".mlp.c_fc", b.fc, 0, m.FFN, true)
		b.down = m.linear(at+".down", c, m.FFN, true)
		m.projection(h+".mlp.c_proj", b.down, 0, c, true)
		m.blocks = append(m.blocks, b)
	}
	m.norm = pair("lnf", "transformer.ln_f")
	m.head = m.wte
}

func (m *Model) layoutLLaMA() {
	c, q, kv := m.Channels, m.Heads*m.HeadDim, m.KVHeads*m.HeadDim
	m.wte = m.param("wte", m.PaddedVocab(), c)
	m.rows("model.embed_tokens.weight", m.wte, 0, m.Vocab)
	scale := func(name, file string) norm {
		n := norm{w: m.param(name+".w", c)}
		m.whole(file+".weight", n.w)
		return n
	}
	for i := range m.Layers {
		at, l := fmt.Sprintf("h%d", i), fmt.Sprintf("model.layers.%d", i)
		b := &block{}
		b.normA = scale(at+".norm1", l+".input_layernorm")
		b.qkv = m.linear(at+".qkv", q+2*kv, c, m.Arch == Qwen2)
		m.projection(l+".self_attn.q_proj", b.qkv, 0, q, false)
		m.projection(l+".self_attn.k_proj", b.qkv, q, kv, false)
		m.projection(l+".self_attn.v_proj", b.qkv, q+kv, kv, false)
		b.o = m.linear(at+".o", c, q, false)
		m.projection(l+".self_attn.o_proj", b.o, 0, c, false)
		b.normF = scale(at+".norm2", l+".post_attention_layernorm")
		b.fc = m.linear(at+".fc", 2*m.FFN, c, false)
		m.projection(l+".mlp.gate_proj", b.fc, 0, m.FFN, false)
		m.projection(l+".mlp.up_proj", b.fc, m.FFN, m.FFN, false)
		b.down = m.linear(at+".down", c, m.FFN, false)
		m.projection(l+".mlp.down_proj", b.down, 0, c, false)
		m.blocks = append(m.blocks, b)
	}
	m.norm = scale("norm", "model.norm")
	m.head = m.wte
	if !m.Tied {
		m.head = m.param("head", m.PaddedVocab(), c)
		m.rows("lm_head.weight", m.head, 0, m.Vocab)
	}
	m.rope = graph.NewVar("rope", kernels.F32, m.Context, m.HeadDim)
}
