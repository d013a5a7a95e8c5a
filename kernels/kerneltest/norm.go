package kerneltest

import (
	"fmt"
	"math"
	"sync"

	"forja/kernels"
)

// A norm is h, its statistics (mean and rstd, or rstd alone if rms), and y = (h - mean)·rstd·w + b.
type norm struct{ h, stats, y mat }

func newNorm(x, r, w, b mat, eps float32, rms bool) norm {
	h := x.plus(r)
	n := h.cols
	stats, y := newMat(h.rows, 2), newMat(h.rows, n)
	if rms {
		stats = newMat(h.rows, 1)
	}
	for i := range h.rows {
		mean := num{}
		if !rms {
			var s sum
			for _, v := range h.row(i) {
				s.add(v)
			}
			mean = s.total().over(exact(float64(n)))
			*stats.at(i, 0) = mean
		}
		centred := make([]num, n)
		for j, v := range h.row(i) {
			centred[j] = v
			if !rms {
				centred[j] = v.minus(mean)
			}
		}
		square := dot(centred, centred).over(exact(float64(n)))
		rstd := exact(1).over(square.plus(exact(float64(eps))).root())
		*stats.at(i, stats.cols-1) = rstd
		for j := range n {
			v := centred[j].times(rstd).times(w.v[j])
			if !b.empty() {
				v = v.plus(b.v[j])
			}
			*y.at(i, j) = v
		}
	}
	return norm{h, stats, y}
}

// A normGrad is the gradient of a normalisation at h. Empty starts are absent.
type normGrad struct{ dx, dw, db mat }

func newNormGrad(dy, h, w, stats, residual, startW, startB mat, rms bool) (g normGrad) {
	m, n := dy.rows, dy.cols
	g.dx = newMat(m, n)
	sumW, sumB := make([]sum, n), make([]sum, n)
	for j := range startW.v {
		sumW[j].add(startW.v[j])
	}
	for j := range startB.v {
		sumB[j].add(startB.v[j])
	}
	for i := range m {
		rstd := *stats.at(i, stats.cols-1)
		normal, gain := make([]num, n), make([]num, n) // (h - mean)·rstd and dy·w
		var flat sum
		for j := range n {
			normal[j] = h.at(i, j).times(rstd)
			if !rms {
				normal[j] = h.at(i, j).minus(*stats.at(i, 0)).times(rstd)
			}
			gain[j] = dy.at(i, j).times(w.v[j])
			flat.add(gain[j])
			sumW[j].add(dy.at(i, j).times(normal[j]))
			sumB[j].add(*dy.at(i, j))
		}
		size := exact(float64(n))
		along := dot(gain, normal).over(size)
		for j := range n {
			d := gain[j].minus(normal[j].times(along))
			if !rms {
				d = d.minus(flat.total().over(size))
			}
			*g.dx.at(i, j) = d.times(rstd)
		}
	}
	g.dx = g.dx.plus(residual)
	g.dw, g.db = newMat(1, n), newMat(1, n)
	for j := range n {
		g.dw.v[j], g.db.v[j] = sumW[j].total(), sumB[j].total()
	}
	return g
}

var normForms = []form{
	{7, 33, small}, {1, 1, normal}, {1, 17, normal}, {33, 2, normal}, {16, 64, normal}, {31, 129, normal}, {3, 2100, normal},
	{200, 96, normal}, {300, 1025, long},
}

// normInput has rows of different means and deviations: 1, and 20 times the deviation, where a variance computed from
// the sum of squares loses eight bits.
func (tr *trial) normInput(d kernels.DType, m, n int) *operand {
	shift, size := make([]float64, m), make([]float64, m)
	for i := range shift {
		shift[i], size[i] = []float64{0, 1, 20}[tr.rng.IntN(3)], math.Exp2(float64(tr.rng.IntN(7)-3))
	}
	return tr.output(d, m, n).set(func(i int) float64 { return size[i/n] * (shift[i/n] + tr.rng.NormFloat64()) })
}

func normCases(l *list) {
	for _, rms := range []bool{false, true} {
		op := map[bool]string{false: "LayerNorm", true: "RMSNorm"}[rms]
		for _, f := range normForms {
			for _, d := range mixtures(6) {
				for _, alias := range []string{"", "y is x", "with r", "with r, sum is x", "with r, sum is r", "with r, y is x"} {
					for _, eps := range []float32{1e-5, 0.1} {
						if eps > 0.01 && alias != "" {
							continue
						}
						l.add(op, f.scope, fmt.Sprintf("(%d,%d) %v eps %g %s", f.m, f.n, d, eps, alias), func(tr *trial) {
							buildNorm(tr, f.m, f.n, d, eps, rms, alias)
						})
					}
				}
			}
		}
	}
}

