package interp

import "math/bits"

func init() {
	families["ldmatrix"] = func(o *operands) op { return translateMatrix(o, true) }
	families["stmatrix"] = func(o *operands) op { return translateMatrix(o, false) }
}

// translateMatrix: ldmatrix and stmatrix .sync.aligned.m8n8.x1/.x2/.x4{.trans}.shared{::cta}.b16. Lane 8·j + r gives the
// address of row r of matrix j, 16 bytes. Lane l holds in register j the elements of row l/4 in columns 2·(l%4) and the next;
// with .trans, those of column l/4 in rows 2·(l%4) and the next (PTX ISA, "ldmatrix").
func translateMatrix(o *operands, load bool) op {
	if !o.want(2, 2) {
		return nil
	}
	if !o.has("sync") || !o.has("aligned") || !o.has("m8n8") || o.typ != "b16" {
		o.fail(".sync.aligned.m8n8 and .b16 expected")
		return nil
	}
	count := map[string]int{"x1": 1, "x2": 2, "x4": 4}[o.one("x1", "x2", "x4")]
	trans, win := o.has("trans"), o.window()
	list, at := o.arg[0], o.arg[1]
	if !load {
		list, at = at, list
	}
	regs := o.list(list, "b32")
	base, off := o.addr(at)
	if count == 0 || len(regs) != count {
		o.fail("%d registers for .x1, .x2 or .x4", len(regs))
		return nil
	}
	o.access(16)
	return func(w *warp, m uint32) {
		if m != full {
			faultf(-1, "executed by lanes %#08x: all 32 must take part", m)
		}
		addresses := w.reg(base)
		var rows [32][]byte
		for j := range count {
			var offs [8]uint32
			for r := range 8 {
				l := 8*j + r
				b, a := w.resolve(l, addresses[l]+off, 16, win)
				if a%16 != 0 {
					faultf(l, "row address %#x is not a multiple of 16", a)
				}
				w.touch(l, b, a, 16, !load)
				rows[l], offs[r] = b.shared[a:a+16:a+16], a
			}
			w.matrixPhase(&offs)
		}
		for j, slot := range regs {
			r := w.reg(slot)
			switch {
			case load && trans:
				for l := range r {
					c := l >> 2 * 2
					lo, hi := rows[8*j+l&3*2][c:], rows[8*j+l&3*2+1][c:]
					r[l] = uint64(lo[0]) | uint64(lo[1])<<8 | uint64(hi[0])<<16 | uint64(hi[1])<<24
				}
			case load:
				for l := range r {
					r[l] = uint64(le.Uint32(rows[8*j+l>>2][l&3*4:]))
				}
			case trans:
				for l, v := range r {
					c := l >> 2 * 2
					le.PutUint16(rows[8*j+l&3*2][c:], uint16(v))
					le.PutUint16(rows[8*j+l&3*2+1][c:], uint16(v>>16))
				}
			default:
				for l, v := range r {
					le.PutUint32(rows[8*j+l>>2][l&3*4:], uint32(v))
				}
			}
		}
	}
}

// matrixPhase counts the cycles of 8 rows of 16 bytes: rows in the same 16 bytes of the 128 that the banks serve at once wait
// for each other, unless they are the same row.
func (w *warp) matrixPhase(offs *[8]uint32) {
	if w.u.stats == nil {
		return
	}
	worst := 0
	for chunk := range uint32(8) {
		n := 0
		for i, a := range offs {
			if a>>4&7 != chunk {
				continue
			}
			again := false
			for _, b := range offs[:i] {
				again = again || a == b
			}
			if !again {
				n++
			}
		}
		worst = max(worst, n)
	}
	w.u.stats.MatrixPhases++
	w.u.stats.MatrixExtra += int64(worst - 1)
}

// lowest is the first lane of a mask.
func lowest(m uint32) int { return bits.TrailingZeros32(m) }
