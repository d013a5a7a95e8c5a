package graph

import "forja/kernels"

// same is the shape rule of element-wise ops of one or more equal shapes; the result has the first one's dtype.
func same(in []Type) ([]Type, error) {
	for _, t := range in[1:] {
		if !t.Shape.Equal(in[0].Shape) {
			return in[:1], bad("shapes %v and %v differ", in[0].Shape, t.Shape)
		}
	}
	return in[:1], nil
}

// Cast is x stored as dtype d.
func (g *Graph) Cast(x *Node, d kernels.DType) *Node { return g.apply(cast{d}, x)[0] }

type cast struct{ d kernels.DType }

func (o cast) Infer(in []Type) ([]Type, error) { return []Type{{in[0].Shape, o.d}}, nil }
func (o cast) Grad(g *Graph, c *Call, dy []*Node) ([]*Node, error) {
	if c.In[0].DType == o.d {
		return dy, nil
	}
	return []*Node{g.Cast(dy[0], c.In[0].DType)}, nil
}
func (o cast) Bind(b Binding) Kernel {
	y, x := b.Y[0], b.X[0]
	return func(k kernels.Backend) { k.Copy(y, x) }
}

// Add is x + y.
func (g *Graph) Add(x, y *Node) *Node { return g.apply(add{}, x, y)[0] }

type add struct{}

func (add) inPlace() (out, in int, must bool)                   { return 0, 0, false }
func (add) Infer(in []Type) ([]Type, error)                     { return same(in) }
func (add) Grad(_ *Graph, _ *Call, dy []*Node) ([]*Node, error) { return []*Node{dy[0], dy[0]}, nil }
func (add) Bind(b Binding) Kernel {
	z, x, y := b.Y[0], b.X[0], b.X[1]
	return func(k kernels.Backend) { k.Add(z, x, y) }
}

// Activate is f(x).
func (g *Graph) Activate(x *Node, f kernels.Activation) *Node { return g.apply(activate{f}, x)[0] }

type (
	activate     struct{ f kernels.Activation }
	activateGrad struct {
		gradOp
		f kernels.Activation
	}
)

func (activate) Infer(in []Type) ([]Type, error) { return in[:1], nil }
func (o activate) Grad(g *Graph, c *Call, dy []*Node) ([]*Node, error) {
	return g.apply(activateGrad{f: o.f}, dy[0], c.In[0]), nil
}
func (o activate) Bind(b Binding) Kernel {
	y, x := b.Y[0], b.X[0]
	return func(k kernels.Backend) { k.Activate(y, x, o.f) }
}

func (activateGrad) inPlace() (out, in int, must bool) { return 0, 0, false }
func (activateGrad) Infer(in []Type) ([]Type, error)   { return same(in) }
func (o activateGrad) Bind(b Binding) Kernel {
	dx, dy, x := b.Y[0], b.X[0], b.X[1]
	return func(k kernels.Backend) { k.ActivateGrad(dx, dy, x, o.f) }
}

// SwiGLU is SiLU(gate)·up for x = [gate | up], the halves of its columns.
func (g *Graph) SwiGLU(x *Node) *Node { return g.apply(swiglu{}, x)[0] }

type (
	swiglu     struct{}
	swigluGrad struct{ gradOp }
)

func halves(x kernels.Tensor) (gate, up kernels.Tensor) {
	n := x.Cols()
	return x.Columns(0, n/2), x.Columns(n/2, n)
}

func (swiglu) Infer(in []Type) ([]Type, error) {
	n := in[0].Shape.Cols()
	if n%2 != 0 {
		return in, bad("%d columns have no halves", n)
	}
	return []Type{in[0].with(n / 2)}, nil
}
func (swiglu) Grad(g *Graph, c *Call, dy []*Node) ([]*Node, error) {
	return g.apply(swigluGrad{}, dy[0], c.In[0]), nil
}
func (swiglu) Bind(b Binding) Kernel {
	y := b.Y[0]
	gate, up := halves(b.X[0])
	return func(k kernels.Backend) { k.SwiGLU(y, gate, up) }
}

func (swigluGrad) inPlace() (out, in int, must bool) { return 0, 1, false }
func (swigluGrad) Infer(in []Type) ([]Type, error)   { return in[1:2], nil }
func (swigluGrad) Bind(b Binding) Kernel {
	dy := b.X[0]
	dgate, dup := halves(b.Y[0])
	gate, up := halves(b.X[1])
	return func(k kernels.Backend) { k.SwiGLUGrad(dgate, dup, dy, gate, up) }
}

// Dropout zeroes each element with probability p and scales the rest by 1/(1-p). rng is a random block; site tells
// the dropouts of one model apart; rows is the number of x's rows that make one sample.
func (g *Graph) Dropout(x, rng *Node, p float32, site uint32, rows int) *Node {
	return g.apply(dropout{p, site, rows}, x, rng)[0]
}

type dropout struct {
	p    float32
	site uint32
	rows int
}

