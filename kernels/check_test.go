package kernels_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/kernels"
)

// host is a buffer that nobody can read.
type host struct{ size int }

func (h *host) Size() int { return h.size }

// An operand of a call in calls.
type operand struct {
	name  string
	dtype kernels.DType
	shape []int
	role  role
	loose bool // its shape is free
}

// A role says what an operation does to an operand.
type role int

const (
	in role = iota
	out
	maybeIn // may be absent
	maybeOut
)

// tensor is a dense tensor in the middle of a buffer of its own.
func (o operand) tensor() kernels.Tensor {
	t := kernels.New(nil, o.dtype, o.shape...)
	t.Off = t.Size() + 8
	t.Buf = &host{(t.Off + t.Size()) * o.dtype.Size()}
	return t
}

func f32(name string, r role, shape ...int) operand {
	return operand{name: name, dtype: kernels.F32, shape: shape, role: r}
}
func i32(name string, r role, shape ...int) operand {
	return operand{name: name, dtype: kernels.I32, shape: shape, role: r}
}

// free lets an operand have any shape.
func (o operand) free() operand { o.loose = true; return o }

// A call is an operation on its operands.
type call struct {
	op       string
	operands []operand
	do       func(b kernels.Backend, x []kernels.Tensor)
}

const (
	m, n, k = 3, 4, 5
	vocab   = 6
)

var geometry = kernels.Attn{Heads: 4, KVHeads: 2, HeadDim: 3}

