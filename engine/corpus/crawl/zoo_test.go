package crawl

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"forja/engine/corpus/robots"
	"forja/engine/vfs"
)

// raw answers a request with bytes of its own making.
func raw(answer func(w io.Writer)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		answer(c)
	}
}

// endless writes until nobody reads.
func endless(w io.Writer, start, more string) {
	if _, err := io.WriteString(w, start); err != nil {
		return
	}
	block := []byte(strings.Repeat(more, 1+(64<<10)/len(more)))
	for range 10_000 {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

func zeros(n int64) io.Reader { return io.LimitReader(zero{}, n) }

type zero struct{}

func (zero) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// bombs are 20 MB of zeros, packed.
func bombs(t *testing.T) map[string][]byte {
	packed := map[string][]byte{}
	for name, open := range map[string]func(io.Writer) io.WriteCloser{
		"gzip": func(w io.Writer) io.WriteCloser { z, _ := gzip.NewWriterLevel(w, 1); return z },
		"br":   func(w io.Writer) io.WriteCloser { return brotli.NewWriterLevel(w, 1) },
		"zstd": func(w io.Writer) io.WriteCloser {
			z, _ := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
			return z
		},
	} {
		var b bytes.Buffer
		z := open(&b)
		_, err := io.Copy(z, zeros(20<<20))
		require.NoError(t, err)
		require.NoError(t, z.Close())
		packed[name] = b.Bytes()
	}
	return packed
}

const head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"

func TestAZooOfHostileServersIsSurvived(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"/good": "a good page", "/last": "another"})
	zoo := map[string]http.HandlerFunc{
		"/endless-body":   raw(func(w io.Writer) { endless(w, head+"\r\n", "<p>more</p>") }),
		"/endless-header": raw(func(w io.Writer) { endless(w, "HTTP/1.1 200 OK\r\n", "X-A: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n") }),
		"/huge-header":    raw(func(w io.Writer) { endless(w, "HTTP/1.1 200 OK\r\nX-A: ", "b") }),
		"/drip": raw(func(w io.Writer) {
			io.WriteString(w, head+"\r\n")
			for range 100 {
				time.Sleep(50 * time.Millisecond)
				if _, err := io.WriteString(w, "x"); err != nil {
					return
				}
			}
		}),
		"/silence": raw(func(io.Writer) { time.Sleep(2 * time.Second) }),
		"/loop":    func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) },
		"/ping":    func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/pong", http.StatusFound) },
		"/pong":    func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ping", http.StatusFound) },
		"/hops": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/hops?"+r.URL.RawQuery+"x", http.StatusFound)
		},
		"/bad-chunks": raw(func(w io.Writer) { io.WriteString(w, head+"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n") }),
		"/huge-chunk": raw(func(w io.Writer) {
			io.WriteString(w, head+"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nhello")
		}),
		"/short":          raw(func(w io.Writer) { io.WriteString(w, head+"Content-Length: 1000\r\n\r\nonly this") }),
		"/long":           raw(func(w io.Writer) { io.WriteString(w, head+"Content-Length: 4\r\n\r\nmore than this") }),
		"/negative":       raw(func(w io.Writer) { io.WriteString(w, head+"Content-Length: -5\r\n\r\nx") }),
		"/huge-length":    raw(func(w io.Writer) { io.WriteString(w, head+"Content-Length: 9223372036854775807\r\n\r\nx") }),
		"/two-lengths":    raw(func(w io.Writer) { io.WriteString(w, head+"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx") }),
		"/no-http":        raw(func(w io.Writer) { io.WriteString(w, "SSH-2.0-OpenSSH\r\n") }),
		"/nothing":        raw(func(io.Writer) {}),
		"/not-gzip":       raw(func(w io.Writer) { io.WriteString(w, head+"Content-Encoding: gzip\r\n\r\nplain") }),
		"/many-encodings": raw(func(w io.Writer) { io.WriteString(w, head+"Content-Encoding: gzip, gzip, gzip, gzip\r\n\r\nx") }),
		"/unknown":        raw(func(w io.Writer) { io.WriteString(w, head+"Content-Encoding: rot13\r\n\r\nx") }),
		"/nested": func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "<html>"+strings.Repeat("<div>", 200_000))
		},
		"/colspan": func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "<html><table><td colspan=99999999999>x")
		},
		"/open-tag": func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "<html><a href='"+strings.Repeat("x", 900_000))
		},
		"/attributes": func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "<html><a "+strings.Repeat("a=b ", 200_000)+">")
		},
		"/bad-redirect": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://[::1")
			w.WriteHeader(302)
		},
		"/to-file": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(302)
		},
		"/million-links": func(w http.ResponseWriter, _ *http.Request) { manyLinks(w, 1_000_000) },
		"/self-sitemap": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, "<?xml version='1.0'?><sitemapindex><sitemap><loc>%s/self-sitemap?%d</loc></sitemap></sitemapindex>", s.URL, time.Now().UnixNano())
		},
		"/deep-sitemap": func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "<?xml version='1.0'?><urlset>"+strings.Repeat("<url>", 100_000))
		},
		"/laughing-feed": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, laughs) },
		"/endless-sitemap": raw(func(w io.Writer) {
			endless(w, "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n<urlset>", "<url><loc>x</loc></url>")
		}),
	}
	for name, b := range bombs(t) {
		zoo["/bomb-"+name] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Encoding", name)
			w.Write(b)
		}
	}
	var index strings.Builder
	for path, handle := range zoo {
		s.mux[path] = handle
		fmt.Fprintf(&index, "<a href=%s>x</a>", path)
	}
	s.mux["/"] = func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "<html><a href=/good>x</a>%s<a href=/last>x</a>", index.String())
	}
	mute, err := net.Listen("tcp", "127.0.0.1:0") // whose queue takes connections that nobody serves
	require.NoError(t, err)
	defer mute.Close()
	o, m := quick(s.URL, "https://127.0.0.1:"+s.port(), "https://"+mute.Addr().String(), "http://"+mute.Addr().String(), "http://127.0.0.1:1"), vfs.NewMem()
	o.Timeout, o.Workers, o.Backoff = time.Second, 16, time.Millisecond
	if testing.Short() { // as under the race detector, which makes all of this many times slower
		o.Timeout = 4 * time.Second
	}
	o.PerHost = 16
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	o.MaxBody = 1 << 20
	o.Scope.MaxDepth = 1
	p := run(t, m, o)
	runtime.ReadMemStats(&after)
	assert.Less(t, time.Since(start), 15*o.Timeout)
	assert.Less(t, after.Sys-before.Sys, uint64(400<<20), "memory of the process")
	got := map[string]captured{}
	for _, c := range archive(t, m) {
		got[c.path] = c
	}
	assert.Contains(t, got, "/good")
	assert.Contains(t, got, "/last")
	for _, cut := range []string{"/endless-body", "/bomb-gzip", "/bomb-br", "/bomb-zstd"} {
		assert.Contains(t, got, cut)
		assert.LessOrEqual(t, len(got[cut].body), 1<<20, cut) // less on a machine so busy that time ran out first
	}
	for _, none := range []string{"/endless-header", "/huge-header", "/silence", "/loop", "/negative", "/two-lengths", "/no-http", "/not-gzip", "/many-encodings", "/unknown"} {
		assert.NotContains(t, got, none)
	}
	assert.Equal(t, "only this", got["/short"].body, "what arrived of a broken body is kept")
	hops := slices.DeleteFunc(slices.Compact(s.requests()), func(r string) bool { return !strings.HasPrefix(r, "/hops") })
	assert.Len(t, hops, 1+maxHops)
	assert.Equal(t, 4, p.Outcomes["dead host"])
	assert.Zero(t, p.Queued)
}

