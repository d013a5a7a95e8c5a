package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"iter"
	"path"
	"slices"
	"strings"

	"forja/engine/corpus"
	"forja/engine/corpus/documents"
	"forja/engine/corpus/shard"
	"forja/engine/corpus/store"
	"forja/engine/corpus/warc"
)

// textEndings are of the files of which extract makes documents, packed with gzip or not.
var textEndings = []string{".html", ".htm", ".xhtml", ".epub", ".pdf", ".mbox", ".mbx", ".md", ".markdown", ".mkd", ".txt", ".text", ".rst", ".adoc"}

// extractStem says which files of a store extract reads: site.warc.gz becomes site, and page.html stays page.html, since it
// may lie beside a page.txt.
func extractStem(name string) (string, bool) {
	if i := archiveName.FindStringIndex(name); i != nil {
		return name[:i[0]], i[0] > 0
	}
	return name, slices.Contains(textEndings, path.Ext(strings.TrimSuffix(strings.ToLower(name), ".gz")))
}

// An extraction is what became of a page.
type extraction struct {
	doc   corpus.Document
	bytes int    // of the page
	drop  string // why there is no document
}

// extractStore makes documents of the files of a store: what the verb and the stage do.
func (a *app) extractStore(ctx context.Context, at *workplace) (shard.Report, error) {
	do := func(ctx context.Context, in store.File, r io.Reader, w io.Writer, report *shard.Report) error {
		out, err := documents.Create(w, at.ending)
		if err != nil {
			return err
		}
		for e, err := range extractions(ctx, in, r) {
			if err != nil {
				return err
			}
			at.documents.Add(1)
			report.Read.Add(e.bytes)
			if e.drop != "" {
				report.Drop("extract/"+e.drop, cmp.Or(e.doc.URL, e.doc.ID), e.bytes)
				continue
			}
			report.Keep(&e.doc)
			if err := out.Write(e.doc); err != nil {
				return err
			}
		}
		return out.Close()
	}
	return a.share(ctx, at, &shard.Map{Step: "extract", Settings: []any{extractVersion, languagesVersion, at.ending}, Stem: extractStem, Do: do})
}

// extractions yields what becomes of the pages of an archive, in order, or of the one that any other file is.
func extractions(ctx context.Context, in store.File, r io.Reader) iter.Seq2[extraction, error] {
	if isArchive(in.Name) {
		done := inOrder(ctx, storedPages(r), func(p warc.Page) (extraction, error) {
			d, err := extractPage(ctx, p, in.Name)
			if bad := (unreadable{}); err != nil && err != errNoText && !errors.As(err, &bad) {
				return extraction{}, err
			}
			if err != nil {
				d = corpus.Document{ID: p.ID, URL: p.URL}
			}
			return extractionOf(d, len(p.Body), err), nil
		})
		return func(yield func(extraction, error) bool) {
			for e, err := range done {
				if bad := (damaged{}); errors.As(err, &bad) { // what is before it is good
					e, err = extraction{corpus.Document{ID: in.Name}, 0, "damaged archive"}, nil
				}
				if !yield(e, err) {
					return
				}
			}
		}
	}
	return func(yield func(extraction, error) bool) {
		d, err := extractDocument(ctx, in.Name, "", r)
		if bad := (unreadable{}); err != nil && !errors.As(err, &bad) {
			yield(extraction{}, err)
			return
		}
		d.ID = in.Name
		if err == nil && d.Text == "" {
			err = errNoText
		}
		yield(extractionOf(d, int(in.Size), err), nil)
	}
}

// damaged is the error of an archive that is not what it should be, though all of it could be read.
type damaged struct{ error }

// storedPages yields the pages of an archive.
func storedPages(r io.Reader) iter.Seq2[warc.Page, error] {
	source := &listening{Reader: r}
	return func(yield func(warc.Page, error) bool) {
		for p, err := range warc.Pages(source, maxArchivePage) {
			if err != nil && source.err == nil {
				err = damaged{err}
			}
			if !yield(p, err) {
				return
			}
		}
	}
}

// A listening reader remembers the error of another.
type listening struct {
	io.Reader
	err error
}

func (l *listening) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if err != nil && err != io.EOF {
		l.err = err
	}
	return n, err
}

func extractionOf(d corpus.Document, bytes int, err error) extraction {
	switch {
	case errors.Is(err, errNoText):
		return extraction{d, bytes, "no text"}
	case err != nil:
		return extraction{d, bytes, "unreadable"}
	}
	return extraction{d, bytes, ""}
}
