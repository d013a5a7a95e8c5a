package kerneltest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"

	"forja/kernels"
)

// newtonSchulz is five iterations of the quintic of Jordan et al. 2024 from u/‖u‖, which move u's singular values to
// about 1. With noise, every intermediate result is off by as much as float32 may err, at random.
func newtonSchulz(u mat, noise *rand.Rand) mat {
	disturb := func(m mat) mat {
		for i, x := range m.v {
			m.v[i] = exact(x.v)
			if noise != nil {
				m.v[i].v += x.e * (2*noise.Float64() - 1)
			}
		}
		return m
	}
	u = disturb(u)
	norm := dot(u.v, u.v).root().plus(exact(1e-7))
	u = disturb(each(func(x ...num) num { return x[0].over(norm) }, u))
	for range kernels.MuonIteration {
		gram := disturb(product(u, u))
		square := disturb(product(gram, gram)) // the Gram matrix is symmetric
		inner := disturb(each(func(x ...num) num { return x[0].scaled(-4.7750).plus(x[1].scaled(2.0315)) }, gram, square))
		u = disturb(each(func(x ...num) num { return x[0].scaled(3.4445).plus(x[1]) }, u, product(inner, u.transposed())))
	}
	return u
}

// orthogonalised is the Newton–Schulz iteration, with errors of six standard deviations of what rounding does to it.
func orthogonalised(u mat, noise *rand.Rand) mat {
	if u.rows > u.cols { // the same polynomial, on the short side
		return orthogonalised(u.transposed(), noise).transposed()
	}
	r := newtonSchulz(u, nil)
	const samples = 6
	var squares float64
	for range samples {
		for i, x := range newtonSchulz(u, noise).v {
			squares += (x.v - r.v[i].v) * (x.v - r.v[i].v)
		}
	}
	deviation := math.Sqrt(squares / float64(samples*max(len(r.v), 1)))
	for i := range r.v {
		r.v[i].e = 6 * deviation
	}
	return r
}

// muon is a step: the new momentum and weights. g is scaled by the control block, as in AdamW.
func muon(w, mom, g mat, control *operand, p kernels.Muon, noise *rand.Rand) (newW, newMom mat) {
	lr := exact(control.get(kernels.ControlLR))
	if p.LRScale != 0 {
		lr = lr.scaled(float64(p.LRScale))
	}
	scale, mu := exact(control.get(kernels.ControlScale)), exact(float64(p.Momentum))
	g = each(func(x ...num) num { return x[0].times(scale) }, g)
	newMom = each(func(x ...num) num { return mu.times(x[0]).plus(x[1]) }, mom, g)
	u := each(func(x ...num) num { return x[0].plus(mu.times(x[1])) }, g, newMom)
	u = orthogonalised(u, noise)
	step := lr.scaled(math.Sqrt(max(1, float64(w.rows)/float64(w.cols))))
	return each(func(x ...num) num {
		kept := x[0].times(exact(1).minus(lr.scaled(float64(p.Decay))))
		return kept.minus(step.times(x[1]))
	}, w, u), newMom
}

func muonCases(l *list) {
	for _, f := range []form{
		{12, 20, small}, {20, 12, small}, {1, 9, normal}, {9, 1, normal}, {16, 16, normal}, {33, 65, normal}, {65, 33, normal},
		{24, 130, normal}, {100, 70, long},
	} {
		for _, mixed := range []bool{false, true} {
			l.add("Muon", f.scope, fmt.Sprintf("(%d,%d) master %t skipped", f.m, f.n, mixed), func(tr *trial) {
				w, master, _ := tr.weights(f.m, f.n, mixed)
				mom, g := tr.normal(kernels.F32, f.m, f.n), tr.normal(kernels.F32, f.m, f.n)
				scratch := tr.free(tr.outVector(kernels.F32, kernels.MuonScratch(f.m, f.n)))
				control := tr.control(map[int]float64{kernels.ControlSkip: 1})
				tr.call = func(b kernels.Backend) {
					b.Muon(w.t, master.t, mom.t, g.t, scratch.t, control.t, kernels.Muon{Momentum: 0.95, Decay: 0.1})
				}
			})
			for _, p := range []kernels.Muon{{Momentum: 0.95, Decay: 0.1}, {Momentum: 0.5, LRScale: 0.2}, {Decay: 0.5}} {
				name := fmt.Sprintf("(%d,%d) master %t %+v", f.m, f.n, mixed, p)
				l.add("Muon", f.scope, name, func(tr *trial) {
					w, master, full := tr.weights(f.m, f.n, mixed)
					mom, g := tr.normal(kernels.F32, f.m, f.n), tr.normal(kernels.F32, f.m, f.n)
					scratch := tr.free(tr.outVector(kernels.F32, kernels.MuonScratch(f.m, f.n)))
					control := tr.control(map[int]float64{kernels.ControlLR: 0.5, kernels.ControlScale: 0.3, kernels.ControlSkip: 0})
					noise := rand.New(rand.NewPCG(tr.rng.Uint64(), 0))
					tr.call = func(b kernels.Backend) { b.Muon(w.t, master.t, mom.t, g.t, scratch.t, control.t, p) }
					oracle := sync.OnceValues(func() (mat, mat) { return muon(full.values(), mom.values(), g.values(), control, p, noise) })
					tr.want(full, func() mat { w, _ := oracle(); return w })
					tr.want(mom, func() mat { _, mom := oracle(); return mom })
					tr.followed(w, master)
				})
			}
		}
	}
}
