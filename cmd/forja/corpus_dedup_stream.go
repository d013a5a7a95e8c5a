package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"forja/engine/corpus"
	"forja/engine/corpus/dedup"
	"forja/engine/vfs"
)

// A dedupResult is what deduplication of one stream came to.
type dedupResult struct {
	Documents int `json:"documents"`
	Kept      int `json:"kept"`
	Removed   int `json:"removed"` // documents, or paragraphs or lines
}

// dedupStream reads lines of JSON and prints those that are kept, clusters, or only how many there are.
func (a *app) dedupStream(ctx context.Context, j *dedup.Job, args []string, temp string, jsonl, clusters bool) error {
	in, err := a.lineInput(args, jsonl)
	if err != nil {
		return err
	}
	defer in.Close()
	out := bufio.NewWriterSize(a.stdout, 1<<16)
	var result dedupResult
	unit := "documents"
	if j.Exact != "" {
		unit = string(j.Exact) + "s"
		result, err = exactly(in, out, j.Exact, jsonl)
	} else {
		err = inTemp(temp, func(dir vfs.FS) (err error) {
			result, err = nearly(ctx, in, out, dedup.Options{Config: j.Config, Dir: dir, Memory: j.Memory}, jsonl, clusters)
			return err
		})
	}
	if err != nil {
		return errors.Join(ofFile(args, err), out.Flush())
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if !jsonl {
		return a.print(result, func(w io.Writer) {
			fmt.Fprintf(w, "%d of %d documents kept; %d %s removed\n", result.Kept, result.Documents, result.Removed, unit)
		})
	}
	a.talk.printf("dedup  %d of %d documents kept; %d %s removed", result.Kept, result.Documents, result.Removed, unit)
	return nil
}

// nearly removes near duplicates.
func nearly(ctx context.Context, in io.Reader, out *bufio.Writer, o dedup.Options, jsonl, clusters bool) (result dedupResult, err error) {
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
	seen := dedup.NewExact()
	for line, err := range corpus.Lines(in) {
		if err != nil {
			return result, err
		}
		var d struct{ Text *string }
		if err := json.Unmarshal(line.JSON, &d); err != nil {
			return result, fmt.Errorf("line %d: %w", line.Number, corpus.NoDocument(err))
		}
		if d.Text == nil {
			return result, fmt.Errorf("line %d: %w", line.Number, corpus.NoDocument(corpus.ErrNoText))
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
