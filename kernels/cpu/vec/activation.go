package vec

import "math"

// The activations of transformer blocks and their gradients. At −Inf the value is −0 and the gradient 0, the limits; NaN
// gives NaN. With ε = 2⁻²⁴, one rounding, |error| is at most
//
//	6ε·|x|       GELU, SiLU; 7ε·|g·u| SwiGLU and SwiGLUGrad's du (with dy for u)
//	3·10⁻⁷·|x|   GELUErf: the error of Φ, of which 0.9·10⁻⁷ is the approximation's
//	16ε·|dy|     GELUGrad; 10ε·|dy| SiLUGrad; 12ε·|dy·u| SwiGLUGrad's dg
//	10⁻⁶·|dy|    GELUErfGrad
//
// In the sigmoid forms e^−|z| carries 2 roundings of its own and 3|z| from z; |z|·s·(1 − s) <= 0.23 bounds what is left of
// the latter in s, and 2.4 in its slope.

const (
	geluLinear = 2 * 0.7978845608028653558798921198687637 // 2·√(2/π)
	geluCubic  = geluLinear * 0.044715

	// Beyond these arguments the activation is exactly 0 or x on every tier, and squares stay finite inside them.
	geluEnd    = 12
	geluErfEnd = 14
	siluEnd    = 90
)

// GELU computes y = ½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))), the form of GPT-2 ("gelu_new"), as x·σ(2·…).
// Hendrycks and Gimpel, arXiv:1606.08415.
func GELU(y, x []float32) { gelu(y, x[:len(y)]) }

func geluGo(y, x []float32) { apply(y, x, gelu64) }

func gelu64(x float64) float64 {
	x = finite(x)
	return x * sigmoid64(x*(geluLinear+geluCubic*(x*x)))
}

// GELUGrad computes dx = dy·GELU'(x).
func GELUGrad(dx, dy, x []float32) { geluGrad(dx, dy[:len(dx)], x[:len(dx)]) }

func geluGradGo(dx, dy, x []float32) { applyTimes(dx, dy, x, geluSlope) }

func geluSlope(x float64) float64 {
	x = min(max(x, -geluEnd), geluEnd)
	s, slope := logistic(x * (geluLinear + geluCubic*(x*x)))
	return s + x*slope*(geluLinear+3*geluCubic*(x*x))
}

// GELUErf computes y = x·Φ(x) = ½·x·(1 + erf(x/√2)), the exact form of BERT.
func GELUErf(y, x []float32) { geluErf(y, x[:len(y)]) }

func geluErfGo(y, x []float32) { apply(y, x, geluErf64) }

func geluErf64(x float64) float64 {
	x = finite(x)
	phi, _ := normal(x)
	return x * phi
}

// GELUErfGrad computes dx = dy·(Φ(x) + x·φ(x)), with Φ and φ the normal distribution and its density.
func GELUErfGrad(dx, dy, x []float32) { geluErfGrad(dx, dy[:len(dx)], x[:len(dx)]) }

func geluErfGradGo(dx, dy, x []float32) { applyTimes(dx, dy, x, geluErfSlope) }

func geluErfSlope(x float64) float64 {
	const density = 0.3989422804014326779399460599343819 // 1/√(2π)
	x = min(max(x, -geluErfEnd), geluErfEnd)
	phi, e := normal(x)
	return phi + x*density*e
}

// normal returns Φ(x) and e^(−x²/2), and exactly 0 or 1 for Φ where the exponential counts as 0.
func normal(x float64) (phi, e float64) {
	e = expOrZero(-0.5 * x * x)
	switch {
	case e != 0:
		return 0.5 * math.Erfc(-x*(1/math.Sqrt2)), e
	case x < 0:
		return 0, 0
	}
	return 1, 0
}

// SiLU computes y = x·σ(x).
func SiLU(y, x []float32) { silu(y, x[:len(y)]) }

func siluGo(y, x []float32) { apply(y, x, silu64) }

func silu64(x float64) float64 {
	x = finite(x)
	return x * sigmoid64(x)
}

// SiLUGrad computes dx = dy·SiLU'(x).
func SiLUGrad(dx, dy, x []float32) { siluGrad(dx, dy[:len(dx)], x[:len(dx)]) }

func siluGradGo(dx, dy, x []float32) { applyTimes(dx, dy, x, siluSlope) }

func siluSlope(x float64) float64 {
	x = min(max(x, -siluEnd), siluEnd)
	s, slope := logistic(x)
	return s + x*slope
}

// SwiGLU computes y = SiLU(g)·u, the gated unit of LLaMA. Shazeer, arXiv:2002.05202.
func SwiGLU(y, g, u []float32) { swiGLU(y, g[:len(y)], u[:len(y)]) }

func swiGLUGo(y, g, u []float32) { applyTimes(y, u, g, silu64) }

// SwiGLUGrad computes dg = dy·u·SiLU'(g) and du = dy·SiLU(g).
func SwiGLUGrad(dg, du, dy, g, u []float32) {
	n := len(dg)
	swiGLUGrad(dg, du[:n], dy[:n], g[:n], u[:n])
}

func swiGLUGradGo(dg, du, dy, g, u []float32) {
	var block [64]float64
	for len(dg) > 0 {
		n := convert(&block, g[:len(dg)])
		for i, v := range block[:n] {
			d := dy[i]
			dg[i], du[i] = d*u[i]*float32(siluSlope(v)), d*float32(silu64(v))
		}
		dg, du, dy, g, u = dg[n:], du[n:], dy[n:], g[n:], u[n:]
	}
}

// finite is x with −Inf replaced by the lowest float32, so that its product with 0 is −0.
func finite(x float64) float64 { return max(x, -math.MaxFloat32) }
