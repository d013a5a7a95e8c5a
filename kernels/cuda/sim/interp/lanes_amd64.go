package interp

// The loops of the most frequent instructions for AVX2; the portable ones take their place elsewhere.

//go:noescape
func add32AVX2(D, A, B *lanes)

//go:noescape
func sub32AVX2(D, A, B *lanes)

//go:noescape
func add64AVX2(D, A, B *lanes)

//go:noescape
func sub64AVX2(D, A, B *lanes)

//go:noescape
func mulLow32AVX2(D, A, B *lanes)

//go:noescape
func mulWideS32AVX2(D, A, B *lanes)

//go:noescape
func mulWideU32AVX2(D, A, B *lanes)

//go:noescape
func andAVX2(D, A, B *lanes)

//go:noescape
func orAVX2(D, A, B *lanes)

//go:noescape
func xorAVX2(D, A, B *lanes)

//go:noescape
func shl32AVX2(D, A, B *lanes)

//go:noescape
func shrU32AVX2(D, A, B *lanes)

//go:noescape
func shrS32AVX2(D, A, B *lanes)

//go:noescape
func minS32AVX2(D, A, B *lanes)

//go:noescape
func maxS32AVX2(D, A, B *lanes)

//go:noescape
func addF32AVX2(D, A, B *lanes)

//go:noescape
func subF32AVX2(D, A, B *lanes)

//go:noescape
func mulF32AVX2(D, A, B *lanes)

//go:noescape
func mad32AVX2(D, A, B, C *lanes)

//go:noescape
func fmaF32AVX2(D, A, B, C *lanes)

//go:noescape
func floatS32AVX2(D, A *lanes)

//go:noescape
func equalAVX2(A, B *lanes) uint32

//go:noescape
func less32AVX2(A, B *lanes) uint32

//go:noescape
func less64AVX2(A, B *lanes) uint32

//go:noescape
func lessF32AVX2(A, B *lanes) uint32

//go:noescape
func lessEqualF32AVX2(A, B *lanes) uint32

func init() {
	if hasAVX2 {
		useAVX2()
	}
}

// useAVX2 puts the loops where the translation looks for them.
func useAVX2() {
	for _, sign := range []string{"s", "u"} {
		integerBinary["add."+sign+"32"], integerBinary["sub."+sign+"32"] = add32AVX2, sub32AVX2
		integerBinary["add."+sign+"64"], integerBinary["sub."+sign+"64"] = add64AVX2, sub64AVX2
		integerBinary["mul.lo."+sign+"32"] = mulLow32AVX2
		integerTernary["mad.lo."+sign+"32"] = mad32AVX2
	}
	integerBinary["mul.wide.s32"], integerBinary["mul.wide.u32"] = mulWideS32AVX2, mulWideU32AVX2
	integerBinary["min.s32"], integerBinary["max.s32"] = minS32AVX2, maxS32AVX2
	shifts["shl.b32"], shifts["shr.b32"], shifts["shr.u32"], shifts["shr.s32"] = shl32AVX2, shrU32AVX2, shrU32AVX2, shrS32AVX2
	logic["and"], logic["or"], logic["xor"] = andAVX2, orAVX2, xorAVX2
	singles["add"], singles["sub"], singles["mul"] = addF32AVX2, subF32AVX2, mulF32AVX2
	fma = fmaF32AVX2
	floatOfS32 = floatS32AVX2

	equal, lessF32, lessEqualF32 = equalAVX2, lessF32AVX2, lessEqualF32AVX2
	// b < a is the opposite of a <= b; unsigned 32 bits are positive as 64.
	for typ, lt := range map[string]relation{"s32": less32AVX2, "u32": less64AVX2, "s64": less64AVX2} {
		integerOrder[typ] = orderings{lt, func(A, B *lanes) uint32 { return ^lt(B, A) }}
	}
}
