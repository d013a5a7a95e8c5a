package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func packed(t *testing.T, name, text string) string {
	t.Helper()
	var b bytes.Buffer
	var z io.WriteCloser
	if strings.HasSuffix(name, ".zst") {
		var err error
		z, err = zstd.NewWriter(&b)
		require.NoError(t, err)
	} else {
		z = gzip.NewWriter(&b)
	}
	_, err := z.Write([]byte(text))
	require.NoError(t, errors.Join(err, z.Close()))
	return write(t, name, b.String())
}

func TestStepsReadPackedLinesOfJSON(t *testing.T) {
	const lines = "{\"id\":1,\"text\":\"the forge is hot\"}\n{\"id\":2,\"text\":\"the forge is hot\"}\n"
	for _, name := range []string{"a.jsonl.gz", "a.jsonl.zst"} {
		r := forja(t, "corpus", "dedup", "--jsonl", "--dedup.exact", "document", packed(t, name, lines))
		assert.Equal(t, exitDone, r.code, r.err)
		assert.Equal(t, "{\"id\":1,\"text\":\"the forge is hot\"}\n", r.stdout)
		r = forja(t, "corpus", "lang", "--jsonl", packed(t, name, lines))
		assert.Equal(t, exitDone, r.code, r.err)
		assert.Equal(t, 2, strings.Count(r.stdout, "\n"))
	}
	whole, err := os.ReadFile(packed(t, "a.jsonl.gz", lines))
	require.NoError(t, err)
	cut := write(t, "cut.jsonl.gz", string(whole[:len(whole)-12]))
	for _, verb := range []string{"filter", "dedup"} {
		r := forja(t, "corpus", verb, cut)
		assert.Equal(t, exitFailed, r.code)
		assert.Contains(t, r.err, "cut.jsonl.gz: ")
		assert.Contains(t, r.err, "the file is not whole")
	}
}

func TestMistakesWithFilesAndFoldersOfACorpusAreNamedAndNothingIsMade(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	require.NoError(t, os.Mkdir(in, 0o755))
	require.NoError(t, os.Symlink(in, filepath.Join(dir, "same")))
	docs := write(t, "docs.jsonl", "{\"id\":3,\"text\":5}\n")
	for name, c := range map[string]struct {
		says string
		args []string
	}{
		"folder for a file":      {in + " is a folder: name a file in it, or give --in " + in, []string{"filter", in}},
		"folder to dedup":        {"or give --in", []string{"dedup", in}},
		"folder to explain":      {in + " is a folder", []string{"explain", in}},
		"file and store":         {"leave out page.html", []string{"extract", "page.html", "--in", in, "--out", out}},
		"folder to extract":      {in + " is a folder: name its files, or give --in", []string{"extract", in}},
		"nothing to read":        {"needs a FILE", []string{"chat"}},
		"documents to extract":   {"is a file of documents already", []string{"extract", docs}},
		"documents as a text":    {"--jsonl tells the language of each", []string{"lang", docs}},
		"archive to explain":     {"forja corpus extract --jsonl", []string{"explain", "site.warc.gz"}},
		"same folder":            {"choose another place", []string{"filter", "--in", in, "--out", in + "/."}},
		"same folder, by a link": {"choose another place", []string{"filter", "--in", in, "--out", filepath.Join(dir, "same")}},
		"output in the input":    {"is inside --in", []string{"filter", "--in", in, "--out", filepath.Join(in, "good")}},
		"same bucket":            {"choose another place", []string{"filter", "--in", "s3://corpus/text/", "--out", "s3://corpus/text"}},
		"file for a folder":      {docs + " is a file", []string{"filter", "--in", docs, "--out", out}},
		"output is a file":       {docs + " is a file", []string{"filter", "--in", in, "--out", docs}},
		"language by its name":   {`"english" is no code of a language`, []string{"filter", docs, "--filter.languages", "english"}},
		"language of a country":  {`"pt-BR" is no code of a language`, []string{"filter", docs, "--filter.languages", "pt-BR"}},
		"temporary folder":       {"--temp nowhere: there is no such folder", []string{"dedup", docs, "--temp", "nowhere"}},
		"parquet as a stream":    {"--in", []string{"filter", write(t, "a.parquet", "PAR1")}},
	} {
		t.Run(name, func(t *testing.T) {
			r := forja(t, append([]string{"corpus"}, c.args...)...)
			assert.Equal(t, exitUsage, r.code, r.err)
			assert.Contains(t, r.err, c.says)
			assert.Empty(t, r.stdout)
			assert.NoDirExists(t, out)
			assert.NoDirExists(t, "nowhere")
		})
	}
	for _, verb := range []string{"filter", "dedup", "explain"} {
		r := forja(t, "corpus", verb, docs)
		assert.Equal(t, exitFailed, r.code)
		assert.Equal(t, "error: "+docs+": line 1: not a document: \"text\" is of type number: want a text\n", r.err)
	}
}

