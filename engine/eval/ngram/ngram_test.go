package ngram

import (
	"context"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"forja/engine/data"
	"forja/engine/eval"
)

// randomRows draws rows of several documents, whose tokens repeat, some of them no targets.
func randomRows(r *rand.Rand, n, length, vocab int, masked bool) (text rows) {
	for range n {
		b := data.NewBatch(1, length)
		lo, end := 0, length-r.IntN(3)
		for t := range end {
			if t > 0 && r.IntN(7) == 0 {
				lo = t
			}
			b.Lo[t], b.Positions[t] = int32(lo), int32(t-lo)
			b.Tokens[t] = int32(min(r.IntN(vocab), r.IntN(vocab)))
			b.Targets[t] = data.NoTarget
		}
		b.Pad(end, 0)
		for t := range end {
			switch {
			case t+1 < end && int(b.Lo[t+1]) <= t:
				b.Targets[t], b.Mask[t] = b.Tokens[t+1], 1
			case t+1 == length:
				b.Targets[t], b.Mask[t] = int32(r.IntN(vocab)), 1
			}
			if masked && r.IntN(4) == 0 {
				b.Mask[t] = 0
			}
			b.Count += int(b.Mask[t])
		}
		b.Bytes = 3 * float64(b.Count)
		text = append(text, b)
	}
	return text
}

func train(t require.TestingT, text data.Source, vocab, order int) *Model {
	m, err := Train(context.Background(), text, vocab, order, 0)
	require.NoError(t, err)
	return m
}

func TestEveryProbabilityIsTheDefinitions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		vocab, order := rapid.IntRange(2, 9).Draw(t, "vocab"), rapid.IntRange(1, 6).Draw(t, "order")
		text := randomRows(r, 6, 16, vocab, rapid.Bool().Draw(t, "masked"))
		targets := 0
		for _, b := range text {
			targets += b.Count
		}
		if targets == 0 {
			return
		}
		m, ref := train(t, text, vocab, order), newReference(text, vocab, order)
		require.Equal(t, targets, m.Targets)
		require.Equal(t, ref.discounts, m.Discounts)
		for _, b := range append(randomRows(r, 2, 16, vocab, false), text[0]) {
			ids, _ := segments(b)
			for _, doc := range ids {
				var s State
				if doc[0] == begin {
					s = m.Begin()
				} else {
					_, s = m.Next(s, int32(doc[0]))
				}
				for i, token := range doc[1:] {
					p, after := m.Next(s, int32(token))
					require.InDelta(t, ref.p(doc[:i+1], token), p, 1e-12)
					s = after
				}
			}
		}
	})
}

func TestProbabilitiesSumToOneInEveryContext(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const vocab = 50
	m := train(t, randomRows(r, 40, 64, vocab-5, false), vocab, 5) // five tokens never occur
	check := func(s State) {
		sum := 0.0
		for w := range int32(vocab) {
			p, _ := m.Next(s, w)
			require.Positive(t, p)
			sum += p
		}
		require.InDelta(t, 1, sum, 1e-12)
	}
	check(State{})
	check(m.Begin())
	s := m.Begin()
	for range 300 { // seen and unseen contexts
		_, s = m.Next(s, int32(r.IntN(vocab)))
		check(s)
	}
	require.NoError(t, m.Fit(context.Background(), randomRows(r, 10, 64, vocab, false), 0))
	for range 50 {
		_, s = m.Next(s, int32(r.IntN(vocab)))
		check(s)
	}
}

func TestEstimateKnownValues(t *testing.T) {
	// Y = 40/(40+2·20) = 1/2.
	assert.Equal(t, [3]float64{0.5, 1.25, 1}, Estimate([4]int{40, 20, 10, 10}))
	assert.Equal(t, [3]float64{0.5, 1, 1.5}, Estimate([4]int{}), "no counts: half of each")
	assert.Equal(t, minDiscount, Estimate([4]int{10, 10, 30, 1})[1], "never below what keeps unseen tokens possible")
}

func TestLikelihoodIsOverTheTargetsThatANeuralModelIsMeasuredOn(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	text := randomRows(r, 20, 32, 20, true)
	m := train(t, text, 20, 3)
	for _, most := range []int{0, 1, 40, 100} {
		want := eval.NewRows(text, most)
		nats := 0.0
		ref := newReference(text, 20, 3)
		for b := data.NewBatch(1, 32); want.More(); {
			at := want.Row
			require.NoError(t, want.Next(b))
			ids, targets := segments(text[at])
			for k, doc := range ids {
				for i := range doc {
					if targets[k][i] {
						nats -= math.Log(ref.p(doc[:i], doc[i]))
					}
				}
			}
		}
		l, err := m.Likelihood(context.Background(), text, most)
		require.NoError(t, err)
		assert.Equal(t, want.Tokens, l.Tokens)
		assert.Equal(t, want.Bytes, l.Bytes)
		assert.InDelta(t, nats/float64(want.Tokens), l.Loss, 1e-9)
	}
}

