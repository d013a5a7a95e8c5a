package cpu

import (
	"math"

	"forja/kernels/cpu/vec"
)

// candidates are tokens to draw from. Their order is by falling logit and rising id, but they are sorted only as far as a
// question needs: buckets of similar logits first, then quickselect on the few tokens that can matter.
type candidates struct {
	id     []int32
	logit  []float32 // by id
	weight []float32 // exp(logit - largest), by id
	top    float32   // the largest logit
	bucket []float64 // count or weight of the tokens in each bucket
}

// Buckets are a sixteenth of a nat wide; the last holds the rest.
const (
	buckets       = 1024
	bucketsPerNat = 16
)

// newCandidates prepares finite logits, or some that are -Inf.
func newCandidates(logits []float32, top float32, s *scratch) candidates {
	c := candidates{id: s.ints(len(logits))[:0], logit: logits, weight: s.floats(len(logits)), top: top}
	c.bucket = s.doubles(buckets)
	vec.ExpSum(c.weight, logits, c.top)
	return c
}

// draw returns the token for a uniform random number among those that top-k, top-p and min-p leave (0 leaves all), and
// its probability.
func (c *candidates) draw(topK int, topP, minP, uniform float32) (token int32, probability float64) {
	switch {
	case topK > 0 && topK < len(c.logit):
		c.count()
		last, _ := c.reach(float64(topK), true)
		c.gather(0, last)
		c.keep(topK)
		if topP > 0 && topP < 1 {
			c.id = c.id[:c.find(float64(topP)*c.mass(), true)]
		}
	case topP > 0 && topP < 1:
		target := float64(topP) * c.weigh()
		last, _ := c.reach(target, true)
		c.gather(0, last)
		c.id = c.id[:c.find(target, true)]
	case minP > 0:
		c.gather(0, min(int(-math.Log(float64(minP))*bucketsPerNat)+1, buckets-1))
	default: // the token lies in one bucket
		total := c.weigh()
		target := float64(uniform) * total
		k, below := c.reach(target, false)
		c.gather(k, k)
		token = c.id[c.find(target-below, false)-1]
		return token, float64(c.weight[token]) / total
	}
	if minP > 0 {
		c.keepAbove(minP)
	}
	total := c.mass()
	token = c.id[c.find(float64(uniform)*total, false)-1]
	return token, float64(c.weight[token]) / total
}

// distance of a token from the top, in buckets.
func (c *candidates) distance(logit float32) float32 { return (c.top - logit) * bucketsPerNat }

// count fills the buckets with numbers of tokens.
func (c *candidates) count() {
	for _, z := range c.logit {
		if d := c.distance(z); d < buckets-1 {
			c.bucket[int(d)]++
		} else {
			c.bucket[buckets-1]++
		}
	}
}

// weigh fills the buckets with weights and returns the sum of all.
func (c *candidates) weigh() (total float64) {
	for i, z := range c.logit {
		if d := c.distance(z); d < buckets-1 {
			c.bucket[int(d)] += float64(c.weight[i])
		} else {
			c.bucket[buckets-1] += float64(c.weight[i])
		}
	}
	for _, w := range c.bucket {
		total += w
	}
	return total
}

// reach is the first bucket up to which the buckets sum to more than target, or at least target if inclusive, and the
// sum before it; the last that is not empty if none does.
func (c *candidates) reach(target float64, inclusive bool) (bucket int, before float64) {
	var sum float64
	for k, w := range c.bucket {
		if w == 0 {
			continue
		}
		bucket, before = k, sum
		if sum += w; sum > target || inclusive && sum == target {
			break
		}
	}
	return bucket, before
}

// gather makes the tokens of buckets [first, last] the candidates.
func (c *candidates) gather(first, last int) {
	least, most := float32(first), float32(last+1)
	if last == buckets-1 {
		most = float32(math.Inf(1))
	}
	for i, z := range c.logit {
		if d := c.distance(z); d >= least && (d < most || most > buckets) {
			c.id = append(c.id, int32(i))
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
	var below float64 // weight of the first lo
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
