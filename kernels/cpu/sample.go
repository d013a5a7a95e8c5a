package cpu

import (
	"math"

	"forja/kernels"
	"forja/kernels/cpu/vec"
)

// sample is Sample, row by row.
type sample struct {
	b              *Backend
	logits, params matrix
	seen           matrix
	next           []int32
	logp           []float32
	vocab          int
}

// candidates are tokens by falling logit and rising id, ordered only as far as needed.
type candidates struct {
	id     []int32
	logit  []float32 // by id
	weight []float32 // exp(logit - largest), by id
}

// Do draws the token of row i.
func (p *sample) Do(worker, i int) {
	s := p.b.scratch[worker].reset()
	param := p.params.f32(i, 0, kernels.SampleParams)
	z := s.floats(p.vocab)
	copy(z, p.logits.f32(i, 0, p.vocab))
	if r := param[kernels.SampleRepetition]; r > 0 && r != 1 && !p.seen.absent() {
		repetition(z, p.seen.bytes(i), r)
	}
	temperature := param[kernels.SampleTemperature]
	if temperature <= 0 {
		p.next[i], p.logp[i] = int32(vec.ArgMax(z)), 0
		return
	}
	vec.Scale(z, 1/temperature, z)
	c := candidates{s.ints(p.vocab), z, s.floats(p.vocab)}
	for j := range c.id {
		c.id[j] = int32(j)
	}
	vec.ExpSum(c.weight, z, vec.Max(z))
	if k := int(param[kernels.SampleTopK]); k > 0 && k < p.vocab {
		c.keep(k)
	}
	if f := param[kernels.SampleTopP]; f > 0 && f < 1 {
		c.keepMass(float64(f) * c.mass())
	}
	if f := param[kernels.SampleMinP]; f > 0 {
		c.keepAbove(f)
	}
	total := c.mass()
	token := c.draw(float64(param[kernels.SampleUniform]) * total)
	p.next[i], p.logp[i] = token, float32(math.Log(float64(c.weight[token])/total))
}

// repetition makes seen tokens less likely (Keskar et al. 2019).
func repetition(z []float32, seen []byte, penalty float32) {
	for j := range z {
		switch {
		case seen[j] == 0:
		case z[j] > 0:
			z[j] /= penalty
		default:
			z[j] *= penalty
		}
	}
}

// before reports whether token a comes before b.
func (c *candidates) before(a, b int32) bool {
	x, y := c.logit[a], c.logit[b]
	return x > y || x == y && a < b
}

// mass is the weight of all candidates.
func (c *candidates) mass() float64 {
	var sum float64
	for _, t := range c.id {
		sum += float64(c.weight[t])
	}
	return sum
}

// partition reorders ids so that those before a pivot, then the pivot, come first, and returns how many come before it.
func (c *candidates) partition(ids []int32) int {
	last := len(ids) - 1
	mid := last / 2
	// The median of three, moved to the end.
	if c.before(ids[mid], ids[0]) {
		ids[mid], ids[0] = ids[0], ids[mid]
	}
	if c.before(ids[last], ids[0]) {
		ids[last], ids[0] = ids[0], ids[last]
	}
	if c.before(ids[mid], ids[last]) {
		ids[mid], ids[last] = ids[last], ids[mid]
	}
	pivot, n := ids[last], 0
	for j, t := range ids[:last] {
		if c.before(t, pivot) {
			ids[j], ids[n] = ids[n], ids[j]
			n++
		}
	}
	ids[n], ids[last] = ids[last], ids[n]
	return n
}

// keep leaves the first k candidates.
func (c *candidates) keep(k int) {
	lo, hi := 0, len(c.id) // the boundary is in (lo, hi]
	for hi-lo > 1 {
		n := lo + c.partition(c.id[lo:hi])
		if n >= k {
			hi = n
		} else {
			lo = n + 1
		}
		if lo >= k || hi == k {
			break
		}
	}
	c.id = c.id[:k]
}

// find reorders the candidates and returns the smallest n so that the first n weigh more than target, or at least
// target if inclusive; all of them if none do. The last of the n is at index n-1.
func (c *candidates) find(target float64, inclusive bool) int {
	lo, hi := 0, len(c.id)
	enough := func(mass float64) bool { return mass > target || inclusive && mass == target }
	below := 0.0 // weight of the first lo
	for hi-lo > 1 {
		n := lo + c.partition(c.id[lo:hi])
		mass := below
		for _, t := range c.id[lo:n] {
			mass += float64(c.weight[t])
		}
		switch with := mass + float64(c.weight[c.id[n]]); {
		case n > lo && enough(mass):
			hi = n
		case enough(with):
			return n + 1
		default:
			lo, below = n+1, with
		}
	}
	return min(lo+1, len(c.id))
}

// keepMass leaves the smallest prefix that weighs at least target.
func (c *candidates) keepMass(target float64) { c.id = c.id[:c.find(target, true)] }

// keepAbove leaves the candidates whose weight is at least least times the largest, which is 1.
func (c *candidates) keepAbove(least float32) {
	n := 0
	for _, t := range c.id {
		if c.weight[t] >= least {
			c.id[n] = t
			n++
		}
	}
	c.id = c.id[:n]
}

// draw is the first candidate at which the cumulated weight exceeds target.
func (c *candidates) draw(target float64) int32 { return c.id[c.find(target, false)-1] }

// Sample draws one token a row.
func (b *Backend) Sample(next, logp, logits, params, seen kernels.Tensor, vocab int) {
	p := &b.sample
	p.logits, p.params, p.seen = view(logits), view(params), view(seen)
	p.next, p.logp, p.vocab = ints(next), floats(logp), vocab
	if p.logits.absent() {
		return
	}
	b.run(p.logits.rows, 16*p.logits.rows*vocab, p)
}