// calls are good calls of every operation with all operands.
var calls = []call{
	{"Copy", []operand{f32("dst", out, m, n), f32("src", in, m, n)}, func(b kernels.Backend, x []kernels.Tensor) { b.Copy(x[0], x[1]) }},
	{"Fill", []operand{f32("dst", out, m, n).free()}, func(b kernels.Backend, x []kernels.Tensor) { b.Fill(x[0], 1) }},
	{"Add", []operand{f32("z", out, m, n), f32("x", in, m, n), f32("y", in, m, n)}, func(b kernels.Backend, x []kernels.Tensor) { b.Add(x[0], x[1], x[2]) }},
	{"Activate", []operand{f32("y", out, m, n), f32("x", in, m, n)}, func(b kernels.Backend, x []kernels.Tensor) { b.Activate(x[0], x[1], kernels.GELU) }},
	{"ActivateGrad", []operand{f32("dx", out, m, n), f32("dy", in, m, n), f32("x", in, m, n)}, func(b kernels.Backend, x []kernels.Tensor) {
		b.ActivateGrad(x[0], x[1], x[2], kernels.SiLU)
	}},
	{"SwiGLU", []operand{f32("y", out, m, n), f32("gate", in, m, n), f32("up", in, m, n)}, func(b kernels.Backend, x []kernels.Tensor) {
		b.SwiGLU(x[0], x[1], x[2])
	}},
	{"SwiGLUGrad", []operand{f32("dgate", out, m, n), f32("dup", out, m, n), f32("dy", in, m, n), f32("gate", in, m, n), f32("up", in, m, n)},
		func(b kernels.Backend, x []kernels.Tensor) { b.SwiGLUGrad(x[0], x[1], x[2], x[3], x[4]) }},
	{"Dropout", []operand{f32("y", out, m, n), f32("x", in, m, n), i32("rng", in, 4)}, func(b kernels.Backend, x []kernels.Tensor) {
		b.Dropout(x[0], x[1], x[2], 0.1, 1, 1)
	}},
	{"RoPE", []operand{f32("y", out, m, n), f32("x", in, m, n), f32("table", in, k, 2).free(), i32("pos", in, m)}, func(b kernels.Backend, x []kernels.Tensor) {
		b.RoPE(x[0], x[1], x[2], x[3], 2, false)
	}},
	{"Softmax", []operand{f32("y", out, m, n), f32("x", in, m, n)}, func(b kernels.Backend, x []kernels.Tensor) { b.Softmax(x[0], x[1]) }},
	{"SoftmaxGrad", []operand{f32("dx", out, m, n), f32("dy", in, m, n), f32("y", in, m, n)}, func(b kernels.Backend, x []kernels.Tensor) {
		b.SoftmaxGrad(x[0], x[1], x[2])
	}},
	{"Linear", []operand{f32("y", out, m, n), f32("x", in, m, k), f32("w", in, n, k), f32("bias", maybeIn, n), f32("pre", maybeOut, m, n), f32("residual", maybeIn, m, n)},
		func(b kernels.Backend, x []kernels.Tensor) {
			b.Linear(x[0], x[1], x[2], kernels.Epilogue{Bias: x[3], Pre: x[4], Residual: x[5], Act: kernels.GELU})
		}},
	{"LinearDX", []operand{f32("dx", out, m, k), f32("dy", in, m, n), f32("w", in, n, k), f32("pre", in, m, k), f32("residual", maybeIn, m, k)},
		func(b kernels.Backend, x []kernels.Tensor) {
			b.LinearDX(x[0], x[1], x[2], kernels.Epilogue{Pre: x[3], Residual: x[4], Act: kernels.GELU})
		}},
	{"LinearDW", []operand{f32("dw", out, n, k), f32("dy", in, m, n), f32("x", in, m, k)}, func(b kernels.Backend, x []kernels.Tensor) {
		b.LinearDW(x[0], x[1], x[2], 1, true)
	}},
	{"BiasGrad", []operand{f32("db", out, n), f32("dy", in, m, n)}, func(b kernels.Backend, x []kernels.Tensor) { b.BiasGrad(x[0], x[1], true) }},
	{"Embed", []operand{f32("y", out, m, n), f32("table", in, k, n), i32("idx", in, m)}, func(b kernels.Backend, x []kernels.Tensor) {
		b.Embed(x[0], x[1], x[2], true)
	}},
	{"EmbedGrad", []operand{f32("dtable", out, k, n), f32("dy", in, m, n), i32("idx", in, m)}, func(b kernels.Backend, x []kernels.Tensor) {
		b.EmbedGrad(x[0], x[1], x[2], true)
	}},
	{"LayerNorm", []operand{f32("y", out, m, n), f32("sum", out, m, n), f32("stats", out, m, 2), f32("x", in, m, n), f32("r", in, m, n), f32("w", in, n), f32("b", in, n)},
		func(b kernels.Backend, x []kernels.Tensor) {
			b.LayerNorm(x[0], x[1], x[2], x[3], x[4], x[5], x[6], 1e-5)
		}},
	{"LayerNormGrad", []operand{f32("dx", maybeOut, m, n), f32("dw", maybeOut, n), f32("db", maybeOut, n), f32("dy", in, m, n), f32("h", in, m, n), f32("w", in, n), f32("stats", in, m, 2), f32("residual", maybeIn, m, n)},
		func(b kernels.Backend, x []kernels.Tensor) {
			b.LayerNormGrad(x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], true)
		}},
	{"RMSNorm", []operand{f32("y", out, m, n), f32("sum", out, m, n), f32("rstd", out, m), f32("x", in, m, n), f32("r", in, m, n), f32("w", in, n)},
		func(b kernels.Backend, x []kernels.Tensor) { b.RMSNorm(x[0], x[1], x[2], x[3], x[4], x[5], 1e-5) }},
	{"RMSNormGrad", []operand{f32("dx", maybeOut, m, n), f32("dw", maybeOut, n), f32("dy", in, m, n), f32("h", in, m, n), f32("w", in, n), f32("rstd", in, m), f32("residual", maybeIn, m, n)},
		func(b kernels.Backend, x []kernels.Tensor) {
			b.RMSNormGrad(x[0], x[1], x[2], x[3], x[4], x[5], x[6], true)
		}},
	{"Attention", []operand{f32("o", out, 2, k, 12), f32("lse", out, 2, 4, k), f32("q", in, 2, k, 12), f32("k", in, 2, k, 6), f32("v", in, 2, k, 6), i32("lo", maybeIn, 2, k), i32("hi", maybeIn, 2, k)},
		func(b kernels.Backend, x []kernels.Tensor) {
			b.Attention(x[0], x[1], x[2], x[3], x[4], x[5], x[6], geometry)
		}},
	{"AttentionGrad", []operand{f32("dq", out, 2, k, 12), f32("dk", out, 2, k, 6), f32("dv", out, 2, k, 6), f32("delta", out, 2, 4, k), f32("do", in, 2, k, 12), f32("o", in, 2, k, 12), f32("lse", in, 2, 4, k), f32("q", in, 2, k, 12), f32("k", in, 2, k, 6), f32("v", in, 2, k, 6), i32("lo", maybeIn, 2, k), i32("hi", maybeIn, 2, k)},
		func(b kernels.Backend, x []kernels.Tensor) {
			b.AttentionGrad(x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], x[8], x[9], x[10], x[11], geometry)
		}},
	{"LinearLogProb", []operand{f32("logp", out, m), f32("lse", out, m), f32("entropy", maybeOut, m), f32("logits", out, 2, 8), f32("x", in, m, n), f32("w", in, 8, n), f32("bias", maybeIn, 8), i32("target", in, m)},
		func(b kernels.Backend, x []kernels.Tensor) {
			b.LinearLogProb(x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], vocab)
		}},
	{"LinearLogProbGrad", []operand{f32("dx", maybeOut, m, n), f32("dw", maybeOut, 8, n), f32("dbias", maybeOut, 8), f32("logits", out, 2, 8), f32("dlogp", in, m), f32("dlse", maybeIn, m), f32("x", in, m, n), f32("w", in, 8, n), f32("bias", maybeIn, 8), i32("target", in, m), f32("lse", in, m)},
		func(b kernels.Backend, x []kernels.Tensor) {
			b.LinearLogProbGrad(x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], x[8], x[9], x[10], vocab, true)
		}},
	{"LinearLogProbBoth", []operand{f32("logp", out, m), f32("lse", out, m), f32("entropy", maybeOut, m), f32("dx", maybeOut, m, n), f32("dw", maybeOut, 8, n), f32("dbias", maybeOut, 8), f32("logits", out, 2, 8), f32("dlogp", in, m), f32("dlse", maybeIn, m), f32("x", in, m, n), f32("w", in, 8, n), f32("bias", maybeIn, 8), i32("target", in, m)},
		func(b kernels.Backend, x []kernels.Tensor) {
			b.LinearLogProbBoth(x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], x[8], x[9], x[10], x[11], x[12], vocab, true)
		}},
	{"GradNorm", []operand{f32("control", out, 8), f32("g", in, m, n).free()}, func(b kernels.Backend, x []kernels.Tensor) { b.GradNorm(x[0], x[1], 1) }},
	{"AdamW", []operand{{name: "w", dtype: kernels.BF16, shape: []int{m, n}, role: out}, f32("master", out, m, n), f32("m", out, m, n), f32("v", out, m, n), f32("g", in, m, n), f32("control", in, 8)},
		func(b kernels.Backend, x []kernels.Tensor) {
			b.AdamW(x[0], x[1], x[2], x[3], x[4], x[5], kernels.AdamW{})
		}},
	{"Muon", []operand{{name: "w", dtype: kernels.BF16, shape: []int{m, n}, role: out}, f32("master", out, m, n), f32("mom", out, m, n), f32("g", in, m, n), f32("scratch", out, kernels.MuonScratch(m, n)).free(), f32("control", in, 8)},
		func(b kernels.Backend, x []kernels.Tensor) {
			b.Muon(x[0], x[1], x[2], x[3], x[4], x[5], kernels.Muon{})
		}},
	{"KVAppend", []operand{f32("kcache", out, 8, n), f32("vcache", out, 8, n), f32("k", in, m, n), f32("v", in, m, n), i32("slot", in, m)},
		func(b kernels.Backend, x []kernels.Tensor) { b.KVAppend(x[0], x[1], x[2], x[3], x[4]) }},
	{"PagedAttention", []operand{f32("o", out, m, 12), f32("q", in, m, 12), f32("kcache", in, 8, 6), f32("vcache", in, 8, 6), i32("table", in, 2, 2).free(), i32("seq", in, m), i32("pos", in, m)},
		func(b kernels.Backend, x []kernels.Tensor) {
			b.PagedAttention(x[0], x[1], x[2], x[3], x[4], x[5], x[6], 4, geometry)
		}},
	{"Sample", []operand{i32("next", out, m), f32("logp", out, m), f32("logits", in, m, 8), f32("params", in, m, kernels.SampleParams), {name: "seen", dtype: kernels.U8, shape: []int{m, 8}, role: maybeIn}},
		func(b kernels.Backend, x []kernels.Tensor) { b.Sample(x[0], x[1], x[2], x[3], x[4], vocab) }},
}

