package vec

import "math"

// Exp computes y = e^x with at most 1 ulp of error: 0 below expMin (where the result would be subnormal), +Inf above
// ln(MaxFloat32), NaN for NaN.
func Exp(y, x []float32) { exp(y, x[:len(y)]) }

func expGo(y, x []float32) { apply(y, x, expOrZero) }

// ExpSum computes y = e^(x − shift) and returns Σ y, the core of softmax, with shift the largest element of x. An
// element of −Inf gives 0. The difference is rounded to float32 before the exponential.
func ExpSum(y, x []float32, shift float32) float32 { return expSum(y, x[:len(y)], shift) }

func expSumGo(y, x []float32, shift float32) float32 {
	for i := range y {
		y[i] = x[i] - shift
	}
	apply(y, y, expOrZero)
	return sumGo(y)
}

// SoftmaxGradRow computes dx = y·(dy − Σ dy·y), the gradient of one row of y = softmax(x).
func SoftmaxGradRow(dx, dy, y []float32) {
	n := len(dx)
	dy, y = dy[:n], y[:n]
	softmaxGrad(dx, dy, y, dot(dy, y))
}

func softmaxGradGo(dx, dy, y []float32, s float32) {
	for i := range dx {
		dx[i] = y[i] * (dy[i] - s)
	}
}

// Tanh computes y = tanh(x) with at most 3 ulp of error over the whole range; ±1 at ±Inf, NaN for NaN.
func Tanh(y, x []float32) { tanh(y, x[:len(y)]) }

func tanhGo(y, x []float32) { apply(y, x, tanh64) }

func tanh64(x float64) float64 {
	if math.Abs(x) < 0.02 { // the quotient below would lose the leading digits
		return x - x*x*x*(1./3-x*x*(2./15))
	}
	return 1 - 2/(1+exp64(2*min(max(x, -40), 40)))
}

// Sigmoid computes y = 1/(1 + e^−x) with at most 3 ulp of error: 1 at +Inf, 0 below expMin, NaN for NaN.
func Sigmoid(y, x []float32) { sigmoid(y, x[:len(y)]) }

func sigmoidGo(y, x []float32) { apply(y, x, sigmoid64) }

func sigmoid64(x float64) float64 {
	s, _ := logistic(x)
	return s
}

// apply computes y = f(x) in float64, for the portable tier. A block is converted before f runs: on amd64 the conversion
// writes half a register, and next to f it would wait for the result before, element after element.
func apply(y, x []float32, f func(float64) float64) {
	var block [64]float64
	for len(y) > 0 {
		n := convert(&block, x[:len(y)])
		for i, v := range block[:n] {
			y[i] = float32(f(v))
		}
		x, y = x[n:], y[n:]
	}
}

// applyTimes computes z = y·f(x).
func applyTimes(z, y, x []float32, f func(float64) float64) {
	var block [64]float64
	for len(z) > 0 {
		n := convert(&block, x[:len(z)])
		for i, v := range block[:n] {
			z[i] = y[i] * float32(f(v))
		}
		x, y, z = x[n:], y[n:], z[n:]
	}
}

// convert fills the block from the start of x and returns how many elements it took.
func convert(block *[64]float64, x []float32) int {
	n := min(len(block), len(x))
	for i, v := range x[:n] {
		block[i] = float64(v)
	}
	return n
}

// expMin is the smallest argument whose exponential is not taken as 0: ln 2⁻¹²⁵, one binade above the subnormals, which
// lets every tier build 2ⁿ in one multiplication.
const expMin = -0x1.5a92d6p+6

// expOrZero is e^x for the portable tier: 0 below expMin, +Inf in float32 for large x, NaN for NaN.
func expOrZero(x float64) float64 {
	if x < expMin {
		return 0
	}
	return exp64(min(x, 100))
}

// logistic returns s = 1/(1 + e^−x) and s·(1 − s), both 0 where e^−|x| counts as 0.
func logistic(x float64) (s, slope float64) {
	e := expOrZero(-math.Abs(x))
	r := 1 / (1 + e)
	if x < 0 {
		return e * r, e * r * r
	}
	return r, e * r * r
}

// exp64 is e^x for |x| <= 700 with a relative error below 10⁻¹²: e^x = 2ⁿ·e^r with |r| <= ln(2)/2 and a Taylor
// polynomial in r. math.Exp is exact to the last bits of float64, which nothing here needs, at twice the time.
func exp64(x float64) float64 {
	const shifter = 0x1.8p52 // adding it leaves the nearest integer in the low bits
	t := x*math.Log2E + shifter
	r := x - (t-shifter)*math.Ln2
	p := 1 + r*(1+r*(1./2+r*(1./6+r*(1./24+r*(1./120+r*(1./720+r*(1./5040+r*(1./40320+r*(1./362880+r*(1./3628800))))))))))
	return p * math.Float64frombits((math.Float64bits(t)+1023)<<52)
}
