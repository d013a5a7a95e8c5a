package main

import "math"

// kernels is the table of all primitives.
func kernels() []*kernel {
	var ks []*kernel
	each := func(sig string, unroll int, body func(b *block)) {
		ks = append(ks, &kernel{sig: parse(sig), unroll: unroll, body: body})
	}
	reduction := func(sig string, start []float64, body func(b *block), finish func(f *function)) {
		ks = append(ks, &kernel{sig: parse(sig), unroll: 4, body: body, start: start, finish: finish})
	}

	each("widen(dst []float32, src []uint16)", 4, func(b *block) {
		b.store("dst", b.shift("VPSLLD", b.loadWords("src"), 16))
	})
	each("narrow(dst []uint16, src []float32)", 2, narrow)
	each("widenF16(dst []float32, src []uint16)", 4, func(b *block) { b.store("dst", b.loadHalf("src")) })

	each("fill(y []float32, a float32)", 4, func(b *block) { b.store("y", b.scalar("a")) })
	each("add(z, x, y []float32)", 4, func(b *block) { b.store("z", b.add(b.load("x"), b.load("y"))) })
	each("sub(z, x, y []float32)", 4, func(b *block) { b.store("z", b.sub(b.load("x"), b.load("y"))) })
	each("mul(z, x, y []float32)", 4, func(b *block) { b.store("z", b.mul(b.load("x"), b.load("y"))) })
	each("mulAdd(z, x, y []float32)", 4, func(b *block) {
		b.store("z", b.fma(b.load("x"), b.load("y"), b.load("z")))
	})
	each("scale(y []float32, a float32, x []float32)", 4, func(b *block) {
		b.store("y", b.mul(b.load("x"), b.scalar("a")))
	})
	each("addScaled(z, x []float32, a float32, y []float32)", 4, func(b *block) {
		b.store("z", b.fma(b.load("y"), b.scalar("a"), b.load("x")))
	})
	each("rotate(y1, y2, x1, x2, cos, sin []float32)", 2, func(b *block) {
		x1, x2, cos, sin := b.load("x1"), b.load("x2"), b.load("cos"), b.load("sin")
		b.store("y1", b.fms(x1, cos, b.mul(x2, sin)))
		b.store("y2", b.fma(x2, cos, b.mul(x1, sin)))
	})
	each("rotateBack(y1, y2, x1, x2, cos, sin []float32)", 2, func(b *block) {
		x1, x2, cos, sin := b.load("x1"), b.load("x2"), b.load("cos"), b.load("sin")
		b.store("y1", b.fma(x1, cos, b.mul(x2, sin)))
		b.store("y2", b.fms(x2, cos, b.mul(x1, sin)))
	})

	zero := []float64{0}
	total := func(f *function) {
		f.reduce(0, "VADDPS")
		f.line("VMOVSS X0, %s", f.result(0))
	}
	reduction("sum(x []float32) float32", zero, func(b *block) { b.accumulate("VADDPS", 0, b.load("x")) }, total)
	reduction("dot(x, y []float32) float32", zero, func(b *block) {
		b.accumulateProduct(0, b.load("x"), b.load("y"))
	}, total)
	reduction("maximum(x []float32) float32", []float64{math.Inf(-1), 0}, maximum, finishMaximum)
	ks = append(ks, &kernel{sig: parse("index(x []float32, v float32) int"), raw: index})

	each("exp(y, x []float32)", 2, func(b *block) { b.store("y", b.exp(b.load("x"))) })
	reduction("expSum(y, x []float32, shift float32) float32", zero, func(b *block) {
		y := b.exp(b.sub(b.load("x"), b.scalar("shift")))
		b.store("y", y)
		b.accumulate("VADDPS", 0, b.inTail(y, b.number(0)))
	}, total)
	each("softmaxGrad(dx, dy, y []float32, s float32)", 4, func(b *block) {
		b.store("dx", b.mul(b.sub(b.load("dy"), b.scalar("s")), b.load("y")))
	})
	each("tanh(y, x []float32)", 1, func(b *block) { b.store("y", b.tanh(b.load("x"))) })
	each("sigmoid(y, x []float32)", 1, func(b *block) { b.store("y", b.sigmoid(b.load("x"))) })

	each("gelu(y, x []float32)", 1, func(b *block) {
		x := b.finite(b.load("x"))
		inner := b.fma(b.mul(x, x), b.number(geluCubic), b.number(geluLinear))
		b.store("y", b.mul(x, b.sigmoid(b.mul(x, inner))))
	})
	each("geluGrad(dx, dy, x []float32)", 1, func(b *block) {
		x := b.clamp(b.load("x"), geluEnd)
		square := b.mul(x, x)
		s, slope := b.sigmoidSlope(b.mul(x, b.fma(square, b.number(geluCubic), b.number(geluLinear))))
		chain := b.fma(square, b.number(3*geluCubic), b.number(geluLinear))
		b.store("dx", b.mul(b.fma(b.mul(x, slope), chain, s), b.load("dy")))
	})
	each("geluErf(y, x []float32)", 1, func(b *block) {
		x := b.finite(b.load("x"))
		phi, _ := b.normal(x)
		b.store("y", b.mul(x, phi))
	})
	each("geluErfGrad(dx, dy, x []float32)", 1, func(b *block) {
		const density = 0.3989422804014326779399460599343819 // 1/√(2π)
		x := b.clamp(b.load("x"), geluErfEnd)
		phi, e := b.normal(x)
		b.store("dx", b.mul(b.fma(b.mul(x, b.number(density)), e, phi), b.load("dy")))
	})
	each("silu(y, x []float32)", 1, func(b *block) {
		x := b.finite(b.load("x"))
		b.store("y", b.mul(x, b.sigmoid(x)))
	})
	each("siluGrad(dx, dy, x []float32)", 1, func(b *block) {
		x := b.clamp(b.load("x"), siluEnd)
		s, slope := b.sigmoidSlope(x)
		b.store("dx", b.mul(b.fma(x, slope, s), b.load("dy")))
	})
	each("swiGLU(y, g, u []float32)", 1, func(b *block) {
		g := b.finite(b.load("g"))
		b.store("y", b.mul(b.mul(g, b.sigmoid(g)), b.load("u")))
	})
	each("swiGLUGrad(dg, du, dy, g, u []float32)", 1, func(b *block) {
		g := b.finite(b.load("g"))
		s, slope := b.sigmoidSlope(g)
		dy := b.load("dy")
		chain := b.fma(b.clamp(g, siluEnd), slope, s)
		dg := b.mul(b.mul(dy, b.load("u")), chain)
		b.store("du", b.mul(b.mul(g, s), dy))
		b.store("dg", dg)
	})

	norms(each, reduction, total)
	each("adamW(w, m, v, g []float32, gradScale, beta1, rest1, beta2, rest2, keep, step, root, eps float32)", 1, adamW)
	return ks
}

