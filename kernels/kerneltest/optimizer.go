package kerneltest

import (
	"fmt"
	"math"
	"sync"

	"forja/kernels"
)

// control is a control block; what is not given is random.
func (tr *trial) control(values map[int]float64) *operand {
	return tr.outVector(kernels.F32, kernels.ControlSize).set(func(i int) float64 {
		if v, ok := values[i]; ok {
			return v
		}
		return tr.rng.NormFloat64()
	})
}

// gradNorm is ‖g‖₂ and min(1, limit/(‖g‖ + 1e-6)), or 1 for a limit of 0.
func gradNorm(g mat, limit float32) (norm, scale num) {
	norm = dot(g.v, g.v).root()
	if limit == 0 {
		return norm, exact(1)
	}
	scale = exact(float64(limit)).over(norm.plus(exact(1e-6)))
	if scale.v > 1 {
		scale = num{1, math.Max(0, scale.e-(scale.v-1))}
	}
	return norm, scale
}

// An adamW is the state of one step, element by element.
type adamW struct{ w, m, v mat }

func (s adamW) step(g mat, control *operand, p kernels.AdamW) adamW {
	lr, c1, c2, scale := controls(control, p.LRScale)
	b1, b2 := exact(float64(p.Beta1)), exact(float64(p.Beta2))
	one := exact(1)
	next := adamW{newMat(g.rows, g.cols), newMat(g.rows, g.cols), newMat(g.rows, g.cols)}
	for i := range g.v {
		d := g.v[i].times(scale)
		w := s.w.v[i].times(one.minus(lr.scaled(float64(p.Decay))))
		m := b1.times(s.m.v[i]).plus(one.minus(b1).times(d))
		v := b2.times(s.v.v[i]).plus(one.minus(b2).times(d.times(d)))
		w = w.minus(lr.times(m.over(c1)).over(v.over(c2).root().plus(exact(float64(p.Eps)))))
		next.w.v[i], next.m.v[i], next.v.v[i] = w, m, v
	}
	return next
}

// controls are the scalars of a step: the learning rate of the group, 1 - β₁ᵗ, 1 - β₂ᵗ and the factor of the gradient.
func controls(control *operand, lrScale float32) (lr, c1, c2, scale num) {
	lr = exact(control.get(kernels.ControlLR))
	if lrScale != 0 {
		lr = lr.scaled(float64(lrScale))
	}
	return lr, exact(control.get(kernels.ControlC1)), exact(control.get(kernels.ControlC2)), exact(control.get(kernels.ControlScale))
}

func optimizerCases(l *list) {
	for _, f := range forms {
		for _, size := range []float64{1, 1e-3, 0} {
			for _, limit := range []float32{0, 0.5, 1e6} {
				l.add("GradNorm", f.scope, fmt.Sprintf("(%d,%d) of size %g limit %g", f.m, f.n, size, limit), func(tr *trial) {
					g := tr.output(kernels.F32, f.m, f.n).set(func(int) float64 { return size * tr.rng.NormFloat64() })
					control := tr.control(map[int]float64{kernels.ControlSkip: 0, kernels.ControlBound: 0})
					tr.call = func(b kernels.Backend) { b.GradNorm(control.t, g.t, limit) }
					tr.want(tr.columns(control, kernels.ControlNorm, kernels.ControlNorm+1), func() mat {
						norm, _ := gradNorm(g.values(), limit)
						return mat{1, 1, []num{norm}}
					})
					tr.want(tr.columns(control, kernels.ControlScale, kernels.ControlScale+1), func() mat {
						_, scale := gradNorm(g.values(), limit)
						return mat{1, 1, []num{scale}}
					})
				})
			}
		}
	}
	for _, c := range []struct {
		name        string
		size, bound float64
		skip        float64
	}{{"within its bound", 1, 1e6, 0}, {"above its bound", 1, 1e-6, 1}, {"unbounded", 1, 0, 0}, {"overflowing", 1e30, 0, 1},
		{"infinite", math.Inf(1), 0, 1}, {"NaN", math.NaN(), 1e6, 1}} {
		l.add("GradNorm", small, "skip of a norm "+c.name, func(tr *trial) {
			g := tr.output(kernels.F32, 3, 50).set(func(i int) float64 {
				if i == 77 {
					return c.size
				}
				return tr.rng.NormFloat64() * min(c.size, 1e30)
			})
			control := tr.free(tr.control(map[int]float64{kernels.ControlBound: c.bound, kernels.ControlSkip: 1 - c.skip}))
			tr.call = func(b kernels.Backend) { b.GradNorm(control.t, g.t, 1) }
			tr.after = func() error {
				if got := control.got(kernels.ControlSkip); got != c.skip {
					return fmt.Errorf("skip is %g, want %g; the norm is %g", got, c.skip, control.got(kernels.ControlNorm))
				}
				return nil
			}
		})
	}
	for _, f := range forms {
		for _, mixed := range []bool{false, true} {
			l.add("AdamW", f.scope, fmt.Sprintf("(%d,%d) master %t skipped", f.m, f.n, mixed), func(tr *trial) {
				w, master, _ := tr.weights(f.m, f.n, mixed)
				m, v, g := tr.normal(kernels.F32, f.m, f.n), tr.normal(kernels.F32, f.m, f.n), tr.normal(kernels.F32, f.m, f.n)
				control := tr.control(map[int]float64{kernels.ControlSkip: 1})
				tr.call = func(b kernels.Backend) {
					b.AdamW(w.t, master.t, m.t, v.t, g.t, control.t, kernels.AdamW{Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, Decay: 0.1})
				}
			})
			for k, p := range []kernels.AdamW{
				{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decay: 0.1}, {Beta1: 0.95, Beta2: 0.5, Eps: 1e-3, LRScale: 0.25}, {Beta2: 0.9, Eps: 1, Decay: 1, LRScale: 2},
			} {
				for _, steps := range []int{1, 3} {
					name := fmt.Sprintf("(%d,%d) master %t %+v %d steps", f.m, f.n, mixed, p, steps)
					l.add("AdamW", f.scope, name, func(tr *trial) { buildAdamW(tr, f.m, f.n, mixed, p, steps, k > 0) })
				}
			}
		}
	}
}

