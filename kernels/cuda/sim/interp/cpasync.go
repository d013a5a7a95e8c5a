package interp

import "math/bits"

func init() { families["cp"] = translateCopy }

// translateCopy: everything that begins with cp.async or cp.reduce.async.
func translateCopy(o *operands) op {
	switch {
	case o.has("bulk"):
		return translateBulk(o)
	case !o.has("async"):
		return nil
	case o.has("mbarrier.arrive"):
		return translateCopyArrive(o)
	case o.has("commit_group"):
		o.want(0, 0)
		return func(w *warp, m uint32) { each(m, func(l int) { w.ext.copies.group[l]++ }) }
	case o.has("wait_group"):
		o.want(1, 1)
		n := o.imm(0)
		if n < 0 {
			o.fail("%d groups", n)
		}
		return func(w *warp, m uint32) { w.landCopies(m, n) }
	case o.has("wait_all"):
		o.want(0, 0)
		return func(w *warp, m uint32) {
			each(m, func(l int) { w.ext.copies.group[l]++ })
			w.landCopies(m, 0)
		}
	}
	return translateCopyAsync(o)
}

// copies are the cp.async of a warp that are under way.
type copies struct {
	flying []*copyAsync
	group  [32]int // groups that a lane has committed
	issued int
	actor  int // component of the clocks
}

// copyAsync is one cp.async of a warp. It is carried out when somebody waits for it, as late as the program allows: so a
// missing wait reads what was there before.
type copyAsync struct {
	lanes  uint32 // for which it is still under way
	serial int
	n      int // bytes
	pc     int
	dst    [32]uint32
	src    [32]uint64
	size   [32]uint8 // bytes to read; the rest is zero
	group  [32]int
}

// translateCopyAsync: cp.async.ca/.cg.shared{::cta}.global{hints} [dst], [src], n{, size}{, policy}; a predicate instead of
// size says that the source is to be ignored.
func translateCopyAsync(o *operands) op {
	cache := o.one("ca", "cg")
	o.one("L2::64B", "L2::128B", "L2::256B")
	policy := o.has("L2::cache_hint")
	if cache == "" || o.window() != windowBlock || !o.has("global") || !o.want(3, 5) {
		return nil
	}
	dst, dstOff := o.addr(o.arg[0])
	src, srcOff := o.addr(o.arg[1])
	n := o.imm(2)
	if n != 16 && (cache == "cg" || n != 4 && n != 8) {
		o.fail("cp.async.%s of %d bytes", cache, n)
	}
	rest := o.arg[3:]
	if policy && len(rest) > 0 {
		o.value(rest[len(rest)-1], "u64")
		rest = rest[:len(rest)-1]
	}
	size, ignore, neg := -1, -1, false
	if len(rest) > 1 {
		o.fail("%d operands", len(o.arg))
	}
	if len(rest) == 1 {
		if r := o.a.reg(rest[0]); r != nil && r.bits == 1 || rest[0][0] == '!' {
			ignore, neg = o.pred(rest[0])
		} else {
			size = o.value(rest[0], "u32")
		}
	}
	o.access(n)
	return func(w *warp, m uint32) {
		x := &w.ext.copies
		c := &copyAsync{lanes: m, serial: x.issued, n: n, pc: w.pc, group: x.group}
		x.issued++
		D, S := w.reg(dst), w.reg(src)
		skip := uint32(0)
		if ignore >= 0 {
			skip = w.pred(ignore, neg)
		}
		for left := m; left != 0; left &= left - 1 {
			l := bits.TrailingZeros32(left) & 31
			read := n
			if size >= 0 {
				if v := w.r[size][l]; v > uint64(n) {
					faultf(l, "%d bytes of a source of at most %d", v, n)
				} else {
					read = int(v)
				}
			}
			if skip>>l&1 == 1 {
				read = 0
			}
			b, at := w.resolve(l, D[l]+dstOff, n, windowBlock)
			if at%uint32(n) != 0 {
				faultf(l, "shared address %#x is not a multiple of %d bytes", at, n)
			}
			c.dst[l], c.src[l], c.size[l] = at, S[l]+srcOff, uint8(read)
			if c.src[l]%uint64(n) != 0 {
				faultf(l, "global address %#x is not a multiple of %d bytes", c.src[l], n)
			}
			if read > 0 {
				w.checkRead(l, c.src[l], read)
			}
			w.launchWrite(l, b, at, n)
		}
		x.flying = append(x.flying, c)
		if w.u.stats != nil {
			c.count(w, m, D, dstOff)
		}
	}
}

