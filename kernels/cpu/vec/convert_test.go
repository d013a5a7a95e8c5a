package vec

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

// words are all 16-bit patterns.
func words() []uint16 {
	w := make([]uint16, 1<<16)
	for i := range w {
		w[i] = uint16(i)
	}
	return w
}

func TestWidenIsExactOnEveryPattern(t *testing.T) {
	w := words()
	x := make([]float32, len(w))
	eachTier(t, func(t *testing.T) {
		Widen(x, w)
		for i, v := range x {
			require.Equal(t, uint32(i)<<16, math.Float32bits(v))
		}
		back := make([]uint16, len(w))
		Narrow(back, x)
		for i, b := range back {
			if x[i] == x[i] {
				require.Equal(t, uint16(i), b)
			}
		}
	})
}

func TestWidenF16IsExactOnEveryPattern(t *testing.T) {
	w := words()
	x := make([]float32, len(w))
	eachTier(t, func(t *testing.T) {
		WidenF16(x, w)
		for i, v := range x {
			exponent, fraction := i>>10&31, float64(i&1023)
			want := math.Ldexp(1024+fraction, exponent-25)
			switch {
			case exponent == 31 && fraction != 0:
				require.True(t, v != v, "%#x is NaN", i)
				require.NotZero(t, math.Float32bits(v)&(1<<22), "%#x is made quiet", i)
				continue
			case exponent == 31:
				want = math.Inf(1)
			case exponent == 0:
				want = math.Ldexp(fraction, -24)
			}
			want = math.Copysign(want, float64(1-i>>15*2))
			require.Equal(t, math.Float32bits(float32(want)), math.Float32bits(v), "%#x", i)
		}
	})
}

// roundedToBF16 rounds with math/big, which shares no trick with the implementation.
func roundedToBF16(x float32) float64 {
	v := float64(x)
	if v == 0 || math.IsInf(v, 0) {
		return v
	}
	_, e := math.Frexp(v)
	unit := max(e-8, -133) // subnormals are multiples of 2⁻¹³³
	scaled := new(big.Float).SetPrec(64).SetMantExp(big.NewFloat(v), -unit)
	n, _ := scaled.Int64()
	rest := new(big.Float).Sub(scaled, new(big.Float).SetInt64(n))
	sign := int64(1)
	if v < 0 {
		sign = -1
	}
	switch c := rest.Abs(rest).Cmp(big.NewFloat(0.5)); {
	case c > 0, c == 0 && n&1 != 0:
		n += sign
	}
	y := math.Ldexp(float64(n), unit)
	if math.Abs(y) >= 0x1p128 {
		return math.Inf(int(sign))
	}
	return math.Copysign(y, v)
}

func TestNarrowRoundsToNearestEven(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		visit := func(x []float32) {
			w := make([]uint16, len(x))
			Narrow(w, x)
			for i, v := range x {
				got := math.Float32frombits(uint32(w[i]) << 16)
				if v != v {
					require.True(t, got != got && w[i]&0x40 != 0, "%#x", math.Float32bits(v))
					continue
				}
				want := float32(roundedToBF16(v))
				if math.Float32bits(want) != math.Float32bits(got) {
					require.Equal(t, want, got, "%g", v)
				}
			}
		}
		sweep(99_991, visit)
		var ties []float32 // halfway between neighbours, and next to it
		for b := uint32(0); b < 1<<32-1<<17; b += 1 << 17 / 2 * 97 {
			for d := range uint32(3) {
				ties = append(ties, math.Float32frombits(b&^0xffff|0x7fff+d))
			}
		}
		ties = append(ties, math.MaxFloat32, -math.MaxFloat32, math.Float32frombits(0x7f800001), math.Float32frombits(0xff80ffff))
		visit(ties)
	})
}

func TestConversionsWriteNothingOutside(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		for n := range 71 {
			for start := range 3 {
				w := make([]uint16, n+40)
				x := make([]float32, n+40)
				for i := range x {
					x[i], w[i] = 1.5, 0x1234
				}
				Narrow(w[start:start+n], x[start:start+n])
				for i, v := range w {
					inside := i >= start && i < start+n
					require.Equal(t, inside, v == 0x3fc0, "%d of %d", i, n)
				}
				for _, widen := range []func([]float32, []uint16){Widen, WidenF16} {
					widen(x[start:start+n], make([]uint16, n))
					for i, v := range x {
						inside := i >= start && i < start+n
						require.Equal(t, inside, v == 0, "%d of %d", i, n)
						x[i] = 1.5
					}
				}
			}
		}
	})
}
