package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"forja/engine/corpus/crawl"
	"forja/engine/corpus/documents"
	"forja/engine/corpus/stats"
	"forja/engine/corpus/store"
	"forja/engine/vfs"
)

func (a *app) corpusStatsCmd() *cobra.Command {
	var o stats.Options
	var model, page string
	c := &cobra.Command{Use: "stats STORE-OR-FILE...", Short: "what a corpus is made of: languages, hosts, licences, lengths, what was left out and why",
		Long: "stats counts documents: in files (.jsonl, .jsonl.gz, .jsonl.zst, .parquet; - is lines of JSON on standard input), or in a store, a\n" +
			"folder or s3://bucket/prefix. Several stores are the steps of one chain, in their order: of all but the last only the reports are\n" +
			"read that the steps left there, and WARC files, so that the table of steps begins with what was crawled.",
		Example: "  forja corpus stats documents.jsonl\n  forja corpus stats web/crawl web/pages web/good web/corpus --html corpus.html\n" +
			"  forja corpus stats corpus --tokenizer tok --json",
		Args: cobra.MinimumNArgs(1)}
	fs := c.Flags()
	fs.StringVar(&model, "tokenizer", "", "tokenizer, or a folder with one: count tokens too")
	fs.IntVar(&o.Every, "every", 1, "count the tokens of one document of so many, and estimate the others'")
	fs.IntVar(&o.Top, "top", 20, "rows of a table; the others are counted together")
	fs.StringVar(&page, "html", "", "write a page with charts to this file, which needs nothing else")
	c.RunE = func(c *cobra.Command, args []string) error {
		if o.Every < 1 || o.Top < 1 || o.Top > 10000 {
			return usagef("--every %d, --top %d: want at least 1, and at most 10000 rows", o.Every, o.Top)
		}
		if c.Flags().Changed("every") && model == "" {
			return usagef("--every is of tokens: give --tokenizer")
		}
		if model != "" {
			e, err := openTokenizer(model)
			if err != nil {
				return err
			}
			o.Count, o.Tokenizer, o.Hash = e.Count, model, e.fingerprint
		}
		r, err := a.stats(c.Context(), args, o)
		if err != nil {
			return err
		}
		if page != "" {
			if err := writePage(page, r); err != nil {
				return err
			}
		}
		if err := a.print(r, func(w io.Writer) { writeStats(w, r) }); err != nil {
			return err
		}
		for _, w := range r.Warnings {
			a.talk.printf("! %s", w)
		}
		return nil
	}
	return c
}

// writePage writes a page of HTML, whole or not at all.
func writePage(file string, r *stats.Report) error {
	d, err := vfs.MakeOS(filepath.Dir(file))
	if err != nil {
		return err
	}
	defer d.Close()
	return vfs.WriteStream(d, filepath.Base(file), r.WritePage)
}

// An inventory is what there is to count.
type inventory struct {
	files  []stats.Source
	steps  []stats.Step
	name   string // of where the documents are
	stores []store.Store
}

func (v *inventory) close() {
	for _, s := range v.stores {
		_ = s.Close() // only read
	}
}

// stats counts what stores and files hold.
func (a *app) stats(ctx context.Context, places []string, o stats.Options) (*stats.Report, error) {
	v, err := a.inventory(ctx, places)
	defer v.close()
	if err != nil {
		return nil, err
	}
	var bytes atomic.Int64
	start := time.Now()
	for i := range v.files {
		if strings.HasSuffix(v.files[i].Name, ".parquet") {
			continue // which is read in no order
		}
		open := v.files[i].Open
		v.files[i].Open = func(ctx context.Context) (io.ReadCloser, error) {
			r, err := open(ctx)
			if err != nil {
				return nil, err
			}
			return watchedCloser{watched{r, func(n int) {
				seconds := max(time.Since(start).Seconds(), 1e-3)
				read := bytes.Add(int64(n))
				a.talk.progress("stats: %s read, %s/s", size(read), size(int64(float64(read)/seconds)))
			}}, r}, nil
		}
	}
	c, err := stats.Collect(ctx, v.files, o)
	a.talk.clear()
	if err != nil {
		return nil, err
	}
	return c.Report(v.name, v.steps), nil
}

