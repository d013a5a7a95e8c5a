package crawl

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/corpus/warc"
	"forja/engine/vfs"
)

func TestURLsHaveOneForm(t *testing.T) {
	base, err := url.Parse("http://example.org/dir/page?old")
	require.NoError(t, err)
	for ref, want := range map[string]string{
		"HTTP://Example.ORG:80/":           "http://example.org/",
		"https://example.org:443/a":        "https://example.org/a",
		"http://example.org:8080":          "http://example.org:8080/",
		"http://example.org./x":            "http://example.org/x",
		"other":                            "http://example.org/dir/other",
		"../up/./x/../y":                   "http://example.org/up/y",
		"../../../../top":                  "http://example.org/top",
		"//cdn.example.org/x":              "http://cdn.example.org/x",
		"?q=1":                             "http://example.org/dir/page?q=1",
		"#only":                            "http://example.org/dir/page?old",
		"a b":                              "http://example.org/dir/a%20b",
		" \n a\tb \r":                      "http://example.org/dir/ab",
		"caf\u00e9?q=\u00e9":               "http://example.org/dir/caf%C3%A9?q=%C3%A9",
		"caf\xe9?q=\xe9":                   "http://example.org/dir/caf%E9?q=%E9",
		"%7euser/%2f%e4":                   "http://example.org/dir/~user/%2F%E4",
		"100%":                             "http://example.org/dir/100%25",
		"http://b\u00fccher.example/":      "http://xn--bcher-kva.example/",
		"/p;jsessionid=1A2B?x=1":           "http://example.org/p?x=1",
		"/(S(lit3py55t21z5v55vlm25s55))/p": "http://example.org/p",
		"/(S(short))/p":                    "http://example.org/(S(short))/p",
		"http://127.0.0.1/":                "http://127.0.0.1/",
		"http://1.example/":                "http://1.example/",
		"http://some_one.Example.org/":     "http://some_one.example.org/",
		"http://r3---sn-x.example.org/":    "http://r3---sn-x.example.org/",
		"http://\uff41.example/":           "http://a.example/",
		"/p?PHPSESSID=1&b=2&utm_source=x&a=1&fbclid=": "http://example.org/p?b=2&a=1",
		"/p?":            "http://example.org/p",
		"http://[::1]:/": "http://[::1]/",
		"/a;b=c,d(e)!":   "http://example.org/a;b=c,d(e)!",
	} {
		u, ok := Normalize(base, ref)
		if assert.True(t, ok, "%q", ref) {
			assert.Equal(t, want, u.String(), "%q", ref)
			again, ok := Normalize(nil, u.String())
			assert.True(t, ok)
			assert.Equal(t, want, again.String(), "twice")
		}
	}
	for _, ref := range []string{"mailto:a@b", "javascript:void(0)", "ftp://x/", "data:text/html,x", "http://", "http:///x", "http://u:p@x/", "http://x y/", "http://x/" + strings.Repeat("a", 3000),
		"http://[::1%25eth0]/", "tel:1", "http://a..b/", "http:x",
		"http://a<b/", "http://a%20b/", "http://a%2fb/", "http://a|b/", "http://xn--a.example/", "http://" + strings.Repeat("a", 64) + ".example/", "http://.example/",
		"http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://127.1/", "http://0177.0.0.1/", "http://example.0/", "http://1.2.3.4.5/"} {
		u, ok := Normalize(base, ref)
		assert.False(t, ok, "%q is %v", ref, u)
	}
}

func TestTraps(t *testing.T) {
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	for ref, want := range map[string]string{
		"http://x/a/b/c":           "",
		"http://x/2019/05/title":   "",
		"http://x/a/b/a/b/a/b":     "",
		"http://x/a/b/a/b/a/b/a/b": "repeated segments",
		"http://x/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z": "path of many segments",
		"http://x/cal?date=20310201":                                   "calendar",
		"http://x/cal?year=2031&month=2":                               "calendar",
		"http://x/cal?month=2&year=2026":                               "",
		"http://x/cal/18050101/":                                       "calendar",
		"http://x/article-20310201-about":                              "calendar",
		"http://x/id/2031020177":                                       "",
		"http://x/calendar/2099/01":                                    "calendar",
		"http://x/calendar/1805-12-01":                                 "calendar",
		"http://x/cal?month=2031-02":                                   "calendar",
		"http://x/cal?month=2026-02":                                   "",
		"http://x/?" + strings.Repeat("a=1&", 20):                      "many parameters",
		"http://x/item/2099":                                           "",
	} {
		u, ok := Normalize(nil, ref)
		require.True(t, ok)
		assert.Equal(t, want, trap(split(u.String()), now), ref)
	}
}

