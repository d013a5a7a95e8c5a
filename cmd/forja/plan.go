package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"forja/engine/recipe"
	"forja/kernels"
)

// A planResult is what a training stage needs. Its figures are those that training itself uses.
type planResult struct {
	Name       string  `json:"name"`
	Kind       string  `json:"kind"`
	Model      string  `json:"model"`
	Parameters int     `json:"parameters"`
	Rows       int     `json:"rows"`
	Micro      int     `json:"micro"`
	Length     int     `json:"length"`
	Device     string  `json:"device"`
	Bytes      int     `json:"bytes"`          // on the device, at the peak: exact
	VarBytes   int     `json:"var_bytes"`      // parameters, gradients, moments, masters, inputs
	ArenaBytes int     `json:"arena_bytes"`    // activations and working memory
	Peak       string  `json:"peak"`           // where the most is live
	Kernels    int     `json:"kernels"`        // launches of one micro-step
	Overhead   int     `json:"overhead_bytes"` // held by the device itself
	FLOPs      float64 `json:"flops_per_token"`
}

func (a *app) planCmd() *cobra.Command {
	var settings []setting
	var vocab int
	c := &cobra.Command{Use: "plan RECIPE", Short: "exact memory of a recipe's training, without allocating it", Args: cobra.ExactArgs(1),
		Example: "  forja plan tiny\n  forja plan gpt2-124m --batch.micro 8 --memory.recompute block"}
	c.Flags().IntVar(&vocab, "vocab", 0, "vocabulary, where the recipe's tokenizer is not trained yet")
	addStageKeys(c, &settings, a.args)
	c.RunE = func(c *cobra.Command, args []string) error {
		r, err := loadRecipe(args[0], "", settings)
		if err != nil {
			return err
		}
		var stages []*recipe.Stage
		if len(r.Stages) == 0 {
			if r.Kind == "" {
				if err := r.As("pretrain"); err != nil {
					return err
				}
				if err := r.Resolve(); err != nil {
					return err
				}
			}
			stages = append(stages, &r.Stage)
		}
		for i := range r.Stages {
			if k := r.Stages[i].Kind; k == "pretrain" || k == "sft" && r.Stages[i].Base == "" {
				stages = append(stages, &r.Stages[i])
			}
		}
		var results []planResult
		for _, s := range stages {
			p, err := a.planStage(c.Context(), s, vocab)
			if err != nil {
				return err
			}
			results = append(results, p)
		}
		if len(results) == 1 && a.json {
			return a.print(results[0], nil)
		}
		return a.print(results, func(w io.Writer) {
			for _, p := range results {
				p.print(w)
			}
		})
	}
	return c
}

// planStage plans one training stage. A vocabulary of 0 is that of the stage's tokenizer, or of its recipe.
func (a *app) planStage(ctx context.Context, s *recipe.Stage, vocab int) (planResult, error) {
	if vocab == 0 {
		vocab = s.Tokenizer.Vocab
		if s.Model.Preset != "" && !s.IsSet("tokenizer.vocab") {
			vocab = 0 // the preset's own, unless there is a tokenizer
		}
		for _, path := range []string{s.Tokenizer.Path, s.Base} {
			if path != "" {
				if e, err := openTokenizer(path); err == nil {
					vocab = e.VocabSize()
					break
				}
			}
		}
	}
	j, err := newJob(s, vocab)
	if err != nil {
		return planResult{}, err
	}
	if j.base != nil {
		defer j.base.Close()
	}
	dev, err := a.openQuietly(s.Device)
	if err != nil {
		return planResult{}, err
	}
	defer dev.Close()
	var p *planned
	res := planResult{Name: s.Name, Kind: s.Kind}
	if err := dev.Do(ctx, func(b kernels.Backend) error {
		res.Device, res.Overhead = describeDevice(b.Info()), b.Usage().Overhead
		p, err = j.plan(b.Info().Memory)
		return err
	}); err != nil {
		return res, err
	}
	m, c := p.memory(), j.config
	res.Model = fmt.Sprintf("%s %dL %dC %dH · vocabulary %d · T %d", c.Arch, c.Layers, c.Channels, c.Heads, c.Vocab, j.length)
	res.Parameters, res.Rows, res.Micro, res.Length = c.Params(), p.shape.Rows, p.shape.Micro, p.shape.Length
	res.Bytes, res.VarBytes, res.ArenaBytes, res.Peak, res.Kernels = m.Total(), m.Vars, m.Arena, m.Peak, p.plans.First.Calls
	res.FLOPs = c.FLOPs(j.length)
	return res, nil
}

func (p planResult) print(w io.Writer) {
	name := p.Name
	if name != "" {
		name += "   "
	}
	fmt.Fprintf(w, "%s%s · %s parameters\n", name, p.Model, count(p.Parameters))
	fmt.Fprintf(w, "step   %s tokens = %d accumulation × %d × %d · %d kernels a micro-step\n", count(p.Rows*p.Length), p.Rows/p.Micro, p.Micro, p.Length, p.Kernels)
	fmt.Fprintf(w, "\nmemory on %s\n", p.Device)
	fmt.Fprintf(w, "  parameters, gradients, moments, inputs  %12s\n", size(p.VarBytes))
	fmt.Fprintf(w, "  activations and working memory          %12s   peak: %s\n", size(p.ArenaBytes), p.Peak)
	fmt.Fprintf(w, "  total, exact                            %12s\n", size(p.Bytes))
	fmt.Fprintf(w, "  held by the device itself               %12s\n", size(p.Overhead))
	fmt.Fprintf(w, "\narithmetic  %s FLOP a token (6N + 6·L·C·T)\n", count(p.FLOPs))
}
