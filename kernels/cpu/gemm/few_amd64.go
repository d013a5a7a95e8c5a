//go:build !noasm

package gemm

import (
	"unsafe"

	"forja/kernels/cpu/tier"
)

// dots is m <= 4 rows of A times the four rows of B at offsets bytes from b: sums[4i+j].
func dots(m, k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, d DType, sums *[16]float32) {
	switch t := tier.Current(); {
	case t >= tier.AVX512:
		dots512(m, k, a, lda, b, offsets, d, sums)
	case t >= tier.AVX2:
		dots256(m, k, a, lda, b, offsets, d, sums)
	default:
		dotsPortable(m, k, a, lda, b, offsets, d, sums)
	}
}

// ahead is the distance of the next four rows of B.
func ahead(offsets *[4]int) int { return 4 * (offsets[1] - offsets[0]) }

func dots512(m, k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, d DType, sums *[16]float32) {
	ahead := ahead(offsets)
	switch bf16 := d == BF16; {
	case m == 1 && bf16:
		dots512BF16x1(k, a, lda, b, offsets, ahead, sums)
	case m == 2 && bf16:
		dots512BF16x2(k, a, lda, b, offsets, ahead, sums)
	case m == 3 && bf16:
		dots512BF16x3(k, a, lda, b, offsets, ahead, sums)
	case bf16:
		dots512BF16x4(k, a, lda, b, offsets, ahead, sums)
	case m == 1:
		dots512F32x1(k, a, lda, b, offsets, ahead, sums)
	case m == 2:
		dots512F32x2(k, a, lda, b, offsets, ahead, sums)
	case m == 3:
		dots512F32x3(k, a, lda, b, offsets, ahead, sums)
	default:
		dots512F32x4(k, a, lda, b, offsets, ahead, sums)
	}
}

// dots256 takes rows of A in twos and leaves the last values of k to plain Go.
func dots256(m, k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, d DType, sums *[16]float32) {
	whole := k &^ 7
	for i := 0; i < m; i += 2 {
		var part [16]float32
		x := (*float32)(unsafe.Add(unsafe.Pointer(a), i*lda*4))
		switch ahead := ahead(offsets); {
		case m-i == 1 && d == F32:
			dots256F32x1(whole, x, lda, b, offsets, ahead, &part)
		case m-i == 1:
			dots256BF16x1(whole, x, lda, b, offsets, ahead, &part)
		case d == F32:
			dots256F32x2(whole, x, lda, b, offsets, ahead, &part)
		default:
			dots256BF16x2(whole, x, lda, b, offsets, ahead, &part)
		}
		copy(sums[4*i:], part[:8])
	}
	if whole == k {
		return
	}
	var rest [16]float32
	a = (*float32)(unsafe.Add(unsafe.Pointer(a), whole*4))
	dotsPortable(m, k-whole, a, lda, unsafe.Add(b, whole*d.size()), offsets, d, &rest)
	for i := range 4 * m {
		sums[i] += rest[i]
	}
}
