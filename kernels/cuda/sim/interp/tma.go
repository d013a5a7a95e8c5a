package interp

import "strings"

// Bulk copies are those of the tensor memory accelerator. A load lands when no warp can move without it, or at any time if the
// order is drawn at random. A store or reduction reads shared memory when its thread waits for it with .read, and writes global
// memory when its thread waits for it to complete, or when the block has ended.

// translateBulk: everything that begins with cp.async.bulk or cp.reduce.async.bulk.
func translateBulk(o *operands) op {
	if !o.has("async") {
		return nil
	}
	switch {
	case o.has("commit_group"):
		o.want(0, 0)
		return func(w *warp, m uint32) { each(m, func(l int) { w.ext.stores.group[l]++ }) }
	case o.has("wait_group"):
		o.want(1, 1)
		n, read := o.imm(0), o.has("read")
		if n < 0 {
			o.fail("%d groups", n)
		}
		return func(w *warp, m uint32) { w.landStores(m, n, read) }
	case o.has("prefetch"):
		return translateBulkPrefetch(o)
	}
	reduce := o.has("reduce")
	tensor := o.has("tensor")
	switch {
	case o.has("shared::cluster.global"), o.has("shared::cta.global"):
		if strings.Contains(o.name, "shared::cta.global") {
			o.fail(".shared::cta as the destination needs PTX 8.6: .shared::cluster expected")
		}
		if reduce {
			return nil
		}
		return translateBulkLoad(o, tensor)
	case o.has("global.shared::cta"):
		return translateBulkStore(o, reduce, tensor)
	case o.has("shared::cluster.shared::cta"):
		if tensor {
			return nil
		}
		return translateBulkPeer(o, reduce)
	}
	return nil
}

// box is the operand [map, {x, y, ...}].
type box struct {
	mapBase int
	mapOff  uint64
	at      []int
}

// box reads operand i and the dimension from the opcode.
func (o *operands) box(i int) box {
	dims := o.one("1d", "2d", "3d", "4d", "5d")
	inner := strings.TrimSuffix(strings.TrimPrefix(o.arg[i], "["), "]")
	parts := split(inner)
	if dims == "" || len(parts) != 2 || len(inner)+2 != len(o.arg[i]) {
		o.fail("operand %q: [map, {coordinates}] expected", o.arg[i])
		return box{}
	}
	var b box
	b.mapBase, b.mapOff = o.address(strings.TrimSpace(parts[0]))
	b.at = o.list(strings.TrimSpace(parts[1]), "s32")
	if len(b.at) != int(dims[0]-'0') {
		o.fail("%d coordinates of a %s copy", len(b.at), dims)
	}
	return b
}

// resolve reads the tensor map and the coordinates that lane l gives.
func (b *box) resolve(w *warp, l int) (t TensorMap, at [5]int32) {
	addr := w.reg(b.mapBase)[l] + b.mapOff
	if addr%64 != 0 {
		faultf(l, "the tensor map at %s is not at a multiple of 64", w.where(addr))
	}
	if addr >= localBase {
		faultf(l, "the tensor map at %s is not in global, constant or parameter memory", w.where(addr))
	}
	var enc [128]byte
	copy(enc[:64], w.at(l, addr, 64))
	copy(enc[64:], w.at(l, addr+64, 64))
	t, err := decodeTensorMap(&enc)
	if err != nil {
		faultf(l, "tensor map at %s: %v", w.where(addr), err)
	}
	if int(t.Rank) != len(b.at) {
		faultf(l, "a copy of %d dimensions with a tensor map of %d", len(b.at), t.Rank)
	}
	for i, s := range b.at {
		at[i] = int32(w.reg(s)[l])
	}
	if n := int(at[0]) * t.Type.Size(); n%16 != 0 { // cards take it for an illegal instruction
		faultf(l, "coordinate 0 is %d: a box must begin at a multiple of 16 bytes of its row, not at %d", at[0], n)
	}
	return t, at
}

