package cuda

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"forja/kernels"
)

// More equal logits than the kernel's list has room for: the number alone decides, in order of the tokens.
func TestManyEqualLogits(t *testing.T) {
	const vocab, rows = 5000, 4
	for _, c := range []struct {
		p    [kernels.SampleUniform]float64 // all parameters but the number
		left int
	}{
		{[...]float64{1, 0, 0, 0, 0}, vocab}, {[...]float64{2, 3000, 0, 0, 0}, 3000}, {[...]float64{0.5, 0, 0.5, 0, 0}, 2500},
		{[...]float64{1, 4000, 0.25, 0.5, 0}, 1000}, {[...]float64{1, 10, 0, 0, 0}, 10},
	} {
		t.Run(fmt.Sprint(c.p), func(t *testing.T) {
			b, r := simulatedCard(t, 80), rand.New(rand.NewPCG(1, 2))
			logits, params := newSheet(t, b, r, kernels.F32, 16, rows, vocab), newSheet(t, b, r, kernels.F32, 16, rows, kernels.SampleParams)
			logits.integers(b, r, 3, 3)
			logp, next := newSheet(t, b, r, kernels.F32, 16, 1, rows), newIndices(t, b, make([]int32, rows)...)
			want := make([]byte, 4*rows)
			for i := range rows {
				for k, v := range c.p {
					put(params.host[4*(i*kernels.SampleParams+k):], kernels.F32, v)
				}
				token := i * (c.left - 1) / (rows - 1)
				put(params.host[4*(i*kernels.SampleParams+kernels.SampleUniform):], kernels.F32, (float64(token)+0.5)/float64(c.left))
				want[4*i], want[4*i+1] = byte(token), byte(token>>8)
			}
			b.Upload(params.t, params.host)
			b.Sample(next, logp.t, logits.t, params.t, kernels.Tensor{}, vocab)
			got := make([]byte, 4*rows)
			b.Download(got, next)
			for _, v := range logp.fetch(t, b) {
				require.InDelta(t, -math.Log(float64(c.left)), v, 1e-5)
			}
			require.Equal(t, want, got)
		})
	}
}

// Logits that are no distribution give the largest that is a number, and no probability.
func TestSampleWithoutADistribution(t *testing.T) {
	b, r := simulatedCard(t, 80), rand.New(rand.NewPCG(1, 2))
	logits, params := newSheet(t, b, r, kernels.F32, 16, 2, 10), newSheet(t, b, r, kernels.F32, 16, 2, kernels.SampleParams)
	params.integers(b, r, 1, 1)
	put(logits.host[4*3:], kernels.F32, math.NaN())
	put(logits.host[4*7:], kernels.F32, 100)
	put(logits.host[4*14:], kernels.F32, math.Inf(1))
	b.Upload(logits.t, logits.host)
	logp, next := newSheet(t, b, r, kernels.F32, 16, 1, 2), newIndices(t, b, -1, -1)
	b.Sample(next, logp.t, logits.t, params.t, kernels.Tensor{}, 10)
	got := make([]byte, 8)
	b.Download(got, next)
	for _, v := range logp.fetch(t, b) {
		require.True(t, math.IsNaN(v))
	}
	require.Equal(t, []byte{7, 0, 0, 0, 4, 0, 0, 0}, got)
}

// Zeros of either sign are equal: the smaller token is first.
func TestZerosOfEitherSignAreEqual(t *testing.T) {
	b, r := simulatedCard(t, 80), rand.New(rand.NewPCG(1, 2))
	logits, params := newSheet(t, b, r, kernels.F32, 16, 2, 4), newSheet(t, b, r, kernels.F32, 16, 2, kernels.SampleParams)
	params.integers(b, r, 0, 0)
	zero := math.Copysign(0, -1)
	for i, v := range []float64{-1, zero, 0, -2, -1, 0, zero, -2} {
		put(logits.host[4*i:], kernels.F32, v)
	}
	b.Upload(logits.t, logits.host)
	logp, next := newSheet(t, b, r, kernels.F32, 16, 1, 2), newIndices(t, b, -1, -1)
	b.Sample(next, logp.t, logits.t, params.t, kernels.Tensor{}, 4)
	got := make([]byte, 8)
	b.Download(got, next)
	require.Equal(t, []float64{0, 0}, logp.fetch(t, b))
	require.Equal(t, []byte{1, 0, 0, 0, 1, 0, 0, 0}, got)
}
