package interp

import "math"

func init() {
	for name, f := range map[string]func(o *operands) op{
		"fma": (*operands).floatOp, "copysign": (*operands).copySign, "testp": (*operands).testProperty,
	} {
		families[name] = f
	}
}

func f32(v uint64) float32 { return math.Float32frombits(uint32(v)) }
func u32(f float32) uint64 { return uint64(math.Float32bits(f)) }
func f64(v uint64) float64 { return math.Float64frombits(v) }
func u64(f float64) uint64 { return math.Float64bits(f) }

// nan32 is what an instruction gives that makes a NaN.
const nan32 = 0x7fffffff

// floatOp makes add, sub, mul, fma and mad of floating point.
func (o *operands) floatOp() op {
	round := o.one("rn", "rz", "rm", "rp")
	ftz, sat, relu := o.has("ftz"), o.has("sat"), o.has("relu")
	name := o.part[0]
	if name == "mad" {
		if o.typ != "f32" && o.typ != "f64" {
			return nil
		}
		name = "fma"
	}
	if name == "fma" && round == "" {
		return nil
	}
	three := name == "fma"
	switch o.typ {
	case "f16", "bf16", "f16x2", "bf16x2":
		if round != "" && round != "rn" || sat && o.typ[0] == 'b' || o.typ[0] == 'b' && ftz || relu && !three {
			return nil
		}
		return o.halfOp(name, ftz, sat, relu)
	case "f64":
		if round != "" && round != "rn" || ftz || sat || relu {
			return nil
		}
		if three {
			return o.ternary(fma64)
		}
		return o.binary(doubles[name])
	}
	if relu {
		return nil
	}
	var f ternaryLoop
	switch {
	case round == "" || round == "rn":
		if !ftz && !sat {
			if three {
				return o.ternary(fma)
			}
			return o.binary(singles[name])
		}
		f = fma
		if !three {
			g := singles[name]
			f = func(D, A, B, C *lanes) { g(D, A, B) }
		}
	default:
		f = directed(name, round)
	}
	g := func(D, A, B, C *lanes) {
		var a, b, c lanes
		if ftz {
			A, B, C = flush(&a, A), flush(&b, B), flush(&c, C)
		}
		f(D, A, B, C)
		for l := range D {
			if sat {
				D[l] = saturate(D[l])
			}
			if ftz {
				D[l] = flushOne(D[l])
			}
		}
	}
	if three {
		return o.ternary(g)
	}
	return o.binary(func(D, A, B *lanes) { g(D, A, B, B) })
}

var singles = map[string]binaryLoop{
	"add": func(D, A, B *lanes) {
		for l := range D {
			D[l] = u32(f32(A[l]) + f32(B[l]))
		}
	},
	"sub": func(D, A, B *lanes) {
		for l := range D {
			D[l] = u32(f32(A[l]) - f32(B[l]))
		}
	},
	"mul": func(D, A, B *lanes) {
		for l := range D {
			D[l] = u32(f32(A[l]) * f32(B[l]))
		}
	},
}

var doubles = map[string]binaryLoop{
	"add": func(D, A, B *lanes) {
		for l := range D {
			D[l] = u64(f64(A[l]) + f64(B[l]))
		}
	},
	"sub": func(D, A, B *lanes) {
		for l := range D {
			D[l] = u64(f64(A[l]) - f64(B[l]))
		}
	},
	"mul": func(D, A, B *lanes) {
		for l := range D {
			D[l] = u64(f64(A[l]) * f64(B[l]))
		}
	},
}

func fma64(D, A, B, C *lanes) {
	for l := range D {
		D[l] = u64(math.FMA(f64(A[l]), f64(B[l]), f64(C[l])))
	}
}

// fma is the loop of fma.rn.f32.
var fma = ternaryLoop(fmaLanes)

func fmaLanes(D, A, B, C *lanes) {
	for l := range D {
		D[l] = u32(fma32(f32(A[l]), f32(B[l]), f32(C[l])))
	}
}

// fma32 is a*b+c rounded once. The product is exact in float64; the sum is not, and rounding it a
// second time goes wrong only if the first rounding ended on a tie between two float32 or in their
// subnormal range.
func fma32(a, b, c float32) float32 {
	p := float64(a) * float64(b)
	s := p + float64(c)
	if math.Float64bits(s)&0x1fffffff == 0x10000000 || math.Abs(s) < 0x1p-126 && s != 0 {
		return fmaOdd(p, float64(c), s)
	}
	return float32(s)
}

