package train

import (
	"fmt"

	"forja/engine/eval"
	"forja/engine/graph"
	"forja/engine/model"
	"forja/engine/optim"
	"forja/kernels"
)

// Shape is the work of one update.
type Shape struct {
	Rows      int // sequences of one update
	Micro     int // sequences of one forward pass; Rows is a multiple
	Length    int // tokens of a sequence
	Recompute bool
}

// Validate reports an impossible shape for a model.
func (s Shape) Validate(c model.Config) error {
	switch {
	case s.Rows <= 0 || s.Micro <= 0 || s.Rows%s.Micro != 0:
		return fmt.Errorf("batch: %d rows cannot be split into micro-batches of %d", s.Rows, s.Micro)
	case s.Length <= 0 || s.Length > c.Context:
		return fmt.Errorf("batch.context: rows of %d tokens do not fit the model's context of %d", s.Length, c.Context)
	}
	return nil
}

// Plans are the compiled graphs of training: exact memory, before any is allocated.
type Plans struct {
	Shape
	First, More *graph.Plan // micro-steps: gradients overwritten, gradients added to
	Norm        *graph.Plan // the gradient's norm
	Update      *graph.Plan
	Eval        *eval.Pass // forward pass only

	inputs inputs
	vars   []*graph.Var
}

// inputs is what the host sets before a micro-step.
type inputs struct {
	eval.Inputs
	dlogp *graph.Var
}

func newInputs(rows, length int) inputs {
	return inputs{eval.NewInputs(rows, length), graph.NewVar("dlogp", kernels.F32, rows, length)}
}

// Compile records and plans a model's training. The optimizer must have been made for this model.
func Compile(m *model.Model, o *optim.Optimizer, s Shape) (*Plans, error) {
	if err := s.Validate(m.Config); err != nil {
		return nil, err
	}
	p := &Plans{Shape: s, inputs: newInputs(s.Micro, s.Length)}
	in := p.inputs
	micro := func(opt graph.Options) (*graph.Plan, error) {
		g := graph.New()
		g.Recompute = s.Recompute
		logp, entropy := in.LogProb(g, m)
		g.Output("logp", logp)
		g.Output("entropy", entropy)
		g.Backward(o.Grads(), graph.Cotangent{Of: logp, Is: g.Leaf(in.dlogp), Known: true})
		return g.Compile(opt)
	}
	update := func(record func(*graph.Graph)) (*graph.Plan, error) {
		g := graph.New()
		record(g)
		return g.Compile(graph.Options{})
	}
	if l := m.LoRA(); l != nil { // dropout is for training, not for evaluation
		l.Training = true
		defer func() { l.Training = false }()
	}
	var err error
	if p.First, err = micro(graph.Options{Overwrite: true}); err != nil {
		return nil, err
	}
	p.More = p.First
	if s.Rows > s.Micro {
		if p.More, err = micro(graph.Options{}); err != nil {
			return nil, err
		}
	}
	if p.Norm, err = update(o.RecordNorm); err != nil {
		return nil, err
	}
	if p.Update, err = update(o.RecordUpdate); err != nil {
		return nil, err
	}
	if l := m.LoRA(); l != nil {
		l.Training = false
	}
	if p.Eval, err = eval.Compile(m, in.Inputs); err != nil {
		return nil, err
	}
	p.vars = append(p.vars, o.Vars()...)
	for v := range m.Constants() {
		p.vars = append(p.vars, v)
	}
	p.vars = append(p.vars, m.Params()...)
	return p, nil
}

// all lists the plans.
func (p *Plans) all() []*graph.Plan {
	return []*graph.Plan{p.First, p.More, p.Norm, p.Update, p.Eval.Plan}
}

// Memory is what training allocates on the device, in bytes, by use.
type Memory struct {
	Vars  int // parameters, masters, moments, gradients, inputs
	Arena int // activations and working memory: the largest plan's
	Peak  string
}

// Total is the sum.
func (m Memory) Total() int { return m.Vars + m.Arena }

// Memory adds the plans up. It is exact: see graph.Plan.
func (p *Plans) Memory() Memory {
	var m Memory
	seen := map[*graph.Var]bool{}
	add := func(vs []*graph.Var) {
		for _, v := range vs {
			if r := v.Root(); !seen[r] {
				seen[r] = true
				m.Vars += r.Bytes()
			}
		}
	}
	add(p.vars)
	for _, q := range p.all() {
		add(q.Vars())
		if q.Arena > m.Arena {
			m.Arena, m.Peak = q.Arena, q.Peak
		}
	}
	return m
}

// Fit finds the largest micro-batch that divides rows, is not larger than most tokens, and whose training fits in limit
// bytes (0: no limit). The shape's Micro is ignored.
func Fit(build func() (*model.Model, *optim.Optimizer, error), s Shape, tokens, limit int) (Shape, *Plans, error) {
	for micro := s.Rows; micro >= 1; micro-- {
		if s.Rows%micro != 0 || micro > 1 && micro*s.Length > tokens {
			continue
		}
		m, o, err := build()
		if err != nil {
			return s, nil, err
		}
		s.Micro = micro
		p, err := Compile(m, o, s)
		if err != nil {
			return s, nil, err
		}
		if need := p.Memory().Total(); limit == 0 || need <= limit {
			return s, p, nil
		} else if micro == 1 {
			return s, p, fmt.Errorf("%.2f GiB are needed for one row of %d tokens and there are %.2f GiB: nothing was started; "+
				"memory.recompute: block, a shorter batch.context or a smaller model would help",
				float64(need)/(1<<30), s.Length, float64(limit)/(1<<30))
		}
	}
	return s, nil, fmt.Errorf("batch: %d rows", s.Rows)
}
