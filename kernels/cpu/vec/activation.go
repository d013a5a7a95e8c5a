package vec

import "math"

// The activations of transformer blocks and their gradients. At −Inf the value is −0 and the gradient 0, the limits; NaN
// gives NaN. With u = 2⁻²⁴, one rounding, |error| is at most
//
//	6u·|x|        GELU, SiLU; 7u·|g·u| SwiGLU
//	3·10⁻⁷·|x|    GELUErf: the error of Φ, of which 0.9·10⁻⁷ is the approximation's
//	16u·|dy|      GELUGrad; 10u SiLUGrad; 12u·|u| SwiGLUGrad's dg
//	10⁻⁶·|dy|     GELUErfGrad
//
// The sigmoid forms: e^−|z| carries 2 roundings of its own and 3|z| from z; |z|·s·(1 − s) <= 0.23 bounds what is left of
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

func geluGo(y, x []float32) {
	for i := range y {
		v := float64(max(x[i], -math.MaxFloat32))
		s, _ := logistic(v * (geluLinear + geluCubic*(v*v)))
		y[i] = float32(v * s)
	}
}

// GELUGrad computes dx = dy·GELU'(x).
func GELUGrad(dx, dy, x []float32) { geluGrad(dx, dy[:len(dx)], x[:len(dx)]) }

func geluGradGo(dx, dy, x []float32) {
	for i := range dx {
		v := min(max(float64(x[i]), -geluEnd), geluEnd)
		s, slope := logistic(v * (geluLinear + geluCubic*(v*v)))
		dx[i] = float32(float64(dy[i]) * (s + v*slope*(geluLinear+3*geluCubic*(v*v))))
	}
}

// GELUErf computes y = x·Φ(x) = ½·x·(1 + erf(x/√2)), the exact form of BERT.
func GELUErf(y, x []float32) { geluErf(y, x[:len(y)]) }

func geluErfGo(y, x []float32) {
	for i := range y {
		v := float64(max(x[i], -math.MaxFloat32))
		phi, _ := normal(v)
		y[i] = float32(v * phi)
	}
}

// GELUErfGrad computes dx = dy·(Φ(x) + x·φ(x)), with Φ and φ the normal distribution and its density.
func GELUErfGrad(dx, dy, x []float32) { geluErfGrad(dx, dy[:len(dx)], x[:len(dx)]) }

func geluErfGradGo(dx, dy, x []float32) {
	const density = 0.3989422804014326779399460599343819 // 1/√(2π)
	for i := range dx {
		v := min(max(float64(x[i]), -geluErfEnd), geluErfEnd)
		phi, e := normal(v)
		dx[i] = float32(float64(dy[i]) * (phi + v*density*e))
	}
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

func siluGo(y, x []float32) {
	for i := range y {
		v := float64(max(x[i], -math.MaxFloat32))
		s, _ := logistic(v)
		y[i] = float32(v * s)
	}
}

// SiLUGrad computes dx = dy·SiLU'(x).
func SiLUGrad(dx, dy, x []float32) { siluGrad(dx, dy[:len(dx)], x[:len(dx)]) }

func siluGradGo(dx, dy, x []float32) {
	for i := range dx {
		v := min(max(float64(x[i]), -siluEnd), siluEnd)
		s, slope := logistic(v)
		dx[i] = float32(float64(dy[i]) * (s + v*slope))
	}
}

// SwiGLU computes y = SiLU(g)·u, the gated unit of LLaMA. Shazeer, arXiv:2002.05202.
func SwiGLU(y, g, u []float32) { swiGLU(y, g[:len(y)], u[:len(y)]) }

func swiGLUGo(y, g, u []float32) {
	for i := range y {
		v := float64(max(g[i], -math.MaxFloat32))
		s, _ := logistic(v)
		y[i] = float32(v * s * float64(u[i]))
	}
}

// SwiGLUGrad computes dg = dy·u·SiLU'(g) and du = dy·SiLU(g).
func SwiGLUGrad(dg, du, dy, g, u []float32) {
	n := len(dg)
	swiGLUGrad(dg, du[:n], dy[:n], g[:n], u[:n])
}

func swiGLUGradGo(dg, du, dy, g, u []float32) {
	for i := range dg {
		v := float64(max(g[i], -math.MaxFloat32))
		s, _ := logistic(v)
		inner := min(max(v, -siluEnd), siluEnd)
		_, slope := logistic(inner)
		d, w := float64(dy[i]), float64(u[i])
		dg[i] = float32(d * w * (s + inner*slope))
		du[i] = float32(d * (v * s))
	}
}
