package graph

import (
	"fmt"
	"slices"

	"forja/kernels"
)

// Options tune Compile. The zero value is what production uses.
type Options struct {
	NoReuse   bool // give every value its own range: the reference the planner is tested against
	Poison    bool // fill a range with NaN as soon as its value is dead: turns a planner bug into a NaN result
	Overwrite bool // the first gradient written to a Var overwrites it, as in the first micro-step after an update
}

// A Plan is a compiled graph: calls in order, and a place in the arena for each value.
type Plan struct {
	Arena  int    // bytes of working memory
	Unique int    // bytes without reuse
	Calls  int    // kernels launched
	Peak   string // where the most memory is live: the call's name and site

	calls   []*Call
	forward int              // calls of the forward pass; the rest is the backward pass
	values  map[*Node]*value // storage of computed values
	fresh   map[*Call]bool   // calls whose accumulators overwrite
	outputs map[string]*Node
	vars    []*Var // roots of all storage read or written, in order of first use
	options Options
}

// A value is a range of the arena. Values written in place share one.
type value struct {
	bytes       int
	first, last int // positions of the calls that first write and last read it
	off         int
	kept        bool // an output: lives to the end
}

// Compile prunes what nobody reads, plans memory and checks every call's arguments.
func (g *Graph) Compile(o Options) (*Plan, error) {
	if g.err != nil {
		return nil, g.err
	}
	p := &Plan{options: o, values: map[*Node]*value{}, outputs: map[string]*Node{}, fresh: map[*Call]bool{}}
	for _, n := range g.outputs {
		if p.outputs[n.Name] != nil {
			return nil, fmt.Errorf("%s: two outputs are named %q", n.Site(), n.Name)
		}
		p.outputs[n.Name] = n
	}
	g.copyWhereShared()
	p.prune(g)
	p.lifetimes()
	p.place()
	p.storage()
	p.accumulation()
	if err := p.check(); err != nil {
		return nil, err
	}
	p.Calls = len(p.calls)
	return p, nil
}

// prune keeps outputs, mutations and what they depend on.
func (p *Plan) prune(g *Graph) {
	live := map[*Call]bool{}
	for _, n := range g.outputs {
		if n.call != nil {
			live[n.call] = true
		}
	}
	for _, c := range slices.Backward(g.calls) {
		if !live[c] && len(c.writes) == 0 {
			continue
		}
		live[c] = true
		for _, n := range c.In {
			if n != nil && n.call != nil {
				live[n.call] = true
			}
		}
	}
	for i, c := range g.calls {
		if g.forward >= 0 && i == g.forward {
			p.forward = len(p.calls)
		}
		if live[c] {
			p.calls = append(p.calls, c)
		}
	}
	if g.forward < 0 || g.forward >= len(g.calls) {
		p.forward = len(p.calls)
	}
}

// copyWhereShared gives every op that must work in place an input that nobody else reads later. It changes the
// recording, once: a second Compile finds nothing to do.
func (g *Graph) copyWhereShared() {
	last := map[*Node]*Call{}
	for _, c := range g.calls {
		for _, n := range c.In {
			last[n] = c
		}
	}
	for _, n := range g.outputs {
		last[n] = nil
	}
	for i := 0; i < len(g.calls); i++ {
		c := g.calls[i]
		ip, ok := c.Op.(inPlacer)
		if !ok {
			continue
		}
		_, in, must := ip.inPlace()
		if !must || c.In[in].call != nil && last[c.In[in]] == c {
			continue
		}
		n := c.In[in]
		cp := &Call{Op: cast{n.DType}, In: []*Node{n}, Site: c.Site, segment: c.segment}
		cp.Out = []*Node{{Type: n.Type, call: cp}}
		c.In[in] = cp.Out[0]
		g.calls = slices.Insert(g.calls, i, cp)
		if i < g.forward {
			g.forward++
		}
		i++
	}
}

// lifetimes finds each value's first writer and last reader and merges values that can share a range in place.
func (p *Plan) lifetimes() {
	last := map[*Node]int{}
	for i, c := range p.calls {
		for _, n := range c.In {
			if n != nil {
				last[n] = i
			}
		}
	}
	for _, n := range p.outputs {
		last[n] = len(p.calls)
	}
	for i, c := range p.calls {
		over := -1 // the output that takes over an input's range
		if ip, ok := c.Op.(inPlacer); ok {
			out, in, must := ip.inPlace()
			if in < len(c.In) && out < len(c.Out) && c.In[in] != nil {
				n, y := c.In[in], c.Out[out]
				v := p.values[n]
				if v != nil && y.v == nil && last[n] == i && v.bytes == align(y.bytes()) && (must || !p.options.NoReuse) &&
					count(c.In, n) == 1 {
					over = out
					p.values[y] = v
					v.last = max(i, last[y])
					v.kept = v.kept || last[y] == len(p.calls)
				}
			}
		}
		for k, y := range c.Out {
			if k == over || y.v != nil {
				continue
			}
			p.values[y] = &value{bytes: align(y.bytes()), first: i, last: max(i, last[y]), kept: last[y] == len(p.calls)}
		}
	}
}

