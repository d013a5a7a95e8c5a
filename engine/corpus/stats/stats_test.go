package stats

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"forja/engine/corpus"
	"forja/engine/corpus/shard"
)

func words(text string) int { return len(strings.Fields(text)) }

func collected(o Options, docs ...corpus.Document) *Collector {
	c := NewCollector(o)
	for i := range docs {
		c.Add(&docs[i])
	}
	return c
}

func anyDocument(t *rapid.T) corpus.Document {
	pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	return corpus.Document{ID: fmt.Sprint(rapid.IntRange(0, 1000).Draw(t, "id")), Text: strings.Repeat(pick("word", "a ", "ação ", "字"), rapid.IntRange(0, 70).Draw(t, "length")),
		URL: pick("url", "", "http://a.example/x", "https://B.example:8080?q", "no url"), Lang: pick("lang", "", "pt", "en"), Type: pick("type", "", "article"),
		Date: pick("date", "", "2024", "2023-01-01", "2022-01-01T00:00:00Z", "yesterday"), License: pick("license", "", "CC0-1.0"), Title: pick("title", "", "A", "B")}
}

func TestMergingPartsGivesTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{Count: words, Every: rapid.IntRange(0, 3).Draw(t, "every")}
		docs := rapid.SliceOfN(rapid.Custom(anyDocument), 0, 40).Draw(t, "documents")
		cut := rapid.IntRange(0, len(docs)).Draw(t, "cut")
		sum := collected(o, docs[cut:]...)
		sum.Merge(collected(o, docs[:cut]...))
		assert.Equal(t, collected(o, docs...).Report("x", nil), sum.Report("x", nil))
	})
}

// Whatever is forgotten, a name has as much as is said, and at most missed more.
func TestATableOfTooManyNamesKeepsTheLargest(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 0))
	truth := map[string]int64{}
	whole, parts := newTable(), newTable()
	whole.limit, parts.limit = 50, 50
	part := parts
	part.rows = map[string]*tally{}
	var sum Row
	for i := range 20000 {
		name := fmt.Sprint("rare", random.IntN(5000))
		if i%4 == 0 {
			name = fmt.Sprint("common", random.IntN(10))
		}
		n := int64(random.IntN(1000))
		truth[name] += n
		sum.add(n, 0)
		whole.add(name, n, 0)
		part.add(name, n, 0)
		if i%1000 == 999 {
			parts.merge(&part)
			part = newTable()
			part.limit = 50
		}
	}
	for _, table := range []*table{&whole, &parts} {
		assert.LessOrEqual(t, len(table.rows), 100)
		assert.Positive(t, table.missed)
		assert.LessOrEqual(t, table.missed, (sum.Bytes+sum.Documents)/50)
		for name, n := range truth {
			said := int64(0)
			if r := table.rows[name]; r != nil {
				said = r.bytes
			}
			assert.LessOrEqual(t, said, n, name)
			assert.GreaterOrEqual(t, said+table.missed, n, name)
		}
		r := table.report(10, sum)
		assert.Equal(t, table.missed, r.Missed)
		all := r.Rest.Bytes
		for _, row := range r.Rows {
			assert.Contains(t, row.Name, "common")
			all += row.Bytes
		}
		assert.Equal(t, sum.Bytes, all)
		assert.Zero(t, r.Others, "nobody knows how many")
		assert.Contains(t, r.lead(), "may be up to")
	}
}

func TestNamesOfWhichNoneIsCommonAreShownTogether(t *testing.T) {
	c := NewCollector(Options{})
	c.tables[languages].limit = 5
	for i := range 100 {
		c.Add(&corpus.Document{Text: "x", Lang: fmt.Sprint("l", i)})
	}
	c.tables[languages].limit = 0
	c.tables[languages].prune()
	r := c.Report("", nil)
	assert.False(t, r.Languages.Empty())
	assert.True(t, r.Types.Empty())
	assert.Equal(t, int64(100), r.Languages.Rest.Documents)
	assert.True(t, strings.Contains(pageOf(t, r), "others"))
}

