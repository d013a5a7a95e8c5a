package interp

import "math/bits"

func init() {
	for name, f := range map[string]func(o *operands) op{
		"and": translateLogic, "or": translateLogic, "xor": translateLogic, "not": translateLogic, "cnot": translateLogic,
		"shl": translateShift, "shr": translateShift, "shf": translateFunnel, "lop3": translateLop3, "prmt": translatePermute,
		"popc": translateCount, "clz": translateCount, "brev": translateCount, "bfind": translateFind, "fns": translateFns,
		"bfe": translateExtract, "bfi": translateInsert, "dp4a": translateDot, "dp2a": translateDot,
	} {
		families[name] = f
	}
}

// translateLogic makes the bitwise instructions, on registers or predicates.
func translateLogic(o *operands) op {
	name := o.part[0]
	if o.typ == "pred" {
		return o.predicateLogic()
	}
	width := typeBits(o.typ)
	if o.typ[0] != 'b' || width < 16 || width > 64 {
		return nil
	}
	mask := ^uint64(0) >> (64 - width)
	switch name {
	case "not":
		return o.unary(func(D, A *lanes) {
			for l := range D {
				D[l] = A[l] ^ mask
			}
		})
	case "cnot":
		return o.unary(func(D, A *lanes) {
			for l := range D {
				D[l] = b2u(A[l] == 0)
			}
		})
	}
	return o.binary(logic[name])
}

var logic = map[string]binaryLoop{
	"and": func(D, A, B *lanes) {
		for l := range D {
			D[l] = A[l] & B[l]
		}
	},
	"or": func(D, A, B *lanes) {
		for l := range D {
			D[l] = A[l] | B[l]
		}
	},
	"xor": func(D, A, B *lanes) {
		for l := range D {
			D[l] = A[l] ^ B[l]
		}
	},
}

func (o *operands) predicateLogic() op {
	name, n := o.part[0], 3
	if name == "not" {
		n = 2
	}
	if !o.want(n, n) || name == "cnot" {
		return nil
	}
	d, _ := o.pred(o.arg[0])
	a, negA := o.pred(o.arg[1])
	b, negB := o.pred(o.arg[n-1])
	return func(w *warp, m uint32) {
		x, y := w.pred(a, negA), w.pred(b, negB)
		switch name {
		case "not":
			x = ^x
		case "and":
			x &= y
		case "or":
			x |= y
		default:
			x ^= y
		}
		w.setPred(d, m, x)
	}
}

func translateShift(o *operands) op {
	if !o.want(3, 3) {
		return nil
	}
	f := shifts[o.part[0]+"."+o.typ]
	if f == nil {
		return nil
	}
	return onBinary(o.slot(0), o.slot(1), o.slotOf(2, "u32"), f)
}

var shifts = map[string]binaryLoop{
	"shl.b16": shiftLeft[uint16], "shl.b32": shiftLeft[uint32], "shl.b64": shiftLeft[uint64],
	"shr.b16": shiftRight[uint16], "shr.b32": shiftRight[uint32], "shr.b64": shiftRight[uint64],
	"shr.u16": shiftRight[uint16], "shr.u32": shiftRight[uint32], "shr.u64": shiftRight[uint64],
	"shr.s16": shiftRight[int16], "shr.s32": shiftRight[int32], "shr.s64": shiftRight[int64],
}

func shiftLeft[T unsigned](D, A, B *lanes) {
	for l := range D {
		D[l] = uint64(T(A[l]) << uint32(B[l]))
	}
}

func shiftRight[T integer](D, A, B *lanes) {
	for l := range D {
		D[l] = low(T(A[l]) >> uint32(B[l]))
	}
}

// translateFunnel makes shf: 32 bits out of the 64 of two registers.
func translateFunnel(o *operands) op {
	dir, mode := o.one("l", "r"), o.one("wrap", "clamp")
	if o.typ != "b32" || dir == "" || mode == "" {
		return nil
	}
	return o.ternary(func(D, A, B, C *lanes) {
		for l := range D {
			n := C[l] & 31
			if mode == "clamp" {
				n = min(C[l], 32)
			}
			v := B[l]<<32 | A[l]
			if dir == "l" {
				D[l] = v << n >> 32
			} else {
				D[l] = v >> n & 0xffffffff
			}
		}
	})
}

