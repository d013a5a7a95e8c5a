package gemm

import (
	"math"
	"unsafe"
)

func fromBF16(v uint16) float32 { return math.Float32frombits(uint32(v) << 16) }

// toBF16 rounds to nearest even; a NaN stays one and becomes quiet.
func toBF16(v float32) uint16 {
	u := math.Float32bits(v)
	if u&0x7fffffff > 0x7f800000 {
		return uint16(u>>16 | 0x40)
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

// widenPortable reads len(dst) bfloat16.
func widenPortable(dst []float32, src unsafe.Pointer) {
	for i, v := range unsafe.Slice((*uint16)(src), len(dst)) {
		dst[i] = fromBF16(v)
	}
}

// narrowPortable writes len(src) bfloat16.
func narrowPortable(dst unsafe.Pointer, src []float32) {
	out := unsafe.Slice((*uint16)(dst), len(src))
	for i, v := range src {
		out[i] = toBF16(v)
	}
}
