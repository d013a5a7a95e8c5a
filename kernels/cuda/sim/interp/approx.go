package interp

import "math"

func init() {
	for _, name := range []string{"rcp", "sqrt", "rsqrt", "ex2", "lg2", "sin", "cos", "tanh"} {
		families[name] = translateApprox
	}
}

// approximation is a function that hardware computes inexactly: the exact function, and the relative
// and absolute error that the manual allows.
type approximation struct {
	f        func(float64) float64
	rel, abs float64
}

// approximations of float32, with maximum errors as in "PTX ISA" 8.x; where its editions differ, the larger one.
var approximations = map[string]approximation{
	"rcp":   {f: func(x float64) float64 { return 1 / x }, rel: 0x1p-23},
	"sqrt":  {f: math.Sqrt, rel: 0x1p-23},
	"rsqrt": {f: func(x float64) float64 { return 1 / math.Sqrt(x) }, rel: 0x1.12p-23}, // 2^-22.9
	"ex2":   {f: exp2, rel: 0x1p-22},
	"lg2":   {f: math.Log2, rel: 0x1p-22, abs: 0x1p-22}, // absolute inside (0.5, 2)
	"sin":   {f: math.Sin, abs: 0x1.6ap-21},             // 2^-20.5 in [-2 pi, 2 pi]
	"cos":   {f: math.Cos, abs: 0x1.6ap-21},
	"tanh":  {f: tanh, rel: 0x1p-11},
}

// translateApprox makes the functions of one float: the .approx ones, and rcp and sqrt rounded as
// IEEE 754 says.
func translateApprox(o *operands) op {
	name := o.part[0]
	how := o.one("approx", "rn")
	ftz := o.has("ftz")
	a, ok := approximations[name]
	if !ok || how == "" {
		return nil
	}
	switch o.typ {
	case "f32":
	case "f64":
		switch {
		case how == "rn" && name == "rcp" || how == "rn" && name == "sqrt":
			return o.unary(func(D, A *lanes) {
				for l := range D {
					D[l] = u64(a.f(f64(A[l])))
				}
			})
		case how == "approx" && (name == "rcp" || name == "rsqrt") && ftz:
			return o.unary(func(D, A *lanes) { // the manual: 20 bits of mantissa, lower word zero
				for l := range D {
					D[l] = u64(a.f(f64(A[l]))) &^ 0xffffffff
				}
			})
		}
		return nil
	default:
		return o.halfApprox(name, how, ftz)
	}
	if how == "rn" {
		switch name {
		case "rcp":
			return o.unary(flushing(ftz, func(D, A *lanes) {
				for l := range D {
					D[l] = u32(1 / f32(A[l]))
				}
			}))
		case "sqrt":
			return o.unary(flushing(ftz, func(D, A *lanes) {
				for l := range D {
					D[l] = u32(float32(math.Sqrt(float64(f32(A[l])))))
				}
			}))
		}
		return nil
	}
	return o.unary(flushing(ftz, func(D, A *lanes) {
		for l := range D {
			D[l] = a.at(A[l])
		}
	}))
}

// flushing adds .ftz to a loop.
func flushing(ftz bool, f unaryLoop) unaryLoop {
	if !ftz {
		return f
	}
	return func(D, A *lanes) {
		var a lanes
		f(D, flush(&a, A))
		flush(D, D)
	}
}

// exp2 is 2^x with a relative error below 2^-34, which is much less than is allowed, and much faster
// than math.Exp2: the Taylor series of degree 9 on [-1/2, 1/2].
func exp2(x float64) float64 {
	if !(x > -1000 && x < 1000) {
		return math.Exp2(x)
	}
	n := math.Floor(x + .5)
	t := (x - n) * math.Ln2
	s := t * t
	q := s * s
	p := 1 + t + s*(1./2+t*(1./6)) + q*(1./24+t*(1./120)+s*(1./720+t*(1./5040))+q*(1./40320+t*(1./362880)))
	return p * math.Float64frombits(uint64(int64(n)+1023)<<52)
}

// tanh has a relative error below 2^-23.
func tanh(x float64) float64 {
	switch a := math.Abs(x); {
	case a < .25:
		s := x * x
		return x * (1 - s*(1./3-s*(2./15-s*(17./315-s*(62./2835)))))
	case a > 20 || x != x:
		return math.Tanh(x)
	}
	t := exp2(2 * math.Log2E * x)
	return (t - 1) / (t + 1)
}

// at is the approximation of the function at a float32, wrong by up to what is allowed.
func (a *approximation) at(v uint64) uint64 {
	x := float64(f32(v))
	y := a.f(x)
	if a.abs != 0 {
		e := a.abs
		if a.rel != 0 && (x <= 0.5 || x >= 2) {
			e = a.rel * math.Abs(y)
		}
		if y == 0 || math.IsInf(y, 0) {
			return u32(float32(y))
		}
		return blur(y, e/math.Abs(y), v)
	}
	return blur(y, a.rel, v)
}

// blur is y as a float32 with a relative error of up to e that depends only on seed. Zeros,
// infinities, NaN, and results that the manual gives exactly for special operands (a seed of zero,
// as in 2^0 = 1) stay as they are.
func blur(y, e float64, seed uint64) uint64 {
	if y == 0 || y != y || math.IsInf(y, 0) || seed&0x7fffffff == 0 {
		if y != y {
			return nan32
		}
		return u32(float32(y))
	}
	h := (seed + 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9
	h ^= h >> 31
	h *= 0x94d049bb133111eb
	room := e - 0x1.01p-24 // rounding to float32 adds up to 2^-24 of its own
	t := float64(int64(h)) * 0x1p-63
	return u32(float32(y + y*room*t))
}
