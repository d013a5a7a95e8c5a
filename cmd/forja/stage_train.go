package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"forja/engine/data"
	"forja/engine/data/chat"
	"forja/engine/gen"
	"forja/engine/graph"
	"forja/engine/recipe"
	"forja/engine/train"
	"forja/engine/vfs"
	"forja/engine/vfs/snapshot"
	"forja/kernels"
	"forja/tokenizer"
)

// sources are what a training stage reads.
type sources struct {
	train, val data.Source
	close      func() error
}

// stageTrain runs pretraining or instruction tuning in a run directory, from its newest checkpoint if there is one.
func (a *app) stageTrain(ctx context.Context, r *recipe.Recipe, d *vfs.Disk) error {
	s := &r.Stage
	if err := vfs.WriteFile(d, "recipe.yaml", r.Marshal()); err != nil { // first: from here on the run can be resumed
		return err
	}
	e, err := a.stageEncoder(ctx, s, d)
	if err != nil {
		return err
	}
	j, err := newJob(s, e.VocabSize())
	if err != nil {
		return err
	}
	if j.config.EOS == nil && e.end >= 0 {
		j.config.EOS = []int32{e.end}
	}
	src, err := a.openSources(ctx, s, e, d, j.length)
	if err != nil {
		return err
	}
	defer src.close()
	peak, err := a.peak(ctx, s.Device, j.dtype)
	if err != nil {
		return err
	}
	dev, err := a.openDevice(s.Device)
	if err != nil {
		return err
	}
	defer dev.Close()
	return dev.Do(ctx, func(b kernels.Backend) error { return a.train(ctx, b, j, peak, e, src, d) })
}

// stageEncoder opens the tokenizer that a stage names, its base model's, or trains one in the run directory.
func (a *app) stageEncoder(ctx context.Context, s *recipe.Stage, d *vfs.Disk) (*encoder, error) {
	path := s.Tokenizer.Path
	if path == "" {
		path = s.Base
	}
	if path == "" {
		if _, err := d.Stat(tokenizerFile); err == nil {
			return openTokenizer(d.Path(tokenizerFile))
		}
		docs, err := corpusSide(ctx, s, false)
		if err != nil {
			return nil, err
		}
		return a.trainTokenizer(ctx, s, docs, d)
	}
	e, err := openTokenizer(path)
	if err != nil {
		return nil, err
	}
	switch t := s.Data.Template; {
	case t == "" || t == "base":
	case t == "chatml":
		err = e.useTemplate(chat.ChatML)
	default:
		var src []byte
		if src, err = os.ReadFile(t); err == nil {
			err = e.useTemplate(string(src))
		}
	}
	if err != nil {
		return nil, s.Errorf("data.template", "data.template: %v", err)
	}
	return e, e.describe()
}

// openSources opens what a stage trains on and validates with.
func (a *app) openSources(ctx context.Context, s *recipe.Stage, e *encoder, d *vfs.Disk, length int) (sources, error) {
	if s.Kind == "sft" {
		return a.chatSources(s, e, length)
	}
	trainPath, valPath := s.Data.Train, s.Data.Val
	if trainPath == "" || !isSet(trainPath) { // documents: tokenize them in the run directory
		for _, side := range []string{"train", "val"} {
			if isSet(d.Path(filepath.Join("data", side))) {
				continue
			}
			if err := vfs.MkdirAll(d, "data"); err != nil {
				return sources{}, err
			}
			sub := *s
			if trainPath != "" {
				sub.Data.Source, sub.Data.Path = "jsonl", trainPath
			}
			docs, err := corpusSide(ctx, &sub, side == "val")
			if err != nil {
				return sources{}, err
			}
			if err := a.pack(ctx, d, filepath.Join("data", side), docs, e, 0); err != nil {
				return sources{}, err
			}
		}
		trainPath, valPath = d.Path("data/train"), d.Path("data/val")
	}
	set, err := openSet(trainPath, e)
	if err != nil {
		return sources{}, err
	}
	src := sources{close: set.Close}
	if src.train, err = data.NewLoader(set, length, uint64(s.Seed)); err != nil {
		return src, err
	}
	if valPath == "" {
		return src, nil
	}
	val, err := openSet(valPath, e)
	if err != nil {
		return src, err
	}
	src.close = func() error { return errors.Join(set.Close(), val.Close()) }
	src.val, err = data.NewSequential(val, length)
	return src, err
}

