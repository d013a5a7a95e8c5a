package vec

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestExponentialAtTheEdges(t *testing.T) {
	inf := float32(math.Inf(1))
	x := []float32{0, inf, -inf, expMin, math.Nextafter32(expMin, -inf), 88.7, 88.8}
	y := make([]float32, len(x))
	Exp(y, x)
	assert.Equal(t, float32(1), y[0])
	assert.Equal(t, inf, y[1])
	assert.Equal(t, float32(0), y[2])
	assert.GreaterOrEqual(t, y[3], float32(0x1p-125))
	assert.Equal(t, float32(0), y[4])
	assert.InEpsilon(t, math.Exp(float64(x[5])), y[5], 2e-7)
	assert.Equal(t, inf, y[6])
}
