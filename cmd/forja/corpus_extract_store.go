package main

import (
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
				report.Drop("extract/"+e.drop, e.doc.ID, e.bytes)
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
		return inOrder(ctx, warc.Pages(r, maxArchivePage), func(p warc.Page) (extraction, error) {
			d, err := extractPage(ctx, p, in.Name)
			if bad := (unreadable{}); err != nil && err != errNoText && !errors.As(err, &bad) {
				return extraction{}, err
			}
			if err != nil {
				d = corpus.Document{ID: p.ID}
			}
			return extractionOf(d, len(p.Body), err), nil
		})
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

func extractionOf(d corpus.Document, bytes int, err error) extraction {
	switch {
	case errors.Is(err, errNoText):
		return extraction{d, bytes, "no text"}
	case err != nil:
		return extraction{d, bytes, "unreadable"}
	}
	return extraction{d, bytes, ""}
}
