package ngram

import (
	"context"
	"fmt"

	"forja/engine/data"
)

// MaxOrder is the longest n-gram.
const MaxOrder = 8

// A Model is a trained n-gram model. It is safe for concurrent use while it is not being fitted.
type Model struct {
	Order     int
	Vocab     int
	Targets   int          // tokens counted in training
	Discounts [][3]float64 // of each order, for counts of 1, 2, and 3 or more

	levels []level
}

// A level holds the n-grams of one order n, in the order of their context's number among those of order n-1.
type level struct {
	words  []uint32 // last token of each; nil at order 1, where it is the n-gram's number
	counts []uint32
	first  []uint32 // context h continues in the n-grams from first[h] to first[h+1]
	total  []uint32 // of the counts of each context; 0 where it was never followed by a target
	gamma  []float64
}

// none is the number of no n-gram.
const none = ^uint32(0)

// Train counts the n-grams of one epoch of a source, or of its first most targets and the rest of their row (0: all), and
// estimates the discounts.
func Train(ctx context.Context, src data.Source, vocab, order, most int) (*Model, error) {
	switch {
	case order < 1 || order > MaxOrder:
		return nil, fmt.Errorf("n-grams of order %d: want 1 to %d", order, MaxOrder)
	case vocab < 1 || vocab >= maxVocab:
		return nil, fmt.Errorf("a vocabulary of %d: want 1 to %d", vocab, maxVocab-1)
	}
	c := &corpus{vocab: vocab}
	if err := c.read(ctx, src, most); err != nil {
		return nil, fmt.Errorf("count n-grams: %w", err)
	}
	if c.targets == 0 {
		return nil, fmt.Errorf("count n-grams: the text has no target that counts")
	}
	m := &Model{Order: order, Vocab: vocab, Targets: c.targets}
	if err := m.count(ctx, c); err != nil {
		return nil, err
	}
	m.Discounts = make([][3]float64, order)
	for n := range m.levels {
		m.levels[n].totals()
		m.Discounts[n] = Estimate(countsOfCounts(m.levels[n].counts))
	}
	m.spread()
	return m, nil
}

// count builds the levels, lowest first. Order 1 numbers n-grams by their token, the beginning of a document last.
func (m *Model) count(ctx context.Context, c *corpus) error {
	m.levels = []level{{counts: make([]uint32, m.Vocab+1), first: []uint32{0, uint32(m.Vocab + 1)}}}
	if m.Order == 1 {
		for _, s := range c.symbols {
			if s&counted != 0 {
				m.levels[0].counts[s&id]++
			}
		}
		return nil
	}
	// numbers[i] is the n-gram of the order reached so far that ends at symbol i.
	numbers, next := make([]uint32, len(c.symbols)), make([]uint32, len(c.symbols))
	for i, s := range c.symbols {
		numbers[i] = uint32(s & id)
	}
	work, spare := newPairs(len(c.symbols)), newPairs(len(c.symbols))
	for n := 1; n < m.Order; n++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		below := &m.levels[n-1]
		work, spare = work.slice(cap(work.keys)), spare.slice(cap(spare.keys))
		size := 0
		wordBits := width(m.Vocab + 1)
		for i, s := range c.symbols {
			if s&first == 0 && numbers[i-1] != none {
				work.keys[size], work.index[size] = uint64(numbers[i-1])<<wordBits|uint64(s&id), uint32(i)|uint32(s&counted)<<1
				size++
				continue
			}
			next[i] = none
			if s&counted != 0 && numbers[i] != none { // nothing is known before it
				below.counts[numbers[i]]++
			}
		}
		work, spare = work.slice(size).sort(spare.slice(size), wordBits+width(len(below.counts)))
		m.levels = append(m.levels, group(work, numbers, next, below, wordBits, n == m.Order-1))
		numbers, next = next, numbers
	}
	return nil
}

// group makes a level of sorted occurrences: their key is the context's number and the last token, their index the place in
// the text and, in the top bit, whether it is a target. It numbers the places, and counts for each n-gram of the level
// below the tokens before it. Only the highest level counts occurrences.
func group(p pairs, numbers, next []uint32, below *level, wordBits int, highest bool) level {
	distinct := 0
	for i, k := range p.keys {
		if i == 0 || k != p.keys[i-1] {
			distinct++
		}
	}
	l := level{words: make([]uint32, 0, distinct), counts: make([]uint32, distinct), first: make([]uint32, len(below.counts)+1)}
	for i := 0; i < len(p.keys); {
		key, number, targets := p.keys[i], uint32(len(l.words)), uint32(0)
		var suffix uint32
		for ; i < len(p.keys) && p.keys[i] == key; i++ {
			at := p.index[i] &^ (1 << 31)
			targets += p.index[i] >> 31
			suffix = numbers[at]
			next[at] = number
		}
		l.words = append(l.words, uint32(key&(1<<wordBits-1)))
		l.first[key>>wordBits+1]++
		if targets > 0 {
			below.counts[suffix]++
		}
		if highest {
			l.counts[number] = targets
		}
	}
	for h := range below.counts {
		l.first[h+1] += l.first[h]
	}
	return l
}

// totals sums the counts of each context.
func (l *level) totals() {
	l.total, l.gamma = make([]uint32, len(l.first)-1), make([]float64, len(l.first)-1)
	for h := range l.total {
		for _, c := range l.counts[l.first[h]:l.first[h+1]] {
			l.total[h] += c
		}
	}
}

// spread computes from the discounts the weight that each context leaves to the order below.
func (m *Model) spread() {
	for n := range m.levels {
		l, d := &m.levels[n], m.Discounts[n]
		for h, total := range l.total {
			if total == 0 {
				continue
			}
			k := l.kinds(uint32(h))
			l.gamma[h] = (d[0]*float64(k[0]) + d[1]*float64(k[1]) + d[2]*float64(k[2])) / float64(total)
		}
	}
}

// kinds is how many of a context's continuations have a count of 1, 2, and 3 or more.
func (l *level) kinds(h uint32) (k [3]uint32) {
	for _, c := range l.counts[l.first[h]:l.first[h+1]] {
		if c > 0 {
			k[min(c, 3)-1]++
		}
	}
	return k
}
