// Package crawl is a polite web crawler whose output is WARC files. It obeys robots.txt and its kin, keeps a distance
// between requests, says who it is, and can be killed at any moment: started again on the same directory it goes on,
// with no page lost and none twice in the archive. It then also tries again what got no answer.
//
// State is one log and the archive, written through engine/vfs: log.go tells their protocol. The frontier hands pages
// to workers host by host; a worker fetches, archives, and commits what it found.
//
// A crawler is a gate into the network that it runs in, so it speaks only to public addresses, unless told
// otherwise, and everything that a server can make large has a limit.
//
// Deliberately absent: JavaScript, forms, logins and cookies, proxies, and any way to ignore robots.txt. Header fields
// are archived in the order of their names, for Go's HTTP client does not tell theirs.
package crawl

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"forja/engine/corpus/shard"
	"forja/engine/corpus/warc"
	"forja/engine/vfs"
)

// Options say what to crawl, and how. Zero values mean the defaults that the fields name.
type Options struct {
	Agent   string // product token, which robots.txt may name: "ForjaBot"
	Version string // behind the token: "1.0"
	Contact string // URL or mail address at which people reach who runs the crawl; needed
	Seeds   []string
	Links   io.Reader // what other shares left in [ForeignName]
	Share   shard.Share
	Scope   Scope
	Politeness
	Workers    int            // requests at a time: 64
	MaxPages   int            // that are archived; 0 is no limit
	MaxBody    int64          // bytes, received or unpacked: 10 MiB; more is cut off
	Timeout    time.Duration  // of a request: 60 s
	Networks   []netip.Prefix // addresses that are not public and may be asked all the same
	Types      []string       // media types to archive, as prefixes: text, PDF, EPUB
	NoSitemaps bool           // do not read the sitemaps that robots.txt names
	MaxFile    int64          // bytes of an archive file: 1 GB
	Level      int            // of gzip: 1
	SyncEvery  time.Duration  // how much a power loss may make to be fetched again: 1 s
	Previous   vfs.FS         // directory of an earlier crawl: what it found is asked for again, and what has not changed is not sent again
	Progress   func(Progress) // called now and then, and at the end
	Every      time.Duration  // between calls of Progress: 200 ms
	resolver   *net.Resolver  // for tests
	roots      *x509.CertPool // for tests
}

// Check says what is wrong with options, before anything is done.
func (o Options) Check() error {
	if _, err := o.withDefaults(); err != nil {
		return err
	}
	_, err := seedLinks(o.Seeds)
	return err
}

func (o Options) withDefaults() (Options, error) {
	o.Agent, o.Version = cmp.Or(o.Agent, "ForjaBot"), cmp.Or(o.Version, "1.0")
	if !strings.ContainsAny(o.Contact, ":@") {
		return o, errors.New("crawl: a contact is needed, a URL or mail address at which site owners can reach you")
	}
	if strings.ContainsAny(o.Agent+o.Version+o.Contact, "\r\n()") {
		return o, fmt.Errorf("crawl: agent %q, version %q, contact %q: no line ends or parentheses", o.Agent, o.Version, o.Contact)
	}
	o.Workers = cmp.Or(o.Workers, 64)
	o.MaxBody = cmp.Or(o.MaxBody, 10<<20)
	o.Timeout = cmp.Or(o.Timeout, time.Minute)
	o.MaxFile = cmp.Or(o.MaxFile, 1_000_000_000)
	o.SyncEvery = cmp.Or(o.SyncEvery, time.Second)
	o.Every = cmp.Or(o.Every, 200*time.Millisecond)
	o.Backoff = cmp.Or(o.Backoff, 5*time.Second)
	o.MaxDelay = cmp.Or(o.MaxDelay, 30*time.Second)
	o.PerHost = cmp.Or(o.PerHost, 8)
	if o.Share == (shard.Share{}) {
		o.Share = shard.All
	}
	if o.Types == nil {
		o.Types = []string{"text/html", "text/plain", "text/markdown", "text/x-", "application/xhtml+xml", "application/pdf", "application/epub+zip", "application/mbox"}
	}
	if o.Share.Index < 0 || o.Share.Index >= o.Share.Of {
		return o, fmt.Errorf("crawl: share %s: want an index from 0, below the number of shares", o.Share)
	}
	if o.Workers < 0 || o.MaxPages < 0 || o.MaxBody < 0 || o.MaxFile < 0 || o.Timeout < 0 || o.Delay < 0 || o.Scope.HostURLs < 0 {
		return o, fmt.Errorf("crawl: workers %d, pages %d, body %d, file %d, timeout %s, delay %s, URLs of a host %d: none may be negative", o.Workers, o.MaxPages,
			o.MaxBody, o.MaxFile, o.Timeout, o.Delay, o.Scope.HostURLs)
	}
	o.MaxBody = min(o.MaxBody, 1<<40) // and so one byte more is a number, too
	return o, nil
}

