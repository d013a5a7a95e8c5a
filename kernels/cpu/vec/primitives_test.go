package vec

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"forja/kernels/cpu/tier"
)

// unit is half a unit in the last place of float32 at 1, the relative error of one rounding.
const unit = 0x1p-24

// A primitive is one function over rows, in a form that tests can call and check without knowing it.
type primitive struct {
	name    string
	in, out int // numbers of source and destination slices
	updates int // the first destinations start as copies of the first sources
	run     func(out, in [][]float32)
	// exact gives the results in float64, and for each the bound of |result − exact| in any tier.
	exact   func(in [][]float64) (out, bound [][]float64)
	aliases [][2]int // destinations that may be the same slice as a source: {destination, source}
	rows    bool     // an element depends on the whole row
}

// elementwise makes an exact function from one over the values at one index.
func elementwise(outs int, f func(v []float64) (out, bound []float64)) func([][]float64) ([][]float64, [][]float64) {
	return func(in [][]float64) (out, bound [][]float64) {
		out, bound = make([][]float64, outs), make([][]float64, outs)
		v := make([]float64, len(in))
		for i := range in[0] {
			for j := range in {
				v[j] = in[j][i]
			}
			o, b := f(v)
			for j := range o {
				out[j], bound[j] = append(out[j], o[j]), append(bound[j], b[j])
			}
		}
		return out, bound
	}
}

// one is elementwise with a single result whose error is at most units roundings of size.
func one(units float64, f func(v []float64) (result, size float64)) func([][]float64) ([][]float64, [][]float64) {
	return elementwise(1, func(v []float64) ([]float64, []float64) {
		y, size := f(v)
		return []float64{y}, []float64{units * unit * math.Abs(size)}
	})
}

// The scalars of the tests; exact in float32.
const (
	testScale = 1.375
	testMean  = 0.25
	testRstd  = 1.75
)

var testAdamW = AdamWParams{
	LR: 3e-4, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decay: 0.1, Correction1: 0.271, Correction2: 0.002997001, GradScale: 0.5,
}

