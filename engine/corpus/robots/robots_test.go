package robots

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"forja/internal/shareddata"
)

func TestVerdictsAgreeWithTheReferenceCases(t *testing.T) {
	b, err := os.ReadFile(shareddata.Path(t, "robots/cases.json"))
	require.NoError(t, err)
	var cases []struct {
		ID, Origin, Robots, Agent, URL string
		Allowed                        bool
	}
	require.NoError(t, json.Unmarshal(b, &cases))
	require.NotEmpty(t, cases)
	for _, c := range cases {
		got := Parse([]byte(c.Robots)).For(c.Agent).Allowed(c.URL)
		assert.Equal(t, c.Allowed, got, "%s (%s): %.200q for %s: %.100s", c.ID, c.Origin, c.Robots, c.Agent, c.URL)
	}
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		why, robots, url string
		allowed          bool
	}{
		{"the longest rule decides", "user-agent: *\nallow: /a/b\ndisallow: /a", "http://x/a/b/c", true},
		{"allow wins a tie", "user-agent: *\ndisallow: /a\nallow: /a", "http://x/a", true},
		{"a named group hides the one for everybody", "user-agent: *\ndisallow: /\nuser-agent: forjabot\ndisallow: /x", "http://x/y", true},
		{"groups of one name are one", "user-agent: forjabot\ndisallow: /x\n\nuser-agent: forjabot\ndisallow: /y", "http://x/x", false},
		{"a sitemap does not end a group", "user-agent: *\nsitemap: http://x/s\nuser-agent: other\ndisallow: /", "http://x/y", false},
		{"a crawl delay does not end a group", "user-agent: *\ncrawl-delay: 1\nuser-agent: other\ndisallow: /", "http://x/y", false},
		{"a token ends where letters end", "user-agent: forjabot/1.0 (x)\ndisallow: /", "http://x/y", false},
		{"a longer name is another crawler", "user-agent: forjabot-images\ndisallow: /", "http://x/y", true},
		{"wildcards take anything", "user-agent: *\ndisallow: /*/c", "http://x/a/b/c", false},
		{"an anchored rule needs the end", "user-agent: *\ndisallow: /*.pdf$", "http://x/a.pdf?q", true},
		{"an anchored wildcard takes the last", "user-agent: *\ndisallow: /*a$", "http://x/aba", false},
		{"parts do not overlap", "user-agent: *\ndisallow: /*aba*aba$", "http://x/ababa", true},
		{"a dollar inside is itself", "user-agent: *\ndisallow: /a$b", "http://x/a$b", false},
		{"escapes have no case", "user-agent: *\ndisallow: /%c3%a9", "http://x/%C3%a9", false},
		{"bytes outside ASCII are escaped", "user-agent: *\ndisallow: /é", "http://x/%C3%A9", false},
		{"an escaped wildcard is no wildcard", "user-agent: *\ndisallow: /a%2A", "http://x/abc", true},
		{"the file itself may be read", "user-agent: *\ndisallow: /", "http://x/robots.txt", true},
		{"the query counts", "user-agent: *\ndisallow: /*?", "http://x/a?b", false},
		{"a query without path", "user-agent: *\ndisallow: /?q", "http://x?q", false},
		{"the fragment does not count", "user-agent: *\ndisallow: /*b", "http://x/a#b", true},
		{"a URL inside a query", "user-agent: *\ndisallow: /x", "/y?u=http://z/x", true},
		{"misspelt", "user-agent: *\ndissallow: /x", "http://x/x", false},
		{"two words without colon", "user-agent *\ndisallow /x", "http://x/x", false},
		{"three words without colon", "user-agent *\ndisallow /x y", "http://x/x", true},
		{"half a byte order mark", "\xef\xbbuser-agent: *\ndisallow: /x", "http://x/x", false},
		{"index.html is its directory", "user-agent: *\nallow: /d/index.html\ndisallow: /", "http://x/d/", true},
	} {
		assert.Equal(t, c.allowed, Parse([]byte(c.robots)).For("ForjaBot").Allowed(c.url), c.why)
	}
}

