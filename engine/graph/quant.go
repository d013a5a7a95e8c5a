package graph

import "forja/kernels"

// LinearQuant is Linear for quantised weights of (N,K), which are not trained: packed is U8 (N,q.Width(K)), scales F32
// (N,K/q.Block()). See [kernels.Quant].
func (g *Graph) LinearQuant(x, packed, scales *Node, q kernels.Quant, o LinearOptions) *Node {
	return g.apply(linearQuant{q, linear{o.Act, o.Scale, o.F32}}, x, packed, scales, o.Bias, o.Residual)[0]
}

type (
	linearQuant struct {
		q kernels.Quant
		linear
	}
	linearQuantDX struct {
		gradOp
		q     kernels.Quant
		like  Type // of x
		scale float32
	}
)

func (linearQuant) inPlace() (out, in int, must bool) { return 0, 4, false }
func (o linearQuant) Infer(in []Type) ([]Type, error) {
	x, w, scales := in[0], in[1], in[2]
	n, k := w.Shape.Rows(), x.Shape.Cols()
	y := x.with(n)
	if o.f32 {
		y.DType = kernels.F32
	}
	out := []Type{y}
	if o.act != kernels.NoActivation {
		out = append(out, y)
	}
	if k%o.q.Block() != 0 || !w.Shape.Equal(kernels.Shape{n, o.q.Width(k)}) || !scales.Shape.Equal(kernels.Shape{n, k / o.q.Block()}) {
		return out, bad("x %v has inner dimension %d, the %v weights are %v with scales %v", x.Shape, k, o.q, w.Shape, scales.Shape)
	}
	return out, nil
}

func (o linearQuant) Grad(g *Graph, c *Call, dy []*Node) ([]*Node, error) {
	if c.Needs(1) || c.Needs(2) {
		return nil, bad("quantised weights cannot be trained: train an adapter beside them")
	}
	x, d := c.In[0], dy[0]
	dx := make([]*Node, 5)
	if c.In[4] != nil {
		dx[4] = d
	}
	if o.act != kernels.NoActivation {
		d = g.apply(activateGrad{f: o.act}, d, c.Out[1])[0]
	}
	if c.In[3] != nil && c.Needs(3) {
		dx[3] = g.apply(biasGrad{}, d)[0]
	}
	if c.Needs(0) {
		dx[0] = g.apply(linearQuantDX{q: o.q, like: x.Type, scale: o.scale}, d, c.In[1], c.In[2], nil)[0]
	}
	return dx, nil
}

func (o linearQuant) Bind(b Binding) Kernel {
	y, x, w, scales := b.Y[0], b.X[0], b.X[1], b.X[2]
	e := kernels.Epilogue{Scale: o.scale, Bias: b.X[3], Act: o.act, Residual: b.X[4]}
	if o.act != kernels.NoActivation {
		e.Pre = b.Y[1]
	}
	return func(k kernels.Backend) { k.LinearQuant(y, x, w, scales, o.q, e) }
}

func (linearQuantDX) inPlace() (out, in int, must bool) { return 0, 3, false }
func (o linearQuantDX) Infer(in []Type) ([]Type, error) { return []Type{o.like}, nil }
func (linearQuantDX) absorb(c *Call, have *Node) bool {
	if c.In[3] != nil || have.DType != c.Out[0].DType {
		return false
	}
	c.In[3] = have
	return true
}
func (o linearQuantDX) Bind(b Binding) Kernel {
	dx, dy, w, scales := b.Y[0], b.X[0], b.X[1], b.X[2]
	e := kernels.Epilogue{Scale: o.scale, Residual: b.X[3]}
	return func(k kernels.Backend) { k.LinearQuantDX(dx, dy, w, scales, o.q, e) }
}
