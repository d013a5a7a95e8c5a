package main

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"forja/bench"
	"forja/engine/model"
	"forja/kernels"
)

func (a *app) benchCmd() *cobra.Command {
	var o bench.Options
	var dtype, device string
	var least []string
	names := strings.Join(bench.Sections(), ", ")
	c := &cobra.Command{Use: "bench [WHAT...]", Short: "measure kernels, a training step and decoding on this machine",
		Long: "Measures " + names + " or all (the default), on shapes of GPT-2 124M, best of several rounds.\n" +
			"On a simulated card (--device sim) sizes are small, times say nothing, and what its kernels did is counted: memory sectors\n" +
			"over those that the bytes fill, and cycles of shared memory over those without bank conflicts.\n" +
			"OpenBLAS multiplies the same matrices in the same run if it is found as libopenblas.so.0, or where " + bench.PeerVariable + " says.\n" +
			"--json prints one object a line: the machine, then each result.",
		Example: "  forja bench\n  forja bench step --dtype f32 --json\n  forja bench gemm --min gemm/f32=0.95",
		Args:    cobra.ArbitraryArgs}
	f := c.Flags()
	f.StringVar(&device, "device", "cpu", deviceHelp)
	f.IntVar(&o.Threads, "threads", 0, "worker threads (default: FORJA_THREADS, else all cores)")
	f.IntVar(&o.Rounds, "rounds", 5, "turns of every contestant")
	f.StringVar(&dtype, "dtype", "both", "f32, bf16 or both")
	f.StringArrayVar(&least, "min", nil, "NAME=RATIO: exit with 3 if the ratio of a result with this name, or below it, is smaller (repeatable)")
	f.StringVar(&o.Step.Model, "step.model", "gpt2", "preset of the step and of decoding")
	f.IntVar(&o.Step.Batch, "step.batch", 4, "sequences of a step")
	f.IntVar(&o.Step.Context, "step.context", 256, "tokens of a sequence")
	f.BoolVar(&o.Step.Recompute, "step.recompute", false, "compute blocks again in the backward pass, to save memory")
	f.IntVar(&o.Step.LoRA, "step.lora", 0, "train adapters of this rank on every projection instead of the model")
	c.RunE = func(c *cobra.Command, what []string) error {
		if len(what) == 0 {
			what = []string{"all"}
		}
		for _, w := range what {
			if w != "all" && !slices.Contains(bench.Sections(), w) {
				return usagef("there is nothing called %q to measure\n   there are: %s, all", w, names)
			}
		}
		switch dtype {
		case "f32":
			o.DTypes = []kernels.DType{kernels.F32}
		case "bf16":
			o.DTypes = []kernels.DType{kernels.BF16}
		case "both":
		default:
			return usagef("--dtype %q is not one of f32, bf16, both", dtype)
		}
		if device != "cpu" {
			open, err := a.device(device)
			if err != nil {
				return err
			}
			if strings.HasPrefix(device, "sim") {
				if open, err = simulated(device, true); err != nil {
					return err
				}
			}
			o.Open = open
		}
		if o.Rounds < 1 || o.Step.Batch < 1 || o.Step.Context < 1 || o.Threads < 0 || o.Step.LoRA < 0 {
			return usagef("--rounds, --step.batch and --step.context must be at least 1, --threads and --step.lora at least 0")
		}
		preset, err := model.Preset(o.Step.Model)
		if err != nil {
			return usageError{err}
		}
		if o.Step.Context > preset.Context {
			return usagef("--step.context %d is more than the %d positions of %s", o.Step.Context, preset.Context, o.Step.Model)
		}
		floors := make([]bench.Floor, len(least))
		for i, s := range least {
			if floors[i], err = bench.ParseFloor(s); err != nil {
				return usagef("--min: %w", err)
			}
		}
		return a.bench(c, what, o, floors)
	}
	return c
}

// bench measures and prints as results come.
func (a *app) bench(c *cobra.Command, what []string, o bench.Options, floors []bench.Floor) error {
	machine := bench.Here(version)
	if machine.Busy() && a.json {
		a.talk.printf("! the load average is %.1f: other work is running, so figures will be low and ratios rough", machine.Load)
	}
	lines := json.NewEncoder(a.stdout)
	lines.SetEscapeHTML(false)
	var failed error
	keep := func(err error) {
		if failed == nil {
			failed = err
		}
	}
	if a.json {
		keep(lines.Encode(machine))
	} else {
		machine.Print(a.stdout)
	}
	var results []bench.Result
	o.Begin = func(title string) {
		if !a.json {
			a.talk.clear()
			bench.PrintHeader(a.stdout, title)
		}
	}
	o.Peer = func(p bench.Peer) {
		if a.json {
			keep(lines.Encode(p))
		} else {
			p.Print(a.stdout)
		}
	}
	o.Result = func(r bench.Result) {
		results = append(results, r)
		a.talk.clear()
		if a.json {
			keep(lines.Encode(r))
		} else {
			r.Print(a.stdout)
		}
	}
	counting := false
	o.Count = func(k bench.Counters) {
		if a.json {
			keep(lines.Encode(k))
			return
		}
		if !counting {
			bench.PrintCountersHeader(a.stdout)
		}
		counting = true
		k.Print(a.stdout)
	}
	begin := o.Begin
	o.Begin = func(title string) { counting = false; begin(title) }
	o.Say = a.talk.progress
	if err := bench.Run(c.Context(), what, o); err != nil {
		return err
	}
	a.talk.clear()
	if failed != nil {
		return failed
	}
	if err := bench.Check(floors, results); err != nil {
		return checkError{err}
	}
	return nil
}
