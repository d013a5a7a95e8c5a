//go:build !noasm

package gemm

import "unsafe"

// Micro-kernels; see kernel.multiply. x is followed by the number of rows.

//go:noescape
func multiply512x4(n int, a, b unsafe.Pointer, c *float32, ldc int, alpha float32, add bool)

//go:noescape
func multiply512x8(n int, a, b unsafe.Pointer, c *float32, ldc int, alpha float32, add bool)

//go:noescape
func multiply512x12(n int, a, b unsafe.Pointer, c *float32, ldc int, alpha float32, add bool)

//go:noescape
func multiplyPairs512x4(n int, a, b unsafe.Pointer, c *float32, ldc int, alpha float32, add bool)

//go:noescape
func multiplyPairs512x8(n int, a, b unsafe.Pointer, c *float32, ldc int, alpha float32, add bool)

//go:noescape
func multiplyPairs512x12(n int, a, b unsafe.Pointer, c *float32, ldc int, alpha float32, add bool)

//go:noescape
func multiply256x2(n int, a, b unsafe.Pointer, c *float32, ldc int, alpha float32, add bool)

//go:noescape
func multiply256x4(n int, a, b unsafe.Pointer, c *float32, ldc int, alpha float32, add bool)

//go:noescape
func multiply256x6(n int, a, b unsafe.Pointer, c *float32, ldc int, alpha float32, add bool)

// Packing of up to 16 rows along which k runs. Row r begins offsets[r] bytes after src and may be given twice; packed
// units are stride bytes apart; store has a bit for every lane to write.

//go:noescape
func packAlong512F32(dst, src unsafe.Pointer, offsets *[16]int, k, stride int, store uint32)

//go:noescape
func packAlong512BF16(dst, src unsafe.Pointer, offsets *[16]int, k, stride int, store uint32)

//go:noescape
func packAlong512Pair(dst, src unsafe.Pointer, offsets *[16]int, k, stride int, store uint32)

// Packing of up to 16 or 32 columns down which k runs, in steps of ld bytes. load has a bit for every column to read.

//go:noescape
func packDown512F32x16(dst, src unsafe.Pointer, ld, k, stride int, load, store uint32)

//go:noescape
func packDown512F32x32(dst, src unsafe.Pointer, ld, k, stride int, load, store uint32)

//go:noescape
func packDown512BF16x16(dst, src unsafe.Pointer, ld, k, stride int, load, store uint32)

//go:noescape
func packDown512BF16x32(dst, src unsafe.Pointer, ld, k, stride int, load, store uint32)

//go:noescape
func packDown512Pairx16(dst, src unsafe.Pointer, ld, k, stride int, load, store uint32)

//go:noescape
func packDown512Pairx32(dst, src unsafe.Pointer, ld, k, stride int, load, store uint32)

// Conversions of n values.

//go:noescape
func widen512(dst *float32, src unsafe.Pointer, n int)

//go:noescape
func narrow512(dst unsafe.Pointer, src *float32, n int)

// Products of 1 to 4 rows of A, lda floats apart, with the four rows of B at offsets bytes from b: out[4i+j]. What is
// ahead bytes after the rows of B is prefetched.

//go:noescape
func dots512F32x1(k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, ahead int, out *[16]float32)

//go:noescape
func dots512F32x2(k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, ahead int, out *[16]float32)

//go:noescape
func dots512F32x3(k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, ahead int, out *[16]float32)

//go:noescape
func dots512F32x4(k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, ahead int, out *[16]float32)

//go:noescape
func dots512BF16x1(k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, ahead int, out *[16]float32)

//go:noescape
func dots512BF16x2(k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, ahead int, out *[16]float32)

//go:noescape
func dots512BF16x3(k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, ahead int, out *[16]float32)

//go:noescape
func dots512BF16x4(k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, ahead int, out *[16]float32)

// The same for AVX2: 8 rows and whole vectors of k; store has the sign bit set in every lane to write.

//go:noescape
func packAlong256F32(dst, src unsafe.Pointer, offsets *[16]int, k, stride int, store *[8]int32)

//go:noescape
func packAlong256BF16(dst, src unsafe.Pointer, offsets *[16]int, k, stride int, store *[8]int32)

// Whole panels of 6 or 16 columns down which k > 0 runs.

//go:noescape
func packDown256F32x6(dst, src unsafe.Pointer, ld, k int)

//go:noescape
func packDown256F32x16(dst, src unsafe.Pointer, ld, k int)

//go:noescape
func packDown256BF16x6(dst, src unsafe.Pointer, ld, k int)

//go:noescape
func packDown256BF16x16(dst, src unsafe.Pointer, ld, k int)

// Products of whole vectors of k.

//go:noescape
func dots256F32x1(k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, ahead int, out *[16]float32)

//go:noescape
func dots256F32x2(k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, ahead int, out *[16]float32)

//go:noescape
func dots256BF16x1(k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, ahead int, out *[16]float32)

//go:noescape
func dots256BF16x2(k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, ahead int, out *[16]float32)
