package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"os"
	"regexp"

	"forja/engine/corpus"
	"forja/engine/corpus/extract"
	"forja/engine/corpus/warc"
)

// maxArchivePage bounds a page of an archive, unpacked.
const maxArchivePage = 64 << 20

// errNoText says that a page of an archive is nothing to make text of, which is no mistake.
var errNoText = errors.New("no text")

var archiveName = regexp.MustCompile(`(?i)\.(warc|wet)(\.gz|\.zst)?$`)

func isArchive(name string) bool { return archiveName.MatchString(name) }

// archivePages yields the pages of a WARC file. An error ends it.
func archivePages(ctx context.Context, name string) iter.Seq2[warc.Page, error] {
	return func(yield func(warc.Page, error) bool) {
		f, err := os.Open(name)
		if err != nil {
			yield(warc.Page{}, err)
			return
		}
		defer f.Close()
		for page, err := range warc.Pages(f, maxArchivePage) {
			if err != nil {
				err = fmt.Errorf("%s: %w", name, err)
			}
			if ctx.Err() != nil || !yield(page, err) {
				return
			}
		}
	}
}

// extractPage makes a document of a page. Its ID is the record's, its source the archive.
func extractPage(ctx context.Context, p warc.Page, archive string) (corpus.Document, error) {
	r, err := extractAny(ctx, extract.Source{URL: p.URL, ContentType: p.ContentType}, p.Body)
	if errors.Is(err, extract.ErrFormat) || errors.Is(err, errNoText) || err == nil && r.Text == "" {
		return corpus.Document{}, errNoText
	}
	if err != nil {
		return corpus.Document{}, fmt.Errorf("%s in %s: %w", p.URL, archive, err)
	}
	sum := sha256.Sum256(p.Body)
	return corpus.Document{ID: p.ID, URL: p.URL, Text: r.Text, Title: r.Title, Lang: languageOf(r), Type: r.Type, Date: r.Date, License: r.License,
		Source: archive, SHA256: hex.EncodeToString(sum[:])}, nil
}
