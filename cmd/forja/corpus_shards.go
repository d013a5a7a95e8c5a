package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"forja/engine/corpus/documents"
	"forja/engine/corpus/ordered"
	"forja/engine/corpus/shard"
	"forja/engine/corpus/store"
)

// Versions of what a document is made by. They are part of a step's settings, so that files of different making do not get
// mixed: raise one when the same input comes to another document.
const (
	extractVersion   = 1
	languagesVersion = 1
)

// A shareFlags is how a step of the chain is told to work on the files of stores: --in, --out, --shard, --format. Without
// --in a verb is a filter of one stream. A verb uses it so:
//
//	var f shareFlags
//	f.add(c)
//	…
//	if f.given() {
//		at, err := f.open(ctx)          // checks the flags, opens both stores
//		defer at.Close()
//		r, err := a.share(ctx, at, &shard.Map{Step: "filter", Settings: …, Stem: documents.Stem, Do: …})
//		return a.printReport(r)
//	}
//
// and the stage of a recipe makes a workplace itself: workplace{in: …, out: store.In(dir), share: shard.All, ending: …}.
type shareFlags struct{ in, out, shard, format string }

func (f *shareFlags) add(c *cobra.Command) {
	fs := c.Flags()
	fs.StringVar(&f.in, "in", "", "folder or s3://bucket/prefix with the files to read, instead of FILE")
	fs.StringVar(&f.out, "out", "", "folder or s3://bucket/prefix for what is made of them")
	fs.StringVar(&f.shard, "shard", "0/1", "I/N: only this share of the files, from 0/N to N-1/N")
	fs.StringVar(&f.format, "format", strings.TrimPrefix(documents.Default, "."), "of the files that are made: "+documentFormats())
}

// documentFormats are how the files of a store hold documents: their endings without the dot.
func documentFormats() string {
	return strings.ReplaceAll(strings.Join(documents.Endings(), ", "), " .", " ")[1:]
}

// given says that a verb is to work on stores.
func (f *shareFlags) given() bool { return f.in != "" || f.out != "" }

// open checks the flags and opens the stores.
func (f *shareFlags) open(ctx context.Context) (*workplace, error) {
	if f.in == "" || f.out == "" {
		return nil, usagef("--in and --out belong together: where to read, and where to write")
	}
	if err := apart(f.in, f.out); err != nil {
		return nil, err
	}
	if !slices.Contains(documents.Endings(), "."+f.format) {
		return nil, usagef("--format %q: want one of %s", f.format, documentFormats())
	}
	share, err := shard.Parse(f.shard)
	if err != nil {
		return nil, usagef("--shard: %w", err)
	}
	return openWorkplace(ctx, f.in, f.out, share, f.format)
}

// A workplace is where a step of the chain reads and writes, and which share of the files is its own.
type workplace struct {
	in, out   store.Store
	share     shard.Share
	ending    string       // of the files that are made, such as ".jsonl.gz"
	documents atomic.Int64 // that were read, for the line that shows how far a step is
}

func openWorkplace(ctx context.Context, in, out string, share shard.Share, format string) (*workplace, error) {
	if !strings.Contains(in, "://") && !exists(in) { // opening would make it
		return nil, usagef("there is no folder %s to read", in)
	}
	for _, place := range []string{in, out} {
		if !strings.Contains(place, "://") && exists(place) && !isFolder(place) {
			return nil, usagef("%s is a file: --in and --out are folders, or places in a bucket", place)
		}
	}
	from, err := store.Open(ctx, in)
	if err != nil {
		return nil, err
	}
	to, err := store.Open(ctx, out)
	if err != nil {
		return nil, errors.Join(err, from.Close())
	}
	return &workplace{in: from, out: to, share: share, ending: "." + format}, nil
}

func (w *workplace) Close() error { return errors.Join(w.in.Close(), w.out.Close()) }

// sayEvery is how often a share without a terminal says how far it is.
const sayEvery = time.Minute

// share does a share of a map, whose stores, share and ending are the workplace's, and shows how far it is.
func (a *app) share(ctx context.Context, at *workplace, m *shard.Map) (shard.Report, error) {
	m.In, m.Out, m.Share, m.Ending = at.in, at.out, at.share, at.ending
	start, said := time.Now(), time.Now()
	var bytes, made, left atomic.Int64
	line := func() string {
		passed := time.Since(start)
		s := fmt.Sprintf("%s: %d files, %s documents, %s/s", m.Step, made.Load(), count(at.documents.Load()), size(int64(float64(bytes.Load())/max(passed.Seconds(), 1e-3))))
		if done, more := made.Load(), left.Load(); done > 0 && more > 0 {
			s += fmt.Sprintf("; %d files left, about %s", more, span(passed/time.Duration(done)*time.Duration(more)))
		}
		return s
	}
	do := m.Do
	m.Do = func(ctx context.Context, in store.File, r io.Reader, w io.Writer, report *shard.Report) error {
		if !strings.HasSuffix(in.Name, ".parquet") { // which is not read from its beginning to its end
			r = watched{r, func(n int) { bytes.Add(int64(n)); a.talk.progress("%s", line()) }}
		}
		err := do(ctx, in, r, w, report)
		made.Add(1)
		return err
	}
	m.Progress = func(done, of int, _ shard.Report) {
		left.Store(int64(of - done))
		a.talk.progress("%s", line())
		if !a.talk.tty && done < of && time.Since(said) >= sayEvery {
			said = time.Now()
			a.talk.printf("%s", line())
		}
	}
	r, err := m.Run(ctx)
	a.talk.clear()
	if err != nil && ctx.Err() != nil {
		err = goesOn{err}
	}
	return r, err
}

// A watched reader tells how much it gave.
type watched struct {
	r    io.Reader
	tell func(n int)
}

func (w watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	w.tell(n)
	return n, err
}

// inOrder does work on what a sequence yields, one by one, on all processors, and yields the results in the sequence's order.
func inOrder[In, Out any](ctx context.Context, in iter.Seq2[In, error], do func(In) (Out, error)) iter.Seq2[Out, error] {
	return ordered.Map(ctx, 0, in, nil, func() func(In) (Out, error) { return do })
}

// printReport prints what a step did.
func (a *app) printReport(r shard.Report) error {
	return a.print(r, func(w io.Writer) { writeReport(w, r) })
}

func writeReport(w io.Writer, r shard.Report) {
	fmt.Fprintf(w, "%s: %d of %d documents kept, %s of %s of text", r.Step, r.Kept.Documents, r.Read.Documents, size(r.Kept.Bytes), size(r.Read.Bytes))
	if r.Files > 0 {
		fmt.Fprintf(w, "; %d files of %s in %s", r.Files, size(r.Size), span(time.Duration(r.Seconds*float64(time.Second))))
	}
	fmt.Fprintln(w)
	drops := slices.Clone(r.Dropped)
	slices.SortStableFunc(drops, func(x, y shard.Drop) int { return cmp.Compare(y.Documents, x.Documents) })
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, d := range drops {
		samples := strings.Join(d.Samples, " ")
		if len(samples) > 64 { // long names: one is enough here
			samples = d.Samples[0]
		}
		fmt.Fprintf(out, "%d\t%s\t%s\n", d.Documents, d.Reason, samples)
	}
	out.Flush()
	for _, name := range slices.Sorted(maps.Keys(r.Notes)) {
		fmt.Fprintf(w, "%d %s\n", r.Notes[name], name)
	}
}