// weights are a weight and its master, or an absent one, and which of them is F32.
func (tr *trial) weights(m, n int, mixed bool) (w, master, full *operand) {
	full = tr.normal(kernels.F32, m, n)
	if !mixed {
		return full, none, full
	}
	w = tr.normal(kernels.BF16, m, n) // not the master's rounding: it must not be read
	return w, full, full
}

// followed checks that a BF16 weight is its master's rounding.
func (tr *trial) followed(w, master *operand) {
	if master == none {
		return
	}
	tr.free(w)
	tr.after = func() error {
		for i := range w.t.Size() {
			if want := toBF16(master.got(i)); w.got(i) != want {
				return fmt.Errorf("weight %d is %g, want %g, its master's rounding", i, w.got(i), want)
			}
		}
		return nil
	}
}

// buildAdamW takes several steps, with other gradients and control blocks each, from zero moments unless warm.
func buildAdamW(tr *trial, rows, cols int, mixed bool, p kernels.AdamW, steps int, warm bool) {
	w, master, full := tr.weights(rows, cols, mixed)
	m, v := tr.output(kernels.F32, rows, cols), tr.output(kernels.F32, rows, cols)
	size := map[bool]float64{true: 1}[warm]
	m.set(func(int) float64 { return size * tr.rng.NormFloat64() })
	v.set(func(int) float64 { return size * (0.1 + tr.rng.ExpFloat64()) })
	var g, control []*operand
	for t := range steps {
		zeros := t%2 == 0 && rows > 1
		g = append(g, tr.output(kernels.F32, rows, cols).set(func(i int) float64 {
			if zeros && i/cols == 1 {
				return 0
			}
			return tr.rng.NormFloat64()
		}))
		control = append(control, tr.control(map[int]float64{
			kernels.ControlLR: 0.01 * float64(t+1), kernels.ControlScale: 0.7, kernels.ControlSkip: 0,
			kernels.ControlC1: 1 - math.Pow(float64(p.Beta1), float64(t+1)), kernels.ControlC2: 1 - math.Pow(float64(p.Beta2), float64(t+1)),
		}))
	}
	tr.call = func(b kernels.Backend) {
		for t := range steps {
			b.AdamW(w.t, master.t, m.t, v.t, g[t].t, control[t].t, p)
		}
	}
	oracle := sync.OnceValue(func() adamW {
		s := adamW{full.values(), m.values(), v.values()}
		for t := range steps {
			s = s.step(g[t].values(), control[t], p)
		}
		return s
	})
	tr.want(full, func() mat { return oracle().w })
	tr.want(m, func() mat { return oracle().m })
	tr.want(v, func() mat { return oracle().v })
	tr.followed(w, master)
}