func (dropout) inPlace() (out, in int, must bool) { return 0, 0, false }
func (dropout) Infer(in []Type) ([]Type, error)   { return in[:1], nil }
func (o dropout) Grad(g *Graph, c *Call, dy []*Node) ([]*Node, error) {
	return []*Node{g.Dropout(dy[0], c.In[1], o.p, o.site, o.rows), nil}, nil
}
func (o dropout) Bind(b Binding) Kernel {
	y, x, rng := b.Y[0], b.X[0], b.X[1]
	return func(k kernels.Backend) { k.Dropout(y, x, rng, o.p, o.site, o.rows) }
}

// RoPE rotates the first heads of x's columns by the angles of pos: see kernels.Elementwise.
func (g *Graph) RoPE(x, table, pos *Node, heads int) *Node {
	return g.apply(rope{heads, false}, x, table, pos)[0]
}

type rope struct {
	heads   int
	inverse bool
}

func (rope) inPlace() (out, in int, must bool) { return 0, 0, false }
func (o rope) Infer(in []Type) ([]Type, error) {
	if d := in[1].Shape.Cols(); o.heads*d > in[0].Shape.Cols() {
		return in[:1], bad("%d heads of %d do not fit %d columns", o.heads, d, in[0].Shape.Cols())
	}
	return in[:1], nil
}
func (o rope) Grad(g *Graph, c *Call, dy []*Node) ([]*Node, error) {
	return []*Node{g.apply(rope{o.heads, !o.inverse}, dy[0], c.In[1], c.In[2])[0], nil, nil}, nil
}
func (o rope) Bind(b Binding) Kernel {
	y, x, table, pos := b.Y[0], b.X[0], b.X[1], b.X[2]
	return func(k kernels.Backend) { k.RoPE(y, x, table, pos, o.heads, o.inverse) }
}

// Softmax is the softmax of each row.
func (g *Graph) Softmax(x *Node) *Node { return g.apply(softmax{}, x)[0] }

type (
	softmax     struct{}
	softmaxGrad struct{ gradOp }
)

func (softmax) inPlace() (out, in int, must bool) { return 0, 0, false }
func (softmax) Infer(in []Type) ([]Type, error)   { return in[:1], nil }
func (softmax) Grad(g *Graph, c *Call, dy []*Node) ([]*Node, error) {
	return g.apply(softmaxGrad{}, dy[0], c.Out[0]), nil
}
func (softmax) Bind(b Binding) Kernel {
	y, x := b.Y[0], b.X[0]
	return func(k kernels.Backend) { k.Softmax(y, x) }
}

func (softmaxGrad) inPlace() (out, in int, must bool) { return 0, 0, false }
func (softmaxGrad) Infer(in []Type) ([]Type, error)   { return same(in) }
func (softmaxGrad) Bind(b Binding) Kernel {
	dx, dy, y := b.Y[0], b.X[0], b.X[1]
	return func(k kernels.Backend) { k.SoftmaxGrad(dx, dy, y) }
}

// Embed is table[idx], with the axes of idx and then a row's columns.
func (g *Graph) Embed(table, idx *Node) *Node { return g.apply(embed{}, table, idx)[0] }

// EmbedAdd is x + table[idx].
func (g *Graph) EmbedAdd(x, table, idx *Node) *Node { return g.apply(embedAdd{}, x, table, idx)[0] }

type (
	embed     struct{}
	embedAdd  struct{}
	embedGrad struct {
		gradOp
		table Type
	}
)

func (embed) Infer(in []Type) ([]Type, error) {
	return []Type{{append(append(kernels.Shape{}, in[1].Shape...), in[0].Shape.Cols()), in[0].DType}}, nil
}
func (embed) Grad(g *Graph, c *Call, dy []*Node) ([]*Node, error) {
	return []*Node{g.apply(embedGrad{table: c.In[0].Type}, dy[0], c.In[1])[0], nil}, nil
}
func (embed) Bind(b Binding) Kernel {
	y, table, idx := b.Y[0], b.X[0], b.X[1]
	return func(k kernels.Backend) { k.Embed(y, table, idx, false) }
}

func (embedAdd) inPlace() (out, in int, must bool) { return 0, 0, true }
func (embedAdd) Infer(in []Type) ([]Type, error)   { return in[:1], nil }
func (embedAdd) Grad(g *Graph, c *Call, dy []*Node) ([]*Node, error) {
	dx := []*Node{dy[0], nil, nil}
	if c.Needs(1) {
		dx[1] = g.apply(embedGrad{table: c.In[1].Type}, dy[0], c.In[2])[0]
	}
	return dx, nil
}
func (embedAdd) Bind(b Binding) Kernel {
	y, table, idx := b.Y[0], b.X[1], b.X[2]
	return func(k kernels.Backend) { k.Embed(y, table, idx, true) }
}

func (embedGrad) accumulates() int { return 0 }
func (o embedGrad) Infer(in []Type) ([]Type, error) {
	return []Type{{o.table.Shape, kernels.F32}}, nil
}
func (embedGrad) Bind(b Binding) Kernel {
	dtable, dy, idx, acc := b.Y[0], b.X[0], b.X[1], b.Accumulate
	return func(k kernels.Backend) { k.EmbedGrad(dtable, dy, idx, acc) }
}