// fmaOdd rounds the inexact sum s of p and c to odd before it becomes a float32 (Boldo and
// Melquiond, "Emulation of FMA and correctly rounded sums").
func fmaOdd(p, c, s float64) float32 {
	e := residue(p, c, s)
	if e != 0 && math.Float64bits(s)&1 == 0 {
		s = math.Float64frombits(math.Float64bits(s) + toward(s, e))
	}
	return float32(s)
}

// residue is what the sum s of p and c lost (Knuth's TwoSum); NaN becomes 0.
func residue(p, c, s float64) float64 {
	t := s - p
	e := (p - (s - t)) + (c - t)
	if e != e {
		return 0
	}
	return e
}

// toward is what to add to the bits of s to go to its neighbour in the direction of e.
func toward(s, e float64) uint64 {
	if s == 0 || (e > 0) == (s > 0) {
		return 1
	}
	return ^uint64(0)
}

// directed makes add, sub, mul and fma that round toward zero (rz), minus (rm) or plus infinity (rp).
func directed(name, round string) ternaryLoop {
	return func(D, A, B, C *lanes) {
		for l := range D {
			a, b, c := float64(f32(A[l])), float64(f32(B[l])), float64(f32(C[l]))
			var p float64
			switch name {
			case "add":
				p, c = a, b
			case "sub":
				p, c = a, -b
			case "mul":
				p, c = a*b, 0
				if p == 0 {
					c = p // keeps the sign of zero
				}
			default:
				p = a * b
			}
			s := p + c
			D[l] = u32(roundTo(s, residue(p, c, s), round))
		}
	}
}

// roundTo rounds s plus a small e to float32.
func roundTo(s, e float64, round string) float32 {
	f := float32(s)
	if s != s || math.IsInf(s, 0) {
		return f
	}
	// above, below: whether f is above or below the exact value
	d := float64(f) - s
	if math.IsInf(float64(f), 0) {
		d = float64(f)
	}
	above, below := d > 0 || d == 0 && e < 0, d < 0 || d == 0 && e > 0
	switch {
	case round == "rp" && below, round == "rz" && below && s < 0:
		return math.Nextafter32(f, float32(math.Inf(1)))
	case round == "rm" && above, round == "rz" && above && s > 0:
		return math.Nextafter32(f, float32(math.Inf(-1)))
	}
	return f
}

func flush(D, A *lanes) *lanes {
	for l := range D {
		D[l] = flushOne(A[l])
	}
	return D
}

// flushOne replaces a subnormal float32 by the zero of its sign.
func flushOne(v uint64) uint64 {
	if v&0x7f800000 == 0 {
		return v & 0x80000000
	}
	return v
}

// saturate clamps a float32 to [0, 1]; NaN becomes 0.
func saturate(v uint64) uint64 {
	switch f := f32(v); {
	case !(f > 0):
		return 0
	case f > 1:
		return u32(1)
	}
	return v
}

// divide makes div of f32 and f64.
func (o *operands) divide() op {
	how := o.one("approx", "full", "rn", "rz", "rm", "rp")
	ftz := o.has("ftz")
	switch {
	case o.typ == "f64" && how == "rn":
		return o.binary(func(D, A, B *lanes) {
			for l := range D {
				D[l] = u64(f64(A[l]) / f64(B[l]))
			}
		})
	case o.typ != "f32":
		return nil
	case how == "rn" && !ftz:
		return o.binary(func(D, A, B *lanes) {
			for l := range D {
				D[l] = u32(f32(A[l]) / f32(B[l]))
			}
		})
	case how == "rn" || how == "approx" || how == "full":
		return o.binary(func(D, A, B *lanes) {
			for l := range D {
				a, b := A[l], B[l]
				if ftz {
					a, b = flushOne(a), flushOne(b)
				}
				v := u32(f32(a) / f32(b))
				if how != "rn" {
					v = blur(float64(f32(a))/float64(f32(b)), 0x1p-22, a^b)
				}
				if how == "approx" && math.Abs(float64(f32(b))) > 0x1p126 { // the manual: 0 or NaN
					v = u32(f32(a) * 0)
				}
				if ftz {
					v = flushOne(v)
				}
				D[l] = v
			}
		})
	}
	return nil
}

