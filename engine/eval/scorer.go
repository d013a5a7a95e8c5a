package eval

import (
	"context"
	"fmt"
	"math"

	"forja/engine/data"
	"forja/engine/graph"
	"forja/engine/model"
)

// A Pass is the compiled forward pass of a model over batches of one shape. Its memory is known before any is allocated.
type Pass struct {
	Rows, Length int
	Plan         *graph.Plan

	in    Inputs
	model *model.Model
}

// Compile records a model's log-probabilities of the targets in some inputs.
func Compile(m *model.Model, in Inputs) (*Pass, error) {
	shape := in.Tokens.Shape
	if shape[0] < 1 || shape[1] < 1 || shape[1] > m.Context {
		return nil, fmt.Errorf("%d rows of %d tokens do not fit the model's context of %d", shape[0], shape[1], m.Context)
	}
	g := graph.New()
	logp, _ := in.LogProb(g, m)
	g.Output("logp", logp)
	p, err := g.Compile(graph.Options{})
	if err != nil {
		return nil, err
	}
	return &Pass{Rows: shape[0], Length: shape[1], Plan: p, in: in, model: m}, nil
}

// Bind gives the pass storage in a session that holds, or will hold, the model's parameters.
func (p *Pass) Bind(s *graph.Session) (*Scorer, error) {
	step, err := s.Bind(p.Plan)
	if err != nil {
		return nil, err
	}
	for v, x := range p.model.Constants() {
		graph.Set(s, v, x)
	}
	return &Scorer{Pass: p, s: s, step: step, logp: make([]float32, p.Rows*p.Length)}, s.Backend().Sync()
}

// A Scorer computes log-probabilities on a device. It is used where its Backend is: inside Device.Do.
type Scorer struct {
	*Pass
	Progress func(done, total int) // rows of text, or questions; may be nil

	s    *graph.Session
	step *graph.Step
	logp []float32
}

// New compiles and binds a pass for batches of rows × length tokens.
func New(s *graph.Session, m *model.Model, rows, length int) (*Scorer, error) {
	p, err := Compile(m, NewInputs(rows, length))
	if err != nil {
		return nil, err
	}
	return p.Bind(s)
}

// LogProbs runs the model on a batch of the pass's shape: the log-probability of each target, 0 where there is none. The
// result is valid until the next call.
func (s *Scorer) LogProbs(b *data.Batch) ([]float32, error) {
	if b.Rows != s.Rows || b.Length != s.Length {
		return nil, fmt.Errorf("a batch of %d×%d tokens for a pass of %d×%d", b.Rows, b.Length, s.Rows, s.Length)
	}
	s.in.Set(s.s, b)
	s.step.Run()
	if err := graph.Output(s.step, "logp", s.logp); err != nil {
		return nil, err
	}
	return s.logp, s.s.Backend().Sync()
}

// Likelihood measures the model on one epoch of a source, or on its first most targets and the rest of their row (0: all).
func (s *Scorer) Likelihood(ctx context.Context, src data.Source, most int) (Likelihood, error) {
	b := data.NewBatch(s.Rows, s.Length)
	rows, nats := NewRows(src, most), 0.0
	for rows.More() {
		if ctx.Err() != nil {
			return Likelihood{}, context.Cause(ctx)
		}
		first := rows.Row
		for r := range s.Rows {
			row := b.Row(r)
			if err := rows.Next(&row); err != nil {
				return Likelihood{}, err
			}
		}
		logp, err := s.LogProbs(b)
		if err != nil {
			return Likelihood{}, err
		}
		for i, m := range b.Mask {
			if m == 0 {
				continue
			}
			if x := float64(logp[i]); math.IsNaN(x) || math.IsInf(x, 0) {
				return Likelihood{}, fmt.Errorf("the log-probability of token %d in row %d of the text is %v: the model's weights or activations are not finite",
					i%s.Length, first+uint64(i/s.Length), logp[i])
			}
			nats -= float64(m) * float64(logp[i])
		}
		if s.Progress != nil {
			s.Progress(int(rows.Row), int(src.Samples()))
		}
	}
	return NewLikelihood(nats, rows.Tokens, rows.Bytes)
}
