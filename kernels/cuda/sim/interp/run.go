package interp

import (
	"math/bits"
	"runtime"
)

// slice is the number of instructions after which a warp gives up its turn, so that a loop that
// waits for memory to change gets to see it.
const slice = 1 << 16

// turn takes a warp to its next barrier, a failed try_wait, the end of its time slice, or its end.
func (w *warp) turn() {
	code := w.run.k.code
	check := w.b.check
	budget := slice
	w.yield = false
next:
	for len(w.stack) > 0 {
		t := &w.stack[len(w.stack)-1]
		active := t.mask & w.live
		pc, join := t.pc, t.join
		if active == 0 || pc == join {
			w.stack = w.stack[:len(w.stack)-1]
			continue
		}
		for pc != join {
			in := &code[pc]
			m := active
			if in.guard >= 0 {
				if in.neg {
					m &^= w.p[in.guard]
				} else {
					m &= w.p[in.guard]
				}
			}
			w.pc = pc
			if check != nil {
				w.defined(in, active, m)
			}
			if w.count != nil && m != 0 {
				w.count[pc]++
			}
			budget--
			switch in.kind {
			case plain:
				if m != 0 {
					in.run(w, m)
				}
				pc++
			case branch, indirect:
				if budget < 0 {
					t.pc = pc
					w.pause()
					return
				}
				if in.kind == indirect {
					if m == 0 {
						pc++
						continue
					}
					t.pc = in.join
					if rest := active &^ m; rest != 0 {
						w.part(pc+1, in.join, rest)
					}
					w.fan(in, m)
					continue next
				}
				switch {
				case m == active:
					pc = in.to
				case m == 0:
					pc++
				default: // the lanes part here and meet again at the join
					t.pc = in.join
					w.part(pc+1, in.join, active&^m)
					w.part(in.to, in.join, m)
					continue next
				}
			case ret:
				w.live &^= m
				active &^= m
				if active == 0 {
					continue next
				}
				pc++
			case waits:
				if m != 0 {
					w.again = false
					in.run(w, m)
				}
				if w.again {
					t.pc = pc
					return
				}
				pc++
				if w.yield {
					t.pc = pc
					w.steps += uint64(slice - budget)
					w.limit()
					return
				}
			}
		}
		w.stack = w.stack[:len(w.stack)-1]
	}
	w.state = done
	w.u.events++
	w.finish()
	w.b.left()
}

// part gives lanes their own way until they reach join.
func (w *warp) part(pc, join int, m uint32) {
	if pc != join {
		w.stack = append(w.stack, frame{pc, join, m})
	}
}

// fan parts the lanes of m by their index into the table of an indirect branch.
func (w *warp) fan(in *instr, m uint32) {
	index := w.reg(in.index)
	for m != 0 {
		i := index[bits.TrailingZeros32(m)]
		if i >= uint64(len(in.table)) {
			faultf(bits.TrailingZeros32(m), "index %d into a table of %d branch targets", i, len(in.table))
		}
		var same uint32
		each(m, func(l int) {
			if index[l] == i {
				same |= 1 << l
			}
		})
		w.part(in.table[i], in.join, same)
		m &^= same
	}
}

// pause ends a time slice.
func (w *warp) pause() {
	w.steps += slice
	w.u.events++
	w.limit()
	runtime.Gosched()
}

func (w *warp) limit() {
	if w.steps > w.run.o.Steps {
		faultf(-1, "no end after %d instructions: the warp hangs", w.steps)
	}
}
