package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"forja/tokenizer"
)

func (a *app) tokenizerCmd() *cobra.Command {
	c := &cobra.Command{Use: "tokenizer", Short: "train, use and inspect tokenizers"}
	c.AddCommand(a.tokenizerTrainCmd(), a.tokenizerEncodeCmd(), a.tokenizerDecodeCmd(), a.tokenizerCountCmd(), a.tokenizerInspectCmd())
	return c
}

func (a *app) tokenizerTrainCmd() *cobra.Command {
	var settings []setting
	var out string
	c := &cobra.Command{Use: "train [PATH] -o DIR", Short: "train a byte-level BPE on documents (a file or folder; none is Go's standard library)",
		Example: "  forja tokenizer train corpus/ -o tok --tokenizer.vocab 16384\n  forja tokenizer train -o tok", Args: cobra.MaximumNArgs(1)}
	c.Flags().StringVarP(&out, "output", "o", "", "directory for tokenizer.json")
	addKeys(c, &settings, "tokenizer")
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 1 {
			settings = append(settings, setting{"data.train", args[0]})
		} else {
			settings = append([]setting{{"data.source", "goroot"}}, settings...)
		}
		return a.runSettings(c.Context(), "tokenizer", settings, out)
	}
	return c
}

// runSettings runs a stage that flags alone describe.
func (a *app) runSettings(ctx context.Context, kind string, settings []setting, out string) error {
	r, err := loadRecipe("", kind, settings)
	if err != nil {
		return err
	}
	return a.runStage(ctx, r, out)
}

// input opens what the user names: a file, or - for standard input.
func (a *app) input(args []string, at int) (io.ReadCloser, error) {
	if len(args) <= at || args[at] == "-" {
		return io.NopCloser(a.stdin), nil
	}
	f, err := os.Open(args[at])
	if err != nil {
		return nil, usageError{err}
	}
	return f, nil
}

// readText reads all of an input of reasonable size.
func (a *app) readText(args []string, at int) (string, error) {
	in, err := a.input(args, at)
	if err != nil {
		return "", err
	}
	defer in.Close()
	const most = 1 << 30
	b, err := io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && len(b) > most {
		err = fmt.Errorf("the input is larger than %s: split it", size(most))
	}
	return string(b), err
}

// tokenizerAndText opens what most of these verbs work on: a tokenizer and the text of a file or of standard input.
func (a *app) tokenizerAndText(args []string) (*encoder, string, error) {
	e, err := openTokenizer(args[0])
	if err != nil {
		return nil, "", err
	}
	text, err := a.readText(args, 1)
	return e, text, err
}

func (a *app) tokenizerEncodeCmd() *cobra.Command {
	var special bool
	c := &cobra.Command{Use: "encode TOKENIZER [FILE]", Short: "text to ids (standard input without FILE)", Args: cobra.RangeArgs(1, 2)}
	c.Flags().BoolVar(&special, "specials", false, "recognise special tokens in the text")
	c.RunE = func(_ *cobra.Command, args []string) error {
		e, text, err := a.tokenizerAndText(args)
		if err != nil {
			return err
		}
		t := e.Tokenizer
		if special {
			if t, err = tokenizer.WithSpecials(t); err != nil {
				return err
			}
		}
		ids := t.Encode(text)
		return a.print(ids, func(w io.Writer) {
			b := bufio.NewWriter(w)
			defer b.Flush()
			for i, id := range ids {
				if i > 0 {
					b.WriteByte(' ')
				}
				fmt.Fprint(b, id)
			}
			b.WriteByte('\n')
		})
	}
	return c
}

