package interp

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"
)

// TensorType is CUtensorMapDataType: the element type of a tensor map.
type TensorType uint32

// The element types of cuTensorMapEncodeTiled, with its values.
const (
	TensorU8 TensorType = iota
	TensorU16
	TensorU32
	TensorI32
	TensorU64
	TensorI64
	TensorF16
	TensorF32
	TensorF64
	TensorBF16
	TensorF32FTZ
	TensorTF32
	TensorTF32FTZ
	tensorTypes
)

// Size is the number of bytes of an element, 0 for an unknown type.
func (t TensorType) Size() int {
	if t >= tensorTypes {
		return 0
	}
	return [tensorTypes]int{1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4}[t]
}

func (t TensorType) isFloat() bool { return t >= TensorF16 && t < tensorTypes }

// TensorMap is what cuTensorMapEncodeTiled encodes: how a tensor of up to five dimensions lies in global memory, and the
// box that one bulk tensor copy moves. Dimension 0 is the contiguous one. The enumerations have CUDA's values.
type TensorMap struct {
	Type          TensorType
	Rank          uint32
	Address       uint64
	Dim           [5]uint64 // elements
	Stride        [4]uint64 // bytes, of dimensions 1 to Rank-1
	Box           [5]uint32 // elements
	ElementStride [5]uint32
	Interleave    uint32 // 0 none
	Swizzle       uint32 // 0 none, 1 32 bytes, 2 64 bytes, 3 128 bytes
	L2Promotion   uint32 // 0 none to 3: 256 bytes
	OOBFill       uint32 // elements outside: 0 zero, 1 a NaN
}

// check applies the limits that the driver's manual sets, and those of this simulator.
func (t *TensorMap) check() error {
	size := uint64(t.Type.Size())
	bad := func(format string, a ...any) error {
		return fmt.Errorf("tensor map: %w", fmt.Errorf(format, a...))
	}
	switch {
	case size == 0:
		return bad("unknown data type %d", t.Type)
	case t.Rank < 1 || t.Rank > 5:
		return bad("rank %d is not 1 to 5", t.Rank)
	case t.Address == 0 || t.Address%16 != 0:
		return bad("global address %#x is not a multiple of 16", t.Address)
	case t.Interleave != 0:
		return bad("interleave %d is not supported: only none (0)", t.Interleave)
	case t.Swizzle > 3:
		return bad("swizzle %d is not none (0), 32, 64 or 128 bytes (1 to 3)", t.Swizzle)
	case t.L2Promotion > 3:
		return bad("L2 promotion %d is not 0 to 3", t.L2Promotion)
	case t.OOBFill > 1:
		return bad("out-of-bounds fill %d is not zero (0) or NaN (1)", t.OOBFill)
	case t.OOBFill == 1 && !t.Type.isFloat():
		return bad("NaN fill of a tensor of integers")
	}
	for i := range t.Rank {
		switch {
		case t.Dim[i] < 1 || t.Dim[i] > 1<<32:
			return bad("dimension %d has %d elements, not 1 to 2^32", i, t.Dim[i])
		case t.Box[i] < 1 || t.Box[i] > 256:
			return bad("dimension %d of the box has %d elements, not 1 to 256", i, t.Box[i])
		case t.ElementStride[i] < 1 || t.ElementStride[i] > 8:
			return bad("element stride %d of dimension %d is not 1 to 8", t.ElementStride[i], i)
		case t.ElementStride[i] != 1:
			return bad("element stride %d of dimension %d is not supported: only 1", t.ElementStride[i], i)
		}
		if i == 0 {
			continue
		}
		if s := t.Stride[i-1]; s%16 != 0 || s >= 1<<40 {
			return bad("stride %d bytes of dimension %d is not a multiple of 16 below 2^40", s, i)
		}
	}
	last := (t.Dim[0] - 1) * size // offset of the last element
	for i := range t.Rank - 1 {
		hi, lo := bits.Mul64(t.Dim[i+1]-1, t.Stride[i])
		if last += lo; hi != 0 || last < lo || last >= 1<<62 || t.Address >= 1<<62 {
			return bad("the tensor does not fit into the address space")
		}
	}
	row := uint64(t.Box[0]) * size
	if row%16 != 0 {
		return bad("%d bytes of the box's dimension 0 are not a multiple of 16", row)
	}
	if w := uint64(swizzle(t.Swizzle).width()); t.Swizzle != 0 && row != w {
		if row > w {
			return bad("%d bytes of the box's dimension 0 exceed the swizzle of %d", row, w)
		}
		return bad("%d bytes of the box's dimension 0 are fewer than the swizzle of %d: legal, but the layout is documented nowhere and not supported", row, w)
	}
	if t.boxBytes() > 1<<20-1 {
		return bad("a box of %d bytes: no mbarrier can count them", t.boxBytes())
	}
	return nil
}

// boxBytes is the size of the box in shared memory.
func (t *TensorMap) boxBytes() int {
	n := t.Type.Size()
	for i := range t.Rank {
		n *= int(t.Box[i])
	}
	return n
}

// The encoded form is opaque to programs. Ours begins with a mark and ends with a checksum, so that anything else passed as
// a tensor map is noticed.
const tensorMapMark = 0x50414d54 // TMAP

// Encode checks the map as the driver does and gives the 128 bytes that a kernel is passed.
func (t TensorMap) Encode() (enc [128]byte, err error) {
	if err := t.check(); err != nil {
		return enc, err
	}
	b := enc[:0]
	le := binary.LittleEndian
	b = le.AppendUint32(b, tensorMapMark)
	b = append(b, byte(t.Type), byte(t.Rank), byte(t.Swizzle), byte(t.L2Promotion<<4|t.OOBFill))
	b = le.AppendUint64(b, t.Address)
	for _, d := range t.Dim {
		b = le.AppendUint64(b, d)
	}
	for _, s := range t.Stride {
		b = le.AppendUint64(b, s)
	}
	for _, x := range t.Box {
		b = le.AppendUint16(b, uint16(x))
	}
	le.PutUint32(enc[124:], crc32.ChecksumIEEE(enc[:124]))
	return enc, nil
}

// decodeTensorMap reads what Encode wrote.
func decodeTensorMap(b *[128]byte) (t TensorMap, err error) {
	le := binary.LittleEndian
	if le.Uint32(b[:]) != tensorMapMark || le.Uint32(b[124:]) != crc32.ChecksumIEEE(b[:124]) {
		return t, fmt.Errorf("these 128 bytes are not a tensor map that the driver encoded")
	}
	t.Type, t.Rank, t.Swizzle = TensorType(b[4]), uint32(b[5]), uint32(b[6])
	t.L2Promotion, t.OOBFill = uint32(b[7]>>4), uint32(b[7]&15)
	t.Address = le.Uint64(b[8:])
	for i := range t.Dim {
		t.Dim[i] = le.Uint64(b[16+8*i:])
	}
	for i := range t.Stride {
		t.Stride[i] = le.Uint64(b[56+8*i:])
	}
	for i := range t.Box {
		t.Box[i] = uint32(le.Uint16(b[88+2*i:]))
		t.ElementStride[i] = 1
	}
	return t, t.check()
}
