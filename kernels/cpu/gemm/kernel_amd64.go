//go:build !noasm

package gemm

import (
	"unsafe"

	"forja/kernels/cpu/tier"
)

var (
	avx2 = kernel{
		mr: 6, nr: 16, step: 2, perUnit: 1, passK: 384, tileM: 96, tileN: 256,
		fewRows: 8, pack: pack256, multiply: multiply256,
	}
	avx512 = kernel{
		mr: 12, nr: 32, step: 4, perUnit: 1, passK: 768, tileM: 96, tileN: 256,
		fewRows: 32, pack: pack512, multiply: multiply512,
	}
	avx512Pairs = kernel{
		mr: 12, nr: 32, step: 4, perUnit: 2, passK: 768, tileM: 96, tileN: 256,
		fewRows: 16, pack: packPairs512, multiply: multiplyPairs512,
	}
)

// choose returns the kernel of the current tier for operands of these dtypes.
func choose(a, b DType) *kernel {
	switch tier.Current() {
	case tier.AVX512BF16:
		if a == BF16 && b == BF16 && pairsAreFaster {
			return &avx512Pairs
		}
		return &avx512
	case tier.AVX512:
		return &avx512
	case tier.AVX2:
		return &avx2
	default:
		return &portable
	}
}

func multiply256(n int, a, b unsafe.Pointer, c *float32, ldc int, alpha float32, add bool, rows int) {
	switch rows {
	case 2:
		multiply256x2(n, a, b, c, ldc, alpha, add)
	case 4:
		multiply256x4(n, a, b, c, ldc, alpha, add)
	default:
		multiply256x6(n, a, b, c, ldc, alpha, add)
	}
}

func multiply512(n int, a, b unsafe.Pointer, c *float32, ldc int, alpha float32, add bool, rows int) {
	switch rows {
	case 4:
		multiply512x4(n, a, b, c, ldc, alpha, add)
	case 8:
		multiply512x8(n, a, b, c, ldc, alpha, add)
	default:
		multiply512x12(n, a, b, c, ldc, alpha, add)
	}
}

func multiplyPairs512(n int, a, b unsafe.Pointer, c *float32, ldc int, alpha float32, add bool, rows int) {
	switch rows {
	case 4:
		multiplyPairs512x4(n, a, b, c, ldc, alpha, add)
	case 8:
		multiplyPairs512x8(n, a, b, c, ldc, alpha, add)
	default:
		multiplyPairs512x12(n, a, b, c, ldc, alpha, add)
	}
}

// bits is a mask of the lowest n bits.
func bits(n int) uint32 { return uint32(1<<n - 1) }

// pack512 packs float32 units.
func pack512(dst unsafe.Pointer, o operand, x, k0, lanes, k, width int) {
	src, step, stride := o.from(x, k0), o.Stride*o.DType.size(), width*4
	if o.kDown {
		load, store := bits(lanes), bits(width)
		switch {
		case o.DType == F32 && width > 16:
			packDown512F32x32(dst, src, step, k, stride, load, store)
		case o.DType == F32:
			packDown512F32x16(dst, src, step, k, stride, load, store)
		case width > 16:
			packDown512BF16x32(dst, src, step, k, stride, load, store)
		default:
			packDown512BF16x16(dst, src, step, k, stride, load, store)
		}
		return
	}
	for lane := 0; lane < width; lane += 16 {
		at, offsets, store := unsafe.Add(dst, lane*4), rowOffsets(lane, lanes, step), bits(min(16, width-lane))
		if o.DType == F32 {
			packAlong512F32(at, src, &offsets, k, stride, store)
		} else {
			packAlong512BF16(at, src, &offsets, k, stride, store)
		}
	}
}

// packPairs512 packs pairs of bfloat16.
func packPairs512(dst unsafe.Pointer, o operand, x, k0, lanes, k, width int) {
	src, step, stride := o.from(x, k0), o.Stride*2, width*4
	switch {
	case o.kDown && width > 16:
		packDown512Pairx32(dst, src, step, k, stride, bits(lanes), bits(width))
	case o.kDown:
		packDown512Pairx16(dst, src, step, k, stride, bits(lanes), bits(width))
	default:
		for lane := 0; lane < width; lane += 16 {
			offsets := rowOffsets(lane, lanes, step)
			packAlong512Pair(unsafe.Add(dst, lane*4), src, &offsets, k, stride, bits(min(16, width-lane)))
		}
	}
}

// pack256 packs float32 units, and leaves to plain Go what does not fill vectors.
func pack256(dst unsafe.Pointer, o operand, x, k0, lanes, k, width int) {
	src, step := o.from(x, k0), o.Stride*o.DType.size()
	if o.kDown {
		switch {
		case lanes < width:
			packPortable(dst, o, x, k0, lanes, k, width)
		case width == 6 && o.DType == F32:
			packDown256F32x6(dst, src, step, k)
		case width == 6:
			packDown256BF16x6(dst, src, step, k)
		case o.DType == F32:
			packDown256F32x16(dst, src, step, k)
		default:
			packDown256BF16x16(dst, src, step, k)
		}
		return
	}
	whole := k &^ 7
	for lane := 0; lane < width; lane += 8 {
		var store [8]int32
		for i := range min(8, width-lane) {
			store[i] = -1
		}
		at, offsets := unsafe.Add(dst, lane*4), rowOffsets(lane, lanes, step)
		if o.DType == F32 {
			packAlong256F32(at, src, &offsets, whole, width*4, &store)
		} else {
			packAlong256BF16(at, src, &offsets, whole, width*4, &store)
		}
	}
	packPortable(unsafe.Add(dst, whole*width*4), o, x, k0+whole, lanes, k-whole, width)
}

// rowOffsets are the offsets of rows lane..lane+16, with the last of the lanes rows standing in for those beyond.
func rowOffsets(lane, lanes, bytes int) (offsets [16]int) {
	for r := range offsets {
		offsets[r] = min(lane+r, lanes-1) * bytes
	}
	return offsets
}

// widen reads len(dst) bfloat16.
func widen(dst []float32, src unsafe.Pointer) {
	if tier.Current() >= tier.AVX512 && len(dst) > 0 {
		widen512(&dst[0], src, len(dst))
		return
	}
	widenPortable(dst, src)
}

// narrow writes len(src) bfloat16.
func narrow(dst unsafe.Pointer, src []float32) {
	if tier.Current() >= tier.AVX512 && len(src) > 0 {
		narrow512(dst, &src[0], len(src))
		return
	}
	narrowPortable(dst, src)
}
