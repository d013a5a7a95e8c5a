package crawl

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/corpus/warc"
	"forja/engine/vfs"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}

// quick are options for a site on this machine.
func quick(seeds ...string) Options {
	return Options{Contact: "https://example.org/bot", Seeds: seeds, Scope: Scope{MaxDepth: -1}, Networks: loopback, Workers: 4, Timeout: 5 * time.Second,
		Politeness: Politeness{PerHost: 4, Backoff: time.Millisecond}, MaxBody: 1 << 20}
}

// A site answers paths with HTML, and writes down who asked for what.
type site struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
	mux   map[string]http.HandlerFunc
}

func newSite(t testing.TB, pages map[string]string) *site {
	s := &site{mux: map[string]http.HandlerFunc{}}
	for path, body := range pages {
		s.mux[path] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			if strings.HasPrefix(body, "<?xml") {
				w.Header().Set("Content-Type", "application/xml")
			}
			io.WriteString(w, strings.ReplaceAll(body, "$SITE", s.URL))
		}
	}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.URL.RequestURI())
		handle := s.mux[r.URL.Path]
		s.mu.Unlock()
		if handle == nil {
			http.NotFound(w, r)
			return
		}
		handle(w, r)
	}))
	s.Start() // only now, for who asked a server that had this port before may ask at once
	t.Cleanup(s.Close)
	return s
}

func (s *site) port() string { return s.URL[strings.LastIndexByte(s.URL, ':')+1:] }

func (s *site) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(slices.Values(s.asked))
}

// count is how often a path was asked for.
func (s *site) count(path string) (n int) {
	for _, r := range s.requests() {
		if r, _, _ = strings.Cut(r, "?"); r == path {
			n++
		}
	}
	return n
}

// A captured is a record about a page in an archive.
type captured struct{ kind, uri, path, body, header string }

// archive reads the response and revisit records of an archive, by path, sorted.
func archive(t testing.TB, fsys vfs.FS) (all []captured) {
	entries, err := fsys.ReadDir("warc")
	require.NoError(t, err)
	for _, e := range entries {
		f, err := fsys.Open("warc/" + e.Name())
		require.NoError(t, err)
		r, err := warc.NewReader(f)
		require.NoError(t, err)
		for {
			record, err := r.Next()
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
			if kind := record.Type(); kind == warc.TypeResponse || kind == warc.TypeRevisit {
				block, err := io.ReadAll(record.Block)
				require.NoError(t, err)
				head, body, _ := strings.Cut(string(block), "\r\n\r\n")
				at := record.URI()
				if i := strings.Index(at[8:], "/"); i >= 0 {
					at = at[8+i:]
				}
				all = append(all, captured{kind, record.URI(), at, body, head})
			}
		}
		f.Close()
	}
	slices.SortFunc(all, func(a, b captured) int { return strings.Compare(a.path, b.path) })
	return all
}

func paths(all []captured) (list []string) {
	for _, c := range all {
		list = append(list, c.path)
	}
	return list
}

func run(t testing.TB, fsys vfs.FS, o Options) Progress {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	p, err := Run(ctx, fsys, o)
	require.NoError(t, err)
	return p
}