// Progress is how far a crawl is. Counts include those of earlier runs on the same directory.
type Progress struct {
	Pages    int            `json:"pages"`    // archived
	Bytes    int64          `json:"bytes"`    // archived, packed
	Received int64          `json:"received"` // of pages, unpacked, in this run
	Queued   int            `json:"queued"`
	InFlight int            `json:"in_flight"`
	Hosts    int            `json:"hosts"`
	Fetched  int            `json:"fetched"` // requests that were answered in this run
	Outcomes map[string]int `json:"outcomes"`
	Elapsed  time.Duration  `json:"elapsed_ns"`
}

// A crawl is one run.
type crawl struct {
	o        Options
	fetcher  *fetcher
	store    *store
	frontier *frontier
	encoder  *warc.Encoder
	previous *previous
	start    time.Time
	reading  sync.Mutex    // held while a sitemap or feed is taken apart
	heavy    chan struct{} // has an element for each large body that is worked on

	mu       sync.Mutex
	err      error // the first that ends the crawl
	fetched  int
	received int64
}

// Run crawls until nothing is left, the limit is reached, or the context ends, which is no error of the crawl: the
// error is the context's then, and everything finished is safe. The directory is locked meanwhile.
func Run(ctx context.Context, fsys vfs.FS, o Options) (Progress, error) {
	o, err := o.withDefaults()
	if err != nil {
		return Progress{}, err
	}
	seeds, err := seedLinks(o.Seeds)
	if err != nil {
		return Progress{}, err
	}
	unlock, err := vfs.Lock(fsys, ".")
	if err != nil {
		return Progress{}, err
	}
	defer unlock()
	c := &crawl{o: o, frontier: newFrontier(o.Politeness), encoder: &warc.Encoder{Gzip: true, Level: o.Level}, start: time.Now(), heavy: make(chan struct{}, maxHeavy)}
	c.fetcher = newFetcher(fetchOptions{agent: userAgent(o), perHost: o.PerHost, timeout: o.Timeout, networks: o.Networks, resolver: o.resolver, roots: o.roots})
	defer c.fetcher.close()
	if o.Previous != nil {
		if c.previous, err = openPrevious(o.Previous); err != nil {
			return Progress{}, err
		}
		defer c.previous.close()
	}
	archive := warc.ArchiveOptions{Dir: "warc", Prefix: "crawl", Suffix: ".warc.gz", MaxSize: o.MaxFile, Head: c.head}
	if c.store, err = openStore(fsys, archive, &c.o.Scope, time.Now, c.frontier.push); err != nil {
		return Progress{}, err
	}
	defer c.store.close()
	c.store.limit = o.MaxPages
	if err := c.begin(seeds); err != nil {
		return Progress{}, err
	}
	if c.store.full() {
		c.frontier.stop()
	}
	c.work(ctx)
	c.fail(c.store.sync())
	c.fail(c.store.writeForeign())
	p := c.progress()
	if o.Progress != nil {
		o.Progress(p)
	}
	if c.err == nil && ctx.Err() != nil {
		return p, context.Cause(ctx)
	}
	return p, c.err
}

