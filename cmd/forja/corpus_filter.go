package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"forja/engine/corpus"
	"forja/engine/corpus/filter"
	"forja/engine/corpus/lang"
)

// A filterFlags is how the verbs that judge documents do it.
type filterFlags struct {
	config        filter.Config
	only          string
	lists         [5]string
	evaluation    []string
	ngram         int
	contamination *filter.Contamination
}

// listNames are the block lists of URLs.
var listNames = [5][2]string{
	{"domains", "domains, with all below them"}, {"urls", "addresses"}, {"words", "words of an address of which one blocks"},
	{"soft_words", "words of which two block"}, {"subwords", "letters and digits that an address must not contain"},
}

func (f *filterFlags) add(c *cobra.Command) {
	f.config = filter.Default()
	fs := c.Flags()
	fs.StringVar(&f.only, "only", "", "apply one filter: "+strings.Join(filter.Filters(), ", "))
	fs.StringSliceVar(&f.config.Languages, "languages", nil, "keep documents of these languages; documents that name none are told")
	fs.StringVar(&f.config.Language, "language", f.config.Language, "language of documents that tell none")
	for i, l := range listNames {
		fs.StringVar(&f.lists[i], "url."+l[0], "", "file with a block list: "+l[1])
	}
	fs.StringArrayVar(&f.evaluation, "decontaminate", nil, "file with texts of an evaluation set (lines, or .jsonl); may be repeated")
	fs.IntVar(&f.ngram, "decontaminate.ngram", 12, "words in a row that a document must not have in common with them")
	for _, k := range f.config.Keys() {
		switch v := k.Value.(type) {
		case *float64:
			fs.Float64Var(v, k.Name, *v, k.Help)
		case *int:
			fs.IntVar(v, k.Name, *v, k.Help)
		case *bool:
			fs.BoolVar(v, k.Name, *v, k.Help)
		}
	}
}

// open reads the files that the flags name.
func (f *filterFlags) open() error {
	if f.only != "" && !slices.Contains(filter.Filters(), f.only) {
		return usagef("--only: there is no filter %q; there are %s", f.only, strings.Join(filter.Filters(), ", "))
	}
	var lists [5]map[string]bool
	for i, path := range f.lists {
		if path == "" {
			continue
		}
		file, err := os.Open(path)
		if err != nil {
			return usageError{err}
		}
		lists[i], err = filter.ReadList(file)
		file.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	f.config.Lists = &filter.Lists{Domains: lists[0], URLs: lists[1], Words: lists[2], SoftWords: lists[3]}
	for word := range lists[4] {
		f.config.Lists.Subwords = append(f.config.Lists.Subwords, word)
	}
	f.contamination = filter.NewContamination(f.ngram)
	for _, path := range f.evaluation {
		if err := f.addEvaluation(path); err != nil {
			return fmt.Errorf("--decontaminate %s: %w", path, err)
		}
	}
	return nil
}

// addEvaluation reads the lines of a text, or every string of JSON lines.
func (f *filterFlags) addEvaluation(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return usageError{err}
	}
	defer file.Close()
	for line, err := range corpus.Lines(file) {
		if err != nil {
			return err
		}
		if filepath.Ext(path) != ".jsonl" {
			f.contamination.Add(string(line.JSON))
			continue
		}
		var v any
		if err := json.Unmarshal(line.JSON, &v); err != nil {
			return fmt.Errorf("line %d: not JSON: %w", line.Number, err)
		}
		f.addStrings(v)
	}
	return nil
}

func (f *filterFlags) addStrings(v any) {
	switch v := v.(type) {
	case string:
		f.contamination.Add(v)
	case []any:
		for _, e := range v {
			f.addStrings(e)
		}
	case map[string]any:
		for _, e := range v {
			f.addStrings(e)
		}
	}
}

func (f *filterFlags) checker() *filter.Checker {
	if f.only != "" {
		return filter.NewOnly(f.config, f.only)
	}
	return filter.New(f.config)
}

