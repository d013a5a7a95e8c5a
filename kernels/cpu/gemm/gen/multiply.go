package main

import "fmt"

// A shape is a family of micro-kernels: sums of rows x 2 vectors in registers.
type shape struct {
	name   string // of the function, but for the rows
	reg    string // register letter
	bytes  int    // of a register
	rows   int    // of a panel of A
	pairs  bool   // units are pairs of bfloat16
	spares int    // registers for broadcasts of A, rotating
}

func multiplies(w *out) {
	for _, s := range []shape{
		{"multiply512", "Z", 64, 12, false, 6}, {"multiplyPairs512", "Z", 64, 12, true, 6}, {"multiply256", "Y", 32, 6, false, 2},
	} {
		for part := 1; part <= 3; part++ {
			s.kernel(w, s.rows/3*part)
		}
	}
}

const unroll = 4

// How far ahead of their use panels are prefetched, in bytes: long enough for the last-level cache, since every panel
// is first met there.
const aheadA, aheadB = 2048, 2048

// kernel writes the micro-kernel for the first rows rows of a panel of A.
func (s shape) kernel(w *out, rows int) {
	w.text(fmt.Sprintf("%sx%d", s.name, rows), "n int, a, b unsafe.Pointer, c *float32, ldc int, alpha float32, add bool", 45)
	b0 := 2 * s.rows // registers: sums, two vectors of B, broadcasts of A
	sum := func(r, half int) string { return fmt.Sprintf("%s%d", s.reg, 2*r+half) }
	w.p("MOVQ n+0(FP), CX")
	w.p("MOVQ a+8(FP), SI")
	w.p("MOVQ b+16(FP), DI")
	w.p("MOVQ c+24(FP), DX")
	w.p("MOVQ ldc+32(FP), R8")
	w.p("SHLQ $2, R8")
	for r := range rows {
		for half := range 2 {
			w.p("VXORPS %s, %[1]s, %[1]s", sum(r, half))
		}
	}
	w.p("MOVQ DX, R9")
	for r := range rows { // the rows of C, needed at the end
		w.p("PREFETCHT0 (R9)")
		w.p("PREFETCHT0 %d(R9)", 2*s.bytes-1)
		if r < rows-1 {
			w.p("ADDQ R8, R9")
		}
	}
	step := func(u int) {
		w.p("VMOVUPS %d(DI), %s%d", u*2*s.bytes, s.reg, b0)
		w.p("VMOVUPS %d(DI), %s%d", (2*u+1)*s.bytes, s.reg, b0+1)
		for r := range rows {
			spare := b0 + 2 + r%s.spares
			w.p("VBROADCASTSS %d(SI), %s%d", (u*s.rows+r)*4, s.reg, spare)
			for half := range 2 {
				if s.pairs {
					w.p("%s", vdpbf16ps(2*r+half, spare, b0+half))
				} else {
					w.p("VFMADD231PS %s%d, %s%d, %s", s.reg, b0+half, s.reg, spare, sum(r, half))
				}
			}
		}
	}
	w.p("MOVQ CX, R10")
	w.p("SHRQ $2, R10")
	w.p("JZ rest")
	w.p("PCALIGN $64")
	w.label("loop")
	lines := unroll * s.rows * 4 / 64
	for u := range unroll {
		for v := 0; v < 2*s.bytes; v += 64 {
			w.p("PREFETCHT0 %d(DI)", aheadB+u*2*s.bytes+v)
		}
		if u < lines {
			w.p("PREFETCHT0 %d(SI)", aheadA+u*64)
		}
		step(u)
	}
	w.p("ADDQ $%d, DI", unroll*2*s.bytes)
	w.p("ADDQ $%d, SI", unroll*s.rows*4)
	w.p("DECQ R10")
	w.p("JNZ loop")
	w.label("rest")
	w.p("ANDQ $3, CX")
	w.p("JZ scale")
	w.label("one")
	step(0)
	w.p("ADDQ $%d, DI", 2*s.bytes)
	w.p("ADDQ $%d, SI", s.rows*4)
	w.p("DECQ CX")
	w.p("JNZ one")
	w.label("scale")
	w.p("VBROADCASTSS alpha+40(FP), %s%d", s.reg, b0)
	w.p("MOVQ DX, R9")
	for r := range rows {
		for half := range 2 {
			w.p("VMULPS %s%d, %s, %[3]s", s.reg, b0, sum(r, half))
		}
	}
	w.p("CMPB add+44(FP), $0")
	w.p("JEQ store")
	for r := range rows {
		for half := range 2 {
			w.p("VADDPS %d(R9), %s, %[2]s", half*s.bytes, sum(r, half))
		}
		w.p("ADDQ R8, R9")
	}
	w.label("store")
	for r := range rows {
		for half := range 2 {
			w.p("VMOVUPS %s, %d(DX)", sum(r, half), half*s.bytes)
		}
		w.p("ADDQ R8, DX")
	}
	w.ret()
}
