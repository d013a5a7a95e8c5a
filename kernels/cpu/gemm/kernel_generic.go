//go:build !amd64 || noasm

package gemm

import "unsafe"

// choose returns the portable kernel: this build has no other.
func choose(_, _ DType) *kernel { return &portable }

func widen(dst []float32, src unsafe.Pointer)  { widenPortable(dst, src) }
func narrow(dst unsafe.Pointer, src []float32) { narrowPortable(dst, src) }

func dots(m, k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, d DType, sums *[16]float32) {
	dotsPortable(m, k, a, lda, b, offsets, d, sums)
}