func (c call) tensors() (x []kernels.Tensor) {
	for _, o := range c.operands {
		x = append(x, o.tensor())
	}
	return x
}

// check is kernels.Check of the call, after a change of its operands.
func (c call) check(change func(x []kernels.Tensor)) error {
	x := c.tensors()
	if change != nil {
		change(x)
	}
	return kernels.Check(func(b kernels.Backend) { c.do(b, x) })
}

// refused asserts that an error names the operation.
func (c call) refused(t *testing.T, err error, what ...string) {
	t.Helper()
	assert.ErrorContains(t, err, c.op+": ", strings.Join(what, " "))
}

func TestCheckAcceptsGoodCalls(t *testing.T) {
	for _, c := range calls {
		assert.NoError(t, c.check(nil), c.op)
		assert.NoError(t, c.check(func(x []kernels.Tensor) {
			for i, o := range c.operands {
				if o.role == maybeIn || o.role == maybeOut {
					x[i] = kernels.Tensor{}
				}
			}
		}), "%s without what may be absent", c.op)
	}
}

func TestCheckRefusesOperandsThatAreMissingWrongOrOutside(t *testing.T) {
	for _, c := range calls {
		for i, o := range c.operands {
			if o.role == in || o.role == out {
				c.refused(t, c.check(func(x []kernels.Tensor) { x[i] = kernels.Tensor{} }), "no", o.name)
			}
			wrong := o
			wrong.dtype = kernels.F16 // nothing but Copy reads it
			if c.op == "Copy" {
				wrong.dtype = kernels.U8
			}
			c.refused(t, c.check(func(x []kernels.Tensor) { x[i] = wrong.tensor() }), o.name, "of a wrong dtype")
			if !o.loose {
				wrong = o
				wrong.shape = slices.Clone(o.shape)
				wrong.shape[len(wrong.shape)-1]++
				c.refused(t, c.check(func(x []kernels.Tensor) { x[i] = wrong.tensor() }), o.name, "with a column more")
			}
			c.refused(t, c.check(func(x []kernels.Tensor) { x[i].Off++ }), o.name, "beyond its buffer")
			c.refused(t, c.check(func(x []kernels.Tensor) { x[i].Off = -1 }), o.name, "before its buffer")
			if len(o.shape) > 1 {
				c.refused(t, c.check(func(x []kernels.Tensor) { x[i].Stride-- }), o.name, "with rows that overlap")
			}
			c.refused(t, c.check(func(x []kernels.Tensor) { x[i].Shape = kernels.Shape{-1, 2} }), o.name, "of a negative extent")
		}
	}
}