// chatSources loads conversations.
func (a *app) chatSources(s *recipe.Stage, e *encoder, length int) (sources, error) {
	codec, err := e.codec()
	if err != nil {
		return sources{}, err
	}
	load := func(path string) (*chat.Dataset, error) {
		o := chat.ReadOptions{Roles: s.Data.Roles}
		if s.Data.Format != "auto" {
			o.Format = chat.Format(s.Data.Format)
		}
		return chat.Load(chat.ReadFile(path, o), path, codec, chat.DatasetOptions{Length: length, TrainOn: chat.TrainOn(s.Data.TrainOn)})
	}
	set, err := load(s.Data.Train)
	if err != nil {
		return sources{}, err
	}
	stops := "the end token is trained"
	if !set.EOSTrained() {
		stops = "the end token is NOT trained: the model will not learn to stop"
	}
	a.talk.printf("data    %d examples in %d rows, %.0f %% full; %.1f %% of the tokens are trained; %d truncated; %s",
		set.Samples, set.Rows, 100*set.Fill(length), 100*set.TrainableShare(), set.Truncated, stops)
	src := sources{train: set.Loader(uint64(s.Seed)), close: func() error { return nil }}
	if s.Data.Val == "" {
		return src, nil
	}
	val, err := load(s.Data.Val)
	if err != nil {
		return src, err
	}
	src.val = val.Sequential()
	return src, nil
}

// A runInfo is run.json: what a run is and how it stands.
type runInfo struct {
	Version    string     `json:"version"` // of forja
	Go         string     `json:"go"`
	Kind       string     `json:"kind"`
	Name       string     `json:"name"`
	State      string     `json:"state"` // running, stopped, done, failed
	Error      string     `json:"error,omitempty"`
	Step       int        `json:"step"`
	Steps      int        `json:"steps"`
	Parameters int        `json:"parameters"`
	Trainable  int        `json:"trainable"`
	Device     string     `json:"device"`
	Tier       string     `json:"tier"`
	Threads    int        `json:"threads"`
	Memory     int        `json:"memory_bytes"`
	Started    time.Time  `json:"started"`
	Updated    time.Time  `json:"updated"`
	Seconds    float64    `json:"seconds"` // of this process
	Loss       float64    `json:"loss,omitempty"`
	First      *evalPoint `json:"first,omitempty"` // before training
	Last       *evalPoint `json:"last,omitempty"`
}

type evalPoint struct {
	Loss float64 `json:"loss"`
	BPB  float64 `json:"bpb,omitempty"`
}

func point(e *train.Evaluation) *evalPoint {
	if e == nil {
		return nil
	}
	return &evalPoint{e.Loss, e.BPB}
}