func TestLengthsFallIntoTheirBins(t *testing.T) {
	assert.Empty(t, collected(Options{}).Report("", nil).Lengths)
	var docs []corpus.Document
	for _, n := range []int{0, 1, 2, 3, 4, 7, 8, 1023, 1024} {
		docs = append(docs, corpus.Document{Text: strings.Repeat("x", n)})
	}
	bins := collected(Options{}, docs...).Report("", nil).Lengths
	require.Len(t, bins, 12)
	assert.Equal(t, []Bin{{0, 1, 1, 0}, {1, 2, 1, 1}, {2, 4, 2, 5}, {4, 8, 2, 11}, {8, 16, 1, 8}, {16, 32, 0, 0}}, bins[:6])
	assert.Equal(t, []Bin{{512, 1024, 1, 1023}, {1024, 2048, 1, 1024}}, bins[10:])
	m, ok := median(bins)
	assert.True(t, ok)
	assert.Equal(t, int64(4), m.From)

	bins = collected(Options{}, corpus.Document{Text: "abc"}).Report("", nil).Lengths
	assert.Equal(t, []Bin{{2, 4, 1, 3}}, bins)
	_, ok = median(nil)
	assert.False(t, ok)
}

func TestTokensOfASampleAreEstimatedForTheWhole(t *testing.T) {
	var docs []corpus.Document
	for i := range 2000 {
		docs = append(docs, corpus.Document{Text: strings.Repeat("word ", 20+i%7) + fmt.Sprintf("%04d", i)})
	}
	all := collected(Options{Count: words}, docs...).Report("", nil)
	assert.Equal(t, all.Tokens.Total, all.Tokens.Counted)
	assert.Equal(t, all.Documents, all.Tokens.Documents)
	assert.Equal(t, all.Tokens.Total, all.Languages.Rows[0].Tokens)
	part := collected(Options{Count: words, Every: 10}, docs...).Report("", nil)
	assert.InDelta(t, 200, part.Tokens.Documents, 60)
	assert.Less(t, part.Tokens.Counted, all.Tokens.Counted/5)
	assert.InEpsilon(t, all.Tokens.Total, part.Tokens.Total, 0.02)
	assert.Zero(t, part.Languages.Rows[0].Tokens, "no count of all")
	assert.Nil(t, collected(Options{}, docs...).Report("", nil).Tokens)
}

func TestHostsAndYearsAreReadFromWhatDocumentsSay(t *testing.T) {
	for url, want := range map[string]string{"": "", "http://Example.ORG": "example.org", "https://a.example:8080/x?y://z": "a.example:8080",
		"http://user:pass@a.example#f": "a.example", "mailto:x@y.example": "", "ftp://h?q": "h", "http://[::1]/": "[::1]", "http:///x": ""} {
		assert.Equal(t, want, Host(url), url)
	}
	for date, want := range map[string]string{"": "", "2024": "2024", "2024-05-06": "2024", "2024-05-06T07:08:09Z": "2024", "20240506": "", "May 2024": "", "202": ""} {
		assert.Equal(t, want, yearOf(date), date)
	}
}

func TestNamesAreFitToBeShown(t *testing.T) {
	assert.Equal(t, "a\ufffd[31mb\ufffdc", clean("a\x1b[31mb\nc"))
	assert.Equal(t, "\ufffdtxt.exe", clean("\u202etxt.exe"))
	assert.Equal(t, "ação 字 a b", clean("ação 字 a b"))
	long := clean(strings.Repeat("é", 300))
	assert.Equal(t, strings.Repeat("é", 100)+"…", long)
	assert.Equal(t, "\ufffd", clean("\xff"))
	d := corpus.Document{ID: "\x1b]0;", Title: "\x07", Lang: "\x1b[2J", Text: "x"}
	r := collected(Options{}, d).Report("\x1b", []Step{{Store: "\r", Report: shard.Report{Step: "\x1b", Kept: shard.Count{Documents: 1}, Notes: map[string]int64{"\x1b": 1},
		Dropped: []shard.Drop{{Reason: "\x1b", Samples: []string{"\x1b"}}}}}})
	b, err := json.Marshal(r)
	require.NoError(t, err)
	assert.NotContains(t, string(b), `\u001b`)
	assert.NotContains(t, string(b), `\u0007`)
	assert.NotContains(t, string(b), `\r`)
}

