package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"forja/engine/data"
	"forja/tokenizer"
)

func (a *app) tokenizerInspectCmd() *cobra.Command {
	var f tokenizerFlags
	var unreachable bool
	c := &cobra.Command{Use: "inspect [TOKENIZER] [FILE]", Short: "show a tokenizer, or how it cuts a text", Args: cobra.MaximumNArgs(2),
		Example: "  forja tokenizer inspect tok\n  echo 'olá, mundo' | forja tokenizer inspect tok -\n  forja tokenizer inspect tok corpus.jsonl.gz"}
	f.add(c)
	c.Flags().BoolVar(&unreachable, "unreachable", false, "list the tokens that no text gives")
	c.RunE = func(_ *cobra.Command, args []string) error {
		t, args, err := f.open(args, 1)
		switch {
		case err != nil:
			return err
		case unreachable:
			return a.printUnreachable(t)
		case len(args) == 0:
			return a.printVocabulary(t)
		case strings.HasSuffix(strings.TrimSuffix(args[0], ".gz"), ".jsonl"):
			return a.printLanguages(t, args[0])
		}
		return a.printPieces(t, args)
	}
	return c
}

// printPieces shows how a text is cut, on a terminal in colours.
func (a *app) printPieces(t tokenizer.Tokenizer, args []string) error {
	text, err := a.readText(args, 0)
	if err != nil {
		return err
	}
	var pieces []string
	for id := range t.Tokens(text) {
		token, _ := t.Token(id)
		pieces = append(pieces, token.Bytes)
	}
	return a.print(pieces, func(w io.Writer) {
		colours := []int{44, 42, 45, 46, 43}
		for i, p := range pieces {
			if a.coloured() && utf8.ValidString(p) && !strings.ContainsFunc(p, unicode.IsControl) {
				fmt.Fprintf(w, "\x1b[30;%dm%s\x1b[0m", colours[i%len(colours)], p)
			} else if a.coloured() && p == "\n" {
				fmt.Fprintln(w, "↵")
			} else {
				fmt.Fprintf(w, "%q ", p)
			}
		}
		fmt.Fprintf(w, "\n%d tokens, %.2f bytes a token\n", len(pieces), float64(len(text))/float64(max(1, len(pieces))))
	})
}