func TestLinksAreFollowedAsSitesWish(t *testing.T) {
	s := newSite(t, map[string]string{
		"/robots.txt": "User-agent: *\nDisallow: /private\nSitemap: $SITE/maps.xml\n",
		"/": `<a href=a>a</a> <a href="/b#x">b</a> <a href="/private/c">c</a> <a rel=nofollow href=/no>d</a> <a href=/image.png>i</a>
			<a href="mailto:x@y">m</a> <a href="http://other.invalid/">o</a> <link rel=alternate type="application/rss+xml" href=feed.rss>`,
		"/a":            `<base href="/dir/"><a href=deep>1</a><meta name=robots content=noindex>`,
		"/b":            `<meta name="robots" content="nofollow"><a href=/never>1</a>`,
		"/dir/deep":     `<link rel=canonical href=/dir/the-one><meta http-equiv=refresh content="0; URL='/refreshed'">`,
		"/dir/the-one":  `one`,
		"/refreshed":    `two`,
		"/maps.xml":     `<?xml version="1.0"?><sitemapindex><sitemap><loc>$SITE/map1.xml.gz</loc></sitemap></sitemapindex>`,
		"/from-sitemap": `three`,
		"/feed.rss":     `<?xml version="1.0"?><rss><channel><link>$SITE/</link><item><link>$SITE/from-feed</link></item></channel></rss>`,
		"/from-feed":    `<a href="/moved">4</a>`,
		"/target":       `five`,
		"/tagged":       `six`,
	})
	s.mux["/map1.xml.gz"] = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		z := gzip.NewWriter(w)
		fmt.Fprintf(z, "<urlset><url><loc>%s/from-sitemap</loc></url><url><loc>%s/tagged</loc></url></urlset>", s.URL, s.URL)
		z.Close()
	}
	s.mux["/moved"] = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/target", http.StatusFound) }
	s.mux["/tagged"] = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("X-Robots-Tag", "otherbot: nofollow")
		w.Header().Add("X-Robots-Tag", "forjabot: none")
		io.WriteString(w, `<a href=/never>x</a>`)
	}
	m := vfs.NewMem()
	p := run(t, m, quick(s.URL))
	assert.Equal(t, []string{"/", "/b", "/dir/deep", "/dir/the-one", "/from-feed", "/from-sitemap", "/refreshed", "/target"}, paths(archive(t, m)))
	asked := s.requests()
	for _, never := range []string{"/private/c", "/no", "/never", "/image.png"} {
		assert.NotContains(t, asked, never)
	}
	assert.Equal(t, asked, slices.Compact(slices.Clone(asked)), "nothing is asked for twice")
	assert.Equal(t, map[string]int{"stored": 8, "robots.txt": 1, "noindex": 2, "redirect": 1, "sitemap or feed": 3}, p.Outcomes)
	assert.Zero(t, p.Queued)
}

func TestScope(t *testing.T) {
	pages := map[string]string{"/": `<a href=/docs/1>1</a><a href=/blog/1>2</a><a href=/docs/old/2>3</a>`}
	for _, p := range []string{"/docs/1", "/blog/1", "/docs/old/2", "/docs/3", "/docs/4"} {
		pages[p] = p + `<a href=/docs/3>3</a>`
	}
	pages["/docs/3"] = `<a href=/docs/4>3</a>`
	s := newSite(t, pages)
	for name, c := range map[string]struct {
		scope Scope
		want  []string
	}{
		"depth":   {Scope{MaxDepth: 1}, []string{"/", "/blog/1", "/docs/1", "/docs/old/2"}},
		"prefix":  {Scope{MaxDepth: -1, Prefixes: []string{s.URL + "/docs/"}}, []string{"/", "/docs/1", "/docs/3", "/docs/4", "/docs/old/2"}},
		"include": {Scope{MaxDepth: -1, Include: []*regexp.Regexp{regexp.MustCompile(`/\d$`)}, Exclude: []*regexp.Regexp{regexp.MustCompile(`/old/`)}}, []string{"/", "/blog/1", "/docs/1", "/docs/3", "/docs/4"}},
	} {
		m, o := vfs.NewMem(), quick(s.URL)
		o.Scope = c.scope
		run(t, m, o)
		assert.Equal(t, c.want, paths(archive(t, m)), name)
	}
}

func TestWhoCrawlsIsToldToServers(t *testing.T) {
	var agent string
	s := newSite(t, nil)
	s.mux["/"] = func(w http.ResponseWriter, r *http.Request) {
		agent = r.UserAgent()
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b", Path: "/"})
		io.WriteString(w, "<a href=/second>x</a>")
	}
	cookies := -1
	s.mux["/second"] = func(_ http.ResponseWriter, r *http.Request) { cookies = len(r.Cookies()) }
	run(t, vfs.NewMem(), quick(s.URL))
	assert.Equal(t, "ForjaBot/1.0 (+https://example.org/bot)", agent)
	assert.Zero(t, cookies, "cookies are not kept")
	o := quick(s.URL)
	o.Contact = ""
	_, err := Run(t.Context(), vfs.NewMem(), o)
	assert.ErrorContains(t, err, "contact")
}