func sigma(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func abs(x float64) float64 { return math.Abs(x) }

// primitives is the table of every function with float32 rows for sources and destinations.
func primitives() []primitive {
	first, both := [][2]int{{0, 0}}, [][2]int{{0, 0}, {0, 1}}
	return append([]primitive{
		{name: "Fill", in: 1, out: 1,
			run:   func(o, in [][]float32) { Fill(o[0], testScale) },
			exact: one(0, func([]float64) (float64, float64) { return testScale, 0 })},
		{name: "Add", in: 2, out: 1, aliases: both,
			run:   func(o, in [][]float32) { Add(o[0], in[0], in[1]) },
			exact: one(1, func(v []float64) (float64, float64) { return v[0] + v[1], v[0] + v[1] })},
		{name: "Sub", in: 2, out: 1, aliases: both,
			run:   func(o, in [][]float32) { Sub(o[0], in[0], in[1]) },
			exact: one(1, func(v []float64) (float64, float64) { return v[0] - v[1], v[0] - v[1] })},
		{name: "Mul", in: 2, out: 1, aliases: both,
			run:   func(o, in [][]float32) { Mul(o[0], in[0], in[1]) },
			exact: one(1, func(v []float64) (float64, float64) { return v[0] * v[1], v[0] * v[1] })},
		{name: "MulAdd", in: 3, out: 1, updates: 1,
			run:   func(o, in [][]float32) { MulAdd(o[0], in[1], in[2]) },
			exact: one(2, func(v []float64) (float64, float64) { return v[0] + v[1]*v[2], abs(v[0]) + abs(v[1]*v[2]) })},
		{name: "Scale", in: 1, out: 1, aliases: first,
			run:   func(o, in [][]float32) { Scale(o[0], testScale, in[0]) },
			exact: one(1, func(v []float64) (float64, float64) { return testScale * v[0], testScale * v[0] })},
		{name: "Axpy", in: 2, out: 1, updates: 1,
			run:   func(o, in [][]float32) { Axpy(o[0], testScale, in[1]) },
			exact: one(2, func(v []float64) (float64, float64) { return v[0] + testScale*v[1], abs(v[0]) + abs(testScale*v[1]) })},
		{name: "AddScaled", in: 2, out: 1, aliases: both,
			run:   func(o, in [][]float32) { AddScaled(o[0], in[0], testScale, in[1]) },
			exact: one(2, func(v []float64) (float64, float64) { return v[0] + testScale*v[1], abs(v[0]) + abs(testScale*v[1]) })},
		{name: "Rotate", in: 4, out: 2, aliases: [][2]int{{0, 0}, {1, 1}},
			run:   func(o, in [][]float32) { Rotate(o[0], o[1], in[0], in[1], in[2], in[3]) },
			exact: turned(1)},
		{name: "RotateBack", in: 4, out: 2, aliases: [][2]int{{0, 0}, {1, 1}},
			run:   func(o, in [][]float32) { RotateBack(o[0], o[1], in[0], in[1], in[2], in[3]) },
			exact: turned(-1)},
		{name: "SoftmaxGradRow", in: 2, out: 1, aliases: both, rows: true,
			run:   func(o, in [][]float32) { SoftmaxGradRow(o[0], in[0], in[1]) },
			exact: exactSoftmaxGrad},
		{name: "AdamW", in: 4, out: 3, updates: 3,
			run:   func(o, in [][]float32) { AdamW(o[0], o[1], o[2], in[3], testAdamW) },
			exact: elementwise(3, exactAdamW)},
	}, append(activations(), norms()...)...)
}

// activations is the part of the table with the exponential; the bounds are those of the documentation.
func activations() []primitive {
	first, both := [][2]int{{0, 0}}, [][2]int{{0, 0}, {0, 1}}
	unary := func(name string, run func(y, x []float32), exact func([][]float64) ([][]float64, [][]float64)) primitive {
		return primitive{name: name, in: 1, out: 1, aliases: first, exact: exact,
			run: func(o, in [][]float32) { run(o[0], in[0]) }}
	}
	gradient := func(name string, run func(dx, dy, x []float32), slope func(x float64) float64, units float64) primitive {
		return primitive{name: name, in: 2, out: 1, aliases: both,
			run:   func(o, in [][]float32) { run(o[0], in[0], in[1]) },
			exact: one(units, func(v []float64) (float64, float64) { return v[0] * slope(v[1]), v[0] })}
	}
	finite := func(x float64) float64 { return max(x, -math.MaxFloat32) }
	tanhInner := func(x float64) float64 { return 1.5957691216057308 * (x + 0.044715*x*x*x) }
	geluSlope := func(x float64) float64 {
		x = min(max(x, -20), 20)
		s := sigma(tanhInner(x))
		return s + x*s*(1-s)*1.5957691216057308*(1+3*0.044715*x*x)
	}
	normal := func(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }
	siluSlope := func(x float64) float64 {
		x = min(max(x, -200), 200)
		return sigma(x) * (1 + x*sigma(-x))
	}
	return []primitive{
		unary("Exp", Exp, one(2, func(v []float64) (float64, float64) {
			if y := math.Exp(v[0]); y < 0x1p-125 {
				return 0, 0
			} else {
				return y, y
			}
		})),
		unary("Tanh", Tanh, one(6, func(v []float64) (float64, float64) { return math.Tanh(v[0]), math.Tanh(v[0]) })),
		unary("Sigmoid", Sigmoid, one(6, func(v []float64) (float64, float64) {
			return sigma(v[0]), sigma(v[0]) + 0x1p-100
		})),
		unary("GELU", GELU, one(6, func(v []float64) (float64, float64) {
			x := finite(v[0])
			return x * sigma(tanhInner(x)), x
		})),
		unary("GELUErf", GELUErf, one(geluErfUnits, func(v []float64) (float64, float64) {
			x := finite(v[0])
			return x * normal(x), x
		})),
		unary("SiLU", SiLU, one(6, func(v []float64) (float64, float64) {
			x := finite(v[0])
			return x * sigma(x), x * (sigma(x) + 0x1p-100)
		})),
		gradient("GELUGrad", GELUGrad, geluSlope, 16),
		gradient("GELUErfGrad", GELUErfGrad, func(x float64) float64 {
			x = min(max(x, -40), 40)
			return normal(x) + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
		}, geluErfUnits+10),
		gradient("SiLUGrad", SiLUGrad, siluSlope, 10),
		{name: "SwiGLU", in: 2, out: 1, aliases: both,
			run: func(o, in [][]float32) { SwiGLU(o[0], in[0], in[1]) },
			exact: one(7, func(v []float64) (float64, float64) {
				g := finite(v[0])
				return g * sigma(g) * v[1], g * (sigma(g) + 0x1p-100) * v[1]
			})},
		{name: "SwiGLUGrad", in: 3, out: 2, aliases: [][2]int{{0, 0}, {0, 1}, {1, 2}},
			run: func(o, in [][]float32) { SwiGLUGrad(o[0], o[1], in[0], in[1], in[2]) },
			exact: elementwise(2, func(v []float64) ([]float64, []float64) {
				dy, g, u := v[0], finite(v[1]), v[2]
				return []float64{dy * u * siluSlope(g), dy * g * sigma(g)},
					[]float64{12 * unit * abs(dy*u), 7 * unit * abs(dy*g) * (sigma(g) + 0x1p-100)}
			})},
	}
}

// geluErfUnits is 3·10⁻⁷, the documented error of Φ, in roundings.
const geluErfUnits = 3e-7 / unit

// norms is the part of the table for LayerNorm and RMSNorm.
func norms() []primitive {
	both := [][2]int{{0, 0}, {0, 1}}
	hat := func(x float64) float64 { return (x - testMean) * testRstd }
	share := func(dw, dy, xhat float64) (float64, float64) { return dw + dy*xhat, abs(dw) + abs(dy*xhat) }
	return []primitive{
		{name: "Normalize", in: 3, out: 1, aliases: both,
			run: func(o, in [][]float32) { Normalize(o[0], in[0], in[1], in[2], testMean, testRstd) },
			exact: one(4, func(v []float64) (float64, float64) {
				y := hat(v[0]) * v[1]
				return y + v[2], abs(y) + abs(v[2])
			})},
		{name: "Normalize without bias", in: 2, out: 1, aliases: both,
			run:   func(o, in [][]float32) { Normalize(o[0], in[0], in[1], nil, testMean, testRstd) },
			exact: one(3, func(v []float64) (float64, float64) { return hat(v[0]) * v[1], hat(v[0]) * v[1] })},
		{name: "RMSNormApply", in: 2, out: 1, aliases: both,
			run:   func(o, in [][]float32) { RMSNormApply(o[0], in[0], in[1], testRstd) },
			exact: one(2, func(v []float64) (float64, float64) { return v[0] * testRstd * v[1], v[0] * testRstd * v[1] })},
		{name: "LayerNormGradRow", in: 3, out: 1, aliases: both, rows: true,
			run:   func(o, in [][]float32) { LayerNormGradRow(o[0], in[0], in[1], in[2], testMean, testRstd, false) },
			exact: func(in [][]float64) ([][]float64, [][]float64) { return exactNormGrad(nil, in, testMean, 1) }},
		{name: "LayerNormGradRow accumulating", in: 4, out: 1, updates: 1, rows: true,
			run:   func(o, in [][]float32) { LayerNormGradRow(o[0], in[1], in[2], in[3], testMean, testRstd, true) },
			exact: func(in [][]float64) ([][]float64, [][]float64) { return exactNormGrad(in[0], in[1:], testMean, 1) }},
		{name: "RMSNormGradRow", in: 3, out: 1, aliases: both, rows: true,
			run:   func(o, in [][]float32) { RMSNormGradRow(o[0], in[0], in[1], in[2], testRstd, false) },
			exact: func(in [][]float64) ([][]float64, [][]float64) { return exactNormGrad(nil, in, 0, 0) }},
		{name: "RMSNormGradRow accumulating", in: 4, out: 1, updates: 1, rows: true,
			run:   func(o, in [][]float32) { RMSNormGradRow(o[0], in[1], in[2], in[3], testRstd, true) },
			exact: func(in [][]float64) ([][]float64, [][]float64) { return exactNormGrad(in[0], in[1:], 0, 0) }},
		{name: "LayerNormGradParams", in: 4, out: 2, updates: 2,
			run: func(o, in [][]float32) { LayerNormGradParams(o[0], o[1], in[2], in[3], testMean, testRstd) },
			exact: elementwise(2, func(v []float64) ([]float64, []float64) {
				dw, size := share(v[0], v[2], hat(v[3]))
				return []float64{dw, v[1] + v[2]}, []float64{4 * unit * size, unit * abs(v[1]+v[2])}
			})},
		{name: "LayerNormGradParams without bias", in: 3, out: 1, updates: 1,
			run:   func(o, in [][]float32) { LayerNormGradParams(o[0], nil, in[1], in[2], testMean, testRstd) },
			exact: one(4, func(v []float64) (float64, float64) { return share(v[0], v[1], hat(v[2])) })},
		{name: "RMSNormGradParams", in: 3, out: 1, updates: 1,
			run:   func(o, in [][]float32) { RMSNormGradParams(o[0], in[1], in[2], testRstd) },
			exact: one(3, func(v []float64) (float64, float64) { return share(v[0], v[1], v[2]*testRstd) })},
	}
}

// turned is the exact Rotate, or RotateBack for sign −1.
func turned(sign float64) func([][]float64) ([][]float64, [][]float64) {
	return elementwise(2, func(v []float64) ([]float64, []float64) {
		a, b, c, s := v[0], v[1], v[2], sign*v[3]
		return []float64{a*c - b*s, b*c + a*s},
			[]float64{2 * unit * (abs(a*c) + abs(b*s)), 2 * unit * (abs(b*c) + abs(a*s))}
	})
}

func exactAdamW(x []float64) (out, bound []float64) {
	p := testAdamW
	w, m, v, g := x[0], x[1], abs(x[2]), x[3]*p.GradScale
	mNew := p.Beta1*m + (1-p.Beta1)*g
	vNew := p.Beta2*v + (1-p.Beta2)*g*g
	denominator := math.Sqrt(vNew)/math.Sqrt(p.Correction2) + p.Eps
	step := p.LR / p.Correction1
	w = w*(1-p.LR*p.Decay) - step*mNew/denominator
	terms := abs(p.Beta1*m) + abs((1-p.Beta1)*g)
	return []float64{w, mNew, vNew},
		[]float64{unit * (3*abs(x[0]) + step*(4*terms+8*abs(mNew))/denominator), 4 * unit * terms, 5 * unit * vNew}
}

// rowSumUnits bounds the error of a sum over n terms in the tier with the fewest lanes, as the package documents.
func rowSumUnits(n int) float64 { return float64(n)/4 + 12 }

func exactSoftmaxGrad(in [][]float64) (out, bound [][]float64) {
	dy, y := in[0], in[1]
	var s, size float64
	for i := range y {
		s += dy[i] * y[i]
		size += abs(dy[i] * y[i])
	}
	out, bound = make([][]float64, 1), make([][]float64, 1)
	for i := range y {
		out[0] = append(out[0], y[i]*(dy[i]-s))
		bound[0] = append(bound[0], unit*abs(y[i])*(rowSumUnits(len(y))*size+2*abs(dy[i]-s)+abs(s)))
	}
	return out, bound
}

// exactNormGrad is the gradient of LayerNorm (centred 1) or RMSNorm (0) at (dy, x, w), added to base if there is one.
func exactNormGrad(base []float64, in [][]float64, mean, centred float64) (out, bound [][]float64) {
	dy, x, w := in[0], in[1], in[2]
	n := float64(len(dy))
	var a, b, sizeA, sizeB float64
	for i := range dy {
		g, d := dy[i]*w[i], x[i]-mean
		a, b = a+g/n, b+g*d/n
		sizeA, sizeB = sizeA+abs(g)/n, sizeB+abs(g*d)/n
	}
	out, bound = make([][]float64, 1), make([][]float64, 1)
	for i := range dy {
		along := (x[i] - mean) * testRstd * testRstd * testRstd
		y := testRstd*(dy[i]*w[i]-centred*a) - along*b
		size := 4*abs(testRstd*dy[i]*w[i]) + (rowSumUnits(len(dy))+8)*(centred*testRstd*sizeA+abs(along)*sizeB)
		if base != nil {
			y, size = y+base[i], size+abs(base[i])
		}
		out[0], bound[0] = append(out[0], y), append(bound[0], 2*unit*size)
	}
	return out, bound
}

// call runs p on copies of the sources and returns the destinations.
func (p primitive) call(in [][]float32) [][]float32 {
	out := make([][]float32, p.out)
	for j := range out {
		if j < p.updates {
			out[j] = slices.Clone(in[j])
		} else {
			out[j] = make([]float32, len(in[0]))
		}
	}
	p.run(out, in)
	return out
}

// eachTier runs f once for every tier of the machine, as a subtest.
func eachTier(t *testing.T, f func(t *testing.T)) {
	for _, level := range tier.All() {
		t.Run(level.String(), func(t *testing.T) {
			defer tier.Set(level)()
			f(t)
		})
	}
}

// lengths are all up to 70 and some larger ones around multiples of the unrolled loops.
func lengths() []int {
	var ns []int
	for n := range 71 {
		ns = append(ns, n)
	}
	return append(ns, 127, 128, 129, 255, 257, 1000, 4099)
}

// sources are k rows of n ordinary values, with second moments (the third row of AdamW) positive like all others' squares.
func sources(rng *rand.Rand, p primitive, n int) [][]float32 {
	in := make([][]float32, p.in)
	for j := range in {
		in[j] = make([]float32, n)
		for i := range in[j] {
			in[j][i] = float32(rng.NormFloat64() * math.Exp2(float64(rng.IntN(5)-2)))
			if p.name == "AdamW" && j == 2 {
				in[j][i] *= in[j][i]
			}
		}
	}
	return in
}

func wide(in [][]float32) [][]float64 {
	out := make([][]float64, len(in))
	for j := range in {
		for _, v := range in[j] {
			out[j] = append(out[j], float64(v))
		}
	}
	return out
}

// check compares results with exact values within bounds. A subnormal intermediate result, or one that counts as 0, is
// off by up to 2⁻¹²⁵, and may be multiplied by two sources.
func check(t testing.TB, p primitive, in, got [][]float32) {
	t.Helper()
	want, bound := p.exact(wide(in))
	for j := range want {
		for i, w := range want[j] {
			g := float64(got[j][i])
			largest := 1.0
			for k := range in {
				if v := abs(float64(in[k][i])); v <= math.MaxFloat32 {
					largest = max(largest, v)
				}
			}
			if math.Abs(g-w) <= bound[j][i]+0x1p-125*largest*largest || g == w || math.IsNaN(g) && math.IsNaN(w) ||
				math.Abs(w) > math.MaxFloat32 && math.IsInf(g, int(math.Copysign(1, w))) {
				continue
			}
			at := ""
			for k := range in {
				at += fmt.Sprintf(" %g", in[k][i])
			}
			t.Fatalf("%s: result %d at %d of %d, sources%s: got %g, want %g ± %g (off by %.3g bounds)",
				p.name, j, i, len(in[0]), at, g, w, bound[j][i], math.Abs(g-w)/bound[j][i])
		}
	}
}
