package crawl

import (
	"container/heap"
	"context"
	"net/netip"
	"strings"
	"sync"
	"time"

	"forja/engine/corpus/robots"
)

// Politeness is how a crawl spares the hosts that it visits.
type Politeness struct {
	Delay    time.Duration // between requests to a host, at least; 0 is no politeness but what a host asks for
	MaxDelay time.Duration // that a slow host can bring about; its own Crawl-delay may be longer
	Factor   float64       // times as long as a page took to load, the next one waits
	ByHost   bool          // keep Delay for each host; if not, all hosts at one address share it
	PerHost  int           // requests to a host at a time, where there is no delay
	Backoff  time.Duration // after the first 429 or 503; doubles with every further one
}

const (
	maxCrawlDelay = 5 * time.Minute
	maxRetryAfter = time.Hour
	maxBackoff    = 15 * time.Minute
	robotsAge     = 24 * time.Hour // RFC 9309, section 2.4
	maxDeadTries  = 8              // failures in a row after which a host is given up
	maxThrottles  = 12             // answers 429 or 503 in a row after which a host is given up
	maxAlone      = 8              // requests one at a time after one that broke, which takes others on its connection along
	maxEffort     = 12             // for a page that fails: a busy answer costs 1
	failedEffort  = 4              // and any other failure so much
	maxRobotTries = 3              // of a robots.txt that fails
	maxRules      = 128 << 20      // bytes of rules in memory
)

// A job is what a worker is to do: fetch a page, or the host's robots.txt, or find out where the host is.
type job struct {
	host   *host
	page   uint32
	locate bool
	robots bool
	rules  robots.Rules
	dead   bool
}

// A frontier decides what is fetched next. Servers wait in a heap for their time, and on each its hosts; each host has a queue in
// the order of discovery.
type frontier struct {
	mu       sync.Mutex
	changed  *sync.Cond
	manners  Politeness
	hosts    map[string]*host
	servers  map[netip.Prefix]*server // by address
	ready    serverHeap
	queued   int
	inFlight int
	tries    map[uint32]int // effort for pages that failed
	stopped  bool
	wake     *time.Timer

	ruled     []*host // those that have rules, the oldest first
	rulesSize int     // of them
}

func newFrontier(p Politeness) *frontier {
	f := &frontier{manners: p, hosts: map[string]*host{}, servers: map[netip.Prefix]*server{}, tries: map[uint32]int{}}
	f.changed = sync.NewCond(&f.mu)
	return f
}

// push adds a page to its host's queue.
func (f *frontier) push(page uint32, key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := f.hosts[key]
	if h == nil {
		h = &host{key: strings.Clone(key), server: &server{}} // the key is part of a URL
		f.hosts[h.key] = h
	}
	h.queue = append(h.queue, page)
	f.queued++
	f.enter(h)
}

// enter makes a host wait for its time, if it can be asked.
func (f *frontier) enter(h *host) {
	if h.waiting || h.asking || len(h.queue) == 0 || h.inFlight >= f.parallel(h) {
		return
	}
	h.waiting = true
	heap.Push(&h.server.ready, h)
	f.arrange(h.server)
}

// shares reports whether hosts at one address share the delay.
func (f *frontier) shares() bool { return f.manners.Delay > 0 && !f.manners.ByHost }

// parallel is how many requests a host may have at a time.
func (f *frontier) parallel(h *host) int {
	if f.manners.Delay > 0 || h.crawlDelay > 0 || h.backoff > 0 || h.alone > 0 {
		return 1
	}
	return max(1, f.manners.PerHost)
}

// take waits for the next job; ok is false when there is nothing left, or the crawl ends.
func (f *frontier) take(ctx context.Context) (j job, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		if f.stopped || ctx.Err() != nil {
			return job{}, false
		}
		if len(f.ready) == 0 {
			if f.inFlight == 0 {
				return job{}, false
			}
			f.changed.Wait()
			continue
		}
		s := f.ready[0]
		now := time.Now()
		if wait := s.next().Sub(now); wait > 0 {
			if f.wake != nil {
				f.wake.Stop()
			}
			f.wake = time.AfterFunc(wait, f.wakeAll)
			f.changed.Wait()
			continue
		}
		h := s.ready[0]
		heap.Pop(&s.ready)
		h.waiting = false
		h.inFlight++
		s.inFlight++
		f.inFlight++
		f.arrange(s)
		j = job{host: h, dead: h.dead}
		switch {
		case h.dead:
		case f.shares() && !h.located:
			j.locate = true
		case h.robotsAt.IsZero() || now.Sub(h.robotsAt) > robotsAge:
			j.robots = true
		}
		if h.asking = j.locate || j.robots; h.asking {
			return j, true
		}
		j.page, j.rules = h.queue[0], h.rules
		h.queue = h.queue[1:]
		f.queued--
		f.enter(h)
		return j, true
	}
}

// wakeAll makes those who wait look at the time. It needs the lock, or who is about to wait might miss it.
func (f *frontier) wakeAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changed.Broadcast()
}

