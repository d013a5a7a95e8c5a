package crawl

import (
	"container/heap"
	"net/netip"
	"time"

	"forja/engine/corpus/robots"
)

// A host is a site's queue and manners.
type host struct {
	key      string // scheme, host and port
	queue    []uint32
	at       time.Time // of the next request, at the earliest
	waiting  bool      // stands in its server's heap
	place    int       // there
	inFlight int
	server   *server
	located  bool // the server is known, as far as it can be

	rules      robots.Rules
	rulesSize  int
	crawlDelay time.Duration
	robotsAt   time.Time // when they were read; zero is never, or that they are forgotten
	robotsTry  int
	asking     bool // for its address or robots.txt, right now

	backoff   time.Duration
	throttles int // in a row
	failures  int // in a row
	alone     int // so many requests are made one at a time
	dead      bool
}

// A server is an address and the hosts behind it, which share its time. A host whose address does not matter, or is not
// known, has a server for itself.
type server struct {
	ready    hostHeap  // hosts with something to do
	at       time.Time // of the next request, at the earliest
	waiting  bool      // stands in the frontier's heap
	place    int       // there
	inFlight int
}

// next is when the server may be asked. It must have a host that is ready.
func (s *server) next() time.Time {
	if at := s.ready[0].at; at.After(s.at) {
		return at
	}
	return s.at
}

// network is what counts as one address: of version 6, what one customer gets.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // fits
	return p
}

// arrange puts a server into the frontier's heap, at its place there, or takes it out, as its state asks for.
func (f *frontier) arrange(s *server) {
	waits := len(s.ready) > 0 && !(f.shares() && s.inFlight > 0)
	switch {
	case waits && s.waiting:
		heap.Fix(&f.ready, s.place)
	case waits:
		s.waiting = true
		heap.Push(&f.ready, s)
	case s.waiting:
		s.waiting = false
		heap.Remove(&f.ready, s.place)
	}
	if waits {
		f.changed.Signal()
	}
}

// move brings a host to the server at an address.
func (f *frontier) move(h *host, address netip.Addr) {
	if !f.shares() || !address.IsValid() {
		return
	}
	key, from := network(address), h.server
	to := f.servers[key]
	if to == nil {
		to = &server{at: from.at}
		f.servers[key] = to
	}
	if to == from {
		return
	}
	// One server after the other: a heap with two wrong places at once cannot be mended.
	if h.waiting {
		heap.Remove(&from.ready, h.place)
	}
	from.inFlight -= h.inFlight
	f.arrange(from)
	if h.waiting {
		heap.Push(&to.ready, h)
	}
	to.inFlight += h.inFlight
	h.server = to
	f.arrange(to)
}

// hostHeap has the host first whose time comes first; among those, the one whose page was found first.
type hostHeap []*host

func (q hostHeap) Len() int { return len(q) }
func (q hostHeap) Less(i, j int) bool {
	if !q[i].at.Equal(q[j].at) {
		return q[i].at.Before(q[j].at)
	}
	return q[i].queue[0] < q[j].queue[0]
}
func (q hostHeap) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}
func (q *hostHeap) Push(x any) {
	h := x.(*host)
	h.place = len(*q)
	*q = append(*q, h)
}
func (q *hostHeap) Pop() any { return pop((*[]*host)(q)) }

// serverHeap has the server first that may be asked first.
type serverHeap []*server

func (q serverHeap) Len() int { return len(q) }
func (q serverHeap) Less(i, j int) bool {
	a, b := q[i].next(), q[j].next()
	if !a.Equal(b) {
		return a.Before(b)
	}
	return q[i].ready[0].queue[0] < q[j].ready[0].queue[0]
}
func (q serverHeap) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}
func (q *serverHeap) Push(x any) {
	s := x.(*server)
	s.place = len(*q)
	*q = append(*q, s)
}
func (q *serverHeap) Pop() any { return pop((*[]*server)(q)) }

func pop[T any](q *[]*T) *T {
	last := len(*q) - 1
	x := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return x
}
