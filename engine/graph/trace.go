package graph

import (
	"fmt"
	"math"

	"forja/kernels"
)

// A Traced is one output of one call of a plan, as it was after the call ran.
type Traced struct {
	Op, Site string
	Out      int    // which output of the call
	Name     string // of an output or a Var, if it has one
	Type
	Min, Max float32
	Bad      int // elements that are NaN or infinite
}

func (t Traced) String() string {
	return fmt.Sprintf("%s %s (%s) %v min %.4g max %.4g bad %d", t.Op, t.Name, t.Site, t.Type, t.Min, t.Max, t.Bad)
}

// Trace replays the plan, waiting after every launch, and shows visit each float value that the launch wrote, until
// visit returns false. It is for finding where numbers go wrong: slow, and of the same results as Run.
func (st *Step) Trace(visit func(Traced) bool) error {
	for i, c := range st.plan.calls {
		st.launch(i, i+1)
		for k, n := range c.Out {
			if !n.DType.Float() || n.Shape.Size() == 0 {
				continue
			}
			bits, err := st.read(n)
			if err != nil {
				return err
			}
			t := Traced{Op: opName(c.Op), Site: c.Site, Out: k, Name: n.Name, Type: n.Type, Min: float32(math.Inf(1)), Max: float32(math.Inf(-1))}
			if n.v != nil {
				t.Name = n.v.Name
			}
			for _, x := range bits {
				if x-x != 0 { // NaN or infinite
					t.Bad++
					continue
				}
				t.Min, t.Max = min(t.Min, x), max(t.Max, x)
			}
			if !visit(t) {
				return nil
			}
		}
	}
	return st.s.b.Sync()
}

// read downloads a float value as F32.
func (st *Step) read(n *Node) ([]float32, error) {
	x := make([]float32, n.Shape.Size())
	if n.DType == kernels.F32 {
		st.s.b.Download(bytesOf(x), st.tensor(n))
		return x, st.s.b.Sync()
	}
	h := make([]uint16, len(x))
	st.s.b.Download(bytesOf(h), st.tensor(n))
	if err := st.s.b.Sync(); err != nil {
		return nil, err
	}
	for i, v := range h {
		x[i] = math.Float32frombits(uint32(v) << 16)
	}
	return x, nil
}
