package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"forja/engine/recipe"
	"forja/engine/vfs"
)

// stageCmd runs one stage of a pipeline: it is what the scheduler starts.
func (a *app) stageCmd() *cobra.Command {
	var dir string
	c := &cobra.Command{Use: "stage RECIPE -o DIR", Short: "run one stage from its resolved recipe", Hidden: true, Args: cobra.ExactArgs(1)}
	c.Flags().StringVarP(&dir, "output", "o", "", "directory of the stage")
	c.RunE = func(c *cobra.Command, args []string) error {
		r, err := loadRecipe(args[0], "", nil)
		if err != nil {
			return err
		}
		return a.runStage(c.Context(), r, dir)
	}
	return c
}

// runStage does the work of a single-stage recipe in dir, resuming what is there.
func (a *app) runStage(ctx context.Context, r *recipe.Recipe, dir string) error {
	if dir == "" {
		return usagef("say where the result goes: -o DIR")
	}
	if err := a.check(ctx, &r.Stage); err != nil {
		return err
	}
	d, err := vfs.MakeOS(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if r.Kind == "crawl" { // which locks its directory itself
		return a.stageCrawl(ctx, &r.Stage, d)
	}
	unlock, err := vfs.Lock(d, ".")
	if err != nil {
		return err
	}
	defer unlock()
	switch s := &r.Stage; s.Kind {
	case "extract", "filter", "dedup":
		return a.stageDocuments(ctx, s, d)
	case "corpus":
		return a.stageCorpus(ctx, s, d)
	case "tokenizer":
		return a.stageTokenizer(ctx, s, d)
	case "pack":
		return a.stagePack(ctx, s, d)
	case "pretrain", "sft":
		return a.stageTrain(ctx, r, d)
	case "eval":
		return a.stageEval(ctx, s, d)
	case "ngram":
		return a.stageNgram(ctx, s, d)
	default:
		return usagef("this recipe does not say what to do; kind: is one of crawl, extract, filter, dedup, corpus, tokenizer, pack, pretrain, sft, eval, ngram")
	}
}

// writeJSON makes a small result file durably.
func writeJSON(d vfs.FS, name string, v any) error {
	b, err := jsonIndent(v)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return vfs.WriteFile(d, name, b)
}