// policy reads the cache policy that the last operand is if there is a hint, and takes it off the operands.
func (o *operands) policy() {
	if o.has("L2::cache_hint") && len(o.arg) > 0 {
		o.value(o.arg[len(o.arg)-1], "u64")
		o.arg = o.arg[:len(o.arg)-1]
	}
}

// target is one block that a load writes to.
type target struct {
	b     *block
	bar   *mbarrier
	phase uint32 // of the barrier when the load was issued
}

// bulkLoad is a load under way.
type bulkLoad struct {
	w       *warp
	lane    int
	line    int
	at      uint32 // offset in the shared memory of every target
	bytes   int
	layout  layout
	targets []target
}

// translateBulkLoad: cp.async.bulk{.tensor.Nd}.shared::cluster.global{.tile}.mbarrier::complete_tx::bytes{.multicast::cluster}
// {.L2::cache_hint} [dst], [map, {..}] | [src], size, [mbar]{, mask}{, policy}.
func translateBulkLoad(o *operands, tensor bool) op {
	o.has("tile")
	multicast := o.has("multicast::cluster")
	o.policy()
	n := 3
	if !tensor {
		n++
	}
	if multicast {
		n++
	}
	if !o.has("mbarrier::complete_tx::bytes") || !o.want(n, n) {
		return nil
	}
	dst, dstOff := o.addr(o.arg[0])
	var b box
	var src, size, bar int
	var srcOff, barOff uint64
	if tensor {
		b = o.box(1)
		bar, barOff = o.addr(o.arg[2])
	} else {
		src, srcOff = o.addr(o.arg[1])
		size = o.slotOf(2, "u32")
		bar, barOff = o.addr(o.arg[3])
	}
	mask := -1
	if multicast {
		mask = o.slotOf(n-1, "u16")
	}
	o.access(16)
	return func(w *warp, m uint32) {
		D, B := w.reg(dst), w.reg(bar)
		each(m, func(l int) {
			c := &bulkLoad{w: w, lane: l, line: w.run.k.code[w.pc].line}
			var t TensorMap
			var at [5]int32
			from := uint64(0)
			align := uint32(16)
			if tensor {
				t, at = b.resolve(w, l)
				c.bytes, align, c.layout = t.boxBytes(), 128, layout(t.Swizzle)+1
			} else {
				c.bytes, from = int(w.reg(size)[l]), w.reg(src)[l]+srcOff
				w.bulkSize(l, c.bytes)
				if from%16 != 0 {
					faultf(l, "source address %#x is not a multiple of 16", from)
				}
				w.checkBulkRead(l, from, c.bytes)
			}
			to, off := w.resolve(l, D[l]+dstOff, c.bytes, windowCluster)
			if off%align != 0 {
				faultf(l, "destination %#x is not a multiple of %d", off, align)
			}
			c.at = off
			home, mb := w.barrierAt(l, B[l]+barOff, windowCluster)
			if home != to {
				faultf(l, "the mbarrier belongs to the block of rank %d, the destination to that of rank %d", home.rank, to.rank)
			}
			ranks := uint64(1) << to.rank
			if mask >= 0 {
				ranks = w.reg(mask)[l] & 0xffff
				if ranks == 0 || ranks>>len(w.u.blocks) != 0 {
					faultf(l, "multicast to the blocks %#x of a cluster of %d", ranks, len(w.u.blocks))
				}
			}
			for rank, b := range w.u.blocks {
				if ranks>>rank&1 == 0 {
					continue
				}
				x := b.ext.bars[mb.at]
				if x == nil {
					faultf(l, "the block of rank %d has no mbarrier at shared %#x", rank, mb.at)
				}
				w.mustLive(l, b)
				w.useBarrier(l, b, x)
				if !x.visible {
					faultf(l, "%v of the block of rank %d was initialised without a fence.mbarrier_init or fence.proxy.async after it", x, rank)
				}
				c.targets = append(c.targets, target{b, x, x.phase})
				w.launchBulk(c)
			}
			if tensor && w.b.check != nil {
				size := uint64(t.Type.Size())
				_ = t.rows(at, func(r boxRow) error {
					if r.hi > r.lo {
						w.checkBulkRead(l, r.at, (r.hi-r.lo)*int(size))
					}
					return nil
				})
			}
			w.later(l, func() {
				if tensor {
					c.landBox(&t, at)
				} else {
					data := w.readGlobal(l, from, c.bytes)
					for _, x := range c.targets {
						copy(x.b.shared[c.at:], data)
					}
					w.u.countBulk(from, c.bytes, true)
				}
				c.finish()
			})
		})
		w.u.events++
	}
}

