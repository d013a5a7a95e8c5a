package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/corpus/shard"
	"forja/engine/corpus/stats"
)

func statsOf(t *testing.T, stdin string, args ...string) (r stats.Report, out result) {
	out = forjaIn(t, stdin, append([]string{"corpus", "stats", "--json"}, args...)...).done(t)
	require.NoError(t, json.Unmarshal([]byte(out.stdout), &r))
	return r, out
}

func TestStatsOfAChainBeginWithWhatItsStepsDid(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, os.MkdirAll(at("pages"), 0o755))
	line := lineOf(t, map[string]string{"id": "a", "url": "https://a.example/1", "lang": "en", "text": prose("a mill")})
	other := lineOf(t, map[string]string{"id": "b", "url": "https://b.example/1", "text": "x"})
	require.NoError(t, os.WriteFile(at("pages/1.jsonl"), []byte(line+other), 0o644))
	require.NoError(t, os.WriteFile(at("pages/2.jsonl"), []byte(line), 0o644))
	forja(t, "corpus", "filter", "--in", at("pages"), "--out", at("good")).done(t)
	forja(t, "corpus", "dedup", "--in", at("good"), "--out", at("corpus")).done(t)

	page := at("page.html")
	r, out := statsOf(t, "", at("pages"), at("good"), at("corpus"), "--html", page)
	assert.Empty(t, out.err)
	assert.Equal(t, at("corpus"), r.Name)
	assert.Equal(t, []any{int64(1), 2}, []any{r.Documents, r.Files})
	require.Len(t, r.Steps, 2)
	assert.Equal(t, []any{"filter", int64(3), int64(2)}, []any{r.Steps[0].Step, r.Steps[0].Read.Documents, r.Steps[0].Kept.Documents})
	assert.Equal(t, "gopher_quality/gopher_short_doc", r.Steps[0].Dropped[0].Reason)
	assert.Equal(t, []any{"dedup", int64(2), int64(1)}, []any{r.Steps[1].Step, r.Steps[1].Read.Documents, r.Steps[1].Kept.Documents})
	assert.Equal(t, "a.example", r.Hosts.Rows[0].Name)
	b, err := os.ReadFile(page)
	require.NoError(t, err)
	assert.Contains(t, string(b), "gopher_short_doc")

	text := forja(t, "corpus", "stats", at("good"), at("corpus")).done(t).stdout
	assert.Regexp(t, `(?m)^step +kept +of +size +of\nfilter +2 +3 +66\.7 % `, text)
	assert.Regexp(t, `(?m)^left out by dedup +documents +size\nnear duplicate +1 +50\.0 % `, text)
	assert.Regexp(t, `(?m)^host +documents +size\na\.example +1 +\d+ B +100\.0 %`, text)

	require.NoError(t, os.Remove(at("corpus/2.jsonl.gz")))
	require.NoError(t, os.WriteFile(at("corpus/3.jsonl"), []byte(other), 0o644))
	_, out = statsOf(t, "", at("good"), at("corpus"))
	assert.Contains(t, out.err, "there are 2 documents, and dedup kept 1")
}

func TestStatsOfACrawlSayWhatBecameOfItsURLs(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<p>A page.<a href=/b>b</a><a href=/none>none</a><a href=/away>away</a>")
		case "/b":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<p>Another page.")
		case "/away":
			http.Redirect(w, r, "/b", http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	}))
	defer s.Close()
	dir, text := filepath.Join(t.TempDir(), "site"), t.TempDir()
	forja(t, "crawl", s.URL, "-o", dir, "--contact", "me@example.org", "--delay", "0", "--allow-network", "127.0.0.0/8").done(t)
	forja(t, "corpus", "extract", "--in", dir, "--out", text).done(t)
	r, _ := statsOf(t, "", dir, text)
	require.Len(t, r.Steps, 2)
	assert.Equal(t, shard.Count{Documents: 2, Bytes: r.Archive.Pages.Bytes}, r.Steps[0].Kept)
	assert.Equal(t, []shard.Drop{{Reason: "crawl/redirect", Count: shard.Count{Documents: 1}, Samples: []string{}},
		{Reason: "crawl/status", Count: shard.Count{Documents: 1}, Samples: []string{}}}, r.Steps[0].Dropped)
	assert.Empty(t, r.Warnings)
}

func TestStatsCountFilesAndTokens(t *testing.T) {
	lines := lineOf(t, map[string]string{"id": "a", "text": "func main() {}", "lang": "go\x1b[31m"}) + lineOf(t, map[string]string{"id": "b", "text": "ação"})
	file := write(t, "a.jsonl", lines)
	r, _ := statsOf(t, lines, "-", file)
	assert.Equal(t, []any{int64(4), int64(40), int64(36), 2}, []any{r.Documents, r.Bytes, r.Characters, r.Files})
	assert.Equal(t, "go\ufffd[31m", r.Languages.Rows[0].Name, "terminals are not told what to do")
	assert.Nil(t, r.Tokens)
	r, _ = statsOf(t, "", file, "--tokenizer", filepath.Join(trained(t), "model"))
	require.NotNil(t, r.Tokens)
	assert.Positive(t, r.Tokens.Total)
	assert.Equal(t, r.Tokens.Total, r.Languages.Rows[0].Tokens+r.Languages.Rows[1].Tokens)
	assert.Contains(t, forja(t, "corpus", "stats", file, "--tokenizer", filepath.Join(trained(t), "model"), "--every", "2").done(t).stdout, "about (one document of 2 counted) ")
	r, _ = statsOf(t, "", "-")
	assert.Zero(t, r.Documents)
}

func TestStatsSayWhatIsWrong(t *testing.T) {
	empty := t.TempDir()
	bad := write(t, "bad.jsonl", "{\"text\":\"a\"}\n\n{\"id\":1}\n")
	good := write(t, "good.jsonl", "{\"text\":\"\"}\n")
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{exitUsage, "no such file", []string{filepath.Join(empty, "none")}},
		{exitUsage, "has nothing to count", []string{empty}},
		{exitUsage, "want files that end in .jsonl.gz", []string{write(t, "a.txt", "x")}},
		{exitUsage, "stores come first", []string{good, empty}},
		{exitUsage, "at least 1", []string{good, "--every", "0"}},
		{exitUsage, "give --tokenizer", []string{good, "--every", "2"}},
		{exitUsage, "there is no tokenizer", []string{good, "--tokenizer", empty}},
		{exitFailed, "bad.jsonl: line 3: not a document", []string{good, bad}},
	} {
		r := forja(t, append([]string{"corpus", "stats"}, c.args...)...)
		assert.Equal(t, c.code, r.code, c.want)
		assert.Contains(t, r.err, c.want)
	}
	assert.NoDirExists(t, filepath.Join(empty, "none"))
}
