package main

import (
	"math"

	"forja/engine/format/hf"
	"forja/engine/gen"
	"forja/engine/model"
	"forja/engine/optim"
	"forja/engine/recipe"
	"forja/engine/train"
	"forja/engine/vfs"
	"forja/kernels"
)

// A job is a training stage with everything settled that needs no device: the model, the batch, the schedule.
type job struct {
	stage  *recipe.Stage
	config model.Config
	base   *hf.Folder // nil: from scratch
	dtype  kernels.DType
	lora   *model.LoRA
	optim  optim.Config
	rows   int
	length int
	micro  int // 0: the largest that fits
	dial   model.Dial
}

// newJob settles the model and the batch. vocab is the tokenizer's.
func newJob(s *recipe.Stage, vocab int) (*job, error) {
	j := &job{stage: s, dtype: kernels.F32}
	if s.Precision == "bf16" {
		j.dtype = kernels.BF16
	}
	if err := j.settleModel(vocab); err != nil {
		return nil, err
	}
	if err := j.settleBatch(); err != nil {
		return nil, err
	}
	o := s.Optim
	j.optim = optim.Config{Kind: o.Kind, Beta1: o.Betas[0], Beta2: o.Betas[1], Eps: o.Eps, Decay: o.Decay, Momentum: o.Momentum, Clip: o.Clip}
	if o.Kind == "muon" {
		j.optim.MuonScale = muonScale
	}
	if s.Kind == "sft" && s.LoRA.Rank > 0 {
		l := s.LoRA
		j.lora = &model.LoRA{Rank: l.Rank, Alpha: l.Alpha, Dropout: l.Dropout, RSLoRA: l.RSLoRA, Targets: l.Targets}
	}
	return j, nil
}

// muonScale is Muon's learning rate over AdamW's: its updates have unit spectral norm, AdamW's about unit elements.
const muonScale = 6

func (j *job) settleModel(vocab int) error {
	s := j.stage
	if s.Base != "" {
		d, err := vfs.OS(s.Base)
		if err != nil {
			return s.Errorf("base", "base: %v", err)
		}
		if err := verify(s.Base); err != nil {
			return s.Errorf("base", "%v", err)
		}
		if j.base, err = hf.Open(d, "."); err != nil {
			return s.Errorf("base", "base: %v", err)
		}
		j.config = j.base.Config
		if vocab > j.config.Vocab {
			return s.Errorf("base", "the tokenizer has %d ids and the model in %s has %d: they do not belong together", vocab, s.Base, j.config.Vocab)
		}
		return nil
	}
	m := s.Model
	c := model.Config{Arch: model.LLaMA, Tied: true}
	switch {
	case m.Preset != "":
		var err error
		if c, err = model.Preset(m.Preset); err != nil {
			return s.Errorf("model.preset", "%v", err)
		}
	case m.Depth > 0:
		context := m.Context
		if context == 0 {
			context = 512
		}
		j.dial = model.Depth(m.Depth, vocab, context)
		c = j.dial.Config
	}
	set := func(dst *int, v int) {
		if v != 0 {
			*dst = v
		}
	}
	if m.Arch != "" && m.Arch != c.Arch {
		c.Arch = m.Arch
		c.FFN = 0 // the customary width differs
	}
	if m.Layers != 0 || m.Channels != 0 || m.Heads != 0 { // what followed from other sizes follows anew
		c.HeadDim, c.KVHeads, c.FFN = 0, 0, 0
	}
	set(&c.Layers, m.Layers)
	set(&c.Channels, m.Channels)
	set(&c.Heads, m.Heads)
	set(&c.KVHeads, m.KVHeads)
	set(&c.FFN, m.FFN)
	set(&c.Context, m.Context)
	set(&c.Vocab, m.Vocab)
	if c.Vocab == 0 || m.Vocab == 0 && vocab > 0 {
		c.Vocab = vocab
	}
	if m.Tied != nil {
		c.Tied = *m.Tied
	}
	if m.RopeBase != 0 {
		c.Rope.Theta = m.RopeBase
	}
	if m.NormEps != 0 {
		c.NormEps = m.NormEps
	}
	if c.Context == 0 {
		c.Context = 512
	}
	c = c.Fill()
	if vocab > c.Vocab {
		return s.Errorf("model.vocab", "the tokenizer has %d ids and model.vocab is %d", vocab, c.Vocab)
	}
	if err := c.Validate(); err != nil {
		return s.Errorf("model", "%v", err)
	}
	j.config = c
	return nil
}

