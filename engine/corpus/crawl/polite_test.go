package crawl

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"forja/engine/corpus/robots"
	"forja/engine/vfs"
)

// gaps are the times between the requests of a crawl of three pages.
func gaps(t *testing.T, o Options, robots string, answer func(n int, w http.ResponseWriter) bool) []time.Duration {
	var mu sync.Mutex
	var times []time.Time
	s := newSite(t, map[string]string{"/robots.txt": robots})
	page := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			mu.Lock()
			times = append(times, time.Now())
			n := len(times)
			mu.Unlock()
			if answer == nil || !answer(n, w) {
				w.Header().Set("Content-Type", "text/html")
				io.WriteString(w, body)
			}
		}
	}
	s.mux["/"], s.mux["/1"], s.mux["/2"] = page("<a href=/1>x</a><a href=/2>x</a>"), page("one"), page("two")
	o.Seeds = []string{s.URL}
	assert.Equal(t, 3, run(t, vfs.NewMem(), o).Pages)
	var list []time.Duration
	for i := 1; i < len(times); i++ {
		list = append(list, times[i].Sub(times[i-1]))
	}
	return list
}

func TestRequestsKeepTheirDistance(t *testing.T) {
	const d = 40 * time.Millisecond
	o := quick()
	o.Delay = d
	for _, g := range gaps(t, o, "", nil) {
		assert.GreaterOrEqual(t, g, d, "the delay of the options")
	}
	for _, g := range gaps(t, quick(), "User-agent: *\nCrawl-delay: 0.04", nil) {
		assert.GreaterOrEqual(t, g, d, "the delay that the site asks for")
	}
	o.Delay, o.Factor = time.Millisecond, 2
	for _, g := range gaps(t, o, "", func(_ int, w http.ResponseWriter) bool { time.Sleep(20 * time.Millisecond); return false }) {
		assert.GreaterOrEqual(t, g, 60*time.Millisecond, "a slow site: its answer's time and twice that")
	}
}

func TestBusySitesAreLeftAlone(t *testing.T) {
	t.Parallel()
	o := quick()
	o.Backoff = 30 * time.Millisecond
	list := gaps(t, o, "", func(n int, w http.ResponseWriter) bool {
		switch n {
		case 1, 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 3:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		}
		return n <= 3
	})
	require.Len(t, list, 5)
	assert.GreaterOrEqual(t, list[0], 30*time.Millisecond)
	assert.GreaterOrEqual(t, list[1], 60*time.Millisecond, "twice as long the second time")
	assert.GreaterOrEqual(t, list[2], time.Second, "as long as the site says")
	assert.GreaterOrEqual(t, list[3], 60*time.Millisecond, "and slower for a while")
}

// Of requests that are under way together, one is told to come back in an hour.
func TestALaterAnswerDoesNotShortenTheWaitThatAHostAskedFor(t *testing.T) {
	f := newFrontier(Politeness{PerHost: 2, Backoff: time.Second})
	for page := range uint32(3) {
		f.push(page, "http://x")
	}
	j, _ := f.take(t.Context())
	f.setRules(j, robots.Rules{}, true, report{sent: true})
	first, _ := f.take(t.Context())
	second, _ := f.take(t.Context())
	f.done(first, report{sent: true, throttled: true, after: time.Hour}, false)
	f.done(second, report{sent: true}, false)
	assert.Greater(t, time.Until(first.host.at), 59*time.Minute)
}

func TestStatusesOfRobotsMeanWhatTheStandardSays(t *testing.T) {
	for status, allowed := range map[int]bool{200: false, 403: true, 404: true, 410: true, 429: false, 500: false, 503: false} {
		s := newSite(t, map[string]string{"/": "page"})
		s.mux["/robots.txt"] = func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, "User-agent: *\nDisallow: /")
		}
		p := run(t, vfs.NewMem(), quick(s.URL))
		assert.Equal(t, allowed, p.Pages == 1, "status %d", status)
	}
}

