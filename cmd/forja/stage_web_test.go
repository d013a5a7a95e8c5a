package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/corpus/documents"
	"forja/engine/corpus/shard"
	"forja/engine/corpus/store"
	"forja/engine/recipe"
)

// essay is a text of its own for every number, of which the filters find nothing bad.
func essay(number int, words string) string {
	random := rand.New(rand.NewPCG(uint64(number), 1))
	list := strings.Fields(words)
	var b strings.Builder
	for range 9 {
		for i := range 14 {
			word := list[random.IntN(len(list))]
			if i == 0 {
				word = strings.ToUpper(word[:1]) + word[1:]
			}
			b.WriteString(word + " ")
		}
		b.WriteString("there.\n")
	}
	return b.String()
}

const (
	englishWords    = "the of and that with have river mill stone water wheel village miller grain flour winter summer road bridge market horse carried turned ground opened closed owner family letter house field every never often wooden heavy quiet"
	portugueseWords = "que não uma com para rio moinho pedra água roda aldeia moleiro trigo farinha inverno verão estrada ponte mercado cavalo levou girou moeu abriu fechou dono família carta casa campo cada nunca sempre madeira pesado calmo"
	germanWords     = "der die und nicht mit auf eine Fluss Mühle Stein Wasser Rad Dorf Müller Getreide Mehl Winter Sommer Straße Brücke Markt Pferd trug drehte öffnete schloss Besitzer Familie Brief Haus Feld jeder niemals immer schwer ruhig"
)

// essays is a site of thirty English pages and ten Portuguese ones, with one of each that is not kept: a copy, a short
// one, one in another language, and one that robots.txt hides.
func essays(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page := func(language, text string) {
			fmt.Fprintf(w, "<html lang=%s><title>Essay</title><p>%s</p></html>", language, strings.ReplaceAll(text, "\n", "</p>\n<p>"))
		}
		n, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		switch {
		case r.URL.Path == "/robots.txt":
			fmt.Fprint(w, "User-agent: *\nDisallow: /hidden\n")
		case r.URL.Path == "/":
			fmt.Fprint(w, "<a href=/hidden>x</a>")
			for i := range 43 {
				fmt.Fprintf(w, "<a href=/%d>essay</a> ", i)
			}
		case err != nil:
			http.NotFound(w, r)
		case n < 30:
			page("en", essay(n, englishWords))
		case n < 40:
			page("pt-BR", essay(n, portugueseWords))
		case n == 40:
			page("en", essay(7, englishWords)+"One line that the first one lacks, the rest is what it was before.\n")
		case n == 41:
			page("en", "Too short.")
		default:
			page("en", essay(n, germanWords)) // as its template has it
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestTheWebBecomesAModel(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "web")
	args := []string{"run", "web", "-o", dir, "--now", "--crawl.seeds", essays(t), "--crawl.contact", "me@example.org", "--crawl.delay", "0s",
		"--crawl.allow_network", "127.0.0.0/8", "--stages.corpus.data.val_fraction", "0.2", "--stages.tokenizer.tokenizer.vocab", "300",
		"--stages.pretrain.model.layers", "1", "--stages.pretrain.model.channels", "16", "--stages.pretrain.model.heads", "2",
		"--stages.pretrain.model.context", "32", "--stages.pretrain.batch.rows", "2", "--stages.pretrain.train.steps", "4", "--stages.pretrain.device", "cpu"}
	r := forja(t, args...).done(t)

	dropped := map[string]int64{}
	kept := map[string]int64{}
	for _, stage := range []string{"extract", "filter", "dedup"} {
		out, err := store.Open(t.Context(), filepath.Join(dir, stage))
		require.NoError(t, err)
		reports, err := shard.Reports(t.Context(), out)
		require.NoError(t, err)
		var sum shard.Report
		for _, r := range reports {
			if !strings.Contains(r.Step, "sign") {
				sum.Add(r)
			}
		}
		kept[stage] = sum.Kept.Documents
		for _, d := range sum.Dropped {
			dropped[d.Reason] += d.Documents
		}
	}
	assert.Equal(t, map[string]int64{"extract": 44, "filter": 41, "dedup": 40}, kept)
	assert.Equal(t, map[string]int64{"language/language": 1, "language/language_score": 1, "gopher_repetition/top_2_gram": 1, "near duplicate": 1}, dropped,
		"the list of links is no language's")
	corpus, err := os.ReadFile(filepath.Join(dir, "corpus", "train", "documents.jsonl"))
	require.NoError(t, err)
	assert.Contains(t, string(corpus), `"lang":"pt"`)
	run, err := os.ReadFile(filepath.Join(dir, "pretrain", "run.json"))
	require.NoError(t, err)
	assert.Contains(t, string(run), `"state": "done"`)
	assert.FileExists(t, filepath.Join(dir, "pack", "train", "tokens.json"))

	r = forja(t, args...).done(t)
	assert.Equal(t, 8, strings.Count(r.err, "done before, skipped"), r.err)
}

func TestAStageOfTheChainDoesWhatIsMissing(t *testing.T) {
	in, dir := documentStore(t, 3, 10), t.TempDir()
	file := write(t, "one.yaml", fmt.Sprintf("version: 1\nkind: filter\ndata: {path: %q, files: parquet}\n", in))
	forja(t, "stage", file, "-o", dir).done(t)
	want := storeFiles(t, dir)
	first, second := filepath.Join(dir, "county0", "mills-00.parquet"), filepath.Join(dir, "county1", "mills-01.parquet")
	old := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(first, old, old))
	require.NoError(t, os.Remove(second))
	require.NoError(t, os.Remove(filepath.Join(dir, "_done", "county1", "mills-01.json")))
	forja(t, "stage", file, "-o", dir).done(t)
	assert.Equal(t, want, storeFiles(t, dir))
	info, err := os.Stat(first)
	require.NoError(t, err)
	assert.WithinDuration(t, old, info.ModTime(), time.Second, "it was made again")

	verb := t.TempDir()
	forja(t, "corpus", "filter", "--in", in, "--out", verb, "--format", "parquet").done(t)
	delete(want, "LOCK")
	assert.Equal(t, want, storeFiles(t, verb), "the verb does the same")
}