const laughs = `<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>
<rss><channel><item><link>&c;&c;&c;</link></item></channel></rss>`

func manyLinks(w io.Writer, n int) {
	io.WriteString(w, "<html>")
	for i := range n {
		if _, err := fmt.Fprintf(w, "<a href=/x/%d.zip>x</a>", i); err != nil {
			return
		}
	}
}

func TestFewLargeBodiesAreHeldAtATime(t *testing.T) {
	s := newSite(t, map[string]string{"/large": strings.Repeat("x", 2*maxSmall), "/small": strings.Repeat("x", maxSmall/2)})
	f := newFetcher(fetchOptions{timeout: 5 * time.Second, networks: loopback})
	defer f.close()
	get := func(path string) (*response, error) {
		u, _ := Normalize(nil, s.URL+path)
		return f.get(t.Context(), u, validators{}, 1<<20, nil, func(*response) bool { return true })
	}
	var held []*response
	for range maxLarge {
		r, err := get("/large")
		require.NoError(t, err)
		assert.Len(t, r.body, 2*maxSmall)
		held = append(held, r)
	}
	f.timeout = 50 * time.Millisecond
	_, err := get("/large")
	assert.ErrorIs(t, err, errBusy)
	f.timeout = 5 * time.Second
	r, err := get("/small")
	require.NoError(t, err)
	r.close()
	held[0].close()
	r, err = get("/large")
	require.NoError(t, err)
	for _, r := range append(held, r) {
		r.close()
		r.close()
	}
	assert.Empty(t, f.large, "every place is given back once")
}

