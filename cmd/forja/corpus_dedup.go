package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"forja/engine/corpus"
	"forja/engine/corpus/dedup"
	"forja/engine/vfs"
)

// A dedupResult is what deduplication came to.
type dedupResult struct {
	Documents int `json:"documents"`
	Kept      int `json:"kept"`
	Removed   int `json:"removed"` // documents, or paragraphs or lines
}

func (a *app) corpusDedupCmd() *cobra.Command {
	config := dedup.Default()
	var jsonl, clusters bool
	var exact, temp string
	memory := 256
	c := &cobra.Command{Use: "dedup [FILE]", Short: "keep the first of documents, one a line of JSON, that are nearly (or exactly) the same",
		Example: "  forja corpus dedup docs.jsonl\n  forja corpus dedup --jsonl < docs.jsonl > kept.jsonl\n  forja corpus dedup --jsonl --exact line < docs.jsonl > kept.jsonl",
		Args:    cobra.MaximumNArgs(1)}
	fs := c.Flags()
	fs.BoolVar(&jsonl, "jsonl", false, "print the documents that are kept")
	fs.BoolVar(&clusters, "clusters", false, `with --jsonl print {"id","cluster"} for each document instead`)
	fs.StringVar(&exact, "exact", "", "remove exact repetitions instead: document, paragraph or line")
	fs.IntVar(&config.NGram, "dedup.ngram", config.NGram, "words of an n-gram")
	fs.IntVar(&config.Bands, "dedup.bands", config.Bands, "keys of a document")
	fs.IntVar(&config.Rows, "dedup.rows", config.Rows, "hash functions of a key")
	fs.Uint64Var(&config.Seed, "dedup.seed", config.Seed, "seed of the hash functions")
	fs.Float64Var(&config.Verify, "dedup.verify", config.Verify, "least Jaccard similarity of documents that are the same; 0 believes the keys")
	fs.IntVar(&memory, "dedup.memory", memory, "MiB of memory for keys; others go to temporary files")
	fs.StringVar(&temp, "temp", "", "directory of temporary files, which hold all documents for a while; default is the system's")
	c.RunE = func(c *cobra.Command, args []string) error {
		if clusters && (!jsonl || exact != "") {
			return usagef("--clusters needs --jsonl, and no --exact")
		}
		if memory < 1 || memory > 1<<20 {
			return usagef("--dedup.memory %d: want 1 to %d MiB", memory, 1<<20)
		}
		if err := config.Validate(); err != nil {
			return usageError{err}
		}
		in, err := a.input(args, 0)
		if err != nil {
			return err
		}
		defer in.Close()
		out := bufio.NewWriterSize(a.stdout, 1<<16)
		var result dedupResult
		if exact != "" {
			result, err = exactly(in, out, dedup.Unit(exact), jsonl)
		} else {
			result, err = nearly(c.Context(), in, out, temp, dedup.Options{Config: config, Memory: int64(memory) << 20}, jsonl, clusters)
		}
		if err = errors.Join(err, out.Flush()); err != nil {
			return err
		}
		unit := "documents"
		if exact != "" {
			unit = exact + "s"
		}
		if !jsonl {
			return a.print(result, func(w io.Writer) {
				fmt.Fprintf(w, "%d of %d documents kept; %d %s removed\n", result.Kept, result.Documents, result.Removed, unit)
			})
		}
		a.talk.printf("dedup  %d of %d documents kept; %d %s removed", result.Kept, result.Documents, result.Removed, unit)
		return nil
	}
	return c
}

// nearly removes near duplicates.
func nearly(ctx context.Context, in io.Reader, out *bufio.Writer, temp string, o dedup.Options, jsonl, clusters bool) (result dedupResult, err error) {
	dir, err := os.MkdirTemp(temp, "forja-dedup-")
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	disk, err := vfs.OS(dir)
	if err != nil {
		return result, err
	}
	defer disk.Close()
	o.Dir = disk
	r, err := dedup.Run(ctx, corpus.Lines(in), o)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	result.Documents = len(r.First)
	for doc, first := range r.First {
		kept := int(first) == doc
		if kept {
			result.Kept++
		}
		if !jsonl || !clusters && !kept {
			continue
		}
		line, err := r.Line(uint32(doc))
		if err != nil {
			return result, err
		}
		if clusters {
			var d struct {
				ID json.RawMessage `json:"id"`
			}
			if err := json.Unmarshal(line, &d); err != nil {
				return result, err
			}
			if d.ID == nil {
				d.ID = json.RawMessage("null")
			}
			fmt.Fprintf(out, "{\"id\":%s,\"cluster\":%d}\n", d.ID, first)
			continue
		}
		out.Write(line)
		if err := out.WriteByte('\n'); err != nil {
			return result, err
		}
	}
	result.Removed = result.Documents - result.Kept
	return result, nil
}

// exactly removes exact repetitions of documents, paragraphs or lines.
func exactly(in io.Reader, out *bufio.Writer, unit dedup.Unit, jsonl bool) (result dedupResult, err error) {
	if unit != dedup.Documents && unit != dedup.Paragraphs && unit != dedup.Lines {
		return result, usagef("--exact %s: want document, paragraph or line", unit)
	}
	seen := dedup.NewExact()
	for line, err := range corpus.Lines(in) {
		if err != nil {
			return result, err
		}
		var d struct{ Text *string }
		if err := json.Unmarshal(line.JSON, &d); err != nil {
			return result, fmt.Errorf("line %d: not a document: %w", line.Number, err)
		}
		if d.Text == nil {
			return result, fmt.Errorf(`line %d: not a document: no "text"`, line.Number)
		}
		result.Documents++
		text, removed := *d.Text, 0
		if unit == dedup.Documents {
			if !seen.New(text) {
				result.Removed++
				continue
			}
		} else if text, removed = seen.Cut(text, unit); removed > 0 && strings.TrimSpace(text) == "" {
			result.Removed += removed
			continue
		}
		result.Removed += removed
		result.Kept++
		if !jsonl {
			continue
		}
		b := line.JSON
		if removed > 0 {
			if b, err = appendField(nil, line.JSON, "text", text); err != nil {
				return result, err
			}
			b = b[:len(b)-1]
		}
		out.Write(b)
		if err := out.WriteByte('\n'); err != nil {
			return result, err
		}
	}
	return result, nil
}
