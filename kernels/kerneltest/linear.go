package kerneltest

import (
	"fmt"
	"math"
	"sync"

	"forja/kernels"
)

// A finish is the epilogue of a projection. Empty matrices are absent.
type finish struct {
	scale               float32
	bias, residual, pre mat
	act                 kernels.Activation
}

// multiplied is s·x·yᵀ + start, where start may be the first term of the sums or the last.
func multiplied(x, y mat, scale float32, start mat) mat {
	r := product(x, y)
	if scale != 0 {
		r = each(func(x ...num) num { return x[0].scaled(float64(scale)) }, r)
	}
	return joined(r, start, x.cols)
}

// joined adds what may have been the first of n + 1 terms of sums.
func joined(r, start mat, n int) mat {
	if start.empty() {
		return r
	}
	return each(func(x ...num) num {
		z := x[0].plus(x[1])
		z.e += math.Min(float64(n), 6*math.Sqrt(float64(n))) * unit * math.Abs(x[1].v)
		return z
	}, r, start)
}

// spread repeats a row.
func spread(row mat, rows int) mat {
	if row.empty() {
		return row
	}
	m := newMat(rows, len(row.v))
	for i := range rows {
		copy(m.row(i), row.v)
	}
	return m
}

// linear is f(s·x·wᵀ + bias) + residual, and the argument of f.
func linear(x, w mat, e finish) (y, pre mat) {
	pre = multiplied(x, w, e.scale, spread(e.bias, x.rows))
	if e.act == kernels.NoActivation {
		return joined(pre, e.residual, x.cols), pre
	}
	return each(func(x ...num) num { return activation(e.act, x[0]) }, pre).plus(e.residual), pre
}

// linearDX is s·dy·w·f'(pre) + residual.
func linearDX(dy, w mat, e finish) mat {
	if e.act == kernels.NoActivation {
		return multiplied(dy, w.transposed(), e.scale, e.residual)
	}
	dx := multiplied(dy, w.transposed(), e.scale, mat{})
	return each(func(x ...num) num { return x[0].times(slope(e.act, x[1])) }, dx, e.pre).plus(e.residual)
}

// linearDW is s·dyᵀ·x + start.
func linearDW(dy, x mat, scale float32, start mat) mat {
	return multiplied(dy.transposed(), x.transposed(), scale, start)
}

// biasGrad is Σ over rows of dy, plus start.
func biasGrad(dy, start mat) mat {
	ones := newMat(1, dy.rows)
	for i := range ones.v {
		ones.v[i] = exact(1)
	}
	return multiplied(ones, dy.transposed(), 0, start)
}

// volumes are extents (M,N,K) of products.
var volumes = []struct {
	m, n, k int
	scope   scope
}{
	{5, 19, 23, small}, {1, 1, 1, normal}, {1, 65, 33, normal}, {3, 1, 70, normal}, {16, 32, 64, normal}, {17, 33, 65, normal},
	{64, 64, 16, normal}, {2, 130, 257, normal}, {63, 65, 127, normal}, {128, 96, 64, normal}, {4, 7, 0, normal},
	{0, 6, 5, normal}, {130, 129, 200, normal}, {257, 130, 513, long}, {64, 260, 1500, long}, {1, 3000, 800, long},
}

// An epilogueForm says which parts of an epilogue are present; residual 2 is the destination, pre 2 too.
type epilogueForm struct {
	scale         float32
	bias          bool
	act           kernels.Activation
	pre, residual int
}

func (f epilogueForm) String() string {
	return fmt.Sprintf("scale %g bias %t function %d pre %d residual %d", f.scale, f.bias, f.act, f.pre, f.residual)
}

// products adds a scenario for each volume, mixture of dtypes and epilogue. Large volumes take turns.
func (l *list) products(op string, epilogues []epilogueForm, build func(tr *trial, m, n, k int, d []kernels.DType, f epilogueForm)) {
	turn := 0
	for _, v := range volumes {
		for _, d := range mixtures(5) {
			for _, f := range epilogues {
				if turn++; v.m*v.n*v.k > 1<<15 && turn%7 != 0 {
					continue
				}
				l.add(op, v.scope, fmt.Sprintf("(%d,%d,%d) %v %v", v.m, v.n, v.k, d, f), func(tr *trial) { build(tr, v.m, v.n, v.k, d, f) })
			}
		}
	}
}