func TestTheLongestDocumentsAreKeptInOrder(t *testing.T) {
	var docs []corpus.Document
	for i := range 100 {
		docs = append(docs, corpus.Document{ID: fmt.Sprintf("%02d", i), Text: strings.Repeat("x", i*37%100/2)})
	}
	r := collected(Options{}, docs...).Report("", nil)
	require.Len(t, r.Longest, longs)
	assert.Equal(t, int64(49), r.Longest[0].Bytes)
	assert.Equal(t, int64(45), r.Longest[9].Bytes)
	assert.Less(t, r.Longest[0].ID, r.Longest[1].ID)
}

func TestStepsThatDoNotFitAreToldOf(t *testing.T) {
	n := func(documents int64) shard.Count { return shard.Count{Documents: documents} }
	step := func(name string, read, kept int64) Step {
		return Step{Report: shard.Report{Step: name, Read: n(read), Kept: n(kept)}}
	}
	steps := []Step{step("extract", 10, 9), step("filter", 9, 1)}
	doc := corpus.Document{Text: "x"}
	assert.Empty(t, collected(Options{}, doc).Report("", steps).Warnings)
	assert.Empty(t, collected(Options{}).Report("", steps).Warnings, "no documents were read")
	w := collected(Options{}, doc, doc).Report("", steps).Warnings
	require.Len(t, w, 1)
	assert.Contains(t, w[0], "there are 2 documents, and filter kept 1")
	steps[1].Read = n(8)
	assert.Contains(t, collected(Options{}, doc).Report("", steps).Warnings[0], "filter read 8 documents, and extract kept 9")
}

func TestArchivesAreCountedByRecord(t *testing.T) {
	c := NewCollector(Options{})
	require.NoError(t, c.AddArchive(bytes.NewReader(archiveOf(
		"HTTP/1.1 200 OK\r\nContent-Type: Text/HTML; charset=utf-8\r\n\r\n<p>", "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Type: ?;x\r\n\r\n", "nonsense"))))
	r := c.Report("x", nil)
	a := r.Archive
	require.NotNil(t, a)
	assert.Equal(t, []any{1, int64(4), int64(2)}, []any{a.Files, a.Records, a.Pages.Documents})
	assert.Equal(t, "text/html", a.Media.Rows[0].Name)
	assert.Equal(t, "?", a.Media.Rows[1].Name)
	var statuses []string
	for _, row := range a.Statuses.Rows {
		statuses = append(statuses, fmt.Sprint(row.Name, " ", row.Documents))
	}
	assert.ElementsMatch(t, []string{"200 2", "404 1", " 1"}, statuses)
	assert.Equal(t, "a.example", a.Hosts.Rows[0].Name)
	assert.Equal(t, "archive", r.Steps[0].Step)

	assert.ErrorContains(t, NewCollector(Options{}).AddArchive(strings.NewReader("WARC/1.1\r\nbroken")), "record 1")
}

func archiveOf(responses ...string) []byte {
	var b []byte
	for i, r := range responses {
		b = fmt.Appendf(b, "WARC/1.1\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:x:%d>\r\nWARC-Date: 2024-01-01T00:00:00Z\r\nWARC-Target-URI: http://a.example/%d\r\n"+
			"Content-Type: application/http; msgtype=response\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n", i, i, len(r), r)
	}
	return b
}
