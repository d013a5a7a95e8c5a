package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path"
	"path/filepath"

	"forja/engine/data"
	"forja/engine/data/goroot"
	"forja/engine/recipe"
	"forja/engine/vfs"
)

// corpusSide yields one side of a corpus. Go's own library is split by package, everything else by document.
func corpusSide(ctx context.Context, s *recipe.Stage, val bool) (iter.Seq2[data.Document, error], error) {
	if s.Data.Source == "goroot" {
		root, err := goroot.Find(ctx, s.Data.Path)
		if err != nil {
			return nil, err
		}
		part := goroot.Train
		if val {
			part = goroot.Validation
		}
		return limit(goroot.Documents(root, part), s.Data.MaxBytes), nil
	}
	if s.Data.Path == "" {
		return nil, s.Errorf("data.source", "data.source %q needs data.path, a file or folder", s.Data.Source)
	}
	held := data.HeldOut(uint64(s.Seed), s.Data.ValFraction)
	var o data.ReadOptions
	if s.Data.Source == "text" {
		o.Extensions = []string{".txt", ".md", ".go", ".py", ".c", ".h", ".js", ".ts", ".java", ".rs"}
	}
	all := data.Read(s.Data.Path, o)
	if s.Data.Source == "store" {
		all = storeDocuments(ctx, s.Data.Path)
	}
	docs := data.Filter(all, func(d data.Document) bool { return held(d) == val })
	return limit(docs, s.Data.MaxBytes), nil
}

// limit stops after about max bytes of text; 0 is no limit.
func limit(docs iter.Seq2[data.Document, error], most int) iter.Seq2[data.Document, error] {
	if most == 0 {
		return docs
	}
	return func(yield func(data.Document, error) bool) {
		seen := 0
		for d, err := range docs {
			if seen += len(d.Text); !yield(d, err) || seen >= most {
				return
			}
		}
	}
}

// A corpusResult is what a corpus stage made.
type corpusResult struct {
	Source         string `json:"source"`
	TrainDocuments int    `json:"train_documents"`
	TrainBytes     int64  `json:"train_bytes"`
	ValDocuments   int    `json:"val_documents"`
	ValBytes       int64  `json:"val_bytes"`
	Pairs          int    `json:"pairs,omitempty"`
	ValPairs       int    `json:"val_pairs,omitempty"`
}

// stageCorpus writes documents, and for Go's library instruction pairs: train/, val/, sft.jsonl, sft-val.jsonl.
func (a *app) stageCorpus(ctx context.Context, s *recipe.Stage, d *vfs.Disk) error {
	res := corpusResult{Source: s.Data.Source}
	for _, side := range []struct {
		name  string
		docs  *int
		bytes *int64
	}{{"train", &res.TrainDocuments, &res.TrainBytes}, {"val", &res.ValDocuments, &res.ValBytes}} {
		docs, err := corpusSide(ctx, s, side.name == "val")
		if err != nil {
			return err
		}
		if err := vfs.MkdirAll(d, side.name); err != nil {
			return err
		}
		err = vfs.WriteStream(d, side.name+"/documents.jsonl", func(w io.Writer) error {
			b := bufio.NewWriterSize(w, 1<<20)
			e := json.NewEncoder(b)
			for doc, err := range docs {
				if err != nil {
					return err
				}
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				*side.docs++
				*side.bytes += int64(len(doc.Text))
				a.talk.progress("%s: %d documents, %s", side.name, *side.docs, size(*side.bytes))
				if err := e.Encode(doc); err != nil {
					return err
				}
			}
			return b.Flush()
		})
		if err != nil {
			return err
		}
	}
	if res.TrainDocuments == 0 || res.ValDocuments == 0 {
		return fmt.Errorf("%d documents to train on and %d held out: both are needed; give more text, or raise data.val_fraction",
			res.TrainDocuments, res.ValDocuments)
	}
	if s.Data.Source == "goroot" {
		root, err := goroot.Find(ctx, s.Data.Path)
		if err != nil {
			return err
		}
		if res.Pairs, err = writePairs(d, root, goroot.Train, "sft.jsonl"); err != nil {
			return err
		}
		if res.ValPairs, err = writePairs(d, root, goroot.Validation, "sft-val.jsonl"); err != nil {
			return err
		}
	}
	if err := writeJSON(d, "corpus.json", res); err != nil {
		return err
	}
	a.talk.printf("corpus  %d documents, %s to train on; %d, %s held out%s", res.TrainDocuments, size(res.TrainBytes), res.ValDocuments,
		size(res.ValBytes), map[bool]string{true: fmt.Sprintf("; %d + %d questions and answers", res.Pairs, res.ValPairs)}[res.Pairs > 0])
	return nil
}

func writePairs(d vfs.FS, root string, part goroot.Part, name string) (int, error) {
	pairs, err := goroot.Pairs(root, part)
	if err != nil {
		return 0, err
	}
	return len(pairs), vfs.WriteStream(d, name, func(w io.Writer) error {
		b := bufio.NewWriterSize(w, 1<<20)
		if err := goroot.WriteMessages(b, pairs); err != nil {
			return err
		}
		return b.Flush()
	})
}

// stagePack writes token shards: train/ and val/.
func (a *app) stagePack(ctx context.Context, s *recipe.Stage, d *vfs.Disk) error {
	e, err := openTokenizer(s.Tokenizer.Path)
	if err != nil {
		return err
	}
	held := data.HeldOut(uint64(s.Seed), s.Data.ValFraction)
	for _, side := range []struct{ name, from string }{{"train", s.Data.Train}, {"val", s.Data.Val}} {
		docs := data.Read(side.from, data.ReadOptions{})
		if s.Data.Val == "" { // hold out a share of what there is
			docs = data.Filter(data.Read(s.Data.Train, data.ReadOptions{}), func(doc data.Document) bool { return held(doc) == (side.name == "val") })
		}
		if err := a.pack(ctx, d, side.name, limit(docs, s.Data.MaxBytes), e, s.Data.ShardTokens); err != nil {
			return err
		}
	}
	return nil
}

// pack tokenizes documents into a set of shards.
func (a *app) pack(ctx context.Context, d *vfs.Disk, name string, docs iter.Seq2[data.Document, error], e *encoder, shard int) error {
	m, err := data.Build(ctx, d, name, docs, e, data.BuildOptions{Format: e.format(), ShardTokens: shard, Progress: func(p data.BuildProgress) {
		a.talk.progress("%s: %s tokens of %d documents", name, count(p.Tokens), p.Documents)
	}})
	if errors.Is(err, data.ErrEmpty) && path.Base(filepath.ToSlash(name)) == "val" {
		return fmt.Errorf("%s: %w\n   the held-out side needs text too: give data.val, or raise data.val_fraction", name, err)
	} else if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	a.talk.printf("tokens  %s: %s tokens, %d documents, %.2f bytes a token", name, count(m.Tokens), m.Documents, float64(m.TextBytes)/float64(m.Tokens))
	return nil
}

// openSet opens token shards and checks that a tokenizer made them.
func openSet(path string, e *encoder) (*data.Set, error) {
	d, err := vfs.OS(path)
	if err != nil {
		return nil, fmt.Errorf("token shards: %w", err)
	}
	set, err := data.Open(d, ".")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := set.Check(e.sum(), e.VocabSize()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return set, nil
}

// isSet reports whether a path holds token shards.
func isSet(path string) bool {
	_, err := os.Stat(filepath.Join(path, data.ManifestName))
	return err == nil
}