func TestPagesAreUnpackedWhateverTheirName(t *testing.T) {
	page, err := os.ReadFile(packed(t, "page.html.gz", "<html><body><p>The forge is hot, and the iron is on the anvil.</p></body></html>"))
	require.NoError(t, err)
	for _, name := range []string{"page.html.gz", "page.html"} {
		r := forja(t, "corpus", "extract", write(t, name, string(page)))
		assert.Equal(t, exitDone, r.code, r.err)
		assert.Equal(t, "The forge is hot, and the iron is on the anvil.\n", r.stdout)
	}
	r := forja(t, "corpus", "extract", write(t, "page.html.gz", "<html><body><p>The forge is hot, and the iron is on the anvil.</p></body></html>"))
	assert.Equal(t, "The forge is hot, and the iron is on the anvil.\n", r.stdout, "as programs leave it that unpack on the way")
	cut := write(t, "cut.html.gz", string(page[:len(page)-9]))
	for _, verb := range []string{"extract", "chat"} {
		r := forja(t, "corpus", verb, cut)
		assert.Equal(t, exitFailed, r.code)
		assert.Contains(t, r.err, "! "+cut+": unexpected EOF: the file is not whole")
	}
}

func TestExplainReadsAPageAsItsText(t *testing.T) {
	page := write(t, "page.html", "<html><head><script>var x = {}</script></head><body><p>The forge is hot, and the iron is on the anvil.</p></body></html>")
	r := forja(t, "corpus", "explain", "--json", page)
	require.Equal(t, exitDone, r.code, r.err)
	var e explanation
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &e))
	assert.NotContains(t, e.Text, "<p>")
	assert.NotContains(t, e.Text, "var x")
}

func TestAStopEndsAVerbThatWaitsForItsInput(t *testing.T) {
	for _, args := range []string{"corpus filter", "corpus dedup --jsonl", "corpus lang --jsonl", "corpus extract -", "corpus chat -", "corpus stats -", "crawl robots --jsonl"} {
		ctx, stop := context.WithCancelCause(t.Context())
		waiting, end := io.Pipe()
		code := make(chan int, 1)
		go func() { code <- run(ctx, strings.Fields(args), waiting, io.Discard, io.Discard) }()
		time.Sleep(10 * time.Millisecond)
		stop(&stopRequest{os.Interrupt})
		select {
		case got := <-code:
			assert.Equal(t, exitInterrupted, got, args)
		case <-time.After(10 * time.Second):
			t.Errorf("%s goes on", args)
		}
		require.NoError(t, end.Close())
	}
}

