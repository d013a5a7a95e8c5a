package interp

import "math"

func init() { families["cvt"] = translateConvert }

// translateConvert makes cvt.
func translateConvert(o *operands) op {
	n := len(o.part)
	if n < 3 {
		return nil
	}
	to, from := o.part[n-2], o.part[n-1]
	o.used[n-2], o.used[n-1] = true, true
	c := conversion{
		to: to, from: from, round: o.one("rn", "rz", "rm", "rp", "rna", "rni", "rzi", "rmi", "rpi"),
		ftz: o.has("ftz"), sat: o.has("sat"), relu: o.has("relu"), satfinite: o.has("satfinite"),
	}
	if to == "bf16x2" || to == "f16x2" {
		return o.convertPair(c)
	}
	if to == "tf32" {
		if from != "f32" || c.round != "rna" && c.round != "rn" {
			return nil
		}
		return o.unary(func(D, A *lanes) { // 10 bits of mantissa; ties away from zero, or to even
			for l := range D {
				half := uint64(0x1000)
				if c.round == "rn" {
					half = 0xfff + A[l]>>13&1
				}
				D[l] = (A[l] + half) &^ 0x1fff & 0xffffffff
			}
		})
	}
	if typeBits(to) < 8 || typeBits(from) < 8 || to[0] == 'b' && to != "bf16" || from[0] == 'b' && from != "bf16" || c.satfinite {
		return nil
	}
	if !c.legal() || !o.want(2, 2) {
		return nil
	}
	d, a := o.slotOf(0, to), o.slotOf(1, from)
	if o.err != nil {
		return nil
	}
	f := c.loop()
	if wide := o.a.width[d]; to[0] == 's' && wide > typeBits(to) && typeBits(to) < 64 { // the register is wider than the result
		inner, shift, mask := f, 64-typeBits(to), ^uint64(0)>>(64-wide)
		f = func(D, A *lanes) {
			inner(D, A)
			for l := range D {
				D[l] = uint64(int64(D[l]<<shift)>>shift) & mask
			}
		}
	}
	return onUnary(d, a, f)
}

// conversion is what a cvt does.
type conversion struct {
	to, from                  string
	round                     string
	ftz, sat, relu, satfinite bool
}

func (c *conversion) legal() bool {
	toF, fromF := isFloat(c.to), isFloat(c.from)
	integral := len(c.round) == 3
	switch {
	case c.relu && !(c.to == "f16" || c.to == "bf16"), typeBits(c.to) == 16 && toF && (c.round == "rm" || c.round == "rp"):
		return false
	case !toF && !fromF:
		return c.round == "" && !c.ftz
	case !toF:
		return integral
	case !fromF:
		return c.round != "" && !integral
	case c.to == c.from || typeBits(c.to) > typeBits(c.from): // exact, unless to an integral value
		return c.round == "" || integral && c.to == c.from
	}
	return c.round != "" && !integral
}

var integerConversions = map[string]unaryLoop{
	"u16.u32": convertInt[uint32, uint16], "u32.u16": convertInt[uint16, uint32], "s32.s16": convertInt[int16, int32],
	"u64.u32": convertInt[uint32, uint64], "u32.u64": convertInt[uint64, uint32], "s64.s32": convertInt[int32, int64],
	"u16.u64": convertInt[uint64, uint16], "u64.u16": convertInt[uint16, uint64], "s64.s16": convertInt[int16, int64],
	"u16.u8": convertInt[uint8, uint16], "s16.s8": convertInt[int8, int16], "u32.u8": convertInt[uint8, uint32], "s32.s8": convertInt[int8, int32],
	"u64.u8": convertInt[uint8, uint64], "s64.s8": convertInt[int8, int64],
}

func convertInt[S, D integer](R, A *lanes) {
	for l := range R {
		R[l] = low(D(S(A[l])))
	}
}

// loop picks the loop of a conversion; the common ones have their own.
func (c *conversion) loop() unaryLoop {
	if f := integerConversions[c.to+"."+c.from]; f != nil && !c.sat {
		return f
	}
	switch {
	case c.sat || c.ftz || c.relu:
	case c.to == "f32" && c.round == "rn" && c.from == "s32":
		return floatOfS32
	case c.to == "f32" && c.round == "rn" && c.from == "u32":
		return func(D, A *lanes) {
			for l := range D {
				D[l] = u32(float32(uint32(A[l])))
			}
		}
	case c.to == "f32" && c.from == "bf16":
		return func(D, A *lanes) {
			for l := range D {
				D[l] = A[l] << 16 & 0xffffffff
			}
		}
	case c.to == "bf16" && c.from == "f32" && c.round == "rn":
		return func(D, A *lanes) {
			for l := range D {
				D[l] = toBF16(f32(A[l]))
			}
		}
	}
	from, to := c.source(), c.dest()
	return func(D, A *lanes) {
		for l := range D {
			D[l] = to(from(A[l]))
		}
	}
}

// floatOfS32 is the loop of cvt.rn.f32.s32.
var floatOfS32 = unaryLoop(func(D, A *lanes) {
	for l := range D {
		D[l] = u32(float32(int32(A[l])))
	}
})

// number is a value on its way: a float, or an integer of which neg tells that bits is negative.
type number struct {
	f     float64
	bits  uint64
	neg   bool
	float bool
}

