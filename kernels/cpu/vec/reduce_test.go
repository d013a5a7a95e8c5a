package vec

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/kernels/cpu/tier"
)

// lanes of the tiers' sums.
func lanes() float64 {
	switch t := tier.Current(); {
	case t >= tier.AVX512:
		return 64
	case t == tier.AVX2:
		return 32
	}
	return 4
}

func TestSumsStayWithinTheDocumentedBound(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(5, 1))
		near := func(name string, n int, got float32, want, size, roundings float64) {
			bound := (float64(n)/lanes() + 12 + roundings) * unit * size
			require.InDelta(t, want, float64(got), bound, "%s of %d elements", name, n)
		}
		for _, n := range append(lengths(), 100_003) {
			x, y := make([]float32, n), make([]float32, n)
			var sum, size, squares, dot, dotSize, about float64
			for i := range x {
				x[i], y[i] = float32(rng.NormFloat64())+3, float32(rng.NormFloat64())
				a, b := float64(x[i]), float64(y[i])
				sum, size, squares = sum+a, size+abs(a), squares+a*a
				dot, dotSize = dot+a*b, dotSize+abs(a*b)
			}
			near("Sum", n, Sum(x), sum, size, 0)
			near("SumSquares", n, SumSquares(x), squares, squares, 1)
			near("Dot", n, Dot(x, y), dot, dotSize, 1)

			shift := Max(x)
			var total float64
			e := make([]float32, n)
			got := ExpSum(e, x, shift)
			for i := range x {
				want := math.Exp(float64(x[i] - shift))
				require.InDelta(t, want, float64(e[i]), 4*unit*want)
				total += want
			}
			near("ExpSum", n, got, total, total, 4)

			mean, variance := MeanVar(x)
			if n == 0 {
				assert.True(t, mean != mean && variance != variance)
				continue
			}
			near("mean", n, mean, sum/float64(n), size/float64(n), 1)
			for _, v := range x {
				d := float64(v) - sum/float64(n)
				about += d * d / float64(n)
			}
			// An error δ of the mean adds δ² to the variance; each difference carries one rounding.
			delta := (float64(n)/lanes() + 13) * unit * size / float64(n)
			near("variance", n, variance, about, about, 4+delta*delta/(about*unit+1e-300))
		}
	})
}

func TestVarianceSurvivesALargeMean(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		x := make([]float32, 1024)
		for i := range x {
			x[i] = 4096 + float32(i%2)
		}
		mean, variance := MeanVar(x)
		assert.Equal(t, float32(4096.5), mean)
		assert.Equal(t, float32(0.25), variance)
	})
}

func TestMaxAndArgMax(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	eachTier(t, func(t *testing.T) {
		assert.Equal(t, -inf, Max(nil))
		assert.Equal(t, -1, ArgMax(nil))
		assert.Equal(t, 0, ArgMax([]float32{-inf, -inf}), "the lowest index wins")
		rng := rand.New(rand.NewPCG(6, 1))
		for _, n := range lengths()[1:] {
			x := make([]float32, n)
			for i := range x {
				x[i] = -1 - rng.Float32() // a masked lane of 0 would win
			}
			at, again := rng.IntN(n), rng.IntN(n)
			x[at], x[again] = -0.5, -0.5
			require.Equal(t, float32(-0.5), Max(x))
			require.Equal(t, min(at, again), ArgMax(x))

			x[at] = inf
			require.Equal(t, inf, Max(x))
			require.Equal(t, at, ArgMax(x))

			for _, sign := range []float64{1, -1} {
				x[at] = float32(math.Copysign(math.NaN(), sign))
				m := Max(x)
				require.True(t, m != m, "NaN at %d of %d", at, n)
				require.Equal(t, at, ArgMax(x), "the first NaN")
			}
			x[n-1] = nan
			require.Equal(t, min(at, n-1), ArgMax(x))
		}
		zeros := make([]float32, 40)
		zeros[38], zeros[39] = 1, 1
		assert.Equal(t, 38, ArgMax(zeros))
	})
}

func TestSoftmaxCoreOnMaskedScores(t *testing.T) {
	inf := float32(math.Inf(1))
	eachTier(t, func(t *testing.T) {
		for n := 1; n < 70; n++ {
			x := make([]float32, n)
			for i := range x {
				x[i] = -inf
			}
			x[n/2] = 3
			require.Equal(t, float32(1), ExpSum(x, x, Max(x)))
			for i, v := range x {
				require.Equal(t, i == n/2, v == 1)
				require.Equal(t, i != n/2, v == 0)
			}
			x[0] = float32(math.NaN())
			sum := ExpSum(x, x, 0)
			require.True(t, sum != sum)
		}
	})
}
