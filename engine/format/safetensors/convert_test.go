package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/format/safetensors"
)

func decode(t *testing.T, dtype safetensors.DType, halves ...uint16) []float32 {
	t.Helper()
	var b []byte
	for _, h := range halves {
		b = binary.LittleEndian.AppendUint16(b, h)
	}
	values := make([]float32, len(halves))
	require.NoError(t, safetensors.DecodeF32(values, b, dtype))
	return values
}

func encode(t *testing.T, dtype safetensors.DType, values ...float32) []uint16 {
	t.Helper()
	b := make([]byte, 2*len(values))
	require.NoError(t, safetensors.EncodeF32(b, values, dtype))
	halves := make([]uint16, len(values))
	for i := range halves {
		halves[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return halves
}

func TestEveryHalfPrecisionNumberConvertsBothWays(t *testing.T) {
	all := make([]uint16, 1<<16)
	for i := range all {
		all[i] = uint16(i)
	}
	values := decode(t, safetensors.F16, all...)
	back := encode(t, safetensors.F16, values...)
	for i, x := range values {
		exp, frac := i>>10&0x1F, float64(i&0x3FF)
		want := math.Ldexp(1024+frac, exp-25)
		switch {
		case exp == 0:
			want = math.Ldexp(frac, -24)
		case exp == 31 && frac == 0:
			want = math.Inf(1)
		case exp == 31:
			require.True(t, math.IsNaN(float64(x)), "%04x", i)
			require.True(t, back[i]&0x7C00 == 0x7C00 && back[i]&0x3FF != 0, "%04x", i)
			continue
		}
		require.Equal(t, want, math.Abs(float64(x)), "%04x", i)
		require.Equal(t, i>>15 == 1, math.Signbit(float64(x)), "%04x", i)
		require.Equal(t, uint16(i), back[i])
	}
}

// The nearest of all finite numbers of the type, the even one of two.
func TestRoundingIsToNearestEven(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct {
		dtype    safetensors.DType
		infinity uint16
	}{{safetensors.F16, 0x7C00}, {safetensors.BF16, 0x7F80}} {
		halves := make([]uint16, c.infinity)
		for i := range halves {
			halves[i] = uint16(i)
		}
		numbers := decode(t, c.dtype, halves...) // ascending from 0
		var values []float32
		for i := range len(numbers) - 1 {
			a, b := float64(numbers[i]), float64(numbers[i+1])
			middle := float32((a + b) / 2)
			values = append(values, middle, math.Nextafter32(middle, 0), math.Nextafter32(middle, float32(math.Inf(1))))
		}
		for range 100_000 {
			values = append(values, math.Float32frombits(r.Uint32()&0x7FFFFFFF))
		}
		values = slices.DeleteFunc(values, func(x float32) bool { return x != x || x > numbers[len(numbers)-1] })
		for i, got := range encode(t, c.dtype, values...) {
			x := float64(values[i])
			at, _ := slices.BinarySearch(numbers, values[i]) // the first that is not smaller
			best := at
			if at > 0 {
				below, above := x-float64(numbers[at-1]), float64(numbers[at])-x
				if below < above || below == above && at%2 == 1 {
					best = at - 1
				}
			}
			require.Equal(t, uint16(best), got, "%v %g", c.dtype, x)
		}
	}
}

func TestSpecialValuesConvert(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	signalling := math.Float32frombits(0x7F800001)
	assert.Equal(t, []uint16{0x7C00, 0xFC00, 0x7C00, 0x7BFF, 0x8000, 0x0000, 0x0001},
		encode(t, safetensors.F16, inf, -inf, 65520, 65519.996, float32(math.Copysign(0, -1)), 0x1p-25, 0x1.8p-25))
	assert.Equal(t, []uint16{0x7F80, 0xFF80, 0x7F80, 0x8000}, encode(t, safetensors.BF16, inf, -inf, math.MaxFloat32, float32(math.Copysign(0, -1))))
	for _, dtype := range []safetensors.DType{safetensors.F16, safetensors.BF16} {
		for _, x := range decode(t, dtype, encode(t, dtype, nan, -nan, signalling)...) {
			assert.True(t, x != x, "%v", dtype)
		}
	}
}

func TestFloatsAreReadAndWrittenInPieces(t *testing.T) {
	values := make([]float32, 300_001) // more than one piece
	r := rand.New(rand.NewPCG(2, 2))
	for i := range values {
		values[i] = float32(int(r.Uint32N(512))-256) / 8 // exact in every type
	}
	var entries []safetensors.Entry
	for _, dtype := range []safetensors.DType{safetensors.F32, safetensors.BF16, safetensors.F16} {
		entries = append(entries, safetensors.Entry{
			Name: dtype.String(), DType: dtype, Shape: []int{len(values)}, Data: safetensors.FromF32(values, dtype),
		})
	}
	f, err := open(write(t, entries, nil))
	require.NoError(t, err)
	for _, e := range entries {
		got := make([]float32, len(values))
		require.NoError(t, f.ReadF32(e.Name, got))
		assert.True(t, slices.Equal(values, got), e.Name)
	}
	err = safetensors.Write(&bytes.Buffer{}, []safetensors.Entry{
		{Name: "x", DType: safetensors.I32, Shape: []int{1}, Data: safetensors.FromF32(values[:1], safetensors.I32)},
	}, nil)
	assert.ErrorContains(t, err, "want F32, BF16 or F16")
	assert.Error(t, safetensors.DecodeF32(make([]float32, 1), make([]byte, 3), safetensors.F32))
	assert.Error(t, safetensors.EncodeF32(make([]byte, 4), make([]float32, 1), safetensors.BF16))
}
