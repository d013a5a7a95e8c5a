//go:build !amd64 || noasm

package gemm

import "unsafe"

// choose returns the portable kernel: this build has no other.
func choose(_, _ DType) *kernel { return &portable }

func widen(dst []float32, src unsafe.Pointer)  { widenPortable(dst, src) }
func narrow(dst unsafe.Pointer, src []float32) { narrowPortable(dst, src) }
