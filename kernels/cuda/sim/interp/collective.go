package interp

import "math/bits"

func init() {
	families["shfl"] = translateShuffle
	families["vote"] = translateVote
	families["match"] = translateMatch
	families["redux"] = translateRedux
	families["activemask"] = func(o *operands) op {
		if !o.want(1, 1) || o.typ != "b32" {
			return nil
		}
		d := o.slot(0)
		return func(w *warp, m uint32) { each(m, func(l int) { w.r[d][l] = uint64(m) }) }
	}
	families["elect"] = translateElect
}

// members faults unless the lanes that execute an instruction with a member mask are those that the
// mask names, of those that have not ended. On a GPU the others would be waited for; in lockstep they
// will not come.
func (w *warp) members(m uint32, masks *lanes) {
	first := uint32(masks[bits.TrailingZeros32(m)&31])
	if m == full && first == full {
		same := true
		for _, v := range masks {
			same = same && uint32(v) == full
		}
		if same {
			return
		}
	}
	each(m, func(l int) {
		mask := uint32(masks[l])
		if mask>>l&1 == 0 {
			faultf(l, "the member mask %#08x leaves out the executing lane %d", mask, l)
		}
		if mask&w.live != m {
			faultf(l, "the member mask is %#08x, but lanes %#08x of %#08x execute this: the warp is divergent or the mask wrong", mask, m, w.live)
		}
	})
}

// translateShuffle makes shfl.sync.
func translateShuffle(o *operands) op {
	mode := o.one("up", "down", "bfly", "idx")
	if mode == "" || !o.has("sync") || o.typ != "b32" || !o.want(5, 5) {
		return nil
	}
	first, second, two := cutPair(o.arg[0])
	d, p := o.value(first, "b32"), -1
	if two {
		p, _ = o.pred(second)
	}
	a, b, c, mask := o.slot(1), o.slot(2), o.slot(3), o.slot(4)
	v, err := immediate(o.arg[3])
	butterfly := mode == "bfly" && p < 0 && err == nil && v == 31 // of the whole warp: every lane has a partner
	return func(w *warp, m uint32) {
		w.members(m, &w.r[mask])
		A, B, C := w.r[a], &w.r[b], &w.r[c]
		if butterfly && m == full {
			D := &w.r[d]
			for l := range D {
				D[l] = A[(uint64(l)^B[l])&31]
			}
			return
		}
		D := &w.r[d]
		var in uint32
		for l := range uint64(32) {
			if m>>l&1 == 0 {
				continue
			}
			n := B[l] & 31
			segment := C[l] >> 8 & 31
			low := l & segment
			high := low | C[l]&31&^segment
			var j uint64
			var ok bool
			switch mode {
			case "up":
				j = l - n
				ok = int64(j) >= int64(high)
			case "down":
				j = l + n
				ok = j <= high
			case "bfly":
				j = l ^ n
				ok = j <= high
			default:
				j = low | n&^segment
				ok = j <= high
			}
			if ok {
				in |= 1 << l
			} else {
				j = l
			}
			if m>>(j&31)&1 == 0 && w.b.check != nil {
				faultf(int(l), "lane %d reads from lane %d, which does not take part (lanes %#08x do)", l, j, m)
			}
			D[l] = A[j&31]
		}
		if p >= 0 {
			w.setPred(p, m, in)
		}
	}
}

// translateVote makes vote.sync.
func translateVote(o *operands) op {
	mode := o.one("all", "any", "uni", "ballot")
	if mode == "" || !o.has("sync") || !o.want(3, 3) || (mode == "ballot") != (o.typ == "b32") {
		return nil
	}
	a, neg := o.pred(o.arg[1])
	mask := o.slotOf(2, "b32")
	if mode == "ballot" {
		d := o.slot(0)
		return func(w *warp, m uint32) {
			w.members(m, &w.r[mask])
			v := uint64(w.pred(a, neg) & m)
			each(m, func(l int) { w.r[d][l] = v })
		}
	}
	d, _ := o.pred(o.arg[0])
	return func(w *warp, m uint32) {
		w.members(m, &w.r[mask])
		v := w.pred(a, neg) & m
		var r bool
		switch mode {
		case "all":
			r = v == m
		case "any":
			r = v != 0
		default:
			r = v == 0 || v == m
		}
		w.setPred(d, m, -uint32(b2u(r)))
	}
}

// translateMatch makes match.sync.
func translateMatch(o *operands) op {
	mode := o.one("any", "all")
	if mode == "" || !o.has("sync") || !o.want(3, 3) || o.typ != "b32" && o.typ != "b64" {
		return nil
	}
	first, second, two := cutPair(o.arg[0])
	if two && mode == "any" {
		return nil
	}
	d, p := o.value(first, "b32"), -1
	if two {
		p, _ = o.pred(second)
	}
	a, mask := o.slot(1), o.slotOf(2, "b32")
	return func(w *warp, m uint32) {
		w.members(m, &w.r[mask])
		A := w.r[a]
		var all uint32
		each(m, func(l int) {
			var same uint32
			each(m, func(j int) {
				if A[j] == A[l] {
					same |= 1 << j
				}
			})
			if same == m {
				all |= 1 << l
			}
			if mode == "all" && same != m {
				same = 0
			}
			w.r[d][l] = uint64(same)
		})
		if p >= 0 {
			w.setPred(p, m, all)
		}
	}
}

// translateRedux makes redux.sync.
func translateRedux(o *operands) op {
	name := o.one("add", "min", "max", "and", "or", "xor")
	bitwise := name == "and" || name == "or" || name == "xor"
	if name == "" || !o.has("sync") || !o.want(3, 3) || bitwise != (o.typ == "b32") || !bitwise && o.typ != "s32" && o.typ != "u32" {
		return nil
	}
	f := atomicFunction(name, o.typ)
	d, a, mask := o.slot(0), o.slot(1), o.slotOf(2, "b32")
	return func(w *warp, m uint32) {
		w.members(m, &w.r[mask])
		first := bits.TrailingZeros32(m)
		v := w.r[a][first&31]
		each(m&(m-1), func(l int) { v = f(v, w.r[a][l], 0) })
		each(m, func(l int) { w.r[d][l] = v })
	}
}

// translateElect makes elect.sync: it elects the lowest lane.
func translateElect(o *operands) op {
	if !o.has("sync") || !o.want(2, 2) {
		return nil
	}
	first, second, two := cutPair(o.arg[0])
	if !two {
		return nil
	}
	d := o.value(first, "b32")
	p, _ := o.pred(second)
	mask := o.slotOf(1, "b32")
	return func(w *warp, m uint32) {
		w.members(m, &w.r[mask])
		leader := bits.TrailingZeros32(m)
		each(m, func(l int) { w.r[d][l] = uint64(leader) })
		w.setPred(p, m, 1<<leader)
	}
}
