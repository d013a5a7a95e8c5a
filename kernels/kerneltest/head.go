package kerneltest

import (
	"fmt"
	"sync"

	"forja/kernels"
)

// A head is the arguments of LinearLogProb in float64. bias may be empty.
type head struct {
	x, w, bias mat
	target     []float64
	vocab      int
	half       bool // the gradient of the logits may be BF16
}

// A headResult is everything the three operations compute.
type headResult struct{ logp, lse, entropy, dx, dw, dbias mat }

// logits are x·wᵀ + bias, without the padding of the vocabulary.
func (p head) logits() mat {
	return multiplied(p.x, p.w, 0, spread(p.bias, p.x.rows)).columns(0, p.vocab)
}

func (p head) forward() headResult {
	m := p.x.rows
	r := headResult{logp: newMat(1, m), lse: newMat(1, m), entropy: newMat(1, m)}
	z := p.logits()
	for i := range m {
		lse := logSumExp(z.row(i))
		r.lse.v[i] = lse
		if t := int(p.target[i]); t >= 0 {
			r.logp.v[i] = z.at(i, t).minus(lse)
		}
		r.entropy.v[i] = lse.minus(dot(softmaxRow(z.row(i)), z.row(i)))
	}
	return r
}

// backward is the gradient; lse is empty, or what probabilities are computed from. Empty starts are absent.
func (p head) backward(dlogp, dlse, lse, startW, startB mat) (r headResult) {
	m, n := p.x.rows, p.w.rows
	z := p.logits()
	dz := newMat(m, p.vocab)
	for i := range m {
		var probs []num
		if lse.empty() {
			probs = softmaxRow(z.row(i))
		} else {
			for _, v := range z.row(i) {
				probs = append(probs, v.minus(lse.v[i]).exp())
			}
		}
		var picked, total num
		t := int(p.target[i])
		if t >= 0 {
			picked = dlogp.v[i]
		}
		if !dlse.empty() {
			total = dlse.v[i]
		}
		if picked.v == 0 && total.v == 0 {
			continue
		}
		for j, prob := range probs {
			d := total.minus(picked).times(prob)
			if j == t {
				d = d.plus(picked)
			}
			*dz.at(i, j) = d.halved(p.half)
		}
	}
	r.dx = product(dz, p.w.transposed().columns(0, p.vocab))
	padded := newMat(n, m) // dz of all logits, transposed
	copy(padded.v, dz.transposed().v)
	r.dw = multiplied(padded, p.x.transposed(), 0, startW)
	ones := newMat(1, m)
	for i := range ones.v {
		ones.v[i] = exact(1)
	}
	r.dbias = multiplied(ones, padded, 0, startB)
	return r
}

var headForms = []struct {
	m, c, padded, vocab, rows int
	scope                     scope
}{
	{7, 12, 20, 19, 3, small}, {1, 1, 1, 1, 1, normal}, {1, 33, 65, 64, 4, normal}, {40, 24, 130, 121, 7, normal},
	{33, 64, 128, 128, 33, normal}, {64, 17, 300, 257, 16, normal}, {20, 48, 600, 513, 64, normal}, {100, 96, 1024, 1000, 48, long},
}

// A headForm says which optional arguments there are. Zeros is the share of rows without a cotangent, in fourths.
type headForm struct {
	bias, entropy, dlse, dx, dw, dbias, accumulate bool
	zeros                                          int
}

func headCases(l *list) {
	for _, f := range headForms {
		for _, d := range mixtures(4) {
			for _, c := range []headForm{
				{bias: true, entropy: true, dlse: true, dx: true, dw: true, dbias: true},
				{dx: true, dw: true, zeros: 2},
				{bias: true, dlse: true, dx: true, dw: true, dbias: true, accumulate: true, zeros: 1},
				{entropy: true, dlse: true, dx: true, zeros: 3},
				{bias: true, dw: true, dbias: true, accumulate: true, zeros: 3},
				{dx: true, dw: true, dbias: true, zeros: 4},
			} {
				name := fmt.Sprintf("%+v %v %+v", f, d, c)
				build := func(op string) func(tr *trial) {
					return func(tr *trial) { buildHead(tr, op, f.m, f.c, f.padded, f.vocab, f.rows, d, c) }
				}
				if c.zeros < 3 {
					l.add("LinearLogProb", f.scope, name, build("LinearLogProb"))
				}
				l.add("LinearLogProbGrad", f.scope, name, build("LinearLogProbGrad"))
				l.add("LinearLogProbBoth", f.scope, name, build("LinearLogProbBoth"))
			}
		}
	}
}

