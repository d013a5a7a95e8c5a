package interp

import "strings"

// registerUse follows what the checker must know of the registers of a warp that uses wgmma: which belong to products under way,
// and which have been touched since the last wgmma.fence.
type registerUse struct {
	epoch   uint32   // number of wgmma.fence, 0 before the first
	touched []uint32 // by slot: the epoch of the last access by another instruction
	adds    []uint16 // by slot: columns of the products under way that add to it
	count   []uint16 // and how many they are
	feeds   []uint16 // by slot: products under way whose left operand it is
	flying  int
	unset   int // an accumulator of the wgmma to be issued that has not been written, -1 if there is none
}

// fenceRegisters is wgmma.fence.
func (w *warp) fenceRegisters() {
	h := &w.ext.hold
	h.epoch++
	if n := w.run.k.Registers; h.touched == nil && w.b.check != nil {
		h.touched, h.adds, h.count, h.feeds = make([]uint32, n), make([]uint16, n), make([]uint16, n), make([]uint16, n)
	}
}

// watchRegisters checks the registers of an instruction other than wgmma against the products under way.
func (w *warp) watchRegisters(in *instr) {
	h := &w.ext.hold
	if strings.HasPrefix(in.name, "wgmma.") {
		h.unset = -1
		for _, s := range in.writes {
			if w.def[s] != full {
				h.unset = s
			}
		}
		return
	}
	if h.flying > 0 {
		for _, s := range in.reads {
			if h.count[s] != 0 {
				faultf(-1, "reads register %s, an accumulator of a wgmma under way: wgmma.wait_group is missing", w.run.k.names[s])
			}
		}
		for _, s := range in.writes {
			switch {
			case h.count[s] != 0:
				faultf(-1, "writes register %s, an accumulator of a wgmma under way: wgmma.wait_group is missing", w.run.k.names[s])
			case h.feeds[s] != 0:
				faultf(-1, "writes register %s, an operand of a wgmma under way: wgmma.wait_group is missing", w.run.k.names[s])
			}
		}
	}
	for _, s := range in.reads {
		h.touched[s] = h.epoch
	}
	for _, s := range in.writes {
		h.touched[s] = h.epoch
	}
}

// holdRegisters notes the registers of a product that the warp issues.
func (w *warp) holdRegisters(p *product) {
	h := &w.ext.hold
	if w.b.check == nil {
		return
	}
	in := p.in
	for _, s := range in.d {
		switch {
		case h.touched[s] == h.epoch:
			faultf(-1, "register %s, an accumulator, has been used since the last wgmma.fence: another is needed", w.run.k.names[s])
		case h.feeds[s] != 0:
			faultf(-1, "register %s, an accumulator, is an operand of a wgmma under way: wgmma.wait_group is missing", w.run.k.names[s])
		case h.count[s] != 0 && h.adds[s] != uint16(in.columns):
			faultf(-1, "register %s is an accumulator of a wgmma of another shape under way: wgmma.wait_group is missing", w.run.k.names[s])
		}
	}
	if p.scale && h.unset >= 0 {
		faultf(-1, "accumulator %s has not been written", w.run.k.names[h.unset])
	}
	for _, s := range in.a {
		switch {
		case h.touched[s] == h.epoch:
			faultf(-1, "register %s, an operand, has been used since the last wgmma.fence: another is needed", w.run.k.names[s])
		case h.count[s] != 0:
			faultf(-1, "register %s, an operand, is an accumulator of a wgmma under way: wgmma.wait_group is missing", w.run.k.names[s])
		}
		h.feeds[s]++
	}
	for _, s := range in.d {
		h.adds[s] = uint16(in.columns)
		h.count[s]++
	}
	h.flying++
}

// releaseRegisters gives back the registers of a product that the warp has waited for.
func (w *warp) releaseRegisters(p *product) {
	h := &w.ext.hold
	if w.b.check == nil {
		return
	}
	for _, s := range p.in.d {
		h.count[s]--
	}
	for _, s := range p.in.a {
		h.feeds[s]--
	}
	h.flying--
}
