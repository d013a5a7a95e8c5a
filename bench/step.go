package bench

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"time"

	"forja/engine/data"
	"forja/engine/model"
	"forja/engine/optim"
	"forja/engine/train"
	"forja/kernels"
)

// StepFigures describe a training step.
type StepFigures struct {
	Model        string  `json:"model"`
	Parameters   int     `json:"parameters"`
	Batch        int     `json:"batch"`
	Time         int     `json:"time"` // tokens of a sequence
	Recompute    bool    `json:"recompute"`
	LoRA         int     `json:"lora,omitempty"` // rank of the adapters; the base is frozen
	TokS         float64 `json:"tok_s"`
	TokSMedian   float64 `json:"tok_s_median"`
	GFLOPS       float64 `json:"gflops"` // by 6N + 6·L·C·T a token
	PeakGFLOPS   float64 `json:"peak_gflops"`
	MFU          float64 `json:"mfu"` // GFLOPS over PeakGFLOPS, the rate of the device's own product of side 1024
	PlannedBytes int     `json:"planned_bytes"`
	PeakRSS      int     `json:"peak_rss"`         // bytes, of this process while it measured the step; 0 if unknown
	CompileS     float64 `json:"compile_s"`        // recording and planning
	Allocations  uint64  `json:"allocations"`      // of Go memory, per update
	Shares       []Share `json:"shares,omitempty"` // where the time goes, largest first
}

// steps trains a model with random weights on random tokens.
func steps(ctx context.Context, r *rig) error {
	c, err := model.Preset(r.Step.Model)
	if err != nil {
		return err
	}
	if r.sizes.tiny {
		c = tiny(c)
	}
	var f32 float64
	for _, d := range r.DTypes {
		res, err := r.step(ctx, c, d)
		if err != nil {
			return err
		}
		if d == kernels.F32 {
			f32 = res.Rate
		} else if f32 > 0 {
			res = res.over("f32", f32)
		}
		r.Result(res)
	}
	return nil
}

// tiny is a model of a preset's kind for tests.
func tiny(c model.Config) model.Config {
	c.Vocab, c.Layers, c.Channels, c.Heads, c.KVHeads, c.HeadDim, c.FFN = 101, 2, 32, 2, 2, 16, 64
	return c
}

// prepare builds a model's training and compiles it.
func prepare(c model.Config, d kernels.DType, s train.Shape, lora int) (*model.Model, *optim.Optimizer, *train.Plans, error) {
	m, err := model.New(c)
	if err != nil {
		return nil, nil, nil, err
	}
	m.SetDType(d)
	if lora > 0 {
		if err := m.Adapt(model.LoRA{Rank: lora, Alpha: float64(2 * lora), Targets: []string{"all-linear"}}); err != nil {
			return nil, nil, nil, err
		}
	}
	o, err := optim.New(optim.Config{Kind: "adamw", Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Decay: 0.1}, m)
	if err != nil {
		return nil, nil, nil, err
	}
	p, err := train.Compile(m, o, s)
	return m, o, p, err
}

// step measures a training step. Its peak memory is that of the process, from preparing the model to the last update.
func (r *rig) step(ctx context.Context, c model.Config, d kernels.DType) (Result, error) {
	r.Say("step %v: preparing", d)
	debug.FreeOSMemory()
	resetPeakRSS()
	peak, err := train.Peak(r.b, d)
	if err != nil {
		return Result{}, err
	}
	shape := train.Shape{Rows: r.Step.Batch, Micro: r.Step.Batch, Length: r.Step.Context, Recompute: r.Step.Recompute}
	began := time.Now()
	m, o, plans, err := prepare(c, d, shape, r.Step.LoRA)
	if err != nil {
		return Result{}, err
	}
	compile := time.Since(began)
	t, err := train.NewTrainer(r.b, m, o, plans)
	if err != nil {
		return Result{}, err
	}
	defer t.Close()
	t.Schedule = optim.Schedule{Kind: "constant", Peak: 6e-4}
	if err := t.Load(train.Initial(m, 1)); err != nil {
		return Result{}, err
	}
	batch, failed := text(shape.Rows, shape.Length, c.Vocab), error(nil)
	update := func() {
		if failed == nil {
			_, failed = t.Update(batch)
		}
	}
	r.Say("step %v: %d updates", d, r.Rounds+1)
	ts, err := r.race(ctx, update)
	if err := cmp.Or(failed, err); err != nil {
		return Result{}, err
	}
	tokens := float64(shape.Rows * shape.Length)
	name := fmt.Sprintf("step/%v", d)
	if r.Step.LoRA > 0 {
		name = fmt.Sprintf("lora%d/%v", r.Step.LoRA, d)
	}
	res := ts[0].result(name, d, tokens, "tok/s")
	f := &StepFigures{Model: r.Step.Model, Parameters: c.Params(), Batch: shape.Rows, Time: shape.Length, Recompute: shape.Recompute, LoRA: r.Step.LoRA,
		TokS: res.Rate, TokSMedian: tokens / res.Median, GFLOPS: res.Rate * c.FLOPs(shape.Length) / 1e9, PeakGFLOPS: peak / 1e9,
		PlannedBytes: plans.Memory().Total(), PeakRSS: peakRSS(), CompileS: compile.Seconds()}
	f.MFU = f.GFLOPS / f.PeakGFLOPS
	f.Allocations = allocations(update)
	r.Say("step %v: where the time goes", d)
	several := func() error {
		for range r.Rounds {
			update()
		}
		return failed
	}
	began = time.Now()
	wall, err := t.Session().Profile(func() time.Duration { return time.Since(began) }, several)
	if err != nil {
		return Result{}, err
	}
	processor, err := t.Session().Profile(processorTime, several)
	f.Shares = shares(wall, processor)
	res.StepFigures = f
	return res, err
}

// allocations counts those of one call: the fewest of a few, since the runtime itself may allocate meanwhile.
func allocations(f func()) uint64 {
	least := ^uint64(0)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.Mallocs-before.Mallocs)
	}
	return least
}

// text is a batch of random tokens, one document a row, every target counted.
func text(rows, length, vocab int) *data.Batch {
	b := data.NewBatch(rows, length)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range b.Tokens {
		b.Tokens[i], b.Targets[i], b.Positions[i], b.Mask[i] = int32(random.IntN(vocab)), int32(random.IntN(vocab)), int32(i%length), 1
	}
	b.Count = len(b.Tokens)
	return b
}
