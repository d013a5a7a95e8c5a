package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/spf13/cobra"

	"forja/engine/corpus"
	"forja/engine/corpus/documents"
	"forja/engine/corpus/shard"
	"forja/engine/corpus/store"
	"forja/engine/data"
	"forja/engine/recipe"
)

// tokenEnding is of the files of tokens in a store.
const tokenEnding = ".bin"

func (a *app) corpusPackCmd() *cobra.Command {
	var settings []setting
	var at shareFlags
	var out, step string
	c := &cobra.Command{Use: "pack PATH -o DIR", Short: "tokenize documents into shards to pretrain on", Args: cobra.MaximumNArgs(1),
		Long: "pack makes the folders train/ and val/ of tokens, which pretrain takes as data.train and data.val, of documents in PATH, or\n" +
			"with --in and --out of those in the files of a store. There, each file of documents becomes one of tokens on either side;\n" +
			"processes with different --shard share the files; when all are done, --step merge writes the manifests that make sets of\n" +
			"them. A process that does all shares does this, too.",
		Example: "  forja corpus pack corpus/train --data.val corpus/val --tokenizer.path tok -o tokens\n" +
			"  forja corpus pack --in good --out tokens --tokenizer.path tok --shard 3/16\n" +
			"  forja corpus pack --in good --out tokens --tokenizer.path tok --step merge"}
	c.Flags().StringVarP(&out, "output", "o", "", "directory of the result")
	at.add(c)
	c.Flags().Lookup("format").Hidden = true // there is one
	c.Flags().StringVar(&step, "step", "", "of stores, do only this: tokens or merge")
	addKeys(c, &settings, "pack")
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 1 {
			settings = append(settings, setting{"data.train", args[0]})
		}
		if !at.given() {
			if step != "" {
				return usagef("--step is of stores: give --in and --out")
			}
			return a.runSettings(c.Context(), "pack", settings, out)
		}
		if len(args) > 0 || out != "" {
			return usagef("--in and --out take the place of PATH and -o")
		}
		if step != "" && step != "tokens" && step != "merge" {
			return usagef("--step %s: there are tokens and merge", step)
		}
		r, err := loadRecipe("", "pack", append(settings, setting{"data.train", at.in}))
		if err != nil {
			return err
		}
		w, err := at.open(c.Context())
		if err != nil {
			return err
		}
		defer w.Close()
		w.ending = tokenEnding
		if step == "merge" && w.share != shard.All {
			return usagef("--step merge is the work of one process, without --shard")
		}
		return a.packStore(c.Context(), w, &r.Stage, step != "merge", step == "merge" || step == "" && w.share == shard.All)
	}
	return c
}

// A packResult is what one side of a set came to.
type packResult struct {
	Side   string        `json:"side"`
	Report *shard.Report `json:"report,omitempty"` // of this share
	Set    *packedSet    `json:"set,omitempty"`    // of all, where they were merged
}

type packedSet struct {
	Shards    int   `json:"shards"`
	Documents int64 `json:"documents"`
	Tokens    int64 `json:"tokens"`
	TextBytes int64 `json:"text_bytes"`
}