func (j *job) settleBatch() error {
	b := j.stage.Batch
	j.length = b.Context
	if j.length == 0 {
		j.length = j.config.Context
	}
	if j.length > j.config.Context {
		return j.stage.Errorf("batch.context", "batch.context: rows of %d tokens do not fit the model's context of %d", j.length, j.config.Context)
	}
	switch {
	case b.Rows > 0:
		j.rows = b.Rows
	case b.Tokens > 0:
		j.rows = max(1, b.Tokens/j.length)
	case j.dial.BatchTokens > 0:
		j.rows = max(1, j.dial.BatchTokens/j.length)
	default:
		j.rows = max(1, 16384/j.length)
	}
	j.micro = b.Micro
	if j.micro > 0 && j.rows%j.micro != 0 {
		return j.stage.Errorf("batch.micro", "batch.micro: %d rows of an update cannot be split into micro-batches of %d", j.rows, j.micro)
	}
	return nil
}

// steps is the length of the run, for a source of samples rows.
func (j *job) steps(samples uint64) (int, error) {
	t := j.stage.Train
	n := 0
	switch {
	case t.Steps > 0:
		n = t.Steps
	case t.Epochs > 0:
		n = int(math.Ceil(t.Epochs * float64(samples) / float64(j.rows)))
	case t.Tokens > 0:
		n = (t.Tokens + j.rows*j.length - 1) / (j.rows * j.length)
	case j.stage.Kind == "sft":
		n = int((samples + uint64(j.rows) - 1) / uint64(j.rows))
	case j.dial.Tokens > 0:
		n = (j.dial.Tokens + j.rows*j.length - 1) / (j.rows * j.length)
	default:
		n = int((samples + uint64(j.rows) - 1) / uint64(j.rows))
	}
	if n < 1 {
		return 0, j.stage.Errorf("train", "train: the run has no steps")
	}
	return n, nil
}

// schedule is the learning rate over a run.
func (j *job) schedule(steps int) (optim.Schedule, error) {
	o := j.stage.Optim
	s := optim.Schedule{Kind: o.Schedule, Peak: o.LearningRate, Final: o.Final, Warmup: o.Warmup.Of(steps), Cooldown: o.Cooldown.Of(steps), Steps: steps}
	if s.Peak == 0 {
		switch {
		case j.lora != nil:
			s.Peak = 1e-3
		case j.base != nil:
			s.Peak = 1e-4
		case j.dial.LearningRate > 0:
			s.Peak = j.dial.LearningRate
		default:
			s.Peak = 3e-3 * 4 / float64(max(4, j.config.Layers)) // as model.Depth
		}
	}
	if err := s.Validate(); err != nil {
		return s, j.stage.Errorf("optim.schedule", "%v", err)
	}
	return s, nil
}

// build lays out the model and its optimizer afresh.
func (j *job) build() (*model.Model, *optim.Optimizer, error) {
	m, err := model.New(j.config)
	if err != nil {
		return nil, nil, err
	}
	m.SetDType(j.dtype)
	if j.lora != nil {
		if err := m.Adapt(*j.lora); err != nil {
			return nil, nil, j.stage.Errorf("lora", "%v", err)
		}
	}
	o, err := optim.New(j.optim, m)
	return m, o, err
}

// microTokens is the most tokens of a forward pass that make a CPU faster: more only takes memory.
const microTokens = 2048

// A planned job has its graphs compiled: memory is exact and none is allocated.
type planned struct {
	*job
	shape train.Shape
	plans *train.Plans
	model *model.Model
	opt   *optim.Optimizer
	gen   *gen.Plan // of samples while training; nil if there are none
}

// memory is what the job allocates, exactly.
func (p *planned) memory() train.Memory {
	m := p.plans.Memory()
	if p.gen != nil {
		m.Vars += p.gen.VarBytes()
		m.Arena = max(m.Arena, p.gen.Arena())
	}
	return m
}

// plan compiles the largest micro-batch that fits limit bytes.
func (j *job) plan(limit int) (*planned, error) {
	p := &planned{job: j}
	p.shape = train.Shape{Rows: j.rows, Micro: j.micro, Length: j.length, Recompute: j.stage.Memory.Recompute == "block"}
	build := func() (m *model.Model, o *optim.Optimizer, err error) {
		p.model, p.opt, err = j.build()
		return p.model, p.opt, err
	}
	var err error
	if j.micro == 0 {
		if p.shape, p.plans, err = train.Fit(build, p.shape, microTokens, limit); err != nil {
			if p.plans != nil {
				err = usageError{err} // not even one row fits
			}
			return nil, err
		}
		return p, p.planSamples()
	}
	m, o, err := build()
	if err != nil {
		return nil, err
	}
	if p.plans, err = train.Compile(m, o, p.shape); err != nil {
		return nil, err
	}
	if need := p.plans.Memory().Total(); limit > 0 && need > limit {
		return nil, usagef("%s needed and there are %s: nothing was started\n   batch.micro: auto takes what fits; memory.recompute: block needs less",
			size(need), size(limit))
	}
	return p, p.planSamples()
}

// planSamples compiles the generation of samples while training.
func (p *planned) planSamples() (err error) {
	if len(p.stage.Train.Sample) > 0 {
		p.gen, err = gen.Compile(p.model, gen.Size{Context: min(p.config.Context, 256), Chunk: 32})
	}
	return err
}
