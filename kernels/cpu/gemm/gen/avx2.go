package main

import "fmt"

// avx2s writes the packing and the dot products of AVX2, for whole vectors: the rest is for plain Go.
func avx2s(w *out) {
	for _, kind := range []string{"F32", "BF16"} {
		packAlong256(w, kind)
		for m := 1; m <= 2; m++ {
			dots256(w, m, kind)
		}
	}
	for _, width := range []int{6, 16} {
		packDown256(w, "F32", width)
		packDown256(w, "BF16", width)
	}
}

// load256 reads eight values as float32.
func load256(w *out, kind, from string, reg int) {
	if kind == "BF16" {
		w.p("VPMOVZXWD %s, Y%d", from, reg)
		w.p("VPSLLD $16, Y%d, Y%[1]d", reg)
	} else {
		w.p("VMOVUPS %s, Y%d", from, reg)
	}
}

// size256 is the bytes load256 reads.
func size256(kind string) int {
	if kind == "BF16" {
		return 16
	}
	return 32
}

// packAlong256 is packAlong512 for 8 rows and a multiple of 8 values; store has the sign bit of each lane to write.
func packAlong256(w *out, kind string) {
	w.text("packAlong256"+kind, "dst, src unsafe.Pointer, offsets *[16]int, k, stride int, store *[8]int32", 48)
	w.p("MOVQ dst+0(FP), DI")
	w.p("MOVQ src+8(FP), SI")
	w.p("MOVQ offsets+16(FP), DX")
	w.p("MOVQ k+24(FP), CX")
	w.p("MOVQ stride+32(FP), R8")
	w.p("MOVQ store+40(FP), BX")
	w.p("SHRQ $3, CX")
	w.p("JZ done")
	w.label("loop")
	for r := range 8 {
		w.p("MOVQ %d(DX), AX", 8*r)
		w.p("PREFETCHT0 %d(SI)(AX*1)", aheadRow)
		load256(w, kind, "(SI)(AX*1)", r)
	}
	for g := 0; g < 8; g += 4 { // fours of rows; Y(g+q) holds columns q and 4+q
		w.p("VUNPCKLPS Y%d, Y%d, Y8", g+1, g)
		w.p("VUNPCKHPS Y%d, Y%d, Y9", g+1, g)
		w.p("VUNPCKLPS Y%d, Y%d, Y10", g+3, g+2)
		w.p("VUNPCKHPS Y%d, Y%d, Y11", g+3, g+2)
		w.p("VUNPCKLPD Y10, Y8, Y%d", g)
		w.p("VUNPCKHPD Y10, Y8, Y%d", g+1)
		w.p("VUNPCKLPD Y11, Y9, Y%d", g+2)
		w.p("VUNPCKHPD Y11, Y9, Y%d", g+3)
	}
	w.p("VMOVUPS (BX), Y15")
	for half := range 2 {
		for q := range 4 {
			w.p("VPERM2F128 $0x%d, Y%d, Y%d, Y8", 20+11*half, 4+q, q)
			w.p("VMASKMOVPS Y8, Y15, (DI)")
			w.p("ADDQ R8, DI")
		}
	}
	w.p("ADDQ $%d, SI", size256(kind))
	w.p("DECQ CX")
	w.p("JNZ loop")
	w.label("done")
	w.ret()
}

// packDown256 packs whole panels of width columns down which k runs.
func packDown256(w *out, kind string, width int) {
	w.text(fmt.Sprintf("packDown256%sx%d", kind, width), "dst, src unsafe.Pointer, ld, k int", 32)
	w.p("MOVQ dst+0(FP), DI")
	w.p("MOVQ src+8(FP), SI")
	w.p("MOVQ ld+16(FP), DX")
	w.p("MOVQ k+24(FP), CX")
	w.label("loop")
	w.p("PREFETCHT0 %d(SI)", aheadRow)
	switch {
	case width == 16:
		for v := range 2 {
			load256(w, kind, fmt.Sprintf("%d(SI)", v*size256(kind)), v)
			w.p("VMOVUPS Y%d, %d(DI)", v, v*32)
		}
	case kind == "F32": // 6 = 4 + 2
		w.p("VMOVUPS (SI), X0")
		w.p("VMOVSD 16(SI), X1")
		w.p("VMOVUPS X0, (DI)")
		w.p("VMOVSD X1, 16(DI)")
	default:
		w.p("VMOVQ (SI), X0")
		w.p("VMOVD 8(SI), X1")
		w.p("VPMOVZXWD X0, X0")
		w.p("VPMOVZXWD X1, X1")
		w.p("VPSLLD $16, X0, X0")
		w.p("VPSLLD $16, X1, X1")
		w.p("VMOVUPS X0, (DI)")
		w.p("VMOVSD X1, 16(DI)")
	}
	w.p("ADDQ DX, SI")
	w.p("ADDQ $%d, DI", 4*width)
	w.p("DECQ CX")
	w.p("JNZ loop")
	w.ret()
}

// dots256 is dots512 for up to two rows of A and a multiple of 8 values.
func dots256(w *out, m int, kind string) {
	w.text(fmt.Sprintf("dots256%sx%d", kind, m), dotsSignature, 56)
	rowsB := dotsArguments(w)
	for i := range 4 * m {
		w.p("VXORPS Y%d, Y%[1]d, Y%[1]d", i)
	}
	w.p("SHRQ $3, CX")
	w.p("JZ sum")
	w.label("loop")
	for i, from := range []string{"(SI)", "(SI)(R8*1)"}[:m] {
		w.p("VMOVUPS %s, Y%d", from, 12+i)
	}
	for j, r := range rowsB {
		w.p("PREFETCHT1 (%s)(DX*1)", r)
		load256(w, kind, "("+r+")", 8+j)
		w.p("ADDQ $%d, %s", size256(kind), r)
		for i := range m {
			w.p("VFMADD231PS Y%d, Y%d, Y%d", 8+j, 12+i, 4*i+j)
		}
	}
	w.p("ADDQ $32, SI")
	w.p("DECQ CX")
	w.p("JNZ loop")
	w.label("sum")
	w.p("MOVQ out+48(FP), DI")
	for i := range m {
		a := 4 * i
		w.p("VHADDPS Y%d, Y%d, Y%d", a+1, a, a)
		w.p("VHADDPS Y%d, Y%d, Y%d", a+3, a+2, a+2)
		w.p("VHADDPS Y%d, Y%d, Y%d", a+2, a, a)
		w.p("VEXTRACTF128 $1, Y%d, X%d", a, a+1)
		w.p("VADDPS X%d, X%d, X%d", a, a+1, a)
		w.p("VMOVUPS X%d, %d(DI)", a, 16*i)
	}
	w.ret()
}
