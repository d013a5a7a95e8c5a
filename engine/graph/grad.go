package graph

import (
	"fmt"
	"slices"

	"forja/kernels"
)

// A Cotangent says what the gradient of an output is: the value of a leaf that the host sets.
type Cotangent struct {
	Of *Node
	Is *Node
	// Known says that the leaf is set before the forward pass, as mask / tokens is in language modelling. The
	// log-probabilities and their gradient are then computed together, and the logits only once.
	Known bool
}

// Backward records the reverse pass from the outputs' cotangents to the gradients of params, which maps each trained
// parameter to the F32 Var that receives its gradient. It is called once, after the forward pass is recorded.
func (g *Graph) Backward(params map[*Var]*Var, cotangents ...Cotangent) {
	if g.err != nil {
		return
	}
	if g.forward >= 0 {
		g.fail(site(), fmt.Errorf("backward was recorded before"))
		return
	}
	g.forward, g.grads = len(g.calls), params
	r := reverse{g: g, need: map[*Node]bool{}, grad: map[*Node]*Node{}, known: map[*Node]bool{}, reached: map[*Var]bool{}}
	for _, c := range cotangents {
		if !c.Of.Shape.Equal(c.Is.Shape) {
			g.fail(c.Of.Site(), fmt.Errorf("the cotangent of %v has shape %v", c.Of.Shape, c.Is.Shape))
			return
		}
		r.grad[c.Of] = c.Is
		r.known[c.Of] = c.Known
	}
	if err := r.run(); err != nil {
		if g.err == nil {
			g.err = err
		}
		return
	}
	var missing []string
	for v := range params {
		if !r.reached[v] {
			missing = append(missing, v.Name)
		}
	}
	if len(missing) > 0 {
		g.fail(site(), fmt.Errorf("parameter %q does not influence the outputs", slices.Min(missing)))
	}
}

// reverse is the state of one reverse pass.
type reverse struct {
	g       *Graph
	need    map[*Node]bool  // does a trained parameter reach this value?
	grad    map[*Node]*Node // gradient so far, by forward value
	known   map[*Node]bool  // outputs whose cotangent is known before the forward pass
	reached map[*Var]bool   // parameters that have got a gradient

	segment int             // the segment being recomputed
	copies  map[*Node]*Node // its values -> their recomputed copies
}

func (r *reverse) run() error {
	forward := slices.Clone(r.g.calls)
	for _, c := range forward {
		c.needs = make([]bool, len(c.In))
		any := false
		for i, n := range c.In {
			c.needs[i] = n != nil && (r.need[n] || n.call == nil && r.g.grads[n.v] != nil)
			any = any || c.needs[i]
		}
		for _, n := range c.Out {
			r.need[n] = any
		}
	}
	for _, c := range slices.Backward(forward) {
		dy := make([]*Node, len(c.Out))
		live, known := false, true
		for i, n := range c.Out {
			dy[i] = r.grad[n]
			live = live || dy[i] != nil
			known = known && (dy[i] == nil || r.known[n])
		}
		if !live || !r.need[c.Out[0]] {
			continue
		}
		call := c
		if c.segment != 0 && r.g.Recompute {
			call = r.again(c, forward)
		}
		var dx []*Node
		var err error
		before := len(r.g.calls)
		if f, ok := c.Op.(interface {
			fuse(g *Graph, c *Call, dy []*Node) []*Node
		}); ok && known && call == c {
			dx = f.fuse(r.g, c, dy)
		} else {
			dx, err = call.Op.Grad(r.g, call, dy)
		}
		if err != nil {
			return fmt.Errorf("%s: %s: %w", c.Site, opName(c.Op), err)
		}
		for _, n := range r.g.calls[before:] {
			n.Site = c.Site // a gradient belongs to the model line of its forward call
		}
		r.contribute(c, dx, before)
	}
	return r.g.err
}