// Thirty-two servers send noise without end, all at once.
func TestManyEndlessServersTakeABoundedMemory(t *testing.T) {
	if os.Getenv("FORJA_LONG") == "" {
		t.Skip("compresses 320 MB of noise: set FORJA_LONG=1")
	}
	s := newSite(t, nil)
	noise := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{}).Read(noise)
	s.mux["/"] = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		for range 12 {
			if _, err := w.Write(noise); err != nil {
				return
			}
		}
	}
	o := quick()
	for i := range 32 {
		o.Seeds = append(o.Seeds, fmt.Sprintf("http://host%d.example:%s", i, s.port()))
	}
	o.resolver = names(t, func(string, int) net.IP { return net.IPv4(127, 0, 0, 1) })
	o.Workers, o.MaxBody, o.Timeout, o.Every = 64, 10<<20, time.Minute, 5*time.Millisecond
	peak := uint64(0)
	o.Progress = func(Progress) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc)
	}
	disk, err := vfs.OS(t.TempDir())
	require.NoError(t, err)
	defer disk.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	p, err := Run(ctx, disk, o)
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"stored": 32}, p.Outcomes)
	t.Logf("at most %d MB", peak>>20)
	assert.Less(t, peak, uint64(500<<20))
}

func TestAHostThatDripsIsGivenUp(t *testing.T) {
	s, _ := chain(t, 3)
	s.mux["/0"] = func(w http.ResponseWriter, _ *http.Request) {
		for i := range 100 {
			fmt.Fprintf(w, "<a href=/drip?%d>x</a>", i)
		}
	}
	s.mux["/drip"] = func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "<html>drop")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	o := quick(s.URL + "/0")
	o.Timeout = 50 * time.Millisecond
	p := run(t, vfs.NewMem(), o)
	assert.Less(t, p.Pages, 1+maxDeadTries+o.PerHost, "what was dripped is kept")
	assert.Greater(t, p.Outcomes["dead host"], 80)
}

// Whatever a page says, its links take a bounded time and memory.
func TestLinksOfAPageAreBounded(t *testing.T) {
	var many strings.Builder
	manyLinks(&many, 2*maxLinks)
	assert.Len(t, parse([]byte(many.String()), "", "x").links, maxLinks)
	at, _ := Normalize(nil, "http://x/")
	page := "<base href=/" + strings.Repeat("y", 1900) + "/>" + strings.ReplaceAll(many.String()[:10_000], "/x/", "")
	long := parse([]byte(page), "", "x").found(at, link{}, true)
	text := func(links []link) (n int) {
		for _, l := range links {
			n += len(l.url)
		}
		return n
	}
	assert.InDelta(t, minLinkText+linkFactor*len(page)-maxURL/2, text(long), maxURL/2)
	l := list{pages: slices.Repeat([]string{"/" + strings.Repeat("y", 1900)}, 9000)}
	assert.InDelta(t, maxListText-maxURL/2, text(l.found(at, link{})), maxURL/2)
}

func TestTruncatedPagesSaySo(t *testing.T) {
	s := newSite(t, nil)
	s.mux["/"] = raw(func(w io.Writer) { endless(w, head+"\r\n", "abc") })
	m, o := vfs.NewMem(), quick(s.URL)
	o.MaxBody = 1000
	run(t, m, o)
	f, err := m.Open("warc/crawl-00000.warc.gz")
	require.NoError(t, err)
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	b, err := io.ReadAll(z)
	require.NoError(t, err)
	assert.Contains(t, string(b), "\r\nWARC-Truncated: length\r\n")
}

// The limit is in the middle of a rule, and what is before it forbids everything.
func TestARuleThatIsCutOffIsNone(t *testing.T) {
	start, half := "User-agent: *\n#", "\nDisallow: /"
	s := newSite(t, map[string]string{"/": "page", "/robots.txt": start + strings.Repeat("x", robots.MaxSize-len(start)-len(half)) + half + "private\n# more"})
	assert.Equal(t, map[string]int{"stored": 1}, run(t, vfs.NewMem(), quick(s.URL)).Outcomes)
}

