package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/corpus/shard"
)

// documentStore makes a store of files of documents, of which one in seven is too short to keep.
func documentStore(t *testing.T, files, documents int) string {
	dir := t.TempDir()
	for f := range files {
		var b strings.Builder
		for d := range documents {
			text := prose(fmt.Sprintf("mill %d of county %d, write to miller@example%d.org,", d, f, d))
			if d%7 == 0 {
				text = "Too short."
			}
			b.WriteString(lineOf(t, map[string]string{"id": fmt.Sprintf("%d-%d", f, d), "text": text}))
		}
		name := filepath.Join(dir, fmt.Sprintf("county%d", f%2), fmt.Sprintf("mills-%02d.jsonl", f))
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(b.String()), 0o644))
	}
	return dir
}

// storeFiles are the files of a store by name; of markers, what does not depend on the time it took.
func storeFiles(t *testing.T, dir string) map[string]string {
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasSuffix(path, ".tmp") {
			return err
		}
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		rel, err := filepath.Rel(dir, path)
		require.NoError(t, err)
		if strings.HasPrefix(rel, "_done") {
			var r shard.Report
			require.NoError(t, json.Unmarshal(b, &r))
			r.Seconds = 0
			b, err = json.Marshal(r)
			require.NoError(t, err)
		}
		files[filepath.ToSlash(rel)] = string(b)
		return nil
	}))
	return files
}

func TestSharesInSeveralProcessesGiveTheFilesOfOne(t *testing.T) {
	in, alone, together := documentStore(t, 5, 20), t.TempDir(), t.TempDir()
	var sum shard.Report
	require.NoError(t, json.Unmarshal([]byte(forja(t, "corpus", "filter", "--in", in, "--out", alone, "--json").done(t).stdout), &sum))
	assert.Equal(t, 5, sum.Files)
	assert.EqualValues(t, 100, sum.Read.Documents)
	assert.EqualValues(t, 85, sum.Kept.Documents)
	assert.EqualValues(t, 85, sum.Notes["e-mail addresses replaced"])
	require.Len(t, sum.Dropped, 1)
	assert.Equal(t, "gopher_repetition/top_2_gram", sum.Dropped[0].Reason)

	a := start(t, "corpus", "filter", "--in", in, "--out", together, "--shard", "0/2")
	b := start(t, "corpus", "filter", "--in", in, "--out", together, "--shard", "1/2")
	require.NoError(t, a.Wait(), a.stderr.String())
	require.NoError(t, b.Wait(), b.stderr.String())
	want := storeFiles(t, alone)
	assert.Contains(t, want, "county0/mills-00.jsonl.gz")
	assert.Contains(t, want, "_done/county1/mills-01.json")
	assert.Equal(t, want, storeFiles(t, together))

	r := forja(t, "corpus", "filter", "--in", in, "--out", together, "--filter.gopher_quality.min_words", "2")
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.err, "made with other settings")
	r = forja(t, "corpus", "filter", "--in", alone, "--out", t.TempDir(), "--format", "parquet").done(t)
	assert.Contains(t, r.stdout, "85 of 85 documents kept")
}

func TestDocumentsWithoutAnIDAreNamedByTheirPlace(t *testing.T) {
	in, out := t.TempDir(), t.TempDir()
	lines := lineOf(t, map[string]string{"text": "Too short."}) + lineOf(t, map[string]string{"text": prose("a mill")})
	require.NoError(t, os.WriteFile(filepath.Join(in, "mills.jsonl"), []byte(lines), 0o644))
	r := forja(t, "corpus", "filter", "--in", in, "--out", out, "--format", "jsonl").done(t)
	assert.Regexp(t, `(?m)^1  gopher_repetition/top_2_gram  mills.jsonl:1$`, r.stdout)
	assert.Contains(t, storeFiles(t, out)["mills.jsonl"], `{"id":"mills.jsonl:2","text":`)
}

func TestAStoreOfPagesAndArchivesBecomesDocuments(t *testing.T) {
	in, out := t.TempDir(), t.TempDir()
	page := func(topic string) string {
		return "<html lang=en><title>" + topic + "</title><p>" + strings.ReplaceAll(prose(topic), "\n", " ") + "</p>"
	}
	var archive strings.Builder
	for i, body := range []string{page("a mill"), "", "\x00\x01 bytes", page("a forge")} {
		head := "HTTP/1.1 200 OK\r\nContent-Type: " + map[bool]string{true: "text/html", false: "application/octet-stream"}[i != 2] + "\r\n\r\n"
		fmt.Fprintf(&archive, "WARC/1.1\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-00000000000%d>\r\n"+
			"WARC-Date: 2026-01-01T00:00:00Z\r\nWARC-Target-URI: https://example.org/%d\r\nContent-Type: application/http;msgtype=response\r\n"+
			"Content-Length: %d\r\n\r\n%s%s\r\n\r\n", i, i, len(head)+len(body), head, body)
	}
	require.NoError(t, os.Mkdir(filepath.Join(in, "sub"), 0o755))
	for name, b := range map[string]string{"sub/site.warc": archive.String(), "page.html": page("a house"), "page.txt": "Some text.", "empty.md": "", "bad.epub": "PK\x03\x04", "log.bin": "x"} {
		require.NoError(t, os.WriteFile(filepath.Join(in, name), []byte(b), 0o644))
	}
	var r shard.Report
	require.NoError(t, json.Unmarshal([]byte(forja(t, "corpus", "extract", "--in", in, "--out", out, "--format", "jsonl", "--json").done(t).stdout), &r))
	assert.EqualValues(t, 8, r.Read.Documents)
	assert.EqualValues(t, 4, r.Kept.Documents)
	assert.Equal(t, []shard.Drop{
		{Reason: "extract/no text", Count: shard.Count{Documents: 3, Bytes: 8}, Samples: []string{"empty.md", "https://example.org/1", "https://example.org/2"}},
		{Reason: "extract/unreadable", Count: shard.Count{Documents: 1, Bytes: 4}, Samples: []string{"bad.epub"}},
	}, r.Dropped)
	files := storeFiles(t, out)
	assert.Contains(t, files, "page.html.jsonl")
	assert.Contains(t, files["page.txt.jsonl"], `"id":"page.txt","text":"Some text."`)
	assert.Equal(t, 2, strings.Count(files["sub/site.jsonl"], "\n"))
	assert.Contains(t, files["sub/site.jsonl"], `"source":"sub/site.warc"`)
	assert.NotContains(t, files, "_done/log.bin.json")
	again := t.TempDir()
	forja(t, "corpus", "extract", "--in", in, "--out", again, "--format", "jsonl").done(t)
	assert.Equal(t, files, storeFiles(t, again))
}

func TestAKilledShareGoesOn(t *testing.T) {
	in, want, out := documentStore(t, 12, 300), t.TempDir(), t.TempDir()
	forja(t, "corpus", "filter", "--in", in, "--out", want).done(t)
	markers := func() int {
		found, err := filepath.Glob(filepath.Join(out, "_done", "*", "*.json"))
		require.NoError(t, err)
		return len(found)
	}
	p := start(t, "corpus", "filter", "--in", in, "--out", out)
	for deadline := time.Now().Add(20 * time.Second); markers() == 0; time.Sleep(time.Millisecond) {
		require.True(t, time.Now().Before(deadline), "%s", p.stderr.String())
	}
	require.NoError(t, p.Process.Kill())
	_ = p.Wait()
	require.Less(t, markers(), 12, "it was killed too late")
	forja(t, "corpus", "filter", "--in", in, "--out", out).done(t)
	assert.Equal(t, storeFiles(t, want), storeFiles(t, out))
}
