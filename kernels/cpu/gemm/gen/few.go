package main

import "fmt"

func fews(w *out) {
	for m := 1; m <= 4; m++ {
		for _, kind := range []string{"F32", "BF16"} {
			dots512(w, m, kind)
		}
	}
}

// dots512 writes the products of m rows of float32 with four rows of B along which k runs. Row i of A begins at
// a + i·lda, row j of B at b + offsets[j] bytes; out[4i+j] becomes their product. The memory ahead bytes after each
// row of B, which is where the next four rows are, is prefetched: rows are too short for the processor to do it well.
func dots512(w *out, m int, kind string) {
	w.text(fmt.Sprintf("dots512%sx%d", kind, m), dotsSignature, 56)
	rowsB := dotsArguments(w)
	for i := range 16 {
		w.p("VXORPS Z%d, Z%[1]d, Z%[1]d", i)
	}
	bytes := 64
	if kind == "BF16" {
		bytes = 32
	}
	rowsA := []string{"(SI)", "(SI)(R8*1)", "(SI)(R8*2)", "(SI)(R9*1)"}
	step := func(mask string, prefetch bool) {
		z, k := "", ""
		if mask != "" {
			z, k = ".Z", mask+", "
		}
		for i := range m {
			w.p("VMOVUPS%s %s, %sZ%d", z, rowsA[i], k, 20+i)
		}
		for j, r := range rowsB {
			if prefetch {
				w.p("PREFETCHT1 (%s)(DX*1)", r)
			}
			if kind == "BF16" {
				w.p("VPMOVZXWD%s (%s), %sZ%d", z, r, k, 16+j)
				w.p("VPSLLD $16, Z%d, Z%[1]d", 16+j)
			} else {
				w.p("VMOVUPS%s (%s), %sZ%d", z, r, k, 16+j)
			}
			w.p("ADDQ $%d, %s", bytes, r)
			for i := range m {
				w.p("VFMADD231PS Z%d, Z%d, Z%d", 16+j, 20+i, 4*i+j)
			}
		}
		w.p("ADDQ $64, SI")
	}
	line := 64 / bytes // steps
	w.p("PCALIGN $32")
	w.label("loop")
	w.p("SUBQ $%d, CX", 16*line)
	w.p("JLT rest")
	for u := range line {
		step("", u == 0)
	}
	w.p("JMP loop")
	w.label("rest")
	if line > 1 {
		w.p("ADDQ $16, CX")
		w.p("JLT last")
		step("", false)
		w.p("SUBQ $16, CX")
		w.label("last")
	}
	w.p("ADDQ $16, CX")
	w.p("JZ sum")
	w.p("MOVL $1, AX")
	w.p("SHLL CX, AX")
	w.p("DECL AX")
	w.p("KMOVW AX, K1")
	step("K1", false)
	w.label("sum")
	// Halve the number of registers four times; every step adds the halves of what it interleaves.
	for g := 0; g < 4*m; g += 2 {
		w.p("VUNPCKLPS Z%d, Z%d, Z16", g+1, g)
		w.p("VUNPCKHPS Z%d, Z%d, Z17", g+1, g)
		w.p("VADDPS Z16, Z17, Z%d", g)
	}
	for g := 0; g < 4*m; g += 4 {
		w.p("VUNPCKLPD Z%d, Z%d, Z16", g+2, g)
		w.p("VUNPCKHPD Z%d, Z%d, Z17", g+2, g)
		w.p("VADDPS Z16, Z17, Z%d", g)
	}
	for g := 0; g < 16; g += 8 {
		w.p("VSHUFF32X4 $0x88, Z%d, Z%d, Z16", g+4, g)
		w.p("VSHUFF32X4 $0xdd, Z%d, Z%d, Z17", g+4, g)
		w.p("VADDPS Z16, Z17, Z%d", g)
	}
	w.p("VSHUFF32X4 $0x88, Z8, Z0, Z16")
	w.p("VSHUFF32X4 $0xdd, Z8, Z0, Z17")
	w.p("VADDPS Z16, Z17, Z0")
	w.p("MOVQ out+48(FP), DI")
	w.p("VMOVUPS Z0, (DI)")
	w.ret()
}

const dotsSignature = "k int, a *float32, lda int, b unsafe.Pointer, offsets *[4]int, ahead int, out *[16]float32"

// dotsArguments loads the arguments but out: k to CX, a to SI, the row of A in bytes to R8 and its triple to R9, ahead
// to DX, and the rows of B to the registers returned.
func dotsArguments(w *out) (rowsB []string) {
	w.p("MOVQ k+0(FP), CX")
	w.p("MOVQ a+8(FP), SI")
	w.p("MOVQ lda+16(FP), R8")
	w.p("SHLQ $2, R8")
	w.p("LEAQ (R8)(R8*2), R9")
	w.p("MOVQ b+24(FP), AX")
	w.p("MOVQ offsets+32(FP), BX")
	w.p("MOVQ ahead+40(FP), DX")
	rowsB = []string{"R10", "R11", "R12", "R13"}
	for j, r := range rowsB {
		w.p("MOVQ %d(BX), %s", 8*j, r)
		w.p("ADDQ AX, %s", r)
	}
	return rowsB
}
