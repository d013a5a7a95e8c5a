package graph

import "forja/kernels"

// GradNorm stores ‖grad‖ and the factor that clips it to limit in the control block. grad is a flat Var.
func (g *Graph) GradNorm(control, grad *Var, limit float32) {
	g.effect(gradNorm{limit: limit}, []*Var{control}, g.Leaf(control), g.Leaf(grad))
}

// AdamW updates w, a flat Var or a matrix, by one step. master is nil where w is F32.
func (g *Graph) AdamW(w, master, m, v, grad, control *Var, p kernels.AdamW) {
	writes := []*Var{w, m, v}
	var leaf *Node
	if master != nil {
		writes, leaf = append(writes, master), g.Leaf(master)
	}
	g.effect(adamW{p: p}, writes, g.Leaf(w), leaf, g.Leaf(m), g.Leaf(v), g.Leaf(grad), g.Leaf(control))
}

// Muon updates the rows [lo, hi) of the matrix w by one step.
func (g *Graph) Muon(w, master, mom, grad, control *Var, lo, hi int, p kernels.Muon) {
	writes := []*Var{w, mom}
	var leaf *Node
	if master != nil {
		writes, leaf = append(writes, master), g.Leaf(master)
	}
	g.effect(muon{lo: lo, hi: hi, p: p}, writes, g.Leaf(w), leaf, g.Leaf(mom), g.Leaf(grad), g.Leaf(control))
}

type (
	gradNorm struct {
		effectOp
		limit float32
	}
	adamW struct {
		effectOp
		p kernels.AdamW
	}
	muon struct {
		effectOp
		lo, hi int
		p      kernels.Muon
	}
)

func (gradNorm) Infer(in []Type) ([]Type, error) { return nil, nil }
func (o gradNorm) Bind(b Binding) Kernel {
	control, grad := b.X[0], b.X[1]
	return func(k kernels.Backend) { k.GradNorm(control, grad, o.limit) }
}

func (adamW) Infer(in []Type) ([]Type, error) {
	for _, i := range []int{2, 3, 4} {
		if in[i].Shape.Size() != in[0].Shape.Size() {
			return nil, bad("w %v with a moment or gradient %v", in[0].Shape, in[i].Shape)
		}
	}
	return nil, nil
}
func (o adamW) Bind(b Binding) Kernel {
	x := b.X
	return func(k kernels.Backend) { k.AdamW(x[0], x[1], x[2], x[3], x[4], x[5], o.p) }
}

func (o muon) Infer(in []Type) ([]Type, error) {
	w := in[0].Shape
	if len(w) != 2 || o.lo < 0 || o.hi > w[0] || o.lo >= o.hi {
		return nil, bad("rows [%d,%d) of %v", o.lo, o.hi, w)
	}
	return []Type{{kernels.Shape{kernels.MuonScratch(o.hi-o.lo, w[1])}, kernels.F32}}, nil
}
func (o muon) Bind(b Binding) Kernel {
	rows := func(t kernels.Tensor) kernels.Tensor {
		if t.Nil() {
			return t
		}
		return t.RowRange(o.lo, o.hi)
	}
	w, master, mom, grad, control, scratch := rows(b.X[0]), rows(b.X[1]), rows(b.X[2]), rows(b.X[3]), b.X[4], b.Y[0]
	return func(k kernels.Backend) { k.Muon(w, master, mom, grad, scratch, control, o.p) }
}

// Fill sets a Var to a constant.
func (g *Graph) Fill(v *Var, x float32) { g.effect(fill{x: x}, []*Var{v}, g.Leaf(v)) }

type fill struct {
	effectOp
	x float32
}

func (fill) Infer(in []Type) ([]Type, error) { return nil, nil }
func (o fill) Bind(b Binding) Kernel {
	t := b.X[0]
	return func(k kernels.Backend) { k.Fill(t, o.x) }
}

// Sample draws a token a row from logits into next and logp: see kernels.Decoding. seen may be nil.
func (g *Graph) Sample(logits *Node, next, logp, params, seen *Var, vocab int) {
	var s *Node
	if seen != nil {
		s = g.Leaf(seen)
	}
	g.effect(sample{vocab: vocab}, []*Var{next, logp}, logits, g.Leaf(next), g.Leaf(logp), g.Leaf(params), s)
}

type sample struct {
	effectOp
	vocab int
}

func (sample) Infer(in []Type) ([]Type, error) { return nil, nil }
func (o sample) Bind(b Binding) Kernel {
	logits, next, logp, params, seen := b.X[0], b.X[1], b.X[2], b.X[3], b.X[4]
	return func(k kernels.Backend) { k.Sample(next, logp, logits, params, seen, o.vocab) }
}
