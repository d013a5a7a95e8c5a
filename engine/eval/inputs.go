package eval

import (
	"forja/engine/data"
	"forja/engine/graph"
	"forja/engine/model"
	"forja/kernels"
)

// Inputs are the storage of a batch on a device, I32 (rows, length): see [data.Batch].
type Inputs struct {
	Tokens, Targets, Positions, Lo *graph.Var
}

// NewInputs describes the storage of batches of rows × length tokens.
func NewInputs(rows, length int) Inputs {
	i32 := func(name string) *graph.Var { return graph.NewVar(name, kernels.I32, rows, length) }
	return Inputs{i32("tokens"), i32("targets"), i32("positions"), i32("lo")}
}

// LogProb records the log-probability of every target, 0 where there is none, and the entropy of the model's
// distribution there: F32 (rows, length).
func (in Inputs) LogProb(g *graph.Graph, m *model.Model) (logp, entropy *graph.Node) {
	logp, _, entropy = m.LogProb(g, model.Inputs{Tokens: g.Leaf(in.Tokens), Positions: g.Leaf(in.Positions), Lo: g.Leaf(in.Lo)},
		g.Leaf(in.Targets))
	return logp, entropy
}

// Set copies a batch of rows × length tokens to the device.
func (in Inputs) Set(s *graph.Session, b *data.Batch) {
	graph.Set(s, in.Tokens, b.Tokens)
	graph.Set(s, in.Targets, b.Targets)
	graph.Set(s, in.Positions, b.Positions)
	graph.Set(s, in.Lo, b.Lo)
}