func TestRobotsMayBeElsewhere(t *testing.T) {
	for hops, allowed := range map[int]bool{3: false, 5: false, 7: true} {
		s := newSite(t, map[string]string{"/": "page", "/hop0": "User-agent: *\nDisallow: /"})
		to := func(n int) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, fmt.Sprintf("/hop%d", n), http.StatusMovedPermanently)
			}
		}
		for n := 1; n < hops; n++ {
			s.mux[fmt.Sprintf("/hop%d", n)] = to(n - 1)
		}
		s.mux["/robots.txt"] = to(hops - 1)
		p := run(t, vfs.NewMem(), quick(s.URL))
		assert.Equal(t, allowed, p.Pages == 1, "%d redirects; beyond five there is no file", hops)
	}
}

// However a rule and a link are escaped, they meet.
func TestRulesAndURLsHaveOneForm(t *testing.T) {
	for rule, ref := range map[string]string{
		"/%62%61%7A":  "/baz",
		"/a<b":        "/a%3cb",
		"/a%3Cb":      "/a<b",
		"/a%2fb":      "/a%2Fb",
		"/caf\u00e9":  "/caf%C3%A9",
		"/~me":        "/%7Eme",
		"/100%":       "/100%",
		"/*?q=%7e*x$": "/a?q=~yx",
		"/x?a|b":      "/x?a|b",
		"/a b":        "/a%20b/c",
		"/$":          "",
	} {
		u, ok := Normalize(nil, "http://x"+ref)
		require.True(t, ok)
		rules := robots.Parse([]byte("User-agent: *\nDisallow: " + rule)).For("x").Rewrite(normalRule)
		assert.False(t, rules.Allowed(u.String()), "%s, %s", rule, u)
	}
	rules := robots.Parse([]byte("User-agent: *\nDisallow: /a%2Fb\nDisallow: /c%2A\nCrawl-delay: 2")).For("x").Rewrite(normalRule)
	assert.True(t, rules.Allowed("http://x/a/b"), "an escaped slash is no slash")
	assert.True(t, rules.Allowed("http://x/cd"), "an escaped star is no wildcard")
	assert.Equal(t, 2*time.Second, rules.CrawlDelay())
}

func TestHalfARobotsFileForbids(t *testing.T) {
	s := newSite(t, map[string]string{"/": "page"})
	s.mux["/robots.txt"] = raw(func(w io.Writer) { io.WriteString(w, head+"Content-Length: 1000\r\n\r\nUser-agent: *\nAllow: /\n") })
	assert.Equal(t, map[string]int{"dead host": 1}, run(t, vfs.NewMem(), quick(s.URL)).Outcomes)
}

func TestRobotsAreAskedForOnceADay(t *testing.T) {
	f := newFrontier(Politeness{})
	take := func() job {
		j, ok := f.take(t.Context())
		require.True(t, ok)
		return j
	}
	for page := range uint32(3) {
		f.push(page, "http://x")
	}
	j := take()
	assert.True(t, j.robots)
	f.setRules(j, robots.Rules{}, true, report{sent: true})
	for _, age := range []time.Duration{0, robotsAge - time.Minute} {
		j.host.robotsAt = time.Now().Add(-age)
		page := take()
		assert.False(t, page.robots, "%s", age)
		f.done(page, report{sent: true}, false)
	}
	j.host.robotsAt = time.Now().Add(-robotsAge - time.Second)
	assert.True(t, take().robots)
}

func TestTheRulesOfManyHostsTakeABoundedMemory(t *testing.T) {
	rules := robots.Parse([]byte("User-agent: *\n" + strings.Repeat("Disallow: /a*b*c\n", 20_000))).For("x")
	hosts := 2*maxRules/rules.Size() + 1
	f := newFrontier(Politeness{})
	for page := range uint32(2 * hosts) {
		f.push(page, fmt.Sprintf("http://host%d", page/2))
	}
	asked := map[string]int{}
	for {
		j, ok := f.take(t.Context())
		if !ok {
			break
		}
		if j.robots {
			asked[j.host.key]++
			f.setRules(j, rules, true, report{sent: true})
		} else {
			assert.False(t, j.rules.Allowed("http://x/abc"), "no page goes without its rules")
			f.done(j, report{sent: true}, false)
		}
		assert.LessOrEqual(t, f.rulesSize, maxRules)
	}
	assert.Len(t, asked, hosts)
	f.push(uint32(2*hosts), "http://host0")
	j, _ := f.take(t.Context())
	assert.True(t, j.robots, "the rules of the first are forgotten")
}