func buildHead(tr *trial, op string, m, c, padded, vocab, rows int, d []kernels.DType, f headForm) {
	x, w, bias := tr.normal(d[0], m, c), tr.output(d[1], padded, c), none
	w.set(func(i int) float64 { // the padding would outweigh the vocabulary
		if i/c >= vocab {
			return 100 * tr.rng.NormFloat64()
		}
		return 0.7 * tr.rng.NormFloat64()
	})
	if f.bias {
		bias = tr.vector(d[2], padded)
	}
	target := tr.indices(m, vocab, true)
	logits := tr.free(tr.output(kernels.F32, rows, padded))
	p := head{x: x.values(), w: w.values(), bias: bias.values(), target: target.scalars(), vocab: vocab, half: x.half() && w.half()}

	stats := sync.OnceValue(p.forward)
	logp, lse, entropy := tr.outVector(kernels.F32, m), tr.outVector(kernels.F32, m), none
	forward := op != "LinearLogProbGrad"
	if forward {
		if f.entropy {
			entropy = tr.outVector(kernels.F32, m)
			tr.want(entropy, func() mat { return stats().entropy })
		}
		tr.want(logp, func() mat { return stats().logp })
		tr.want(lse, func() mat { return stats().lse })
	} else {
		l := stats().lse
		lse.set(func(i int) float64 { return l.v[i].v })
	}
	if op == "LinearLogProb" {
		tr.call = func(b kernels.Backend) {
			b.LinearLogProb(logp.t, lse.t, entropy.t, logits.t, x.t, w.t, bias.t, target.t, vocab)
		}
		return
	}

	zero := make([]bool, m)
	for i := range zero {
		zero[i] = tr.rng.IntN(4) < f.zeros
	}
	cotangent := func(i int) float64 {
		if zero[i] {
			return 0
		}
		return tr.rng.NormFloat64()
	}
	dlogp, dlse := tr.outVector(kernels.F32, m).set(cotangent), none
	if f.dlse {
		dlse = tr.outVector(kernels.F32, m).set(cotangent)
	}
	dx, dw, dbias, startW, startB := none, none, none, none, none
	if f.dx {
		dx = tr.output(d[3], m, c)
	}
	if f.dw {
		dw = tr.output(kernels.F32, padded, c)
	}
	if f.dbias {
		dbias = tr.outVector(kernels.F32, padded)
	}
	random := func(int) float64 { return tr.rng.NormFloat64() }
	if f.accumulate && f.dw {
		startW = dw.set(random)
	}
	if f.accumulate && f.dbias {
		startB = dbias.set(random)
	}
	oracle := sync.OnceValue(func() headResult {
		given := mat{}
		if !forward {
			given = lse.values()
		}
		return p.backward(dlogp.values(), dlse.values(), given, startW.values(), startB.values())
	})
	for _, g := range []struct {
		o    *operand
		want func(headResult) mat
	}{
		{dx, func(r headResult) mat { return r.dx }}, {dw, func(r headResult) mat { return r.dw }}, {dbias, func(r headResult) mat { return r.dbias }},
	} {
		if g.o != none {
			tr.want(g.o, func() mat { return g.want(oracle()) })
		}
	}
	tr.call = func(b kernels.Backend) {
		if forward {
			b.LinearLogProbBoth(logp.t, lse.t, entropy.t, dx.t, dw.t, dbias.t, logits.t, dlogp.t, dlse.t, x.t, w.t, bias.t, target.t, vocab, f.accumulate)
		} else {
			b.LinearLogProbGrad(dx.t, dw.t, dbias.t, logits.t, dlogp.t, dlse.t, x.t, w.t, bias.t, target.t, lse.t, vocab, f.accumulate)
		}
	}
}
