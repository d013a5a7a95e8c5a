package interp

import "math/bits"

// translateCarry makes addc, subc and madc: they take the carry that an instruction with .cc left.
func translateCarry(o *operands) op {
	o.has("cc")
	return o.carryOp()
}

// carryOp is an addition, subtraction or multiplication-addition of extended precision. The carry is
// one bit per lane.
func (o *operands) carryOp() op {
	width := typeBits(o.typ)
	if width != 32 && width != 64 || o.typ[0] == 'b' {
		return nil
	}
	out := o.has("cc")
	name := o.part[0]
	in := name == "addc" || name == "subc" || name == "madc"
	product := func(a, b uint64) uint64 { return a }
	n := 3
	if name == "mad" || name == "madc" {
		n = 4
		product = o.product(width)
	}
	if !o.want(n, n) {
		return nil
	}
	minus := name == "sub" || name == "subc"
	d, a, b, c := o.slot(0), o.slot(1), o.slot(2), o.slot(n-1)
	if product == nil {
		return nil
	}
	mask := ^uint64(0) >> (64 - width)
	return func(w *warp, m uint32) {
		D, A, B, C := w.reg(d), w.reg(a), w.reg(b), w.reg(c)
		each(m, func(l int) {
			x, y, carry := product(A[l], B[l])&mask, C[l], uint64(0)
			if in {
				carry = uint64(w.carry >> l & 1)
			}
			if minus {
				y ^= mask
				if in {
					carry ^= 1
				} else {
					carry = 1
				}
			}
			s, over := bits.Add64(x, y, carry)
			if width == 32 {
				over = s >> 32
			}
			if minus {
				over ^= 1 // a borrow
			}
			D[l] = s & mask
			if out {
				w.carry = w.carry&^(1<<l) | uint32(over&1)<<l
			}
		})
	}
}

// product is the low or high half of a product.
func (o *operands) product(width int) func(a, b uint64) uint64 {
	isSigned := o.typ[0] == 's'
	switch {
	case o.has("lo"):
		return func(a, b uint64) uint64 { return a * b }
	case o.has("hi") && width == 32 && isSigned:
		return func(a, b uint64) uint64 { return uint64(int64(int32(a)) * int64(int32(b)) >> 32) }
	case o.has("hi") && width == 32:
		return func(a, b uint64) uint64 { return a * b >> 32 }
	case o.has("hi"):
		f := mulHighU64
		if isSigned {
			f = mulHighS64
		}
		return func(a, b uint64) uint64 {
			var D, A, B lanes
			A[0], B[0] = a, b
			f(&D, &A, &B)
			return D[0]
		}
	}
	return nil
}
