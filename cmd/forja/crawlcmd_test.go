package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/corpus/warc"
)

func TestCrawlArchivesASiteAndGoesOn(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/robots.txt" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, "<html><a href=/1>1</a><a href=/2>2</a><a href=/other/3>3</a> page %s", r.URL.Path)
	}))
	defer s.Close()
	dir := filepath.Join(t.TempDir(), "site")
	crawl := func(args ...string) (code int, pages int, errors string) {
		var out, talk bytes.Buffer
		code = run(t.Context(), append([]string{"crawl", "-o", dir, "--delay", "0", "--json"}, args...), strings.NewReader(""), &out, &talk)
		var p struct{ Pages int }
		if out.Len() > 0 {
			require.NoError(t, json.Unmarshal(out.Bytes(), &p))
		}
		return code, p.Pages, talk.String()
	}
	const contact, network = "--contact=me@example.org", "--allow-network=127.0.0.0/8"
	code, _, said := crawl(contact, network)
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, said, "give URLs")
	code, _, said = crawl(s.URL, network)
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, said, "--contact")
	code, _, _ = crawl("ftp://example.org", contact)
	assert.Equal(t, exitUsage, code)

	code, pages, said := crawl(s.URL, contact, network, "--exclude=/other/", "--max-pages=2", "--workers=1")
	assert.Equal(t, exitDone, code, said)
	assert.Equal(t, 2, pages)
	code, pages, said = crawl(contact, network, "--exclude=/other/")
	assert.Equal(t, exitDone, code, said)
	assert.Equal(t, 3, pages)

	f, err := os.Open(filepath.Join(dir, "warc", "crawl-00000.warc.gz"))
	require.NoError(t, err)
	defer f.Close()
	r, err := warc.NewReader(f)
	require.NoError(t, err)
	responses := 0
	for {
		record, err := r.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		if record.Type() == warc.TypeResponse {
			responses++
		}
	}
	assert.Equal(t, 3, responses)

	var out, talk bytes.Buffer
	assert.Equal(t, exitDone, run(t.Context(), []string{"crawl", "-o", dir, contact, network}, strings.NewReader(""), &out, &talk), talk.String())
	assert.Regexp(t, `(?m)^3 pages, .* in .*warc; 0 requests`, out.String())
	assert.Regexp(t, `(?m)^  stored +3 +pages$`, out.String())
}

func TestCrawlTakesTheLinksOfOtherShares(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "<html>%s", r.URL.Path) }))
	defer s.Close()
	dir := t.TempDir()
	links := filepath.Join(dir, "foreign.jsonl")
	require.NoError(t, os.WriteFile(links, fmt.Appendf(nil, "{\"url\":%q,\"depth\":1}\n", s.URL+"/x"), 0o600))
	pages := 0
	for i := range 2 {
		var out, talk bytes.Buffer
		code := run(t.Context(), []string{"crawl", "-o", filepath.Join(dir, fmt.Sprint(i)), "--delay=0", "--json", "--any-host", "--contact=me@example.org",
			"--allow-network=127.0.0.0/8", "--shard", fmt.Sprintf("%d/2", i), "--links", links}, strings.NewReader(""), &out, &talk)
		require.Equal(t, exitDone, code, talk.String())
		var p struct{ Pages int }
		require.NoError(t, json.Unmarshal(out.Bytes(), &p))
		pages += p.Pages
	}
	assert.Equal(t, 1, pages, "the host belongs to one of the shares")
	var out, talk bytes.Buffer
	for _, wrong := range []string{"--shard=2/2", "--links=" + dir + "/none", "--host-urls=-1"} {
		assert.Equal(t, exitUsage, run(t.Context(), []string{"crawl", "http://example.org", "-o", filepath.Join(dir, "x"), "--contact=me@example.org", wrong},
			strings.NewReader(""), &out, &talk), wrong)
	}
}

func TestCrawlRobotsIsAFilter(t *testing.T) {
	var out, talk bytes.Buffer
	in := `{"robots":"User-agent: *\nDisallow: /x","agent":"ForjaBot","url":"https://example.org/x/y"}` + "\n" +
		`{"robots":"User-agent: *\nDisallow: /x","agent":"ForjaBot","url":"https://example.org/y"}` + "\n"
	require.Equal(t, exitDone, run(t.Context(), []string{"crawl", "robots", "--jsonl"}, strings.NewReader(in), &out, &talk), talk.String())
	assert.Equal(t, "{\"allowed\":false}\n{\"allowed\":true}\n", out.String())
	assert.Equal(t, exitFailed, run(t.Context(), []string{"crawl", "robots", "--jsonl"}, strings.NewReader("{}\n"), &out, &talk))
	assert.Equal(t, exitUsage, run(t.Context(), []string{"crawl", "robots"}, strings.NewReader(in), &out, &talk))
}