func TestNoFileAllowsEverything(t *testing.T) {
	var f *File
	assert.True(t, f.For("ForjaBot").Allowed("http://x/y"))
}

func TestCrawlDelayAndSitemapsAreRead(t *testing.T) {
	f := Parse([]byte("Sitemap: http://x/a.xml\nUser-agent: *\nCrawl-delay: 1.5\nDisallow:\nUser-agent: slow\nCrawl-delay: 1e300\nSitemap: http://x/b.xml\n"))
	assert.Equal(t, []string{"http://x/a.xml", "http://x/b.xml"}, f.Sitemaps)
	assert.Equal(t, 1500*time.Millisecond, f.For("ForjaBot").CrawlDelay())
	assert.Equal(t, maxDelay, f.For("slow/2").CrawlDelay())
	for _, bad := range []string{"-1", "NaN", "x", ""} {
		assert.Zero(t, Parse([]byte("User-agent: *\nCrawl-delay: "+bad)).For("a").CrawlDelay(), bad)
	}
}

func TestOnlyTheFirstHalfMegabyteIsRead(t *testing.T) {
	head := "user-agent: *\ndisallow: /a\n"
	pad := strings.Repeat("#", MaxSize-len(head)-len("\ndisallow: /b"))
	f := Parse([]byte(head + pad + "\ndisallow: /bc\ndisallow: /d\n"))
	rules := f.For("x")
	assert.False(t, rules.Allowed("http://x/a"))
	assert.True(t, rules.Allowed("http://x/b"), "a rule that was cut in two is left out")
	assert.True(t, rules.Allowed("http://x/d"))
}

func TestHostilePatternsTakeLittleTime(t *testing.T) {
	var b strings.Builder
	b.WriteString("user-agent: *\n")
	for b.Len() < MaxSize-maxLine {
		b.WriteString("disallow: /" + strings.Repeat("*a", 8000) + "$\n")
	}
	rules := Parse([]byte(b.String())).For("x")
	url := "http://x/" + strings.Repeat("a", 8000) + "b"
	start := time.Now()
	assert.True(t, rules.Allowed(url))
	assert.Less(t, time.Since(start), time.Second)
}

// slow is the textbook definition of a match.
func slow(pattern, path string) bool {
	switch {
	case pattern == "":
		return true
	case pattern == "$":
		return path == ""
	case pattern[0] == '*':
		for i := range len(path) + 1 {
			if slow(pattern[1:], path[i:]) {
				return true
			}
		}
		return false
	}
	return path != "" && path[0] == pattern[0] && slow(pattern[1:], path[1:])
}

func TestMatchingAgreesWithItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`/[ab*]{0,8}\$?`).Draw(t, "pattern")
		path := rapid.StringMatching(`/[ab]{0,10}`).Draw(t, "path")
		if got, want := newPattern(pattern).match(path), slow(pattern, path); got != want {
			t.Fatalf("%q against %q: %v, want %v", pattern, path, got, want)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("User-agent: *\nDisallow: /a*b$\nAllow: /index.html\nCrawl-delay: 3\nSitemap: x"), "http://x/a?b#c", "ForjaBot/1")
	f.Add([]byte("\xef\xbb\xbfuser-agent\ra\ndisallow: *"), "//;", "")
	f.Add([]byte("user-agent:*\ndisallow:$"), "", "*")
	f.Fuzz(func(t *testing.T, data []byte, url, agent string) {
		file := Parse(data)
		if file.For(agent).Allowed(url) != Parse(data).For(agent).Allowed(url) {
			t.Fatal("two verdicts")
		}
		if !file.For(agent).Allowed("/robots.txt") {
			t.Fatal("the file itself is forbidden")
		}
		if d := file.For(agent).CrawlDelay(); d < 0 || d > maxDelay {
			t.Fatal(d)
		}
	})
}
