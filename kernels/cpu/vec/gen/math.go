package main

import "math"

// The elementary functions, as operations on a block. All reduce to 2ⁿ·e^r with x = n·ln 2 + r, |r| <= ln(2)/2.

const (
	expMin  = -0x1.5a92d6p+6 // as in package vec: below it e^x is 0
	log2e   = math.Log2E
	ln2High = 0x1.62e4p-1 // 16 bits: n·ln2High is exact
	ln2Low  = math.Ln2 - ln2High

	// Adding a shifter rounds to an integer and leaves it, plus what the shifter carries above 1.5·2²³, in the low bits
	// of the float. Shifted left by 23 these are the bits of a power of two.
	shifter = 0x1.8p23
	bias    = 127
)

// expCoefficients are q of e^r = 1 + r + r²·q(r): minimax for the relative error of e^r on |r| <= 0.3473, 3.1·10⁻⁹.
var expCoefficients = []float64{0x1.fffffcp-2, 0x1.555490p-3, 0x1.5558f8p-5, 0x1.123b02p-7, 0x1.6a2256p-10}

// reduced returns r, and the shifter plus n, where n is the integer next to x/ln 2.
func (b *block) reduced(x *value, shifter float64) (r, shifted, n *value) {
	magic := b.number(shifter)
	shifted = b.fma(x, b.number(log2e), magic)
	n = b.sub(shifted, magic)
	r = b.fnma(n, b.number(ln2High), x)
	r = b.fnma(n, b.number(ln2Low), r)
	return r, shifted, n
}

// polynomial is Horner's scheme over the coefficients, lowest power first, each times factor.
func (b *block) polynomial(x *value, coefficients []float64, factor float64) *value {
	p := b.number(factor * coefficients[len(coefficients)-1])
	for i := len(coefficients) - 2; i >= 0; i-- {
		p = b.fma(p, x, b.number(factor*coefficients[i]))
	}
	return p
}

// exp is e^x: 0 below expMin, +Inf when too large.
func (b *block) exp(x *value) *value {
	keep := b.notBelow(x, b.number(expMin))
	series := append([]float64{1, 1}, expCoefficients...)
	x = b.min(x, b.number(89))
	if b.isa == avx512 {
		r, _, n := b.reduced(x, shifter)
		return b.scaleKept(b.polynomial(r, series, 1), n, keep)
	}
	// 2·e^r times 2ⁿ⁻¹, since 2¹²⁸ is not a float.
	x = b.max(x, b.number(expMin))
	r, shifted, _ := b.reduced(x, shifter+bias-1)
	return b.keep(keep, b.mul(b.polynomial(r, series, 2), b.shift("VPSLLD", shifted, 23)))
}

// expOfNegative is exp for x <= 0.
func (b *block) expOfNegative(x *value) *value {
	keep := b.notBelow(x, b.number(expMin))
	series := append([]float64{1, 1}, expCoefficients...)
	if b.isa == avx512 {
		r, _, n := b.reduced(x, shifter)
		return b.scaleKept(b.polynomial(r, series, 1), n, keep)
	}
	x = b.max(x, b.number(expMin))
	r, shifted, _ := b.reduced(x, shifter+bias)
	return b.keep(keep, b.mul(b.polynomial(r, series, 1), b.shift("VPSLLD", shifted, 23)))
}

// scaleKept is p·2ⁿ where the mask holds, 0 elsewhere.
func (b *block) scaleKept(p, n, mask *value) *value {
	return b.emit(&op{name: "VSCALEFPS.Z", args: []*value{p, n}, mask: mask, noMem: true})
}

func (b *block) signBit() *value { return b.integer(0x80000000) }

// tanh is −t/(t + 2) with the sign of x, where t = e^(−2|x|) − 1 without cancellation: for n = 0 it is the series itself.
func (b *block) tanh(x *value) *value {
	z := b.or(x, b.signBit())
	z = b.max(b.add(z, z), b.number(-40))
	r, shifted, _ := b.reduced(z, shifter+bias)
	power := b.shift("VPSLLD", shifted, 23)
	q := b.polynomial(r, expCoefficients, 1)
	series := b.fma(b.mul(r, r), q, r)
	t := b.fma(power, series, b.sub(power, b.number(1)))
	y := b.and(b.div(t, b.add(t, b.number(2))), b.integer(0x7fffffff))
	return b.or(y, b.and(x, b.signBit()))
}

// sigmoid is 1/(1 + e^−x), from e^−|x|, which cannot overflow.
func (b *block) sigmoid(x *value) *value {
	one := b.number(1)
	e := b.expOfNegative(b.or(x, b.signBit()))
	return b.div(b.ifNegative(x, e, one), b.add(e, one))
}

// sigmoidSlope returns s = sigmoid(x) and s·(1 − s).
func (b *block) sigmoidSlope(x *value) (s, slope *value) {
	one := b.number(1)
	e := b.expOfNegative(b.or(x, b.signBit()))
	r := b.div(one, b.add(e, one))
	er := b.mul(e, r)
	return b.ifNegative(x, er, r), b.mul(er, r)
}

// clamp is x held to [−end, end]; NaN stays.
func (b *block) clamp(x *value, end float64) *value {
	return b.min(b.max(x, b.number(-end)), b.number(end))
}

// finite is x with −Inf replaced by the lowest float, so that its product with 0 is −0.
func (b *block) finite(x *value) *value { return b.max(x, b.number(-math.MaxFloat32)) }

const (
	geluLinear = 2 * 0.7978845608028653558798921198687637 // 2·√(2/π)
	geluCubic  = geluLinear * 0.044715

	// As in package vec: beyond these the activation is exactly 0 or x.
	geluEnd    = 12
	geluErfEnd = 14
	siluEnd    = 90
)

// normalTail returns q = Φ(−|x|) and e^(−x²/2): q is the exponential times t·P(t), t = 1/(1 + 0.31·|x|), the form of
// Abramowitz and Stegun 7.1.26 with coefficients fitted for a relative error of 1.7·10⁻⁷ over 0 <= |x| <= 14.
func (b *block) normalTail(x *value) (q, e *value) {
	one := b.number(1)
	size := b.and(x, b.integer(0x7fffffff))
	e = b.expOfNegative(b.mul(b.mul(x, x), b.number(-0.5)))
	t := b.div(one, b.fma(size, b.number(0.31), one))
	return b.mul(b.mul(b.polynomial(t, normalCoefficients, 1), t), e), e
}

var normalCoefficients = []float64{0.12365691576309851, 0.12406024545800398, 0.10777175881040293, 0.11010769804303061,
	-0.014898344637218468, 0.1550618985354758, -0.14160085341734865, 0.03584076264215423}

// normal is Φ(x), the normal distribution function, and e^(−x²/2).
func (b *block) normal(x *value) (phi, e *value) {
	q, e := b.normalTail(x)
	return b.ifNegative(x, q, b.sub(b.number(1), q)), e
}
