package interp

// What wgmma tells the checker of the shared memory that it reads.

// granules calls f with every granule of the operands in shared memory.
func (p *product) granules(f func(i int)) { p.operands(func(_ *matrixDesc, i int) { f(i) }) }

// operands is granules with the matrix that each belongs to.
func (p *product) operands(f func(m *matrixDesc, i int)) {
	walk := func(m *matrixDesc) {
		for _, off := range m.plain {
			f(m, int(m.swizzle.apply(m.start+off))/granuleBytes)
		}
	}
	if p.in.a == nil {
		walk(&p.am)
	}
	walk(&p.bm)
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
