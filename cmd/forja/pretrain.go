package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"forja/engine/recipe"
	"forja/engine/train"
	"forja/engine/vfs"
	"forja/engine/vfs/snapshot"
)

func (a *app) pretrainCmd() *cobra.Command {
	return a.trainingCmd("pretrain", "train GPT or LLaMA from scratch",
		"  forja pretrain tiny -o runs/tiny\n  forja pretrain tiny -o runs/wide --model.channels 128 --optim.learning_rate 2e-3\n  forja pretrain --resume runs/tiny")
}

func (a *app) sftCmd() *cobra.Command {
	return a.trainingCmd("sft", "instruction tuning, with LoRA adapters or of every weight",
		"  forja sft --base runs/tiny/model --data.train pairs.jsonl --lora.rank 16 -o runs/chat\n  forja sft --resume runs/chat")
}

// trainingCmd is the verb of a kind of training.
func (a *app) trainingCmd(kind, short, example string) *cobra.Command {
	var settings []setting
	var out, resume string
	c := &cobra.Command{Use: kind + " [RECIPE] -o DIR", Short: short, Example: example, Args: cobra.MaximumNArgs(1)}
	c.Flags().StringVarP(&out, "output", "o", "", "run directory, which must not hold a run")
	c.Flags().StringVar(&resume, "resume", "", "run directory to go on with")
	addKeys(c, &settings, kind)
	c.RunE = func(c *cobra.Command, args []string) error {
		if resume != "" {
			if len(args) > 0 || out != "" {
				return usagef("--resume goes on with a run's own recipe: give no other, and no -o")
			}
			return a.resumeRun(c.Context(), resume, kind, settings)
		}
		name := ""
		if len(args) > 0 {
			name = args[0]
		}
		r, err := loadRecipe(name, kind, settings)
		if err != nil {
			return err
		}
		if out == "" {
			return usagef("say where the run goes: -o DIR")
		}
		if isRun(out) {
			return usagef("%s holds a run already\n   go on with it: forja %s --resume %s\n   or choose another directory", out, kind, out)
		}
		return a.runStage(c.Context(), r, out)
	}
	return c
}

// isRun reports whether a directory holds a run.
func isRun(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "recipe.yaml"))
	return err == nil
}

// resumeRun goes on with a run by its own recipe, with changes from flags.
func (a *app) resumeRun(ctx context.Context, dir, kind string, settings []setting) error {
	file := filepath.Join(dir, "recipe.yaml")
	src, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return usagef("%s holds no run: there is no recipe.yaml\n   start one: forja %s RECIPE -o %s", dir, kind, dir)
	} else if err != nil {
		return err
	}
	r, err := recipe.Parse(file, src)
	if err != nil {
		return err
	}
	if r.Kind != kind {
		return usagef("%s is a run of %s\n   go on with it: forja %s --resume %s", dir, r.Kind, r.Kind, dir)
	}
	for _, s := range settings {
		a.talk.printf("changed %s: %s (the run is no longer what its recipe began as)", s.key, s.value)
		if err := r.Set(s.key, s.value); err != nil {
			return err
		}
	}
	if err := r.Resolve(); err != nil {
		return err
	}
	return a.runStage(ctx, r, dir)
}

// latest finds a run's newest valid checkpoint.
func latest(d vfs.FS) (name string, skipped []error, err error) {
	return snapshot.Latest(d, train.CheckpointDir)
}
