package stats

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"forja/engine/corpus"
	"forja/engine/corpus/shard"
)

var update = flag.Bool("update", false, "write testdata anew")

// small is a report with something of everything.
func small(t testing.TB) *Report {
	c := NewCollector(Options{Count: words, Tokenizer: "words", Hash: "abc", Top: 2})
	for i := range 20 {
		d := corpus.Document{ID: fmt.Sprint("d", i), Text: strings.Repeat("uma palavra ", i), Lang: []string{"pt", "en", "es", ""}[i%4], Type: "article"}
		if i%2 == 0 {
			d.URL, d.Date = fmt.Sprintf("https://h%d.example/%d", i%3, i), fmt.Sprint(2015+i/3, "-01-02")
		}
		if i > 17 {
			d.Title, d.License = "Título", "CC-BY-4.0"
		}
		c.Add(&d)
	}
	c.files = 1
	require.NoError(t, c.AddArchive(bytes.NewReader(archiveOf("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>", "HTTP/1.1 404 Not Found\r\n\r\n"))))
	n := func(documents, bytes int64) shard.Count {
		return shard.Count{Documents: documents, Bytes: bytes}
	}
	return c.Report("corpus", []Step{
		{"pages", shard.Report{Step: "extract", Settings: "1", Files: 1, Size: 900, Read: n(30, 5000), Kept: n(30, 4000)}},
		{"good", shard.Report{Step: "filter", Settings: "2", Files: 1, Size: 800, Read: n(30, 4000), Kept: n(20, 2280), Notes: map[string]int64{"addresses replaced": 3},
			Dropped: []shard.Drop{{Reason: "c4/short", Count: n(7, 1000), Samples: []string{"a", "b"}}, {Reason: "url/domain", Count: n(3, 720), Samples: []string{"c"}}}}},
	})
}

func TestTheReportAsJSONIsAsItWas(t *testing.T) {
	b, err := json.MarshalIndent(small(t), "", "  ")
	require.NoError(t, err)
	const file = "testdata/report.json"
	if *update {
		require.NoError(t, os.WriteFile(file, append(b, '\n'), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.JSONEq(t, string(want), string(b))
}

// Every key of a report is documented.
func TestTheKeysAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/formats.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(page), "\n## Corpus report")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	var report any
	b, err := json.Marshal(small(t))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &report))
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, value := range v {
				if key != "addresses replaced" {
					assert.Regexp(t, `\b`+key+`\b`, section)
				}
				walk(value)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(report)
}

func pageOf(t testing.TB, r *Report) string {
	var b bytes.Buffer
	require.NoError(t, r.WritePage(&b))
	return b.String()
}

// elements are the names and attributes of a page's elements in order. It fails if these are not closed as they were opened.
func elements(t testing.TB, page string) (names []string) {
	void := []string{"meta", "br"}
	z := html.NewTokenizer(strings.NewReader(page))
	var open []string
	for {
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			require.ErrorIs(t, z.Err(), io.EOF)
			require.Empty(t, open)
			return names
		case html.StartTagToken:
			token := z.Token()
			name := token.Data
			for _, a := range token.Attr {
				require.False(t, strings.HasPrefix(a.Key, "on") || slices.Contains([]string{"src", "srcset", "style", "action", "data", "background", "poster"}, a.Key),
					"%s %s", token.Data, a.Key)
				if strings.Contains(a.Key, "href") {
					require.True(t, strings.HasPrefix(a.Val, "#"), a.Val)
				}
				name += " " + a.Key
			}
			names = append(names, name)
			if !slices.Contains(void, token.Data) {
				open = append(open, token.Data)
			}
		case html.EndTagToken:
			token := z.Token()
			require.NotEmpty(t, open)
			require.Equal(t, open[len(open)-1], token.Data)
			open = open[:len(open)-1]
		case html.CommentToken:
			require.Fail(t, "a comment")
		}
	}
}

func TestThePageIsWellFormedAndShowsEverything(t *testing.T) {
	r := small(t)
	page := pageOf(t, r)
	elements(t, page)
	for _, want := range []string{"<h1>corpus</h1>", "20 documents in 1 file,", "c4/short", "archived pages", "66.7 %", "filter: addresses replaced", "<td>3</td>", ">h0.example<",
		">2 others<", "not stated", "CC-BY-4.0", "The median is between 64 B and 128 B", "The median is between 16 and 32 tokens", "Título", ">404<", "2018: 1"} {
		assert.True(t, strings.Contains(page, want), want)
	}
	for _, id := range []string{"steps", "drops", "notes", "languages", "types", "hosts", "licenses", "years", "lengths", "token-lengths", "fields", "longest", "archives"} {
		assert.Equal(t, 1, strings.Count(page, `id="`+id+`"`), id)
		assert.Equal(t, 1, strings.Count(page, `href="#`+id+`"`), id)
	}
	assert.False(t, strings.Contains(page, `id="sources"`), "there are none")
	assert.Len(t, r.Warnings, 1)
	assert.True(t, strings.Contains(page, r.Warnings[0]))
}

