package interp

import "strings"

func init() {
	families["mov"] = translateMove
	families["cvta"] = translateAddress
	families["isspacep"] = translateIsSpace
}

// translateMove makes mov: of a register, immediate, address or special register, of a predicate,
// and packing and unpacking of vectors.
func translateMove(o *operands) op {
	if !o.want(2, 2) {
		return nil
	}
	switch {
	case o.typ == "pred":
		d, _ := o.pred(o.arg[0])
		if v, err := immediate(o.arg[1]); err == nil {
			value := uint32(0)
			if v != 0 {
				value = full
			}
			return func(w *warp, m uint32) { w.setPred(d, m, value) }
		}
		a, neg := o.pred(o.arg[1])
		return func(w *warp, m uint32) { w.setPred(d, m, w.pred(a, neg)) }
	case strings.HasPrefix(o.arg[1], "{"):
		return o.pack()
	case strings.HasPrefix(o.arg[0], "{"):
		return o.unpack()
	}
	if f := clocks[o.arg[1]]; f != nil {
		d := o.slot(0)
		return func(w *warp, m uint32) {
			v := f(w)
			each(m, func(l int) { w.r[d][l] = v })
		}
	}
	d := o.slot(0)
	if name, off, ok := strings.Cut(o.arg[1], "+"); ok { // the address of a variable with an offset
		v, err := immediate(trim(off))
		if err != nil {
			o.fail("offset %q", off)
		}
		a := o.value(trim(name), o.typ)
		return onUnary(d, a, func(D, A *lanes) {
			for l := range D {
				D[l] = A[l] + v
			}
		})
	}
	a := o.slot(1)
	return func(w *warp, m uint32) {
		if m == full {
			w.r[d] = w.r[a]
			return
		}
		merge(&w.r[d], &w.r[a], m)
	}
}

// clocks are the special registers that change while a warp runs. Time is the number of turns taken.
var clocks = map[string]func(w *warp) uint64{
	"%clock":          func(w *warp) uint64 { return uint64(uint32(w.tick())) },
	"%clock64":        func(w *warp) uint64 { return w.tick() },
	"%clock_hi":       func(w *warp) uint64 { return w.tick() >> 32 },
	"%globaltimer":    func(w *warp) uint64 { return w.tick() },
	"%globaltimer_lo": func(w *warp) uint64 { return uint64(uint32(w.tick())) },
	"%globaltimer_hi": func(w *warp) uint64 { return w.tick() >> 32 },
}

// tick is a clock that moves on whenever it is read.
func (w *warp) tick() uint64 {
	w.u.time += 32
	return w.u.time
}

// pack makes mov of a vector into one register, the first element lowest.
func (o *operands) pack() op {
	width := typeBits(o.typ)
	n := strings.Count(o.arg[1], ",") + 1
	part := width / n
	if width%n != 0 || part < 8 || width > 64 {
		return nil
	}
	from := o.list(o.arg[1], "b"+itoa(uint64(part)))
	d := o.slot(0)
	mask := ^uint64(0) >> (64 - part)
	if n == 2 {
		return onBinary(d, from[0], from[1], func(D, A, B *lanes) {
			for l := range D {
				D[l] = A[l]&mask | B[l]&mask<<part
			}
		})
	}
	return func(w *warp, m uint32) {
		for l := range w.tmp {
			var v uint64
			for i, s := range from {
				v |= w.r[s][l] & mask << (i * part)
			}
			w.tmp[l] = v
		}
		merge(w.reg(d), &w.tmp, m)
	}
}

// unpack makes mov of one register into a vector.
func (o *operands) unpack() op {
	width := typeBits(o.typ)
	n := strings.Count(o.arg[0], ",") + 1
	part := width / n
	if width%n != 0 || part < 8 || width > 64 {
		return nil
	}
	to := o.list(o.arg[0], "b"+itoa(uint64(part)))
	a := o.slot(1)
	mask := ^uint64(0) >> (64 - part)
	return func(w *warp, m uint32) {
		A := w.r[a]
		for i, s := range to {
			D, shift := &w.r[s], i*part&63
			if m == full {
				for l := range D {
					D[l] = A[l] >> shift & mask
				}
				continue
			}
			for l := range w.tmp {
				w.tmp[l] = A[l] >> shift & mask
			}
			merge(D, &w.tmp, m)
		}
	}
}

// translateAddress makes cvta: between the addresses of a state space and generic ones.
func translateAddress(o *operands) op {
	to := o.has("to")
	space := o.one("global", "shared::cta", "shared::cluster", "shared", "local", "const", "param")
	base := uint64(0)
	switch space {
	case "":
		return nil
	case "shared", "shared::cta", "shared::cluster":
		base = sharedBase
	case "local":
		base = localBase
	case "param":
		base = paramBase
	}
	if o.typ != "u64" && o.typ != "u32" {
		return nil
	}
	if to {
		base = -base
	}
	mask := ^uint64(0) >> (64 - typeBits(o.typ))
	if base == 0 {
		return translateMove(o)
	}
	return o.unary(func(D, A *lanes) {
		for l := range D {
			D[l] = (A[l] + base) & mask
		}
	})
}

// translateIsSpace makes isspacep: whether a generic address is in a state space.
func translateIsSpace(o *operands) op {
	space := o.one("global", "shared::cta", "shared::cluster", "shared", "local", "const", "param")
	if space == "" || !o.want(2, 2) {
		return nil
	}
	p, _ := o.pred(o.arg[0])
	a := o.slotOf(1, "u64")
	return func(w *warp, m uint32) {
		var v uint32
		for l, addr := range w.r[a] {
			var in bool
			switch space {
			case "global", "const":
				in = addr < paramBase
			case "param":
				in = addr >= paramBase && addr < localBase
			case "local":
				in = addr >= localBase && addr < sharedBase
			case "shared", "shared::cta":
				in = addr >= sharedBase && addr < sharedBase+1<<clusterShift
			default:
				in = addr >= sharedBase
			}
			v |= uint32(b2u(in)) << l
		}
		w.setPred(p, m, v)
	}
}
