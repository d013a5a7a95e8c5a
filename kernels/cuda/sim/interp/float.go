package interp

import "math"

func f32(v uint64) float32 { return math.Float32frombits(uint32(v)) }
func u32(f float32) uint64 { return uint64(math.Float32bits(f)) }
