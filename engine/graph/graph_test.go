package graph_test

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/graph"
	"forja/kernels"
	"forja/kernels/cpu"
)

func backend(t testing.TB) kernels.Backend {
	b, err := cpu.Open(cpu.Options{Threads: 2})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

// A net is a recorded network with what the tests need to poke at it.
type net struct {
	g      *graph.Graph
	r      *rand.Rand
	params []*graph.Var
	values map[*graph.Var][]float32
	ints   map[*graph.Var][]int32
	grads  map[*graph.Var]*graph.Var
}

func newNet(seed uint64) *net {
	return &net{g: graph.New(), r: rand.New(rand.NewPCG(seed, 7)), values: map[*graph.Var][]float32{},
		ints: map[*graph.Var][]int32{}, grads: map[*graph.Var]*graph.Var{}}
}

// leaf is a Var with normal values; param is one that is trained.
func (n *net) leaf(name string, shape ...int) *graph.Node {
	v := graph.NewVar(name, kernels.F32, shape...)
	x := make([]float32, v.Shape.Size())
	for i := range x {
		x[i] = float32(n.r.NormFloat64() * 0.4)
	}
	n.values[v] = x
	return n.g.Leaf(v)
}

func (n *net) param(name string, shape ...int) *graph.Node {
	x := n.leaf(name, shape...)
	for v := range n.values {
		if n.g.Leaf(v) == x {
			n.params = append(n.params, v)
			n.grads[v] = graph.NewVar(name+".grad", kernels.F32, shape...)
		}
	}
	return x
}

func (n *net) index(name string, below int, shape ...int) *graph.Node {
	v := graph.NewVar(name, kernels.I32, shape...)
	x := make([]int32, v.Shape.Size())
	for i := range x {
		x[i] = int32(n.r.IntN(below))
	}
	n.ints[v] = x
	return n.g.Leaf(v)
}

// bind compiles, gives storage and values, and returns the step.
func (n *net) bind(t testing.TB, s *graph.Session, o graph.Options) *graph.Step {
	p, err := n.g.Compile(o)
	require.NoError(t, err)
	st, err := s.Bind(p)
	require.NoError(t, err)
	for v, x := range n.values {
		require.NoError(t, s.Add(v))
		graph.Set(s, v, x)
	}
	for v, x := range n.ints {
		require.NoError(t, s.Add(v))
		graph.Set(s, v, x)
	}
	return st
}

// results runs the step and reads logp and every gradient.
func (n *net) results(t testing.TB, s *graph.Session, st *graph.Step, rows int) (logp []float32, grads [][]float32) {
	logp = make([]float32, rows)
	st.Run()
	require.NoError(t, graph.Output(st, "logp", logp))
	for _, v := range n.params {
		x := make([]float32, v.Shape.Size())
		graph.Get(s, n.grads[v], x)
		grads = append(grads, x)
	}
	require.NoError(t, s.Backend().Sync())
	return logp, grads
}

// finish adds a head, an output and the backward pass.
func (n *net) finish(x *graph.Node, vocab int, known bool) {
	rows := x.Shape.Rows()
	target := n.index("target", vocab, rows)
	logp, lse, _ := n.g.LinearLogProb(x, n.param("head", vocab+3, x.Shape.Cols()), target, graph.LogProbOptions{Vocab: vocab, Chunk: 3})
	n.g.Output("logp", logp)
	n.g.Backward(n.grads,
		graph.Cotangent{Of: logp, Is: n.leaf("dlogp", rows), Known: known},
		graph.Cotangent{Of: lse, Is: n.leaf("dlse", rows), Known: known})
}

// random records a network with random fan-out: the case a chain-shaped model never shows the planner.
func random(seed uint64, recompute bool) *net {
	n := newNet(seed)
	g, r := n.g, n.r
	g.Recompute = recompute
	rows := 1 + r.IntN(4)
	xs := []*graph.Node{n.leaf("x", rows, 4+2*r.IntN(3))}
	grow := func() *graph.Node {
		for range 1 + r.IntN(5) {
			x := xs[r.IntN(len(xs))]
			c := x.Shape.Cols()
			name := fmt.Sprint(len(n.params), ".")
			var y *graph.Node
			switch r.IntN(8) {
			case 0:
				y = g.Linear(x, n.param(name+"w", 4+2*r.IntN(3), c), graph.LinearOptions{})
			case 1:
				act := []kernels.Activation{kernels.GELU, kernels.NoActivation}[r.IntN(2)]
				y = g.Linear(x, n.param(name+"w", c, c), graph.LinearOptions{Act: act, Residual: x, Bias: n.param(name+"b", c)})
			case 2:
				y = g.Activate(x, kernels.SiLU)
			case 3:
				y = g.LayerNorm(x, n.param(name+"w", c), n.param(name+"b", c), 0.1)
			case 4:
				y = g.RMSNorm(x, n.param(name+"w", c), 0.1)
			case 5:
				y = g.SwiGLU(g.Linear(x, n.param(name+"w", 2*c, c), graph.LinearOptions{Scale: 0.5}))
			case 6:
				u := g.Linear(x, n.param(name+"a", 1, c), graph.LinearOptions{})
				y = g.LinearInto(x, u, n.param(name+"b", c-1, 1), 1, c, 2)
			case 7:
				y = g.Softmax(x)
			}
			for _, z := range xs {
				if z.Shape.Equal(y.Shape) && r.IntN(2) == 0 {
					y = g.Add(y, z)
				}
			}
			xs = append(xs, y)
		}
		return xs[len(xs)-1]
	}
	for range 1 + r.IntN(4) {
		if r.IntN(2) == 0 {
			inside := len(xs)
			y := g.Checkpoint(grow)
			xs = append(xs[:inside], y) // a segment's inner values stay inside
		} else {
			grow()
		}
	}
	// Every branch reaches the head, so that every parameter has a gradient.
	var last *graph.Node
	for i, x := range xs {
		y := g.Linear(x, n.param(fmt.Sprint("join", i), 4, x.Shape.Cols()), graph.LinearOptions{Residual: last})
		last = y
	}
	n.prune(last)
	n.finish(last, 5, r.IntN(2) == 0)
	return n
}

// prune forgets parameters that do not reach y: values inside a segment that its result does not use.
func (n *net) prune(y *graph.Node) {
	used := graph.Ancestors(y)
	var keep []*graph.Var
	for _, v := range n.params {
		if used[n.g.Leaf(v)] {
			keep = append(keep, v)
		} else {
			delete(n.grads, v)
		}
	}
	n.params = keep
}

// seeds are the random graphs that a run of the tests tries.
func seeds() iter.Seq[uint64] {
	n := uint64(400)
	if os.Getenv("FORJA_LONG") != "" {
		n = 5000
	}
	return func(yield func(uint64) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

// Memory reuse and recomputation must not change one bit, and no kernel may read a dead value.
func TestPlannedEqualsUnplanned(t *testing.T) {
	b := backend(t)
	for seed := range seeds() {
		run := func(recompute bool, o graph.Options) (float32, [][]float32, []float32) {
			s := graph.NewSession(b)
			defer s.Close()
			n := random(seed, recompute)
			st := n.bind(t, s, o)
			rows := n.g.OutputNamed("logp").Shape.Size()
			logp, grads := n.results(t, s, st, rows)
			return 0, grads, logp
		}
		_, wantG, want := run(false, graph.Options{NoReuse: true, Overwrite: true})
		for _, recompute := range []bool{false, true} {
			_, gotG, got := run(recompute, graph.Options{Poison: true, Overwrite: true})
			require.Equal(t, want, got, "seed %d, recompute %v", seed, recompute)
			require.Equal(t, wantG, gotG, "seed %d, recompute %v", seed, recompute)
		}
		for _, x := range want {
			require.False(t, math.IsNaN(float64(x)), "seed %d", seed)
		}
	}
}

// The derivative along a random direction equals the gradient's projection on it.
func TestGradientsMatchFiniteDifferences(t *testing.T) {
	b := backend(t)
	for seed := range uint64(60) {
		s := graph.NewSession(b)
		n := random(seed, seed%2 == 0)
		st := n.bind(t, s, graph.Options{Overwrite: true})
		rows := n.g.OutputNamed("logp").Shape.Size()
		var dlogp, dlse *graph.Var
		for v := range n.values {
			switch v.Name {
			case "dlogp":
				dlogp = v
			case "dlse":
				dlse = v
			}
		}
		graph.Set(s, dlse, make([]float32, rows)) // the objective is Σ dlogp·logp
		_, grads := n.results(t, s, st, rows)
		noise := 0.0 // rounding of the objective: logp is the difference of a logit and lse, in F32
		objective := func() (sum float64) {
			logp, _ := n.results(t, s, st, rows)
			noise = 0
			for i, x := range logp {
				sum += float64(x) * float64(n.values[dlogp][i])
				noise += 0x1p-23 * (math.Abs(float64(x)) + 4) * math.Abs(float64(n.values[dlogp][i]))
			}
			return sum
		}
		for i, v := range n.params {
			dir := make([]float32, v.Shape.Size())
			want := 0.0
			for k := range dir {
				dir[k] = float32(n.r.NormFloat64())
				want += float64(dir[k]) * float64(grads[i][k])
			}
			const eps = 1e-3
			at := func(e float32) float64 {
				x := make([]float32, len(dir))
				for k := range x {
					x[k] = n.values[v][k] + e*dir[k]
				}
				graph.Set(s, v, x)
				return objective()
			}
			// Fourth-order central difference.
			got := (8*(at(eps)-at(-eps)) - (at(2*eps) - at(-2*eps))) / (12 * eps)
			graph.Set(s, v, n.values[v])
			assert.InDelta(t, got, want, 10*noise/eps+2e-3*math.Abs(want), "seed %d, %s", seed, v.Name)
		}
		s.Close()
	}
}

// A planner may let a residual and the result share memory. Deep products are summed in several blocks, so what is there
// first could round differently from what is added last.
func TestResidualInPlaceChangesNoBit(t *testing.T) {
	b := backend(t)
	for _, bias := range []bool{false, true} {
		run := func(o graph.Options) []float32 {
			s := graph.NewSession(b)
			defer s.Close()
			n := newNet(4)
			h := n.g.Activate(n.leaf("x", 9, 70), kernels.SiLU) // dies in the product below
			opt := graph.LinearOptions{Residual: h}
			if bias {
				opt.Bias = n.leaf("b", 70)
			}
			n.g.Output("logp", n.g.Linear(n.leaf("u", 9, 2500), n.leaf("w", 70, 2500), opt))
			logp, _ := n.results(t, s, n.bind(t, s, o), 9*70)
			return logp
		}
		assert.Equal(t, run(graph.Options{NoReuse: true}), run(graph.Options{}))
	}
}

func TestGradientsAccumulateOverMicroSteps(t *testing.T) {
	b := backend(t)
	s := graph.NewSession(b)
	defer s.Close()
	n := random(11, false)
	first := n.bind(t, s, graph.Options{Overwrite: true})
	more := n.bind(t, s, graph.Options{})
	rows := n.g.OutputNamed("logp").Shape.Size()
	_, once := n.results(t, s, first, rows)
	_, twice := n.results(t, s, more, rows)
	for i := range once {
		for k := range once[i] {
			assert.Equal(t, 2*once[i][k], twice[i][k], n.params[i].Name)
		}
	}
}

func TestCotangentsSetBetweenForwardAndBackward(t *testing.T) {
	b := backend(t)
	run := func(known bool) [][]float32 {
		s := graph.NewSession(b)
		defer s.Close()
		n := newNet(3)
		x := n.g.Linear(n.leaf("x", 6, 8), n.param("w", 8, 8), graph.LinearOptions{Act: kernels.GELU})
		n.finish(x, 5, known)
		st := n.bind(t, s, graph.Options{Overwrite: true})
		if known {
			_, grads := n.results(t, s, st, 6)
			return grads
		}
		st.Forward()
		logp := make([]float32, 6)
		require.NoError(t, graph.Output(st, "logp", logp))
		require.NoError(t, b.Sync())
		for v, x := range n.values { // the host sets them only now
			if v.Name == "dlogp" || v.Name == "dlse" {
				graph.Set(s, v, x)
			}
		}
		st.Backward()
		var grads [][]float32
		for _, v := range n.params {
			g := make([]float32, v.Shape.Size())
			graph.Get(s, n.grads[v], g)
			grads = append(grads, g)
		}
		require.NoError(t, b.Sync())
		return grads
	}
	known, set := run(true), run(false)
	for i := range known {
		assert.InDeltaSlice(t, known[i], set[i], 1e-6)
	}
}

func TestPlanIsExactToTheByte(t *testing.T) {
	b := backend(t)
	s := graph.NewSession(b)
	before := b.Usage().Now
	n := random(5, false)
	p, err := n.g.Compile(graph.Options{})
	require.NoError(t, err)
	_, err = s.Bind(p)
	require.NoError(t, err)
	assert.Equal(t, p.Arena+p.VarBytes(), b.Usage().Now-before)
	assert.Less(t, p.Arena, p.Unique)
	s.Close()
	assert.Equal(t, before, b.Usage().Now)
}

func TestReplayDoesNotAllocate(t *testing.T) {
	b := backend(t)
	s := graph.NewSession(b)
	defer s.Close()
	st := random(9, true).bind(t, s, graph.Options{})
	assert.Zero(t, testing.AllocsPerRun(10, st.Run))
}

func TestFrozenWeightsPruneTheirBackward(t *testing.T) {
	calls := func(frozen bool) int {
		n := newNet(1)
		x := n.leaf("x", 4, 8)
		for i := range 6 {
			w := n.leaf(fmt.Sprint("w", i), 8, 8)
			if !frozen {
				w = n.param(fmt.Sprint("p", i), 8, 8)
			}
			x = n.g.Linear(x, w, graph.LinearOptions{Residual: x, Act: kernels.GELU})
		}
		n.finish(x, 5, false)
		p, err := n.g.Compile(graph.Options{})
		require.NoError(t, err)
		return p.Calls
	}
	assert.Equal(t, 6+2, calls(true), "forward, head and the head's gradient")
	assert.Equal(t, 6+2+3*6-1, calls(false), "and f', dW, dX of each layer but the first dX")
}

func TestErrorsNameTheModelLine(t *testing.T) {
	n := newNet(1)
	n.g.Linear(n.leaf("x", 4, 8), n.leaf("w", 8, 7), graph.LinearOptions{})
	_, err := n.g.Compile(graph.Options{})
	require.ErrorContains(t, err, "graph_test.go:")
	require.ErrorContains(t, err, "inner dimension 8")
}

func TestUnreachedParameterIsAnError(t *testing.T) {
	n := newNet(1)
	x := n.leaf("x", 4, 8)
	n.param("orphan", 3, 3)
	n.finish(x, 5, false)
	_, err := n.g.Compile(graph.Options{})
	require.ErrorContains(t, err, `"orphan"`)
}

func TestDifferentiatingWhatHasNoGradientIsAnError(t *testing.T) {
	n := newNet(1)
	c := graph.Cache{K: graph.NewVar("k", kernels.F32, 8, 4), V: graph.NewVar("v", kernels.F32, 8, 4), Page: 4}
	qkv := n.g.Linear(n.leaf("x", 2, 4), n.param("w", 12, 4), graph.LinearOptions{})
	y := n.g.CachedAttention(qkv, c, n.index("table", 1, 1, 2), n.index("seq", 1, 2), n.index("pos", 1, 2), n.index("slot", 1, 2),
		kernels.Attn{Heads: 1, KVHeads: 1, HeadDim: 4})
	n.finish(y, 5, false)
	_, err := n.g.Compile(graph.Options{})
	require.ErrorContains(t, err, "cannot be differentiated")
}
