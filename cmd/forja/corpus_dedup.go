package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"forja/engine/corpus/dedup"
	"forja/engine/corpus/shard"
	"forja/engine/corpus/store"
	"forja/engine/recipe"
	"forja/engine/vfs"
)

// dedupSteps are the steps of deduplication over stores; "" is all of them.
var dedupSteps = []string{"", "sign", "merge", "remove"}

func (a *app) corpusDedupCmd() *cobra.Command {
	var at shareFlags
	var settings []setting
	var jsonl, clusters bool
	var recipeFile, step, temp string
	c := &cobra.Command{Use: "dedup [FILE]", Short: "keep the first of documents, one a line of JSON, that are nearly (or exactly) the same",
		Long: "dedup keeps the first of documents that are nearly the same, or with --dedup.exact of documents, paragraphs or lines that are the\n" +
			"same. It reads FILE or standard input, one document a line of JSON, or with --in and --out the files of a store, in the order\n" +
			"of their names. There, many processes share the work in three steps: each signs its share (--step sign), one merges\n" +
			"(--step merge), and each removes from its share (--step remove). Without --step one process does it all.",
		Example: "  forja corpus dedup docs.jsonl\n  forja corpus dedup --jsonl < docs.jsonl > kept.jsonl\n  forja corpus dedup --jsonl --dedup.exact line < docs.jsonl > kept.jsonl\n" +
			"  forja corpus dedup --in good --out unique --step sign --shard 3/16",
		Args: cobra.MaximumNArgs(1)}
	fs := c.Flags()
	fs.BoolVar(&jsonl, "jsonl", false, "print the documents that are kept")
	fs.BoolVar(&clusters, "clusters", false, `with --jsonl print {"id","cluster"} for each document instead`)
	fs.StringVar(&step, "step", "", "of the work on a store: sign, merge or remove; default is all")
	fs.StringVar(&recipeFile, "recipe", "", "recipe whose section dedup says what the flags do not")
	fs.StringVar(&temp, "temp", "", "directory of temporary files, which hold what memory does not; default is the system's")
	addSection(c, &settings, "dedup")
	at.add(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if temp != "" && !isFolder(temp) {
			return usagef("--temp %s: there is no such folder", temp)
		}
		s, err := sectionOf(recipeFile, "dedup", settings)
		if err != nil {
			return err
		}
		j, err := newDedupJob(s)
		if err != nil {
			return usageError{err}
		}
		if !at.given() {
			if step != "" {
				return usagef("--step is of the work on a store: give --in and --out")
			}
			if clusters && (!jsonl || j.Exact != "") {
				return usagef("--clusters needs --jsonl, and no --dedup.exact")
			}
			if err := noFolder(args); err != nil {
				return err
			}
			return a.dedupStream(c.Context(), j, args, temp, jsonl, clusters)
		}
		switch {
		case jsonl || clusters || len(args) > 0:
			return usagef("with --in and --out there is nothing to print and no FILE")
		case !slices.Contains(dedupSteps, step):
			return usagef("--step %s: want sign, merge or remove", step)
		}
		w, err := at.open(c.Context())
		if err != nil {
			return err
		}
		defer w.Close()
		if w.share.Of > 1 && step != "sign" && step != "remove" {
			return usagef("--shard %s: shares are of --step sign and --step remove; one process does --step merge between", w.share)
		}
		r, err := a.dedup(c.Context(), w, j, step, temp)
		if err != nil {
			return err
		}
		if step == "merge" {
			return a.print(r, func(w io.Writer) {
				fmt.Fprintf(w, "merged: %d files, %d documents; --step remove is next\n", r.Files, r.Read.Documents)
			})
		}
		return a.printReport(r)
	}
	return c
}

// newDedupJob is what a recipe's section dedup asks for.
func newDedupJob(s *recipe.Stage) (*dedup.Job, error) {
	d := s.Dedup
	j := &dedup.Job{Exact: dedup.Unit(d.Exact), Memory: int64(d.Memory) << 20,
		Config: dedup.Config{NGram: d.NGram, Bands: d.Bands, Rows: d.Rows, Seed: uint64(d.Seed), Verify: d.Verify}}
	return j, j.Config.Validate()
}

// dedup does a step, or all of them, on a store's files: what the verb and the stage do. Temporary files go to temp.
func (a *app) dedup(ctx context.Context, at *workplace, j *dedup.Job, step, temp string) (r shard.Report, err error) {
	j.In, j.Out, j.Share, j.Ending = at.in, at.out, at.share, at.ending
	if step == "" || step == "sign" {
		if r, err = a.dedupShare(ctx, at, j.Sign()); err != nil || step == "sign" {
			return r, err
		}
	}
	if step == "" || step == "merge" {
		err = inTemp(temp, func(dir vfs.FS) (err error) {
			a.talk.progress("dedup: merging")
			defer a.talk.clear()
			j.Temp = dir
			r, err = j.Merge(ctx)
			return err
		})
		if err != nil || step == "merge" {
			return r, err
		}
	}
	m, err := j.Remove(ctx)
	if err != nil {
		return r, err
	}
	r, err = a.dedupShare(ctx, at, m)
	if errors.Is(err, shard.ErrSettings) {
		err = fmt.Errorf("%w\n   what dedup keeps depends on all files that it reads: one that came, went or changed makes other settings, too", err)
	}
	return r, err
}

// dedupShare does a share of a map that has an ending of its own.
func (a *app) dedupShare(ctx context.Context, at *workplace, m *shard.Map) (shard.Report, error) {
	own := &workplace{in: at.in, out: at.out, share: at.share, ending: m.Ending}
	do := m.Do
	m.Do = func(ctx context.Context, in store.File, r io.Reader, w io.Writer, report *shard.Report) error {
		err := do(ctx, in, r, w, report)
		own.documents.Add(report.Read.Documents)
		return err
	}
	return a.share(ctx, own, m)
}

// inTemp gives a function a directory for files that are gone afterwards.
func inTemp(temp string, do func(vfs.FS) error) (err error) {
	dir, err := os.MkdirTemp(temp, "forja-dedup-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	disk, err := vfs.OS(dir)
	if err != nil {
		return err
	}
	defer disk.Close()
	return do(disk)
}