func linearCases(l *list) {
	l.products("Linear", []epilogueForm{
		{}, {scale: 0.5}, {bias: true}, {residual: 1}, {residual: 2}, {scale: 2, residual: 2}, {bias: true, residual: 2},
		{pre: 1}, {bias: true, act: kernels.GELU, pre: 1}, {act: kernels.SiLU}, {scale: -3, bias: true, act: kernels.GELUErf, pre: 1, residual: 1},
		{bias: true, act: kernels.Tanh, pre: 1, residual: 2}, {act: kernels.SiLU, residual: 2},
	}, func(tr *trial, m, n, k int, d []kernels.DType, f epilogueForm) {
		y, x, w := tr.output(d[0], m, n), tr.normal(d[1], m, k), tr.normal(d[2], n, k)
		bias, pre, residual := none, none, none
		if f.bias {
			bias = tr.vector(d[3], n)
		}
		if f.pre > 0 {
			pre = tr.output(d[4], m, n)
		}
		switch f.residual {
		case 1:
			residual = tr.normal(d[3], m, n)
		case 2:
			residual = y.set(func(int) float64 { return tr.rng.NormFloat64() })
		}
		tr.call = func(b kernels.Backend) {
			b.Linear(y.t, x.t, w.t, kernels.Epilogue{Scale: f.scale, Bias: bias.t, Act: f.act, Pre: pre.t, Residual: residual.t})
		}
		oracle := sync.OnceValues(func() (mat, mat) {
			return linear(x.values(), w.values(), finish{scale: f.scale, bias: bias.values(), act: f.act, residual: residual.values()})
		})
		tr.want(y, func() mat { y, _ := oracle(); return y })
		if f.pre > 0 {
			tr.want(pre, func() mat { _, pre := oracle(); return pre })
		}
	})
}

func linearGradCases(l *list) {
	l.products("LinearDX", []epilogueForm{
		{}, {scale: 0.5}, {residual: 1}, {residual: 2}, {scale: 2, residual: 2}, {act: kernels.GELU, pre: 1},
		{scale: -2, act: kernels.SiLU, pre: 1, residual: 1}, {act: kernels.GELUErf, pre: 1, residual: 2}, {act: kernels.Tanh, pre: 2},
	}, func(tr *trial, m, k, n int, d []kernels.DType, f epilogueForm) { // dx is (m,k), the sum over n
		dx, dy, w := tr.output(d[0], m, k), tr.normal(d[1], m, n), tr.normal(d[2], n, k)
		pre, residual := none, none
		switch f.pre {
		case 1:
			pre = tr.normal(d[4], m, k)
		case 2:
			pre = dx.set(func(int) float64 { return tr.rng.NormFloat64() })
		}
		switch f.residual {
		case 1:
			residual = tr.normal(d[3], m, k)
		case 2:
			residual = dx.set(func(int) float64 { return tr.rng.NormFloat64() })
		}
		tr.call = func(b kernels.Backend) {
			b.LinearDX(dx.t, dy.t, w.t, kernels.Epilogue{Scale: f.scale, Act: f.act, Pre: pre.t, Residual: residual.t})
		}
		tr.want(dx, func() mat {
			return linearDX(dy.values(), w.values(), finish{scale: f.scale, act: f.act, pre: pre.values(), residual: residual.values()})
		})
	})
	l.products("LinearDW", []epilogueForm{{}, {scale: 0.5}, {residual: 2}, {scale: -2, residual: 2}},
		func(tr *trial, n, k, m int, d []kernels.DType, f epilogueForm) { // dw is (n,k), the sum over m
			dw, dy, x := tr.output(kernels.F32, n, k), tr.normal(d[0], m, n), tr.normal(d[1], m, k)
			start := none
			if f.residual > 0 {
				start = dw.set(func(int) float64 { return tr.rng.NormFloat64() })
			}
			tr.call = func(b kernels.Backend) { b.LinearDW(dw.t, dy.t, x.t, f.scale, f.residual > 0) }
			tr.want(dw, func() mat { return linearDW(dy.values(), x.values(), f.scale, start.values()) })
		})
	for _, accumulate := range []bool{false, true} {
		l.every("BiasGrad", fmt.Sprintf("accumulate %t ", accumulate), 1, func(tr *trial, m, n int, d []kernels.DType) {
			db, dy, start := tr.outVector(kernels.F32, n), tr.normal(d[0], m, n), none
			if accumulate {
				start = db.set(func(int) float64 { return tr.rng.NormFloat64() })
			}
			tr.call = func(b kernels.Backend) { b.BiasGrad(db.t, dy.t, accumulate) }
			tr.want(db, func() mat { return biasGrad(dy.values(), start.values()) })
		})
	}
}
