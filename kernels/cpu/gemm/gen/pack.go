package main

import "fmt"

// How far ahead along the stored rows packing prefetches, in bytes.
const aheadRow = 256

func packs(w *out) {
	for _, kind := range []string{"F32", "BF16", "Pair"} {
		packAlong512(w, kind)
		for vectors := 1; vectors <= 2; vectors++ {
			packDown512(w, kind, vectors)
		}
	}
	convert512(w)
}

// transpose16 transposes the 16x16 matrix in Z0-Z15 in four steps of two-register shuffles, by way of Z16-Z31.
func transpose16(w *out) {
	for g := 0; g < 16; g += 4 { // pairs of rows
		w.p("VUNPCKLPS Z%d, Z%d, Z%d", g+1, g, 16+g)
		w.p("VUNPCKHPS Z%d, Z%d, Z%d", g+1, g, 17+g)
		w.p("VUNPCKLPS Z%d, Z%d, Z%d", g+3, g+2, 18+g)
		w.p("VUNPCKHPS Z%d, Z%d, Z%d", g+3, g+2, 19+g)
	}
	for g := 0; g < 16; g += 4 { // fours of rows; Z(g+q) holds columns q, 4+q, 8+q, 12+q
		w.p("VUNPCKLPD Z%d, Z%d, Z%d", 18+g, 16+g, g)
		w.p("VUNPCKHPD Z%d, Z%d, Z%d", 18+g, 16+g, g+1)
		w.p("VUNPCKLPD Z%d, Z%d, Z%d", 19+g, 17+g, g+2)
		w.p("VUNPCKHPD Z%d, Z%d, Z%d", 19+g, 17+g, g+3)
	}
	for q := range 4 { // eights of rows
		w.p("VSHUFF32X4 $0x88, Z%d, Z%d, Z%d", 4+q, q, 16+q)
		w.p("VSHUFF32X4 $0xdd, Z%d, Z%d, Z%d", 4+q, q, 20+q)
		w.p("VSHUFF32X4 $0x88, Z%d, Z%d, Z%d", 12+q, 8+q, 24+q)
		w.p("VSHUFF32X4 $0xdd, Z%d, Z%d, Z%d", 12+q, 8+q, 28+q)
	}
	for q := range 4 { // all rows
		w.p("VSHUFF32X4 $0x88, Z%d, Z%d, Z%d", 24+q, 16+q, q)
		w.p("VSHUFF32X4 $0x88, Z%d, Z%d, Z%d", 28+q, 20+q, 4+q)
		w.p("VSHUFF32X4 $0xdd, Z%d, Z%d, Z%d", 24+q, 16+q, 8+q)
		w.p("VSHUFF32X4 $0xdd, Z%d, Z%d, Z%d", 28+q, 20+q, 12+q)
	}
}

// packAlong512 writes the packing of up to 16 rows along which k runs: a transpose. offsets are those of the rows
// from src, in bytes; a row may appear twice. stride is the distance of packed units in bytes, store the mask of lanes.
func packAlong512(w *out, kind string) {
	w.text("packAlong512"+kind, "dst, src unsafe.Pointer, offsets *[16]int, k, stride int, store uint32", 44)
	w.p("MOVQ dst+0(FP), DI")
	w.p("MOVQ src+8(FP), SI")
	w.p("MOVQ offsets+16(FP), DX")
	w.p("MOVQ k+24(FP), CX")
	w.p("MOVQ stride+32(FP), R8")
	w.p("MOVL store+40(FP), AX")
	w.p("KMOVW AX, K1")
	perVector, bytes := 16, 64
	switch kind {
	case "BF16":
		bytes = 32
	case "Pair":
		perVector = 32
	}
	load := func(mask string) {
		for r := range 16 {
			w.p("MOVQ %d(DX), AX", 8*r)
			if mask == "" {
				w.p("PREFETCHT0 %d(SI)(AX*1)", aheadRow)
			}
			from, z, m := "(SI)(AX*1)", "", ""
			if mask != "" {
				z, m = ".Z", mask+", "
			}
			switch kind {
			case "F32":
				w.p("VMOVUPS%s %s, %sZ%d", z, from, m, r)
			case "BF16":
				w.p("VPMOVZXWD%s %s, %sZ%d", z, from, m, r)
				w.p("VPSLLD $16, Z%d, Z%[1]d", r)
			case "Pair":
				w.p("VMOVDQU16%s %s, %sZ%d", z, from, m, r)
			}
		}
	}
	w.label("loop")
	w.p("CMPQ CX, $%d", perVector)
	w.p("JLT rest")
	load("")
	transpose16(w)
	for r := range 16 {
		w.p("VMOVUPS Z%d, K1, (DI)", r)
		w.p("ADDQ R8, DI")
	}
	w.p("ADDQ $%d, SI", bytes)
	w.p("SUBQ $%d, CX", perVector)
	w.p("JMP loop")
	w.label("rest")
	w.p("TESTQ CX, CX")
	w.p("JZ done")
	w.p("MOVL $1, AX")
	w.p("SHLL CX, AX")
	w.p("DECL AX")
	w.p("KMOVD AX, K2")
	load("K2")
	transpose16(w)
	for r := range 16 {
		w.p("VMOVUPS Z%d, K1, (DI)", r)
		w.p("ADDQ R8, DI")
		w.p("SUBQ $%d, CX", perVector/16)
		w.p("JLE done")
	}
	w.label("done")
	w.ret()
}

