package gemm

import "unsafe"

const (
	cacheLine = 64
	hugePage  = 2 << 20
)

// aligned makes n zeroed floats that begin on a cache line; large ones begin on a huge page and, where the operating
// system can, are made of those: panels are read with strides of many pages, and translating addresses costs several
// per cent of a product.
func aligned(n int) []float32 {
	unit := cacheLine
	if 4*n >= hugePage {
		unit = hugePage
	}
	s := make([]float32, n+unit/4)
	skip := (unit - int(uintptr(unsafe.Pointer(&s[0]))%uintptr(unit))) % unit / 4
	s = s[skip:][:n]
	if unit == hugePage {
		adviseHuge(unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), 4*n))
	}
	return s
}
