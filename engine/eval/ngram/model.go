package ngram

import (
	"context"
	"math"
	"slices"

	"forja/engine/data"
	"forja/engine/eval"
)

// A State is the context of the next token: the n-grams of every order that end at the last one.
type State struct {
	numbers [MaxOrder]uint32
	depth   int
}

// Begin is the state at the beginning of a document; the zero State is one of which nothing is known.
func (m *Model) Begin() State {
	s := State{depth: 1}
	s.numbers[0] = uint32(m.Vocab)
	return s
}

// Next is the probability of a token, which must be in the vocabulary, and the state after it.
func (m *Model) Next(s State, token int32) (p float64, after State) {
	after = m.visit(s, token, func(n int, h, count uint32) {
		if n == 0 {
			p = 1 / float64(m.Vocab)
		}
		p = m.interpolate(n, h, count, p)
	})
	return p, after
}

// interpolate is the probability at level n of an n-gram in context h, given the probability at the level below.
func (m *Model) interpolate(n int, h, count uint32, lower float64) float64 {
	l := &m.levels[n]
	total := float64(l.total[h])
	if total == 0 {
		return lower
	}
	p := l.gamma[h] * lower
	if count > 0 {
		p += (float64(count) - m.Discounts[n][min(count, 3)-1]) / total
	}
	return p
}

// visit calls f for each order whose context is known, lowest first, with the context's number and the count of the
// n-gram that the token makes of it. It returns the state after the token.
func (m *Model) visit(s State, token int32, f func(n int, h, count uint32)) State {
	w := uint32(token)
	after := State{depth: 1}
	after.numbers[0] = w
	f(0, 0, m.levels[0].counts[w])
	for n := 1; n < m.Order && n <= s.depth; n++ {
		l, h, count := &m.levels[n], s.numbers[n-1], uint32(0)
		if after.depth == n { // else a shorter n-gram was not found, and no longer one is
			lo := l.first[h]
			if i, ok := slices.BinarySearch(l.words[lo:l.first[h+1]], w); ok {
				number := lo + uint32(i)
				count = l.counts[number]
				after.numbers[n] = number
				after.depth = n + 1
			}
		}
		f(n, h, count)
	}
	after.depth = min(after.depth, m.Order-1)
	return after
}

// walk calls f with the state before each target of one epoch of a source that counts.
func (m *Model) walk(ctx context.Context, src data.Source, most int, f func(s State, target int32, weight float32)) (*eval.Rows, error) {
	c := &corpus{vocab: m.Vocab}
	rows, row := eval.NewRows(src, most), data.NewBatch(1, src.Length())
	ignore := func(int, uint32, uint32) {}
	for rows.More() {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err := rows.Next(row); err != nil {
			return nil, err
		}
		var s State
		for t, token := range row.Tokens {
			if err := c.check(token); err != nil {
				return nil, err
			}
			if int(row.Lo[t]) == t {
				s = State{}
				if t > 0 {
					s = m.Begin()
				}
			}
			s = m.visit(s, token, ignore)
			if row.Mask[t] == 0 {
				continue
			}
			if err := c.check(row.Targets[t]); err != nil {
				return nil, err
			}
			f(s, row.Targets[t], row.Mask[t])
		}
	}
	return rows, nil
}

// Likelihood measures the model on one epoch of a source, or on its first most targets and the rest of their row (0:
// all): on the same targets as eval.Scorer.
func (m *Model) Likelihood(ctx context.Context, src data.Source, most int) (eval.Likelihood, error) {
	nats := 0.0
	rows, err := m.walk(ctx, src, most, func(s State, target int32, weight float32) {
		p, _ := m.Next(s, target)
		nats -= float64(weight) * math.Log(p)
	})
	if err != nil {
		return eval.Likelihood{}, err
	}
	return eval.NewLikelihood(nats, rows.Tokens, rows.Bytes)
}
