package interp

import "math"

// fromBF16 and toBF16 convert bfloat16, rounding to nearest even.
func fromBF16(v uint64) float32 { return math.Float32frombits(uint32(v) << 16) }

func toBF16(f float32) uint64 {
	u := math.Float32bits(f)
	if u&0x7fffffff > 0x7f800000 {
		return 0x7fff
	}
	return uint64((u + 0x7fff + u>>16&1) >> 16)
}

// fromF16 converts IEEE half precision.
func fromF16(v uint64) float32 {
	sign, exp, frac := uint32(v)>>15&1<<31, uint32(v)>>10&31, uint32(v)&0x3ff
	switch exp {
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	case 0:
		f := float32(frac) * 0x1p-24
		return math.Float32frombits(math.Float32bits(f) | sign)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

// toF16 rounds a float64 to nearest even.
func toF16(f float64) uint64 {
	if f != f {
		return 0x7fff
	}
	sign := math.Float64bits(f) >> 63 << 15
	a := math.Abs(f)
	switch {
	case a >= 65520:
		return sign | 0x7c00
	case a < 0x1p-14: // subnormal: a multiple of 2^-24
		return sign | uint64(math.RoundToEven(a*0x1p24))
	}
	// 10 bits of mantissa: round the float64 at bit 42
	u := math.Float64bits(a)
	u += 1<<41 - 1 + u>>42&1
	return sign | (u>>52-1008)<<10 | u>>42&0x3ff
}

// toBF16Wide rounds a float64 once to bfloat16.
func toBF16Wide(f float64) uint64 {
	s := float32(f)
	if float64(s) != f && f == f && math.Float32bits(s)&1 == 0 && !math.IsInf(float64(s), 0) { // to odd
		if math.Abs(float64(s)) > math.Abs(f) {
			s = math.Float32frombits(math.Float32bits(s) - 1)
		} else {
			s = math.Float32frombits(math.Float32bits(s) + 1)
		}
	}
	return toBF16(s)
}

// codec reads and writes a 16-bit float.
type codec struct {
	get func(uint64) float32
	put func(float64) uint64
}

func (o *operands) codec() (c codec, pairs bool) {
	if o.typ[0] == 'b' {
		return codec{fromBF16, toBF16Wide}, o.typ == "bf16x2"
	}
	return codec{fromF16, toF16}, o.typ == "f16x2"
}

// both applies f to a 16-bit value, or to the two halves of a packed one.
func both(packed bool, a, b, c uint64, f func(a, b, c uint64) uint64) uint64 {
	if !packed {
		return f(a, b, c)
	}
	return f(a&0xffff, b&0xffff, c&0xffff) | f(a>>16, b>>16, c>>16)<<16
}

// halfOp makes add, sub, mul and fma of 16-bit floats, rounded once.
func (o *operands) halfOp(name string, ftz, sat, relu bool) op {
	c, packed := o.codec()
	one := func(x, y, z uint64) uint64 {
		a, b := float64(c.get(x)), float64(c.get(y))
		var r float64
		switch name {
		case "add":
			r = a + b
		case "sub":
			r = a - b
		case "mul":
			r = a * b
		default:
			p, q := a*b, float64(c.get(z))
			r = p + q
			if e := residue(p, q, r); e != 0 && math.Float64bits(r)&1 == 0 { // to odd: rounded again below
				r = math.Float64frombits(math.Float64bits(r) + toward(r, e))
			}
		}
		if sat {
			r = float64(f32(saturate(u32(float32(r)))))
		}
		if relu && !(r > 0) && r == r {
			r = 0
		}
		v := c.put(r)
		if ftz && v&0x7c00 == 0 {
			v &= 0x8000
		}
		return v
	}
	if name == "fma" {
		return o.ternary(func(D, A, B, C *lanes) {
			for l := range D {
				D[l] = both(packed, A[l], B[l], C[l], one)
			}
		})
	}
	return o.binary(func(D, A, B *lanes) {
		for l := range D {
			D[l] = both(packed, A[l], B[l], 0, one)
		}
	})
}

func (o *operands) halfMinMax(greatest, nan, ftz bool) op {
	c, packed := o.codec()
	one := func(x, y, _ uint64) uint64 {
		if ftz && x&0x7c00 == 0 {
			x &= 0x8000
		}
		if ftz && y&0x7c00 == 0 {
			y &= 0x8000
		}
		v := pick(u32(c.get(x)), u32(c.get(y)), greatest, nan)
		return c.put(float64(f32(v)))
	}
	return o.binary(func(D, A, B *lanes) {
		for l := range D {
			D[l] = both(packed, A[l], B[l], 0, one)
		}
	})
}

// halfApprox makes ex2 and tanh of 16-bit floats.
func (o *operands) halfApprox(name, how string, ftz bool) op {
	if how != "approx" || name != "ex2" && name != "tanh" {
		return nil
	}
	switch o.typ {
	case "f16", "f16x2", "bf16", "bf16x2":
	default:
		return nil
	}
	if o.typ[0] == 'b' && name == "ex2" && !ftz {
		return nil
	}
	c, packed := o.codec()
	f := approximations[name].f
	e := 0x1p-8 // of bf16; f16: 2^-10.987 for tanh, 2^-9.9 for ex2
	if o.typ[0] == 'f' {
		e = 0x1p-10
	}
	one := func(x, _, _ uint64) uint64 {
		return c.put(float64(f32(blur(f(float64(c.get(x))), e/2, x))))
	}
	return o.unary(func(D, A *lanes) {
		for l := range D {
			D[l] = both(packed, A[l], 0, 0, one)
		}
	})
}