func TestHostsThatAreNamedAreInScope(t *testing.T) {
	s := Scope{MaxDepth: -1, Hosts: []string{"one.example", ".two.example"}}
	for text, want := range map[string]string{"http://one.example/": "", "http://one.example:8080/": "", "http://sub.one.example/": "host", "http://two.example/": "",
		"http://a.b.two.example/": "", "http://nottwo.example/": "host", "http://seed.example/": "", "http://seed.example:8080/": "host", "http://[::1]/": "host"} {
		assert.Equal(t, want, s.outside(split(text), 1, map[string]bool{"seed.example": true}), text)
	}
}

func TestURLsAreTakenApart(t *testing.T) {
	for text, want := range map[string]place{
		"http://x/":              {origin: "http://x", host: "x", path: "/"},
		"https://x:8080/a/b?c?d": {origin: "https://x:8080", host: "x:8080", path: "/a/b", query: "c?d"},
		"http://[::1]:80/?":      {origin: "http://[::1]:80", host: "[::1]:80", path: "/"},
		"http://x":               {origin: "http://x", host: "x"},
		"nonsense":               {origin: "nonsense"},
		"":                       {},
	} {
		want.text = text
		assert.Equal(t, want, split(text), text)
	}
	assert.Equal(t, "[::1]", split("http://[::1]:80/").hostname())
	assert.Equal(t, "[::1]", split("http://[::1]/").hostname())
	for text, want := range map[string]string{"http://www.example.co.uk/": "example.co.uk", "http://a.b.example.org:81/": "example.org", "http://me.github.io/": "me.github.io",
		"http://1.2.3.4/": "1.2.3.4", "http://[2001::1]/": "[2001::1]", "http://localhost/": "localhost", "": ""} {
		assert.Equal(t, want, split(text).domain(), text)
	}
}

func TestReferencesMeanWhatTheirDocumentsEncodingSays(t *testing.T) {
	at, _ := Normalize(nil, "http://x/")
	utf16 := func(s string) (b []byte) {
		for _, c := range "\ufeff" + s {
			b = append(b, byte(c), byte(c>>8))
		}
		return b
	}
	for name, c := range map[string]struct {
		body        []byte
		contentType string
		want        string
	}{
		"UTF-8":                    {[]byte("<meta charset=utf-8><a href='é?é'>"), "text/html", "http://x/%C3%A9?%C3%A9"},
		"Latin 1, by the header":   {[]byte("<a href='\xe9?\xe9#\xe9'>"), "text/html; charset=iso-8859-1", "http://x/%C3%A9?%E9"},
		"Cyrillic, by an element":  {[]byte("<meta charset=windows-1251><a href='\xe6?\xe6'>"), "text/html", "http://x/%D0%B6?%E6"},
		"a query without the path": {[]byte("<meta charset=shift_jis><a href='?\x82\xa0'>"), "text/html", "http://x/?%82%A0"},
		"UTF-16":                   {utf16("<a href='é?é'>"), "text/html", "http://x/%C3%A9?%C3%A9"},
		"an entity beyond it":      {[]byte("<meta charset=windows-1251>\xe6<a href='a?&#8364;'>"), "text/html", "http://x/a?%88"},
		"nothing":                  {[]byte("<a href='\xe9?a'>"), "text/html", "http://x/%C3%A9?a"},
		"an encoding of no name":   {[]byte("<a href='a?b'>"), "text/html; charset=klingon", "http://x/a?b"},
	} {
		links := parse(c.body, c.contentType, "x").found(at, link{}, true)
		if assert.Len(t, links, 1, name) {
			assert.Equal(t, c.want, links[0].url, name)
		}
	}
}

func TestFeedsOfOtherHostsAreNotRead(t *testing.T) {
	at, _ := Normalize(nil, "http://x/")
	p := parse([]byte(`<base href=http://y/><link rel=alternate type="application/atom+xml" href=feed><a href=a>`), "", "x")
	assert.Equal(t, []link{{url: "http://y/a", depth: 1}}, p.found(at, link{}, true))
}

func TestEndlessHostsEnd(t *testing.T) {
	s, err := openStore(vfs.NewMem(), archiveForTests, &Scope{MaxDepth: -1, AnyHost: true, HostURLs: 10}, time.Now, func(uint32, string) {})
	require.NoError(t, err)
	defer s.close()
	note := func(n int, format string) {
		var links []link
		for i := range n {
			links = append(links, link{url: fmt.Sprintf(format, i)})
		}
		require.NoError(t, s.commit(done{page: none}, nil, links))
	}
	note(100, "http://x/%d")
	assert.LessOrEqual(t, len(s.offsets), 100)
	note(100, "http://x/more/%d")
	assert.LessOrEqual(t, len(s.offsets), 100, "paths")
	before := len(s.offsets)
	note(maxHosts, "http://%d.evil.example/")
	note(maxHosts, "http://%d.more.evil.example/")
	assert.Len(t, s.offsets, before+maxHosts, "names")
	note(1, "http://good.example/%d")
	assert.Len(t, s.offsets, before+maxHosts+1)
	before = len(s.offsets)
	for i := range 100 {
		require.NoError(t, s.commit(done{page: none}, nil, []link{{url: fmt.Sprintf("http://index/%d.xml", i), list: true}}))
	}
	assert.Equal(t, before+10, len(s.offsets), "sitemaps of sitemaps")
}

