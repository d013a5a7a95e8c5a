package cuda

import (
	"math"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/assert"

	"forja/kernels"
)

// firstWord is the first word of Philox4x32-10 at the counter (c0, c1, c2, c3).
func firstWord(c0, c1, c2, c3, k0, k1 uint32) uint32 {
	for range 10 {
		hi0, lo0 := bits.Mul32(0xd2511f53, c0)
		hi1, lo1 := bits.Mul32(0xcd9e8d57, c2)
		c0, c1, c2, c3 = hi1^c1^k0, lo1, hi0^c3^k1, lo0
		k0 += 0x9e3779b9
		k1 += 0xbb67ae85
	}
	return c0
}

// Which elements are dropped follows from the contract to the bit, also of an element whose random word is exactly the
// threshold: it is kept.
func TestDropoutKeepsAWordAtTheThreshold(t *testing.T) {
	b := simulate(t, Options{Capability: 80})
	const n, site = 2000, 9
	random := []uint32{1, 2, 0xffffffff, 3} // seed, sample
	rng := operandSpec{kernels.I32, 1, 4, func(i, j int) float64 { return float64(int32(random[j])) }}.make(t, b, placements[0])
	x := operandSpec{kernels.F32, 1, n, func(i, j int) float64 { return 3 }}.make(t, b, placements[0])
	y := operandSpec{kernels.F32, 1, n, nil}.make(t, b, placements[0])

	exact, words := -1, make([]uint32, n)
	for i := range words {
		words[i] = firstWord(random[2], random[3], site, uint32(i), random[0], random[1])
		if words[i]&0xff == 0 { // a float32
			exact = i
		}
	}
	threshold := words[exact]
	p := float32(float64(threshold) / (1 << 32))
	b.Dropout(y, x, rng, p, site, 1)
	want := make([]float32, n)
	for i, w := range words {
		if w >= threshold {
			want[i] = 3 * (1 / (1 - p))
		}
	}
	assert.Equal(t, want, read(t, b, y))
	assert.NotZero(t, want[exact])
	assert.Equal(t, float64(threshold), math.Ceil(float64(p)*(1<<32)))
}