// packDown512 writes the packing of up to 16·vectors columns down which k runs. load has a bit for each column to
// read, store for each lane of the panel.
func packDown512(w *out, kind string, vectors int) {
	w.text(fmt.Sprintf("packDown512%sx%d", kind, 16*vectors), "dst, src unsafe.Pointer, ld, k, stride int, load, store uint32", 48)
	w.p("MOVQ dst+0(FP), DI")
	w.p("MOVQ src+8(FP), SI")
	w.p("MOVQ ld+16(FP), DX")
	w.p("MOVQ k+24(FP), CX")
	w.p("MOVQ stride+32(FP), R8")
	w.p("MOVL load+40(FP), AX")
	w.p("MOVL store+44(FP), BX")
	w.p("LEAQ (DX)(DX*1), R9")
	for v := range vectors {
		w.p("KMOVW AX, K%d", 1+v)
		w.p("KMOVW BX, K%d", 3+v)
		w.p("SHRL $16, AX")
		w.p("SHRL $16, BX")
	}
	bytes := 32
	if kind == "F32" {
		bytes = 64
	}
	// unit packs one unit; odd says that the second value of a pair is missing.
	unit := func(prefetch, odd bool) {
		for v := range vectors {
			if prefetch && v*bytes%64 == 0 { // the panels after the next are packed from the same rows
				w.p("PREFETCHT0 %d(SI)", aheadRow+v*bytes)
				if kind == "Pair" {
					w.p("PREFETCHT0 %d(SI)(DX*1)", aheadRow+v*bytes)
				}
			}
			switch kind {
			case "F32":
				w.p("VMOVUPS.Z %d(SI), K%d, Z%d", v*bytes, 1+v, v)
			case "BF16":
				w.p("VPMOVZXWD.Z %d(SI), K%d, Z%d", v*bytes, 1+v, v)
				w.p("VPSLLD $16, Z%d, Z%[1]d", v)
			case "Pair":
				w.p("VPMOVZXWD.Z %d(SI), K%d, Z%d", v*bytes, 1+v, v)
				if !odd {
					w.p("VPMOVZXWD.Z %d(SI)(DX*1), K%d, Z%d", v*bytes, 1+v, 2+v)
					w.p("VPSLLD $16, Z%d, Z%[1]d", 2+v)
					w.p("VPORD Z%d, Z%d, Z%[2]d", 2+v, v)
				}
			}
			w.p("VMOVUPS Z%d, K%d, %d(DI)", v, 3+v, v*64)
		}
	}
	per, next := 1, "DX"
	if kind == "Pair" {
		per, next = 2, "R9"
	}
	w.label("loop")
	w.p("SUBQ $%d, CX", per)
	w.p("JLT rest")
	unit(true, false)
	w.p("ADDQ %s, SI", next)
	w.p("ADDQ R8, DI")
	w.p("JMP loop")
	w.label("rest")
	if kind == "Pair" {
		w.p("CMPQ CX, $-1")
		w.p("JNE done")
		unit(false, true)
		w.label("done")
	}
	w.ret()
}

// convert512 writes the conversions between float32 and bfloat16.
func convert512(w *out) {
	each := func(body func(load, store string)) {
		w.label("loop")
		w.p("SUBQ $16, CX")
		w.p("JLT rest")
		body("", "")
		w.p("JMP loop")
		w.label("rest")
		w.p("ADDQ $16, CX")
		w.p("JZ done")
		w.p("MOVL $1, AX")
		w.p("SHLL CX, AX")
		w.p("DECL AX")
		w.p("KMOVW AX, K1")
		body(".Z", "K1, ")
		w.label("done")
		w.ret()
	}
	w.text("widen512", "dst *float32, src unsafe.Pointer, n int", 24)
	w.p("MOVQ dst+0(FP), DI")
	w.p("MOVQ src+8(FP), SI")
	w.p("MOVQ n+16(FP), CX")
	each(func(z, mask string) {
		w.p("VPMOVZXWD%s (SI), %sZ0", z, mask)
		w.p("VPSLLD $16, Z0, Z0")
		w.p("VMOVUPS Z0, %s(DI)", mask)
		w.p("ADDQ $32, SI")
		w.p("ADDQ $64, DI")
	})
	w.text("narrow512", "dst unsafe.Pointer, src *float32, n int", 24)
	w.p("MOVQ dst+0(FP), DI")
	w.p("MOVQ src+8(FP), SI")
	w.p("MOVQ n+16(FP), CX")
	for i, v := range []int{0x7fff, 1, 0x400000} {
		w.p("MOVL $0x%x, AX", v)
		w.p("VPBROADCASTD AX, Z%d", 29+i)
	}
	each(func(z, mask string) {
		w.p("VMOVUPS%s (SI), %sZ0", z, mask)
		w.p("VCMPPS $3, Z0, Z0, K2") // NaN
		w.p("VPSRLD $16, Z0, Z1")
		w.p("VPANDD Z30, Z1, Z1")
		w.p("VPADDD Z29, Z1, Z1")
		w.p("VPADDD Z0, Z1, Z1")
		w.p("VPORD Z31, Z0, K2, Z1")
		w.p("VPSRLD $16, Z1, Z1")
		w.p("VPMOVDW Z1, %s(DI)", mask)
		w.p("ADDQ $64, SI")
		w.p("ADDQ $32, DI")
	})
}
