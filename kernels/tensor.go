package kernels

import (
	"fmt"
	"math/bits"
	"slices"
)

// A DType is the storage type of an element.
type DType uint8

const (
	F32 DType = iota
	BF16
	F16 // import only: a source of Copy
	I32
	U8
)

var dtypes = [...]struct {
	name string
	size int
}{F32: {"f32", 4}, BF16: {"bf16", 2}, F16: {"f16", 2}, I32: {"i32", 4}, U8: {"u8", 1}}

func (d DType) String() string { return dtypes[d].name }

// Size is the number of bytes of one element.
func (d DType) Size() int { return dtypes[d].size }

// Float reports whether operations may compute with the type.
func (d DType) Float() bool { return d == F32 || d == BF16 }

// A Shape is the extent of each axis, outermost first.
type Shape []int

// Size is the number of elements, or -1 if it does not fit an int or an extent is negative.
func (s Shape) Size() int {
	n := uint64(1)
	for _, d := range s {
		hi, lo := bits.Mul64(n, uint64(d))
		if d < 0 || hi != 0 || lo > 1<<62 {
			return -1
		}
		n = lo
	}
	return int(n)
}

// Rows and Cols are the matrix view: Cols is the last axis, Rows the product of all others.
func (s Shape) Rows() int {
	if len(s) == 0 {
		return 1
	}
	return s[:len(s)-1].Size()
}

// Cols is the extent of the last axis.
func (s Shape) Cols() int {
	if len(s) == 0 {
		return 1
	}
	return s[len(s)-1]
}

func (s Shape) String() string { return fmt.Sprint([]int(s)) }

// Equal reports whether two shapes have the same axes.
func (s Shape) Equal(t Shape) bool { return slices.Equal(s, t) }

// A Buffer is a range of device memory. Only the backend that allocated it knows where it is.
type Buffer interface {
	Size() int // bytes
}

// A Tensor is a view of a Buffer: rows of contiguous elements, equally far apart.
// The zero Tensor stands for an absent optional argument.
type Tensor struct {
	Buf    Buffer
	Off    int // of the first element, in elements of DType
	Shape  Shape
	Stride int // elements between the starts of consecutive rows
	DType  DType
}

// New is the view of the whole buffer as a dense tensor.
func New(b Buffer, d DType, shape ...int) Tensor {
	s := Shape(shape)
	return Tensor{Buf: b, Shape: s, Stride: s.Cols(), DType: d}
}

// Nil reports whether an optional argument is absent.
func (t Tensor) Nil() bool { return t.Buf == nil }

// Rows is the number of rows of the matrix view.
func (t Tensor) Rows() int { return t.Shape.Rows() }

// Cols is the extent of the last axis.
func (t Tensor) Cols() int { return t.Shape.Cols() }

// Size is the number of elements.
func (t Tensor) Size() int { return t.Shape.Size() }

// Dense reports whether consecutive rows touch.
func (t Tensor) Dense() bool { return t.Stride == t.Cols() || t.Rows() <= 1 }

// Columns is the view of the columns [lo, hi) of every row.
func (t Tensor) Columns(lo, hi int) Tensor {
	t.Off += lo
	t.Shape = slices.Clone(t.Shape)
	t.Shape[len(t.Shape)-1] = hi - lo
	return t
}

// RowRange is the view of the rows [lo, hi) of the matrix view.
func (t Tensor) RowRange(lo, hi int) Tensor {
	t.Off += lo * t.Stride
	t.Shape = Shape{hi - lo, t.Cols()}
	return t
}

// Reshape is the same elements of a dense tensor under another shape of equal size.
func (t Tensor) Reshape(shape ...int) Tensor {
	s := Shape(shape)
	if s.Size() != t.Size() || (!t.Dense() && s.Cols() != t.Cols()) {
		panic(fmt.Sprintf("kernels: reshape %v to %v", t.Shape, s))
	}
	if s.Cols() != t.Cols() {
		t.Stride = s.Cols()
	}
	t.Shape = s
	return t
}

// span is the byte range [lo, hi) of the buffer that the tensor touches.
func (t Tensor) span() (lo, hi int) {
	if t.Size() <= 0 {
		return 0, 0
	}
	size := t.DType.Size()
	return t.Off * size, (t.Off + (t.Rows()-1)*t.Stride + t.Cols()) * size
}

// Overlaps reports whether two views share a byte. Column ranges of one matrix, such as q and k of a fused projection,
// interleave in memory without overlapping.
func (t Tensor) Overlaps(u Tensor) bool {
	if t.Buf == nil || t.Buf != u.Buf {
		return false
	}
	tlo, thi := t.span()
	ulo, uhi := u.span()
	if thi <= ulo || uhi <= tlo {
		return false
	}
	if t.Stride == u.Stride && t.DType.Size() == u.DType.Size() && t.Stride > 0 {
		// In units of elements within a row: intervals on a circle of circumference Stride.
		d := ((u.Off-t.Off)%t.Stride + t.Stride) % t.Stride
		return d < t.Cols() || d+u.Cols() > t.Stride
	}
	return true
}

// Same reports whether two views name exactly the same elements.
func (t Tensor) Same(u Tensor) bool {
	return t.Buf == u.Buf && t.Off == u.Off && t.DType == u.DType && t.Rows() == u.Rows() && t.Cols() == u.Cols() &&
		(t.Stride == u.Stride || t.Rows() <= 1)
}
