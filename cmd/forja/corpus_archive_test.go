package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/corpus"
)

func TestWhatWasCrawledBecomesDocuments(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			fmt.Fprintf(w, "<html lang=en><title>Mills</title><nav><a href=/b>b</a><a href=/c>c</a></nav><p>%s</p>", prose("a mill"))
		case "/b":
			w.Header().Set("Content-Type", "application/pdf")
			fmt.Fprint(w, pdfFile(pdfPage("A page about axles.")...))
		case "/c":
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			fmt.Fprint(w, "Plain text about wheels.")
		default:
			http.NotFound(w, r)
		}
	}))
	defer s.Close()
	dir := filepath.Join(t.TempDir(), "site")
	forjaIn(t, "", "crawl", s.URL, "-o", dir, "--contact", "me@example.org", "--delay", "0", "--workers", "1", "--allow-network", "127.0.0.0/8").done(t)
	r := forjaIn(t, "", "corpus", "extract", "--jsonl", filepath.Join(dir, "warc", "crawl-00000.warc.gz")).done(t)
	var docs []corpus.Document
	for d, err := range corpus.Read(strings.NewReader(r.stdout)) {
		require.NoError(t, err)
		docs = append(docs, d)
	}
	require.Len(t, docs, 3)
	assert.Equal(t, []string{s.URL + "/", "Mills", "en", "crawl-00000.warc.gz"}, []string{docs[0].URL, docs[0].Title, docs[0].Lang, docs[0].Source})
	assert.Contains(t, docs[0].ID, "urn:uuid:")
	assert.Equal(t, "A page about axles.", docs[1].Text)
	assert.Equal(t, "Plain text about wheels.", docs[2].Text)

	r = forjaIn(t, "", "corpus", "extract", "--jsonl", filepath.Join(dir, "none.warc"))
	assert.NotZero(t, r.code)
}