// begin notes what the crawl starts with.
func (c *crawl) begin(seeds []link) error {
	if err := c.store.setShare(c.o.Share); err != nil {
		return err
	}
	if err := c.store.commit(done{page: none}, nil, seeds); err != nil {
		return err
	}
	if c.previous != nil {
		if err := c.previous.links(c.again); err != nil {
			return err
		}
	}
	if c.o.Links == nil {
		return nil
	}
	return c.store.takeIn(c.o.Links)
}

// again notes links of an earlier crawl, whose seeds may have been others.
func (c *crawl) again(links []link) error {
	links = slices.DeleteFunc(links, func(l link) bool {
		return l.list && (c.o.NoSitemaps || !c.o.Scope.hasHost(split(l.url), c.store.hosts))
	})
	for i := range links {
		links[i].seed = false
	}
	return c.store.commit(done{page: none}, nil, links)
}

func userAgent(o Options) string {
	contact := o.Contact
	if strings.Contains(contact, "://") {
		contact = "+" + contact
	}
	return fmt.Sprintf("%s/%s (%s)", o.Agent, o.Version, contact)
}

// head is the warcinfo record at the start of an archive file.
func (c *crawl) head(name string) []byte {
	d := warc.Info(time.Now(), warc.Header{{Name: "software", Value: "forja"}, {Name: "format", Value: "WARC File Format 1.1"},
		{Name: "conformsTo", Value: "http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/"},
		{Name: "http-header-user-agent", Value: userAgent(c.o)}, {Name: "operator", Value: c.o.Contact}, {Name: "robots", Value: "RFC 9309"}})
	d.Extra = warc.Header{{Name: "WARC-Filename", Value: name}}
	return c.encoder.Append(nil, &d)
}

func seedLinks(seeds []string) (links []link, err error) {
	for _, s := range seeds {
		if !strings.Contains(s, "://") {
			s = "https://" + s
		}
		u, ok := Normalize(nil, s)
		if !ok {
			return nil, fmt.Errorf("crawl: seed %q is no http or https URL", s)
		}
		links = append(links, link{url: u.String(), seed: true})
	}
	return links, nil
}

// work runs the workers, and syncs and reports meanwhile.
func (c *crawl) work(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stopWaiting := context.AfterFunc(ctx, c.frontier.stop)
	defer stopWaiting()
	var workers, keepers sync.WaitGroup
	finished := make(chan struct{})
	keepers.Go(func() { every(finished, c.o.SyncEvery, func() { c.fail(c.store.sync()) }) })
	if c.o.Progress != nil {
		keepers.Go(func() { every(finished, c.o.Every, func() { c.o.Progress(c.progress()) }) })
	}
	for range max(1, c.o.Workers) {
		workers.Go(func() {
			w := &worker{crawl: c}
			for {
				j, ok := c.frontier.take(ctx)
				if !ok {
					return
				}
				switch {
				case j.locate:
					w.locate(ctx, j)
				case j.robots:
					w.askRobots(ctx, j)
				default:
					w.visit(ctx, j)
				}
			}
		})
	}
	workers.Wait()
	close(finished)
	keepers.Wait()
}

// every calls f in intervals until a channel is closed.
func every(stop <-chan struct{}, interval time.Duration, f func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			f()
		}
	}
}

// fail ends the crawl with an error, if it is one.
func (c *crawl) fail(err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	c.mu.Unlock()
	c.frontier.stop()
}

func (c *crawl) progress() Progress {
	p := Progress{Outcomes: map[string]int{}, Elapsed: time.Since(c.start)}
	p.Queued, p.InFlight, p.Hosts = c.frontier.sizes()
	c.mu.Lock()
	p.Fetched, p.Received = c.fetched, c.received
	c.mu.Unlock()
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	for i, n := range c.store.counts {
		if n > 0 {
			p.Outcomes[outcome(i).String()] = n
		}
	}
	p.Pages, p.Bytes = c.store.archived(), c.store.bytes
	return p
}

// archived is how many pages stand in the archive. The lock must be held.
func (s *store) archived() int {
	return s.counts[outcomeStored] + s.counts[outcomeRevisit] + s.counts[outcomeUnchanged]
}
