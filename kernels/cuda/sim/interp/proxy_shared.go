package interp

// Shared memory is written and read in two ways: by the ordinary instructions of threads, the generic proxy, and by bulk copies
// and wgmma, the asynchronous proxy. The checker keeps a history of cells for the first and, here, of granules of 16 bytes for
// the second. What is asynchronous has components of its own in the vector clocks:
//
//   - an mbarrier: the number of its completed phases. A bulk load writes at phase + 1 of the mbarrier that it completes on, and
//     so is ordered before those who have seen that phase end, and before nobody else;
//   - a warpgroup: the number of its completed wgmma;
//   - the cp.async of a warp: how many of them have landed.
//
// An asynchronous access checks, when it is issued, that all accesses before it are ordered before the issuing thread, and that
// ordinary writes were followed by a fence.proxy.async of the writing thread, which the issuing thread knows of.

const granuleBytes = 16

// layout is how a bulk copy arranges what it writes to shared memory: unknown, or 1 + the swizzle of its tensor map.
type layout uint8

// mark is a moment of a component, 0 for never.
type mark struct {
	who   uint32 // component
	clock uint32
	pc    uint32
}

// sharedGranule is the history of 16 bytes.
type sharedGranule struct {
	w       access    // the last asynchronous write; may still be under way
	generic bool      // the cells tell more than w: there were ordinary accesses since
	more    bool      // there are more reads in checker.reads
	layout  layout    // in which w wrote
	pending uint16    // asynchronous reads under way
	r       [2]access // completed asynchronous reads since
}

// granules of a checker and what does not fit into them.
type granules struct {
	of   []sharedGranule
	more map[int][]access // completed asynchronous reads since the last write
}

func (g *granules) reset(bytes int) {
	if g.of == nil {
		g.of = make([]sharedGranule, (bytes+granuleBytes-1)/granuleBytes)
	}
	clear(g.of)
	g.more = nil
}

// ordinary prepares the cells of n bytes for an ordinary access: where an asynchronous write came last, they take it over.
func (c *checker) ordinary(at uint32, n int) {
	for i := int(at) / granuleBytes; i <= (int(at)+n-1)/granuleBytes; i++ {
		if g := &c.async.of[i]; !g.generic {
			g.generic = true
			c.eachCell(i, func(h *history) { h.written(g.w, c.sets) })
		}
	}
}

// eachCell calls f with the cells of a granule.
func (c *checker) eachCell(i int, f func(h *history)) {
	first := i * granuleBytes >> c.shift
	last := min((i+1)*granuleBytes>>c.shift, len(c.cells))
	for j := first; j < max(last, first+1); j++ {
		f(&c.cells[j])
	}
}

// overwrite checks that no asynchronous read of n bytes is under way or unordered before an ordinary write.
func (c *checker) overwrite(w *warp, l int, at uint32, n int) {
	for i := int(at) / granuleBytes; i <= (int(at)+n-1)/granuleBytes; i++ {
		if g := &c.async.of[i]; g.pending != 0 || g.r[0].clock != 0 {
			c.noReads(w, l, i, "writes")
			g.r, g.more = [2]access{}, false
			delete(c.async.more, i)
		}
	}
}

// noReads faults if asynchronous reads of a granule are under way, or have ended but the warp cannot know it.
func (c *checker) noReads(w *warp, l, i int, verb string) {
	g := &c.async.of[i]
	at := i*granuleBytes - reservedShared
	if g.pending != 0 {
		faultf(l, "race: %s shared memory at offset %d%s, which %s still reads: the wait for it is missing",
			verb, at, w.whose(c.b), c.b.reader(uint32(i*granuleBytes)))
	}
	check := func(a *access) {
		if a.clock != 0 && !w.ordered(a, l) {
			faultf(l, "race: %s shared memory at offset %d%s, which an asynchronous read%s has read, with no synchronisation between",
				verb, at, w.whose(c.b), w.run.line(a))
		}
	}
	check(&g.r[0])
	check(&g.r[1])
	if g.more {
		for k := range c.async.more[i] {
			check(&c.async.more[i][k])
		}
	}
}

// lineOf is where in the source an instruction is, for messages.
func (l *launch) lineOf(pc uint32) string { return l.line(&access{pc: pc}) }

// noteRead adds a completed asynchronous read.
func (c *checker) noteRead(i int, m access) {
	g := &c.async.of[i]
	for k := range g.r {
		if g.r[k].clock == 0 || g.r[k].who == m.who {
			g.r[k] = m
			return
		}
	}
	g.more = true
	if c.async.more == nil {
		c.async.more = map[int][]access{}
	}
	for k := range c.async.more[i] {
		if c.async.more[i][k].who == m.who {
			c.async.more[i][k] = m
			return
		}
	}
	c.async.more[i] = append(c.async.more[i], m)
}