// The page loads nothing, by its markup, its style and its policy; the policy allows its style.
func TestThePageRefersToNothingOutside(t *testing.T) {
	page := pageOf(t, small(t))
	lower := strings.ToLower(page)
	for _, bad := range []string{"<script", "<link", "<img", "<iframe", "<object", "@import", "url(", "xlink", "javascript:", "http-equiv=\"refresh"} {
		assert.False(t, strings.Contains(lower, bad), bad)
	}
	assert.True(t, strings.Contains(page, `content="default-src &#39;none&#39;; style-src &#39;sha256-`))
	_, rest, _ := strings.Cut(page, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	assert.Equal(t, pageCSS, style, "what the policy has the hash of")
}

func TestAnEmptyCorpusHasAPageToo(t *testing.T) {
	page := pageOf(t, NewCollector(Options{}).Report("nothing", nil))
	elements(t, page)
	assert.Contains(t, page, "0 documents in 0 files")
	assert.NotContains(t, page, "NaN")
	assert.NotContains(t, page, "<section")
}

func TestReasonsThatAreManyAreTogether(t *testing.T) {
	s := Step{Report: shard.Report{Step: "filter", Read: shard.Count{Documents: 1000}}}
	for i := range 20 {
		s.Dropped = append(s.Dropped, shard.Drop{Reason: fmt.Sprintf("r%02d", i), Count: shard.Count{Documents: int64(i + 1)}})
	}
	groups := NewCollector(Options{}).Report("", []Step{s}).drops()
	require.Len(t, groups, 1)
	rows := groups[0].Rows
	require.Len(t, rows, maxReasons)
	assert.Equal(t, []any{"r19", int64(20), "100.00%"}, []any{rows[0].Name, rows[0].Documents, rows[0].Width})
	assert.Equal(t, []any{"9 other reasons", int64(45), "4.5 %"}, []any{rows[11].Name, rows[11].Documents, rows[11].Share})
	assert.Len(t, groups[0].All, 20)
	assert.Contains(t, groups[0].Lead, "210 of 1,000 documents")
}

// hostile is a small report in which a string stands wherever one from outside can.
func hostile(t testing.TB, s string) *Report {
	c := NewCollector(Options{Count: words, Tokenizer: s, Hash: s})
	c.Add(&corpus.Document{ID: "x" + s, URL: "http://h" + s, Title: "x" + s, Text: "text", Lang: "x" + s, Type: "x" + s, Date: "2024-" + s, License: "x" + s, Source: "x" + s})
	drop := shard.Drop{Reason: "x" + s, Count: shard.Count{Documents: 1}, Samples: []string{"x" + s}}
	return c.Report("x"+s, []Step{{"x" + s, shard.Report{Step: "x" + s, Dropped: []shard.Drop{drop}, Notes: map[string]int64{"x" + s: 1}, Kept: shard.Count{Documents: 1}}}})
}

// Whatever names are, they are text: the page has the same elements and attributes.
func FuzzNamesAreEscaped(f *testing.F) {
	for _, s := range []string{"</title><script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "' onload='x", "</style><!--", "]]>", "{{.}}", "\x00\xff", "\u202e", "<svg/onload=x>", "&lt;b&gt;"} {
		f.Add(s)
	}
	want := elements(f, pageOf(f, hostile(f, "y")))
	f.Fuzz(func(t *testing.T, s string) {
		assert.Equal(t, want, elements(t, pageOf(t, hostile(t, s))))
	})
}

func TestNumbersAreWrittenForPeople(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234", -123: "-123"} {
		assert.Equal(t, want, Grouped(n))
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 200 << 10: "200 KiB", 3 << 40: "3 TiB"} {
		assert.Equal(t, want, size(n))
	}
	for n, want := range map[int64]string{9999: "9,999", 12345: "12.3 k", 123456: "123 k", 2_000_000: "2 M", 2_500_000_000: "2.5 G"} {
		assert.Equal(t, want, short(n))
	}
	assert.Equal(t, []string{"", "0.0 %", "<0.1 %", "12.5 %", ">99.9 %", "100.0 %"},
		[]string{share(1, 0), share(0, 5), share(1, 10000), share(1, 8), share(99999, 100000), share(7, 7)})
}

func TestYearsHaveAChartOnlyWhereThereAreFew(t *testing.T) {
	rows := func(names ...string) (table Table) {
		for _, name := range names {
			table.Rows = append(table.Rows, Row{Name: name, Documents: 1})
		}
		return table
	}
	assert.Nil(t, yearColumns(rows("", "2024")))
	assert.Nil(t, yearColumns(rows("0001", "2024")))
	c := yearColumns(rows("2024", "", "2020"))
	require.Len(t, c.Columns, 5)
	assert.Equal(t, "2021: 0", c.Columns[1].Title)
	assert.Equal(t, "2024", c.Ticks[4].Text)
}