// bulkSize checks the size of a copy without a tensor map.
func (w *warp) bulkSize(l, n int) {
	if n <= 0 || n%16 != 0 {
		faultf(l, "%d bytes: a multiple of 16 expected", n)
	}
}

// landBox writes the box of a load to all targets.
func (c *bulkLoad) landBox(t *TensorMap, at [5]int32) {
	size := t.Type.Size()
	row := make([]byte, int(t.Box[0])*size)
	err := t.rows(at, func(r boxRow) error {
		if r.lo > 0 || r.hi < int(t.Box[0]) {
			t.fill(row)
		}
		if r.hi > r.lo {
			copy(row[r.lo*size:], c.w.readGlobal(c.lane, r.at, (r.hi-r.lo)*size))
			c.w.u.countBulk(r.at, (r.hi-r.lo)*size, true)
		}
		for _, x := range c.targets {
			swizzle(t.Swizzle).scatter(x.b.shared, c.at+uint32(r.offset), row)
		}
		return nil
	})
	if err != nil {
		faultf(c.lane, "%v", err)
	}
}

// countBulk adds n bytes of global memory to the statistics. A copy to several blocks counts once.
func (u *unit) countBulk(addr uint64, n int, load bool) {
	s := u.stats
	if s == nil {
		return
	}
	sectors := int64((addr+uint64(n)+31)/32 - addr/32)
	if load {
		s.GlobalLoads++
		s.GlobalLoadSectors += sectors
		s.GlobalBytesRead += int64(n)
	} else {
		s.GlobalStores++
		s.GlobalStoreSectors += sectors
		s.GlobalBytesWritten += int64(n)
	}
}

// finish completes the load at the barriers.
func (c *bulkLoad) finish() {
	for _, x := range c.targets {
		if x.b.ended() {
			faultf(c.lane, "a copy issued at line %d lands in the shared memory of the block of rank %d, which has ended", c.line, x.b.rank)
		}
		x.b.transact(c.lane, x.bar, c.bytes, x.phase)
	}
}

// translateBulkPrefetch: cp.async.bulk.prefetch{.tensor.Nd}.L2.global{.tile}{.L2::cache_hint} [map, {..}] | [src], size: a hint.
func translateBulkPrefetch(o *operands) op {
	o.has("tile")
	tensor := o.has("tensor")
	o.policy()
	if !o.has("L2.global") {
		return nil
	}
	if tensor {
		if !o.want(1, 1) {
			return nil
		}
		b := o.box(0)
		return func(w *warp, m uint32) { each(m, func(l int) { b.resolve(w, l) }) }
	}
	if !o.want(2, 2) {
		return nil
	}
	src, off := o.addr(o.arg[0])
	size := o.slotOf(1, "u32")
	return func(w *warp, m uint32) {
		each(m, func(l int) {
			w.bulkSize(l, int(w.reg(size)[l]))
			if a := w.reg(src)[l] + off; a%16 != 0 {
				faultf(l, "source address %#x is not a multiple of 16", a)
			}
		})
	}
}