func (a *app) packStore(ctx context.Context, at *workplace, s *recipe.Stage, tokens, merge bool) error {
	e, err := openTokenizer(s.Tokenizer.Path)
	if err != nil {
		return err
	}
	sides := []string{"train", "val"}
	if s.Data.ValFraction == 0 {
		sides = sides[:1]
	}
	var results []packResult
	for _, side := range sides {
		m := packMap(at, s, e, side)
		r := packResult{Side: side}
		if tokens {
			done, err := a.share(ctx, at, m)
			if err != nil {
				return err
			}
			r.Report = &done
		}
		if merge {
			m.In, m.Out, m.Share, m.Ending = at.in, at.out, at.share, at.ending
			if r.Set, err = mergeTokens(ctx, at, m, side); err != nil {
				return fmt.Errorf("%s: %w", side, err)
			}
		}
		results = append(results, r)
	}
	return a.print(results, func(w io.Writer) {
		for _, r := range results {
			if r.Report != nil {
				fmt.Fprintf(w, "%s: %s tokens of %d documents in %d files\n", r.Side, count(r.Report.Notes["tokens"]), r.Report.Kept.Documents, r.Report.Files)
			}
			if r.Set != nil {
				fmt.Fprintf(w, "%s: a set of %s tokens of %d documents in %d shards, %.2f bytes a token\n", r.Side, count(r.Set.Tokens), r.Set.Documents,
					r.Set.Shards, float64(r.Set.TextBytes)/float64(r.Set.Tokens))
			}
		}
	})
}

// packMap makes the token files of one side. A file of documents none of which is on that side becomes an empty one.
func packMap(at *workplace, s *recipe.Stage, e *encoder, side string) *shard.Map {
	held := data.HeldOut(uint64(s.Seed), s.Data.ValFraction)
	sum := e.sum()
	return &shard.Map{
		Step:     "pack",
		Settings: map[string]any{"tokenizer": hex.EncodeToString(sum[:]), "seed": s.Seed, "val_fraction": s.Data.ValFraction, "side": side},
		Stem: func(name string) (string, bool) {
			stem, ok := documents.Stem(name)
			return side + "/" + stem, ok
		},
		Do: func(ctx context.Context, in store.File, r io.Reader, w io.Writer, report *shard.Report) error {
			docs := data.Filter(asData(counted(documents.Read(in.Name, r), at, report)), func(d data.Document) bool { return held(d) == (side == "val") })
			made, err := data.EncodeShard(ctx, w, docs, e, data.BuildOptions{Format: e.format()})
			report.Kept = shard.Count{Documents: made.Documents, Bytes: made.TextBytes}
			report.Note("tokens", made.Tokens)
			return err
		}}
}

func counted(docs iter.Seq2[corpus.Document, error], at *workplace, report *shard.Report) iter.Seq2[corpus.Document, error] {
	return func(yield func(corpus.Document, error) bool) {
		for d, err := range docs {
			if err == nil {
				at.documents.Add(1)
				report.Read.Add(len(d.Text))
			}
			if !yield(d, err) {
				return
			}
		}
	}
}

// asData are documents as training knows them.
func asData(docs iter.Seq2[corpus.Document, error]) iter.Seq2[data.Document, error] {
	return func(yield func(data.Document, error) bool) {
		for d, err := range docs {
			if !yield(data.Document{ID: d.ID, Text: d.Text, Source: d.Source, Lang: d.Lang, License: d.License}, err) {
				return
			}
		}
	}
}

// mergeTokens writes the manifest of a side, when all its files are there.
func mergeTokens(ctx context.Context, at *workplace, m *shard.Map, side string) (*packedSet, error) {
	reports, err := m.Each(ctx)
	if err != nil {
		return nil, err
	}
	var merger data.Merger
	for _, r := range reports {
		if r.Kept.Documents == 0 {
			continue
		}
		f, err := at.out.Open(ctx, r.Output)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(merger.Add(strings.TrimPrefix(r.Output, side+"/"), f), f.Close()); err != nil {
			return nil, fmt.Errorf("%s: %w", at.out.Path(r.Output), err)
		}
	}
	set, manifest, err := merger.Manifest()
	if errors.Is(err, data.ErrEmpty) && side == "val" {
		return nil, fmt.Errorf("%w are held out: raise --data.val_fraction, or set it to 0", err)
	}
	if err != nil {
		return nil, err
	}
	if err := store.WriteFile(ctx, at.out, side+"/"+data.ManifestName, manifest); err != nil {
		return nil, err
	}
	return &packedSet{len(set.Shards), set.Documents, set.Tokens, set.TextBytes}, nil
}
