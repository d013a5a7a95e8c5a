package crawl

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"forja/engine/vfs"
)

// pages20k serves n pages of 20 KB, each with ten links of its own site.
func pages20k(t testing.TB, n int) string {
	var filler bytes.Buffer
	for i := 0; filler.Len() < 19_000; i++ {
		fmt.Fprintf(&filler, "<p class=\"row\">Paragraph %d of a page, which says %x and some more words.</p>\n", i, uint32(i)*2654435761)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i, err := strconv.Atoi(r.URL.Path[1:])
		if err != nil || i >= n {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "<html><title>page %d</title>", i)
		for k := range 10 {
			if to := 10*i + k + 1; to < n {
				fmt.Fprintf(w, "<a href=/%d>to %d</a> ", to, to)
			}
		}
		w.Write(filler.Bytes())
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return "http://" + l.Addr().String() + "/0"
}

// BenchmarkLoopback crawls a site of 20 KB pages in the same process: server and crawler share the processors.
func BenchmarkLoopback(b *testing.B) {
	const n = 5000
	seed := pages20k(b, n)
	for b.Loop() {
		disk, err := vfs.OS(b.TempDir())
		require.NoError(b, err)
		o := quick(seed)
		o.Workers, o.PerHost = 32, 32
		start := time.Now()
		p := run(b, disk, o)
		require.Equal(b, n, p.Pages)
		b.ReportMetric(n/time.Since(start).Seconds(), "pages/s")
		disk.Close()
	}
}

// noteURLs puts n URLs of a thousand hosts into a store and says how much memory they take.
func noteURLs(t testing.TB, s *store, n int) (bytes int64) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := 0; i < n; i += 1000 {
		var links []link
		for k := range 1000 {
			u, _ := Normalize(nil, fmt.Sprintf("http://host%d.example/some/folder/page-number-%d.html", (i+k)%1000, i+k))
			links = append(links, link{url: u.String()})
		}
		require.NoError(t, s.commit(done{page: none}, nil, links))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Len(t, s.offsets, n)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

func TestAURLTakesLittleMemory(t *testing.T) {
	const n = 20_000
	f := newFrontier(Politeness{})
	disk, err := vfs.OS(t.TempDir())
	require.NoError(t, err)
	defer disk.Close()
	s, err := openStore(disk, archiveForTests, &Scope{MaxDepth: -1, AnyHost: true}, time.Now, f.push)
	require.NoError(t, err)
	defer s.close()
	perURL := noteURLs(t, s, n) / n
	require.Less(t, perURL, int64(250), "bytes, of which a host has its share")
	runtime.KeepAlive(f)
}

// BenchmarkMillionURLs notes a million URLs, and reads the log again.
func BenchmarkMillionURLs(b *testing.B) {
	for b.Loop() {
		disk, err := vfs.OS(b.TempDir())
		require.NoError(b, err)
		f := newFrontier(Politeness{})
		s, err := openStore(disk, archiveForTests, &Scope{MaxDepth: -1, AnyHost: true}, time.Now, f.push)
		require.NoError(b, err)
		b.ReportMetric(float64(noteURLs(b, s, 1_000_000))/1e6, "MB")
		runtime.KeepAlive(f)
		require.NoError(b, s.sync())
		s.close()
		start := time.Now()
		s, err = openStore(disk, archiveForTests, &Scope{}, time.Now, func(uint32, string) {})
		require.NoError(b, err)
		b.ReportMetric(time.Since(start).Seconds(), "s-to-reopen")
		s.close()
		disk.Close()
	}
}