func TestAnEmptyBodyIsEmptyInAnyEncoding(t *testing.T) {
	for _, encoding := range []string{"gzip", "br", "zstd", "deflate"} {
		s := newSite(t, nil)
		s.mux["/"] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", encoding)
			w.Header().Set("Content-Type", "text/html")
		}
		assert.Equal(t, map[string]int{"empty": 1}, run(t, vfs.NewMem(), quick(s.URL)).Outcomes, encoding)
		assert.Equal(t, 1, s.count("/"), encoding)
	}
}

func TestHugeRobotsAndSitemapsAreReadInPart(t *testing.T) {
	s := newSite(t, map[string]string{"/": "<a href=/a>1</a><a href=/z>2</a>", "/a": "a", "/z": "z"})
	s.mux["/robots.txt"] = raw(func(w io.Writer) {
		endless(w, "HTTP/1.1 200 OK\r\n\r\nUser-agent: *\nDisallow: /a\nSitemap: /map\n", "# nothing\n")
	})
	s.mux["/map"] = raw(func(w io.Writer) {
		endless(w, "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n<urlset><url><loc>"+s.URL+"/z</loc></url>", "<url><loc>/a</loc></url>")
	})
	m := vfs.NewMem()
	run(t, m, quick(s.URL))
	assert.Equal(t, []string{"/", "/z"}, paths(archive(t, m)))
}

func TestAnInvalidCertificateIsAnError(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	s.Config.ErrorLog = nil
	p := run(t, vfs.NewMem(), quick(s.URL))
	assert.Equal(t, map[string]int{"dead host": 1}, p.Outcomes)
}

func TestEncodingsAndHTTP2AreSpoken(t *testing.T) {
	text := strings.Repeat("<a href=/gzip>1</a><a href=/br>2</a><a href=/zstd>3</a><a href=/deflate>4</a> text ", 50)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			http.Error(w, "not HTTP/2", http.StatusTeapot)
			return
		}
		var b bytes.Buffer
		var z io.WriteCloser
		name := strings.TrimPrefix(r.URL.Path, "/")
		switch name {
		case "robots.txt":
			http.NotFound(w, r)
			return
		case "gzip":
			z = gzip.NewWriter(&b)
		case "br":
			z = brotli.NewWriter(&b)
		case "zstd":
			z, _ = zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
		}
		w.Header().Set("Content-Type", "text/html")
		if z == nil {
			io.WriteString(w, text)
			return
		}
		w.Header().Set("Content-Encoding", name)
		fmt.Fprint(z, text, name)
		z.Close()
		w.Write(b.Bytes())
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	o, m := quick(s.URL), vfs.NewMem()
	o.roots = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	run(t, m, o)
	all := archive(t, m)
	assert.Equal(t, []string{"/", "/br", "/deflate", "/gzip", "/zstd"}, paths(all))
	for _, c := range all {
		switch c.path {
		case "/br", "/gzip", "/zstd":
			assert.Equal(t, text+c.path[1:], c.body)
			assert.Contains(t, c.header, "X-Crawl-Content-Encoding: "+c.path[1:])
			assert.NotContains(t, c.header, "\r\nContent-Encoding")
		}
	}
}

func TestHostileServersOverHTTP2AreSurvived(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		switch r.URL.Path {
		case "/":
			io.WriteString(w, "<a href=/endless>1</a><a href=/silent>2</a><a href=/reset>3</a><a href=/cut>4</a><a href=/header>5</a><a href=/good>6</a>")
		case "/endless":
			for _, err := w.Write(make([]byte, 1<<16)); err == nil; _, err = w.Write(make([]byte, 1<<16)) {
			}
		case "/silent":
			<-r.Context().Done()
		case "/reset":
			panic(http.ErrAbortHandler)
		case "/header":
			w.Header().Set("X", strings.Repeat("x", 1<<20))
		case "/cut":
			io.WriteString(w, "half")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case "/good":
			io.WriteString(w, "good")
		default:
			http.NotFound(w, r)
		}
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	o, m := quick(s.URL), vfs.NewMem()
	o.roots = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	o.Timeout = 500 * time.Millisecond
	p := run(t, m, o)
	all := archive(t, m)
	require.Equal(t, []string{"/", "/cut", "/endless", "/good"}, paths(all))
	assert.Equal(t, "half", all[1].body)
	assert.NotEmpty(t, all[2].body, "and cut, if not at the limit, then where the client gave up the connection, for the header's sake")
	assert.Equal(t, 3, p.Outcomes["no answer"], "silence, a reset, and a header of a megabyte")
}

