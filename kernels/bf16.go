package kernels

import "math"

// RoundBF16 is the BF16 nearest to x, ties to even; a NaN stays one.
func RoundBF16(x float32) uint16 {
	b := math.Float32bits(x)
	if x != x {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// ToBF16 rounds host values.
func ToBF16(x []float32) []uint16 {
	h := make([]uint16, len(x))
	for i, v := range x {
		h[i] = RoundBF16(v)
	}
	return h
}

// FromBF16 widens host values into x.
func FromBF16(x []float32, h []uint16) {
	for i, v := range h {
		x[i] = math.Float32frombits(uint32(v) << 16)
	}
}
