package interp

import "strconv"

func itoa(v uint64) string { return strconv.FormatUint(v, 10) }
func hex(v uint64) string  { return strconv.FormatUint(v, 16) }

// barrier is one of the sixteen barriers of a block.
type barrier struct {
	arrived int     // threads, a warp counting as 32
	waiting []*warp // blocked until the count is complete
	clocks  []uint32
}

func init() {
	families["bar"] = translateBar
	families["barrier"] = translateBar
}

func translateBar(o *operands) op {
	if o.is("bar.warp.sync") {
		return func(w *warp, m uint32) { w.whole(m); w.syncWarp() }
	}
	o.has("cta")
	o.has("aligned")
	if !o.has("sync") || !o.want(1, 1) || o.arg[0] != "0" {
		return nil
	}
	o.in.kind = waits
	return func(w *warp, m uint32) {
		w.whole(m)
		bar := &w.b.bars[0]
		bar.waiting = append(bar.waiting, w)
		w.state, w.yield = blocked, true
		live := 0
		for _, x := range w.b.warps {
			if x.state != done {
				live++
			}
		}
		if len(bar.waiting) == live {
			for _, x := range bar.waiting {
				x.state = ready
			}
			bar.waiting = bar.waiting[:0]
			w.u.events++
		}
	}
}
