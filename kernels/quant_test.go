package kernels_test

import (
	"encoding/hex"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/kernels"
)

// The numbers of ggml's own tests.
func waves(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(0.1 + 2*math.Cos(float64(i)))
	}
	return x
}

func TestNF4IsThatOfBitsandbytes(t *testing.T) {
	packed, scales := make([]byte, 32), make([]float32, 1)
	require.NoError(t, kernels.NF4.Encode(packed, scales, waves(64)))
	assert.Equal(t, "fd302bfe6118ef9105efc203cfe5019fe7116efb204dfd302bfe6118ef9105ef", hex.EncodeToString(packed))
	assert.Equal(t, float32(2.0999999046325684), scales[0])
}

// ggml keeps the scale in half precision, which moves no code here.
func TestQ8IsThatOfGGML(t *testing.T) {
	packed, scales := make([]byte, 32), make([]float32, 1)
	require.NoError(t, kernels.Q8.Encode(packed, scales, waves(32)))
	assert.Equal(t, "7f47d48eb7287a61f498a1076c7417aa92e5567e37c48dc6397e54e392ac1975", hex.EncodeToString(packed))
	assert.InDelta(t, 2.1/127, scales[0], 1e-6)
}

// Of normal numbers in blocks of 64, bitsandbytes' own tests expect a mean error of 0.072798 ± 0.000074.
func TestErrorsOfNF4AreThePublishedOnes(t *testing.T) {
	const rows, cols = 256, 1024
	r := rand.New(rand.NewPCG(1, 2))
	packed, scales, back := make([]byte, kernels.NF4.Width(cols)), make([]float32, cols/64), make([]float32, cols)
	var sum float64
	for range rows {
		x := make([]float32, cols)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		require.NoError(t, kernels.NF4.Encode(packed, scales, x))
		kernels.NF4.Decode(back, packed, scales, 0)
		for i := range x {
			sum += math.Abs(float64(x[i] - back[i]))
		}
	}
	assert.InDelta(t, 0.072798, sum/(rows*cols), 0.0003)
}

func TestQuantisedBlocksDecodeFromAnyBlockOn(t *testing.T) {
	for _, q := range []kernels.Quant{kernels.NF4, kernels.Q8} {
		x := waves(4 * q.Block())
		clear(x[q.Block() : 2*q.Block()]) // a block of zeros has a scale of 0
		packed, scales := make([]byte, q.Width(len(x))), make([]float32, 4)
		require.NoError(t, q.Encode(packed, scales, x))
		whole, part := make([]float32, len(x)), make([]float32, 2*q.Block())
		q.Decode(whole, packed, scales, 0)
		q.Decode(part, packed, scales, q.Block())
		assert.Equal(t, whole[q.Block():3*q.Block()], part, q)
		assert.Zero(t, part[0])
		for i := range x {
			assert.InDelta(t, x[i], whole[i], map[kernels.Quant]float64{kernels.NF4: 0.33, kernels.Q8: 0.009}[q])
		}
	}
}

func TestRowsThatDoNotFitTheirBlocksAreRefused(t *testing.T) {
	err := kernels.NF4.Encode(make([]byte, 16), make([]float32, 1), make([]float32, 32))
	assert.ErrorContains(t, err, "a multiple of 64")
}