func TestOptionsAreChecked(t *testing.T) {
	require.NoError(t, quick("example.org").Check())
	for name, spoil := range map[string]func(*Options){
		"timeout": func(o *Options) { o.Timeout = -1 }, "body": func(o *Options) { o.MaxBody = -1 }, "file": func(o *Options) { o.MaxFile = -1 },
		"workers": func(o *Options) { o.Workers = -1 }, "delay": func(o *Options) { o.Delay = -1 }, "agent": func(o *Options) { o.Agent = "a\nb" },
		"seed": func(o *Options) { o.Seeds = []string{"ftp://x"} }, "contact": func(o *Options) { o.Contact = "me" },
	} {
		o := quick("example.org")
		spoil(&o)
		assert.Error(t, o.Check(), name)
	}
	s, m := newSite(t, map[string]string{"/": "page"}), vfs.NewMem()
	o := quick(s.URL)
	o.MaxBody = math.MaxInt64
	run(t, m, o)
	assert.Equal(t, []string{"/"}, paths(archive(t, m)), "no limit to speak of")
}

func TestThePageLimitLeavesTheRestForLater(t *testing.T) {
	pages := map[string]string{"/": ""}
	for i := range 20 {
		pages["/"] += fmt.Sprintf("<a href=/%d>x</a>", i)
		pages[fmt.Sprintf("/%d", i)] = fmt.Sprintf("page %d", i)
	}
	s, m, o := newSite(t, pages), vfs.NewMem(), quick()
	o.Seeds, o.MaxPages = []string{s.URL}, 7
	assert.Equal(t, 7, run(t, m, o).Pages)
	assert.Len(t, archive(t, m), 7)
	o.MaxPages = 0
	assert.Equal(t, 21, run(t, m, o).Pages)
	assert.Len(t, archive(t, m), 21)
}

func TestNothingIsAskedForThatThePageLimitWouldDrop(t *testing.T) {
	s, _ := chain(t, 15)
	m, o := vfs.NewMem(), quick(s.URL+"/0")
	o.Workers, o.MaxPages = 1, 3
	for range 2 {
		assert.Equal(t, 3, run(t, m, o).Pages)
		assert.Equal(t, []string{"/0", "/1", "/2", "/robots.txt"}, s.requests())
	}
}

func TestEqualPayloadsAreArchivedOnce(t *testing.T) {
	body := strings.Repeat("the same text ", 100)
	s, m := newSite(t, map[string]string{"/": "<a href=/a>1</a>", "/a": body + "<a href=/b>2</a>", "/b": body + "<a href=/b>2</a>"}), vfs.NewMem()
	s.mux["/b"] = s.mux["/a"]
	run(t, m, quick(s.URL))
	all := archive(t, m)
	assert.Equal(t, "response", all[1].kind)
	assert.Equal(t, "revisit", all[2].kind)
	assert.Empty(t, all[2].body)
}

