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

// touch notes an ordinary access of lane l to the shared memory of a block.
func (w *warp) touch(l int, b *block, at uint32, n int, write bool) {
	if b != w.b {
		w.reach(l, b)
	}
	switch {
	case b.check == nil:
	case write:
		b.check.write(w, l, at, n)
	default:
		b.check.read(w, l, at, n)
	}
}

// mustLive faults if a block has ended.
func (w *warp) mustLive(l int, b *block) {
	if b != w.b && b.ended() {
		faultf(l, "the block of rank %d has ended: its shared memory is gone", b.rank)
	}
}

// reach faults unless a block whose shared memory lane l touches is there: it must have started, and must not have ended.
func (w *warp) reach(l int, b *block) {
	if b == w.b {
		return
	}
	w.mustLive(l, b)
	if w.b.check == nil {
		return
	}
	n := len(w.b.warps)
	started := false
	for _, c := range w.clocks[b.rank*n : (b.rank+1)*n] {
		started = started || c != 0
	}
	if !started {
		faultf(l, "the block of rank %d may not have started: a cluster barrier before the first access to its shared memory is missing", b.rank)
	}
	m := mark{uint32(w.self), w.clocks[w.self], uint32(w.pc)}
	b.visit(m, m)
}

// visit is something that must be over when a block ends: who is ordered after m, or after or, knows that it is.
type visit struct{ m, or mark }

// visit notes a visit in place of earlier ones of the same kind.
func (b *block) visit(m, or mark) {
	if b.check == nil {
		return
	}
	for i := range b.ext.visits {
		if v := &b.ext.visits[i]; v.m.who == m.who && v.or.who == or.who {
			if m.clock >= v.m.clock {
				*v = visit{m, or}
			}
			return
		}
	}
	b.ext.visits = append(b.ext.visits, visit{m, or})
}

// endOrder checks, when the last warp of a block ends, that nobody can still touch its shared memory.
func (w *warp) endOrder() {
	b := w.b
	if b.check == nil {
		return
	}
	b.ext.final = joinClocks(b.ext.final, w.clocks)
	if !b.ended() {
		return
	}
	known := func(m mark) bool {
		return m.clock != 0 && int(m.who) < len(b.ext.final) && m.clock <= b.ext.final[m.who]
	}
	for _, v := range b.ext.visits {
		if known(v.m) || known(v.or) {
			continue
		}
		n := len(b.warps)
		who := "a bulk copy"
		if c := int(v.or.who); v.or.clock != 0 {
			who = "warp " + itoa(uint64(c%n)) + " of the block of rank " + itoa(uint64(c/n))
		}
		faultf(-1, "the block ends while %s%s may still touch its shared memory: no thread of the block has waited for it (a cluster barrier at the end does)",
			who, w.run.lineOf(v.m.pc))
	}
}

// launchWrite notes a cp.async of n bytes: nobody may touch them before a wait.
func (w *warp) launchWrite(l int, b *block, at uint32, n int) {
	c := b.check
	if c == nil {
		return
	}
	c.write(w, l, at, n)
	x := &w.ext.copies
	if x.actor == 0 {
		x.actor = w.u.newActor()
	}
	by := access{uint32(x.actor<<6 | l), uint32(x.issued), uint32(w.pc)}
	for i := at >> c.shift; i<<c.shift < at+uint32(n); i++ {
		c.cells[i].w = by
	}
}

// settleWrite makes what a cp.async has written an ordinary write of its thread, which has waited for it: so a fence.proxy.async
// must follow before wgmma or a bulk copy reads it.
func (w *warp) settleWrite(x *copyAsync, l int) {
	c := w.b.check
	if c == nil {
		return
	}
	who, at := uint32(w.ext.copies.actor<<6|l), x.dst[l]
	for i := at >> c.shift; i<<c.shift < at+uint32(x.n); i++ {
		if h := &c.cells[i]; h.w.who == who && h.w.clock == uint32(x.serial+1) {
			h.w = access{uint32(w.self<<6 | l), w.clocks[w.self], h.w.pc}
		}
	}
}

// launchBulk checks and notes what a load will write to its last target.
func (w *warp) launchBulk(c *bulkLoad) {
	x := c.targets[len(c.targets)-1]
	if x.b.check == nil {
		return
	}
	m := mark{uint32(x.bar.actor), x.phase + 1, uint32(w.pc)}
	x.b.check.asyncWrite(w, c.lane, c.at, c.bytes, access{m.who << 6, m.clock, m.pc}, c.layout)
	x.b.visit(m, mark{})
}

// launchStore checks and notes what a store will read.
func (w *warp) launchStore(c *bulkStore) {
	if w.b.check == nil {
		return
	}
	for i := int(c.from) / granuleBytes; i < (int(c.from)+c.bytes)/granuleBytes; i++ {
		w.b.check.asyncRead(w, c.lane, i)
		w.b.check.async.of[i].pending++
	}
}