// Two operands of a call, of which at least one is an output, overlap without being the same.
func TestCheckRefusesOverlaps(t *testing.T) {
	for _, c := range calls {
		for i, o := range c.operands {
			for j, p := range c.operands {
				writes := o.role == out || o.role == maybeOut
				reads := p.role == in || p.role == maybeIn
				if i == j || !writes || !reads && j < i {
					continue
				}
				err := c.check(func(x []kernels.Tensor) {
					shared := &host{1 << 12}
					x[i].Buf, x[j].Buf = shared, shared
					x[i].Off, x[j].Off = 128/x[i].DType.Size(), 128/x[j].DType.Size()+1
				})
				c.refused(t, err, o.name, "overlaps", p.name)
			}
		}
	}
}

func TestCheckRefusesWrongNumbers(t *testing.T) {
	byName := map[string]call{}
	for _, c := range calls {
		byName[c.op] = c
	}
	for _, w := range []struct {
		op, what string
		do       func(b kernels.Backend, x []kernels.Tensor)
	}{
		{"Activate", "function", func(b kernels.Backend, x []kernels.Tensor) { b.Activate(x[0], x[1], kernels.Tanh+1) }},
		{"ActivateGrad", "function", func(b kernels.Backend, x []kernels.Tensor) { b.ActivateGrad(x[0], x[1], x[2], kernels.Tanh+1) }},
		{"Linear", "function", func(b kernels.Backend, x []kernels.Tensor) {
			b.Linear(x[0], x[1], x[2], kernels.Epilogue{Act: kernels.Tanh + 1})
		}},
		{"LinearDX", "bias", func(b kernels.Backend, x []kernels.Tensor) {
			b.LinearDX(x[0], x[1], x[2], kernels.Epilogue{Bias: x[3]})
		}},
		{"LinearDX", "pre without a function", func(b kernels.Backend, x []kernels.Tensor) { b.LinearDX(x[0], x[1], x[2], kernels.Epilogue{Pre: x[3]}) }},
		{"LinearDX", "function without pre", func(b kernels.Backend, x []kernels.Tensor) {
			b.LinearDX(x[0], x[1], x[2], kernels.Epilogue{Act: kernels.SiLU})
		}},
		{"Dropout", "certainty", func(b kernels.Backend, x []kernels.Tensor) { b.Dropout(x[0], x[1], x[2], 1, 0, 1) }},
		{"Dropout", "negative probability", func(b kernels.Backend, x []kernels.Tensor) { b.Dropout(x[0], x[1], x[2], -0.1, 0, 1) }},
		{"Dropout", "parts of samples", func(b kernels.Backend, x []kernels.Tensor) { b.Dropout(x[0], x[1], x[2], 0.1, 0, 2) }},
		{"Dropout", "no rows", func(b kernels.Backend, x []kernels.Tensor) { b.Dropout(x[0], x[1], x[2], 0.1, 0, 0) }},
		{"RoPE", "too many heads", func(b kernels.Backend, x []kernels.Tensor) { b.RoPE(x[0], x[1], x[2], x[3], 3, false) }},
		{"RoPE", "odd heads", func(b kernels.Backend, x []kernels.Tensor) {
			b.RoPE(x[0], x[1], f32("table", in, k, 3).tensor(), x[3], 1, false)
		}},
		{"LayerNorm", "r without sum", func(b kernels.Backend, x []kernels.Tensor) {
			b.LayerNorm(x[0], kernels.Tensor{}, x[2], x[3], x[4], x[5], x[6], 0)
		}},
		{"RMSNorm", "sum without r", func(b kernels.Backend, x []kernels.Tensor) {
			b.RMSNorm(x[0], x[1], x[2], x[3], kernels.Tensor{}, x[5], 0)
		}},
		{"Attention", "heads that do not divide", func(b kernels.Backend, x []kernels.Tensor) {
			b.Attention(x[0], x[1], x[2], x[3], x[4], x[5], x[6], kernels.Attn{Heads: 4, KVHeads: 3, HeadDim: 2})
		}},
		{"Attention", "sequences of other lengths", func(b kernels.Backend, x []kernels.Tensor) {
			b.Attention(x[0], x[1], x[2], x[3].Reshape(k, 2, 6), x[4].Reshape(k, 2, 6), x[5], x[6], geometry)
		}},
		{"AttentionGrad", "no heads", func(b kernels.Backend, x []kernels.Tensor) {
			b.AttentionGrad(x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], x[8], x[9], x[10], x[11], kernels.Attn{})
		}},
		{"LinearLogProb", "no vocabulary", func(b kernels.Backend, x []kernels.Tensor) {
			b.LinearLogProb(x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], 0)
		}},
		{"LinearLogProbGrad", "too large a vocabulary", func(b kernels.Backend, x []kernels.Tensor) {
			b.LinearLogProbGrad(x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], x[8], x[9], x[10], 9, true)
		}},
		{"GradNorm", "negative limit", func(b kernels.Backend, x []kernels.Tensor) { b.GradNorm(x[0], x[1], -1) }},
		{"AdamW", "f32 with a master", func(b kernels.Backend, x []kernels.Tensor) {
			b.AdamW(f32("w", out, m, n).tensor(), x[1], x[2], x[3], x[4], x[5], kernels.AdamW{})
		}},
		{"AdamW", "bf16 without a master", func(b kernels.Backend, x []kernels.Tensor) {
			b.AdamW(x[0], kernels.Tensor{}, x[2], x[3], x[4], x[5], kernels.AdamW{})
		}},
		{"Muon", "little scratch", func(b kernels.Backend, x []kernels.Tensor) {
			b.Muon(x[0], x[1], x[2], x[3], f32("scratch", out, kernels.MuonScratch(m, n)-1).tensor(), x[5], kernels.Muon{})
		}},
		{"PagedAttention", "parts of pages", func(b kernels.Backend, x []kernels.Tensor) {
			b.PagedAttention(x[0], x[1], x[2], x[3], x[4], x[5], x[6], 3, geometry)
		}},
		{"PagedAttention", "no page", func(b kernels.Backend, x []kernels.Tensor) {
			b.PagedAttention(x[0], x[1], x[2], x[3], x[4], x[5], x[6], 0, geometry)
		}},
		{"Sample", "too large a vocabulary", func(b kernels.Backend, x []kernels.Tensor) { b.Sample(x[0], x[1], x[2], x[3], x[4], 9) }},
	} {
		c := byName[w.op]
		require.NotNil(t, c.do, w.op)
		c.do = w.do
		c.refused(t, c.check(nil), w.what)
	}
}

func TestCheckRefusesTransfersOfWrongSize(t *testing.T) {
	x := f32("x", in, m, n).tensor()
	for _, bytes := range []int{0, 4*m*n - 1, 4*m*n + 1} {
		assert.ErrorContains(t, kernels.Check(func(b kernels.Backend) { b.Upload(x, make([]byte, bytes)) }), "Upload: ")
		assert.ErrorContains(t, kernels.Check(func(b kernels.Backend) { b.Download(make([]byte, bytes), x) }), "Download: ")
	}
	assert.NoError(t, kernels.Check(func(b kernels.Backend) { b.Upload(x, make([]byte, 4*m*n)) }))
}

func TestCheckHasNoMemoryAndReturnsTheFirstError(t *testing.T) {
	err := kernels.Check(func(b kernels.Backend) {
		_, err := b.Alloc(1)
		assert.Error(t, err)
		assert.Equal(t, "check", b.Info().Kind)
		b.Add(kernels.Tensor{}, kernels.Tensor{}, kernels.Tensor{})
		b.Softmax(kernels.Tensor{}, kernels.Tensor{})
		assert.Error(t, b.Sync())
	})
	assert.ErrorContains(t, err, "Add: ")
}