// asyncWrite checks that a copy that lane l issues may overwrite n bytes, and notes the write.
func (c *checker) asyncWrite(w *warp, l int, at uint32, n int, by access, how layout) {
	for i := int(at) / granuleBytes; i < (int(at)+n)/granuleBytes; i++ {
		g := &c.async.of[i]
		off := i*granuleBytes - reservedShared
		if g.pending != 0 || g.r[0].clock != 0 {
			c.noReads(w, l, i, "overwrites")
		}
		if !g.generic {
			if g.w.clock != 0 && !w.ordered(&g.w, l) {
				faultf(l, "race: overwrites shared memory at offset %d%s, which %s writes or has written%s, with no synchronisation between",
					off, w.whose(c.b), w.u.thread(&g.w), w.run.line(&g.w))
			}
		} else {
			c.eachCell(i, func(h *history) {
				if h.w.clock != 0 && !w.ordered(&h.w, l) {
					faultf(l, "race: overwrites shared memory at offset %d%s, which %s has written%s, with no synchronisation between",
						off, w.whose(c.b), w.u.thread(&h.w), w.run.line(&h.w))
				}
				if r := h.unordered(w, l, c.sets); r != nil {
					faultf(l, "race: overwrites shared memory at offset %d%s, which %s has read%s, with no synchronisation between",
						off, w.whose(c.b), w.u.thread(r), w.run.line(r))
				}
				w.needFence(l, c, off, &h.w, "overwrites")
				h.eachRead(c.sets, func(a *access) {
					if !w.proxyFenced(a, false) {
						faultf(l, "overwrites shared memory at offset %d%s asynchronously, which %s has read%s without a fence.proxy.async after it (and before the synchronisation)",
							off, w.whose(c.b), w.u.thread(a), w.run.line(a))
					}
				})
			})
		}
		if g.more {
			delete(c.async.more, i)
		}
		*g = sharedGranule{w: by, layout: how}
	}
}

// asyncRead checks that a copy or product that lane l issues (-1: the whole warp) may read a granule, and gives the moment of its
// asynchronous write.
func (c *checker) asyncRead(w *warp, l, i int) access {
	g := &c.async.of[i]
	off := i*granuleBytes - reservedShared
	if !g.generic {
		switch {
		case g.w.clock == 0:
			faultf(l, "reads shared memory at offset %d that nobody has written", off)
		case !w.ordered(&g.w, l):
			faultf(l, "race: reads shared memory at offset %d, which %s writes%s: the wait for it is missing", off, w.u.thread(&g.w), w.run.line(&g.w))
		}
		return g.w
	}
	c.eachCell(i, func(h *history) {
		switch {
		case h.w.clock == 0:
			faultf(l, "reads shared memory at offset %d that nobody has written", off)
		case !w.orderedOrOwn(&h.w, l):
			faultf(l, "race: reads shared memory at offset %d, which %s has written%s, with no synchronisation between",
				off, w.u.thread(&h.w), w.run.line(&h.w))
		}
		w.needFence(l, c, off, &h.w, "reads")
	})
	return access{}
}

// orderedOrOwn is ordered, but for an instruction of the whole warp all of the warp's own accesses count.
func (w *warp) orderedOrOwn(a *access, l int) bool {
	return l < 0 && int(a.who&^many>>6) == w.self || w.ordered(a, l)
}

// eachRead calls f with the reads of a cell since it was last written.
func (h *history) eachRead(s *readSets, f func(a *access)) {
	switch {
	case h.r.clock == 0:
	case h.r.who&many == 0:
		f(&h.r)
	default:
		for i, v := range s.row(h.r.who &^ many) {
			if v != 0 {
				f(&access{uint32(i)<<6 | v&63, v >> 6, h.r.pc})
			}
		}
	}
}

// proxyFence is one fence.proxy.async of a warp.
type proxyFence struct {
	clock, lanes   uint32
	shared, global bool
}

// proxyFenced tells whether the thread that made an ordinary access executed a fence.proxy.async for that kind of memory afterwards, and
// the warp knows. What is not a thread's access needs none.
func (w *warp) proxyFenced(a *access, global bool) bool {
	who := int(a.who >> 6)
	per := len(w.b.warps)
	if a.clock == 0 || who >= per*len(w.u.blocks) {
		return true
	}
	writer := w.u.blocks[who/per].warps[who%per]
	lanes := uint32(1) << (a.who & 31)
	if a.who&several != 0 { // one of them is not enough
		lanes = writer.live
	}
	for _, f := range writer.ext.fences {
		if f.clock >= a.clock && f.lanes&lanes == lanes && (f.global && global || f.shared && !global) &&
			(writer == w || who < len(w.clocks) && f.clock < w.clocks[who]) {
			return true
		}
	}
	return false
}

// needFence faults unless the thread that made an ordinary write executed fence.proxy.async afterwards, and the warp knows.
func (w *warp) needFence(l int, c *checker, off int, a *access, verb string) {
	if w.proxyFenced(a, false) {
		return
	}
	faultf(l, "%s shared memory at offset %d%s asynchronously, which %s has written%s without a fence.proxy.async after it (and before the synchronisation)",
		verb, off, w.whose(c.b), w.u.thread(a), w.run.line(a))
}

// fenceProxy is fence.proxy.async by the lanes in m.
func (w *warp) fenceProxy(m uint32, shared, global bool) {
	if shared {
		w.fenceBarriers(m)
	}
	if w.b.check == nil {
		return
	}
	const keep = 64
	if len(w.ext.fences) == keep {
		w.ext.fences = append(w.ext.fences[:0], w.ext.fences[1:]...)
	}
	w.ext.fences = append(w.ext.fences, proxyFence{w.clocks[w.self], m, shared, global})
	w.clocks[w.self]++
}

// newActor is a new component of the vector clocks.
func (u *unit) newActor() int {
	x := &u.blocks[0].ext
	x.actors = max(x.actors, len(u.blocks)*len(u.blocks[0].warps)) + 1
	return x.actors - 1
}

// learn adds to what the warp knows that a component has reached clock.
func (w *warp) learn(actor int, clock uint32) {
	if w.b.check == nil {
		return
	}
	for len(w.clocks) <= actor {
		w.clocks = append(w.clocks, 0)
	}
	w.clocks[actor] = max(w.clocks[actor], clock)
}