func TestAddresses(t *testing.T) {
	for _, s := range []string{"8.8.8.8", "93.184.216.34", "2606:2800:220:1::1", "64:ff9b::808:808", "2002:808:808::1", "::ffff:8.8.8.8"} {
		assert.True(t, public(netip.MustParseAddr(s)), s)
	}
	for _, s := range []string{"127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "100.100.100.200",
		"192.0.0.192", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1",
		"::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "::127.0.0.1", "2001:db8::1", "fec0::1", "2001::1", "::ffff:0:127.0.0.1",
		"::ffff:0:8.8.8.8", "::8.8.8.8", "64:ff9b:1::808:808", "64:ff9b::a00:1", "64:ff9b::", "100::1", "3fff::1", "5f00::1", "4000::1", "168.63.129.16"} {
		assert.False(t, public(netip.MustParseAddr(s)), s)
	}
}

func TestNoRequestGoesToPrivateAddresses(t *testing.T) {
	secret := newSite(t, map[string]string{"/": "secret"})
	o := quick(secret.URL)
	o.Networks = nil
	m := vfs.NewMem()
	p := run(t, m, o)
	assert.Equal(t, map[string]int{"private address": 1}, p.Outcomes)
	assert.Empty(t, secret.requests())
	p = run(t, m, quick(secret.URL))
	assert.Equal(t, map[string]int{"stored": 1}, p.Outcomes, "the next run may allow what this one refused")
	assert.ErrorIs(t, guard(nil)("tcp", "[::ffff:10.0.0.1]:80", nil), ErrAddress)
}

func TestNamesBelowLocalhostAreThisMachineWhateverServersSay(t *testing.T) {
	s := newSite(t, map[string]string{"/": "page"})
	seeds := []string{"http://a.localhost:" + s.port() + "/", "http://b.c.LOCALHOST.:" + s.port() + "/"}
	o := quick(seeds...)
	o.resolver = names(t, func(string, int) net.IP { return net.IPv4(8, 8, 8, 8) })
	assert.Equal(t, 2, run(t, vfs.NewMem(), o).Outcomes["stored"])

	o = quick(seeds...)
	o.Networks = nil
	assert.Equal(t, map[string]int{"private address": 2}, run(t, vfs.NewMem(), o).Outcomes)
}

func TestRedirectsDoNotLeadToPrivateAddresses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip("no second loopback address")
	}
	asked := false
	secret := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true })}}
	secret.Start()
	defer secret.Close()
	s := newSite(t, nil)
	redirect := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, secret.URL+"/meta-data", http.StatusFound)
	}
	s.mux["/"] = redirect
	p := run(t, vfs.NewMem(), quick(s.URL))
	assert.Equal(t, map[string]int{"redirect": 1, "private address": 1}, p.Outcomes)
	s.mux["/robots.txt"] = redirect
	p = run(t, vfs.NewMem(), quick(s.URL))
	assert.Equal(t, map[string]int{"dead host": 1}, p.Outcomes, "rules that cannot be had forbid everything")
	assert.False(t, asked)
}

// names is a resolver whose n-th answer, from 0, for a name is what answer says; nil is no address.
func names(t testing.TB, answer func(name string, n int) net.IP) *net.Resolver {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { server.Close() })
	go func() {
		buffer, answers := make([]byte, 1500), map[string]int{}
		for {
			n, from, err := server.ReadFrom(buffer)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buffer[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m.Response, m.Additionals = true, nil
			if q.Type == dnsmessage.TypeA {
				name := strings.TrimSuffix(q.Name.String(), ".")
				if address := answer(name, answers[name]).To4(); address != nil {
					m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}, Body: &dnsmessage.AResource{A: [4]byte(address)}}}
				}
				answers[name]++
			}
			if b, err := m.Pack(); err == nil {
				_, _ = server.WriteTo(b, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("udp", server.LocalAddr().String())
	}}
}

// A name server answers first with an address that is allowed, then with one that is not.
func TestANameThatMovesToAPrivateAddressIsRefused(t *testing.T) {
	s := newSite(t, map[string]string{"/": "<a href=/a>1</a>", "/a": "a"})
	o := quick("http://moving.example:" + s.port())
	o.resolver = names(t, func(_ string, n int) net.IP { return net.IPv4(127, 0, 0, byte(1+min(n, 1))) })
	o.PerHost, o.Workers = 1, 1
	s.mux["/robots.txt"] = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		http.NotFound(w, r)
	}
	p := run(t, vfs.NewMem(), o)
	assert.Equal(t, map[string]int{"private address": 1}, p.Outcomes, "robots.txt came from the first answer, the page was to come from the second")
	assert.Equal(t, []string{"/robots.txt"}, s.requests())
}
