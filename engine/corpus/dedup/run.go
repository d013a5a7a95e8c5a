package dedup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"

	"forja/engine/corpus"
	"forja/engine/corpus/ordered"
	"forja/engine/vfs"
)

// Options say how [Run] works; its result depends on Config alone.
type Options struct {
	Config  Config
	Dir     vfs.FS // for files that are gone when the Result is closed
	Memory  int64  // for keys, in bytes; 0 is 256 MiB
	Workers int    // 0 is one for each processor
}

// A Result is the clusters of a stream of documents.
type Result struct {
	First []uint32 // of each document's cluster, by number from 0; a document that is its own first is kept
	spool *spool
}

// Run reads documents, one a line of JSON with "text", and finds those that are nearly the same. The lines are kept in a
// file, for [Result.Line] and to verify candidates.
func Run(ctx context.Context, lines iter.Seq2[corpus.Line, error], o Options) (r *Result, err error) {
	if err := o.Config.Validate(); err != nil {
		return nil, err
	}
	spool, err := newSpool(o.Dir, "documents.jsonl")
	if err != nil {
		return nil, err
	}
	index := NewIndex(o.Dir, o.Memory)
	defer func() {
		if err != nil {
			err = errors.Join(err, index.Close(), spool.close())
		}
	}()
	sign := func() func(corpus.Line) (signedLine, error) {
		s := NewSigner(o.Config)
		return func(line corpus.Line) (signedLine, error) {
			text, err := textOf(line.JSON)
			if err != nil {
				return signedLine{}, fmt.Errorf("line %d: %w", line.Number, err)
			}
			return signedLine{line.JSON, s.Keys(nil, text)}, nil
		}
	}
	size := func(line corpus.Line) int { return len(line.JSON) }
	for line, err := range ordered.Map(ctx, o.Workers, cloned(lines), size, sign) {
		if err != nil {
			return nil, err
		}
		if err := spool.add(line.json); err != nil {
			return nil, err
		}
		if err := index.Add(line.keys); err != nil {
			return nil, err
		}
	}
	if err := spool.read(); err != nil {
		return nil, err
	}
	var same func(a, b uint32) (bool, error)
	if o.Config.Verify > 0 {
		signer := NewSigner(o.Config)
		same = verified(ctx, o.Config.Verify, func(doc uint32) ([]uint64, error) {
			line, err := spool.piece(int(doc))
			if err != nil {
				return nil, err
			}
			text, err := textOf(line)
			if err != nil {
				return nil, err
			}
			return signer.Shingles(nil, text), nil
		})
	}
	first, err := index.Clusters(same)
	if err != nil {
		return nil, err
	}
	return &Result{first, spool}, nil
}

// A signedLine is a line and the keys of its document.
type signedLine struct {
	json []byte
	keys []uint64
}

// cloned gives each line memory of its own.
func cloned(lines iter.Seq2[corpus.Line, error]) iter.Seq2[corpus.Line, error] {
	return func(yield func(corpus.Line, error) bool) {
		for line, err := range lines {
			line.JSON = slices.Clone(line.JSON)
			if !yield(line, err) {
				return
			}
		}
	}
}

// Line gives a document as it was read.
func (r *Result) Line(doc uint32) ([]byte, error) { return r.spool.piece(int(doc)) }

// Close removes the file of lines.
func (r *Result) Close() error { return r.spool.close() }

func textOf(line []byte) (string, error) {
	var d struct{ Text *string }
	if err := json.Unmarshal(line, &d); err != nil {
		return "", corpus.NoDocument(err)
	}
	if d.Text == nil {
		return "", corpus.NoDocument(corpus.ErrNoText)
	}
	return *d.Text, nil
}
