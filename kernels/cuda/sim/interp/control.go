package interp

import "runtime"

func init() {
	families["trap"] = func(o *operands) op {
		o.want(0, 0)
		return func(w *warp, m uint32) { faultf(firstLane(m), "the kernel trapped") }
	}
	families["brkpt"] = func(o *operands) op {
		o.want(0, 0)
		return func(w *warp, m uint32) { faultf(firstLane(m), "breakpoint") }
	}
	families["nanosleep"] = func(o *operands) op {
		o.want(1, 1)
		o.slotOf(0, "u32")
		o.in.kind = waits
		return func(w *warp, m uint32) {
			w.yield = true
			w.u.idle++
			runtime.Gosched()
		}
	}
	families["griddepcontrol"] = func(o *operands) op {
		if o.one("wait", "launch_dependents") == "" {
			return nil
		}
		return func(*warp, uint32) {}
	}
	families["pmevent"] = func(o *operands) op {
		o.has("mask")
		return func(*warp, uint32) {}
	}
}
