package train

import (
	"context"
	"fmt"
	"math"
	"time"

	"forja/engine/data"
	"forja/engine/eval"
	"forja/engine/graph"
	"forja/engine/model"
	"forja/engine/optim"
	"forja/kernels"
)

// A Trainer is one model in training on one device. It is used where its Backend is: inside Device.Do.
type Trainer struct {
	Model    *model.Model
	Optim    *optim.Optimizer
	Schedule optim.Schedule
	Seed     uint64
	Spikes   *Spikes // nil: no update is skipped

	Step   int    // updates done
	Sample uint64 // global number of the next sample

	s                         *graph.Session
	plans                     *Plans
	first, more, norm, update *graph.Step
	eval                      *eval.Scorer
	control                   [kernels.ControlSize]float32
	rng                       [kernels.RandomBlock]int32
	logp, entropy, dlogp      []float32
}

// NewTrainer gives the plans storage on a device. Parameters are zero until Load or a checkpoint sets them.
func NewTrainer(b kernels.Backend, m *model.Model, o *optim.Optimizer, p *Plans) (*Trainer, error) {
	t := &Trainer{Model: m, Optim: o, s: graph.NewSession(b), plans: p}
	if err := t.bind(); err != nil {
		t.s.Close()
		return nil, err
	}
	n := p.Rows * p.Length
	t.logp, t.entropy, t.dlogp = make([]float32, n), make([]float32, n), make([]float32, p.Micro*p.Length)
	return t, nil
}

func (t *Trainer) bind() error {
	if err := t.s.Add(t.plans.vars...); err != nil {
		return err
	}
	for v, x := range t.Model.Constants() {
		graph.Set(t.s, v, x)
	}
	for _, b := range []struct {
		step *(*graph.Step)
		plan *graph.Plan
	}{{&t.first, t.plans.First}, {&t.more, t.plans.More}, {&t.norm, t.plans.Norm}, {&t.update, t.plans.Update}} {
		var err error
		if *b.step, err = t.s.Bind(b.plan); err != nil {
			return err
		}
	}
	var err error
	t.eval, err = t.plans.Eval.Bind(t.s)
	return err
}

// Session is the trainer's storage.
func (t *Trainer) Session() *graph.Session { return t.s }

// Shape is the work of one update.
func (t *Trainer) Shape() Shape { return t.plans.Shape }

// Memory is what the trainer has allocated.
func (t *Trainer) Memory() Memory { return t.plans.Memory() }

// Close frees the trainer's storage.
func (t *Trainer) Close() { t.s.Close() }

// Stats are the figures of one update.
type Stats struct {
	Step     int     // number of the update, from 1
	Tokens   int     // in the update's rows
	Loss     float64 // nats per counted target
	Entropy  float64 // of the model's distribution, mean over counted targets
	GradNorm float64
	Rate     float64 // learning rate
	Skipped  bool    // the update was left out: its norm was a spike
	Elapsed  time.Duration
}

// A NotFiniteError says that a step's loss or gradient is NaN or infinite. Of a bad gradient nothing was updated.
type NotFiniteError struct {
	Step           int
	Loss, GradNorm float64
	First          string // the first value that is not finite
}

func (e *NotFiniteError) Error() string {
	return fmt.Sprintf("step %d: loss %g, gradient norm %g: stopped, and not saved\nfirst bad value: %s", e.Step, e.Loss, e.GradNorm, e.First)
}

// Update is one step on a whole batch, the samples from t.Sample on. Everything is queued before anything is read: the
// device itself leaves out an update whose gradient is a spike or not finite.
func (t *Trainer) Update(b *data.Batch) (Stats, error) {
	start := time.Now()
	st := Stats{Step: t.Step + 1, Tokens: len(b.Tokens), Rate: t.Schedule.At(t.Step)}
	if b.Rows != t.plans.Rows || b.Length != t.plans.Length {
		return st, fmt.Errorf("batch of %d×%d tokens for a trainer of %d×%d", b.Rows, b.Length, t.plans.Rows, t.plans.Length)
	}
	if b.Count == 0 {
		return st, fmt.Errorf("step %d: no target counts in the batch", st.Step)
	}
	for r := 0; r < b.Rows; r += t.plans.Micro {
		step := t.more
		if r == 0 {
			step = t.first
		}
		if err := t.micro(step, b, r, -1/float64(b.Count)); err != nil {
			return st, err
		}
	}
	t.Optim.SetControl(&t.control, t.Step, st.Rate, t.Spikes.Bound())
	graph.Set(t.s, t.Optim.Control, t.control[:])
	t.norm.Run()
	t.update.Run()
	graph.Get(t.s, t.Optim.Control, t.control[:])
	if err := t.s.Backend().Sync(); err != nil {
		return st, err
	}
	st.Loss, st.Entropy = t.means(b)
	st.GradNorm = float64(t.control[kernels.ControlNorm])
	if bad(st.Loss) || bad(st.GradNorm) {
		return st, t.diagnose(b, st)
	}
	if st.Skipped = t.control[kernels.ControlSkip] != 0; !st.Skipped {
		t.Spikes.Note(st.GradNorm)
	}
	t.Step++
	t.Sample += uint64(b.Rows)
	st.Elapsed = time.Since(start)
	return st, nil
}