// train plans, binds and drives a run on a device.
func (a *app) train(ctx context.Context, b kernels.Backend, j *job, peak float64, e *encoder, src sources, d *vfs.Disk) (err error) {
	start := time.Now()
	dev := b.Info()
	p, err := j.plan(dev.Memory)
	if err != nil {
		return err
	}
	steps, err := j.steps(src.train.Samples())
	if err != nil {
		return err
	}
	sched, err := j.schedule(steps)
	if err != nil {
		return err
	}
	t, err := train.NewTrainer(b, p.model, p.opt, p.plans)
	if err != nil {
		return deviceError{err}
	}
	defer t.Close()
	t.Schedule, t.Seed = sched, uint64(j.stage.Seed)
	if k := j.stage.Optim.SpikeSkip; k > 0 {
		t.Spikes = &train.Spikes{Limit: k}
	}
	state, err := a.loadWeights(t, j, e)
	if err != nil {
		return err
	}
	ri := runInfo{Version: version, Go: runtime.Version(), Kind: j.stage.Kind, Name: j.stage.Name, State: "running", Steps: steps,
		Parameters: j.config.Params(), Trainable: trainable(p), Device: dev.Name, Tier: dev.Tier, Threads: dev.Threads,
		Memory: p.memory().Total(), Started: start.UTC()}
	ri.First = previousFirst(d)
	a.announce(p, dev, steps, peak)
	w := &watch{talk: a.talk, steps: steps, every: j.stage.Train.LogEvery, flops: j.config.FLOPs(j.length), peak: peak, memory: ri.Memory, rows: j.rows * j.length}
	run := &train.Run{Trainer: t, FS: d, Train: src.train, Val: src.val, State: state, Files: e.files, Hooks: w.hooks(),
		Plan: train.Plan{Steps: steps, Limit: time.Duration(j.stage.Train.Minutes * float64(time.Minute)), EvalEvery: j.stage.Train.EvalEvery,
			EvalTokens: j.stage.Train.EvalTokens, SaveEvery: j.stage.Train.SaveEvery, Keep: j.stage.Train.Keep}}
	if run.Samples, err = a.sampler(ctx, t, p, e); err != nil {
		return err
	}
	save := func(state string) error {
		ri.State, ri.Step, ri.Loss, ri.Updated, ri.Seconds = state, t.Step, w.loss, time.Now().UTC(), time.Since(start).Seconds()
		return writeJSON(d, "run.json", ri)
	}
	if err := save("running"); err != nil {
		return err
	}
	if ri.First == nil && src.val != nil && t.Step == 0 {
		if _, _, lerr := latest(d); lerr != nil { // nothing to resume: this is the model before training
			first, err := t.Evaluate(src.val, run.Plan.EvalTokens)
			if err != nil {
				return err
			}
			ri.First = point(&first)
			w.eval(0, first)
		}
	}
	running, endLog := a.watchCard(ctx, b, d)
	last, err := run.Do(running)
	err = errors.Join(err, endLog())
	ri.Last = point(last)
	switch {
	case errors.Is(err, train.ErrStopped) && errors.Is(context.Cause(running), errSickCard):
		ri.Error = errSickCard.Error()
		return errors.Join(deviceError{fmt.Errorf("%w: step %d is saved, see %s\n   resume on another card: forja %s --resume %s",
			errSickCard, t.Step, d.Path(deviceFile), j.stage.Kind, d.Path("."))}, save("stopped"))
	case err == nil:
		a.talk.printf("done    %d steps in %s · %s", t.Step, span(time.Since(start)), d.Path(train.ModelDir))
		return save("done")
	case errors.Is(err, train.ErrStopped):
		a.talk.printf("stopped at step %d, saved\nresume with: forja %s --resume %s", t.Step, j.stage.Kind, d.Path("."))
		return errors.Join(err, save("stopped"))
	default:
		if errors.Is(err, snapshot.ErrDamaged) {
			err = fmt.Errorf("%w\n   no checkpoint is whole; to begin anew, remove %s", err, d.Path(train.CheckpointDir))
		}
		ri.Error = err.Error()
		return errors.Join(err, save("failed"))
	}
}

func trainable(p *planned) (n int) {
	if p.lora == nil {
		return p.config.Params()
	}
	for _, v := range p.model.Trainable() {
		n += v.Shape.Size()
	}
	return n
}

// previousFirst is the validation before training that an earlier process made.
func previousFirst(d vfs.FS) *evalPoint {
	b, err := vfs.ReadFile(d, "run.json", 1<<20)
	if err != nil {
		return nil
	}
	var ri runInfo
	if json.Unmarshal(b, &ri) != nil {
		return nil
	}
	return ri.First
}

