package graph

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"forja/kernels"
)

// An Op is one kind of call; its attributes are the fields of the implementing struct.
type Op interface {
	// Infer is the shape rule: the types of the outputs. An output that no call reads is working memory.
	Infer(in []Type) (out []Type, err error)

	// Grad records ∂L/∂in[i] given dy[k] = ∂L/∂out[k], nil where no gradient arrives. It leaves an element nil where
	// there is no gradient, and may skip what c.Needs says nobody wants.
	Grad(g *Graph, c *Call, dy []*Node) ([]*Node, error)

	// Bind returns the launch of exactly one kernel on the given storage. An absent optional input is a zero Tensor.
	Bind(b Binding) Kernel
}

// A Kernel launches one operation of a Backend.
type Kernel func(kernels.Backend)

// A Binding is the storage of a call.
type Binding struct {
	Y, X       []kernels.Tensor
	Accumulate bool // add to the accumulators among Y instead of overwriting them
}

// An inPlacer may write output out over input in, if nobody reads that input later. With must, it has to: its kernel
// only changes part of the input, so Compile inserts a copy where somebody does read the input later.
type inPlacer interface {
	inPlace() (out, in int, must bool)
}

// An accumulator computes gradients of parameters: outputs from first on can be added to what is there.
type accumulator interface{ accumulates() (first int) }

// A Call is one recorded application of an Op.
type Call struct {
	Op   Op
	In   []*Node // nil elements are absent optional inputs
	Out  []*Node
	Site string // file:line of the model code that recorded it

	writes  []*Var // storage the call mutates
	segment int    // recomputation segment, 0 for none
	needs   []bool // which inputs want a gradient; set while differentiating
}

// Needs reports whether input i wants a gradient.
func (c *Call) Needs(i int) bool { return c.needs[i] }

// A Node is a value: an output of a call, or a Var as it is when the call that reads it runs.
type Node struct {
	Type
	Name string // of an output or a Var

	call *Call // nil for a leaf
	out  int
	v    *Var // of a leaf, or the accumulator that a gradient is written to
}

// Site is the model's file:line that recorded the value.
func (n *Node) Site() string {
	if n.call == nil {
		return n.Name
	}
	return n.call.Site
}

// A Graph is a recording.
type Graph struct {
	// Recompute trades time for memory: segments recorded by Checkpoint are computed again in the backward pass.
	Recompute bool

	calls   []*Call
	leaves  map[*Var]*Node
	outputs []*Node
	forward int // number of calls before Backward
	segment int // current recomputation segment
	last    int // last segment number given out
	err     error
	grads   map[*Var]*Var
}

// New returns an empty recording.
func New() *Graph { return &Graph{leaves: map[*Var]*Node{}, forward: -1} }

// fail keeps the first error.
func (g *Graph) fail(site string, err error) {
	if g.err == nil {
		g.err = fmt.Errorf("%s: %w", site, err)
	}
}

// Leaf is the value of a Var.
func (g *Graph) Leaf(v *Var) *Node {
	if n := g.leaves[v]; n != nil {
		return n
	}
	n := &Node{Type: v.Type, Name: v.Name, v: v}
	g.leaves[v] = n
	return n
}

// Output keeps a value readable until the plan runs again, under a name.
func (g *Graph) Output(name string, n *Node) {
	n.Name = name
	g.outputs = append(g.outputs, n)
}

// Checkpoint records f as one segment: with Graph.Recompute, only what f reads from outside survives the forward
// pass, and the backward pass computes the rest again (Chen et al. 2016). f must not mutate a Var.
func (g *Graph) Checkpoint(f func() *Node) *Node {
	if g.segment != 0 {
		return f()
	}
	g.last++
	g.segment = g.last
	defer func() { g.segment = 0 }()
	return f()
}

// apply records op and returns its outputs.
func (g *Graph) apply(op Op, in ...*Node) []*Node {
	c := g.record(op, in)
	return c.Out
}

// effect records an op that mutates storage.
func (g *Graph) effect(op Op, writes []*Var, in ...*Node) []*Node {
	c := g.record(op, in)
	c.writes = writes
	return c.Out
}

func (g *Graph) record(op Op, in []*Node) *Call {
	c := &Call{Op: op, In: in, Site: site(), segment: g.segment}
	types := make([]Type, len(in))
	for i, n := range in {
		if n != nil {
			types[i] = n.Type
		}
	}
	out, err := op.Infer(types)
	if err != nil {
		g.fail(c.Site, fmt.Errorf("%s: %w", opName(op), err))
	}
	for i, t := range out {
		c.Out = append(c.Out, &Node{Type: t, call: c, out: i})
	}
	g.calls = append(g.calls, c)
	return c
}

// site is the file:line of the nearest caller outside this package.
func site() string {
	var pcs [12]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, "forja/engine/graph.") || !more {
			return fmt.Sprintf("%s:%d", filepath.Base(f.File), f.Line)
		}
	}
}

// opName is the operation's name for people: Linear, not *graph.linear.
func opName(op Op) string {
	s := fmt.Sprintf("%T", op)
	s = s[strings.LastIndexByte(s, '.')+1:]
	return strings.ToUpper(s[:1]) + s[1:]
}

var errNoGrad = errors.New("a gradient has no gradient of its own: second derivatives are not supported")

// gradOp is embedded by ops that appear only in a backward pass.
type gradOp struct{}

func (gradOp) Grad(*Graph, *Call, []*Node) ([]*Node, error) { return nil, errNoGrad }

var errEffect = errors.New("an operation that changes storage cannot be differentiated")

// effectOp is embedded by ops that mutate Vars.
type effectOp struct{}

func (effectOp) Grad(*Graph, *Call, []*Node) ([]*Node, error) { return nil, errEffect }

func bad(format string, args ...any) error { return fmt.Errorf(format, args...) }
