package safetensors

import (
	"fmt"
	"math"
	"math/bits"
)

// DType is the type of a tensor's elements. The order is that of the reference implementation, by which it sorts files.
type DType uint8

const (
	Bool DType = iota + 1
	F4
	F6E2M3
	F6E3M2
	U8
	I8
	F8E5M2
	F8E4M3
	F8E8M0
	F8E4M3FNUZ
	F8E5M2FNUZ
	I16
	U16
	F16
	BF16
	I32
	U32
	F32
	C64
	F64
	I64
	U64
)

// dtypes holds the name in the file and the size in bits.
var dtypes = [...]struct {
	name string
	bits uint64
}{
	Bool: {"BOOL", 8}, F4: {"F4", 4}, F6E2M3: {"F6_E2M3", 6}, F6E3M2: {"F6_E3M2", 6}, U8: {"U8", 8}, I8: {"I8", 8},
	F8E5M2: {"F8_E5M2", 8}, F8E4M3: {"F8_E4M3", 8}, F8E8M0: {"F8_E8M0", 8},
	F8E4M3FNUZ: {"F8_E4M3FNUZ", 8}, F8E5M2FNUZ: {"F8_E5M2FNUZ", 8},
	I16: {"I16", 16}, U16: {"U16", 16}, F16: {"F16", 16}, BF16: {"BF16", 16}, I32: {"I32", 32}, U32: {"U32", 32},
	F32: {"F32", 32}, C64: {"C64", 64}, F64: {"F64", 64}, I64: {"I64", 64}, U64: {"U64", 64},
}

func (t DType) valid() bool { return t >= Bool && int(t) < len(dtypes) }

// String is the name in the file, such as "BF16".
func (t DType) String() string {
	if !t.valid() {
		return fmt.Sprintf("DType(%d)", uint8(t))
	}
	return dtypes[t].name
}

// Bits is the size of one element.
func (t DType) Bits() int { return int(dtypes[t].bits) }

func parseDType(name string) (DType, error) {
	for t := Bool; t.valid(); t++ {
		if dtypes[t].name == name {
			return t, nil
		}
	}
	return 0, fmt.Errorf("unknown dtype %.40q", name)
}

// maxRank is more than any tensor in use has.
const maxRank = 16

// byteSize is the size of a tensor in bytes, or an error if there is no such tensor.
func byteSize(t DType, shape []int) (int64, error) {
	if !t.valid() {
		return 0, fmt.Errorf("unknown dtype %v", t)
	}
	if len(shape) > maxRank {
		return 0, fmt.Errorf("%d dimensions, at most %d", len(shape), maxRank)
	}
	n := dtypes[t].bits
	for _, dim := range shape {
		if dim < 0 {
			return 0, fmt.Errorf("shape %v has a negative dimension", shape)
		}
		high, low := bits.Mul64(n, uint64(dim))
		if high != 0 || low > math.MaxInt64 {
			return 0, fmt.Errorf("shape %v is too large", shape)
		}
		n = low
	}
	if n%8 != 0 {
		return 0, fmt.Errorf("shape %v of %v does not fill whole bytes", shape, t)
	}
	return int64(n / 8), nil
}