// loadWeights sets the first values: the base model's, or random ones.
func (a *app) loadWeights(t *train.Trainer, j *job, e *encoder) (train.State, error) {
	state := train.State{Tokenizer: e.fingerprint}
	initial := train.Initial(t.Model, uint64(j.stage.Seed))
	if j.base == nil {
		return state, t.Load(initial)
	}
	defer j.base.Close()
	values, err := j.base.Values(t.Model)
	if err != nil {
		return state, err
	}
	adapters := map[*graph.Var]bool{}
	for _, x := range t.Model.Adapters() {
		adapters[x.Var] = true
	}
	if j.lora != nil {
		if state.BaseHash, err = j.base.Hash(sha256.New()); err != nil {
			return state, err
		}
		state.BasePath = j.stage.Base
	}
	return state, t.Load(func(v *graph.Var) ([]float32, error) {
		if adapters[v] {
			return initial(v)
		}
		return values(v)
	})
}

// sampler completes the recipe's prompts in the trainer's own session.
func (a *app) sampler(ctx context.Context, t *train.Trainer, p *planned, e *encoder) (func(int) ([]train.Sample, error), error) {
	if p.gen == nil {
		return nil, nil
	}
	s, prompts := p.stage.Sample, p.stage.Train.Sample
	g, err := gen.Bind(t.Session(), p.gen)
	if err != nil {
		return nil, err
	}
	return func(step int) (out []train.Sample, err error) {
		g.Forget()
		for _, prompt := range prompts {
			text, _, err := complete(ctx, g, e, e.Encode(prompt), samplingOf(s, uint64(p.stage.Seed)), s.Tokens, s.Stop, nil)
			if err != nil {
				return nil, err
			}
			out = append(out, train.Sample{Step: step, Prompt: prompt, Text: text})
		}
		return out, nil
	}, nil
}

func samplingOf(s recipe.Sample, seed uint64) gen.Sampling {
	return gen.Sampling{Temperature: s.Temperature, TopK: s.TopK, TopP: s.TopP, MinP: s.MinP, Repetition: s.RepetitionPenalty, Seed: seed}
}

// complete generates until the model ends the text, a stop text comes, or most tokens have come. each gets the text as
// it grows; it may be nil.
func complete(ctx context.Context, g *gen.Generator, e *encoder, prompt []int32, s gen.Sampling, most int, stop []string,
	each func(string)) (string, gen.Usage, error) {
	if room := g.Context() - len(prompt); most > room {
		most = room
	}
	ends := map[int32]bool{e.end: true}
	if id, ok := e.specials()["<|im_end|>"]; ok {
		ends[id] = true
	}
	for _, x := range e.Specials() {
		s.Exempt = append(s.Exempt, x.ID)
	}
	stream := gen.NewStream(tokenizer.NewDecoder(e, true), stop)
	var text []byte
	say := func(more string) {
		text = append(text, more...)
		if each != nil && more != "" {
			each(more)
		}
	}
	u, err := g.Generate(ctx, prompt, s, most, func(t gen.Token) bool {
		if ends[t.ID] {
			return false
		}
		more, done := stream.Push(t.ID)
		say(more)
		return !done
	})
	say(stream.Flush())
	return string(text), u, err
}

// announce says what is about to happen.
func (a *app) announce(p *planned, dev kernels.Info, steps int, peak float64) {
	c, m := p.config, p.memory()
	a.talk.printf("model   %s %dL %dC %dH · vocabulary %d · context %d · %s parameters%s", c.Arch, c.Layers, c.Channels, c.Heads, c.Vocab, c.Context,
		count(c.Params()), loraNote(p))
	a.talk.printf("step    %s tokens = %d × %d × %d · %d steps · %s", count(p.rows*p.length), p.rows/p.shape.Micro, p.shape.Micro, p.length, steps, p.dtype)
	a.talk.printf("device  %s · %.0f GFLOP/s · %s planned", describeDevice(dev), peak/1e9, size(m.Total()))
}

func loraNote(p *planned) string {
	if p.lora == nil {
		return ""
	}
	return fmt.Sprintf(" · LoRA r%d α%g, %s trained", p.lora.Rank, p.lora.Alpha, count(trainable(p)))
}

func jsonIndent(v any) ([]byte, error) {
	b, err := json.MarshalIndent(v, "", "  ")
	return append(b, '\n'), err
}