func TestAHostThatIsAlwaysBusyIsGivenUp(t *testing.T) {
	pages := map[string]string{"/": ""}
	for i := range 100 {
		pages["/"] += fmt.Sprintf("<a href=/%d>x</a>", i)
	}
	s := newSite(t, pages)
	for i := range 100 {
		s.mux[fmt.Sprintf("/%d", i)] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	}
	o := quick(s.URL)
	o.Backoff = 10 * time.Microsecond
	p := run(t, vfs.NewMem(), o)
	assert.Zero(t, p.Queued)
	assert.Equal(t, 100, p.Outcomes["dead host"]+p.Outcomes["no answer"], "the next run tries them all again")
	assert.Less(t, len(s.requests()), 2+maxThrottles+o.PerHost)
}

func TestAPageThatIsAlwaysBusyDoesNotKeepItsHost(t *testing.T) {
	s, want := chain(t, 31)
	s.mux["/1"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }
	o := quick(s.URL + "/0")
	o.Backoff = 10 * time.Microsecond
	p := run(t, vfs.NewMem(), o)
	assert.Equal(t, maxEffort, s.count("/1"))
	assert.Equal(t, 1, p.Outcomes["no answer"])
	assert.Greater(t, p.Pages, len(want)/3, "all but what is behind it")
}

func TestHostsAtOneAddressShareTheDelay(t *testing.T) {
	t.Parallel()
	const d = 40 * time.Millisecond
	for _, byHost := range []bool{false, true} {
		var mu sync.Mutex
		var times []time.Time
		s := newSite(t, nil)
		s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			times = append(times, time.Now())
			mu.Unlock()
			fmt.Fprint(w, "<html>", r.Host)
		})
		o := quick("http://a.example:"+s.port(), "http://b.example:"+s.port(), "http://c.example:"+s.port(), s.URL)
		o.resolver = names(t, func(string, int) net.IP { return net.IPv4(127, 0, 0, 1) })
		o.Delay, o.ByHost = d, byHost
		assert.Equal(t, 4, run(t, vfs.NewMem(), o).Pages)
		require.Len(t, times, 8, "four files of rules and four pages")
		shortest := time.Hour
		for i := 1; i < len(times); i++ {
			shortest = min(shortest, times[i].Sub(times[i-1]))
		}
		assert.Equal(t, byHost, shortest < d, "by host %t: %s", byHost, shortest)
	}
}

// Many hosts on few addresses, which they change between requests, and many workers.
func TestNoAddressIsAskedTwiceAtATime(t *testing.T) {
	const hosts, addresses, pages, delay = 30, 4, 5, 500 * time.Microsecond
	f := newFrontier(Politeness{Delay: delay, PerHost: 8})
	for page := range uint32(hosts * pages) {
		f.push(page, fmt.Sprintf("http://host%d", page%hosts))
	}
	at := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(n % addresses)}) }
	var mu sync.Mutex
	busy, last, done := map[*server]bool{}, map[*server]time.Time{}, map[uint32]int{}
	var workers sync.WaitGroup
	for range 16 {
		workers.Go(func() {
			for {
				j, ok := f.take(t.Context())
				if !ok {
					return
				}
				n, err := strconv.Atoi(strings.TrimPrefix(j.host.key, "http://host"))
				require.NoError(t, err)
				if j.locate {
					f.locate(j, at(n))
					continue
				}
				f.mu.Lock()
				s := j.host.server // it stays this host's until the job ends
				f.mu.Unlock()
				mu.Lock()
				assert.False(t, busy[s])
				assert.GreaterOrEqual(t, time.Since(last[s]), delay)
				busy[s] = true
				mu.Unlock()
				time.Sleep(100 * time.Microsecond)
				mu.Lock()
				busy[s], last[s] = false, time.Now()
				if !j.robots {
					done[j.page]++
				}
				count := len(done)
				mu.Unlock()
				r := report{sent: true, address: at(n + count%2)}
				if j.robots {
					f.setRules(j, robots.Rules{}, true, r)
				} else {
					f.done(j, r, false)
				}
			}
		})
	}
	workers.Wait()
	require.Len(t, done, hosts*pages)
	for page, times := range done {
		assert.Equal(t, 1, times, "page %d", page)
	}
	assert.Len(t, f.servers, addresses)
}