// contribute adds the gradients of a call's inputs to what other calls have contributed. Those that the call's Grad
// computed, rather than passed through, come from the calls recorded from number before on.
func (r *reverse) contribute(c *Call, dx []*Node, before int) {
	fresh := r.g.calls[before:]
	order := make([]int, 0, len(dx)) // what merely passes through comes first: fresh calls can absorb it
	for i, d := range dx {
		if d != nil && c.needs[i] && !slices.Contains(fresh, d.call) {
			order = append(order, i)
		}
	}
	for i, d := range dx {
		if d != nil && c.needs[i] && slices.Contains(fresh, d.call) {
			order = append(order, i)
		}
	}
	for _, i := range order {
		in, d := c.In[i], dx[i]
		if in.call == nil {
			r.reached[in.v] = true
			r.g.intoVar(r.g.grads[in.v], d, c)
			continue
		}
		have := r.grad[in]
		if have == nil {
			r.grad[in] = d
			continue
		}
		if absorbs(d, have, dx, r.g.calls[before:]) {
			r.grad[in] = d
			continue
		}
		r.grad[in] = r.g.Add(have, d)
		r.grad[in].call.Site = c.Site
	}
}

// intoVar directs a parameter's gradient to its Var: an accumulator writes there itself, anything else is added.
func (g *Graph) intoVar(dst *Var, d *Node, c *Call) {
	if d.Shape.Size() != dst.Shape.Size() {
		g.fail(c.Site, fmt.Errorf("gradient %v for %q of shape %v", d.Shape, dst.Name, dst.Shape))
		return
	}
	if d.call != nil {
		if a, ok := d.call.Op.(accumulator); ok && d.out >= a.accumulates() && d.v == nil {
			d.v = dst
			d.call.writes = append(d.call.writes, dst)
			return
		}
	}
	call := &Call{Op: addInto{}, In: []*Node{d}, Site: c.Site, writes: []*Var{dst}}
	call.Out = []*Node{{Type: dst.Type, call: call, v: dst}}
	g.calls = append(g.calls, call)
}

// An absorbing gradient op can add an existing gradient to its first output in the same kernel.
type absorbing interface {
	absorb(c *Call, have *Node) bool
}

// absorbs lets the call that computes d add have to it, if d is one of the calls just recorded, is read by nobody else,
// and have is older.
func absorbs(d, have *Node, dx []*Node, fresh []*Call) bool {
	if d.call == nil || d.out != 0 {
		return false
	}
	a, ok := d.call.Op.(absorbing)
	if !ok {
		return false
	}
	uses, seen := 0, false
	for _, n := range dx {
		if n == d {
			uses++
		}
	}
	for _, c := range fresh {
		seen = seen || c == d.call
		if have.call == c || slices.Contains(c.In, d) {
			return false
		}
	}
	return seen && uses == 1 && a.absorb(d.call, have)
}

// again returns the recomputed copy of a call, recording its whole segment when first asked.
func (r *reverse) again(c *Call, forward []*Call) *Call {
	if r.segment != c.segment {
		r.segment, r.copies = c.segment, map[*Node]*Node{}
		for _, f := range forward {
			if f.segment != c.segment {
				continue
			}
			n := &Call{Op: f.Op, Site: f.Site, needs: f.needs, In: slices.Clone(f.In)}
			for i, in := range n.In {
				if in != nil && r.copies[in] != nil {
					n.In[i] = r.copies[in]
				}
			}
			for i, o := range f.Out {
				cp := &Node{Type: o.Type, call: n, out: i}
				n.Out = append(n.Out, cp)
				r.copies[o] = cp
			}
			r.g.calls = append(r.g.calls, n)
		}
	}
	return r.copies[c.Out[0]].call
}

// addInto adds a gradient that no accumulator produced to its Var.
type addInto struct{ gradOp }

func (addInto) accumulates() int                { return 0 }
func (addInto) Infer(in []Type) ([]Type, error) { return []Type{in[0]}, nil }
func (addInto) Bind(b Binding) Kernel {
	y, x := b.Y[0], b.X[0].Reshape(b.Y[0].Shape...)
	if !b.Accumulate {
		return func(k kernels.Backend) { k.Copy(y, x) }
	}
	return func(k kernels.Backend) { k.Add(y, y, x) }
}
