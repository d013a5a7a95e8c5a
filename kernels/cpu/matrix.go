package cpu

import (
	"unsafe"

	"forja/kernels"
	"forja/kernels/cpu/gemm"
	"forja/kernels/cpu/vec"
)

// matrix is the memory behind the matrix view of a tensor. The zero matrix stands for an absent or empty one.
type matrix struct {
	base               unsafe.Pointer // of the first element
	rows, cols, stride int            // in elements
	dtype              kernels.DType
}

func view(t kernels.Tensor) matrix {
	if t.Buf == nil {
		return matrix{}
	}
	m := matrix{rows: t.Rows(), cols: t.Cols(), stride: t.Stride, dtype: t.DType}
	if m.rows*m.cols > 0 {
		m.base = unsafe.Pointer(&t.Buf.(*buffer).mem[t.Off*t.DType.Size()])
	}
	return m
}

// vector is the view of a dense tensor, whatever its axes, as one row.
func vector(t kernels.Tensor) matrix {
	m := view(t)
	m.cols *= m.rows
	m.rows, m.stride = 1, m.cols
	return m
}

// floats and ints are the elements of a dense F32 or I32 tensor, nil if absent.
func floats(t kernels.Tensor) []float32 {
	m := vector(t)
	return unsafe.Slice((*float32)(m.base), m.cols)
}

func ints(t kernels.Tensor) []int32 {
	m := vector(t)
	return unsafe.Slice((*int32)(m.base), m.cols)
}

func (m *matrix) absent() bool { return m.base == nil }
func (m *matrix) dense() bool  { return m.stride == m.cols || m.rows <= 1 }

func (m *matrix) at(i, j int) unsafe.Pointer {
	return unsafe.Add(m.base, (i*m.stride+j)*m.dtype.Size())
}

// bytes is row i.
func (m *matrix) bytes(i int) []byte {
	if m.base == nil {
		return nil
	}
	return unsafe.Slice((*byte)(m.at(i, 0)), m.cols*m.dtype.Size())
}

// f32 is columns [lo, hi) of row i of an F32 matrix, bf16 those of a BF16 matrix.
func (m *matrix) f32(i, lo, hi int) []float32 {
	return unsafe.Slice((*float32)(m.at(i, lo)), hi-lo)
}

func (m *matrix) bf16(i, lo, hi int) []uint16 {
	return unsafe.Slice((*uint16)(m.at(i, lo)), hi-lo)
}

// row is row i of an F32 matrix.
func (m *matrix) row(i int) []float32 { return m.f32(i, 0, m.cols) }

// load returns columns [lo, hi) of row i as F32: the memory itself, or its values widened into scratch.
func (m *matrix) load(i, lo, hi int, s *scratch) []float32 {
	if m.dtype == kernels.F32 {
		return m.f32(i, lo, hi)
	}
	return m.loadWide(i, lo, hi, s.floats(hi-lo))
}

// loadWide is load with a buffer of its own, at least as long.
func (m *matrix) loadWide(i, lo, hi int, wide []float32) []float32 {
	if m.dtype == kernels.F32 {
		return m.f32(i, lo, hi)
	}
	vec.Widen(wide[:hi-lo], m.bf16(i, lo, hi))
	return wide[:hi-lo]
}

// loadTo copies columns [lo, hi) of row i to x as F32.
func (m *matrix) loadTo(x []float32, i, lo, hi int) {
	if m.dtype == kernels.F32 {
		copy(x, m.f32(i, lo, hi))
		return
	}
	vec.Widen(x, m.bf16(i, lo, hi))
}

// dest returns where to compute columns [lo, hi) of row i: the memory itself, or scratch that store then rounds.
func (m *matrix) dest(i, lo, hi int, s *scratch) []float32 {
	if m.dtype == kernels.F32 {
		return m.f32(i, lo, hi)
	}
	return s.floats(hi - lo)
}

// store puts x, which dest may have returned, in row i from column lo.
func (m *matrix) store(i, lo int, x []float32) {
	if m.dtype != kernels.F32 {
		vec.Narrow(m.bf16(i, lo, lo+len(x)), x)
		return
	}
	if y := m.f32(i, lo, lo+len(x)); len(x) > 0 && &y[0] != &x[0] {
		copy(y, x)
	}
}

// same reports whether two matrices are the same memory.
func (m *matrix) same(n *matrix) bool { return m.base != nil && m.base == n.base }

// block is the view of rows [i0, i1) and columns [j0, j1).
func (m *matrix) block(i0, i1, j0, j1 int) matrix {
	if m.base == nil {
		return matrix{}
	}
	return matrix{base: m.at(i0, j0), rows: i1 - i0, cols: j1 - j0, stride: m.stride, dtype: m.dtype}
}

// operand is the matrix as package gemm sees it.
func (m *matrix) operand() gemm.Matrix {
	d := gemm.F32
	if m.dtype == kernels.BF16 {
		d = gemm.BF16
	}
	return gemm.Matrix{Ptr: m.base, Stride: m.stride, DType: d}
}

// dense32 is F32 memory as a matrix.
func dense32(x []float32, rows, cols int) matrix {
	return matrix{base: unsafe.Pointer(unsafe.SliceData(x)), rows: rows, cols: cols, stride: cols, dtype: kernels.F32}
}