func TestDirectivesOfHeadersMayHaveValues(t *testing.T) {
	for value, want := range map[string]directives{
		"noindex, max-image-preview:large":      {noStore: true},
		"max-image-preview:large, noindex":      {noStore: true},
		"max-snippet: 20, nofollow":             {noFollow: true},
		"unavailable_after: 25 Jun 2030, none":  {noStore: true, noFollow: true},
		"otherbot: noindex":                     {},
		"forjabot: max-snippet:20, noindex":     {noStore: true},
		"max-snippet:-1, max-video-preview: -1": {},
	} {
		var d directives
		d.addHeader(http.Header{"X-Robots-Tag": {value}}, "ForjaBot")
		assert.Equal(t, want, d, value)
	}
}

func TestEndlessQueriesOfOnePathEnd(t *testing.T) {
	s, err := openStore(vfs.NewMem(), archiveForTests, &Scope{MaxDepth: -1, AnyHost: true}, time.Now, func(uint32, string) {})
	require.NoError(t, err)
	defer s.close()
	var links []link
	for i := range maxQueries + 100 {
		u, _ := Normalize(nil, "http://x/search?q="+strings.Repeat("a", i%50)+string(rune('a'+i%26))+time.Duration(i).String())
		links = append(links, link{url: u.String()})
	}
	for len(links) > 0 {
		n := min(1000, len(links))
		require.NoError(t, s.commit(done{page: none}, nil, links[:n]))
		links = links[n:]
	}
	assert.LessOrEqual(t, len(s.offsets), maxQueries)
	assert.Greater(t, len(s.offsets), maxQueries/2)
}

var archiveForTests = warc.ArchiveOptions{Dir: "warc", Prefix: "crawl", Suffix: ".warc.gz", MaxSize: 1 << 20}

func TestListsAreRead(t *testing.T) {
	atom := `<?xml version="1.0" encoding="ISO-8859-1"?><feed xmlns="http://www.w3.org/2005/Atom"><link rel="self" href="http://x/feed"/><link rel="next" href="http://x/feed2"/>
		<entry><title>caf` + "\xe9" + `</title><link href="http://x/1"/></entry></feed>`
	for name, c := range map[string]struct {
		body         string
		pages, lists []string
	}{
		"sitemap":        {`<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"><url><loc> http://x/a?b&amp;c </loc><lastmod>2024</lastmod></url></urlset>`, []string{"http://x/a?b&c"}, nil},
		"index":          {`<sitemapindex><sitemap><loc>http://x/s.xml</loc></sitemap></sitemapindex>`, nil, []string{"http://x/s.xml"}},
		"RSS":            {`<rss version="2.0"><channel><link>http://x/</link><item><link>http://x/1</link></item></channel></rss>`, []string{"http://x/1"}, nil},
		"RDF":            {`<rdf:RDF xmlns:rdf="r"><item><link>http://x/1</link></item></rdf:RDF>`, []string{"http://x/1"}, nil},
		"Atom":           {atom, []string{"http://x/1"}, []string{"http://x/feed2"}},
		"lines":          {"\ufeffhttp://x/1\r\nhttp://x/2\n\n", []string{"http://x/1", "http://x/2"}, nil},
		"cut":            {`<urlset><url><loc>http://x/a</loc></url><url><lo`, []string{"http://x/a"}, nil},
		"cut in a URL":   {`<urlset><url><loc>http://x/a</loc></url><url><loc>http://x/b`, []string{"http://x/a"}, nil},
		"in CDATA":       {"<urlset><url><loc>\n<![CDATA[http://x/a?b&c]]>\n</loc></url>", []string{"http://x/a?b&c"}, nil},
		"with an image":  {`<urlset><url><loc>http://x/a</loc><image:image><image:loc>http://x/i.png</image:loc></image:image></url></urlset>`, []string{"http://x/a"}, nil},
		"another format": {`<svg><a/></svg>`, nil, nil},
	} {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		w.Write([]byte(c.body))
		w.Close()
		for _, body := range [][]byte{[]byte(c.body), z.Bytes()} {
			l, _ := parseList(body)
			assert.Equal(t, c.pages, l.pages, name)
			assert.Equal(t, c.lists, l.lists, name)
		}
	}
	_, err := parseList([]byte("<html>"))
	assert.ErrorIs(t, err, errNoList)
}

