package kerneltest

import (
	"fmt"
	"math"

	"forja/kernels"
)

// activation is f(x).
func activation(f kernels.Activation, x num) num {
	switch f {
	case kernels.GELU:
		return x.scaled(0.5).times(exact(1).plus(geluArgument(x).tanh()))
	case kernels.GELUErf:
		return x.times(normalCDF(x))
	case kernels.SiLU:
		return x.times(x.sigma())
	case kernels.Tanh:
		return x.tanh()
	}
	return x
}

// geluArgument is √(2/π)(x + 0.044715x³).
func geluArgument(x num) num {
	cube := x.times(x).times(x).scaled(0.044715)
	return x.plus(cube).scaled(math.Sqrt(2 / math.Pi))
}

func normalCDF(x num) num { return exact(1).plus(x.scaled(1 / math.Sqrt2).erf()).scaled(0.5) }

// slope is f'(x).
func slope(f kernels.Activation, x num) num {
	one := exact(1)
	switch f {
	case kernels.GELU: // ½(1 + tanh z) + ½x(1 - tanh² z)z'
		t := geluArgument(x).tanh()
		dz := one.plus(x.times(x).scaled(3 * 0.044715)).scaled(math.Sqrt(2 / math.Pi))
		return one.plus(t).scaled(0.5).plus(x.scaled(0.5).times(one.minus(t.times(t))).times(dz))
	case kernels.GELUErf: // Φ(x) + xφ(x)
		density := x.times(x).scaled(-0.5).exp().scaled(1 / math.Sqrt(2*math.Pi))
		return normalCDF(x).plus(x.times(density))
	case kernels.SiLU: // σ(1 + x(1 - σ))
		s := x.sigma()
		return s.times(one.plus(x.times(one.minus(s))))
	case kernels.Tanh:
		t := x.tanh()
		return one.minus(t.times(t))
	}
	return one
}

// swiGLU is SiLU(gate)·up.
func swiGLU(gate, up mat) mat {
	return each(func(x ...num) num { return activation(kernels.SiLU, x[0]).times(x[1]) }, gate, up)
}

// swiGLUGrad is dy·up·SiLU'(gate) and dy·SiLU(gate).
func swiGLUGrad(dy, gate, up mat) (dgate, dup mat) {
	return each(func(x ...num) num { return x[0].times(x[2]).times(slope(kernels.SiLU, x[1])) }, dy, gate, up),
		each(func(x ...num) num { return x[0].times(activation(kernels.SiLU, x[1])) }, dy, gate)
}

// arguments are normal numbers of several sizes and a few extreme ones.
func (tr *trial) arguments(d kernels.DType, m, n int) *operand {
	extreme := []float64{0, math.Copysign(0, -1), 30, -30, 100, -100, 1e-6, -1e-6, 9, -9}
	return tr.output(d, m, n).set(func(int) float64 {
		if tr.rng.IntN(16) == 0 {
			return extreme[tr.rng.IntN(len(extreme))]
		}
		return tr.rng.NormFloat64() * math.Exp2(float64(tr.rng.IntN(5)-2))
	})
}

func elementwiseCases(l *list) {
	for alias := range 3 { // of z: neither, x, y
		l.every("Add", fmt.Sprintf("in place %d ", alias), 3, func(tr *trial, m, n int, d []kernels.DType) {
			z, x, y := tr.output(d[0], m, n), tr.normal(d[1], m, n), tr.normal(d[2], m, n)
			switch {
			case alias == 1 && inPlace(d, 1):
				z = x
			case alias == 2 && inPlace(d, 2):
				z = y
			}
			tr.call = func(b kernels.Backend) { b.Add(z.t, x.t, y.t) }
			tr.want(z, func() mat { return x.values().plus(y.values()) })
		})
	}
	for f := kernels.NoActivation; f <= kernels.Tanh; f++ {
		for _, aliased := range []bool{false, true} {
			l.every("Activate", fmt.Sprintf("function %d in place %t ", f, aliased), 2, func(tr *trial, m, n int, d []kernels.DType) {
				y, x := tr.output(d[0], m, n), tr.arguments(d[1], m, n)
				if aliased && inPlace(d, 1) {
					y = x
				}
				tr.call = func(b kernels.Backend) { b.Activate(y.t, x.t, f) }
				tr.want(y, func() mat { return each(func(x ...num) num { return activation(f, x[0]) }, x.values()) })
			})
		}
	}
	for f := kernels.NoActivation; f <= kernels.Tanh; f++ {
		for alias := range 3 { // of dx: neither, dy, x
			l.every("ActivateGrad", fmt.Sprintf("function %d in place %d ", f, alias), 3, func(tr *trial, m, n int, d []kernels.DType) {
				dx, dy, x := tr.output(d[0], m, n), tr.normal(d[1], m, n), tr.arguments(d[2], m, n)
				switch {
				case alias == 1 && inPlace(d, 1):
					dx = dy
				case alias == 2 && inPlace(d, 2):
					dx = x
				}
				tr.call = func(b kernels.Backend) { b.ActivateGrad(dx.t, dy.t, x.t, f) }
				tr.want(dx, func() mat {
					return each(func(x ...num) num { return x[0].times(slope(f, x[1])) }, dy.values(), x.values())
				})
			})
		}
	}
	swiGLUCases(l)
}

// gateUp is a gate and its up projection: halves of one matrix, or apart.
func (tr *trial) gateUp(fused bool, dgate, dup kernels.DType, m, n int, fill bool) (gate, up *operand) {
	if !fused || dgate != dup {
		gate, up = tr.output(dgate, m, n), tr.output(dup, m, n)
	} else {
		both := tr.output(dgate, m, 2*n)
		gate, up = tr.columns(both, 0, n), tr.columns(both, n, 2*n)
	}
	if fill {
		gate.set(func(int) float64 { return 3 * tr.rng.NormFloat64() })
		up.set(func(int) float64 { return tr.rng.NormFloat64() })
	}
	return gate, up
}

func swiGLUCases(l *list) {
	for alias := range 4 { // of y: neither, gate, up; 3 is apart
		l.every("SwiGLU", fmt.Sprintf("in place %d ", alias), 3, func(tr *trial, m, n int, d []kernels.DType) {
			y := tr.output(d[0], m, n)
			gate, up := tr.gateUp(alias < 3, d[1], d[2], m, n, true)
			switch {
			case alias == 1 && inPlace(d, 1):
				y = gate
			case alias == 2 && inPlace(d, 2):
				y = up
			}
			tr.call = func(b kernels.Backend) { b.SwiGLU(y.t, gate.t, up.t) }
			tr.want(y, func() mat { return swiGLU(gate.values(), up.values()) })
		})
	}
	for _, aliased := range []bool{false, true} {
		l.every("SwiGLUGrad", fmt.Sprintf("in place %t ", aliased), 3, func(tr *trial, m, n int, d []kernels.DType) {
			dy := tr.normal(d[0], m, n)
			gate, up := tr.gateUp(true, d[1], d[2], m, n, true)
			dgate, dup := gate, up
			if !aliased {
				dgate, dup = tr.gateUp(d[0] == d[1], d[2], d[1], m, n, false)
			}
			tr.call = func(b kernels.Backend) { b.SwiGLUGrad(dgate.t, dup.t, dy.t, gate.t, up.t) }
			tr.want(dgate, func() mat { m, _ := swiGLUGrad(dy.values(), gate.values(), up.values()); return m })
			tr.want(dup, func() mat { _, m := swiGLUGrad(dy.values(), gate.values(), up.values()); return m })
		})
	}
}