func TestADamagedArchiveEndsNoStepAndIsTold(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "in")
	require.NoError(t, os.Mkdir(in, 0o755))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "<html><body><p>The forge is hot, and the iron is on the anvil, where the smith is waiting for it.</p></body></html>")
	}))
	defer s.Close()
	site := filepath.Join(dir, "site")
	require.Equal(t, exitDone, forja(t, "crawl", s.URL, "-o", site, "--contact", "me@example.org", "--allow-network", "127.0.0.1", "--delay", "0").code)
	b, err := os.ReadFile(filepath.Join(site, "warc", "crawl-00000.warc.gz"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(in, "a.warc.gz"), b, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(in, "b.warc.gz"), append(b, b[:len(b)/2]...), 0o600))
	for _, verb := range []string{"extract", "chat"} {
		r := forja(t, "corpus", verb, "--in", in, "--out", filepath.Join(dir, verb))
		assert.Equal(t, exitDone, r.code, r.err)
		assert.Contains(t, r.stdout, "b.warc.gz", verb)
	}
	r := forja(t, "corpus", "stats", in, filepath.Join(dir, "chat"))
	assert.Equal(t, exitDone, r.code, r.err)
	assert.Contains(t, r.err, "b.warc.gz is damaged, and what follows is not counted")
	assert.Contains(t, r.stdout, "chat", "conversations are no documents, but their step is told")
}

func TestACrawlThatArchivesNothingFails(t *testing.T) {
	dir := t.TempDir()
	r := forja(t, "crawl", "http://127.0.0.1:9/", "-o", filepath.Join(dir, "a"), "--contact", "me@example.org")
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.stdout, "private address  1")
	assert.Contains(t, r.stdout, "--allow-network")
	assert.Contains(t, r.err, "no page was archived")
	for flag, says := range map[string]string{"--gzip=10": "--gzip 10: want 1", "--allow-network=localhost": "is no network", "-o=" + write(t, "file", ""): "is a file"} {
		r := forja(t, "crawl", "http://127.0.0.1:9/", "-o", filepath.Join(dir, "b"), "--contact", "me@example.org", flag)
		assert.Equal(t, exitUsage, r.code)
		assert.Contains(t, r.err, says)
	}
	r = forja(t, "crawl", write(t, "seeds.txt", "http://127.0.0.1:9/"), "-o", filepath.Join(dir, "b"), "--contact", "me@example.org")
	assert.Equal(t, exitUsage, r.code)
	assert.Contains(t, r.err, "seeds.txt is a file: want URLs, or --seeds")
	assert.NoDirExists(t, filepath.Join(dir, "b"))
}

func TestAStoppedCrawlSaysThatItGoesOn(t *testing.T) {
	ctx, stop := context.WithCancelCause(t.Context())
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stop(&stopRequest{os.Interrupt}) }))
	defer s.Close()
	var talk bytes.Buffer
	code := run(ctx, []string{"crawl", s.URL, "-o", filepath.Join(t.TempDir(), "site"), "--contact", "me@example.org", "--allow-network", "127.0.0.1"},
		strings.NewReader(""), io.Discard, &talk)
	assert.Equal(t, exitInterrupted, code)
	assert.Equal(t, "stopped: the same command goes on\n", talk.String())
}

func TestHelpOfFiltersSaysTheirThresholds(t *testing.T) {
	r := forja(t, "corpus", "filter", "--help")
	assert.Regexp(t, `--filter\.gopher_quality\.min_words int +fewest words \(default 50\)`, r.stdout)
	assert.Regexp(t, `--filter\.c4\.citations.*\(default true\)`, r.stdout)
}

func TestDedupSaysThatItsInputChanged(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	require.NoError(t, os.Mkdir(in, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(in, "a.jsonl"), []byte(`{"id":"1","text":"the forge is hot today"}`+"\n"), 0o600))
	require.Equal(t, exitDone, forja(t, "corpus", "dedup", "--in", in, "--out", out).code)
	require.NoError(t, os.WriteFile(filepath.Join(in, "b.jsonl"), []byte(`{"id":"2","text":"the forge is cold today"}`+"\n"), 0o600))
	r := forja(t, "corpus", "dedup", "--in", in, "--out", out)
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.err, "one that came, went or changed")
	r = forja(t, "corpus", "dedup", "--in", in, "--out", out, "--dedup.bands", "20")
	assert.Contains(t, r.err, "made with other settings")
	assert.NotContains(t, r.err, "one that came", "the flags are what changed")
}
