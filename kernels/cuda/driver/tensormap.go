package driver

import (
	"fmt"
	"unsafe"
)

// TensorMap is a CUtensorMap: a tensor's geometry in the form that Hopper's copy engine (TMA) reads.
type TensorMap [16]uint64

// TensorType is the element type of a tensor map, numbered as in cuda.h.
type TensorType int32

const (
	TensorU8   TensorType = 0
	TensorF32  TensorType = 7
	TensorBF16 TensorType = 9
)

// Size is the number of bytes of an element.
func (t TensorType) Size() int {
	switch t {
	case TensorF32:
		return 4
	case TensorBF16:
		return 2
	}
	return 1
}

// Swizzle is how a box is laid out in shared memory, in 16-byte pieces within so many bytes.
type Swizzle int32

const (
	NoSwizzle Swizzle = iota
	Swizzle32
	Swizzle64
	Swizzle128
)

// MaxRank is the largest number of axes of a tensor map.
const MaxRank = 5

// A TensorShape says what a tensor map describes. Axes are ordered innermost first; unused ones are 0.
type TensorShape struct {
	Base    Ptr // aligned to 16 bytes
	Type    TensorType
	Rank    int
	Dim     [MaxRank]uint64     // elements
	Stride  [MaxRank - 1]uint64 // bytes from one element of axis i+1 to the next; multiples of 16
	Box     [MaxRank]uint32     // elements that one copy moves
	Swizzle Swizzle
}

// EncodeTensorMap makes the tensor map of a shape: element strides 1, zeros outside the tensor, promotion to 256 bytes of L2.
func (a *API) EncodeTensorMap(t *TensorShape) (TensorMap, error) {
	if a.fn[fnTensorMapEncodeTiled] == 0 {
		return TensorMap{}, fmt.Errorf("the CUDA driver, version %d, has no tensor maps: install one for CUDA 12.0 or later: %w",
			a.version, NotSupported)
	}
	const l2Promotion256 = 3
	work := new(struct { // shapes are read, and the map written, during the call
		room [2]TensorMap // one of them aligned to 64 bytes
		t    TensorShape
		step [MaxRank]uint32
	})
	work.t = *t
	for i := range work.step {
		work.step[i] = 1
	}
	first := unsafe.Pointer(&work.room)
	m := (*TensorMap)(unsafe.Add(first, -uintptr(first)&63))
	err := a.call(fnTensorMapEncodeTiled, uintptr(unsafe.Pointer(m)), uintptr(t.Type), uintptr(t.Rank), uintptr(t.Base),
		uintptr(unsafe.Pointer(&work.t.Dim)), uintptr(unsafe.Pointer(&work.t.Stride)), uintptr(unsafe.Pointer(&work.t.Box)),
		uintptr(unsafe.Pointer(&work.step)), 0, uintptr(t.Swizzle), l2Promotion256, 0)
	if err != nil {
		return TensorMap{}, fmt.Errorf("encode a tensor map of %v: %w", *t, err)
	}
	return *m, nil
}
