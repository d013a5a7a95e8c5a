package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/corpus"
	"forja/engine/corpus/shard"
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

func TestADamagedArchiveKeepsWhatIsBeforeTheDamage(t *testing.T) {
	record := func(n int) string {
		text := fmt.Sprintf("Plain text about wheels, part %d.", n)
		return fmt.Sprintf("WARC/1.1\r\nWARC-Type: conversion\r\nWARC-Record-ID: <urn:n:%d>\r\nWARC-Date: 2026-01-01T00:00:00Z\r\nWARC-Target-URI: http://site/%d\r\n"+
			"Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n", n, n, len(text), text)
	}
	in, out := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(in, "cut.wet"), []byte(record(1)+strings.TrimSuffix(record(2), "part 2.\r\n\r\n")), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(in, "whole.wet"), []byte(record(3)+record(4)), 0o644))
	var r shard.Report
	require.NoError(t, json.Unmarshal([]byte(forja(t, "corpus", "extract", "--in", in, "--out", out, "--json").done(t).stdout), &r))
	assert.EqualValues(t, 4, r.Kept.Documents) // half of the second one, too
	require.Len(t, r.Dropped, 1)
	assert.Equal(t, "extract/damaged archive", r.Dropped[0].Reason)
	assert.Equal(t, []string{"cut.wet"}, r.Dropped[0].Samples)
}