func translateLop3(o *operands) op {
	if o.typ != "b32" || !o.want(5, 5) {
		return nil
	}
	table := o.imm(4)
	if table < 0 || table > 255 {
		o.fail("truth table %d", table)
	}
	return onTernary(o.slot(0), o.slot(1), o.slot(2), o.slot(3), func(D, A, B, C *lanes) {
		for l := range D {
			a, b, c := A[l], B[l], C[l]
			var v uint64
			for i := range 8 {
				if table>>i&1 == 0 {
					continue
				}
				x, y, z := a, b, c
				if i&4 == 0 {
					x = ^x
				}
				if i&2 == 0 {
					y = ^y
				}
				if i&1 == 0 {
					z = ^z
				}
				v |= x & y & z
			}
			D[l] = v & 0xffffffff
		}
	})
}

// translatePermute makes prmt: bytes picked out of two registers.
func translatePermute(o *operands) op {
	mode := o.one("f4e", "b4e", "rc8", "ecl", "ecr", "rc16")
	if !o.has("b32") {
		return nil
	}
	return o.ternary(func(D, A, B, C *lanes) {
		for l := range D {
			v, s := B[l]<<32|A[l], C[l]
			if mode != "" {
				s = selectors(mode, s&3)
			}
			var r uint64
			for i := range 4 {
				x := v >> (s & 7 * 8) & 0xff
				if s&8 != 0 { // the sign of the byte instead
					x = uint64(uint8(int8(x) >> 7))
				}
				r |= x << (8 * i)
				s >>= 4
			}
			D[l] = r
		}
	})
}

// selectors gives the byte choice that a mode of prmt stands for.
func selectors(mode string, n uint64) uint64 {
	var s [4]uint64
	for i := range s {
		i := uint64(i)
		switch mode {
		case "f4e":
			s[i] = n + i
		case "b4e":
			s[i] = (n - i) & 7
		case "rc8":
			s[i] = n
		case "ecl":
			s[i] = max(n, i)
		case "ecr":
			s[i] = min(n, i)
		case "rc16":
			s[i] = n&1*2 + i&1
		}
	}
	return s[0] | s[1]<<4 | s[2]<<8 | s[3]<<12
}

func translateCount(o *operands) op {
	width := typeBits(o.typ)
	if o.typ != "b32" && o.typ != "b64" {
		return nil
	}
	switch o.part[0] {
	case "popc":
		return o.unary(func(D, A *lanes) {
			for l := range D {
				D[l] = uint64(bits.OnesCount64(A[l]))
			}
		})
	case "clz":
		return o.unary(func(D, A *lanes) {
			for l := range D {
				D[l] = uint64(width - bits.Len64(A[l]))
			}
		})
	}
	return o.unary(func(D, A *lanes) {
		for l := range D {
			D[l] = bits.Reverse64(A[l]) >> (64 - width)
		}
	})
}

// translateFind makes bfind: the place of the highest bit that differs from the sign.
func translateFind(o *operands) op {
	amount, width, isSigned := o.has("shiftamt"), typeBits(o.typ), o.typ[0] == 's'
	if width < 32 || o.typ[0] == 'b' || o.typ[0] == 'f' {
		return nil
	}
	return o.unary(func(D, A *lanes) {
		for l := range D {
			v := A[l]
			if isSigned && v>>(width-1)&1 != 0 {
				v = ^v & (^uint64(0) >> (64 - width))
			}
			n := bits.Len64(v) - 1
			if amount && n >= 0 {
				n = width - 1 - n
			}
			D[l] = uint64(uint32(n))
		}
	})
}

