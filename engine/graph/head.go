package graph

import "forja/kernels"

// LogProbOptions are the options of a language-model head.
type LogProbOptions struct {
	Bias  *Node // (V')
	Vocab int   // columns that count; the rest of the head is padding. 0 means all
	Chunk int   // rows whose logits exist at a time; 0 means as many as make about 100 MiB
}

// LinearLogProb is the language-model head: for each position, the log-probability of its target, log Σ exp of the
// logits, and the entropy of the distribution (for reporting: it has no gradient). target is I32, below 0 where there
// is none. Whole logits never exist.
func (g *Graph) LinearLogProb(x, w, target *Node, o LogProbOptions) (logp, lse, entropy *Node) {
	head := logProb{vocab: o.Vocab, chunk: o.Chunk}
	if head.vocab == 0 {
		head.vocab = w.Shape.Rows()
	}
	if head.chunk == 0 {
		// The gradient of w is read and written once a chunk, so few large chunks, of equal size, are fast.
		rows := max(1, x.Shape.Rows())
		most := max(16, 26<<20/max(1, w.Shape.Rows()))
		chunks := (rows + most - 1) / most
		head.chunk = (rows + chunks - 1) / chunks
	}
	head.chunk = min(head.chunk, max(1, x.Shape.Rows()))
	out := g.apply(head, x, w, o.Bias, target)
	return out[0], out[1], out[2]
}

type (
	logProb struct {
		vocab, chunk int
	}
	logProbGrad struct {
		gradOp
		headGrad
	}
	// logProbBoth stands in the place of a logProb whose cotangents are known beforehand.
	logProbBoth struct {
		gradOp
		headGrad
	}
	headGrad struct {
		logProb
		dx, dw, db bool // wanted
	}
)

// logits is the working memory of one chunk.
func (o logProb) logits(w Type) Type {
	return Type{kernels.Shape{o.chunk, w.Shape.Rows()}, kernels.F32}
}

func (o logProb) Infer(in []Type) ([]Type, error) {
	x, w, target := in[0], in[1], in[3]
	row := Type{target.Shape, kernels.F32}
	out := []Type{row, row, row, o.logits(w)}
	switch {
	case x.Shape.Cols() != w.Shape.Cols():
		return out, bad("x %v has inner dimension %d, the head is %v", x.Shape, x.Shape.Cols(), w.Shape)
	case x.Shape.Rows() != target.Shape.Size():
		return out, bad("x %v with %d targets", x.Shape, target.Shape.Size())
	case o.vocab > w.Shape.Rows():
		return out, bad("vocabulary of %d with a head of %d rows", o.vocab, w.Shape.Rows())
	}
	return out, nil
}

func (o logProb) want(c *Call) headGrad {
	return headGrad{o, c.Needs(0), c.Needs(1), c.In[2] != nil && c.Needs(2)}
}

func (o logProb) Grad(g *Graph, c *Call, dy []*Node) ([]*Node, error) {
	if dy[2] != nil {
		return nil, bad("the entropy is for reporting and has no gradient")
	}
	if dy[0] == nil {
		return nil, bad("log Σ exp alone cannot be differentiated: give logp a cotangent too, zero if need be")
	}
	x, w, bias, target := c.In[0], c.In[1], c.In[2], c.In[3]
	out := g.apply(logProbGrad{headGrad: o.want(c)}, dy[0], dy[1], x, w, bias, target, c.Out[1])
	return []*Node{out[0], out[1], out[2], nil}, nil
}

// fuse turns the call into one that computes the gradients as well.
func (o logProb) fuse(g *Graph, c *Call, dy []*Node) []*Node {
	if dy[0] == nil || dy[2] != nil {
		dx, err := o.Grad(g, c, dy)
		if err != nil {
			g.fail(c.Site, err)
		}
		return dx
	}
	both := logProbBoth{headGrad: o.want(c)}
	x, w := c.In[0], c.In[1]
	c.Op = both
	c.In = append(append([]*Node{}, c.In...), dy[0], dy[1])
	c.needs = append(append([]bool{}, c.needs...), false, false)
	for i, t := range both.types(x.Type, w.Type) {
		c.Out = append(c.Out, &Node{Type: t, call: c, out: 4 + i})
	}
	return []*Node{c.Out[4], c.Out[5], c.Out[6], nil}
}

func (o logProb) Bind(b Binding) Kernel {
	y, x := b.Y, b.X
	return func(k kernels.Backend) { k.LinearLogProb(y[0], y[1], y[2], y[3], x[0], x[1], x[2], x[3], o.vocab) }
}

// types of dx, dw and dbias; what nobody wants takes no memory.
func (o headGrad) types(x, w Type) []Type {
	none := Type{kernels.Shape{0}, kernels.F32}
	out := []Type{none, none, none}
	if o.dx {
		out[0] = x
	}
	if o.dw {
		out[1] = Type{w.Shape, kernels.F32}
	}
	if o.db {
		out[2] = Type{kernels.Shape{w.Shape.Rows()}, kernels.F32}
	}
	return out
}

// outputs leaves out what nobody wants.
func (o headGrad) outputs(y []kernels.Tensor) (dx, dw, db kernels.Tensor) {
	if o.dx {
		dx = y[0]
	}
	if o.dw {
		dw = y[1]
	}
	if o.db {
		db = y[2]
	}
	return dx, dw, db
}

func (logProbGrad) accumulates() int { return 1 }
func (o logProbGrad) Infer(in []Type) ([]Type, error) {
	return append(o.types(in[2], in[3]), o.logits(in[3])), nil
}
func (o logProbGrad) Bind(b Binding) Kernel {
	dx, dw, db := o.outputs(b.Y)
	logits, x, acc := b.Y[3], b.X, b.Accumulate
	return func(k kernels.Backend) {
		k.LinearLogProbGrad(dx, dw, db, logits, x[0], x[1], x[2], x[3], x[4], x[5], x[6], o.vocab, acc)
	}
}

func (logProbBoth) accumulates() int               { return 5 }
func (o logProbBoth) Infer([]Type) ([]Type, error) { return nil, bad("only fuse makes this op") }
func (o logProbBoth) Bind(b Binding) Kernel {
	dx, dw, db := o.outputs(b.Y[4:])
	y, x, acc := b.Y, b.X, b.Accumulate
	return func(k kernels.Backend) {
		k.LinearLogProbBoth(y[0], y[1], y[2], dx, dw, db, y[3], x[4], x[5], x[0], x[1], x[2], x[3], o.vocab, acc)
	}
}