func TestWrongStagesOfTheWebStartNothing(t *testing.T) {
	for text, want := range map[string]string{
		"kind: crawl\ncrawl: {seeds: [a.org], contact: nobody}":                               "contact",
		"kind: crawl\ncrawl: {seeds: [a.org], contact: me@a.org, include: ['(']}":             "include",
		"kind: crawl\ncrawl: {seeds: [a.org], contact: me@a.org, allow_network: [localhost]}": "is no network",
		"kind: crawl\ncrawl: {seeds: [a.org], contact: me@a.org, previous: nowhere}":          `there is no file or folder "nowhere"`,
		"kind: extract\ndata: {path: nowhere}":                                                `there is no file or folder "nowhere"`,
		"kind: filter\ndata: {path: .}\nfilter: {url: {words: nowhere}}":                      "nowhere",
	} {
		dir := filepath.Join(t.TempDir(), "stage")
		r := forja(t, "stage", write(t, "r.yaml", "version: 1\n"+text+"\n"), "-o", dir)
		assert.Equal(t, exitUsage, r.code, text)
		assert.Contains(t, r.err, want)
		assert.NoDirExists(t, dir)
	}
}

// Every flag of a crawl is a key of a recipe with the same default, and the formats of stores are the recipe's words.
func TestRecipesSayWhatTheFlagsOfACrawlSay(t *testing.T) {
	c, _, err := bare().root().Find([]string{"crawl"})
	require.NoError(t, err)
	keys := map[string]recipe.Key{}
	for _, k := range recipe.Keys() {
		if name, ok := strings.CutPrefix(k.Name, "crawl."); ok {
			keys[strings.ReplaceAll(name, "_", "-")] = k
		}
		if k.Name == "data.files" {
			assert.Equal(t, documentFormats(), strings.Join(k.Words, ", "))
			assert.Equal(t, documents.Default, "."+k.Default)
		}
	}
	only := map[string]bool{"output": true, "shard": true, "links": true, "help": true} // where a crawl is, not what
	c.LocalNonPersistentFlags().VisitAll(func(f *flagT) {
		k, ok := keys[f.Name]
		if only[f.Name] || !assert.True(t, ok, "--%s is no key of a recipe", f.Name) || f.Name == "seeds" { // a file of what the key lists
			return
		}
		got, want := k.Default, strings.Trim(f.DefValue, "[]")
		if f.Value.Type() == "duration" {
			d, err := time.ParseDuration(got)
			require.NoError(t, err)
			got = d.String()
		}
		assert.Equal(t, want, got, k.Name)
	})
}

func TestASecondAttemptOfAStageDoesNotShowTheFirst(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	for range 2 {
		r := forja(t, "run", "web", "-o", out, "--now", "--crawl.seeds", "http://127.0.0.1:9/", "--crawl.contact", "me@example.org")
		assert.Equal(t, exitFailed, r.code)
		assert.Equal(t, 1, strings.Count(r.err, "no page was archived"), r.err)
	}
}