func FuzzNormalize(f *testing.F) {
	for _, s := range []string{"http://x/%7e?a=%", "../a;jsessionid=1?utm_id=2#f", "//[::1]:80/", "HTTP://B\u00fccher.example:080/\xff", "/%2e#0", "//::", "/.;sid=1"} {
		f.Add(s)
	}
	base, _ := url.Parse("http://example.org/dir/")
	f.Fuzz(func(t *testing.T, ref string) {
		u, ok := Normalize(base, ref)
		if !ok {
			return
		}
		text := u.String()
		if again, ok := Normalize(nil, text); !ok || again.String() != text {
			t.Fatalf("%q is %q, and that is %v %v", ref, text, again, ok)
		}
		if p := split(text); p.host != u.Host || p.origin != u.Scheme+"://"+u.Host || p.path != u.EscapedPath() || p.query != u.RawQuery || strings.Trim(p.hostname(), "[]") != u.Hostname() {
			t.Fatalf("%q is not %+v", text, p)
		}
		if len(text) > maxURL || strings.ContainsAny(text, " \t\r\n#") {
			t.Fatalf("%q is %q", ref, text)
		}
	})
}

func FuzzParseHTML(f *testing.F) {
	f.Add([]byte(`<base href=/x><a href="a" rel=nofollow><link rel=canonical href=b><meta name=robots content="none"><meta http-equiv=refresh content="1;url=c">`), "text/html")
	f.Add([]byte("<!doctype html><script><a href=x></script><title>\x00<"), "")
	f.Add([]byte("<a href='\x82\xa0?\x82\xa0#\x82'>"), "text/html; charset=shift_jis")
	f.Add([]byte("\xff\xfe<\x00a\x00 \x00h\x00r\x00e\x00f\x00=\x00?\x00>\x00"), "x; charset=\x00")
	f.Add([]byte("<a href=?\x1b$B!!>"), "; charset=iso-2022-jp")
	at, _ := Normalize(nil, "http://x/")
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		p := parse(body, contentType, "ForjaBot")
		if len(p.links) > maxLinks {
			t.Fatal("too many links")
		}
		for _, l := range p.found(at, link{}, true) {
			if _, ok := Normalize(nil, l.url); !ok {
				t.Fatalf("%q is no URL", l.url)
			}
		}
	})
}

func FuzzParseList(f *testing.F) {
	f.Add([]byte(`<urlset><url><loc>http://x/</loc></url></urlset>`))
	f.Add([]byte(`<?xml version="1.0" encoding="latin1"?><feed><link href="x"/></feed>`))
	f.Add([]byte("http://x/\nhttp://y/"))
	f.Add([]byte{0x1f, 0x8b, 8, 0})
	f.Fuzz(func(t *testing.T, body []byte) {
		if l, _ := parseList(body); len(l.pages)+len(l.lists) > maxListURLs {
			t.Fatal("too many URLs")
		}
	})
}

func FuzzLinks(f *testing.F) {
	f.Add([]byte(`{"url":"http://x/","depth":1,"seed":true}` + "\n" + `{"url":"http://y/","hops":2,"list":true}`))
	f.Fuzz(func(t *testing.T, lines []byte) {
		s, err := openStore(vfs.NewMem(), archiveForTests, &Scope{}, time.Now, func(uint32, string) {})
		require.NoError(t, err)
		defer s.close()
		_ = s.takeIn(bytes.NewReader(lines))
	})
}

func FuzzLog(f *testing.F) {
	whole := frame(nil, func(b []byte) []byte { return appendLink(append(b, kindLinks, 1), link{url: "http://x/", seed: true}) })
	whole = frame(whole, func(b []byte) []byte { return appendDone(b, done{outcome: outcomeStored, digest: "sha1:A"}) })
	f.Add(frame(whole, func(b []byte) []byte { return append(b, kindSync) }))
	f.Add(whole[:20])
	f.Add(frame(nil, func(b []byte) []byte { return append(b, kindShare, 1, 0) }))
	f.Add(frame(frame(nil, func(b []byte) []byte { return append(b, kindShare, 1, 3) }),
		func(b []byte) []byte {
			return appendLink(append(b, kindLinks, 1), link{url: "http://y", foreign: true})
		}))
	f.Fuzz(func(t *testing.T, log []byte) {
		m := vfs.NewMem()
		require.NoError(t, vfs.WriteFile(m, LogName, log))
		pages := 0
		s, err := openStore(m, archiveForTests, &Scope{}, time.Now, func(uint32, string) { pages++ })
		if err != nil {
			return
		}
		defer s.close()
		if pages > len(s.offsets) {
			t.Fatal("more pages than links")
		}
		require.NoError(t, s.commit(done{page: none}, nil, nil))
	})
}
