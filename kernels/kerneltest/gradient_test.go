package kerneltest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"

	"forja/kernels"
)

// A prober compares gradients of the oracle with finite differences of its forward, all in float64.
type prober struct {
	t   *testing.T
	rng *rand.Rand
}

func (p prober) random(rows, cols int) mat {
	m := newMat(rows, cols)
	for i := range m.v {
		m.v[i] = exact(p.rng.NormFloat64())
	}
	return m
}

// loss is Σ of products of elements: the function whose gradient at y is dy.
func loss(dy, y mat) (s float64) {
	for i := range y.v {
		s += dy.v[i].v * y.v[i].v
	}
	return s
}

// compare moves each element of x by h both ways. The difference quotient errs by h²/6 of the third derivative and
// 2⁻⁵³/h of the loss, some 10⁻¹⁰ here; a hundred times that is allowed for their factors.
func (p prober) compare(what string, x, gradient mat, f func() float64) {
	p.t.Helper()
	const h = 1e-5
	for i := range x.v {
		old := x.v[i].v
		x.v[i].v = old + h
		up := f()
		x.v[i].v = old - h
		down := f()
		x.v[i].v = old
		slope := (up - down) / (2 * h)
		assert.InDelta(p.t, slope, gradient.v[i].v, 1e-8*(1+math.Abs(slope)), "%s, element %d", what, i)
	}
}

// gradients are the checks of all operations that have a gradient or are one.
var gradients = map[string]func(p prober){
	"ActivateGrad": func(p prober) {
		for f := kernels.NoActivation; f <= kernels.Tanh; f++ {
			x, dy := p.random(4, 5), p.random(4, 5)
			dx := each(func(x ...num) num { return x[0].times(slope(f, x[1])) }, dy, x)
			p.compare(fmt.Sprint("function ", f), x, dx, func() float64 {
				return loss(dy, each(func(x ...num) num { return activation(f, x[0]) }, x))
			})
		}
	},
	"SwiGLUGrad": func(p prober) {
		gate, up, dy := p.random(4, 5), p.random(4, 5), p.random(4, 5)
		dgate, dup := swiGLUGrad(dy, gate, up)
		f := func() float64 { return loss(dy, swiGLU(gate, up)) }
		p.compare("gate", gate, dgate, f)
		p.compare("up", up, dup, f)
	},
	"Dropout": func(p prober) {
		x, dy, rng := p.random(6, 5), p.random(6, 5), [4]uint32{1, 2, 3, 4}
		dx, _ := dropout(dy, rng, 0.4, 9, 2)
		p.compare("x", x, dx, func() float64 { y, _ := dropout(x, rng, 0.4, 9, 2); return loss(dy, y) })
	},
	"RoPE": func(p prober) {
		x, dy, table, pos := p.random(4, 11), p.random(4, 11), p.random(3, 4), []float64{2, 0, 1, 2}
		dx := rope(dy, table, pos, 2, true)
		p.compare("x", x, dx, func() float64 { return loss(dy, rope(x, table, pos, 2, false)) })
	},
	"SoftmaxGrad": func(p prober) {
		x, dy := p.random(3, 6), p.random(3, 6)
		p.compare("x", x, softmaxGrad(dy, softmax(x)), func() float64 { return loss(dy, softmax(x)) })
	},
	"LinearDX": func(p prober) {
		for f := kernels.NoActivation; f <= kernels.Tanh; f++ { // w applied to f(pre), and pre on a way around it
			pre, w, dy, residual := p.random(3, 4), p.random(5, 4), p.random(3, 5), p.random(3, 4)
			dpre := linearDX(dy, w, finish{scale: 0.5, act: f, pre: pre, residual: residual})
			p.compare(fmt.Sprint("function ", f), pre, dpre, func() float64 {
				y, _ := linear(each(func(x ...num) num { return activation(f, x[0]) }, pre), w, finish{scale: 0.5})
				return loss(dy, y) + loss(residual, pre)
			})
		}
	},
	"LinearQuantDX": func(p prober) {
		tr := &trial{rng: p.rng}
		packed, scales := tr.packedWeights(kernels.NF4, 5, 64)
		x, w, dy := p.random(3, 64), unpacked(packed, scales, kernels.NF4, kernels.F32, 5, 64), p.random(3, 5)
		p.compare("x", x, linearDX(dy, w, finish{scale: 2}), func() float64 {
			y, _ := linear(x, w, finish{scale: 2})
			return loss(dy, y)
		})
	},
	"LinearDW": func(p prober) {
		x, w, dy := p.random(3, 4), p.random(5, 4), p.random(3, 5)
		f := func() float64 { y, _ := linear(x, w, finish{scale: 2}); return loss(dy, y) }
		p.compare("w", w, linearDW(dy, x, 2, mat{}), f)
		start := p.random(5, 4)
		p.compare("w, twice", w, linearDW(dy, x, 2, start), func() float64 { return f() + loss(start, w) })
	},
	"BiasGrad": func(p prober) {
		x, w, bias, dy, start := p.random(3, 4), p.random(5, 4), p.random(1, 5), p.random(3, 5), p.random(1, 5)
		p.compare("bias", bias, biasGrad(dy, start), func() float64 {
			y, _ := linear(x, w, finish{bias: bias})
			return loss(dy, y) + loss(start, bias)
		})
	},
	"EmbedGrad": func(p prober) {
		table, dy, start, idx := p.random(4, 3), p.random(5, 3), p.random(4, 3), []float64{2, -1, 0, 2, 3}
		p.compare("table", table, embedGrad(dy, idx, 4, start), func() float64 { return loss(dy, embed(table, idx, mat{})) + loss(start, table) })
	},
	"LayerNormGrad": func(p prober) { p.norms(false) },
	"RMSNormGrad":   func(p prober) { p.norms(true) },
	"AttentionGrad": func(p prober) {
		for _, causal := range []bool{false, true} {
			a := attention{Attn: kernels.Attn{Heads: 4, KVHeads: 2, HeadDim: 3, Causal: causal}, batch: 2, time: 4}
			a.q, a.k, a.v = p.random(8, 12), p.random(8, 6), p.random(8, 6)
			a.lo, a.hi = []float64{0, 0, 2, 3, 0, 1, 1, 4}, []float64{3, 3, 4, 4, 1, 1, 4, 4} // some see nothing
			do := p.random(8, 12)
			r := a.forward()
			g := a.backward(do, r.o, r.lse)
			f := func() float64 { return loss(do, a.forward().o) }
			p.compare("q", a.q, g.dq, f)
			p.compare("k", a.k, g.dk, f)
			p.compare("v", a.v, g.dv, f)
		}
	},
	"LinearLogProbGrad": func(p prober) { p.logProbs(true) },
	"LinearLogProbBoth": func(p prober) { p.logProbs(false) },
}

