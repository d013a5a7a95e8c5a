package eval

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/data"
	"forja/engine/graph"
	"forja/engine/model"
	"forja/kernels/cpu"
)

const vocab = 61

// session holds a tiny model of random weights.
func session(t testing.TB) (*graph.Session, *model.Model) {
	b, err := cpu.Open(cpu.Options{Threads: 2})
	require.NoError(t, err)
	m, err := model.New(model.Config{Arch: model.LLaMA, Vocab: vocab, Context: 32, Layers: 2, Channels: 32, Heads: 4, KVHeads: 2, Tied: true, InitStd: 0.3})
	require.NoError(t, err)
	s := graph.NewSession(b)
	t.Cleanup(func() { s.Close(); require.NoError(t, b.Close()) })
	require.NoError(t, s.Add(m.Params()...))
	for _, v := range m.Params() {
		graph.Set(s, v, m.Init(v, 7))
	}
	require.NoError(t, b.Sync())
	return s, m
}

// random is a source of rows of two documents each; the last third of a row is padding.
type random struct{ rows, length int }

func (r random) Samples() uint64 { return uint64(r.rows) }
func (r random) Length() int     { return r.length }
func (r random) Fill(b *data.Batch, first uint64) error {
	b.Count, b.Bytes = 0, 0
	for k := range b.Rows {
		row := b.Row(k)
		rnd := rand.New(rand.NewPCG(first+uint64(k), 1))
		half, end := r.length/3, 2*r.length/3
		for t := range end {
			lo := t / half * half
			row.Tokens[t], row.Positions[t], row.Lo[t] = int32(rnd.IntN(vocab)), int32(t-lo), int32(lo)
			row.Targets[t], row.Mask[t] = data.NoTarget, 0
			if t > 0 && t%half != 0 {
				row.Targets[t-1], row.Mask[t-1] = row.Tokens[t], 1
				b.Count++
				b.Bytes += 2.5
			}
		}
		row.Pad(end, 0)
	}
	return nil
}

func TestLikelihoodDoesNotDependOnTheRowsOfAPass(t *testing.T) {
	s, m := session(t)
	src := random{7, 24}
	for _, most := range []int{0, 1, 14, 15, 50} {
		var want Likelihood
		for rows := range 5 {
			sc, err := New(s, m, rows+1, 24)
			require.NoError(t, err)
			got, err := sc.Likelihood(context.Background(), src, most)
			require.NoError(t, err)
			if rows == 0 {
				want = got
			}
			assert.InDelta(t, want.Loss, got.Loss, 1e-5)
			got.Loss, got.BPB = want.Loss, want.BPB
			assert.Equal(t, want, got)
		}
		full := 7 * 14
		if most == 0 {
			assert.Equal(t, full, want.Tokens)
		} else {
			assert.Equal(t, (most+13)/14*14, want.Tokens, "whole rows")
		}
		assert.InDelta(t, 2.5*float64(want.Tokens), want.Bytes, 1e-9)
		assert.InDelta(t, want.Loss/math.Ln2/2.5, want.BPB, 1e-9)
	}
}

func TestLikelihoodIsTheSumOfEachTargetsLogProbability(t *testing.T) {
	s, m := session(t)
	sc, err := New(s, m, 1, 24)
	require.NoError(t, err)
	sum, n := 0.0, 0
	b := data.NewBatch(1, 24)
	for i := range uint64(3) {
		require.NoError(t, random{3, 24}.Fill(b, i))
		logp, err := sc.LogProbs(b)
		require.NoError(t, err)
		for k, x := range logp {
			if b.Mask[k] == 0 {
				assert.Zero(t, x)
				continue
			}
			assert.Negative(t, x)
			sum -= float64(x)
			n++
		}
	}
	l, err := sc.Likelihood(context.Background(), random{3, 24}, 0)
	require.NoError(t, err)
	assert.Equal(t, n, l.Tokens)
	assert.InDelta(t, sum/float64(n), l.Loss, 1e-9)
	assert.InDelta(t, math.Exp(sum/float64(n)), l.Perplexity(), 1e-6)
}

func TestAScorerRefusesWhatItCannotMeasure(t *testing.T) {
	s, m := session(t)
	_, err := New(s, m, 2, 33)
	assert.ErrorContains(t, err, "do not fit the model's context of 32")
	sc, err := New(s, m, 2, 24)
	require.NoError(t, err)
	_, err = sc.LogProbs(data.NewBatch(1, 24))
	assert.ErrorContains(t, err, "1×24 tokens for a pass of 2×24")
	_, err = sc.Likelihood(context.Background(), random{0, 24}, 0)
	assert.ErrorContains(t, err, "nothing to predict")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = sc.Likelihood(ctx, random{3, 24}, 0)
	assert.ErrorIs(t, err, context.Canceled)

	w := m.Params()[0]
	broken := m.Init(w, 7)
	broken[40] = float32(math.NaN())
	graph.Set(s, w, broken)
	_, err = sc.Likelihood(context.Background(), random{3, 24}, 0)
	assert.ErrorContains(t, err, "not finite")
}