type watchedCloser struct {
	watched
	io.Closer
}

// inventory finds the files: of several stores the documents of the last only.
func (a *app) inventory(ctx context.Context, places []string) (*inventory, error) {
	v := &inventory{}
	isStore := func(place string) bool {
		info, err := os.Stat(place)
		return strings.Contains(place, "://") || err == nil && info.IsDir()
	}
	var names []string
	for i, place := range places {
		if !isStore(place) {
			f, err := a.statsFile(place)
			if err != nil {
				return v, err
			}
			v.files = append(v.files, f)
			names = append(names, place)
			continue
		}
		if len(names) > 0 {
			return v, usagef("%s is a store, and before it stands a file, %s: stores come first, in the order of their steps", place, names[0])
		}
		last := i+1 == len(places)
		if err := v.addStore(ctx, place, last); err != nil {
			return v, err
		}
		if last {
			names = append(names, place)
		}
	}
	v.name = strings.Join(names, " ")
	return v, nil
}

// statsFile is a file that is not in a store.
func (a *app) statsFile(name string) (stats.Source, error) {
	f := stats.Source{Name: name, Archive: isArchive(name), Open: func(context.Context) (io.ReadCloser, error) { return os.Open(name) }}
	if name == "-" {
		f.Name, f.Path = "-.jsonl", "standard input"
		f.Open = func(context.Context) (io.ReadCloser, error) { return a.input(nil, 0) }
		return f, nil
	}
	if _, err := os.Stat(name); err != nil {
		return f, usageError{err}
	}
	if _, ok := documents.Stem(name); !ok && !f.Archive {
		return f, usagef("%s: want files that end in %s, WARC files, or a folder with some", name, strings.Join(documents.Endings(), ", "))
	}
	return f, nil
}

// addStore takes in a store's WARC files, the reports of its steps, and, of the last, its documents.
func (v *inventory) addStore(ctx context.Context, place string, last bool) error {
	s, err := store.Open(ctx, place)
	if err != nil {
		return err
	}
	v.stores = append(v.stores, s)
	files, err := s.List(ctx)
	if err != nil {
		return err
	}
	steps, err := stats.Steps(ctx, s)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(files, func(f store.File) bool { return f.Name == crawl.LogName }) {
		last = false // a crawl's lines of JSON are no documents
	}
	if len(steps) > 0 && steps[0].Step == "chat" {
		last = false // nor are conversations
	}
	known := len(steps) > 0
	for _, f := range files {
		_, isDocuments := documents.Stem(f.Name)
		if stats.Own(f.Name) || !isArchive(f.Name) && !isDocuments {
			continue
		}
		known = true
		if isDocuments && !last {
			continue
		}
		v.files = append(v.files, stats.Source{Name: f.Name, Path: s.Path(f.Name), Archive: isArchive(f.Name),
			Open: func(ctx context.Context) (io.ReadCloser, error) { return s.Open(ctx, f.Name) }})
	}
	if !known {
		return usagef("%s has nothing to count: no files that end in %s, no WARC files, and no reports of steps", place,
			strings.Join(documents.Endings(), ", "))
	}
	v.steps = append(v.steps, steps...)
	return nil
}

