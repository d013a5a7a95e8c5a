package ngram

import (
	"context"
	"errors"
	"math"

	"forja/engine/data"
)

// countsOfCounts is how many n-grams have a count of 1, 2, 3 and 4.
func countsOfCounts(counts []uint32) (n [4]int) {
	for _, c := range counts {
		if c >= 1 && c <= 4 {
			n[c-1]++
		}
	}
	return n
}

// Estimate is Chen and Goodman's closed form of the discounts: with Y = n1 / (n1 + 2 n2), D1 = 1 - 2Y n2/n1,
// D2 = 2 - 3Y n3/n2 and D3+ = 3 - 4Y n4/n3. Where a text is too small for it, half of the count.
func Estimate(n [4]int) (d [3]float64) {
	y := 0.0
	if n[0] > 0 {
		y = float64(n[0]) / float64(n[0]+2*n[1])
	}
	for k := range d {
		count := float64(k + 1)
		d[k] = count / 2
		if n[k] > 0 && n[k+1] > 0 {
			d[k] = max(minDiscount, count-(count+1)*y*float64(n[k+1])/float64(n[k]))
		}
	}
	return d
}

// minDiscount leaves every context something for what it has not been followed by.
const minDiscount = 1e-3

// An event is a target in the context of one order.
type event struct {
	total, count float64
	kinds        [3]float64
	kind         int // of the count: 0 to 2, or -1
}

// Fit sets the discounts to those that make a text likeliest: its first most targets and the rest of their row (0: all).
// The likelihood is concave in each discount, so going through them again and again climbs to a maximum. The model must
// not have been trained on the text.
func (m *Model) Fit(ctx context.Context, src data.Source, most int) error {
	f, err := m.newFit(ctx, src, most)
	if err != nil {
		return err
	}
	if err := f.run(ctx); err != nil {
		return err
	}
	m.spread()
	return nil
}

// fit is the state of the search.
type fit struct {
	m      *Model
	events [][]event // of each order, one for each target
}

// newFit looks up everything about a text's targets that does not depend on the discounts.
func (m *Model) newFit(ctx context.Context, src data.Source, most int) (*fit, error) {
	f := &fit{m: m, events: make([][]event, m.Order)}
	known := make([]map[uint32][3]uint32, m.Order)
	for n := range known {
		known[n] = map[uint32][3]uint32{}
	}
	_, err := m.walk(ctx, src, most, func(s State, target int32, _ float32) {
		for n := range f.events {
			f.events[n] = append(f.events[n], event{kind: -1})
		}
		m.visit(s, target, func(n int, h, count uint32) {
			l, e := &m.levels[n], &f.events[n][len(f.events[n])-1]
			k, ok := known[n][h]
			if !ok {
				k = l.kinds(h)
				known[n][h] = k
			}
			e.total, e.count, e.kind = float64(l.total[h]), float64(count), int(min(count, 3))-1
			e.kinds = [3]float64{float64(k[0]), float64(k[1]), float64(k[2])}
		})
	})
	if err != nil {
		return nil, err
	}
	if len(f.events[0]) == 0 {
		return nil, errors.New("fit discounts: the text has no target that counts")
	}
	return f, nil
}

const (
	sweeps   = 12
	halvings = 24
	enough   = 1e-6 // nats per target
)

func (f *fit) run(ctx context.Context) error {
	p := f.probabilities()
	before := math.Inf(-1)
	for range sweeps {
		for n := range f.m.Order {
			for k := range 3 {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				f.improve(n, k, p)
			}
		}
		now := 0.0
		for _, x := range p[f.m.Order-1] {
			now += math.Log(x)
		}
		if now /= float64(len(f.events[0])); now-before < enough {
			break
		}
		before = now
	}
	return nil
}

// gamma is the share of an event's context that goes to the order below.
func (f *fit) gamma(n int, e *event) float64 {
	if e.total == 0 {
		return 1
	}
	d := f.m.Discounts[n]
	return (d[0]*e.kinds[0] + d[1]*e.kinds[1] + d[2]*e.kinds[2]) / e.total
}

// probabilities are those of each target by the orders up to n: p[n].
func (f *fit) probabilities() [][]float64 {
	p := make([][]float64, f.m.Order)
	for n := range p {
		p[n] = make([]float64, len(f.events[0]))
	}
	f.forward(0, p)
	return p
}

// lower is a target's probability by the orders below n.
func (f *fit) lower(n, i int, p [][]float64) float64 {
	if n == 0 {
		return 1 / float64(f.m.Vocab)
	}
	return p[n-1][i]
}

// forward computes the probabilities from order n on.
func (f *fit) forward(n int, p [][]float64) {
	for ; n < f.m.Order; n++ {
		for i := range f.events[n] {
			e := &f.events[n][i]
			p[n][i] = f.gamma(n, e) * f.lower(n, i, p)
			if e.kind >= 0 {
				p[n][i] += (e.count - f.m.Discounts[n][e.kind]) / e.total
			}
		}
	}
}

// A line is a target's final probability as a function of one discount: now, and how fast it changes.
type line struct{ now, rate float64 }

// lines are those of all targets that a discount matters to.
func (f *fit) lines(n, k int, p [][]float64) (ls []line) {
	for i, now := range p[f.m.Order-1] {
		e := &f.events[n][i]
		if e.total == 0 {
			continue
		}
		rate := e.kinds[k] * f.lower(n, i, p)
		if e.kind == k {
			rate--
		}
		rate /= e.total
		for above := n + 1; above < f.m.Order; above++ {
			rate *= f.gamma(above, &f.events[above][i])
		}
		if rate != 0 {
			ls = append(ls, line{now, rate})
		}
	}
	return ls
}

// improve sets a discount to the best value given all others, where the sum of the logarithms of its lines is largest.
func (f *fit) improve(n, k int, p [][]float64) {
	ls := f.lines(n, k, p)
	if len(ls) == 0 { // the text says nothing about it
		return
	}
	lo, hi, now := minDiscount, float64(k+1), f.m.Discounts[n][k]
	for range halvings {
		mid, gain := (lo+hi)/2, 0.0
		for _, l := range ls {
			gain += l.rate / (l.now + l.rate*(mid-now))
		}
		if gain > 0 {
			lo = mid
		} else {
			hi = mid
		}
	}
	f.m.Discounts[n][k] = (lo + hi) / 2
	f.forward(n, p)
}
