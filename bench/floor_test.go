package bench

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFloorsHoldForEverythingUnderTheirName(t *testing.T) {
	results := []Result{
		{Name: "gemm/f32/dx/2x2", Against: "openblas", Ratio: 0.97},
		{Name: "gemm/f32/dw/2x2", Against: "openblas", Ratio: 1.2},
		{Name: "gemm/f32x", Against: "openblas", Ratio: 0.1},
		{Name: "norm/f32/gelu"},
		{Name: "step/bf16", Against: "f32", Ratio: math.NaN()},
	}
	for given, want := range map[string]string{
		"gemm/f32=0.97":         "",
		"gemm/f32/dw/2x2=1.2":   "",
		"gemm/f32=0.98":         "gemm/f32/dx/2x2 is 0.97x openblas, less than 0.98",
		"norm=1":                "norm=1: nothing of that name was compared",
		"step/bf16=0.1":         "step/bf16 is NaNx f32",
		"gemm/f32/dx/2x2/a=0.1": "nothing of that name",
	} {
		f, err := ParseFloor(given)
		require.NoError(t, err)
		err = Check([]Floor{f}, results)
		if want == "" {
			assert.NoError(t, err, given)
		} else {
			assert.ErrorContains(t, err, want, given)
		}
	}
	assert.NoError(t, Check(nil, results))
}

func TestMalformedFloorsAreRefused(t *testing.T) {
	for _, s := range []string{"", "gemm", "=1", "gemm=", "gemm=fast", "gemm=-1", "gemm=0", "gemm=NaN"} {
		_, err := ParseFloor(s)
		assert.ErrorContains(t, err, "want NAME=RATIO", s)
	}
}
