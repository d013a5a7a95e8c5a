package kerneltest

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"forja/kernels"
)

// A draw is a row of Sample: the distribution that is left, in order, and what decided it.
type draw struct {
	tokens    []int
	weights   []num
	cumulated []num  // of the weights
	near      []bool // float32 may exchange token i and the next
	unclear   bool   // float32 may decide a boundary the other way
	greedy    bool
	total     num
}

// newDraw does everything but draw.
func newDraw(logits []float64, seen []float64, p []float64) (d draw) {
	z := make([]num, len(logits))
	for i, v := range logits {
		z[i] = exact(v)
		if r := p[kernels.SampleRepetition]; r > 0 && seen != nil && seen[i] != 0 {
			if v > 0 {
				z[i] = z[i].over(exact(r))
			} else {
				z[i] = z[i].scaled(r)
			}
		}
		d.tokens = append(d.tokens, i)
	}
	slices.SortStableFunc(d.tokens, func(a, b int) int { return cmp.Compare(z[b].v, z[a].v) })
	d.near = make([]bool, len(d.tokens))
	for i, t := range d.tokens[1:] {
		above := z[d.tokens[i]]
		d.near[i] = above.v != z[t].v && above.v-z[t].v <= 8*unit*(math.Abs(above.v)+math.Abs(z[t].v))
	}
	temperature := p[kernels.SampleTemperature]
	if temperature == 0 {
		d.greedy = true
		return d
	}
	for _, t := range d.tokens {
		d.weights = append(d.weights, z[t].minus(z[d.tokens[0]]).over(exact(temperature)).exp())
	}
	if k := int(p[kernels.SampleTopK]); k > 0 {
		d.keep(min(k, len(d.tokens)))
	}
	d.cumulate()
	if f := p[kernels.SampleTopP]; f > 0 && f < 1 {
		d.keep(1 + d.first(d.total.scaled(f)))
	}
	if f := p[kernels.SampleMinP]; f > 0 {
		n := 0
		for _, w := range d.weights {
			d.unclear = d.unclear || math.Abs(w.v-f) <= w.e+unit
			if w.v >= f {
				n++
			}
		}
		d.keep(n)
	}
	d.cumulate()
	return d
}

func (d *draw) keep(n int) {
	d.unclear = d.unclear || n < len(d.tokens) && d.near[n-1]
	d.tokens, d.weights = d.tokens[:n], d.weights[:n]
}

func (d *draw) cumulate() {
	d.cumulated = nil
	var s sum
	for _, w := range d.weights {
		s.add(w)
		d.cumulated = append(d.cumulated, s.total())
	}
	d.total = s.total()
}

// first is the index of the first token whose cumulated weight exceeds a target.
func (d *draw) first(target num) int {
	found := len(d.cumulated) - 1
	for i, c := range d.cumulated {
		d.unclear = d.unclear || math.Abs(c.v-target.v) <= c.e+target.e
		if c.v > target.v {
			found = min(found, i)
		}
	}
	return found
}

// pick is the token for a uniform number and its log-probability.
func (d *draw) pick(uniform float64) (token int, logp num) {
	if d.greedy {
		d.unclear = d.unclear || d.near[0]
		return d.tokens[0], exact(0)
	}
	i := d.first(d.total.scaled(uniform))
	d.unclear = d.unclear || d.near[i] || i > 0 && d.near[i-1]
	return d.tokens[i], d.weights[i].over(d.total).log()
}

// samplings are parameters; a negative one is drawn at random for each row.
var samplings = []struct {
	name string
	p    [5]float64 // temperature, top-k, top-p, min-p, repetition
}{
	{"greedy", [5]float64{}}, {"greedy with repetition", [5]float64{4: 1.3}}, {"plain", [5]float64{1}}, {"cold", [5]float64{0.3}},
	{"hot, all off", [5]float64{1.7, 0, 1, 0, 1}}, {"top-k", [5]float64{1, 5}}, {"top-k of one", [5]float64{1, 1}},
	{"top-k of more than all", [5]float64{1, 1e6}}, {"top-p", [5]float64{1, 0, -1}}, {"min-p", [5]float64{0.8, 0, 0, -1}},
	{"repetition", [5]float64{1, 0, 0, 0, 1.4}}, {"repetition rewarded", [5]float64{1, 0, 0, 0, 0.8}},
	{"top-k then top-p", [5]float64{1.2, 12, -1}}, {"everything", [5]float64{0.9, 20, -1, 0.02, 1.2}},
}