// coloured reports whether the result goes to a terminal that shows colours.
func (a *app) coloured() bool {
	f, ok := a.stdout.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// A vocabularySummary is what inspect tells of a tokenizer.
type vocabularySummary struct {
	Kind        string           `json:"kind"`
	Vocab       int              `json:"vocab"`
	Specials    map[string]int32 `json:"specials"`
	Fingerprint string           `json:"fingerprint"`
	Tokens      map[string]int   `json:"tokens"`  // by script or kind
	Lengths     map[string]int   `json:"lengths"` // by characters
	Unreachable int              `json:"unreachable"`
}

func (a *app) printVocabulary(t tokenizer.Tokenizer) error {
	s := vocabularySummary{Kind: tokenizer.Describe(t), Vocab: t.VocabSize(), Specials: map[string]int32{}, Fingerprint: tokenizer.Fingerprint(t),
		Tokens: map[string]int{}, Lengths: map[string]int{}, Unreachable: len(tokenizer.Unreachable(t))}
	for _, special := range t.Specials() {
		s.Specials[special.Content] = special.ID
	}
	for id := range int32(t.VocabSize()) {
		token, ok := t.Token(id)
		switch {
		case !ok:
			s.Tokens["no token"]++
			continue
		case token.Special:
			s.Tokens["special"]++
			continue
		}
		s.Tokens[kindOf(token.Bytes)]++
		s.Lengths[lengthOf(token.Bytes)]++
	}
	return a.print(s, func(w io.Writer) {
		fmt.Fprintf(w, "%s\n%d ids · fingerprint %.16s…\n", s.Kind, s.Vocab, s.Fingerprint)
		for i, special := range t.Specials() {
			if i == 16 {
				fmt.Fprintf(w, "          and %d other special tokens\n", len(s.Specials)-i)
				break
			}
			fmt.Fprintf(w, "%8d  %s\n", special.ID, special.Content)
		}
		out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		kinds := slices.SortedFunc(maps.Keys(s.Tokens), func(x, y string) int {
			return cmp.Or(s.Tokens[y]-s.Tokens[x], strings.Compare(x, y))
		})
		fmt.Fprintln(out, "\ntokens\t")
		for _, kind := range kinds {
			fmt.Fprintf(out, "%s\t%d\n", kind, s.Tokens[kind])
		}
		fmt.Fprintln(out, "\ncharacters\ttokens")
		for _, length := range lengthNames {
			if s.Lengths[length] > 0 {
				fmt.Fprintf(out, "%s\t%d\n", length, s.Lengths[length])
			}
		}
		out.Flush()
		fmt.Fprintf(w, "\n%d tokens that no text gives (--unreachable lists them)\n", s.Unreachable)
	})
}

var lengthNames = []string{"1", "2", "3", "4", "5 to 8", "9 to 16", "more", "part of one"}

func lengthOf(token string) string {
	if !utf8.ValidString(token) {
		return "part of one"
	}
	switch n := utf8.RuneCountInString(token); {
	case n <= 4:
		return lengthNames[n-1]
	case n <= 8:
		return "5 to 8"
	case n <= 16:
		return "9 to 16"
	}
	return "more"
}

// kindOf is the script of a token's first letter, or what it is made of.
func kindOf(token string) string {
	if !utf8.ValidString(token) {
		return "bytes"
	}
	kind := "white space"
	for _, r := range token {
		switch {
		case unicode.IsLetter(r) || unicode.IsMark(r):
			for _, name := range scriptNames {
				if unicode.Is(unicode.Scripts[name], r) {
					return name
				}
			}
			return "other letters"
		case unicode.IsNumber(r):
			kind = "numbers"
		case r == '▁' || unicode.IsSpace(r):
		case kind == "white space":
			kind = "punctuation and symbols"
		}
	}
	return kind
}

var scriptNames = slices.Sorted(maps.Keys(unicode.Scripts))

func (a *app) printUnreachable(t tokenizer.Tokenizer) error {
	type entry struct {
		ID    int32  `json:"id"`
		Token string `json:"token"`
	}
	list := []entry{}
	for _, id := range tokenizer.Unreachable(t) {
		token, _ := t.Token(id)
		list = append(list, entry{id, token.Bytes})
	}
	return a.print(list, func(w io.Writer) {
		for _, e := range list {
			fmt.Fprintf(w, "%8d  %q\n", e.ID, e.Token)
		}
		fmt.Fprintf(w, "%d tokens that no text gives\n", len(list))
	})
}

// A languageCount is what the documents of a language come to.
type languageCount struct {
	Language      string  `json:"lang"`
	Documents     int     `json:"documents"`
	Bytes         int     `json:"bytes"`
	Characters    int     `json:"characters"`
	Tokens        int     `json:"tokens"`
	BytesPerToken float64 `json:"bytes_per_token"`
}

// printLanguages counts the documents of a JSONL file by their language.
func (a *app) printLanguages(t tokenizer.Tokenizer, path string) error {
	counts := map[string]*languageCount{}
	for doc, err := range data.Read(path, data.ReadOptions{}) {
		if err != nil {
			return err
		}
		for _, name := range []string{doc.Lang, "all"} {
			c := counts[name]
			if c == nil {
				c = &languageCount{Language: name}
				counts[name] = c
			}
			c.Documents++
			c.Bytes += len(doc.Text)
			c.Characters += utf8.RuneCountInString(doc.Text)
			if name == "all" {
				continue
			}
			c.Tokens += t.Count(doc.Text)
		}
	}
	var list []*languageCount
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if name != "all" {
			counts["all"].Tokens += counts[name].Tokens
			list = append(list, counts[name])
		}
	}
	list = append(list, counts["all"])
	for _, c := range list {
		c.BytesPerToken = float64(c.Bytes) / float64(max(1, c.Tokens))
	}
	return a.print(list, func(w io.Writer) {
		out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(out, "language\tdocuments\tbytes\ttokens\tbytes a token\tcharacters a token\t")
		for _, c := range list {
			fmt.Fprintf(out, "%s\t%d\t%d\t%d\t%.2f\t%.2f\t\n", c.Language, c.Documents, c.Bytes, c.Tokens, c.BytesPerToken, float64(c.Characters)/float64(max(1, c.Tokens)))
		}
		out.Flush()
	})
}
