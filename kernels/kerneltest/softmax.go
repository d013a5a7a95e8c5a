package kerneltest

import (
	"fmt"
	"math"

	"forja/kernels"
)

// softmaxRow is exp(x - max x)/Σ.
func softmaxRow(x []num) []num {
	top := exact(math.Inf(-1))
	for _, v := range x {
		if v.v > top.v {
			top = v
		}
	}
	p, s := make([]num, len(x)), sum{}
	for i, v := range x {
		p[i] = v.minus(exact(top.v)).exp() // errors of the shift cancel
		s.add(p[i])
	}
	for i := range p {
		p[i] = p[i].over(s.total())
	}
	return p
}

func softmax(x mat) mat {
	y := newMat(x.rows, x.cols)
	for i := range x.rows {
		copy(y.row(i), softmaxRow(x.row(i)))
	}
	return y
}

// softmaxGrad is y·(dy - Σ dy·y).
func softmaxGrad(dy, y mat) mat {
	dx := newMat(y.rows, y.cols)
	for i := range y.rows {
		s := dot(dy.row(i), y.row(i))
		for j, p := range y.row(i) {
			*dx.at(i, j) = p.times(dy.at(i, j).minus(s))
		}
	}
	return dx
}

func softmaxCases(l *list) {
	for _, aliased := range []bool{false, true} {
		l.every("Softmax", fmt.Sprintf("in place %t ", aliased), 2, func(tr *trial, m, n int, d []kernels.DType) {
			offset := make([]float64, m)
			for i := range offset {
				offset[i] = []float64{0, 0, 60, -200}[tr.rng.IntN(4)] // exp would overflow without the shift
			}
			x := tr.output(d[1], m, n).set(func(i int) float64 {
				if tr.rng.IntN(9) == 0 && i%n > 0 {
					return math.Inf(-1) // masked
				}
				return offset[i/n] + 3*tr.rng.NormFloat64()
			})
			y := tr.output(d[0], m, n)
			if aliased && inPlace(d, 1) {
				y = x
			}
			tr.call = func(b kernels.Backend) { b.Softmax(y.t, x.t) }
			tr.want(y, func() mat { return softmax(x.values()) })
		})
	}
	for _, aliased := range []bool{false, true} {
		l.every("SoftmaxGrad", fmt.Sprintf("in place %t ", aliased), 3, func(tr *trial, m, n int, d []kernels.DType) {
			dx, dy, logits := tr.output(d[0], m, n), tr.normal(d[1], m, n), newMat(m, n)
			for i := range logits.v {
				logits.v[i] = exact(2 * tr.rng.NormFloat64())
			}
			p := softmax(logits)
			y := tr.output(d[2], m, n).set(func(i int) float64 { return p.v[i].v })
			if aliased && inPlace(d, 1) {
				dx = dy
			}
			tr.call = func(b kernels.Backend) { b.SoftmaxGrad(dx.t, dy.t, y.t) }
			tr.want(dx, func() mat { return softmaxGrad(dy.values(), y.values()) })
		})
	}
}

// rope turns the pairs (i, i+D/2) of the first heads of each row.
func rope(x, table mat, pos []float64, heads int, inverse bool) mat {
	y, d := newMat(x.rows, x.cols), table.cols
	copy(y.v, x.v)
	for i := range x.rows {
		angles := table.row(int(pos[i]))
		for h := range heads {
			for j := range d / 2 {
				a, b, c, s := *x.at(i, h*d+j), *x.at(i, h*d+j+d/2), angles[j], angles[j+d/2]
				if inverse {
					s = s.negated()
				}
				*y.at(i, h*d+j) = a.times(c).minus(b.times(s))
				*y.at(i, h*d+j+d/2) = b.times(c).plus(a.times(s))
			}
		}
	}
	return y
}

func ropeCases(l *list) {
	for _, c := range []struct {
		m, heads, d, rest, positions int
		scope                        scope
	}{
		{7, 3, 8, 5, 9, small}, {1, 1, 2, 0, 1, normal}, {33, 0, 4, 3, 5, normal}, {17, 2, 64, 64, 40, normal},
		{5, 5, 6, 6, 7, normal}, {130, 1, 128, 0, 200, normal}, {65, 4, 10, 1, 65, normal}, {600, 8, 64, 512, 600, long},
	} {
		for _, d := range mixtures(2) {
			for _, inverse := range []bool{false, true} {
				for _, aliased := range []bool{false, true} {
					name := fmt.Sprintf("%d rows of %d heads of %d and %d, %v, inverse %t in place %t", c.m, c.heads, c.d, c.rest, d, inverse, aliased)
					l.add("RoPE", c.scope, name, func(tr *trial) {
						turned := c.heads * c.d
						y, x, pos := tr.output(d[0], c.m, turned+c.rest), tr.normal(d[1], c.m, turned+c.rest), tr.indices(c.m, c.positions, false)
						table := tr.output(kernels.F32, c.positions, c.d).set(func(i int) float64 {
							angle := float64(i/c.d) * math.Pow(100, -float64(i%(c.d/2))*2/float64(c.d))
							if i%c.d < c.d/2 {
								return math.Cos(angle)
							}
							return math.Sin(angle)
						})
						if aliased && inPlace(d, 1) {
							y = x
						}
						tr.call = func(b kernels.Backend) { b.RoPE(y.t, x.t, table.t, pos.t, c.heads, inverse) }
						tr.want(tr.columns(y, 0, turned), func() mat {
							return rope(x.values(), table.values(), pos.scalars(), c.heads, inverse).columns(0, turned)
						})
						tr.exactly(tr.columns(y, turned, turned+c.rest), func() mat { return x.values().columns(turned, turned+c.rest) })
					})
				}
			}
		}
	}
}
