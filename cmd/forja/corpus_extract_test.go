package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/corpus"
)

func TestFilesBecomeDocumentsInTheirOrder(t *testing.T) {
	dir := t.TempDir()
	page := `<html lang=en-GB><title>Mills</title><nav><a href=/>Home</a></nav><p>` + strings.ReplaceAll(prose("a mill"), "\n", " ") + `</p>`
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write([]byte(page))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	for name, b := range map[string][]byte{"b.html": []byte(page), "a.html.gz": packed.Bytes(), "c.md": []byte("# Notes\n\nText."), "d.bin": {0, 1, 2}} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o644))
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	r := forjaIn(t, "", "corpus", "extract", "--jsonl", in("b.html"), in("a.html.gz"), in("c.md")).done(t)
	var docs []corpus.Document
	for d, err := range corpus.Read(strings.NewReader(r.stdout)) {
		require.NoError(t, err)
		docs = append(docs, d)
	}
	require.Len(t, docs, 3)
	assert.Equal(t, []string{"b.html", "a.html.gz", "c.md"}, []string{docs[0].ID, docs[1].ID, docs[2].ID})
	assert.Equal(t, []string{"Mills", "en", "article"}, []string{docs[0].Title, docs[0].Lang, docs[0].Type})
	assert.Equal(t, docs[0].Text, docs[1].Text)
	assert.NotContains(t, docs[0].Text, "Home")
	assert.Equal(t, "# Notes\n\nText.", docs[2].Text)

	r = forjaIn(t, page, "corpus", "extract", "-").done(t)
	assert.Equal(t, docs[0].Text+"\n", r.stdout)

	r = forjaIn(t, "", "corpus", "extract", "--jsonl", in("none.html"), in("d.bin"), in("c.md"))
	assert.NotZero(t, r.code)
	assert.Contains(t, r.stdout, `"id":"c.md"`)
	assert.Contains(t, r.err, "none.html")
	assert.Contains(t, r.err, "2 of 3 files or pages could not be read")
}

func TestAPageThatDeclaresNoLanguageIsInThatOfItsText(t *testing.T) {
	const text = "<p>A forja está quente, o ferro está na bigorna e o ferreiro já levantou o martelo para bater mais uma vez antes que o metal esfrie.</p>"
	for html, want := range map[string]string{
		"<html><body>" + text + "</body></html>":                "pt",
		`<html lang="en-GB"><body>` + text + "</body></html>":   "en",
		"<html><body><p>1 2 3 4 5 6 7 8 9 10</p></body></html>": "",
	} {
		r := forja(t, "corpus", "extract", "--jsonl", write(t, "page.html", html)).done(t)
		var d struct{ Lang string }
		require.NoError(t, json.Unmarshal([]byte(r.stdout), &d))
		assert.Equal(t, want, d.Lang, html)
	}
}