func buildNorm(tr *trial, m, n int, d []kernels.DType, eps float32, rms bool, alias string) {
	y, x, r, sum := tr.output(d[0], m, n), tr.normInput(d[1], m, n), none, none
	w, bias, stats := tr.vector(d[2], n), none, tr.outVector(kernels.F32, m, 2)
	if len(alias) > 4 && alias[:4] == "with" {
		r, sum = tr.normal(d[3], m, n), tr.output(d[4], m, n)
	}
	switch {
	case alias == "with r, sum is x" && d[4] == d[1]:
		sum = x
	case alias == "with r, sum is r" && d[4] == d[3]:
		sum = r
	case (alias == "y is x" || alias == "with r, y is x") && d[0] == d[1]:
		y = x
	}
	if rms {
		stats = tr.outVector(kernels.F32, m)
		tr.call = func(b kernels.Backend) { b.RMSNorm(y.t, sum.t, stats.t, x.t, r.t, w.t, eps) }
	} else {
		bias = tr.vector(d[5], n)
		tr.call = func(b kernels.Backend) { b.LayerNorm(y.t, sum.t, stats.t, x.t, r.t, w.t, bias.t, eps) }
	}
	oracle := sync.OnceValue(func() norm { return newNorm(x.values(), r.values(), w.values(), bias.values(), eps, rms) })
	tr.want(y, func() mat { return oracle().y })
	tr.want(stats, func() mat { return oracle().stats })
	if sum != none {
		tr.want(sum, func() mat { return oracle().h })
	}
}

// A normGradForm says which outputs there are and what dx is.
type normGradForm struct {
	dx               string // "", "absent", "is dy", "is residual"
	residual, dw, db bool
	accumulate       bool
}

func normGradCases(l *list) {
	for _, rms := range []bool{false, true} {
		op := map[bool]string{false: "LayerNormGrad", true: "RMSNormGrad"}[rms]
		for _, f := range normForms {
			for _, d := range mixtures(5) {
				for _, c := range []normGradForm{
					{dw: true, db: true}, {residual: true, dw: true, db: true, accumulate: true}, {dx: "is residual", residual: true, dw: true, db: true},
					{dx: "is dy", dw: true, db: true}, {dx: "is dy", residual: true, dw: true, accumulate: true}, {residual: true}, {db: true},
					{dx: "absent", dw: true, db: true, accumulate: true}, {dx: "absent", dw: true},
				} {
					l.add(op, f.scope, fmt.Sprintf("(%d,%d) %v %+v", f.m, f.n, d, c), func(tr *trial) { buildNormGrad(tr, f.m, f.n, d, c, rms) })
				}
			}
		}
	}
}

func buildNormGrad(tr *trial, m, n int, d []kernels.DType, c normGradForm, rms bool) {
	dx, dy, h, w := none, tr.normal(d[1], m, n), tr.normInput(d[2], m, n), tr.vector(d[3], n)
	residual, dw, db, startW, startB := none, none, none, none, none
	if c.residual {
		residual = tr.normal(d[4], m, n)
	}
	switch {
	case c.dx == "is dy":
		dx = dy
	case c.dx == "is residual":
		dx = residual
	case c.dx == "":
		dx = tr.output(d[0], m, n)
	}
	gradient := func(present bool) (out, start *operand) {
		if !present {
			return none, none
		}
		out = tr.outVector(kernels.F32, n)
		if c.accumulate {
			return out, out.set(func(int) float64 { return tr.rng.NormFloat64() })
		}
		return out, none
	}
	dw, startW = gradient(c.dw)
	if !rms {
		db, startB = gradient(c.db)
	}
	s := newNorm(h.values(), mat{}, w.values(), mat{}, 1e-5, rms).stats
	stats := tr.outVector(kernels.F32, m, s.cols).set(func(i int) float64 { return s.v[i].v })
	tr.call = func(b kernels.Backend) {
		if rms {
			b.RMSNormGrad(dx.t, dw.t, dy.t, h.t, w.t, stats.t, residual.t, c.accumulate)
		} else {
			b.LayerNormGrad(dx.t, dw.t, db.t, dy.t, h.t, w.t, stats.t, residual.t, c.accumulate)
		}
	}
	oracle := sync.OnceValue(func() normGrad {
		return newNormGrad(dy.values(), h.values(), w.values(), stats.values(), residual.values(), startW.values(), startB.values(), rms)
	})
	if dx != none {
		tr.want(dx, func() mat { return oracle().dx })
	}
	if dw != none {
		tr.want(dw, func() mat { return oracle().dw })
	}
	if db != none {
		tr.want(db, func() mat { return oracle().db })
	}
}
