package interp

// What the threads of a block may do with shared memory, their own and that of the other blocks of the cluster, and with mbarriers.

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