// tell gives a document that names no language its own, if that matters, and says how sure it is.
func (f *filterFlags) tell(d *corpus.Document) (score float64) {
	if d.Lang != "" || len(f.config.Languages) == 0 {
		return 1
	}
	g := lang.Default().Detect(d.Text)
	d.Lang = g.Lang
	return g.Score
}

// contaminated is a verdict on a document that the recipe keeps.
func (f *filterFlags) contaminated(v *filter.Verdict) {
	if n := f.contamination.Find(v.Text); v.Keep && n > 0 {
		v.Keep, v.Filter, v.Rule, v.Value = false, "decontaminate", "contaminated", float64(n)
	}
}

// A dropCount is how many documents broke a rule first, with some of their ids.
type dropCount struct {
	Filter    string   `json:"filter"`
	Rule      string   `json:"rule"`
	Documents int      `json:"documents"`
	Samples   []string `json:"samples"`
}

// A filterTally is what a filter did to documents.
type filterTally struct {
	mu        sync.Mutex
	Documents int          `json:"documents"`
	Kept      int          `json:"kept"`
	Bytes     int64        `json:"bytes"`
	KeptBytes int64        `json:"kept_bytes"`
	Emails    int          `json:"emails_replaced"`
	IPs       int          `json:"ips_replaced"`
	Phones    int          `json:"phones_replaced"`
	Dropped   []*dropCount `json:"dropped"`
}

const dropSamples = 3

// count takes a verdict in. Samples are the first ids in order, whatever the order in which documents come.
func (t *filterTally) count(d corpus.Document, v filter.Verdict, r filter.Redactions) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Documents++
	t.Bytes += int64(len(d.Text))
	if v.Keep {
		t.Kept++
		t.KeptBytes += int64(len(v.Text))
		t.Emails, t.IPs, t.Phones = t.Emails+r.Emails, t.IPs+r.IPs, t.Phones+r.Phones
		return
	}
	at := slices.IndexFunc(t.Dropped, func(c *dropCount) bool { return c.Filter == v.Filter && c.Rule == v.Rule })
	if at < 0 {
		at = len(t.Dropped)
		t.Dropped = append(t.Dropped, &dropCount{Filter: v.Filter, Rule: v.Rule})
	}
	c := t.Dropped[at]
	c.Documents++
	if i, _ := slices.BinarySearch(c.Samples, d.ID); i < dropSamples {
		c.Samples = slices.Insert(c.Samples, i, d.ID)
		c.Samples = c.Samples[:min(len(c.Samples), dropSamples)]
	}
}

func (t *filterTally) sort() {
	slices.SortFunc(t.Dropped, func(x, y *dropCount) int {
		return cmp.Or(y.Documents-x.Documents, strings.Compare(x.Filter, y.Filter), strings.Compare(x.Rule, y.Rule))
	})
}

func (t *filterTally) write(w io.Writer) {
	fmt.Fprintf(w, "%d of %d documents kept, %s of %s; replaced %d e-mail and %d IP addresses and %d telephone numbers\n", t.Kept, t.Documents,
		size(t.KeptBytes), size(t.Bytes), t.Emails, t.IPs, t.Phones)
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range t.Dropped {
		fmt.Fprintf(out, "%d\t%s\t%s\t%s\n", c.Documents, c.Filter, c.Rule, strings.Join(c.Samples, " "))
	}
	out.Flush()
}

