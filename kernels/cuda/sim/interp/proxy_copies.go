package interp

// What cp.async and bulk copies tell the checker.

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
