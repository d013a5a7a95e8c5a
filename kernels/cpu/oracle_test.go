package cpu

import (
	"math"
	"testing"

	"forja/kernels"
)

// Oracles in float64, written for clarity. m64 is a matrix of them.
type m64 struct {
	v          []float64
	rows, cols int
}

func load64(t kernels.Tensor) m64 { return m64{values(t), t.Rows(), t.Cols()} }

func new64(rows, cols int) m64 { return m64{make([]float64, rows*cols), rows, cols} }

func (m m64) row(i int) []float64     { return m.v[i*m.cols : (i+1)*m.cols] }
func (m m64) at(i, j int) float64     { return m.v[i*m.cols+j] }
func (m m64) add(i, j int, v float64) { m.v[i*m.cols+j] += v }
func (m m64) transposed() (t m64) {
	t = new64(m.cols, m.rows)
	for i := range m.rows {
		for j := range m.cols {
			t.add(j, i, m.at(i, j))
		}
	}
	return t
}

// mul64 is x·y and, for the bound on rounding, Σ|x·y|·(8 + √K).
func mul64(x, y m64) (product, bound m64) {
	product, bound = new64(x.rows, y.cols), new64(x.rows, y.cols)
	for i := range x.rows {
		for k := range x.cols {
			for j := range y.cols {
				p := x.at(i, k) * y.at(k, j)
				product.add(i, j, p)
				bound.add(i, j, math.Abs(p)*(8+math.Sqrt(float64(x.cols))))
			}
		}
	}
	return product, bound
}

func (m m64) bound(i int) float64 { return m.v[i] }

func dot64(x, y []float64) (s float64) {
	for i := range x {
		s += x[i] * y[i]
	}
	return s
}