// norms adds the primitives of LayerNorm and RMSNorm.
func norms(each func(string, int, func(*block)), reduction func(string, []float64, func(*block), func(*function)),
	total func(*function)) {
	reduction("sumSquaresAbout(x []float32, mean float32) float32", []float64{0}, func(b *block) {
		d := b.inTail(b.sub(b.load("x"), b.scalar("mean")), b.number(0))
		b.accumulateProduct(0, d, d)
	}, total)
	scaled := func(b *block) *value { return b.mul(b.sub(b.load("x"), b.scalar("mean")), b.scalar("rstd")) }
	each("normalize(y, x, w []float32, mean, rstd float32)", 4, func(b *block) {
		b.store("y", b.mul(scaled(b), b.load("w")))
	})
	each("normalizeBias(y, x, w, b []float32, mean, rstd float32)", 4, func(b *block) {
		b.store("y", b.fma(scaled(b), b.load("w"), b.load("b")))
	})
	reduction("normGradSums(dy, x, w []float32, mean float32) (a, b float32)", []float64{0, 0}, func(b *block) {
		g := b.mul(b.load("dy"), b.load("w"))
		b.accumulate("VADDPS", 0, g)
		b.accumulateProduct(1, g, b.sub(b.load("x"), b.scalar("mean")))
	}, func(f *function) {
		total(f)
		f.reduce(1, "VADDPS")
		f.line("VMOVSS X0, %s", f.result(1))
	})
	gradient := func(b *block) *value {
		g := b.fms(b.mul(b.load("dy"), b.load("w")), b.scalar("rstd"), b.scalar("flat"))
		return b.fnma(b.sub(b.load("x"), b.scalar("mean")), b.scalar("along"), g)
	}
	each("normGrad(dx, dy, x, w []float32, mean, rstd, flat, along float32)", 2, func(b *block) {
		b.store("dx", gradient(b))
	})
	each("normGradAdd(dx, dy, x, w []float32, mean, rstd, flat, along float32)", 2, func(b *block) {
		b.store("dx", b.add(gradient(b), b.load("dx")))
	})
	each("normGradScale(dw, dy, x []float32, mean, rstd float32)", 2, func(b *block) {
		b.store("dw", b.fma(scaled(b), b.load("dy"), b.load("dw")))
	})
	each("normGradScaleBias(dw, db, dy, x []float32, mean, rstd float32)", 2, func(b *block) {
		dy := b.load("dy")
		b.store("dw", b.fma(scaled(b), dy, b.load("dw")))
		b.store("db", b.add(dy, b.load("db")))
	})
}