// floatSign makes neg and abs.
func (o *operands) floatSign() op {
	ftz := o.has("ftz")
	sign := map[string]uint64{"f16": 0x8000, "bf16": 0x8000, "f16x2": 0x80008000, "bf16x2": 0x80008000, "f32": 1 << 31, "f64": 1 << 63}[o.typ]
	flip, drop := sign, uint64(0)
	if o.part[0] == "abs" {
		flip, drop = 0, sign
	}
	if ftz && o.typ != "f32" {
		return nil
	}
	return o.unary(func(D, A *lanes) {
		for l := range D {
			v := A[l]
			if ftz {
				v = flushOne(v)
			}
			D[l] = v&^drop ^ flip
		}
	})
}

// floatMinMax makes min and max: a NaN operand loses unless .NaN asks for it, and -0 is below +0.
func (o *operands) floatMinMax() op {
	ftz, nan, xor := o.has("ftz"), o.has("NaN"), o.has("xorsign.abs")
	greatest := o.part[0] == "max"
	if o.want(4, 4) { // three inputs are sm_100
		return nil
	}
	o.err = nil
	switch o.typ {
	case "f32":
		if !ftz && !nan && !xor {
			if greatest {
				return o.binary(maxLanes)
			}
			return o.binary(minLanes)
		}
		return o.binary(func(D, A, B *lanes) {
			for l := range D {
				a, b := A[l], B[l]
				if ftz {
					a, b = flushOne(a), flushOne(b)
				}
				s := (a ^ b) & (1 << 31)
				if xor {
					a, b = a&^(1<<31), b&^(1<<31)
				}
				v := pick(a, b, greatest, nan)
				if xor {
					v = v&^(1<<31) | s
				}
				D[l] = v
			}
		})
	case "f64":
		if ftz || nan || xor {
			return nil
		}
		return o.binary(func(D, A, B *lanes) {
			for l := range D {
				a, b := f64(A[l]), f64(B[l])
				switch {
				case a != a:
					D[l] = B[l]
				case b != b:
					D[l] = A[l]
				case greatest:
					D[l] = u64(max(a, b))
				default:
					D[l] = u64(min(a, b))
				}
			}
		})
	}
	if xor || ftz && o.typ[0] == 'b' {
		return nil
	}
	return o.halfMinMax(greatest, nan, ftz)
}

func maxLanes(D, A, B *lanes) {
	for l := range D {
		D[l] = pick(A[l], B[l], true, false)
	}
}

func minLanes(D, A, B *lanes) {
	for l := range D {
		D[l] = pick(A[l], B[l], false, false)
	}
}

// pick is the greater or smaller of two float32.
func pick(a, b uint64, greatest, nan bool) uint64 {
	x, y := f32(a), f32(b)
	switch {
	case x > y:
		if greatest {
			return a
		}
		return b
	case x < y:
		if greatest {
			return b
		}
		return a
	case x == y:
		if greatest {
			return a & b // of two zeros, +0
		}
		return a | b
	case nan || x != x && y != y:
		return nan32
	case x != x:
		return b
	}
	return a
}

// copySign makes copysign: the sign of a with the value of b.
func (o *operands) copySign() op {
	sign := uint64(1) << 31
	switch o.typ {
	case "f32":
	case "f64":
		sign = 1 << 63
	default:
		return nil
	}
	return o.binary(func(D, A, B *lanes) {
		for l := range D {
			D[l] = B[l]&^sign | A[l]&sign
		}
	})
}

// testProperty makes testp.
func (o *operands) testProperty() op {
	what := o.one("finite", "infinite", "number", "notanumber", "normal", "subnormal")
	if what == "" || o.typ != "f32" && o.typ != "f64" || !o.want(2, 2) {
		return nil
	}
	p, _ := o.pred(o.arg[0])
	a := o.slot(1)
	least := 0x1p-126
	double := o.typ == "f64"
	if double {
		least = 0x1p-1022
	}
	return func(w *warp, m uint32) {
		A := w.reg(a)
		var v uint32
		for l := range A {
			x := float64(f32(A[l]))
			if double {
				x = f64(A[l])
			}
			abs := math.Abs(x)
			ok := map[string]bool{
				"finite": abs <= math.MaxFloat64, "infinite": math.IsInf(x, 0), "number": x == x, "notanumber": x != x,
				"normal": abs >= least && abs <= math.MaxFloat64, "subnormal": abs < least && abs != 0,
			}[what]
			v |= uint32(b2u(ok)) << l
		}
		w.setPred(p, m, v)
	}
}