// stop ends the crawl: take gives nothing more.
func (f *frontier) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopped = true
	f.changed.Broadcast()
}

// A report is how a request went, as far as manners go.
type report struct {
	sent      bool          // something went to the host
	elapsed   time.Duration // of the request
	failed    bool          // the host cannot be reached, says nothing, or does not come to an end
	broken    bool          // there was no answer, or none that makes sense
	throttled bool          // 429 or 503
	after     time.Duration // Retry-After
	address   netip.Addr    // of the server, if known
}

// leave ends a job on a host and sets when the host and its server are next asked.
func (f *frontier) leave(h *host, r report) {
	h.inFlight--
	h.server.inFlight--
	f.inFlight--
	was := h.server
	f.move(h, r.address)
	defer f.arrange(h.server)
	if !r.sent {
		return
	}
	switch {
	case r.throttled:
		h.backoff = min(max(2*h.backoff, f.manners.Backoff), maxBackoff)
		h.throttles++
	case r.failed:
		h.failures++
	default:
		h.failures, h.throttles = 0, 0
		if h.backoff = h.backoff * 3 / 4; h.backoff < f.manners.Backoff/4 {
			h.backoff = 0
		}
	}
	if h.alone = max(0, h.alone-1); r.broken {
		h.alone = maxAlone
	}
	if h.failures >= maxDeadTries || h.throttles >= maxThrottles {
		h.dead = true
	}
	wait := f.manners.Delay
	if wait > 0 {
		wait = max(wait, min(time.Duration(f.manners.Factor*float64(r.elapsed)), f.manners.MaxDelay))
	}
	now := time.Now()
	if wait > 0 {
		was.at = now.Add(wait)
		f.arrange(was)
		h.server.at = was.at
	}
	wait = max(wait, min(h.crawlDelay, maxCrawlDelay), h.backoff, min(r.after, maxRetryAfter))
	switch at := now.Add(wait); {
	case h.dead:
		h.at = time.Time{}
	case wait > 0 && at.After(h.at): // an answer does not take back what one before it asked for
		h.at = at
	case h.at.Before(now):
		h.at = time.Time{}
	}
	if h.waiting {
		heap.Fix(&h.server.ready, h.place)
	}
}

// locate ends a job for the address of a host, which is not valid if it could not be found out.
func (f *frontier) locate(j job, address netip.Addr) {
	f.mu.Lock()
	defer f.mu.Unlock()
	j.host.located, j.host.asking = true, false
	f.leave(j.host, report{address: address})
	f.enter(j.host)
	f.mayEnd()
}

// done ends a job for a page. If the page is to be tried again, and has not cost too much, it goes to the end of the queue, and the
// result is true.
func (f *frontier) done(j job, r report, again bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leave(j.host, r)
	if again && !j.host.dead {
		cost := failedEffort
		if r.throttled {
			cost = 1
		}
		if f.tries[j.page] += cost; f.tries[j.page] >= maxEffort {
			delete(f.tries, j.page)
			again = false
		} else {
			j.host.queue = append(j.host.queue, j.page)
			f.queued++
		}
	} else {
		delete(f.tries, j.page)
		again = false
	}
	f.enter(j.host)
	f.mayEnd()
	return again
}

// setRules ends a job for robots.txt. When the file cannot be had, ok is false: the host is asked again later, and given
// up after maxRobotTries.
func (f *frontier) setRules(j job, rules robots.Rules, ok bool, r report) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := j.host
	h.asking = false
	if ok {
		h.robotsAt, h.robotsTry = time.Now(), 0
		f.remember(h, rules)
	} else {
		r.throttled, r.failed = true, false
		if h.robotsTry++; h.robotsTry >= maxRobotTries {
			h.dead = true
		}
	}
	f.leave(h, r)
	f.enter(h)
	f.mayEnd()
}

// remember gives a host its rules. Those that take too much memory together are forgotten, the oldest first, to be asked for again.
func (f *frontier) remember(h *host, rules robots.Rules) {
	size := rules.Size()
	f.rulesSize += size - h.rulesSize
	if h.rulesSize == 0 && size > 0 {
		f.ruled = append(f.ruled, h)
	}
	h.rules, h.rulesSize, h.crawlDelay = rules, size, rules.CrawlDelay()
	for f.rulesSize > maxRules && f.ruled[0] != h {
		old := f.ruled[0]
		f.ruled = f.ruled[1:]
		f.rulesSize -= old.rulesSize
		old.rules, old.rulesSize, old.robotsAt = robots.Rules{}, 0, time.Time{}
	}
}

// mayEnd tells the workers that wait when nothing more can come.
func (f *frontier) mayEnd() {
	if f.inFlight == 0 && len(f.ready) == 0 {
		f.changed.Broadcast()
	}
}

func (f *frontier) sizes() (queued, inFlight, hosts int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.queued, f.inFlight, len(f.hosts)
}
