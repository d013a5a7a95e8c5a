package bench

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"forja/engine/graph"
)

// A Share is the part of an update's kernel time that one kind of call takes: each call's best over several updates.
type Share struct {
	Op        string  `json:"op"`
	Shape     string  `json:"shape"`
	Calls     int     `json:"calls"`
	Seconds   float64 `json:"seconds"`
	Share     float64 `json:"share"`             // of the seconds of all kernels
	Processor float64 `json:"processor_seconds"` // of all threads; 0 if unknown
	GFLOPS    float64 `json:"gflops,omitempty"`  // where matrix products are most of it
	GBS       float64 `json:"gb_s"`              // operands read and written once
}

// shares adds up the calls of the same operation on the same shapes, timed by the clock on the wall and by that of the
// processor.
func shares(wall, processor []graph.Timing) []Share {
	type key struct{ op, shape string }
	at := map[key]int{}
	var out []Share
	total := 0.0
	for c, t := range wall {
		k := key{t.Op, operands(t)}
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k] = i
			out = append(out, Share{Op: k.op, Shape: k.shape})
		}
		s := &out[i]
		s.Calls++
		s.Seconds += t.Best.Seconds()
		s.Processor += processor[c].Best.Seconds()
		s.GFLOPS += arithmetic(t) / 1e9 // a sum, divided by the time below
		s.GBS += traffic(t) / 1e9
		total += t.Best.Seconds()
	}
	for i := range out {
		s := &out[i]
		s.Share = s.Seconds / total
		s.GFLOPS /= s.Seconds
		s.GBS /= s.Seconds
	}
	slices.SortStableFunc(out, func(a, b Share) int { return cmp.Compare(b.Seconds, a.Seconds) })
	return out
}

// operands names the shapes that tell calls of one operation apart: the first operand and, of a product, the second.
func operands(t graph.Timing) string {
	var names []string
	for i, x := range t.In[:min(2, len(t.In))] {
		if i == 0 || len(x.Shape) == 2 && x.DType.Float() {
			names = append(names, strings.Trim(strings.ReplaceAll(fmt.Sprint([]int(x.Shape)), " ", "x"), "[]"))
		}
	}
	return strings.Join(names, " ")
}

// arithmetic is the floating-point operations of a call's matrix products; causal attention counts the visible half.
func arithmetic(t graph.Timing) float64 {
	rows := func(i int) float64 { return float64(t.In[i].Shape.Rows()) }
	cols := func(i int) float64 { return float64(t.In[i].Shape.Cols()) }
	switch t.Op {
	case "Linear": // x(M,K), w(N,K)
		return 2 * rows(0) * cols(0) * rows(1)
	case "LinearDX", "LinearDW": // dy(M,N) with w(N,K) or x(M,K)
		return 2 * rows(0) * cols(0) * cols(1)
	case "LogProb":
		return 2 * rows(0) * cols(0) * rows(1)
	case "LogProbBoth":
		return 6 * rows(0) * cols(0) * rows(1)
	case "Attention":
		s := t.Out[0].Shape
		return 2 * float64(s[0]*s[1]*s[2]) * float64(s[1]+1)
	case "AttentionGrad":
		s := t.In[0].Shape
		return 5 * float64(s[0]*s[1]*s[2]) * float64(s[1]+1)
	}
	return 0
}

// traffic is the bytes of a call's operands, each read or written once.
func traffic(t graph.Timing) float64 {
	sum := 0
	add := func(types []graph.Type) {
		for _, x := range types {
			if len(x.Shape) > 0 {
				sum += x.Shape.Size() * x.DType.Size()
			}
		}
	}
	add(t.Out)
	switch t.Op {
	case "Embed", "EmbedAdd": // of the table, only the rows that go into the result
		add(t.Out)
	case "AdamW": // its results are in its operands: w, master, m and v
		add(t.In[:4])
		add(t.In)
	default:
		add(t.In)
	}
	return float64(sum)
}
