package crawl

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/corpus/shard"
	"forja/engine/vfs"
)

// web is a web of n hosts with two pages each, all of which lead to each other, and its resolver.
func web(t testing.TB, n int) (seed string, resolver *net.Resolver, want []string) {
	s := newSite(t, nil)
	var links strings.Builder
	for i := range n {
		for _, name := range []string{"www", "docs"} {
			want = append(want, fmt.Sprintf("http://%s.site%d.example:%s/", name, i, s.port()))
			fmt.Fprintf(&links, "<a href=%s>x</a>", want[len(want)-1])
		}
	}
	s.mux["/"] = func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>"+r.Host+links.String()) }
	slices.Sort(want)
	return want[0], names(t, func(string, int) net.IP { return net.IPv4(127, 0, 0, 1) }), want
}

// archivedURLs are the URLs in an archive, sorted.
func archivedURLs(t testing.TB, fsys vfs.FS) (urls []string) {
	for _, c := range archive(t, fsys) {
		urls = append(urls, c.uri)
	}
	slices.Sort(urls)
	return urls
}

func TestSharesDivideHostsAndHandOverTheirLinks(t *testing.T) {
	seed, resolver, want := web(t, 10)
	const shares = 3
	disks := make([]*vfs.Mem, shares)
	share := func(i int, links io.Reader) Progress {
		o := quick(seed)
		o.Scope.AnyHost, o.resolver, o.Share, o.Links = true, resolver, shard.Share{Index: i, Of: shares}, links
		return run(t, disks[i], o)
	}
	for i := range disks {
		disks[i] = vfs.NewMem()
		share(i, nil)
	}
	var all []string
	domains := map[string]int{}
	for i := range disks {
		var links []io.Reader
		for k := range disks {
			if b, err := vfs.ReadFile(disks[k], ForeignName, 1<<20); k != i && err == nil {
				links = append(links, strings.NewReader(string(b)))
			}
		}
		p := share(i, io.MultiReader(links...))
		urls := archivedURLs(t, disks[i])
		require.NotEmpty(t, urls, "share %d", i)
		assert.Equal(t, len(want)-len(urls), p.Outcomes["other share"], "every link that is not its own is handed over once")
		for _, u := range urls {
			domain := split(u).domain()
			if of, ok := domains[domain]; ok {
				assert.Equal(t, of, i, "hosts of one domain stay together")
			}
			domains[domain] = i
		}
		all = append(all, urls...)
	}
	slices.Sort(all)
	assert.Equal(t, want, all)

	o := quick(seed)
	o.Share = shard.Share{Index: 1, Of: shares}
	_, err := Run(t.Context(), disks[0], o)
	assert.ErrorContains(t, err, "0/3")
	o.Share = shard.Share{Index: 3, Of: 3}
	assert.Error(t, o.Check())
}

func TestLinksOfOthersMustMakeSense(t *testing.T) {
	for _, line := range []string{"x", `{"url":"ftp://x/"}`, `{"url":"http://x/","depth":-1}`, `{"url":"http://x/","hops":-1}`, strings.Repeat("x", 1<<17)} {
		o := quick()
		o.Links = strings.NewReader("\n" + line)
		_, err := Run(t.Context(), vfs.NewMem(), o)
		assert.ErrorContains(t, err, "links", "%.50s", line)
	}
}
