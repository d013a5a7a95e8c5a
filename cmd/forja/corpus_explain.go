package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"forja/engine/corpus"
	"forja/engine/corpus/documents"
	"forja/engine/corpus/filter"
)

// An explanation is a document's verdict, rule by rule.
type explanation struct {
	ID       string           `json:"id"`
	Keep     bool             `json:"keep"`
	Reason   string           `json:"reason,omitempty"`
	Findings []filter.Finding `json:"findings"`
	Text     string           `json:"text"`
}

func (a *app) corpusExplainCmd() *cobra.Command {
	var f judgeFlags
	var id string
	c := &cobra.Command{Use: "explain [FILE]", Short: "show how one document fares with every rule of the filters (a text, a page, or a file of documents)",
		Example: "  forja corpus explain page.txt\n  forja corpus explain page.html\n  forja corpus explain text/site.jsonl.gz --id 17", Args: cobra.MaximumNArgs(1)}
	c.Flags().StringVar(&id, "id", "", "the document of the file; the first if none is given")
	f.add(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		j, err := f.open()
		if err != nil {
			return err
		}
		d, err := a.oneDocument(c.Context(), args, id)
		if err != nil {
			return err
		}
		score := j.tell(&d)
		findings, v := j.checker().Explain(d, score)
		if n := j.contamination.Find(v.Text); len(j.config.Decontaminate) > 0 {
			findings = append(findings, filter.Finding{Filter: "decontaminate", Rule: "contaminated", Value: float64(n), OK: n == 0})
		}
		j.contaminated(&v)
		e := explanation{d.ID, v.Keep, v.Rule, findings, v.Text}
		return a.print(e, func(w io.Writer) {
			out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			for _, finding := range e.Findings {
				bound, mark := "at most", "ok"
				if finding.Least {
					bound = "at least"
				}
				if !finding.OK {
					mark = "DROP"
				}
				fmt.Fprintf(out, "%s\t%s\t%s\t%.4g\t%s %.4g\n", mark, finding.Filter, finding.Rule, finding.Value, bound, finding.Limit)
			}
			out.Flush()
			if e.Keep {
				fmt.Fprintf(w, "kept: %d bytes, %d after the rules for lines\n", len(d.Text), len(e.Text))
			} else {
				fmt.Fprintf(w, "dropped by %s: %s\n", v.Filter, v.Rule)
			}
		})
	}
	return c
}

// oneDocument reads a text or a page, or one of a file of documents.
func (a *app) oneDocument(ctx context.Context, args []string, id string) (corpus.Document, error) {
	var ours bool
	if len(args) > 0 {
		_, ours = documents.Stem(args[0])
	}
	if !ours {
		if id != "" {
			return corpus.Document{}, usagef("--id is for a file of documents: %s", documentFormats())
		}
		return a.textDocument(ctx, args)
	}
	in, err := os.Open(args[0])
	if err != nil {
		return corpus.Document{}, usageError{err}
	}
	defer in.Close()
	for d, err := range documents.Read(args[0], in) {
		if err != nil || id == "" || d.ID == id {
			return d, ofFile(args, err)
		}
	}
	if id == "" {
		return corpus.Document{}, fmt.Errorf("%s has no documents", args[0])
	}
	return corpus.Document{}, fmt.Errorf("%s has no document %q", args[0], id)
}
