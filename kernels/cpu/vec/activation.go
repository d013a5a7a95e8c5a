package vec

import "math"

// The activations of transformer blocks and their gradients. At −Inf the value is −0 and the gradient 0, the limits; NaN
// gives NaN. Errors are relative to the size of the terms: |error| <= 8·2⁻²⁴·max(|x|, |y|), and for gradients
// |error| <= 16·2⁻²⁴·|dy|·max(1, |u|) with u the other factor of SwiGLU, 1 elsewhere. GELUErf and its gradient add at
// most 1.5·10⁻⁷·max(1, |x|) from the approximation of erf.

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
		y[i] = float32(v * (0.5 * math.Erfc(-v*(1/math.Sqrt2))))
	}
}

// GELUErfGrad computes dx = dy·(Φ(x) + x·φ(x)), with Φ and φ the normal distribution and its density.
func GELUErfGrad(dx, dy, x []float32) { geluErfGrad(dx, dy[:len(dx)], x[:len(dx)]) }

func geluErfGradGo(dx, dy, x []float32) {
	const density = 0.3989422804014326779399460599343819 // 1/√(2π)
	for i := range dx {
		v := min(max(float64(x[i]), -geluErfEnd), geluErfEnd)
		dx[i] = float32(float64(dy[i]) * (0.5*math.Erfc(-v*(1/math.Sqrt2)) + v*density*expOrZero(-0.5*v*v)))
	}
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