func count(ns []*Node, n *Node) (k int) {
	for _, m := range ns {
		if m == n {
			k++
		}
	}
	return k
}

// place gives every value an arena offset, largest first, at the lowest gap that is free while it lives. Two values
// live together unless the last reader of one runs before the first writer of the other.
func (p *Plan) place() {
	var vs []*value
	seen := map[*value]bool{}
	for _, c := range p.calls {
		for _, y := range c.Out {
			if v := p.values[y]; v != nil && !seen[v] {
				seen[v] = true
				vs = append(vs, v)
				p.Unique += v.bytes
			}
		}
	}
	live := make([]int, len(p.calls)+2)
	for _, v := range vs {
		live[v.first] += v.bytes
		live[min(v.last, len(p.calls))+1] -= v.bytes
	}
	most, sum := 0, 0
	for i, c := range p.calls {
		if sum += live[i]; sum > most {
			most, p.Peak = sum, opName(c.Op)+" "+c.Site
		}
	}
	if p.options.NoReuse {
		for _, v := range vs {
			v.off, p.Arena = p.Arena, p.Arena+v.bytes
		}
		return
	}
	slices.SortStableFunc(vs, func(a, b *value) int { return b.bytes - a.bytes })
	var placed []*value // by offset
	for _, v := range vs {
		for _, w := range placed {
			if w.last < v.first || v.last < w.first {
				continue
			}
			if w.off >= v.off+v.bytes {
				break
			}
			v.off = max(v.off, w.off+w.bytes)
		}
		at, _ := slices.BinarySearchFunc(placed, v, func(a, b *value) int { return a.off - b.off })
		placed = slices.Insert(placed, at, v)
		p.Arena = max(p.Arena, v.off+v.bytes)
	}
}

// storage lists the roots of the Vars that the plan touches.
func (p *Plan) storage() {
	seen := map[*Var]bool{}
	add := func(v *Var) {
		if v == nil {
			return
		}
		if v, _ = v.root(); !seen[v] {
			seen[v] = true
			p.vars = append(p.vars, v)
		}
	}
	for _, c := range p.calls {
		for _, n := range c.In {
			if n != nil {
				add(n.v)
			}
		}
		for _, n := range c.Out {
			add(n.v)
		}
		for _, v := range c.writes {
			add(v)
		}
	}
}

// VarBytes is the storage of all Vars that the plan reads or writes.
func (p *Plan) VarBytes() (n int) {
	for _, v := range p.vars {
		n += v.Bytes()
	}
	return n
}

// accumulation decides which gradient writers overwrite their Vars: under Overwrite, the first of each.
// A call with several accumulators must find all of them unwritten, or all of them written.
func (p *Plan) accumulation() {
	if !p.options.Overwrite {
		return
	}
	written := map[*Var]bool{}
	for _, c := range p.calls {
		if _, ok := c.Op.(accumulator); !ok {
			continue
		}
		for _, y := range c.Out {
			if y.v != nil {
				p.fresh[c] = !written[y.v]
				written[y.v] = true
			}
		}
	}
}

// check runs kernels.Check over every call, bound to buffers that exist only as sizes.
func (p *Plan) check() error {
	arena := &dry{p.Arena}
	vars := map[*Var]kernels.Buffer{}
	for _, v := range p.vars {
		vars[v] = &dry{v.Bytes()}
	}
	for _, c := range p.calls {
		b := p.binding(c, arena, func(v *Var) kernels.Tensor {
			root, off := v.root()
			t := kernels.New(vars[root], v.DType, v.Shape...)
			t.Off = off
			return t
		})
		if err := kernels.Check(c.Op.Bind(b)); err != nil {
			return fmt.Errorf("%s: %w", c.Site, err)
		}
	}
	return nil
}

// dry is a buffer without memory.
type dry struct{ bytes int }

func (d *dry) Size() int { return d.bytes }

// binding is the storage of a call.
func (p *Plan) binding(c *Call, arena kernels.Buffer, storage func(*Var) kernels.Tensor) Binding {
	tensor := func(n *Node) kernels.Tensor {
		if n == nil {
			return kernels.Tensor{}
		}
		if n.v != nil {
			t := storage(n.v)
			return t.Reshape(n.Shape...)
		}
		t := kernels.New(arena, n.DType, n.Shape...)
		t.Off = p.values[n].off / n.DType.Size()
		return t
	}
	_, acc := c.Op.(accumulator)
	b := Binding{Accumulate: acc && !p.fresh[c]}
	wanted := false
	for _, n := range c.Out {
		b.Y = append(b.Y, tensor(n))
		wanted = wanted || n.v != nil
	}
	if !wanted {
		b.Accumulate = false
	}
	for _, n := range c.In {
		b.X = append(b.X, tensor(n))
	}
	return b
}

// Vars lists the roots of all storage that the plan touches, in order of first use.
func (p *Plan) Vars() []*Var { return p.vars }
