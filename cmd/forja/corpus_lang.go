package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"forja/engine/corpus/lang"
)

// A langResult is the language of a text.
type langResult struct {
	Lang  string  `json:"lang"`
	Score float64 `json:"score"`
}

func (a *app) corpusLangCmd() *cobra.Command {
	var jsonl, documents, list bool
	c := &cobra.Command{Use: "lang [FILE]", Short: "tell in which language a text is, or each document, one a line of JSON",
		Example: "  forja corpus lang page.txt\n  forja corpus lang --jsonl < docs.jsonl > languages.jsonl\n  forja corpus lang --documents < docs.jsonl > told.jsonl",
		Args:    cobra.MaximumNArgs(1)}
	c.Flags().BoolVar(&jsonl, "jsonl", false, `read JSON lines and print {"id","lang","score"} for each document`)
	c.Flags().BoolVar(&documents, "documents", false, `read JSON lines and print each document with its "lang"`)
	c.Flags().BoolVar(&list, "list", false, "list the languages that are known")
	c.RunE = func(_ *cobra.Command, args []string) error {
		switch {
		case list:
			known := lang.Default().Languages()
			return a.print(known, func(w io.Writer) { fmt.Fprintln(w, strings.Join(known, " ")) })
		case jsonl && documents:
			return usagef("--jsonl prints languages, --documents documents: give one of them")
		case !jsonl && !documents:
			text, err := a.readText(args, 0)
			if err != nil {
				return err
			}
			g := lang.Default().Detect(text)
			return a.print(langResult(g), func(w io.Writer) { fmt.Fprintf(w, "%s  %.3f\n", g.Lang, g.Score) })
		}
		return a.mapLines(args, func(dst, line []byte) ([]byte, error) {
			if len(bytes.TrimSpace(line)) == 0 {
				return dst, nil
			}
			var d struct {
				ID   json.RawMessage `json:"id"`
				Text *string         `json:"text"`
			}
			if err := json.Unmarshal(line, &d); err != nil {
				return nil, fmt.Errorf("not a document: %w", err)
			}
			if d.Text == nil {
				return nil, errors.New(`not a document: no "text"`)
			}
			g := lang.Default().Detect(*d.Text)
			if documents {
				return appendField(dst, line, "lang", g.Lang)
			}
			if d.ID == nil {
				d.ID = json.RawMessage("null")
			}
			return fmt.Appendf(dst, "{\"id\":%s,\"lang\":%q,\"score\":%.4f}\n", d.ID, g.Lang, g.Score), nil
		})
	}
	return c
}
