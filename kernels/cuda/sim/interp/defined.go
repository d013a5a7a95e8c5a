package interp

import "math/bits"

// choice are the operands of selp: only the chosen one needs to be defined. A slot of -1 is an
// immediate.
type choice struct {
	a, b, p int
	neg     bool
}

// forget marks every register but constants as not written.
func (w *warp) undefine() {
	k := w.run.k
	if w.def == nil {
		w.def, w.pdef = make([]uint32, k.Registers), make([]uint32, k.preds)
	}
	copy(w.def, k.known)
	clear(w.pdef)
}

// defined follows which lanes of which registers have been written. An unwritten one may be moved and
// computed with; it is an error where it decides, addresses or is stored.
func (w *warp) defined(in *instr, active, m uint32) {
	if in.guard >= 0 {
		if no := active &^ w.pdef[in.guard]; no != 0 {
			faultf(bits.TrailingZeros32(no), "the predicate has not been set")
		}
	}
	if m == 0 {
		return
	}
	if w.ext.hold.epoch > 0 {
		w.watchRegisters(in)
	}
	if in.pure {
		ok := m
		if c := in.choice; c != nil {
			x := w.pred(c.p, c.neg)
			ok &= w.pdef[c.p] & (x&w.def[c.a] | ^x&w.def[c.b])
		} else {
			for _, s := range in.reads {
				ok &= w.def[s]
			}
			for _, s := range in.preads {
				ok &= w.pdef[s]
			}
		}
		for _, s := range in.writes {
			w.def[s] = w.def[s]&^m | ok
		}
		for _, s := range in.pwrite {
			w.pdef[s] = w.pdef[s]&^m | ok
		}
		return
	}
	for _, s := range in.reads {
		if no := m &^ w.def[s]; no != 0 {
			faultf(bits.TrailingZeros32(no), "register %s has not been written", w.run.k.names[s])
		}
	}
	for _, s := range in.preads {
		if no := m &^ w.pdef[s]; no != 0 {
			faultf(bits.TrailingZeros32(no), "a predicate has not been set")
		}
	}
	for _, s := range in.writes {
		w.def[s] |= m
	}
	for _, s := range in.pwrite {
		w.pdef[s] |= m
	}
}