// landStore notes that a store has read, as its thread knows now.
func (w *warp) landStore(c *bulkStore) {
	if w.b.check == nil {
		return
	}
	m := access{uint32(w.self<<6 | c.lane), w.clocks[w.self], c.pc}
	for i := int(c.from) / granuleBytes; i < (int(c.from)+c.bytes)/granuleBytes; i++ {
		w.b.check.async.of[i].pending--
		w.b.check.noteRead(i, m)
	}
}

// reader names an asynchronous read of a granule that is under way.
func (b *block) reader(at uint32) string {
	for g := range b.ext.groups {
		for _, p := range b.ext.groups[g].ops {
			found := false
			p.granules(func(i int) { found = found || uint32(i*granuleBytes) == at })
			if found && !p.decoded {
				return "the wgmma of warpgroup " + itoa(uint64(g)) + b.run.lineOf(uint32(p.pc))
			}
		}
	}
	for _, w := range b.warps {
		for _, c := range w.ext.stores.flying {
			if !c.freed && at >= c.from && at < c.from+uint32(c.bytes) {
				return "the bulk store of thread " + itoa(uint64(w.thread(c.lane))) + b.run.lineOf(c.pc)
			}
		}
	}
	return "a bulk copy"
}

// granules calls f with every granule of the operands in shared memory.
func (p *product) granules(f func(i int)) { p.operands(func(_ *matrixDesc, i int) { f(i) }) }

// operands is granules with the matrix that each belongs to.
func (p *product) operands(f func(m *matrixDesc, i int)) {
	walk := func(m *matrixDesc, rows int) {
		nmn, nk := m.chunks(rows)
		for mn := range nmn {
			for k := range nk {
				f(m, int(m.chunk(mn, k))/granuleBytes)
			}
		}
	}
	if p.in.a == nil {
		walk(&p.am, 64)
	}
	walk(&p.bm, p.in.columns)
}

// issueReads checks what a product will read for a warp that issues it. What the first warp finds to be written asynchronously is
// one list of moments for the others; what was written by threads is checked for each.
func (w *warp) issueReads(p *product) {
	c := w.b.check
	if c == nil {
		return
	}
	first := p.issued&(p.issued-1) == 0
	if first {
		p.needs, p.ordinary = p.needs[:0], false
		limit := len(c.async.of)
		p.operands(func(m *matrixDesc, i int) {
			if i >= limit {
				faultf(-1, "an operand of the wgmma reaches beyond the %d bytes of shared memory", len(w.b.shared)-reservedShared)
			}
			if g := &c.async.of[i]; !g.generic && g.layout != 0 && g.layout != layout(m.swizzle)+1 {
				faultf(-1, "the descriptor says %v, but shared memory at offset %d was written%s by a bulk copy with %v", m.swizzle, i*granuleBytes-reservedShared,
					w.run.line(&g.w), swizzle(g.layout-1))
			}
			p.need(c.asyncRead(w, -1, i))
			c.async.of[i].pending++
		})
		return
	}
	for _, a := range p.needs {
		if !w.ordered(&a, 0) {
			faultf(-1, "race: the wgmma reads shared memory which %s writes%s: this warp's wait for it is missing", w.u.thread(&a), w.run.line(&a))
		}
	}
	if p.ordinary {
		p.granules(func(i int) { c.asyncRead(w, -1, i) })
	}
}

func (p *product) need(a access) {
	if a.clock == 0 {
		p.ordinary = true
		return
	}
	for i := len(p.needs) - 1; i >= 0; i-- {
		if b := &p.needs[i]; b.who == a.who {
			if a.clock > b.clock {
				*b = a
			}
			return
		}
	}
	p.needs = append(p.needs, a)
}

// finishReads notes that a product has read its operands, as those know who wait for it.
func (w *warp) finishReads(p *product) {
	c := w.b.check
	if c == nil {
		return
	}
	g := w.group()
	if g.actor == 0 {
		g.actor = w.u.newActor()
	}
	m := access{uint32(g.actor << 6), uint32(p.serial + 1), uint32(p.pc)}
	p.granules(func(i int) {
		c.async.of[i].pending--
		c.noteRead(i, m)
	})
}

// useBarrier faults unless the initialisation of an mbarrier happened before.
func (w *warp) useBarrier(l int, b *block, m *mbarrier) {
	if b.check != nil && !w.ordered(&m.born, l) {
		faultf(l, "uses the mbarrier at shared %#x%s, which %s has initialised%s, with no synchronisation between",
			m.at, w.whose(b), w.u.thread(&m.born), w.run.line(&m.born))
	}
}

// ownBytes makes n bytes belong to an mbarrier, or to nobody.
func (w *warp) ownBytes(b *block, at uint32, n int, owned bool) {
	c := b.check
	if c == nil {
		return
	}
	c.ordinary(at, n)
	for i := at >> c.shift; i<<c.shift < at+uint32(n); i++ {
		c.cells[i] = history{}
		if owned {
			c.cells[i].w = access{mbarrierComponent << 6, 1, uint32(w.pc)}
		}
	}
}

// mbarrierComponent never happened before anything: ordinary accesses to an mbarrier are errors.
const mbarrierComponent = 1 << 24