func (p prober) norms(rms bool) {
	x, w, b, dy, residual := p.random(3, 6), p.random(1, 6), p.random(1, 6), p.random(3, 6), p.random(3, 6)
	startW, startB := p.random(1, 6), p.random(1, 6)
	if rms {
		b = mat{}
	}
	stats := newNorm(x, mat{}, w, b, 0.01, rms).stats
	g := newNormGrad(dy, x, w, stats, residual, startW, startB, rms)
	f := func() float64 { // h goes on beside the norm; w and b have other uses
		return loss(dy, newNorm(x, mat{}, w, b, 0.01, rms).y) + loss(residual, x) + loss(startW, w) + loss(startB, b)
	}
	p.compare("x", x, g.dx, f)
	p.compare("w", w, g.dw, f)
	if !rms {
		p.compare("b", b, g.db, f)
	}
}

// logProbs checks the gradient for an lse that was stored or is computed anew.
func (p prober) logProbs(stored bool) {
	h := head{x: p.random(5, 3), w: p.random(7, 3), bias: p.random(1, 7), target: []float64{0, -1, 5, 2, 2}, vocab: 6}
	dlogp, dlse, startW, startB := p.random(1, 5), p.random(1, 5), p.random(7, 3), p.random(1, 7)
	dlogp.v[3], dlse.v[3] = num{}, num{}
	lse := mat{}
	if stored {
		lse = h.forward().lse
	}
	g := h.backward(dlogp, dlse, lse, startW, startB)
	f := func() float64 {
		r := h.forward()
		return loss(dlogp, r.logp) + loss(dlse, r.lse) + loss(startW, h.w) + loss(startB, h.bias)
	}
	p.compare("x", h.x, g.dx, f)
	p.compare("w", h.w, g.dw, f)
	p.compare("bias", h.bias, g.dbias, f)
	without := h.backward(dlogp, mat{}, lse, mat{}, mat{})
	p.compare("x, dlogp alone", h.x, without.dx, func() float64 { return loss(dlogp, h.forward().logp) })
}

func TestTheOraclesGradientsAreThoseOfItsForward(t *testing.T) {
	for _, op := range methods() {
		if check := gradients[op]; check != nil {
			t.Run(op, func(t *testing.T) { check(prober{t, rand.New(rand.NewPCG(5, 6))}) })
		}
	}
}