// manyTokens is a vocabulary of which float32 cannot tell all cumulated probabilities apart: a few must stand out.
const manyTokens = 5000

func sampleCases(l *list) {
	for _, f := range []struct {
		rows, vocab, padded int
		scope               scope
	}{
		{9, 25, 28, small}, {1, 1, 1, normal}, {40, 130, 130, normal}, {25, 1000, 1024, normal}, {4, 50257, 50304, long},
	} {
		for _, s := range samplings {
			for _, ties := range []bool{false, true} {
				if ties && f.vocab > manyTokens {
					continue
				}
				for _, seen := range []bool{false, true} {
					name := fmt.Sprintf("%d of %d, %d rows, %s, ties %t seen %t", f.vocab, f.padded, f.rows, s.name, ties, seen)
					l.add("Sample", f.scope, name, func(tr *trial) { buildSample(tr, f.rows, f.vocab, f.padded, s.p, ties, seen) })
				}
			}
		}
	}
}

// buildSample gives every row the same logits and an equal share of [0,1) to draw its number from, so that together the
// rows draw in proportion to the probabilities. What float32 cannot decide is drawn anew.
func buildSample(tr *trial, rows, vocab, padded int, p [5]float64, ties, marked bool) {
	logits, params, seen := tr.output(kernels.F32, rows, padded), tr.output(kernels.F32, rows, kernels.SampleParams), none
	if marked {
		seen = tr.output(kernels.U8, rows, padded)
	}
	next, logp := tr.outVector(kernels.I32, rows), tr.outVector(kernels.F32, rows)
	tokens, logps := newMat(1, rows), newMat(1, rows)
	spread := 2.5
	if vocab > manyTokens {
		spread = 12
	}
	parameter := func(i, k int, v float64) {
		encode(params.at.before[params.element(i*kernels.SampleParams+k):], kernels.F32, v)
	}
	for i := range rows {
		for try := 0; ; try++ {
			row := tr.rows(logits, i, i+1)
			if i == 0 || try > 0 {
				row.set(func(j int) float64 {
					switch {
					case j >= vocab:
						return 1e4 // the padding would win
					case ties:
						return float64(tr.rng.IntN(7) - 3)
					}
					return spread * tr.rng.NormFloat64()
				})
			} else {
				row.set(logits.get)
			}
			var marks []float64
			if marked {
				marks = tr.rows(seen, i, i+1).set(func(int) float64 { return float64(tr.rng.IntN(2) * (1 + tr.rng.IntN(255))) }).scalars()
			}
			for k, v := range p {
				if v < 0 {
					v = 0.05 + 0.9*tr.rng.Float64()
				}
				parameter(i, k, v)
			}
			parameter(i, kernels.SampleUniform, (float64(i)+tr.rng.Float64())/float64(rows)*(1-0x1p-20))
			d := newDraw(row.scalars()[:vocab], marks, tr.rows(params, i, i+1).scalars())
			token, lp := d.pick(params.get(i*kernels.SampleParams + kernels.SampleUniform))
			tokens.v[i], logps.v[i] = exact(float64(token)), lp
			if !d.unclear {
				break
			}
			if try == 1000 {
				panic("kerneltest: no clear case of Sample")
			}
		}
	}
	tr.call = func(b kernels.Backend) { b.Sample(next.t, logp.t, logits.t, params.t, seen.t, vocab) }
	tr.exactly(next, func() mat { return tokens })
	tr.want(logp, func() mat { return logps })
}