func sigma(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// activation64 is f(x), by its definition.
func activation64(f kernels.Activation, x float64) float64 {
	switch f {
	case kernels.GELU:
		return x * 0.5 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	case kernels.GELUErf:
		return x * 0.5 * (1 + math.Erf(x/math.Sqrt2))
	case kernels.SiLU:
		return x * sigma(x)
	case kernels.Tanh:
		return math.Tanh(x)
	}
	return x
}

// slope64 is f'(x) by central differences in float64.
func slope64(f kernels.Activation, x float64) float64 {
	const h = 1e-5
	return (activation64(f, x+h) - activation64(f, x-h)) / (2 * h)
}

func TestElementwiseOperationsMatchTheirFormulas(t *testing.T) {
	everyDType(t, func(t *testing.T, r *rig) {
		const m, n = 13, 77
		x, y, z, dy := r.float(m, n), r.float(m, n), r.out(r.float(m, n)), r.float(m, n)
		a, b, d := values(x), values(y), values(dy)
		want := make([]float64, m*n)
		each := func(f func(i int) float64) []float64 {
			for i := range want {
				want[i] = f(i)
			}
			return want
		}
		r.run(func(k kernels.Backend) { k.Add(z, x, y) })
		r.near(each(func(i int) float64 { return a[i] + b[i] }), z, constant(1))
		for f := kernels.NoActivation; f <= kernels.Tanh; f++ {
			r.run(func(k kernels.Backend) { k.Activate(z, x, f) })
			r.near(each(func(i int) float64 { return activation64(f, a[i]) }), z, constant(32))
			r.run(func(k kernels.Backend) { k.ActivateGrad(z, dy, x, f) })
			r.near(each(func(i int) float64 { return d[i] * slope64(f, a[i]) }), z, constant(128))
		}
		r.run(func(k kernels.Backend) { k.SwiGLU(z, x, y) })
		r.near(each(func(i int) float64 { return a[i] * sigma(a[i]) * b[i] }), z, constant(64))
		dup := r.out(r.float(m, n))
		r.run(func(k kernels.Backend) { k.SwiGLUGrad(z, dup, dy, x, y) })
		r.near(each(func(i int) float64 { return d[i] * activation64(kernels.SiLU, a[i]) }), dup, constant(64))
		r.near(each(func(i int) float64 { return d[i] * b[i] * slope64(kernels.SiLU, a[i]) }), z, constant(256))
		r.run(func(k kernels.Backend) { k.Fill(z, 2.5) })
		r.near(each(func(int) float64 { return 2.5 }), z, constant(0))
		r.run(func(k kernels.Backend) { k.Copy(z, x) })
		r.near(a, z, constant(0))
	})
}

func TestSoftmaxMatchesItsFormula(t *testing.T) {
	everyDType(t, func(t *testing.T, r *rig) {
		const m, n = 9, 50
		x, y, dy, dx := r.float(m, n), r.out(r.float(m, n)), r.float(m, n), r.out(r.float(m, n))
		r.run(func(k kernels.Backend) { k.Softmax(y, x) })
		want := load64(x)
		for i := range m {
			sum := 0.0
			for j, v := range want.row(i) {
				want.row(i)[j] = math.Exp(v)
				sum += math.Exp(v)
			}
			for j := range n {
				want.row(i)[j] /= sum
			}
		}
		r.near(want.v, y, constant(16))
		r.run(func(k kernels.Backend) { k.SoftmaxGrad(dx, dy, y) })
		p, d := load64(y), load64(dy)
		for i := range m {
			s := dot64(p.row(i), d.row(i))
			for j := range n {
				want.row(i)[j] = p.at(i, j) * (d.at(i, j) - s)
			}
		}
		r.near(want.v, dx, constant(16))
	})
}

func TestRoPETurnsPairsOfEachHead(t *testing.T) {
	everyDType(t, func(t *testing.T, r *rig) {
		const m, n, d, heads = 11, 40, 8, 3
		x, y, back, table := r.float(m, n), r.out(r.float(m, n)), r.out(r.float(m, n)), r.f32(20, d)
		r.fill(table, func(i int) float64 {
			angle := float64(i/d) * math.Pow(100, -float64(i%(d/2))/float64(d/2))
			if i%d < d/2 {
				return math.Cos(angle)
			}
			return math.Sin(angle)
		})
		pos := r.indices(m, 20, false)
		r.run(func(k kernels.Backend) {
			k.RoPE(y, x, table, pos, heads, false)
			k.RoPE(back, y, table, pos, heads, true)
		})
		a, want, angles := load64(x), load64(x), load64(table)
		for i, p := range ints(pos) {
			for h := range heads {
				for j := h * d; j < h*d+d/2; j++ {
					c, s := angles.at(int(p), j%d), angles.at(int(p), j%d+d/2)
					want.v[i*n+j] = a.at(i, j)*c - a.at(i, j+d/2)*s
					want.v[i*n+j+d/2] = a.at(i, j+d/2)*c + a.at(i, j)*s
				}
			}
		}
		r.near(want.v, y, constant(8))
		limit := 8.0
		if r.dtype == kernels.BF16 { // y was rounded on the way
			limit = 0x1p18
		}
		r.near(a.v, back, constant(limit))
	})
}

func TestEmbedAndItsGradientFollowTheIndices(t *testing.T) {
	everyDType(t, func(t *testing.T, r *rig) {
		const m, n, rows = 33, 150, 7
		table, dy, idx := r.float(rows, n), r.float(m, n), r.indices(m, rows, true)
		y, dtable := r.out(r.float(m, n)), r.out(r.f32(rows, n))
		start, w, d, grad := load64(y), load64(table), load64(dy), new64(rows, n)
		r.run(func(k kernels.Backend) { k.Embed(y, table, idx, true); k.EmbedGrad(dtable, dy, idx, false) })
		look := new64(m, n)
		for i, row := range ints(idx) {
			for j := range n {
				if row >= 0 {
					look.add(i, j, w.at(int(row), j))
					start.add(i, j, w.at(int(row), j))
					grad.add(int(row), j, d.at(i, j))
				}
			}
		}
		r.near(start.v, y, constant(4))
		r.near(grad.v, dtable, constant(64))
		r.run(func(k kernels.Backend) { k.Embed(y, table, idx, false); k.EmbedGrad(dtable, dy, idx, true) })
		for i := range grad.v {
			grad.v[i] *= 2
		}
		r.near(look.v, y, constant(0))
		r.near(grad.v, dtable, constant(128))
	})
}

func TestProjectionsMatchTheirFormulas(t *testing.T) {
	// A row, a handful as in decoding, a tile, and sums longer than a block of the matrix product.
	for _, s := range [][3]int{{1, 45, 61}, {3, 45, 61}, {37, 45, 61}, {13, 9, 3300}, {13, 3300, 9}} {
		everyDType(t, func(t *testing.T, r *rig) { checkProjections(r, s[0], s[1], s[2]) })
	}
}

func checkProjections(r *rig, m, n, k int) {
	x, w, bias, res := r.float(m, k), r.float(n, k), r.dense(n), r.float(m, n)
	y, pre := r.out(r.float(m, n)), r.out(r.float(m, n))
	z, bound := mul64(load64(x), load64(w).transposed())
	b, e := values(bias), values(res)
	wantPre, wantY := new64(m, n), new64(m, n)
	for i := range z.v {
		wantPre.v[i] = 0.5*z.v[i] + b[i%n]
		wantY.v[i] = activation64(kernels.GELU, wantPre.v[i]) + e[i]
	}
	r.run(func(k kernels.Backend) {
		k.Linear(y, x, w, kernels.Epilogue{Scale: 0.5, Bias: bias, Act: kernels.GELU, Pre: pre, Residual: res})
	})
	r.near(wantPre.v, pre, bound.bound)
	r.near(wantY.v, y, func(i int) float64 { return 2*bound.v[i] + 64 })

	old := values(y)
	r.run(func(k kernels.Backend) { k.Linear(y, x, w, kernels.Epilogue{Act: kernels.SiLU, Residual: y}) })
	for i := range z.v {
		wantY.v[i] = activation64(kernels.SiLU, z.v[i]) + old[i]
	}
	r.near(wantY.v, y, func(i int) float64 { return 2*bound.v[i] + 64 })

	dy, dx, preX := r.float(m, n), r.out(r.float(m, k)), r.float(m, k)
	zx, boundX := mul64(load64(dy), load64(w))
	p, old := values(preX), values(dx)
	r.run(func(k kernels.Backend) {
		k.LinearDX(dx, dy, w, kernels.Epilogue{Scale: 2, Act: kernels.SiLU, Pre: preX, Residual: dx})
	})
	for i := range zx.v {
		zx.v[i] = 2*zx.v[i]*slope64(kernels.SiLU, p[i]) + old[i]
	}
	r.near(zx.v, dx, func(i int) float64 { return 4*boundX.v[i] + 64 })
	zx, _ = mul64(load64(dy), load64(w))
	r.run(func(k kernels.Backend) { k.LinearDX(preX, dy, w, kernels.Epilogue{Act: kernels.SiLU, Pre: preX}) })
	for i := range zx.v {
		zx.v[i] *= slope64(kernels.SiLU, p[i])
	}
	r.near(zx.v, preX, func(i int) float64 { return 2*boundX.v[i] + 64 })

	dw, db := r.out(r.f32(n, k)), r.out(r.vec(n))
	old = values(dw)
	zw, boundW := mul64(load64(dy).transposed(), load64(x))
	r.run(func(k kernels.Backend) { k.LinearDW(dw, dy, x, 3, true); k.BiasGrad(db, dy, false) })
	for i := range zw.v {
		zw.v[i] = 3*zw.v[i] + old[i]
	}
	r.near(zw.v, dw, func(i int) float64 { return 4 * boundW.v[i] })
	ones := new64(1, m)
	for i := range ones.v {
		ones.v[i] = 1
	}
	sum, boundB := mul64(ones, load64(dy))
	r.near(sum.v, db, boundB.bound)
}

func TestProjectionsWithoutInnerExtentAreTheirEpilogue(t *testing.T) {
	r := newRig(t, 2, kernels.F32)
	y, x, w, bias := r.out(r.f32(3, 5)), r.f32(3, 0), r.f32(5, 0), r.vec(5)
	r.run(func(k kernels.Backend) { k.Linear(y, x, w, kernels.Epilogue{Bias: bias}) })
	b, want := values(bias), make([]float64, 15)
	for i := range want {
		want[i] = b[i%5]
	}
	r.near(want, y, constant(0))
}

func TestNormsMatchTheirFormulas(t *testing.T) {
	for _, rms := range []bool{false, true} {
		everyDType(t, func(t *testing.T, r *rig) { checkNorm(r, rms) })
	}
}

func checkNorm(r *rig, rms bool) {
	const m, n, eps = 70, 90, 1e-5
	x, res, w, bias := r.float(m, n), r.float(m, n), r.dense(n), r.dense(n)
	y, sum, stats := r.out(r.float(m, n)), r.out(r.float(m, n)), r.out(r.vec(m, 2))
	dy, dx, dw, db := r.float(m, n), r.out(r.float(m, n)), r.out(r.vec(n)), r.out(r.vec(n))
	if rms {
		stats = r.out(r.vec(m))
	}
	r.run(func(k kernels.Backend) {
		if rms {
			k.RMSNorm(y, sum, stats, x, res, w, eps)
			k.RMSNormGrad(dx, dw, dy, x, w, stats, res, true)
		} else {
			k.LayerNorm(y, sum, stats, x, res, w, bias, eps)
			k.LayerNormGrad(dx, dw, db, dy, x, w, stats, res, true)
		}
	})
	a, e, g, c := load64(x), load64(res), values(w), values(bias)
	h, wantY, wantStats := new64(m, n), new64(m, n), []float64{}
	for i := range m {
		mean, square := 0.0, 0.0
		for j := range n {
			h.add(i, j, a.at(i, j)+e.at(i, j))
			mean += h.at(i, j) / n
		}
		if rms {
			mean = 0
		} else {
			wantStats = append(wantStats, mean)
		}
		for j := range n {
			square += (h.at(i, j) - mean) * (h.at(i, j) - mean) / n
		}
		rstd := 1 / math.Sqrt(square+eps)
		wantStats = append(wantStats, rstd)
		for j := range n {
			wantY.add(i, j, (h.at(i, j)-mean)*rstd*g[j])
			if !rms {
				wantY.add(i, j, c[j])
			}
		}
	}
	r.near(h.v, sum, constant(4))
	r.near(wantStats, stats, constant(16))
	r.near(wantY.v, y, constant(128))

	// The gradient was taken at x with the statistics of h, whatever they mean: the formula must hold.
	s, d := values(stats), load64(dy)
	wantDX := new64(m, n)
	for i := range m {
		mean, rstd := 0.0, s[i%len(s)]
		if !rms {
			mean, rstd = s[2*i], s[2*i+1]
		}
		var along, flat float64
		for j := range n {
			along += d.at(i, j) * g[j] * (a.at(i, j) - mean) * rstd / n
			if !rms {
				flat += d.at(i, j) * g[j] / n
			}
		}
		for j := range n {
			wantDX.add(i, j, rstd*(d.at(i, j)*g[j]-flat-(a.at(i, j)-mean)*rstd*along)+e.at(i, j))
		}
	}
	r.near(wantDX.v, dx, constant(256))
}

func TestNormsReduceParametersGradientsOverAllRows(t *testing.T) {
	everyDType(t, func(t *testing.T, r *rig) {
		const m, n = 700, 30
		dy, h, w, stats := r.float(m, n), r.float(m, n), r.dense(n), r.vec(m, 2)
		dw, db := r.out(r.vec(n)), r.out(r.vec(n))
		oldW, oldB := values(dw), values(db)
		r.run(func(k kernels.Backend) { k.LayerNormGrad(absent, dw, db, dy, h, w, stats, absent, true) })
		d, a, s := load64(dy), load64(h), values(stats)
		for i := range m {
			for j := range n {
				oldW[j] += d.at(i, j) * (a.at(i, j) - s[2*i]) * s[2*i+1]
				oldB[j] += d.at(i, j)
			}
		}
		r.near(oldW, dw, constant(64*m/8))
		r.near(oldB, db, constant(32*m/8))
		// Without accumulate, and with only one of the two.
		r.run(func(k kernels.Backend) { k.LayerNormGrad(absent, absent, db, dy, h, w, stats, absent, false) })
		sum := make([]float64, n)
		for i := range m {
			for j := range n {
				sum[j] += d.at(i, j)
			}
		}
		r.near(sum, db, constant(32*m/8))
	})
}
