package vec

import "math"

// Widen stores the bfloat16 values of src in dst; exact.
func Widen(dst []float32, src []uint16) { widen(dst, src[:len(dst)]) }

func widenGo(dst []float32, src []uint16) {
	for i := range dst {
		dst[i] = math.Float32frombits(uint32(src[i]) << 16)
	}
}

// Narrow rounds src to bfloat16, to nearest with ties to even. NaN stays NaN, made quiet. The result is the same on
// every tier.
func Narrow(dst []uint16, src []float32) { narrow(dst, src[:len(dst)]) }

func narrowGo(dst []uint16, src []float32) {
	for i := range dst {
		b := math.Float32bits(src[i])
		if b&0x7fffffff > infBits {
			dst[i] = uint16(b>>16) | 0x40
			continue
		}
		dst[i] = uint16((b + 0x7fff + b>>16&1) >> 16)
	}
}

// WidenF16 stores the IEEE half precision values of src in dst; exact, subnormals included. NaN is made quiet.
func WidenF16(dst []float32, src []uint16) { widenF16(dst, src[:len(dst)]) }

func widenF16Go(dst []float32, src []uint16) {
	for i := range dst {
		h := uint32(src[i])
		sign, magnitude := h>>15<<31, h&0x7fff
		switch {
		case magnitude > 0x7c00: // NaN
			dst[i] = math.Float32frombits(sign | 0x7fc00000 | magnitude<<13)
		case magnitude == 0x7c00:
			dst[i] = math.Float32frombits(sign | infBits)
		case magnitude >= 0x400: // normal: move the exponent's bias from 15 to 127
			dst[i] = math.Float32frombits(sign | (magnitude<<13 + 112<<23))
		default: // subnormal: a multiple of 2⁻²⁴
			dst[i] = math.Float32frombits(sign | math.Float32bits(float32(magnitude)*0x1p-24))
		}
	}
}

const infBits = 0x7f800000
