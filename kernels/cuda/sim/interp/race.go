package interp

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// raceMap watches global memory during a launch. Threads of one unit, a block or a cluster, are ordered
// as in shared memory; different units only by atomic accesses to the same word after a fence.
type raceMap struct {
	shift  uint // log2 of the bytes of a cell
	mu     sync.Mutex
	tables map[*allocation]*raceTable
	words  map[uint64]*word
	used   atomic.Bool // some word has been published
}

// raceTable is the pages of an allocation, made when they are first touched.
type raceTable struct{ pages []atomic.Pointer[racePage] }

const (
	pageShift = 8 // log2 of the cells of a page
	pageCells = 1 << pageShift
)

type racePage struct {
	mu    sync.Mutex
	cells [pageCells]globalCell
	sets  readSets
}

// globalCell is a history with the units that made it.
type globalCell struct {
	history
	wunit, runit uint32
}

// manyUnits says that more than one unit has read a cell.
const manyUnits = 1<<32 - 1

// word is what is known at a word of memory that is accessed atomically: by unit, the clocks of its warps.
type word struct{ seen map[uint32][]uint32 }

func (h *Heap) newRaces(k *Kernel) *raceMap {
	return &raceMap{
		shift: uint(bits.TrailingZeros(uint(k.globalGrain))), tables: map[*allocation]*raceTable{}, words: map[uint64]*word{},
	}
}

// table finds the pages of an allocation.
func (w *warp) table(a *allocation) *raceTable {
	if w.recent.a == a {
		return w.recent.t
	}
	r := w.run.races
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tables[a]
	if t == nil {
		n := (len(a.data)>>r.shift)>>pageShift + 1
		t = &raceTable{pages: make([]atomic.Pointer[racePage], n)}
		r.tables[a] = t
	}
	w.recent.a, w.recent.t = a, t
	return t
}

// page finds or makes page i.
func (t *raceTable) page(i, width int) *racePage {
	if p := t.pages[i].Load(); p != nil {
		return p
	}
	p, _ := spare.Get().(*racePage)
	if p == nil {
		p = &racePage{}
	} else {
		clear(p.cells[:])
	}
	p.sets.reset(width)
	if t.pages[i].CompareAndSwap(nil, p) {
		return p
	}
	spare.Put(p)
	return t.pages[i].Load()
}

// spare are pages of launches that have ended.
var spare sync.Pool

// release gives the pages back.
func (r *raceMap) release() {
	for _, t := range r.tables {
		for i := range t.pages {
			if p := t.pages[i].Load(); p != nil {
				spare.Put(p)
			}
		}
	}
}

// globalRow checks an access of n bytes by each lane of a full warp, one after the other from addr. It
// is false if they are not all within one allocation.
func (u *unit) globalRow(w *warp, addr uint64, n int, load bool) bool {
	a := w.run.h.find(addr)
	if a == nil || addr < a.addr || addr-a.addr+uint64(32*n) > uint64(len(a.data)) || addr&uint64(n-1) != 0 {
		return false
	}
	off := int(addr - a.addr)
	if load {
		w.written(a, off, 32*n, func(at int) int { return (at - off) / n })
	} else {
		a.mark(off, 32*n)
	}
	t, shift := w.table(a), w.run.races.shift
	perLane := n >> shift // a power of two
	lane := uint(bits.TrailingZeros(uint(perLane)))
	first, last := off>>shift, (off+32*n)>>shift
	now, unit := w.now(0), uint32(u.id)
	for i := first; i < last; {
		p := t.page(i>>pageShift, len(w.clocks))
		end := min(last, (i>>pageShift+1)<<pageShift)
		p.mu.Lock()
		for ; i < end; i++ {
			c, l := &p.cells[i&(pageCells-1)], (i-first)>>lane
			if c.w.clock == 0 && (c.r.clock == 0 || !load && c.runit == unit && c.r.who == now.who|uint32(l)) { // the usual case
				if load {
					c.r, c.runit = access{now.who | uint32(l), now.clock, now.pc}, unit
				} else {
					c.history, c.wunit = history{w: access{now.who | uint32(l), now.clock, now.pc}}, unit
				}
				continue
			}
			w.touchGlobal(p, i&(pageCells-1), l, a, i<<shift, load, !load, false)
		}
		p.mu.Unlock()
	}
	return true
}

// written faults if one of n bytes from off has not been written.
func (w *warp) written(a *allocation, off, n int, lane func(at int) int) {
	if w.run.h.blind.Load() {
		return
	}
	if at := a.unwritten(off, n); at >= 0 {
		faultf(lane(at), "reads offset %d of %s, which has %d bytes: nobody has written it", at, a.name, len(a.data))
	}
}

// checkGlobal notes that lane l reads or writes n bytes of global memory. What is out of bounds is left
// to the access itself.
func (w *warp) checkGlobal(l int, addr uint64, n int, read, write, isAtomic bool) {
	a := w.run.h.find(addr)
	if a == nil || addr < a.addr || addr-a.addr+uint64(n) > uint64(len(a.data)) {
		return
	}
	off := int(addr - a.addr)
	if read {
		w.written(a, off, n, func(int) int { return l })
	}
	if write {
		a.mark(off, n)
	}
	t, shift := w.table(a), w.run.races.shift
	for i := off >> shift; i<<shift < off+n; {
		p := t.page(i>>pageShift, len(w.clocks))
		p.mu.Lock()
		for end := (i>>pageShift + 1) << pageShift; i < end && i<<shift < off+n; i++ {
			w.touchGlobal(p, i&(pageCells-1), l, a, i<<shift, read, write, isAtomic)
		}
		p.mu.Unlock()
	}
}

