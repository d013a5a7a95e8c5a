package bench

import (
	"fmt"
	"unsafe"

	"forja/kernels"
)

// tensors allocates operands and frees them together.
type tensors struct {
	b    kernels.Backend
	bufs []kernels.Buffer
	err  error // the first
}

func (t *tensors) free() {
	for _, b := range t.bufs {
		t.b.Free(b)
	}
	t.bufs = nil
}

// empty is a tensor of zeros.
func (t *tensors) empty(d kernels.DType, shape ...int) kernels.Tensor {
	buf, err := t.b.Alloc(kernels.Shape(shape).Size() * d.Size())
	if err != nil {
		if t.err == nil {
			t.err = fmt.Errorf("operand of %v %v: %w", d, shape, err)
		}
		return kernels.Tensor{}
	}
	t.bufs = append(t.bufs, buf)
	x := kernels.New(buf, d, shape...)
	t.b.Fill(x, 0)
	return x
}

// filled is a tensor of the given values, rounded to d.
func (t *tensors) filled(d kernels.DType, values []float32, shape ...int) kernels.Tensor {
	x := t.empty(d, shape...)
	if t.err == nil {
		t.set(x, values)
	}
	return x
}

// random is a tensor of values from exact.
func (t *tensors) random(d kernels.DType, seed uint32, shape ...int) kernels.Tensor {
	return t.filled(d, exact(seed, kernels.Shape(shape).Size()), shape...)
}

func (t *tensors) set(x kernels.Tensor, values []float32) {
	if x.DType == kernels.BF16 {
		t.b.Upload(x, bytesOf(kernels.ToBF16(values)))
		return
	}
	t.b.Upload(x, bytesOf(values))
}

// ids is an I32 tensor of numbers below n.
func (t *tensors) ids(n int, seed uint32, shape ...int) kernels.Tensor {
	x := t.empty(kernels.I32, shape...)
	if t.err != nil {
		return x
	}
	ids := make([]int32, x.Size())
	for i := range ids {
		seed = seed*1664525 + 1013904223
		ids[i] = int32(uint64(seed) * uint64(n) >> 32)
	}
	t.b.Upload(x, bytesOf(ids))
	return x
}

// floats reads a tensor back.
func (t *tensors) floats(x kernels.Tensor) ([]float32, error) {
	values := make([]float32, x.Size())
	if x.DType != kernels.BF16 {
		t.b.Download(bytesOf(values), x)
		return values, t.b.Sync()
	}
	half := make([]uint16, len(values))
	t.b.Download(bytesOf(half), x)
	err := t.b.Sync()
	kernels.FromBF16(values, half)
	return values, err
}

// exact draws n numbers from the multiples of 1/128 in [-½, ½]. They are exact in bf16, their products are multiples of
// 2⁻¹⁴, and a sum of f32 products is exact in any order while it stays below 2¹⁰: right results are equal bit for bit.
func exact(seed uint32, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		seed = seed*1664525 + 1013904223
		x[i] = float32(int32(uint64(seed)*129>>32)-64) / 128
	}
	return x
}

func bytesOf[E any](x []E) []byte {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), len(x)*int(unsafe.Sizeof(x[0])))
}
