package interp

import "unsafe"

// An instruction that computes is a loop over all 32 lanes; the lanes that do not take part are left
// out when the result is stored. One loop per instruction, with no call per lane, is what makes the
// interpreter fast.
type (
	unaryLoop   func(D, A *lanes)
	binaryLoop  func(D, A, B *lanes)
	ternaryLoop func(D, A, B, C *lanes)
)

func (o *operands) unary(f unaryLoop) op {
	if !o.want(2, 2) || f == nil {
		return nil
	}
	return onUnary(o.slot(0), o.slot(1), f)
}

func onUnary(d, a int, f unaryLoop) op {
	return func(w *warp, m uint32) {
		if m == full {
			f(&w.r[d], &w.r[a])
			return
		}
		f(&w.tmp, &w.r[a])
		merge(&w.r[d], &w.tmp, m)
	}
}

func (o *operands) binary(f binaryLoop) op {
	if !o.want(3, 3) || f == nil {
		return nil
	}
	return onBinary(o.slot(0), o.slot(1), o.slot(2), f)
}

func onBinary(d, a, b int, f binaryLoop) op {
	return func(w *warp, m uint32) {
		if m == full {
			f(&w.r[d], &w.r[a], &w.r[b])
			return
		}
		f(&w.tmp, &w.r[a], &w.r[b])
		merge(&w.r[d], &w.tmp, m)
	}
}

func (o *operands) ternary(f ternaryLoop) op {
	if !o.want(4, 4) || f == nil {
		return nil
	}
	return onTernary(o.slot(0), o.slot(1), o.slot(2), o.slot(3), f)
}

func onTernary(d, a, b, c int, f ternaryLoop) op {
	return func(w *warp, m uint32) {
		if m == full {
			f(&w.r[d], &w.r[a], &w.r[b], &w.r[c])
			return
		}
		f(&w.tmp, &w.r[a], &w.r[b], &w.r[c])
		merge(&w.r[d], &w.tmp, m)
	}
}

type unsigned interface {
	uint8 | uint16 | uint32 | uint64
}
type signed interface{ int8 | int16 | int32 | int64 }
type integer interface{ unsigned | signed }

// low keeps as many bits of v as T has: how a register holds a T.
func low[T integer](v T) uint64 {
	return uint64(v) & (^uint64(0) >> (64 - 8*unsafe.Sizeof(v)))
}

func b2u(b bool) uint64 {
	var v uint64
	if b {
		v = 1
	}
	return v
}
