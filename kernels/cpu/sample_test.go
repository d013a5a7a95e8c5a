package cpu

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"forja/kernels"
)

// draw64 is Sample by sorting everything. It also returns the cumulated probabilities in order.
func draw64(logits []float64, seen []byte, p []float32) (token int, logp float64, cumulated []float64) {
	z := slices.Clone(logits)
	if r := float64(p[kernels.SampleRepetition]); r > 0 {
		for i := range z {
			if seen[i] != 0 && z[i] > 0 {
				z[i] /= r
			} else if seen[i] != 0 {
				z[i] *= r
			}
		}
	}
	order := make([]int, len(z))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if z[a] > z[b] {
			return -1
		} else if z[a] < z[b] {
			return 1
		}
		return 0
	})
	if p[kernels.SampleTemperature] == 0 {
		return order[0], 0, []float64{1}
	}
	if k := int(p[kernels.SampleTopK]); k > 0 {
		order = order[:min(k, len(order))]
	}
	weights := func() (w []float64, total float64) {
		for _, i := range order {
			v := math.Exp((z[i] - z[order[0]]) / float64(p[kernels.SampleTemperature]))
			w, total = append(w, v), total+v
		}
		return w, total
	}
	w, total := weights()
	if f := float64(p[kernels.SampleTopP]); f > 0 && f < 1 {
		sum := 0.0
		for n, v := range w {
			if sum += v; sum >= f*total {
				order = order[:n+1]
				break
			}
		}
	}
	w, _ = weights()
	if f := float64(p[kernels.SampleMinP]); f > 0 {
		for n, v := range w {
			if v < f {
				order = order[:n]
				break
			}
		}
	}
	w, total = weights()
	sum, chosen := 0.0, -1
	for n, v := range w {
		sum += v / total
		cumulated = append(cumulated, sum)
		if chosen < 0 && sum > float64(p[kernels.SampleUniform]) {
			chosen = n
		}
	}
	return order[chosen], math.Log(w[chosen] / total), cumulated
}

func TestSampleDrawsFromTheRestrictedDistribution(t *testing.T) {
	r := newRig(t, 2, kernels.F32)
	rapid.Check(t, func(t *rapid.T) {
		vocab := rapid.IntRange(1, 300).Draw(t, "vocab")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		next, logp, logits := r.ints(0), r.vec(1), r.f32(1, vocab+4)
		params, seen := r.f32(1, kernels.SampleParams), r.make(kernels.U8, 0, 1, vocab+4)
		ties := rapid.Bool().Draw(t, "ties")
		r.fill(logits, func(int) float64 {
			if ties {
				return float64(rng.IntN(3))
			}
			return 2 * rng.NormFloat64()
		})
		marks := view(seen)
		for i := range marks.bytes(0) {
			marks.bytes(0)[i] = byte(rng.IntN(2))
		}
		p := ref(view(params)).row(0)
		p[kernels.SampleTemperature] = rapid.SampledFrom([]float32{0, 0.5, 1, 2}).Draw(t, "temperature")
		p[kernels.SampleTopK] = float32(rapid.IntRange(0, 40).Draw(t, "top-k"))
		p[kernels.SampleTopP] = rapid.SampledFrom([]float32{0, 0.3, 0.9, 1}).Draw(t, "top-p")
		p[kernels.SampleMinP] = rapid.SampledFrom([]float32{0, 0.05, 0.5}).Draw(t, "min-p")
		p[kernels.SampleRepetition] = rapid.SampledFrom([]float32{0, 1, 1.25}).Draw(t, "repetition")
		p[kernels.SampleUniform] = rng.Float32()

		r.b.Sample(next, logp, logits, params, seen, vocab)
		token, want, cumulated := draw64(values(logits)[:vocab], marks.bytes(0), p)
		for _, c := range cumulated { // float32 may fall on the other side of a boundary
			if math.Abs(c-float64(p[kernels.SampleUniform])) < 1e-5 {
				return
			}
		}
		require.Equal(t, int32(token), ints(next)[0])
		require.InDelta(t, want, values(logp)[0], 1e-4)
	})
}

func TestEqualLogitsAreDrawnInOrderOfTheirIDs(t *testing.T) {
	r := newRig(t, 1, kernels.F32)
	const vocab = 1000
	next, logp, params := r.ints(0), r.vec(1), r.f32(1, kernels.SampleParams)
	logits := r.fill(r.f32(1, vocab), func(int) float64 { return 3 })
	for _, u := range []float32{0, 0.25, 0.5, 0.9996} {
		copy(ref(view(params)).row(0), []float32{1, 0, 0, 0, 0, u})
		r.run(func(k kernels.Backend) { k.Sample(next, logp, logits, params, absent, vocab) })
		require.Equal(t, int32(float64(u)*vocab), ints(next)[0])
	}
	copy(ref(view(params)).row(0), []float32{1, 10, 0, 0, 0, 0.95})
	r.run(func(k kernels.Backend) { k.Sample(next, logp, logits, params, absent, vocab) })
	require.Equal(t, int32(9), ints(next)[0])
	require.InDelta(t, -math.Log(10), values(logp)[0], 1e-6)
}

func TestLogitsWithoutADistributionAreReported(t *testing.T) {
	r := newRig(t, 1, kernels.F32)
	next, logp, params := r.ints(0), r.vec(1), r.f32(1, kernels.SampleParams)
	copy(ref(view(params)).row(0), []float32{1, 0, 0, 0, 0, 0.5})
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		logits := r.fill(r.f32(1, 100), func(i int) float64 {
			if math.IsInf(bad, -1) || i == 7 {
				return bad
			}
			return 0
		})
		r.run(func(k kernels.Backend) { k.Sample(next, logp, logits, params, absent, 100) })
		require.True(t, math.IsNaN(values(logp)[0]))
		require.Less(t, ints(next)[0], int32(100))
	}
}

func TestMaskedLogitsAreNeverDrawn(t *testing.T) {
	r := newRig(t, 1, kernels.F32)
	next, logp, params := r.ints(0), r.vec(1), r.f32(1, kernels.SampleParams)
	logits := r.fill(r.f32(1, 5000), func(i int) float64 {
		if i%1000 == 3 {
			return 0
		}
		return math.Inf(-1)
	})
	for _, p := range [][]float32{{1, 0, 0, 0, 0, 0.9999}, {1, 4000, 0, 0, 0, 0.9999}, {1, 0, 0.999, 0, 0, 0.9999}, {1, 0, 0, 0.1, 0, 0.9999}} {
		copy(ref(view(params)).row(0), p)
		r.run(func(k kernels.Backend) { k.Sample(next, logp, logits, params, absent, 5000) })
		require.Equal(t, int32(4003), ints(next)[0])
		require.InDelta(t, -math.Log(5), values(logp)[0], 1e-6)
	}
}
