package interp

import "math/bits"

// checker watches the shared memory of a block: a history per cell of as many bytes as the kernel's
// smallest access.
type checker struct {
	b     *block
	shift uint // log2 of the bytes of a cell
	cells []history
	sets  *readSets
	async granules // what bulk copies and wgmma do
}

// newChecker makes the checker of a block, or empties the one it has.
func newChecker(b *block, old *checker) *checker {
	shift := uint(bits.TrailingZeros(uint(b.run.k.sharedGrain)))
	n := (len(b.shared) + 1<<shift - 1) >> shift
	if old == nil {
		old = &checker{b: b, shift: shift, cells: make([]history, n), sets: &readSets{}}
	}
	old.async.reset(len(b.shared))
	clear(old.cells)
	old.sets.reset(len(b.warps) * len(b.u.blocks))
	return old
}

// read notes that lane l reads n bytes of the block's shared memory, and faults if nobody has written
// them or if that is a race.
func (c *checker) read(w *warp, l int, at uint32, n int) {
	c.ordinary(at, n)
	for i := at >> c.shift; i<<c.shift < at+uint32(n); i++ {
		h := &c.cells[i]
		if h.w.clock == 0 {
			faultf(l, "reads shared memory at offset %d that nobody has written", int(i<<c.shift)-reservedShared)
		}
		if !w.ordered(&h.w, l) {
			faultf(l, "race: reads shared memory at offset %d, which %s has written%s, with no synchronisation between",
				int(i<<c.shift)-reservedShared, w.u.thread(&h.w), w.run.line(&h.w))
		}
		h.read(w, l, c.sets)
	}
}

// write notes that lane l writes n bytes of the block's shared memory, and faults if that is a race.
func (c *checker) write(w *warp, l int, at uint32, n int) {
	c.ordinary(at, n)
	c.overwrite(w, l, at, n)
	for i := at >> c.shift; i<<c.shift < at+uint32(n); i++ {
		h := &c.cells[i]
		if h.w.clock != 0 && !w.ordered(&h.w, l) {
			faultf(l, "race: writes shared memory at offset %d, which %s has written%s, with no synchronisation between",
				int(i<<c.shift)-reservedShared, w.u.thread(&h.w), w.run.line(&h.w))
		}
		if r := h.unordered(w, l, c.sets); r != nil {
			faultf(l, "race: writes shared memory at offset %d, which %s has read%s, with no synchronisation between",
				int(i<<c.shift)-reservedShared, w.u.thread(r), w.run.line(r))
		}
		h.written(w.now(l), c.sets)
	}
}

// readRow is read by 32 lanes of n bytes each, one after the other.
func (c *checker) readRow(w *warp, at uint32, n int) {
	c.ordinary(at, 32*n)
	shift := uint(bits.TrailingZeros(uint(n))) - c.shift // cells of a lane
	first := at >> c.shift
	cells := c.cells[first:][:32<<shift]
	for i := range cells {
		h, l := &cells[i], i>>shift
		if h.w.clock == 0 || !w.ordered(&h.w, l) {
			c.read(w, l, at+uint32(i)<<c.shift, 1) // faults
		}
		h.read(w, l, c.sets)
	}
}

// check notes an access to global or shared memory. What is out of bounds is left to the access itself.
func (t *transfer) check(w *warp, m uint32, A *lanes, s shape) {
	if s == contiguous {
		addr := A[0] + t.off
		if addr < paramBase && w.u.globalRow(w, addr, t.total, t.load) {
			return
		}
		off := addr - sharedBase
		if t.load && addr >= sharedBase+reservedShared && off+uint64(32*t.total) <= uint64(len(w.b.shared)) && addr&uint64(t.total-1) == 0 {
			w.b.check.readRow(w, uint32(off), t.total)
			return
		}
	}
	if s == uniform && t.load { // two lanes stand for all
		m = 1<<31 | 1
	}
	for ; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m) & 31
		if t.own {
			w.resolve(l, A[l]+t.off-sharedBase, t.total, windowBlock)
		}
		w.checkAccess(l, A[l]+t.off, t.total, t.load)
	}
}

// checkAccess notes an access of one lane at a generic address.
func (w *warp) checkAccess(l int, addr uint64, n int, load bool) {
	if addr&uint64(n-1) != 0 {
		w.at(l, addr, n) // faults
	}
	switch {
	case addr < paramBase:
		w.checkGlobal(l, addr, n, load, !load, false)
	case addr >= sharedBase:
		b, at := w.sharedPlace(addr)
		if b == nil || uint64(at)+uint64(n) > uint64(len(b.shared)) || at < reservedShared {
			return
		}
		w.touch(l, b, at, n, !load)
	}
}

// sharedPlace finds the block of the cluster that a generic address of shared memory belongs to, and
// the offset there; nil if there is none.
func (w *warp) sharedPlace(addr uint64) (*block, uint32) {
	off := addr - sharedBase
	b := w.b
	if rank := off >> clusterShift; rank != 0 {
		if rank > uint64(len(w.u.blocks)) {
			return nil, 0
		}
		b = w.u.blocks[rank-1]
	}
	return b, uint32(off & (1<<clusterShift - 1))
}

// atomicAccess marks, in the place of an access, one that does not race with others of its kind.
const atomicAccess = 1 << 31

// checkAtomic notes an atomic access.
func (w *warp) checkAtomic(l int, addr uint64, n int, read, write bool) {
	if w.b.check == nil {
		return
	}
	if addr < paramBase {
		w.checkGlobal(l, addr, n, read, write, true)
		return
	}
	b, at := w.sharedPlace(addr)
	if addr < sharedBase || b == nil || uint64(at)+uint64(n) > uint64(len(b.shared)) {
		return
	}
	c := b.check
	c.ordinary(at, n)
	if write {
		c.overwrite(w, l, at, n)
	}
	for i := at >> c.shift; i<<c.shift < at+uint32(n); i++ {
		h := &c.cells[i]
		if read && h.w.clock == 0 {
			faultf(l, "reads shared memory at offset %d that nobody has written", int(at)-reservedShared)
		}
		if h.w.pc&atomicAccess == 0 && h.w.clock != 0 && !w.ordered(&h.w, l) {
			faultf(l, "race: atomic access to shared memory at offset %d, which %s has written%s, with no synchronisation between",
				int(at)-reservedShared, w.u.thread(&h.w), w.run.line(&h.w))
		}
		if !write {
			continue
		}
		if r := h.unordered(w, l, c.sets); r != nil {
			faultf(l, "race: atomic access to shared memory at offset %d, which %s has read%s, with no synchronisation between",
				int(at)-reservedShared, w.u.thread(r), w.run.line(r))
		}
		h.written(w.now(l), c.sets)
		h.w.pc |= atomicAccess
	}
}
