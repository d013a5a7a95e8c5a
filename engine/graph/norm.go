package graph

import "forja/kernels"

// LayerNorm normalises each row of x to mean 0 and variance 1, times w plus b.
func (g *Graph) LayerNorm(x, w, b *Node, eps float32) *Node {
	return g.apply(layerNorm{eps}, x, w, b)[0]
}

// RMSNorm divides each row of x by its root mean square, times w.
func (g *Graph) RMSNorm(x, w *Node, eps float32) *Node {
	return g.apply(rmsNorm{eps}, x, w)[0]
}

type (
	layerNorm     struct{ eps float32 }
	rmsNorm       struct{ eps float32 }
	layerNormGrad struct{ normGrad }
	rmsNormGrad   struct{ normGrad }
	// normGrad reads dy, h, w, stats and a residual gradient; it writes dx and the accumulators dw and, of LayerNorm, db.
	normGrad struct {
		gradOp
		dx, dw bool // wanted
	}
)

func (layerNorm) Infer(in []Type) ([]Type, error) {
	x, w, b := in[0], in[1], in[2]
	out := []Type{x, {kernels.Shape{x.Shape.Rows(), 2}, kernels.F32}}
	if n := x.Shape.Cols(); w.Shape.Size() != n || b.Shape.Size() != n {
		return out, bad("x %v with w %v and b %v", x.Shape, w.Shape, b.Shape)
	}
	return out, nil
}
func (layerNorm) Grad(g *Graph, c *Call, dy []*Node) ([]*Node, error) {
	o := layerNormGrad{normGrad{dx: c.Needs(0), dw: c.Needs(1) || c.Needs(2)}}
	return g.apply(o, dy[0], c.In[0], c.In[1], c.Out[1], nil), nil
}
func (o layerNorm) Bind(b Binding) Kernel {
	y, stats, x, w, bias := b.Y[0], b.Y[1], b.X[0], b.X[1], b.X[2]
	none := kernels.Tensor{}
	return func(k kernels.Backend) { k.LayerNorm(y, none, stats, x, none, w, bias, o.eps) }
}

func (rmsNorm) Infer(in []Type) ([]Type, error) {
	x, w := in[0], in[1]
	out := []Type{x, {kernels.Shape{x.Shape.Rows()}, kernels.F32}}
	if w.Shape.Size() != x.Shape.Cols() {
		return out, bad("x %v with w %v", x.Shape, w.Shape)
	}
	return out, nil
}
func (rmsNorm) Grad(g *Graph, c *Call, dy []*Node) ([]*Node, error) {
	o := rmsNormGrad{normGrad{dx: c.Needs(0), dw: c.Needs(1)}}
	return g.apply(o, dy[0], c.In[0], c.In[1], c.Out[1], nil)[:2], nil
}
func (o rmsNorm) Bind(b Binding) Kernel {
	y, rstd, x, w := b.Y[0], b.Y[1], b.X[0], b.X[1]
	none := kernels.Tensor{}
	return func(k kernels.Backend) { k.RMSNorm(y, none, rstd, x, none, w, o.eps) }
}

func (normGrad) accumulates() int                  { return 1 }
func (normGrad) inPlace() (out, in int, must bool) { return 0, 4, false }
func (normGrad) Infer(in []Type) ([]Type, error) {
	w := Type{in[2].Shape, kernels.F32}
	return []Type{in[1], w, w}, nil
}
func (normGrad) absorb(c *Call, have *Node) bool {
	if c.In[4] != nil || have.DType != c.Out[0].DType {
		return false
	}
	c.In[4] = have
	return true
}

// outputs leaves out what nobody wants.
func (o normGrad) outputs(b Binding) (dx, dw, db kernels.Tensor) {
	if o.dx {
		dx = b.Y[0]
	}
	if o.dw {
		dw, db = b.Y[1], b.Y[2]
	}
	return dx, dw, db
}

func (o layerNormGrad) Bind(b Binding) Kernel {
	dx, dw, db := o.outputs(b)
	dy, h, w, stats, res, acc := b.X[0], b.X[1], b.X[2], b.X[3], b.X[4], b.Accumulate
	return func(k kernels.Backend) { k.LayerNormGrad(dx, dw, db, dy, h, w, stats, res, acc) }
}

func (o rmsNormGrad) Bind(b Binding) Kernel {
	dx, dw, _ := o.outputs(b)
	dy, h, w, rstd, res, acc := b.X[0], b.X[1], b.X[2], b.X[3], b.X[4], b.Accumulate
	return func(k kernels.Backend) { k.RMSNormGrad(dx, dw, dy, h, w, rstd, res, acc) }
}