func TestAnAddressIsOneOfVersion4OrANetworkOfVersion6(t *testing.T) {
	for text, want := range map[string]string{"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32", "2001:db8:1:2:3::4": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64"} {
		assert.Equal(t, netip.MustParsePrefix(want), network(netip.MustParseAddr(text)), text)
	}
}

func TestHostsDoNotWaitForEachOther(t *testing.T) {
	s, want := chain(t, 7)
	other, _ := chain(t, 7)
	o := quick(s.URL+"/0", other.URL+"/0", "http://127.0.0.1:1/")
	o.Delay = 10 * time.Millisecond
	start := time.Now()
	m := vfs.NewMem()
	p := run(t, m, o)
	assert.Equal(t, 2*len(want), p.Pages)
	assert.Equal(t, 1, p.Outcomes["dead host"])
	assert.Less(t, time.Since(start), 3*time.Second)
}

func TestASilentHostGetsAnotherChanceNextTime(t *testing.T) {
	s, want := chain(t, 3)
	up := s.Config.Handler
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	m := vfs.NewMem()
	assert.Equal(t, map[string]int{"dead host": 1}, run(t, m, quick(s.URL+"/0")).Outcomes)
	s.Config.Handler = up
	run(t, m, quick())
	assert.Equal(t, want, paths(archive(t, m)))
}

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for v, want := range map[string]time.Duration{"120": 2 * time.Minute, "Fri, 02 Jan 2026 03:05:05 GMT": time.Minute, "Fri, 02 Jan 2026 03:00:00 GMT": 0, "-1": 0, "soon": 0, "": 0} {
		assert.Equal(t, want, retryAfter(http.Header{"Retry-After": {v}}, now), v)
	}
}

// The test program runs itself as a crawler, is killed, and looks at what is left.
func TestACrawlThatIsKilledGoesOn(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv("CRAWL_AND_BE_KILLED"); dir != "" {
		disk, err := vfs.OS(dir)
		require.NoError(t, err)
		o := quick(os.Getenv("CRAWL_SEED"))
		o.Delay, o.SyncEvery, o.Every = time.Millisecond, 10*time.Millisecond, time.Millisecond
		o.Progress = func(p Progress) { fmt.Println("fetched", p.Fetched) }
		_, err = Run(t.Context(), disk, o)
		require.NoError(t, err)
		fmt.Println("finished")
		return
	}
	s, want := chain(t, 63)
	dir := t.TempDir()
	for kills := 0; ; kills++ {
		cmd := exec.Command(os.Args[0], "-test.run=^TestACrawlThatIsKilledGoesOn$")
		cmd.Env = append(os.Environ(), "CRAWL_AND_BE_KILLED="+dir, "CRAWL_SEED="+s.URL+"/0")
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		finished := false
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var n int
			if _, err := fmt.Sscanf(lines.Text(), "fetched %d", &n); err == nil && n >= 20 && kills < 3 {
				_ = cmd.Process.Kill()
			}
			finished = finished || strings.HasPrefix(lines.Text(), "finished")
		}
		_ = cmd.Wait()
		if finished {
			require.Positive(t, kills, "it was never killed")
			break
		}
		require.Less(t, kills, 20)
	}
	disk, err := vfs.OS(dir)
	require.NoError(t, err)
	assert.Equal(t, want, paths(archive(t, disk)))
	asked, different := 0, map[string]bool{}
	for _, r := range s.requests() {
		if r != "/robots.txt" {
			asked++
			different[r] = true
		}
	}
	assert.LessOrEqual(t, asked, len(different)+3*4, "only requests in flight are repeated: as many as workers, at each of three kills")
}

func TestNothingRunsOnAfterACrawl(t *testing.T) {
	s, _ := chain(t, 7)
	before := goleak.IgnoreCurrent()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	o := quick(s.URL+"/0", "http://127.0.0.1:1/")
	o.Delay, o.Every, o.Progress = 10*time.Millisecond, time.Millisecond, func(Progress) {}
	_, err := Run(ctx, vfs.NewMem(), o)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	s.CloseClientConnections()
	goleak.VerifyNone(t, before)
}