// narrow rounds to bfloat16 on the bits: adding 0x7fff and the last kept bit carries exactly when rounding up.
func narrow(b *block) {
	x := b.load("src")
	high := b.shift("VPSRLD", x, 16)
	odd := b.do("VPADDD", b.do("VANDPS", high, b.integer(1)), b.integer(0x7fff))
	rounded := b.shift("VPSRLD", b.do("VPADDD", x, odd), 16)
	quiet := b.or(high, b.integer(0x40))
	b.storeWords("dst", b.choose(b.isNaN(x), quiet, rounded))
}

// maximum keeps the largest value, and the largest magnitude as an integer, which tells whether a NaN went by.
func maximum(b *block) {
	x := b.inTail(b.load("x"), b.number(math.Inf(-1)))
	b.accumulate("VMAXPS", 0, x)
	b.accumulate("VPMAXUD", 1, b.and(x, b.integer(0x7fffffff)))
}

func finishMaximum(f *function) {
	f.reduce(1, "VPMAXUD")
	f.line("VMOVD X0, DX")
	f.reduce(0, "VMAXPS")
	f.line("VMOVSS X0, %s", f.result(0))
	f.line("CMPL DX, $0x7f800000\n\tJLS number\n\tMOVL DX, %s", f.result(0))
	f.label("number")
}

// index searches with an early exit, which the loops of other kernels do not have.
func index(f *function) {
	f.line("VBROADCASTSS v+24(FP), %s0", f.letter)
	f.line("SUBQ $%d, CX\n\tJLT tail", f.lanes)
	compare := func(load, mask string) {
		f.line("%s", load)
		if f.isa == avx512 {
			f.line("VCMPPS $0, Z0, Z1, %sK2\n\tKMOVW K2, DX", mask)
		} else {
			f.line("VCMPPS $0, Y0, Y1, Y1")
			if mask != "" {
				f.line("VANDPS Y15, Y1, Y1")
			}
			f.line("VMOVMSKPS Y1, DX")
		}
		f.line("TESTL DX, DX\n\tJNE found")
	}
	f.label("vector")
	compare("VMOVUPS (DI)(AX*4), "+f.letter+"1", "")
	f.line("ADDQ $%d, AX\n\tSUBQ $%d, CX\n\tJGE vector", f.lanes, f.lanes)
	f.label("tail")
	f.line("ADDQ $%d, CX\n\tJEQ absent", f.lanes)
	f.loadTailMask()
	if f.isa == avx512 {
		compare("VMOVUPS.Z (DI)(AX*4), K1, Z1", "K1, ")
	} else {
		compare("VMASKMOVPS (DI)(AX*4), Y15, Y1", "Y15")
	}
	f.label("absent")
	f.line("MOVQ x_len+8(FP), AX\n\tMOVQ AX, ret+32(FP)\n\tVZEROUPPER\n\tRET")
	f.label("found")
	f.line("BSFL DX, DX\n\tADDQ DX, AX\n\tMOVQ AX, ret+32(FP)\n\tVZEROUPPER\n\tRET\n")
}

// adamW is the step of package vec's AdamW, in its order.
func adamW(b *block) {
	s := b.scalar
	g := b.mul(b.load("g"), s("gradScale"))
	m := b.fma(g, s("rest1"), b.mul(b.load("m"), s("beta1")))
	b.store("m", m)
	v := b.fma(b.mul(g, g), s("rest2"), b.mul(b.load("v"), s("beta2")))
	b.store("v", v)
	update := b.div(m, b.add(b.div(b.sqrt(v), s("root")), s("eps")))
	b.store("w", b.fnma(update, s("step"), b.mul(b.load("w"), s("keep"))))
}