// touchGlobal notes an access to one cell of a locked page.
func (w *warp) touchGlobal(p *racePage, i, l int, a *allocation, off int, read, write, isAtomic bool) {
	c := &p.cells[i]
	unit := uint32(w.u.id)
	if c.w.clock != 0 && !(isAtomic && c.w.pc&atomicAccess != 0) && !w.sees(c.wunit, &c.w, l) {
		w.race(p, l, a, off, write, c.wunit, &c.w, "written")
	}
	if write {
		if c.r.clock != 0 && !(isAtomic && c.r.pc&atomicAccess != 0) {
			switch {
			case c.runit == manyUnits:
				if len(w.u.seen) == 0 {
					w.race(p, l, a, off, write, manyUnits, &c.r, "read")
				}
			case c.runit == unit:
				if r := c.unordered(w, l, &p.sets); r != nil {
					w.race(p, l, a, off, write, unit, r, "read")
				}
			case c.r.who&many != 0:
				if len(w.u.seen) == 0 {
					w.race(p, l, a, off, write, c.runit, &c.r, "read")
				}
			default:
				if !w.sees(c.runit, &c.r, l) {
					w.race(p, l, a, off, write, c.runit, &c.r, "read")
				}
			}
		}
		c.written(w.now(l), &p.sets)
		c.wunit = unit
		if isAtomic {
			c.w.pc |= atomicAccess
		}
		return
	}
	switch {
	case c.r.clock == 0:
		c.runit, c.r = unit, w.now(l)
		if isAtomic {
			c.r.pc |= atomicAccess
		}
	case c.runit == unit:
		c.read(w, l, &p.sets)
	case c.runit != manyUnits:
		c.written(c.w, &p.sets) // gives back the row of readers, if there is one
		c.runit, c.r = manyUnits, w.now(l)
	}
}

// sees tells whether an access of a unit happened before what lane l does now.
func (w *warp) sees(unit uint32, a *access, l int) bool {
	if unit == uint32(w.u.id) {
		return w.ordered(a, l)
	}
	known := w.u.seen[unit]
	c := int(a.who >> 6)
	return c < len(known) && a.clock <= known[c]
}

// race faults; it unlocks the page.
func (w *warp) race(p *racePage, l int, a *allocation, off int, write bool, unit uint32, other *access, what string) {
	p.mu.Unlock() // others may go on to their own errors
	verb := "reads"
	if write {
		verb = "writes"
	}
	who := "another block"
	switch {
	case unit == uint32(w.u.id):
		who = w.u.thread(other)
	case unit != manyUnits:
		who = w.run.blockName(unit)
	}
	faultf(l, "race: %s offset %d of %s, which %s has %s%s, with no synchronisation between", verb, off, a.name, who, what, w.run.line(other))
}

// releaseFence makes what happened before visible to whoever sees a later atomic access of this warp.
func (w *warp) releaseFence(uint32) {
	if w.b.check == nil {
		return
	}
	w.fenced = joinClocks(w.fenced, w.clocks)
	w.clocks[w.self]++
}

// wordAt finds the word at an address of global or shared memory.
func (w *warp) wordAt(addr uint64, create bool) *word {
	words := w.run.races.words
	if addr >= paramBase {
		if w.u.words == nil {
			w.u.words = map[uint64]*word{}
		}
		words = w.u.words
		if b, at := w.sharedPlace(addr); b != nil {
			addr = uint64(b.rank)<<32 | uint64(at)
		}
	}
	x := words[addr]
	if x == nil && create {
		x = &word{seen: map[uint32][]uint32{}}
		words[addr] = x
	}
	return x
}

// observeWord learns what was published at the word at addr. A fence between the access and what relies
// on it is not asked for.
func (w *warp) observeWord(addr uint64, _ bool) {
	r := w.run.races
	if !r.used.Load() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	x := w.wordAt(addr, false)
	if x == nil {
		return
	}
	for unit, known := range x.seen {
		if unit == uint32(w.u.id) {
			w.acquire(known)
			continue
		}
		if w.u.seen == nil {
			w.u.seen = map[uint32][]uint32{}
		}
		w.u.seen[unit] = joinClocks(w.u.seen[unit], known)
	}
}

// publishWord hands on, at the word at addr, what fences have made visible.
func (w *warp) publishWord(addr uint64, _ bool) {
	if w.fenced == nil {
		return
	}
	r := w.run.races
	r.mu.Lock()
	defer r.mu.Unlock()
	x := w.wordAt(addr, true)
	me := uint32(w.u.id)
	x.seen[me] = joinClocks(x.seen[me], w.fenced)
	for unit, known := range w.u.seen { // what it has learned itself
		x.seen[unit] = joinClocks(x.seen[unit], known)
	}
	r.used.Store(true)
}