func (a *app) tokenizerDecodeCmd() *cobra.Command {
	return &cobra.Command{Use: "decode TOKENIZER [FILE]", Short: "ids, separated by white space, to text", Args: cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			e, text, err := a.tokenizerAndText(args)
			if err != nil {
				return err
			}
			var ids []int32
			for _, f := range strings.Fields(text) {
				var id int32
				if _, err := fmt.Sscanf(f, "%d", &id); err != nil {
					return usagef("%q is not an id", f)
				}
				if _, ok := e.Token(id); !ok {
					return usagef("the tokenizer has no id %d", id)
				}
				ids = append(ids, id)
			}
			_, err = a.stdout.Write(e.DecodeTo(nil, ids))
			return err
		}}
}

func (a *app) tokenizerCountCmd() *cobra.Command {
	return &cobra.Command{Use: "count TOKENIZER [FILE]", Short: "count tokens", Args: cobra.RangeArgs(1, 2), RunE: func(_ *cobra.Command, args []string) error {
		e, text, err := a.tokenizerAndText(args)
		if err != nil {
			return err
		}
		n := e.Count(text)
		return a.print(map[string]int{"tokens": n, "bytes": len(text)}, func(w io.Writer) {
			fmt.Fprintf(w, "%d tokens, %d bytes, %.2f bytes a token\n", n, len(text), float64(len(text))/float64(max(1, n)))
		})
	}}
}

func (a *app) tokenizerInspectCmd() *cobra.Command {
	return &cobra.Command{Use: "inspect TOKENIZER [FILE]", Short: "show a tokenizer, or how it cuts a text", Args: cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			e, err := openTokenizer(args[0])
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return a.print(map[string]any{"vocab": e.VocabSize(), "specials": e.specials(), "fingerprint": e.fingerprint}, func(w io.Writer) {
					fmt.Fprintf(w, "%d ids · fingerprint %.16s…\n", e.VocabSize(), e.fingerprint)
					for _, s := range e.Specials() {
						fmt.Fprintf(w, "%8d  %s\n", s.ID, s.Content)
					}
				})
			}
			text, err := a.readText(args, 1)
			if err != nil {
				return err
			}
			var pieces []string
			for _, id := range e.Encode(text) {
				t, _ := e.Token(id)
				pieces = append(pieces, t.Bytes)
			}
			return a.print(pieces, func(w io.Writer) {
				for _, p := range pieces {
					fmt.Fprintf(w, "%q ", p)
				}
				fmt.Fprintf(w, "\n%d tokens, %.2f bytes a token\n", len(pieces), float64(len(text))/float64(max(1, len(pieces))))
			})
		}}
}

func (a *app) corpusCmd() *cobra.Command {
	c := &cobra.Command{Use: "corpus", Short: "documents and token shards from local files"}
	for _, v := range []struct{ kind, use, short, example string }{
		{"corpus", "build [PATH] -o DIR", "documents from a file or folder (none is Go's standard library), split into train and val",
			"  forja corpus build -o corpus\n  forja corpus build notes/ -o corpus --data.source text"},
		{"pack", "pack PATH -o DIR", "tokenize documents into shards",
			"  forja corpus pack corpus/train --data.val corpus/val --tokenizer.path tok -o tokens"},
	} {
		var settings []setting
		var out string
		sub := &cobra.Command{Use: v.use, Short: v.short, Example: v.example, Args: cobra.MaximumNArgs(1)}
		sub.Flags().StringVarP(&out, "output", "o", "", "directory of the result")
		addKeys(sub, &settings, v.kind)
		sub.RunE = func(c *cobra.Command, args []string) error {
			given := settings
			switch {
			case v.kind == "pack" && len(args) == 1:
				given = append(given, setting{"data.train", args[0]})
			case v.kind == "corpus" && len(args) == 1:
				given = append([]setting{{"data.source", "dir"}}, append(given, setting{"data.path", args[0]})...)
			case v.kind == "corpus":
				given = append([]setting{{"data.source", "goroot"}}, given...)
			}
			return a.runSettings(c.Context(), v.kind, given, out)
		}
		c.AddCommand(sub)
	}
	return c
}
