package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"forja/engine/corpus"
	"forja/engine/corpus/extract"
	"forja/engine/corpus/lang"
)

const (
	sureLanguage   = 0.65 // the score from which on a language is believed: FineWeb's
	enoughLanguage = 200  // bytes of text from which on it is believed more than what a page declares
)

// languageOf is the language that a text is in, if that is clear, or else the one that the document declares: templates
// declare English for pages in any language, and what was not translated is declared as if it were.
func languageOf(r extract.Result) string {
	declared, _, _ := strings.Cut(r.Lang, "-")
	if declared != "" && (len(r.Text) < enoughLanguage || !lang.Default().Knows(declared)) {
		return declared
	}
	if g := lang.Default().Detect(r.Text); g.Score >= sureLanguage {
		return g.Lang
	}
	return declared
}

func (a *app) corpusExtractCmd() *cobra.Command {
	var lines bool
	var url string
	var at shareFlags
	c := &cobra.Command{Use: "extract FILE...", Short: "the text of web pages and other documents",
		Long: "extract finds the text of HTML pages (articles, documentation, forums, products, lists: the kind is found out), PDF, EPUB, mbox,\n" +
			"Markdown and plain text, as they are or packed with gzip, and of the pages in WARC files. - is standard input.\n" +
			"With --in and --out it makes a file of documents of every file of a store: there, the same command goes on after a stop,\n" +
			"and processes with different --shard, on one machine or many, share the work.",
		Example: "  forja corpus extract page.html\n  forja corpus extract --jsonl pages/*.html > documents.jsonl\n  forja corpus extract --jsonl site/warc/*.warc.gz > documents.jsonl\n" +
			"  forja corpus extract --in site/warc --out s3://corpus/text --shard 3/16",
		Args: filesOrStore(&at)}
	c.Flags().BoolVar(&lines, "jsonl", false, `one {"id","text","title","lang","type",...} per file, in order; id is the file's name`)
	c.Flags().StringVar(&url, "url", "", "where the only file came from")
	at.add(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if at.given() {
			if lines || url != "" {
				return usagef("with --in and --out there is nothing to print, and URLs are those of the pages")
			}
			w, err := at.open(c.Context())
			if err != nil {
				return err
			}
			defer w.Close()
			r, err := a.extractStore(c.Context(), w)
			if err != nil {
				return err
			}
			return a.printReport(r)
		}
		if url != "" && len(args) != 1 {
			return usagef("--url is of one file, and %d are given", len(args))
		}
		return a.extract(c.Context(), args, url, lines || a.json)
	}
	return c
}

// extract prints documents in the order of the files. A file that cannot be read is told on standard error; the rest go on.
func (a *app) extract(ctx context.Context, files []string, url string, lines bool) error {
	type done struct {
		doc corpus.Document
		err error
	}
	queue := make(chan chan done, runtime.GOMAXPROCS(0)) // in order; as many are worked on as it holds
	go func() {
		defer close(queue)
		for _, name := range files {
			if ctx.Err() != nil {
				return
			}
			start := func(document func() (corpus.Document, error)) {
				one := make(chan done, 1)
				queue <- one
				go func() {
					d, err := document()
					one <- done{d, err}
				}()
			}
			if !isArchive(name) {
				start(func() (corpus.Document, error) { return a.extractFile(ctx, name, url) })
				continue
			}
			for page, err := range archivePages(ctx, name) {
				start(func() (corpus.Document, error) {
					if err != nil {
						return corpus.Document{}, err
					}
					return extractPage(ctx, page, filepath.Base(name))
				})
			}
		}
	}()
	out := bufio.NewWriterSize(a.stdout, 1<<16)
	failed, written := 0, 0
	var broken error
	start, show := time.Now(), a.mayShow(true)
	for one := range queue {
		d := <-one
		if show {
			a.talk.progress("%d documents, %.0f/s", written, float64(written)/max(time.Since(start).Seconds(), 1e-3))
		}
		switch {
		case broken != nil: // let the others end
		case d.err == errNoText: // in an archive that is no mistake
			continue
		case d.err != nil:
			failed++
			a.talk.printf("! %v", d.err)
		case lines:
			broken = corpus.Write(out, d.doc)
		default:
			if written > 0 {
				fmt.Fprintln(out)
			}
			_, broken = fmt.Fprintln(out, d.doc.Text)
		}
		written++
	}
	a.talk.clear()
	if broken == nil {
		broken = out.Flush()
	}
	if err := errors.Join(broken, context.Cause(ctx)); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d files or pages could not be read", failed, written)
	}
	return nil
}

func (a *app) extractFile(ctx context.Context, name, url string) (corpus.Document, error) {
	in, err := a.input([]string{name}, 0)
	if err != nil {
		return corpus.Document{}, err
	}
	defer in.Close()
	d, err := extractDocument(ctx, filepath.Base(name), url, in)
	if err != nil {
		return d, ofFile([]string{name}, err)
	}
	return d, nil
}

// An unreadable document was read, but nothing can be made of it.
type unreadable struct{ error }

func (u unreadable) Unwrap() error { return u.error }

// extractDocument makes a document of a file, packed or not, whose name is its ID.
func extractDocument(ctx context.Context, name, url string, in io.Reader) (corpus.Document, error) {
	plain, in, err := unpack(name, in)
	if err != nil {
		return corpus.Document{}, err
	}
	b, err := io.ReadAll(io.LimitReader(in, extract.MaxInput+1))
	if err != nil {
		return corpus.Document{}, err
	}
	r, err := extractAny(ctx, extract.Source{Name: plain, URL: url}, b)
	if err != nil {
		return corpus.Document{}, err
	}
	sum := sha256.Sum256(b)
	return corpus.Document{ID: name, URL: url, Text: r.Text, Title: r.Title, Lang: languageOf(r), Type: r.Type, Date: r.Date,
		License: r.License, SHA256: hex.EncodeToString(sum[:])}, nil
}
