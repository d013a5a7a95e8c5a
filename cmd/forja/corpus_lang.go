package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"forja/engine/corpus"
	"forja/engine/corpus/documents"
	"forja/engine/corpus/lang"
)

// A langResult is the language of a text.
type langResult struct {
	Lang  string  `json:"lang"`
	Score float64 `json:"score"`
}

func (a *app) corpusLangCmd() *cobra.Command {
	var jsonl, whole, list bool
	c := &cobra.Command{Use: "lang [FILE]", Short: "tell in which language a text is, or each document, one a line of JSON",
		Example: "  forja corpus lang page.txt\n  forja corpus lang --jsonl < docs.jsonl > languages.jsonl\n  forja corpus lang --documents < docs.jsonl > told.jsonl",
		Args:    cobra.MaximumNArgs(1)}
	c.Flags().BoolVar(&jsonl, "jsonl", false, `read JSON lines and print {"id","lang","score"} for each document`)
	c.Flags().BoolVar(&whole, "documents", false, `read JSON lines and print each document with its "lang"`)
	c.Flags().BoolVar(&list, "list", false, "list the languages that are known")
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case list:
			known := lang.Default().Languages()
			return a.print(known, func(w io.Writer) { fmt.Fprintln(w, strings.Join(known, " ")) })
		case jsonl && whole:
			return usagef("--jsonl prints languages, --documents documents: give one of them")
		case !jsonl && !whole:
			if len(args) > 0 {
				if _, ours := documents.Stem(args[0]); ours {
					return usagef("%s is a file of documents: --jsonl tells the language of each", args[0])
				}
			}
			d, err := a.textDocument(c.Context(), args)
			if err != nil {
				return err
			}
			g := lang.Default().Detect(d.Text)
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
				return nil, corpus.NoDocument(err)
			}
			if d.Text == nil {
				return nil, corpus.NoDocument(corpus.ErrNoText)
			}
			g := lang.Default().Detect(*d.Text)
			if whole {
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
