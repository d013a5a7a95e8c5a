package interp

import "strings"

// specialValues gives the special registers that stay the same while a warp runs a block.
var specialValues = map[string]func(w *warp, lane int) uint64{
	"%laneid":              func(w *warp, l int) uint64 { return uint64(l) },
	"%warpid":              func(w *warp, l int) uint64 { return uint64(w.id) },
	"%nwarpid":             func(w *warp, l int) uint64 { return uint64(len(w.b.warps)) },
	"%smid":                func(w *warp, l int) uint64 { return uint64(w.b.id % 132) },
	"%nsmid":               func(w *warp, l int) uint64 { return 132 },
	"%gridid":              func(w *warp, l int) uint64 { return 1 },
	"%lanemask_eq":         func(w *warp, l int) uint64 { return 1 << l },
	"%lanemask_lt":         func(w *warp, l int) uint64 { return 1<<l - 1 },
	"%lanemask_le":         func(w *warp, l int) uint64 { return 2<<l - 1 },
	"%lanemask_gt":         func(w *warp, l int) uint64 { return uint64(uint32(^(2<<l - 1))) },
	"%lanemask_ge":         func(w *warp, l int) uint64 { return uint64(uint32(^(1<<l - 1))) },
	"%dynamic_smem_size":   func(w *warp, l int) uint64 { return uint64(w.run.dynamic) },
	"%total_smem_size":     func(w *warp, l int) uint64 { return uint64(len(w.b.shared)) },
	"%cluster_ctarank":     func(w *warp, l int) uint64 { return uint64(w.b.rank) },
	"%cluster_nctarank":    func(w *warp, l int) uint64 { c := w.run.cluster; return uint64(c[0] * c[1] * c[2]) },
	"%is_explicit_cluster": func(w *warp, l int) uint64 { return b2u(w.run.k.Cluster[0] != 0) },
}

// vectors are the special registers with the components x, y and z.
var vectors = map[string]func(w *warp, lane, i int) uint64{
	"%tid": func(w *warp, l, i int) uint64 {
		t, d := uint32(w.thread(l)), w.run.dim
		return uint64([3]uint32{t % d[0], t / d[0] % d[1], t / d[0] / d[1]}[i])
	},
	"%ntid":           func(w *warp, l, i int) uint64 { return uint64(w.run.dim[i]) },
	"%ctaid":          func(w *warp, l, i int) uint64 { return uint64(w.b.ctaid[i]) },
	"%nctaid":         func(w *warp, l, i int) uint64 { return uint64(w.run.grid[i]) },
	"%clusterid":      func(w *warp, l, i int) uint64 { return uint64(w.b.ctaid[i] / w.run.cluster[i]) },
	"%nclusterid":     func(w *warp, l, i int) uint64 { return uint64(w.run.grid[i] / w.run.cluster[i]) },
	"%cluster_ctaid":  func(w *warp, l, i int) uint64 { return uint64(w.b.ctaid[i] % w.run.cluster[i]) },
	"%cluster_nctaid": func(w *warp, l, i int) uint64 { return uint64(w.run.cluster[i]) },
}

// isSpecial tells whether name is a special register of this file.
func isSpecial(name string) bool {
	if specialValues[name] != nil {
		return true
	}
	base, axis, ok := strings.Cut(name, ".")
	return ok && vectors[base] != nil && (axis == "x" || axis == "y" || axis == "z")
}

// set fills the slots of constants.
func (w *warp) set(list []constant) {
	for _, c := range list {
		r := w.reg(c.slot)
		for l := range r {
			r[l] = c.value
		}
	}
}

// constants fills the slots whose value never changes.
func (w *warp) constants() { w.set(w.run.k.consts) }

// bind fills the slots whose value a launch changes.
func (w *warp) bind() {
	w.set(w.run.global)
	w.specials(false)
}

// ofBlock are the special registers that differ from block to block.
var ofBlock = map[string]bool{"%ctaid": true, "%clusterid": true, "%cluster_ctaid": true, "%smid": true}

// special is a slot that holds a special register.
type special struct {
	slot  int
	block bool // it differs from block to block, not from lane to lane
	value func(w *warp, lane int) uint64
}

// newSpecial finds a special register of this file.
func newSpecial(name string, slot int) special {
	base, axis, _ := strings.Cut(name, ".")
	s := special{slot: slot, block: ofBlock[base], value: specialValues[name]}
	if s.value == nil {
		f, i := vectors[base], int(axis[0]-'x')
		s.value = func(w *warp, l int) uint64 { return f(w, l, i) }
	}
	return s
}

// specials fills the slots of special registers: those of a block, or those that stay the same.
func (w *warp) specials(block bool) {
	for i := range w.run.k.special {
		s := &w.run.k.special[i]
		if s.block != block {
			continue
		}
		r := w.reg(s.slot)
		if block {
			v := s.value(w, 0)
			for l := range r {
				r[l] = v
			}
			continue
		}
		for l := range r {
			r[l] = s.value(w, l)
		}
	}
}