// source reads a register of the source type.
func (c *conversion) source() func(uint64) number {
	width := typeBits(c.from)
	switch c.from {
	case "f64":
		return func(v uint64) number { return number{f: f64(v), float: true} }
	case "f32":
		if c.ftz {
			return func(v uint64) number { return number{f: float64(f32(flushOne(v))), float: true} }
		}
		return func(v uint64) number { return number{f: float64(f32(v)), float: true} }
	case "f16":
		return func(v uint64) number { return number{f: float64(fromF16(v)), float: true} }
	case "bf16":
		return func(v uint64) number { return number{f: float64(fromBF16(v)), float: true} }
	}
	if c.from[0] == 's' {
		return func(v uint64) number {
			s := int64(v<<(64-width)) >> (64 - width)
			return number{bits: uint64(s), neg: s < 0}
		}
	}
	return func(v uint64) number { return number{bits: v << (64 - width) >> (64 - width)} }
}

// integral rounds to an integer.
func integral(f float64, round string) float64 {
	switch round {
	case "rni":
		return math.RoundToEven(f)
	case "rzi":
		return math.Trunc(f)
	case "rmi":
		return math.Floor(f)
	}
	return math.Ceil(f)
}

// dest writes the destination type.
func (c *conversion) dest() func(number) uint64 {
	width := typeBits(c.to)
	mask := ^uint64(0) >> (64 - width)
	if isFloat(c.to) {
		return c.destFloat()
	}
	isSigned := c.to[0] == 's'
	least, most := 0.0, math.Ldexp(1, width)
	if isSigned {
		least, most = -math.Ldexp(1, width-1), math.Ldexp(1, width-1)
	}
	largest, smallest := mask, uint64(0)
	if isSigned {
		largest, smallest = mask>>1, 1<<(width-1)
	}
	return func(n number) uint64 {
		if n.float {
			f := integral(n.f, c.round)
			switch {
			case f != f && width == 64:
				return 1 << 63
			case f != f:
				return 0
			case f < least:
				return smallest
			case f >= most:
				return largest
			case f < 0:
				return uint64(int64(f)) & mask
			}
			return uint64(f) & mask
		}
		if c.sat {
			switch {
			case n.neg && !isSigned:
				return 0
			case n.neg && int64(n.bits) < -1<<(width-1):
				return smallest
			case !n.neg && n.bits > largest:
				return largest
			}
		}
		return n.bits & mask
	}
}

// destFloat writes a floating-point destination.
func (c *conversion) destFloat() func(number) uint64 {
	return func(n number) uint64 {
		f := n.f
		var e float64 // what f has lost of an integer
		if !n.float {
			f, e = float64(n.bits), 0
			if n.neg {
				f = float64(int64(n.bits))
				e = float64(int64(n.bits) - int64(f))
			} else if f < 0x1p64 {
				e = float64(int64(n.bits - uint64(f)))
			} else {
				e = -float64(-n.bits)
			}
		} else if len(c.round) == 3 && c.round != "rna" {
			f = integral(f, c.round)
		}
		if c.sat {
			f = min(max(f, 0), 1)
			if n.f != n.f {
				f = 0
			}
		}
		if c.relu && f < 0 {
			f = 0
		}
		switch c.to {
		case "f64":
			if e != 0 && c.round != "rn" {
				f = nudge(f, e, c.round)
			}
			return u64(f)
		case "f32":
			if f != f {
				return nan32
			}
			if c.round == "rz" || c.round == "rm" || c.round == "rp" {
				return u32(roundTo(f, e, c.round))
			}
			if e != 0 && math.Float64bits(f)&1 == 0 { // to odd, so that it is rounded once
				f = math.Float64frombits(math.Float64bits(f) + toward(f, e))
			}
			v := u32(float32(f))
			if c.ftz {
				v = flushOne(v)
			}
			return v
		}
		return c.putHalf(f)
	}
}

// nudge moves a rounded float64 to the neighbour that a directed rounding gives.
func nudge(f, e float64, round string) float64 {
	switch {
	case e > 0 && (round == "rp" || round == "rz" && f < 0):
		return math.Nextafter(f, math.Inf(1))
	case e < 0 && (round == "rm" || round == "rz" && f > 0):
		return math.Nextafter(f, math.Inf(-1))
	}
	return f
}

// putHalf rounds to a 16-bit float.
func (c *conversion) putHalf(f float64) uint64 {
	put, get := toF16, fromF16
	if c.to[0] == 'b' {
		put, get = toBF16Wide, fromBF16
	}
	v := put(f)
	if c.round == "rn" || c.round == "" || f != f {
		return v
	}
	if math.Abs(float64(get(v))) > math.Abs(f) { // toward zero
		return v - 1
	}
	return v
}

// convertPair makes cvt of two float32 into a packed pair; the first source is the upper half.
func (o *operands) convertPair(c conversion) op {
	if c.from != "f32" || c.round != "rn" && c.round != "rz" || c.sat || c.ftz || c.satfinite || !o.want(3, 3) {
		return nil
	}
	d, a, b := o.slotOf(0, "b32"), o.slotOf(1, "f32"), o.slotOf(2, "f32")
	if c.to == "bf16x2" && c.round == "rn" && !c.relu {
		return onBinary(d, a, b, func(D, A, B *lanes) {
			for l := range D {
				D[l] = toBF16(f32(A[l]))<<16 | toBF16(f32(B[l]))
			}
		})
	}
	one := func(v uint64) uint64 {
		f := float64(f32(v))
		if c.relu && f < 0 {
			f = 0
		}
		return c.putHalf(f)
	}
	return onBinary(d, a, b, func(D, A, B *lanes) {
		for l := range D {
			D[l] = one(A[l])<<16 | one(B[l])
		}
	})
}
