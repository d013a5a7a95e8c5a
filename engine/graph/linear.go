package graph

import "forja/kernels"

// LinearOptions are what a projection does besides x·wᵀ. The zero value does nothing.
type LinearOptions struct {
	Bias     *Node              // (N)
	Act      kernels.Activation // applied after the bias
	Residual *Node              // (M,N), added last
	Scale    float32            // multiplies the product; 0 means 1
	F32      bool               // store the result in F32, as logits for sampling are
}

// Linear is f(s·x·wᵀ + bias) + residual for x (…,K) and w (N,K).
func (g *Graph) Linear(x, w *Node, o LinearOptions) *Node {
	return g.apply(linear{o.Act, o.Scale, o.F32}, x, w, o.Bias, o.Residual)[0]
}

// LinearInto is y with s·x·wᵀ, w (hi-lo,K), added to its columns [lo, hi): how a low-rank update of q reaches a fused
// q, k, v projection. It works in place.
func (g *Graph) LinearInto(y, x, w *Node, lo, hi int, scale float32) *Node {
	return g.apply(linearInto{lo, hi, scale}, y, x, w)[0]
}

type (
	linear struct {
		act   kernels.Activation
		scale float32
		f32   bool
	}
	linearInto struct {
		lo, hi int
		scale  float32
	}
	// linearDX and linearDW read the columns [lo, hi) of dy, or all of them where hi is 0.
	linearDX struct {
		gradOp
		like   Type // of x
		lo, hi int
		scale  float32
	}
	linearDW struct {
		gradOp
		lo, hi int
		scale  float32
	}
	biasGrad struct{ gradOp }
)

func (linear) inPlace() (out, in int, must bool) { return 0, 3, false }
func (o linear) Infer(in []Type) ([]Type, error) {
	x, w := in[0], in[1]
	y := x.with(w.Shape.Rows())
	if o.f32 {
		y.DType = kernels.F32
	}
	out := []Type{y}
	if o.act != kernels.NoActivation {
		out = append(out, y)
	}
	if len(w.Shape) != 2 || x.Shape.Cols() != w.Shape.Cols() {
		return out, bad("x %v has inner dimension %d, w is %v", x.Shape, x.Shape.Cols(), w.Shape)
	}
	return out, nil
}

func (o linear) Grad(g *Graph, c *Call, dy []*Node) ([]*Node, error) {
	x, w := c.In[0], c.In[1]
	d := dy[0]
	dx := make([]*Node, 4)
	if c.In[3] != nil {
		dx[3] = d
	}
	if o.act != kernels.NoActivation {
		d = g.apply(activateGrad{f: o.act}, d, c.Out[1])[0]
	}
	if c.Needs(1) {
		dx[1] = g.apply(linearDW{scale: o.scale}, d, x)[0]
	}
	if c.In[2] != nil && c.Needs(2) {
		dx[2] = g.apply(biasGrad{}, d)[0]
	}
	if c.Needs(0) {
		dx[0] = g.apply(linearDX{like: x.Type, scale: o.scale}, d, w, nil)[0]
	}
	return dx, nil
}

func (o linear) Bind(b Binding) Kernel {
	y, x, w := b.Y[0], b.X[0], b.X[1]
	e := kernels.Epilogue{Scale: o.scale, Bias: b.X[2], Act: o.act, Residual: b.X[3]}
	if o.act != kernels.NoActivation {
		e.Pre = b.Y[1]
	}
	return func(k kernels.Backend) { k.Linear(y, x, w, e) }
}

func (linearInto) inPlace() (out, in int, must bool) { return 0, 0, true }
func (o linearInto) Infer(in []Type) ([]Type, error) {
	y, x, w := in[0], in[1], in[2]
	if o.lo < 0 || o.hi > y.Shape.Cols() || w.Shape.Rows() != o.hi-o.lo || x.Shape.Cols() != w.Shape.Cols() {
		return in[:1], bad("x %v and w %v do not fit columns [%d,%d) of %v", x.Shape, w.Shape, o.lo, o.hi, y.Shape)
	}
	return in[:1], nil
}
func (o linearInto) Grad(g *Graph, c *Call, dy []*Node) ([]*Node, error) {
	x, w := c.In[1], c.In[2]
	dx := []*Node{dy[0], nil, nil}
	if c.Needs(2) {
		dx[2] = g.apply(linearDW{lo: o.lo, hi: o.hi, scale: o.scale}, dy[0], x)[0]
	}
	if c.Needs(1) {
		dx[1] = g.apply(linearDX{like: x.Type, lo: o.lo, hi: o.hi, scale: o.scale}, dy[0], w, nil)[0]
	}
	return dx, nil
}
func (o linearInto) Bind(b Binding) Kernel {
	y, x, w := b.Y[0].Columns(o.lo, o.hi), b.X[1], b.X[2]
	e := kernels.Epilogue{Scale: o.scale, Residual: y}
	return func(k kernels.Backend) { k.Linear(y, x, w, e) }
}

func columns(t kernels.Tensor, lo, hi int) kernels.Tensor {
	if hi == 0 {
		return t
	}
	return t.Columns(lo, hi)
}

func (linearDX) inPlace() (out, in int, must bool) { return 0, 2, false }
func (o linearDX) Infer(in []Type) ([]Type, error) { return []Type{o.like}, nil }
func (linearDX) absorb(c *Call, have *Node) bool {
	if c.In[2] != nil || have.DType != c.Out[0].DType {
		return false
	}
	c.In[2] = have
	return true
}
func (o linearDX) Bind(b Binding) Kernel {
	dx, dy, w := b.Y[0], columns(b.X[0], o.lo, o.hi), b.X[1]
	e := kernels.Epilogue{Scale: o.scale, Residual: b.X[2]}
	return func(k kernels.Backend) { k.LinearDX(dx, dy, w, e) }
}

func (linearDW) accumulates() int { return 0 }
func (o linearDW) Infer(in []Type) ([]Type, error) {
	n := in[0].Shape.Cols()
	if o.hi != 0 {
		n = o.hi - o.lo
	}
	return []Type{{kernels.Shape{n, in[1].Shape.Cols()}, kernels.F32}}, nil
}
func (o linearDW) Bind(b Binding) Kernel {
	dw, dy, x, acc := b.Y[0], columns(b.X[0], o.lo, o.hi), b.X[1], b.Accumulate
	return func(k kernels.Backend) { k.LinearDW(dw, dy, x, o.scale, acc) }
}

func (biasGrad) accumulates() int { return 0 }
func (biasGrad) Infer(in []Type) ([]Type, error) {
	return []Type{{kernels.Shape{in[0].Shape.Cols()}, kernels.F32}}, nil
}
func (biasGrad) Bind(b Binding) Kernel {
	db, dy, acc := b.Y[0], b.X[0], b.Accumulate
	return func(k kernels.Backend) { k.BiasGrad(db, dy, acc) }
}
