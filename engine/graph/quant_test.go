package graph_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/graph"
	"forja/kernels"
)

// A projection with quantised weights is the projection with what they stand for, and so are the gradients before and
// beside it.
func TestQuantisedProjectionsAreThoseOfTheirWeights(t *testing.T) {
	const rows, n, k, vocab = 5, 7, 64, 9
	for _, q := range []kernels.Quant{kernels.NF4, kernels.Q8} {
		packed, scales, weights := make([]uint8, n*q.Width(k)), make([]float32, n*k/q.Block()), make([]float32, n*k)
		r := newNet(9).r
		for i := range n {
			row := make([]float32, k)
			for j := range row {
				row[j] = float32(r.NormFloat64())
			}
			p, s := packed[i*q.Width(k):(i+1)*q.Width(k)], scales[i*k/q.Block():(i+1)*k/q.Block()]
			require.NoError(t, q.Encode(p, s, row))
			q.Decode(weights[i*k:(i+1)*k], p, s, 0)
		}
		run := func(project func(*net, *graph.Session, *graph.Node, graph.LinearOptions) *graph.Node) ([]float32, [][]float32) {
			net, s := newNet(3), graph.NewSession(backend(t))
			defer s.Close()
			x := net.g.Linear(net.leaf("x", rows, 6), net.param("in", k, 6), graph.LinearOptions{})
			side := net.g.Linear(x, net.param("side", n, k), graph.LinearOptions{})
			y := project(net, s, x, graph.LinearOptions{Bias: net.param("bias", n), Act: kernels.GELU, Residual: side, Scale: 0.5})
			net.finish(y, vocab, false)
			st := net.bind(t, s, graph.Options{})
			return net.results(t, s, st, rows)
		}
		logp, grads := run(func(net *net, s *graph.Session, x *graph.Node, o graph.LinearOptions) *graph.Node {
			w, c := graph.NewVar("w", kernels.U8, n, q.Width(k)), graph.NewVar("scales", kernels.F32, n, k/q.Block())
			require.NoError(t, s.Add(w, c))
			graph.Set(s, w, packed)
			graph.Set(s, c, scales)
			return net.g.LinearQuant(x, net.g.Leaf(w), net.g.Leaf(c), q, o)
		})
		wantLogp, wantGrads := run(func(net *net, s *graph.Session, x *graph.Node, o graph.LinearOptions) *graph.Node {
			w := graph.NewVar("w", kernels.F32, n, k)
			require.NoError(t, s.Add(w))
			graph.Set(s, w, weights)
			return net.g.Linear(x, net.g.Leaf(w), o)
		})
		assert.Equal(t, wantLogp, logp, q)
		assert.Equal(t, wantGrads, grads, q)
	}
}

func TestQuantisedWeightsOfAnotherShapeAreRefused(t *testing.T) {
	g := graph.New()
	x := g.Leaf(graph.NewVar("x", kernels.F32, 2, 64))
	w, s := g.Leaf(graph.NewVar("w", kernels.U8, 3, 32)), g.Leaf(graph.NewVar("s", kernels.F32, 3, 2))
	g.Output("y", g.LinearQuant(x, w, s, kernels.NF4, graph.LinearOptions{}))
	_, err := g.Compile(graph.Options{})
	assert.ErrorContains(t, err, "nf4 weights are [3 32] with scales [3 2]")
}
