//go:build !noasm

package gemm

import "unsafe"

// Micro-kernels; see kernel.multiply. The number is that of the rows.

//go:noescape
func multiplyF32x5124(n int, a, b unsafe.Pointer, c *float32, ldc int, alpha float32, add bool)

//go:noescape
func multiplyF32x5128(n int, a, b unsafe.Pointer, c *float32, ldc int, alpha float32, add bool)

//go:noescape
func multiplyF32x51212(n int, a, b unsafe.Pointer, c *float32, ldc int, alpha float32, add bool)

//go:noescape
func multiplyPairx5124(n int, a, b unsafe.Pointer, c *float32, ldc int, alpha float32, add bool)

//go:noescape
func multiplyPairx5128(n int, a, b unsafe.Pointer, c *float32, ldc int, alpha float32, add bool)

//go:noescape
func multiplyPairx51212(n int, a, b unsafe.Pointer, c *float32, ldc int, alpha float32, add bool)

//go:noescape
func multiplyF32x2562(n int, a, b unsafe.Pointer, c *float32, ldc int, alpha float32, add bool)

//go:noescape
func multiplyF32x2564(n int, a, b unsafe.Pointer, c *float32, ldc int, alpha float32, add bool)

//go:noescape
func multiplyF32x2566(n int, a, b unsafe.Pointer, c *float32, ldc int, alpha float32, add bool)

// Packing of up to 16 rows along which k runs. Row r begins offsets[r] bytes after src and may be given twice; packed
// units are stride bytes apart; store has a bit for every lane to write.

//go:noescape
func packAlongF32x512(dst, src unsafe.Pointer, offsets *[16]int, k, stride int, store uint32)

//go:noescape
func packAlongBF16x512(dst, src unsafe.Pointer, offsets *[16]int, k, stride int, store uint32)

//go:noescape
func packAlongPairx512(dst, src unsafe.Pointer, offsets *[16]int, k, stride int, store uint32)

// Packing of up to 16 or 32 columns down which k runs, in steps of ld bytes. load has a bit for every column to read.

//go:noescape
func packDownF321x512(dst, src unsafe.Pointer, ld, k, stride int, load, store uint32)

//go:noescape
func packDownF322x512(dst, src unsafe.Pointer, ld, k, stride int, load, store uint32)

//go:noescape
func packDownBF161x512(dst, src unsafe.Pointer, ld, k, stride int, load, store uint32)

//go:noescape
func packDownBF162x512(dst, src unsafe.Pointer, ld, k, stride int, load, store uint32)

//go:noescape
func packDownPair1x512(dst, src unsafe.Pointer, ld, k, stride int, load, store uint32)

//go:noescape
func packDownPair2x512(dst, src unsafe.Pointer, ld, k, stride int, load, store uint32)

// Conversions of n values.

//go:noescape
func widen512(dst *float32, src unsafe.Pointer, n int)

//go:noescape
func narrow512(dst unsafe.Pointer, src *float32, n int)

// Products of 1 to 4 rows of A, lda floats apart, with the four rows of B at offsets bytes from b: out[4i+j]. What is
// ahead bytes after the rows of B is prefetched.

//go:noescape
func dotsF321x512(k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, ahead int, out *[16]float32)

//go:noescape
func dotsF322x512(k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, ahead int, out *[16]float32)

//go:noescape
func dotsF323x512(k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, ahead int, out *[16]float32)

//go:noescape
func dotsF324x512(k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, ahead int, out *[16]float32)

//go:noescape
func dotsBF161x512(k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, ahead int, out *[16]float32)

//go:noescape
func dotsBF162x512(k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, ahead int, out *[16]float32)

//go:noescape
func dotsBF163x512(k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, ahead int, out *[16]float32)

//go:noescape
func dotsBF164x512(k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, ahead int, out *[16]float32)

// The same for AVX2: 8 rows and whole vectors of k; store has the sign bit set in every lane to write.

//go:noescape
func packAlongF32x256(dst, src unsafe.Pointer, offsets *[16]int, k, stride int, store *[8]int32)

//go:noescape
func packAlongBF16x256(dst, src unsafe.Pointer, offsets *[16]int, k, stride int, store *[8]int32)

// Whole panels of 6 or 16 columns down which k > 0 runs.

//go:noescape
func packDownF326x256(dst, src unsafe.Pointer, ld, k int)

//go:noescape
func packDownF3216x256(dst, src unsafe.Pointer, ld, k int)

//go:noescape
func packDownBF166x256(dst, src unsafe.Pointer, ld, k int)

//go:noescape
func packDownBF1616x256(dst, src unsafe.Pointer, ld, k int)

// Products of whole vectors of k.

//go:noescape
func dotsF321x256(k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, ahead int, out *[16]float32)

//go:noescape
func dotsF322x256(k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, ahead int, out *[16]float32)

//go:noescape
func dotsBF161x256(k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, ahead int, out *[16]float32)

//go:noescape
func dotsBF162x256(k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, ahead int, out *[16]float32)