// translateFns makes fns: the place of the n-th set bit from base, upwards or downwards.
func translateFns(o *operands) op {
	if o.typ != "b32" {
		return nil
	}
	return o.ternary(func(D, A, B, C *lanes) {
		for l := range D {
			mask, at, n := uint32(A[l]), int(B[l]&31), int32(C[l])
			D[l] = 0xffffffff
			step := 1
			if n < 0 {
				step, n = -1, -n
			}
			if n == 0 {
				if mask>>at&1 != 0 {
					D[l] = uint64(at)
				}
				continue
			}
			for ; at >= 0 && at < 32; at += step {
				if mask>>at&1 != 0 {
					if n--; n == 0 {
						D[l] = uint64(at)
						break
					}
				}
			}
		}
	})
}

// translateExtract makes bfe.
func translateExtract(o *operands) op {
	width, isSigned := typeBits(o.typ), o.typ[0] == 's'
	if width < 32 || o.typ[0] != 's' && o.typ[0] != 'u' || !o.want(4, 4) {
		return nil
	}
	return onTernary(o.slot(0), o.slot(1), o.slotOf(2, "u32"), o.slotOf(3, "u32"), func(D, A, B, C *lanes) {
		for l := range D {
			v, pos, n := A[l], B[l]&0xff, C[l]&0xff
			if isSigned {
				sign := int64(v<<(64-width)) >> 63
				if at := pos + n - 1; n > 0 && at < uint64(width) {
					sign = int64(v<<(63-at)) >> 63
				}
				if n == 0 {
					sign = 0
				}
				have := min(n, max(uint64(width), pos)-pos) // bits that are there
				v = v>>pos&(1<<have-1) | uint64(sign)<<have
				D[l] = v & (^uint64(0) >> (64 - width))
				continue
			}
			D[l] = v >> pos & (1<<n - 1)
		}
	})
}

// translateInsert makes bfi.
func translateInsert(o *operands) op {
	width := typeBits(o.typ)
	if o.typ != "b32" && o.typ != "b64" || !o.want(5, 5) {
		return nil
	}
	d, a, b, p, n := o.slot(0), o.slot(1), o.slot(2), o.slotOf(3, "u32"), o.slotOf(4, "u32")
	return func(w *warp, m uint32) {
		A, B, P, N := w.reg(a), w.reg(b), w.reg(p), w.reg(n)
		for l := range A {
			field := (uint64(1)<<(N[l]&0xff) - 1) << (P[l] & 0xff) & (^uint64(0) >> (64 - width))
			w.tmp[l] = B[l]&^field | A[l]<<(P[l]&0xff)&field
		}
		merge(w.reg(d), &w.tmp, m)
	}
}

// translateDot makes dp4a and dp2a: a sum of products of bytes.
func translateDot(o *operands) op {
	n := len(o.part)
	if n < 3 || !o.want(4, 4) {
		return nil
	}
	signA, signB := o.part[n-2] == "s32", o.part[n-1] == "s32"
	for i := range 2 {
		if t := o.part[n-1-i]; t != "s32" && t != "u32" {
			return nil
		}
		o.used[n-1-i] = true
	}
	byteOf := func(v uint64, i int, isSigned bool) uint32 {
		x := uint8(v >> (8 * i))
		if isSigned {
			return uint32(int32(int8(x)))
		}
		return uint32(x)
	}
	if o.part[0] == "dp2a" {
		at := 0
		if o.one("lo", "hi") == "hi" {
			at = 2
		}
		return o.ternary(func(D, A, B, C *lanes) {
			for l := range D {
				s := uint32(C[l])
				for i := range 2 {
					x := uint32(uint16(A[l] >> (16 * i)))
					if signA {
						x = uint32(int32(int16(x)))
					}
					s += x * byteOf(B[l], at+i, signB)
				}
				D[l] = uint64(s)
			}
		})
	}
	return o.ternary(func(D, A, B, C *lanes) {
		for l := range D {
			s := uint32(C[l])
			for i := range 4 {
				s += byteOf(A[l], i, signA) * byteOf(B[l], i, signB)
			}
			D[l] = uint64(s)
		}
	})
}
