package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"forja/engine/corpus"
	"forja/engine/corpus/documents"
	"forja/engine/corpus/filter"
	"forja/engine/corpus/ordered"
	"forja/engine/corpus/shard"
	"forja/engine/corpus/store"
)

func (a *app) corpusFilterCmd() *cobra.Command {
	var f judgeFlags
	var at shareFlags
	var verdicts, kept bool
	c := &cobra.Command{Use: "filter [FILE]", Short: "judge documents, one a line of JSON, by FineWeb's recipe, and clean those that are kept",
		Long: "filter judges documents by FineWeb's recipe, every threshold of which is a flag, and cleans those that are kept. It reads\n" +
			"FILE or standard input, one document a line of JSON, or with --in and --out the files of a store: there, the same command\n" +
			"goes on after a stop, and processes with different --shard, on one machine or many, share the work.",
		Example: "  forja corpus filter docs.jsonl\n  forja corpus filter --jsonl < docs.jsonl > verdicts.jsonl\n  forja corpus filter --documents < docs.jsonl > kept.jsonl\n" +
			"  forja corpus filter --in text --out good --shard 3/16 --filter.languages en,pt",
		Args: cobra.MaximumNArgs(1)}
	c.Flags().BoolVar(&verdicts, "jsonl", false, `print {"id","keep","reason"} for each document`)
	c.Flags().BoolVar(&kept, "documents", false, "print the documents that are kept, cleaned")
	f.add(c)
	at.add(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if verdicts && kept {
			return usagef("--jsonl prints verdicts, --documents what is kept: give one of them")
		}
		j, err := f.open()
		if err != nil {
			return err
		}
		if !at.given() {
			if err := noFolder(args); err != nil {
				return err
			}
			return a.filterStream(j, args, verdicts, kept)
		}
		if verdicts || kept || len(args) > 0 {
			return usagef("with --in and --out there is nothing to print and no FILE")
		}
		w, err := at.open(c.Context())
		if err != nil {
			return err
		}
		defer w.Close()
		r, err := a.filter(c.Context(), w, j)
		if err != nil {
			return err
		}
		return a.printReport(r)
	}
	return c
}

// filter judges the documents of a store's files: what the verb and the stage do.
func (a *app) filter(ctx context.Context, at *workplace, j *judge) (shard.Report, error) {
	type judged struct {
		doc     corpus.Document
		verdict filter.Verdict
		made    filter.Redactions
	}
	judge := func() func(corpus.Document) (judged, error) {
		return func(d corpus.Document) (judged, error) {
			v, made := j.judge(&d)
			return judged{d, v, made}, nil
		}
	}
	textSize := func(d corpus.Document) int { return len(d.Text) }
	do := func(ctx context.Context, in store.File, r io.Reader, w io.Writer, report *shard.Report) error {
		out, err := documents.Create(w, at.ending)
		if err != nil {
			return err
		}
		for d, err := range ordered.Map(ctx, 0, documents.Read(in.Name, r), textSize, judge) {
			if err != nil {
				return err
			}
			at.documents.Add(1)
			if d.doc.ID == "" {
				d.doc.ID = fmt.Sprintf("%s:%d", in.Name, report.Read.Documents+1)
			}
			countVerdict(report, d.doc, d.verdict, d.made)
			if !d.verdict.Keep {
				continue
			}
			d.doc.Text = d.verdict.Text
			if err := out.Write(d.doc); err != nil {
				return err
			}
		}
		return out.Close()
	}
	return a.share(ctx, at, &shard.Map{Step: "filter", Settings: []any{j.settings(), at.ending}, Stem: documents.Stem, Do: do})
}

// countVerdict takes a verdict on a document, as it was read, into a report.
func countVerdict(report *shard.Report, d corpus.Document, v filter.Verdict, made filter.Redactions) {
	report.Read.Add(len(d.Text))
	if !v.Keep {
		report.Drop(v.Filter+"/"+v.Rule, cmp.Or(d.URL, d.ID), len(d.Text))
		return
	}
	report.Kept.Add(len(v.Text))
	report.Note("e-mail addresses replaced", int64(made.Emails))
	report.Note("IP addresses replaced", int64(made.IPs))
	report.Note("telephone numbers replaced", int64(made.Phones))
}

// filterStream judges lines of JSON and prints verdicts, what is kept, or only how many there are of each.
func (a *app) filterStream(j *judge, args []string, verdicts, kept bool) error {
	report := shard.Report{Step: "filter"}
	var mu sync.Mutex // of the report
	err := a.mapInput(args, verdicts || kept, func(dst, line []byte) ([]byte, error) {
		if len(bytes.TrimSpace(line)) == 0 {
			return dst, nil
		}
		d, err := corpus.Parse(line)
		if err != nil {
			return nil, err
		}
		v, made := j.judge(&d)
		mu.Lock()
		countVerdict(&report, d, v, made)
		mu.Unlock()
		switch {
		case verdicts:
			return appendVerdict(dst, d.ID, v)
		case kept && v.Keep:
			return appendField(dst, line, "text", v.Text)
		}
		return dst, nil
	})
	if err != nil {
		return err
	}
	if !verdicts && !kept {
		return a.printReport(report)
	}
	var b strings.Builder
	writeReport(&b, report)
	a.talk.printf("%s", strings.TrimSuffix(b.String(), "\n"))
	return nil
}

func appendVerdict(dst []byte, id string, v filter.Verdict) ([]byte, error) {
	line := struct {
		ID     string   `json:"id"`
		Keep   bool     `json:"keep"`
		Reason *string  `json:"reason"`
		Filter *string  `json:"filter"`
		Value  *float64 `json:"value,omitempty"`
	}{ID: id, Keep: v.Keep}
	if !v.Keep {
		line.Reason, line.Filter, line.Value = &v.Rule, &v.Filter, &v.Value
	}
	b, err := json.Marshal(line)
	return append(append(dst, b...), '\n'), err
}

// appendField appends a document with another value in one field; its other fields stay as they are.
func appendField(dst, line []byte, name, value string) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return nil, err
	}
	fields[name] = slices.Clone(b.Bytes())
	b.Reset()
	err := e.Encode(fields)
	return append(dst, b.Bytes()...), err
}