func TestFittedDiscountsAreAMaximum(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	m, held := train(t, randomRows(r, 60, 64, 150, false), 150, 4), randomRows(r, 60, 64, 150, false)
	loss := func() float64 {
		l, err := m.Likelihood(context.Background(), held, 0)
		require.NoError(t, err)
		return l.Loss
	}
	estimated := loss()
	require.NoError(t, m.Fit(context.Background(), held, 0))
	best := loss()
	assert.Less(t, best, estimated)
	for n := range m.Discounts {
		for k, d := range m.Discounts[n] {
			for _, x := range []float64{d - 0.05, d + 0.05} {
				if x < minDiscount || x > float64(k+1) {
					continue
				}
				m.Discounts[n][k] = x
				m.spread()
				assert.Greater(t, loss(), best-1e-6, "order %d, D%d", n+1, k+1)
			}
			m.Discounts[n][k] = d
		}
	}
}

func TestTheSearchKnowsHowTheLikelihoodDependsOnADiscount(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	m := train(t, randomRows(r, 60, 64, 30, false), 30, 4)
	f, err := m.newFit(context.Background(), randomRows(r, 30, 64, 30, false), 0)
	require.NoError(t, err)
	sum := func() (sum float64) {
		for _, x := range f.probabilities()[3] {
			sum += math.Log(x)
		}
		return sum
	}
	for n := range 4 {
		for k := range 3 {
			slope := 0.0
			for _, l := range f.lines(n, k, f.probabilities()) {
				slope += l.rate / l.now
			}
			d := &m.Discounts[n][k]
			const h = 1e-5
			*d += h
			above := sum()
			*d -= 2 * h
			assert.InDelta(t, (above-sum())/(2*h), slope, 1e-4*(1+math.Abs(slope)), "order %d, D%d", n+1, k+1)
			*d += h
		}
	}
}

func TestTrainingIsTheSameOnAnyNumberOfProcessors(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	text := randomRows(r, 200, 512, 300, false)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	one := train(t, text, 300, 5)
	runtime.GOMAXPROCS(3)
	assert.Equal(t, one, train(t, text, 300, 5))
}

func TestSortIsStable(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	for _, n := range []int{0, 1, 100, 70_000} {
		p := newPairs(n)
		for i := range n {
			p.keys[i], p.index[i] = r.Uint64N(1<<37)>>r.IntN(37), uint32(i)
		}
		want := slices.Clone(p.index)
		keys := slices.Clone(p.keys)
		slices.SortStableFunc(want, func(a, b uint32) int {
			switch {
			case keys[a] < keys[b]:
				return -1
			case keys[a] > keys[b]:
				return 1
			}
			return 0
		})
		sorted, _ := p.sort(newPairs(n), 37)
		assert.Equal(t, want, sorted.index)
	}
}

func TestWhatCannotBeCountedIsRefused(t *testing.T) {
	text := randomRows(rand.New(rand.NewPCG(1, 1)), 2, 16, 20, false)
	ctx := context.Background()
	for _, c := range []struct {
		vocab, order int
		want         string
	}{{20, 0, "order 0: want 1 to 8"}, {20, 9, "order 9"}, {0, 3, "vocabulary of 0"}, {1 << 25, 3, "vocabulary of"}, {5, 3, "another tokenizer"}} {
		_, err := Train(ctx, text, c.vocab, c.order, 0)
		assert.ErrorContains(t, err, c.want)
	}
	empty := data.NewBatch(1, 8)
	empty.Pad(0, 0)
	_, err := Train(ctx, rows{empty}, 5, 3, 0)
	assert.ErrorContains(t, err, "no target")
	m := train(t, text, 20, 3)
	assert.ErrorContains(t, m.Fit(ctx, rows{empty}, 0), "no target")
	_, err = m.Likelihood(ctx, rows{empty}, 0)
	assert.ErrorContains(t, err, "nothing to predict")
	small := train(t, randomRows(rand.New(rand.NewPCG(1, 1)), 9, 16, 4, false), 4, 3)
	_, err = small.Likelihood(ctx, text, 0)
	assert.ErrorContains(t, err, "another tokenizer")
	gone, cancel := context.WithCancel(ctx)
	cancel()
	_, err = Train(gone, text, 20, 3, 0)
	assert.ErrorIs(t, err, context.Canceled)
}