// writeStats prints a report for people: tables, the largest first.
func writeStats(w io.Writer, r *stats.Report) {
	fmt.Fprintf(w, "%s: %s documents, %s of text", r.Name, stats.Grouped(r.Documents), size(r.Bytes))
	if t := r.Tokens; t != nil {
		about := ""
		if t.Every > 1 {
			about = fmt.Sprintf("about (one document of %d counted) ", t.Every)
		}
		fmt.Fprintf(w, ", %s%s tokens, %.2f bytes each", about, count(t.Total), float64(t.Bytes)/float64(max(1, t.Counted)))
	}
	fmt.Fprintf(w, ", in %d files\n", r.Files)
	table := func(head []string, rows [][]string) {
		if len(rows) > 0 {
			fmt.Fprintln(w)
			printColumns(w, append([][]string{head}, rows...))
		}
	}
	table([]string{"step", "kept", "of", "", "size", "of"}, stepRows(r))
	for _, s := range r.Steps {
		table([]string{"left out by " + shorten(s.Step), "documents", "", "size"}, dropRows(s))
	}
	tokens := r.Tokens != nil && r.Tokens.Every == 1
	for _, t := range []struct {
		name, missing string
		table         stats.Table
	}{{"language", "not stated", r.Languages}, {"kind of page", "not stated", r.Types}, {"host", "no URL", r.Hosts}, {"source", "not stated", r.Sources},
		{"licence", "not stated", r.Licenses}, {"year", "no date", r.Years}} {
		if t.table.Empty() {
			continue
		}
		name := t.name
		if t.table.Missed > 0 {
			name += fmt.Sprintf(" (sizes may be up to %s more)", size(t.table.Missed))
		}
		head := []string{name, "documents", "size", ""}
		if tokens {
			head = append(head, "tokens")
		}
		table(head, tableRows(t.table, t.missing, r.Bytes, tokens))
	}
	if a := r.Archive; a != nil {
		table([]string{"status", "responses", "size"}, tableRows(a.Statuses, "unreadable", 0, false))
		table([]string{"type of page", "pages", "size", ""}, tableRows(a.Media, "not stated", a.Pages.Bytes, false))
	}
	table([]string{"bytes", "documents", "", "size"}, lengthRows(r.Lengths))
	if r.Tokens != nil {
		table([]string{"tokens", "documents", "", "size"}, lengthRows(r.Tokens.Lengths))
	}
}

func stepRows(r *stats.Report) (rows [][]string) {
	for _, s := range r.Steps {
		read := size(s.Read.Bytes)
		if s.Read.Bytes == 0 && s.Kept.Bytes > 0 { // nobody counted it
			read = ""
		}
		rows = append(rows, []string{shorten(s.Step), stats.Grouped(s.Kept.Documents), stats.Grouped(s.Read.Documents), percentOf(s.Kept.Documents, s.Read.Documents),
			size(s.Kept.Bytes), read})
	}
	return rows
}

func dropRows(s stats.Step) (rows [][]string) {
	for _, d := range s.Dropped {
		rows = append(rows, []string{shorten(d.Reason), stats.Grouped(d.Documents), percentOf(d.Documents, s.Read.Documents), size(d.Bytes)})
	}
	return rows
}

func tableRows(t stats.Table, missing string, whole int64, tokens bool) (rows [][]string) {
	add := func(name string, r stats.Row) {
		row := []string{name, stats.Grouped(r.Documents), size(r.Bytes)}
		if whole > 0 {
			row = append(row, percentOf(r.Bytes, whole))
		}
		if tokens {
			row = append(row, stats.Grouped(r.Tokens))
		}
		rows = append(rows, row)
	}
	for _, r := range t.Rows {
		name := shorten(r.Name)
		if name == "" {
			name = "(" + missing + ")"
		}
		add(name, r)
	}
	if t.Rest.Documents > 0 {
		others := "(others)"
		if t.Others > 0 {
			others = fmt.Sprintf("(%s others)", stats.Grouped(int64(t.Others)))
		}
		add(others, t.Rest)
	}
	return rows
}

func lengthRows(bins []stats.Bin) (rows [][]string) {
	var all int64
	for _, b := range bins {
		all += b.Documents
	}
	for _, b := range bins {
		name := fmt.Sprint(b.From)
		if b.To-1 > b.From {
			name += fmt.Sprint(" to ", b.To-1)
		}
		rows = append(rows, []string{name, stats.Grouped(b.Documents), percentOf(b.Documents, all), size(b.Bytes)})
	}
	return rows
}

// shorten cuts a name so that a table stays narrow.
func shorten(name string) string {
	const most = 44
	if r := []rune(name); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return name
}

func percentOf(part, whole int64) string {
	if whole <= 0 {
		return ""
	}
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(whole))
}
