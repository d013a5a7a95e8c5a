// Package bench measures forja on the machine it runs on: the kernels on the shapes that GPT-2 124M trains with, a whole
// training step, and decoding. OpenBLAS, where there is one, multiplies the same matrices in the same run.
//
// Machines differ and are busy, so what counts are ratios: contestants take turns, round by round, after their results
// have been compared, and the best call of each counts. Every line says what it was measured against. `forja bench` prints
// what is here; peers/ holds the scripts that run PyTorch beside it, and RESULTS.md what was measured, where and when.
//
// Deliberately absent: statistics of a noisy machine (the best and the median are given, and the load is reported),
// stored baselines, and tests of speed.
package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"forja/kernels"
	"forja/kernels/cpu"
)

// A section is something to measure.
type section struct {
	name, title string
	run         func(context.Context, *rig) error
}

var sections = []section{
	{"copy", "copying memory", copies},
	{"gemm", "matrix products of GPT-2 124M, and on a card of LLaMA 1B", gemms},
	{"attention", "causal attention", attentions},
	{"norm", "norms and activations", norms},
	{"head", "language-model head: log-probabilities and all gradients", heads},
	{"adamw", "optimizer", optimizers},
	{"step", "training step", steps},
	{"decode", "decoding, greedy, one sequence", decodes},
}

// Sections lists what Run can measure, in its order.
func Sections() []string {
	var names []string
	for _, s := range sections {
		names = append(names, s.name)
	}
	return names
}

// Options say how to measure. Zero values mean the customary.
type Options struct {
	Open    func() (kernels.Backend, error) // the device; nil is the processor
	Threads int                             // worker threads of the processor; 0 is FORJA_THREADS, else all
	Rounds  int                             // turns of every contestant; 0 means 5
	DTypes  []kernels.DType                 // F32, BF16 or both, which nil means
	Step    Step

	Begin  func(title string)            // called before a section
	Peer   func(Peer)                    // called once, before the first product
	Result func(Result)                  // called with each figure as soon as it is known
	Count  func(Counters)                // called after a section with what a simulated card counted, kernel by kernel
	Say    func(format string, a ...any) // what is being measured now

	small bool // tiny sizes, for tests
}

// A Step is the training step to measure.
type Step struct {
	Model     string // a preset
	Batch     int    // sequences
	Context   int    // tokens of each
	Recompute bool
	LoRA      int // rank of adapters on every projection; 0 trains everything
}

// A Result is one measured figure. Its name is path-like: what, dtype, and which.
type Result struct {
	Name      string  `json:"name"`
	DType     string  `json:"dtype"`
	Seconds   float64 `json:"seconds"` // best call
	Median    float64 `json:"seconds_median"`
	Processor float64 `json:"processor_seconds"` // of all threads, a call, in the best turn; 0 if unknown
	Calls     int     `json:"calls"`
	Rate      float64 `json:"rate"` // at the best call
	Unit      string  `json:"unit"`

	// What it was compared with, as a rate of the same unit, and Rate over that.
	Against     string  `json:"against,omitempty"`
	AgainstRate float64 `json:"against_rate,omitempty"`
	Ratio       float64 `json:"ratio,omitempty"`
	// The same ratio by processor time. Other work disturbs it less, but it counts threads that spin while they wait.
	ProcessorRatio float64 `json:"processor_ratio,omitempty"`

	*StepFigures
	*DecodeFigures
}

// over compares a result.
func (r Result) over(against string, rate float64) Result {
	r.Against, r.AgainstRate, r.Ratio = against, rate, r.Rate/rate
	return r
}

// overCall compares a result with other calls that do the same work.
func (r Result) overCall(against string, work float64, t timing) Result {
	r = r.over(against, work/t.best())
	if r.Processor > 0 {
		r.ProcessorRatio = t.processor / r.Processor
	}
	return r
}

// A rig is a device under measurement.
type rig struct {
	Options
	sizes
	b      kernels.Backend
	peer   *openBLAS // nil: there is none
	copied float64   // GB/s at which a card copies, once measured

	counted map[string]counted // by kernel
}

// Run measures the named sections, in the order of Sections, on a device of its own. "all" names every one.
func Run(ctx context.Context, what []string, o Options) error {
	for _, w := range what {
		if w != "all" && !slices.Contains(Sections(), w) {
			return fmt.Errorf("there is nothing called %q to measure: there are %s and all", w, strings.Join(Sections(), ", "))
		}
	}
	o = o.fill()
	dev, err := kernels.OpenDevice(o.Open)
	if err != nil {
		return err
	}
	err = dev.Do(ctx, func(b kernels.Backend) error {
		r := &rig{Options: o, sizes: o.size(b.Info()), b: b}
		for _, s := range sections {
			if !slices.Contains(what, "all") && !slices.Contains(what, s.name) {
				continue
			}
			r.Begin(s.title)
			if err := s.run(ctx, r); err != nil {
				return fmt.Errorf("bench %s: %w", s.name, err)
			}
			r.count(s.name)
		}
		return nil
	})
	if e := dev.Close(); err == nil {
		err = e
	}
	return err
}

func (o Options) fill() Options {
	if o.Open == nil {
		o.Open = func() (kernels.Backend, error) { return cpu.Open(cpu.Options{Threads: o.Threads}) }
	}
	if o.Rounds < 1 {
		o.Rounds = 5
	}
	if len(o.DTypes) == 0 {
		o.DTypes = []kernels.DType{kernels.F32, kernels.BF16}
	}
	if o.Step.Model == "" {
		o.Step.Model = "gpt2"
	}
	if o.Step.Batch == 0 {
		o.Step.Batch = 4
	}
	if o.Step.Context == 0 {
		o.Step.Context = 256
	}
	if o.Begin == nil {
		o.Begin = func(string) {}
	}
	if o.Result == nil {
		o.Result = func(Result) {}
	}
	if o.Say == nil {
		o.Say = func(string, ...any) {}
	}
	if o.Count == nil {
		o.Count = func(Counters) {}
	}
	if o.Peer == nil {
		o.Peer = func(Peer) {}
	}
	return o
}
