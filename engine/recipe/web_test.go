package recipe

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const web = `version: 1
crawl: {seeds: [https://example.org/], contact: me@example.org}
filter:
  languages: [en, pt]
  c4: {min_sentences: 0}
stages:
  - {name: crawl, kind: crawl}
  - {name: extract, kind: extract, data: {path: "@crawl/warc"}}
  - {name: filter, kind: filter, data: {path: "@extract"}, filter: {gopher_quality: {min_words: 20}}}
  - {name: dedup, kind: dedup, data: {path: "@filter", files: parquet}}
  - {name: corpus, kind: corpus, data: {source: store, path: "@dedup"}}
`

func TestTheWebsStagesFollowOneAnother(t *testing.T) {
	r := mustParse(t, web)
	require.NoError(t, r.Set("crawl.depth", "2"))
	require.NoError(t, r.Set("filter.c4.citations", "false"))
	require.NoError(t, r.Resolve())
	f, _ := r.Find("filter")
	assert.Equal(t, []string{"extract"}, f.Needs)
	assert.Equal(t, 0, f.Filter.C4.MinSentences)
	assert.Equal(t, 20, f.Filter.Quality.MinWords)
	assert.Equal(t, 100000, f.Filter.Quality.MaxWords)
	assert.False(t, f.Filter.C4.Citations)

	one, ok := r.Extract("extract", func(stage string) string { return "/runs/web/" + stage })
	require.True(t, ok)
	assert.Equal(t, "/runs/web/crawl/warc", one.Data.Path)
	text := string(one.Marshal())
	assert.NotContains(t, text, "filter:\n", "an extraction does not change with the filters")
	for _, s := range r.Stages {
		alone, _ := r.Extract(s.Name, func(string) string { return "/x" })
		again := mustParse(t, string(alone.Marshal()))
		require.NoError(t, again.Resolve(), s.Name)
		assert.Equal(t, string(alone.Marshal()), string(again.Marshal()))
	}
}

func TestKeysOfSectionsWithinSectionsAreChecked(t *testing.T) {
	for text, want := range map[string]string{
		"kind: filter\ndata: {path: x}\nfilter: {gopher_quality: {min_word: 3}}": `did you mean "min_words"?`,
		"kind: filter\ndata: {path: x}\nfilter: {fineweb: {list_ratio: -1}}":     "filter.fineweb.list_ratio: -1 is too small",
		"kind: filter\ndata: {path: x}\nfilter: {fineweb: 3}":                    "filter.fineweb accepts: char_dup_ratio",
		"kind: filter\ndata: {path: x}\nfilter: {languages: [en, pt-BR]}":        `"pt-BR" is no code of a language`,
		"kind: filter":                         "filter needs data.path",
		"kind: crawl\ncrawl: {seeds: [a.org]}": "crawl needs crawl.contact",
		"kind: dedup\ndata: {path: x}\ndedup: {bands: 1000, rows: 10}":                "10000 hash functions",
		"kind: pack\ndata: {train: x}\ntokenizer: {path: x}\nfilter: {redact: false}": "filter is not used by pack",
	} {
		r, err := Parse("r.yaml", []byte("version: 1\n"+text+"\n"))
		if err == nil {
			err = r.Resolve()
		}
		assert.ErrorContains(t, err, want)
	}
	r := New("flags")
	assert.ErrorContains(t, r.Set("filter.gopher_quality", "3"), "is a section")
	assert.ErrorContains(t, r.Set("filter.min_words", "3"), "did you mean filter.gopher_quality.min_words?")
}

func TestAListGrowsWithEachFlagAndReplacesTheFiles(t *testing.T) {
	r := mustParse(t, web)
	require.NoError(t, r.Set("filter.languages", "de, fr"))
	require.NoError(t, r.Set("filter.languages", "[es]"))
	require.NoError(t, r.Set("crawl.seeds", "https://a.org/,https://c.org/"))
	require.NoError(t, r.Set("crawl.seeds", "https://b.org/"))
	require.NoError(t, r.Set("crawl.seeds", `["https://d.org/x,y"]`))
	for _, s := range r.Stages {
		assert.Equal(t, []string{"de", "fr", "es"}, s.Filter.Languages)
		assert.Equal(t, []string{"https://a.org/", "https://c.org/", "https://b.org/", "https://d.org/x,y"}, s.Crawl.Seeds)
	}
}