// count adds a copy to the statistics: a load from global memory and a store to shared memory.
func (c *copyAsync) count(w *warp, m uint32, D *lanes, off uint64) {
	s, read := w.u.stats, uint32(0)
	each(m, func(l int) {
		if c.size[l] > 0 {
			read |= 1 << l
			s.GlobalBytesRead += int64(c.size[l])
		}
	})
	waves, ideal := wavefronts(m, D, off, c.n)
	s.SharedRequests++
	s.SharedWavefronts += int64(waves)
	s.SharedIdeal += int64(ideal)
	s.GlobalLoads++
	src := lanes(c.src)
	s.GlobalLoadSectors += int64(sectors(read, &src, 0, c.n))
}

// landCopies carries out all copies of the lanes in m but those of their last n groups.
func (w *warp) landCopies(m uint32, n int) {
	x := &w.ext.copies
	for _, c := range x.flying {
		each(c.lanes&m, func(l int) {
			if c.group[l] < x.group[l]-n {
				w.landCopy(c, l)
				w.settleWrite(c, l)
			}
		})
	}
	x.drop()
	x.learn(w)
}

// learn tells the warp how many of its copies have landed.
func (x *copies) learn(w *warp) {
	if x.actor == 0 {
		return
	}
	landed := x.issued
	if len(x.flying) > 0 {
		landed = x.flying[0].serial
	}
	w.learn(x.actor, uint32(landed))
}

// drop forgets the copies that have landed.
func (x *copies) drop() {
	keep := x.flying[:0]
	for _, c := range x.flying {
		if c.lanes != 0 {
			keep = append(keep, c)
		}
	}
	clear(x.flying[len(keep):])
	x.flying = keep
}

// landCopy carries out one lane of a copy.
func (w *warp) landCopy(c *copyAsync, l int) {
	c.lanes &^= 1 << l
	dst := w.b.shared[c.dst[l]:][:c.n]
	var src []byte
	if c.size[l] > 0 { // else the address may be anything
		src = w.readGlobal(l, c.src[l], int(c.size[l]))
	}
	clear(dst[copy(dst, src):])
}

// translateCopyArrive: cp.async.mbarrier.arrive{.noinc}{.shared{::cta}}.b64 [bar]: an arrival as soon as all earlier copies
// of the lane are complete.
func translateCopyArrive(o *operands) op {
	noinc, win := o.has("noinc"), o.window()
	if win == windowCluster || !o.want(1, 1) {
		return nil
	}
	base, off := o.addr(o.arg[0])
	return func(w *warp, m uint32) {
		A := *w.reg(base)
		each(m, func(l int) {
			b, bar := w.barrierAt(l, A[l]+off, win)
			if !noinc {
				if bar.pending >= maxCount {
					faultf(l, "%v: more than %d pending arrivals", bar, maxCount)
				}
				bar.pending++
			}
			w.useBarrier(l, b, bar)
			serial, known := w.ext.copies.issued, w.release()
			if a := w.ext.copies.actor; a != 0 { // those who wait know that the copies have landed
				for len(known) <= a {
					known = append(known, 0)
				}
				known[a] = uint32(serial)
			}
			w.later(l, func() {
				for _, c := range w.ext.copies.flying {
					if c.serial < serial && c.lanes>>l&1 == 1 {
						w.landCopy(c, l)
					}
				}
				w.ext.copies.drop()
				b.arriveAt(w, l, bar, 1, known, true)
			})
		})
	}
}