func (a *app) corpusFilterCmd() *cobra.Command {
	var f filterFlags
	var verdicts, documents bool
	redact := true
	c := &cobra.Command{Use: "filter [FILE]", Short: "judge documents, one a line of JSON, by FineWeb's recipe, and clean those that are kept",
		Example: "  forja corpus filter docs.jsonl\n  forja corpus filter --jsonl < docs.jsonl > verdicts.jsonl\n  forja corpus filter --documents < docs.jsonl > kept.jsonl",
		Args:    cobra.MaximumNArgs(1)}
	c.Flags().BoolVar(&verdicts, "jsonl", false, `print {"id","keep","reason"} for each document`)
	c.Flags().BoolVar(&documents, "documents", false, "print the documents that are kept, cleaned")
	c.Flags().BoolVar(&redact, "redact", true, "replace e-mail and public IP addresses and telephone numbers in what is kept")
	f.add(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		if verdicts && documents {
			return usagef("--jsonl prints verdicts, --documents what is kept: give one of them")
		}
		if err := f.open(); err != nil {
			return err
		}
		checkers := sync.Pool{New: func() any { return f.checker() }}
		var tally filterTally
		err := a.mapLines(args, func(dst, line []byte) ([]byte, error) {
			if len(bytes.TrimSpace(line)) == 0 {
				return dst, nil
			}
			var d corpus.Document
			if err := json.Unmarshal(line, &d); err != nil {
				return nil, fmt.Errorf("not a document: %w", err)
			}
			checker := checkers.Get().(*filter.Checker)
			defer checkers.Put(checker)
			score := f.tell(&d)
			v := checker.Check(d, score)
			f.contaminated(&v)
			var r filter.Redactions
			if v.Keep && redact {
				v.Text, r = filter.Redact(v.Text)
			}
			tally.count(d, v, r)
			switch {
			case verdicts:
				return appendVerdict(dst, d.ID, v)
			case documents && v.Keep:
				return appendField(dst, line, "text", v.Text)
			}
			return dst, nil
		})
		if err != nil {
			return err
		}
		tally.sort()
		if !verdicts && !documents {
			return a.print(&tally, tally.write)
		}
		var b strings.Builder
		tally.write(&b)
		a.talk.printf("%s", strings.TrimSuffix(b.String(), "\n"))
		return nil
	}
	return c
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

// An explanation is a document's verdict, rule by rule.
type explanation struct {
	ID       string           `json:"id"`
	Keep     bool             `json:"keep"`
	Reason   string           `json:"reason,omitempty"`
	Findings []filter.Finding `json:"findings"`
	Text     string           `json:"text"`
}

func (a *app) corpusExplainCmd() *cobra.Command {
	var f filterFlags
	var id string
	c := &cobra.Command{Use: "explain [FILE]", Short: "show how one document fares with every rule of the filters (a text, or JSON lines)",
		Example: "  forja corpus explain page.txt\n  forja corpus explain docs.jsonl --id 17", Args: cobra.MaximumNArgs(1)}
	c.Flags().StringVar(&id, "id", "", "the document of JSON lines; the first if none is given")
	f.add(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		if err := f.open(); err != nil {
			return err
		}
		d, err := a.oneDocument(args, id)
		if err != nil {
			return err
		}
		score := f.tell(&d)
		findings, v := f.checker().Explain(d, score)
		if n := f.contamination.Find(v.Text); len(f.evaluation) > 0 {
			findings = append(findings, filter.Finding{Filter: "decontaminate", Rule: "contaminated", Value: float64(n), OK: n == 0})
		}
		f.contaminated(&v)
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

// oneDocument reads a text, or one document of JSON lines.
func (a *app) oneDocument(args []string, id string) (corpus.Document, error) {
	if len(args) == 0 || filepath.Ext(args[0]) != ".jsonl" {
		if id != "" {
			return corpus.Document{}, usagef("--id is for a file of JSON lines, .jsonl")
		}
		text, err := a.readText(args, 0)
		return corpus.Document{Text: text}, err
	}
	in, err := a.input(args, 0)
	if err != nil {
		return corpus.Document{}, err
	}
	defer in.Close()
	for d, err := range corpus.Read(in) {
		if err != nil || id == "" || d.ID == id {
			return d, err
		}
	}
	return corpus.Document{}, fmt.Errorf("%s has no document %q", args[0], id)
}