func bad(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }

// part is n rows of b from row on, sharing its memory.
func part(b *data.Batch, row, n int) data.Batch {
	lo, hi := row*b.Length, (row+n)*b.Length
	return data.Batch{Rows: n, Length: b.Length,
		Tokens: b.Tokens[lo:hi], Targets: b.Targets[lo:hi], Positions: b.Positions[lo:hi], Lo: b.Lo[lo:hi], Mask: b.Mask[lo:hi]}
}

// set copies the rows of b from row on to the device. The cotangent of a counted log-probability is scale.
func (t *Trainer) set(b *data.Batch, row int, scale float64) {
	p := part(b, row, t.plans.Micro)
	t.plans.inputs.Set(t.s, &p)
	for i, m := range p.Mask {
		t.dlogp[i] = float32(float64(m) * scale)
	}
	graph.Set(t.s, t.plans.inputs.dlogp, t.dlogp)
	if v := t.Model.Random(); v != nil {
		sample := t.Sample + uint64(row)
		t.rng = [4]int32{int32(t.Seed), int32(t.Seed >> 32), int32(sample), int32(sample >> 32)}
		graph.Set(t.s, v, t.rng[:])
	}
}

// micro queues a step on the rows of b from row on, and the reading of what their targets cost.
func (t *Trainer) micro(step *graph.Step, b *data.Batch, row int, scale float64) error {
	t.set(b, row, scale)
	step.Run()
	lo, hi := row*b.Length, (row+t.plans.Micro)*b.Length
	if err := graph.Output(step, "logp", t.logp[lo:hi]); err != nil {
		return err
	}
	return graph.Output(step, "entropy", t.entropy[lo:hi])
}

// means are the loss and the entropy of a batch that was read, over counted targets.
func (t *Trainer) means(b *data.Batch) (loss, entropy float64) {
	n, span := float64(b.Count), t.plans.Micro*b.Length
	for lo := 0; lo < len(b.Mask); lo += span {
		var l, e float64
		for i, m := range b.Mask[lo : lo+span] {
			if m != 0 {
				l -= float64(m) * float64(t.logp[lo+i])
				e += float64(m) * float64(t.entropy[lo+i])
			}
		}
		loss += l / n
		entropy += e / n
	}
	return loss, entropy
}

// diagnose replays the micro-steps of a bad update to find where the numbers go wrong first.
func (t *Trainer) diagnose(b *data.Batch, st Stats) error {
	e := &NotFiniteError{Step: st.Step, Loss: st.Loss, GradNorm: st.GradNorm, First: "none found on replay"}
	err := t.Trace(b, func(row int, v graph.Traced) bool {
		if v.Bad == 0 {
			return true
		}
		e.First = fmt.Sprintf("%s at %s, %d of %d elements (micro-batch of row %d)", v.Op, v.Site, v.Bad, v.Shape.Size(), row)
		if v.Name != "" {
			e.First = v.Name + ", " + e.First
		}
		return false
	})
	if err != nil {
		return err
	}
	return e
}

// Trace replays the forward and backward passes of a batch, kernel by kernel, and shows visit every value with the first
// row of its micro-batch, until visit returns false. Nothing is updated but the gradients.
func (t *Trainer) Trace(b *data.Batch, visit func(row int, v graph.Traced) bool) error {
	if b.Rows != t.plans.Rows || b.Length != t.plans.Length || b.Count == 0 {
		return fmt.Errorf("batch of %d×%d tokens, %d of them counted, for a trainer of %d×%d", b.Rows, b.Length, b.Count, t.plans.Rows, t.plans.Length)
	}
	for row := 0; row < b.Rows; row += t.plans.Micro {
		t.set(b, row, -1/float64(b.Count))
		step, more := t.more, true
		if row == 0 {
			step = t.first
		}
		if err := step.Trace(func(v graph.Traced) bool {
			more = visit(row, v)
			return more
		}); err != nil || !more {
			return err
		}
	}
	return nil
}

// Evaluation is the likelihood of held-out text.
type Evaluation = eval.Likelihood

// Evaluate goes through a source once, or through its first most targets and the rest of their row (0: all).
func (t *Trainer) Evaluate(src data.Source, most int) (Evaluation, error) {
	e, err := t.eval.Likelihood(context.Background(), src, most)
	if err != nil {
		err = fmt.Errorf("validation: %w", err)
	}
	return e, err
}
