package safetensors

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// chunkBytes is how much is converted at a time.
const chunkBytes = 256 << 10

// float reports whether values convert to and from float32 here.
func (t DType) float() bool { return t == F32 || t == BF16 || t == F16 }

// DecodeF32 converts little-endian F32, BF16 or F16 values to float32, exactly.
func DecodeF32(dst []float32, src []byte, t DType) error {
	if !t.float() || len(src) != len(dst)*t.Bits()/8 {
		return fmt.Errorf("decode %d bytes of %v to %d float32", len(src), t, len(dst))
	}
	switch t {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
		}
	case F16:
		for i := range dst {
			dst[i] = f16ToF32(binary.LittleEndian.Uint16(src[2*i:]))
		}
	}
	return nil
}

// EncodeF32 converts float32 to little-endian F32, BF16 or F16, rounding to nearest, ties to even. What is too large
// becomes infinite, NaN stays NaN.
func EncodeF32(dst []byte, src []float32, t DType) error {
	if !t.float() || len(dst) != len(src)*t.Bits()/8 {
		return fmt.Errorf("encode %d float32 to %d bytes of %v", len(src), len(dst), t)
	}
	switch t {
	case F32:
		for i, x := range src {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(x))
		}
	case BF16:
		for i, x := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], f32ToBF16(x))
		}
	case F16:
		for i, x := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], f32ToF16(x))
		}
	}
	return nil
}

// FromF32 is the data of an [Entry] of type F32, BF16 or F16, converted while it is written.
func FromF32(values []float32, t DType) func(io.Writer) error {
	return func(w io.Writer) error {
		if !t.float() {
			return fmt.Errorf("write float32 as %v: want F32, BF16 or F16", t)
		}
		width := t.Bits() / 8
		buf := make([]byte, min(len(values)*width, chunkBytes))
		for rest := values; len(rest) > 0; {
			n := min(len(rest), len(buf)/width)
			if err := EncodeF32(buf[:n*width], rest[:n], t); err != nil {
				return err
			}
			if _, err := w.Write(buf[:n*width]); err != nil {
				return err
			}
			rest = rest[n:]
		}
		return nil
	}
}

func f32ToBF16(x float32) uint16 {
	b := math.Float32bits(x)
	if x != x {
		return uint16(b>>16) | 0x40 // quiet, so that it does not become an infinity
	}
	return uint16((b + 0x7FFF + b>>16&1) >> 16)
}

func f16ToF32(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10&0x1F), uint32(h&0x3FF)
	switch exp {
	case 0: // zero or subnormal: frac * 2^-24
		x := float32(frac) * 0x1p-24
		return math.Float32frombits(math.Float32bits(x) | sign)
	case 0x1F:
		return math.Float32frombits(sign | 0x7F800000 | frac<<13)
	default:
		return math.Float32frombits(sign | (exp+127-15)<<23 | frac<<13)
	}
}

func f32ToF16(x float32) uint16 {
	b := math.Float32bits(x)
	sign, abs := uint16(b>>16&0x8000), b&0x7FFFFFFF
	switch {
	case abs > 0x7F800000: // NaN
		return sign | 0x7E00 | uint16(abs>>13&0x3FF)
	case abs >= 0x477FF000: // rounds to 65536 or more
		return sign | 0x7C00
	case abs < 0x38800000: // below 2^-14: subnormal, in units of 2^-24
		// Adding 0.5 puts the unit at the last bit of the sum, so that the addition rounds as we want.
		return sign | uint16(math.Float32bits(math.Float32frombits(abs)+0.5)-0x3F000000)
	default:
		abs -= (127 - 15) << 23
		return sign | uint16((abs+0xFFF+abs>>13&1)>>13)
	}
}