func TestASecondCrawlFetchesWhatChanged(t *testing.T) {
	text := "the text"
	s := newSite(t, map[string]string{"/": "<a href=/etag>1</a>", "/new": "new"})
	tagged := func(next string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"1"`)
			if r.Header.Get("If-None-Match") == `"1"` {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, text+"<a href="+next+">x</a>")
		}
	}
	s.mux["/etag"], s.mux["/second"] = tagged("/second"), tagged("/third")
	s.mux["/third"] = func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, text) }
	first, second, third := vfs.NewMem(), vfs.NewMem(), vfs.NewMem()
	run(t, first, quick(s.URL))
	assert.Equal(t, []string{"/", "/etag", "/second", "/third"}, paths(archive(t, first)))
	text = strings.Repeat("another text", 100)
	o := quick(s.URL)
	o.Previous = first
	p := run(t, second, o)
	assert.Equal(t, map[string]int{"stored": 2, "unchanged": 2}, p.Outcomes)
	all := archive(t, second)
	assert.Equal(t, []string{"/", "/etag", "/second", "/third"}, paths(all))
	assert.Equal(t, "revisit", all[1].kind)
	assert.Equal(t, text, all[3].body)
	o.Previous = second
	p = run(t, third, o)
	assert.Equal(t, map[string]int{"stored": 1, "unchanged": 2, "copy": 1}, p.Outcomes, "validators and links come from the second, in which they did not change")
}

// In the first crawl /c is found on /a, which then forgets it; /b, which has not changed, leads there still.
func TestASecondCrawlLosesNoPageThatUnchangedOnesLeadTo(t *testing.T) {
	s := newSite(t, map[string]string{"/": "<a href=/a>1</a><a href=/b>2</a><a href=/d>3</a>", "/a": "<a href=/c>3</a>", "/c": "c"})
	s.mux["/b"] = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, "<html><a href=/c>1</a>")
	}
	first, o := vfs.NewMem(), quick(s.URL)
	o.Workers = 1
	run(t, first, o)
	for _, now := range []http.HandlerFunc{
		func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "another text") },
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) },
	} {
		s.mux["/a"] = now
		second := vfs.NewMem()
		o.Previous = first
		run(t, second, o)
		assert.Contains(t, paths(archive(t, second)), "/c")
	}
}

func TestPagesThatHaveADateAreAskedForWithIt(t *testing.T) {
	const date = "Thu, 26 Nov 2026 12:00:00 GMT"
	s := newSite(t, nil)
	s.mux["/"] = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Last-Modified", date)
		if r.Header.Get("If-Modified-Since") == date {
			w.WriteHeader(http.StatusNotModified)
		}
		io.WriteString(w, "text")
	}
	first, second, o := vfs.NewMem(), vfs.NewMem(), quick(s.URL)
	assert.Equal(t, map[string]int{"stored": 1}, run(t, first, o).Outcomes)
	o.Previous = first
	assert.Equal(t, map[string]int{"unchanged": 1}, run(t, second, o).Outcomes)
}

func TestAnotherCrawlOnTheSameDirectoryIsRefused(t *testing.T) {
	m := vfs.NewMem()
	unlock, err := vfs.Lock(m, ".")
	require.NoError(t, err)
	defer unlock()
	_, err = Run(t.Context(), m, quick("http://example.org"))
	assert.ErrorIs(t, err, vfs.ErrLocked)
}

// chain is a site in which each page leads to the next two.
func chain(t testing.TB, n int) (*site, []string) {
	pages := map[string]string{}
	var want []string
	for i := range n {
		pages[fmt.Sprintf("/%d", i)] = fmt.Sprintf("page %d <a href=/%d>x</a> <a href=/%d>y</a> <a href='./%[2]d#z'>x</a>", i, 2*i+1, 2*i+2)
		want = append(want, fmt.Sprintf("/%d", i))
	}
	slices.Sort(want)
	return newSite(t, pages), want
}

// Power fails at every operation in turn. Whatever the disk holds then, the crawl goes on from it to the same archive:
// every page once.
func TestNoPageIsLostOrTwiceThereAfterPowerLoss(t *testing.T) {
	t.Parallel()
	s, want := chain(t, 5)
	for n := 0; ; n++ {
		for _, keep := range []float64{0, .5, 1} {
			m := vfs.NewMem()
			var disk *vfs.Mem
			count, mu := n, sync.Mutex{}
			m.Hook = func(op vfs.Op, _ string) error {
				mu.Lock()
				defer mu.Unlock()
				if op.Writes() && disk == nil {
					if count--; count < 0 {
						disk = m.Crash(rand.New(rand.NewPCG(uint64(n), uint64(keep*10))), keep)
					}
				}
				if disk != nil {
					return fmt.Errorf("no power")
				}
				return nil
			}
			o := quick(s.URL + "/0")
			o.Workers, o.MaxFile, o.SyncEvery = 2, 1500, time.Millisecond
			_, err := Run(t.Context(), m, o)
			mu.Lock()
			over := disk == nil
			mu.Unlock()
			if over {
				require.NoError(t, err)
				require.Greater(t, n, 20, "operations")
				return
			}
			if err == nil { // all that was left to do was to close files
				require.Equal(t, want, paths(archive(t, disk)))
			}
			run(t, disk, o)
			require.Equal(t, want, paths(archive(t, disk)), "power lost at operation %d, keeping %.1f", n, keep)
		}
	}
}

func TestAFullDiskLosesNothing(t *testing.T) {
	s, want := chain(t, 15)
	for capacity := int64(500); ; capacity += 700 {
		m := vfs.NewMem()
		m.Capacity = capacity
		_, err := Run(t.Context(), m, quick(s.URL+"/0"))
		if err != nil {
			require.ErrorIs(t, err, vfs.ErrNoSpace)
		}
		m.Capacity = 0
		run(t, m, quick(s.URL+"/0"))
		require.Equal(t, want, paths(archive(t, m)), "capacity %d", capacity)
		if err == nil {
			return
		}
	}
}

func TestAStoppedCrawlGoesOn(t *testing.T) {
	s, want := chain(t, 31)
	m := vfs.NewMem()
	for i := 0; ; i++ {
		ctx, cancel := context.WithCancel(t.Context())
		o := quick(s.URL + "/0")
		o.Workers = 2
		o.Every = 200 * time.Microsecond
		o.Progress = func(p Progress) {
			if p.Fetched > 5 {
				cancel()
			}
		}
		_, err := Run(ctx, m, o)
		cancel()
		if err == nil {
			break
		}
		require.ErrorIs(t, err, context.Canceled)
		require.Less(t, i, 50)
	}
	assert.Equal(t, want, paths(archive(t, m)))
}

func TestTheLastByteOfTheLogMayBeAnything(t *testing.T) {
	s, want := chain(t, 7)
	m := vfs.NewMem()
	run(t, m, quick(s.URL+"/0"))
	for _, damage := range []func([]byte) []byte{
		func(b []byte) []byte { return b[:len(b)-1] },
		func(b []byte) []byte { return append(bytes.Clone(b), make([]byte, 100)...) },
		func(b []byte) []byte { return append(bytes.Clone(b), 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5) },
		func(b []byte) []byte { c := bytes.Clone(b); c[len(c)*2/3] ^= 1; return c },
		func(b []byte) []byte { return b[:20] },
	} {
		m.Damage(LogName, damage)
		run(t, m, quick(s.URL+"/0"))
		assert.Equal(t, want, paths(archive(t, m)))
		assert.Zero(t, run(t, m, quick(s.URL+"/0")).Fetched, "the log is whole again")
	}
}

// What a sync has made safe is not thrown away because the disk forgot a bit of the log.
func TestALogThatRottedIsRefusedAndTheArchiveKept(t *testing.T) {
	s, want := chain(t, 15)
	m, o := vfs.NewMem(), quick(s.URL+"/0")
	o.SyncEvery, o.Delay = time.Millisecond, time.Millisecond
	run(t, m, o)
	for _, at := range []int{0, 10, 100} {
		disk := m.Crash(rand.New(rand.NewPCG(0, 0)), 1)
		disk.Damage(LogName, func(b []byte) []byte { b = bytes.Clone(b); b[at] ^= 1; return b })
		_, err := Run(t.Context(), disk, o)
		assert.ErrorContains(t, err, "damaged", "byte %d", at)
		assert.Equal(t, want, paths(archive(t, disk)))
	}
}

// What a sync has made safe is neither lost nor fetched again when the power fails.
func TestSyncedPagesAreDone(t *testing.T) {
	m := vfs.NewMem()
	open := func(m *vfs.Mem) (s *store, queued []uint32) {
		s, err := openStore(m, archiveForTests, &Scope{MaxDepth: -1}, time.Now, func(page uint32, _ string) { queued = append(queued, page) })
		require.NoError(t, err)
		return s, queued
	}
	s, _ := open(m)
	defer s.close()
	require.NoError(t, s.commit(done{page: none}, nil, []link{{url: "http://x/", seed: true}}))
	require.NoError(t, s.commit(done{page: 0, outcome: outcomeStored}, []byte("records"), []link{{url: "http://x/1", depth: 1}, {url: "http://x/2", depth: 1}}))
	require.NoError(t, s.sync())
	require.NoError(t, s.commit(done{page: 1, outcome: outcomeStored}, []byte("more"), nil))
	for i, keep := range []float64{0, .5, 1} {
		after, queued := open(m.Crash(rand.New(rand.NewPCG(uint64(i), 0)), keep))
		assert.Contains(t, [][]uint32{{1, 2}, {2}}, queued)
		assert.Equal(t, len("records")+len("more")*(2-len(queued)), int(after.archive.End().Offset))
		after.close()
	}
}
