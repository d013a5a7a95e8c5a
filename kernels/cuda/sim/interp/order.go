package interp

// The checker finds races by happens-before (Flanagan and Freund, "FastTrack"): every warp has a vector
// of clocks that says how much of every other warp's past it knows. Barriers hand these vectors on. The
// lanes of a warp share a clock: they are ordered among each other by bar.warp.sync and by barriers only.

// order is what a warp knows of the order of events.
type order struct {
	self   int      // component of clocks that is the warp's own
	clocks []uint32 // by component, warps of the unit first: accesses up to this clock happened before; the own one is now
	epoch  uint32   // own accesses before this clock are ordered for every lane of the warp
	fenced []uint32 // what a fence has made visible beyond the block
}

// startOrder forgets everything.
func (w *warp) startOrder() {
	n := len(w.b.warps)
	w.self = w.b.rank*n + w.id
	w.clocks = append(w.clocks[:0], make([]uint32, n*len(w.u.blocks))...)
	w.clocks[w.self] = 1
	w.epoch = 1
	w.fenced = nil
}

// syncWarp orders what the lanes of this warp did before what they do next.
func (w *warp) syncWarp() {
	if w.b.check != nil {
		w.clocks[w.self]++
		w.epoch = w.clocks[w.self]
	}
}

// release is what this warp knows now, for those who will wait for it; nil without the checker.
func (w *warp) release() []uint32 {
	if w.b.check == nil {
		return nil
	}
	known := append([]uint32(nil), w.clocks...)
	w.clocks[w.self]++
	return known
}

// releaseInto is release, joined to what others have released.
func (w *warp) releaseInto(known []uint32) []uint32 {
	if w.b.check == nil {
		return known
	}
	known = joinClocks(known, w.clocks)
	w.clocks[w.self]++
	return known
}

// acquire orders everything that a release knew before what this warp does next.
func (w *warp) acquire(known []uint32) {
	if w.b.check == nil {
		return
	}
	w.clocks = joinClocks(w.clocks, known)
	if w.self < len(known) && known[w.self] >= w.epoch {
		w.epoch = known[w.self] + 1
	}
}

// joinClocks adds what b knows to a.
func joinClocks(a, b []uint32) []uint32 {
	for len(a) < len(b) {
		a = append(a, 0)
	}
	for i, c := range b {
		if c > a[i] {
			a[i] = c
		}
	}
	return a
}

// access is who touched a cell of memory, when, and where in the program.
type access struct {
	who   uint32 // component << 6 | several lanes << 5 | lane
	clock uint32 // 0: nobody
	pc    uint32
}

// several marks an access by more than one lane of a warp; many, a set of accesses kept elsewhere.
const (
	several = 1 << 5
	many    = 1 << 31
)

// now is an access by a lane of this warp.
func (w *warp) now(l int) access {
	return access{uint32(w.self<<6 | l), w.clocks[w.self], uint32(w.pc)}
}

// ordered tells whether an access happened before what lane l does now.
func (w *warp) ordered(a *access, l int) bool {
	c := int(a.who &^ many >> 6)
	if c == w.self {
		return a.clock < w.epoch || a.who&(several|31) == uint32(l)
	}
	return c < len(w.clocks) && a.clock <= w.clocks[c]
}

// thread names who made an access, for messages.
func (u *unit) thread(a *access) string {
	n := len(u.blocks[0].warps)
	c := int(a.who >> 6)
	switch {
	case c == mbarrierComponent:
		return "an mbarrier"
	case c >= n*len(u.blocks):
		return "an asynchronous copy"
	}
	s := "thread " + itoa(uint64(c%n*32)+uint64(a.who&31))
	if len(u.blocks) > 1 {
		s += " of the block of rank " + itoa(uint64(c/n))
	}
	return s
}

// line is where in the source an access was.
func (l *launch) line(a *access) string {
	pc := int(a.pc &^ atomicAccess)
	if pc >= len(l.k.code) {
		return ""
	}
	return " at line " + itoa(uint64(l.k.code[pc].line))
}

// readSets holds, for cells that several warps have read since the last write, a row of reads by
// component: clock << 6 | several lanes << 5 | lane, 0 for none.
type readSets struct {
	width int // components
	v     []uint32
	free  []uint32
}

// reset forgets all rows.
func (s *readSets) reset(width int) {
	s.width = width
	s.v, s.free = s.v[:0], s.free[:0]
}

// row is row i.
func (s *readSets) row(i uint32) []uint32 { return s.v[int(i)*s.width:][:s.width] }

// take finds an empty row.
func (s *readSets) take() uint32 {
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		clear(s.row(i))
		return i
	}
	i := len(s.v) / s.width
	for range s.width {
		s.v = append(s.v, 0)
	}
	return uint32(i)
}

// history is the last write of a cell and the reads since: one, or with many in who, a row of readSets.
type history struct{ w, r access }

// read notes a read.
func (h *history) read(w *warp, l int, s *readSets) {
	r := &h.r
	clock := w.clocks[w.self]
	switch {
	case r.clock == 0:
		*r = w.now(l)
	case r.who&many != 0:
		v := &s.row(r.who &^ many)[w.self]
		lane := uint32(l)
		if *v>>6 >= w.epoch && *v&31 != lane {
			lane |= several
		}
		*v = clock<<6 | lane
		r.pc = uint32(w.pc)
	case int(r.who>>6) == w.self:
		lane := uint32(l)
		if r.clock >= w.epoch && r.who&31 != lane {
			lane |= several
		}
		*r = access{uint32(w.self<<6) | lane, clock, uint32(w.pc)}
	case w.ordered(r, l), int(r.who>>6) >= s.width:
		*r = w.now(l)
	default:
		i := s.take()
		row := s.row(i)
		row[r.who>>6] = r.clock<<6 | r.who&63
		row[w.self] = clock<<6 | uint32(l)
		*r = access{many | i, 1, uint32(w.pc)}
	}
}

// unordered finds a read that did not happen before what lane l does now.
func (h *history) unordered(w *warp, l int, s *readSets) *access {
	if h.r.clock == 0 {
		return nil
	}
	if h.r.who&many == 0 {
		if w.ordered(&h.r, l) {
			return nil
		}
		return &h.r
	}
	for i, v := range s.row(h.r.who &^ many) {
		if v == 0 {
			continue
		}
		a := access{uint32(i)<<6 | v&63, v >> 6, h.r.pc}
		if !w.ordered(&a, l) {
			return &access{a.who, a.clock, a.pc}
		}
	}
	return nil
}

// written replaces what is known of a cell by a write.
func (h *history) written(by access, s *readSets) {
	if h.r.clock != 0 && h.r.who&many != 0 {
		s.free = append(s.free, h.r.who&^many)
	}
	*h = history{w: by}
}
