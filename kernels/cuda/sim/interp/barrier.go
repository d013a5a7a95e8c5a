package interp

import (
	"math/bits"
	"strconv"
)

func itoa(v uint64) string { return strconv.FormatUint(v, 10) }
func hex(v uint64) string  { return strconv.FormatUint(v, 16) }

// barrier is one of the sixteen barriers of a block.
type barrier struct {
	expected int // threads, 0 for all that have not ended
	arrived  int // threads, a warp counting as 32
	who      uint32
	waiting  []waiter // blocked until the count is complete
	clocks   []uint32 // what those who arrived knew
	count    int      // of bar.red: lanes with a true predicate
	all, any bool
}

// waiter is a warp at a barrier, and what is to be done for it when it goes on.
type waiter struct {
	w    *warp
	done func(bar *barrier)
}

func init() {
	families["bar"] = translateBar
	families["barrier"] = translateBar
}

// translateBar makes bar.sync, bar.arrive, bar.red and bar.warp.sync, and barrier.cta. Without
// .aligned a barrier may be executed by a part of a warp; here that is an error as well, since no
// compiler of these kernels asks for it.
func translateBar(o *operands) op {
	if o.part[0] == "bar" && o.has("warp.sync") {
		if !o.want(1, 1) {
			return nil
		}
		mask := o.slotOf(0, "b32")
		return func(w *warp, m uint32) {
			w.members(m, &w.r[mask])
			w.syncWarp()
		}
	}
	o.has("cta")
	o.has("aligned")
	switch o.one("sync", "arrive", "red") {
	case "sync":
		return o.barrier(0, true, nil)
	case "arrive":
		if !o.want(2, 2) {
			return nil
		}
		return o.barrier(0, false, nil)
	case "red":
		return o.barrierReduce()
	}
	return nil
}

// barrier makes an arrival at the barrier that operand first names, of as many threads as the next
// operand says.
func (o *operands) barrier(first int, wait bool, arrive func(w *warp, bar *barrier) func(*barrier)) op {
	number := o.slotOf(first, "u32")
	threads := -1
	if len(o.arg) > first+1 && arrive == nil || len(o.arg) > first+2 {
		threads = o.slotOf(first+1, "u32")
	}
	if wait {
		o.in.kind = waits
	}
	return func(w *warp, m uint32) {
		w.whole(m)
		l := bits.TrailingZeros32(m)
		n := w.r[number][l]
		if n > 15 {
			faultf(-1, "barrier %d: a block has 16", n)
		}
		expected := 0
		if threads >= 0 {
			expected = int(w.r[threads][l])
			if expected == 0 || expected%32 != 0 || expected > 1024 {
				faultf(-1, "a barrier of %d threads: not a multiple of 32 up to 1024", expected)
			}
		}
		bar := &w.b.bars[n]
		if bar.who == 0 {
			bar.expected, bar.all = expected, true
		} else if bar.expected != expected {
			faultf(-1, "barrier %d expects %s, this arrival %s", n, countOf(bar.expected), countOf(expected))
		}
		if bar.who>>w.id&1 != 0 {
			faultf(-1, "warp %d arrives at barrier %d for the second time before the others have", w.id, n)
		}
		bar.who |= 1 << w.id
		bar.arrived += 32
		bar.clocks = w.releaseInto(bar.clocks)
		var done func(*barrier)
		if arrive != nil {
			done = arrive(w, bar)
		}
		if wait {
			bar.waiting = append(bar.waiting, waiter{w, done})
			w.state, w.yield = blocked, true
		}
		w.u.events++
		w.b.complete(int(n))
	}
}

func countOf(threads int) string {
	if threads == 0 {
		return "all threads"
	}
	return strconv.Itoa(threads) + " threads"
}

// complete lets the waiting warps of a barrier go on if everybody has arrived.
func (b *block) complete(n int) {
	bar := &b.bars[n]
	expected := bar.expected
	if expected == 0 {
		for _, w := range b.warps {
			if w.state != done {
				expected += 32
			}
		}
	}
	if bar.who == 0 || bar.arrived < expected {
		return
	}
	if bar.arrived > expected {
		faultf(-1, "%d threads have arrived at barrier %d, which expects %d", bar.arrived, n, expected)
	}
	for _, x := range bar.waiting {
		x.w.state = ready
		x.w.acquire(bar.clocks)
		if x.done != nil {
			x.done(bar)
		}
	}
	*bar = barrier{waiting: bar.waiting[:0], clocks: bar.clocks[:0]}
	b.u.events++
}

// left lets barriers of all threads go on when a warp has ended.
func (b *block) left() {
	for n := range b.bars {
		if b.bars[n].who != 0 && b.bars[n].expected == 0 {
			b.complete(n)
		}
	}
}

// barrierReduce makes bar.red: a barrier that combines a predicate of all threads.
func (o *operands) barrierReduce() op {
	how := o.one("popc", "and", "or")
	if how == "popc" != (o.typ == "u32") || how != "popc" && o.typ != "pred" || !o.want(3, 4) {
		return nil
	}
	p, neg := o.pred(o.arg[len(o.arg)-1])
	d := 0
	if how == "popc" {
		d = o.slot(0)
	} else {
		d, _ = o.pred(o.arg[0])
	}
	return o.barrier(1, true, func(w *warp, bar *barrier) func(*barrier) {
		mine := w.pred(p, neg) & w.live
		bar.count += bits.OnesCount32(mine)
		bar.all = bar.all && mine == w.live
		bar.any = bar.any || mine != 0
		live := w.live
		return func(bar *barrier) {
			if how == "popc" {
				each(live, func(l int) { w.r[d][l] = uint64(bar.count) })
				return
			}
			value := bar.any
			if how == "and" {
				value = bar.all
			}
			w.setPred(d, live, -uint32(b2u(value)))
		}
	})
}
