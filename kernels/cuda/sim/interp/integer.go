package interp

import "math/bits"

func init() {
	for name, f := range map[string]func(o *operands) op{
		"add": translateAdd, "sub": translateAdd, "addc": translateCarry, "subc": translateCarry,
		"mul": translateMul, "mad": translateMul, "madc": translateCarry,
		"div": translateDiv, "rem": func(o *operands) op { return o.binary(integerBinary["rem."+o.typ]) },
		"min": translateMinMax, "max": translateMinMax, "neg": translateSign, "abs": translateSign,
		"sad": func(o *operands) op { return o.ternary(integerTernary["sad."+o.typ]) },
	} {
		families[name] = f
	}
}

// integerBinary are the loops by opcode, part of the product where there is one, and type.
var integerBinary = map[string]binaryLoop{
	"add.s16": addInt[uint16], "add.u16": addInt[uint16], "add.s32": addInt[uint32], "add.u32": addInt[uint32], "add.s64": addInt[uint64], "add.u64": addInt[uint64],
	"sub.s16": subInt[uint16], "sub.u16": subInt[uint16], "sub.s32": subInt[uint32], "sub.u32": subInt[uint32], "sub.s64": subInt[uint64], "sub.u64": subInt[uint64],

	"mul.lo.s16": mulLow[uint16], "mul.lo.u16": mulLow[uint16], "mul.lo.s32": mulLow[uint32], "mul.lo.u32": mulLow[uint32],
	"mul.lo.s64": mulLow[uint64], "mul.lo.u64": mulLow[uint64],
	"mul.wide.s16": mulWide[int16, int32], "mul.wide.u16": mulWide[uint16, uint32], "mul.wide.s32": mulWide[int32, int64], "mul.wide.u32": mulWide[uint32, uint64],
	"mul.hi.s16": mulHigh[int16, int32], "mul.hi.u16": mulHigh[uint16, uint32], "mul.hi.s32": mulHigh[int32, int64], "mul.hi.u32": mulHigh[uint32, uint64],
	"mul.hi.s64": mulHighS64, "mul.hi.u64": mulHighU64,

	"div.s16": divInt[int16], "div.u16": divInt[uint16], "div.s32": divInt[int32], "div.u32": divInt[uint32], "div.s64": divInt[int64], "div.u64": divInt[uint64],
	"rem.s16": remInt[int16], "rem.u16": remInt[uint16], "rem.s32": remInt[int32], "rem.u32": remInt[uint32], "rem.s64": remInt[int64], "rem.u64": remInt[uint64],

	"min.s16": minInt[int16], "min.u16": minInt[uint16], "min.s32": minInt[int32], "min.u32": minInt[uint32], "min.s64": minInt[int64], "min.u64": minInt[uint64],
	"max.s16": maxInt[int16], "max.u16": maxInt[uint16], "max.s32": maxInt[int32], "max.u32": maxInt[uint32], "max.s64": maxInt[int64], "max.u64": maxInt[uint64],

	"add.u16x2": pairs(addInt[uint16]), "add.s16x2": pairs(addInt[uint16]),
	"min.u16x2": pairs(minInt[uint16]), "min.s16x2": pairs(minInt[int16]), "max.u16x2": pairs(maxInt[uint16]), "max.s16x2": pairs(maxInt[int16]),
}

var integerTernary = map[string]ternaryLoop{
	"mad.lo.s16": madLow[uint16], "mad.lo.u16": madLow[uint16], "mad.lo.s32": madLow[uint32], "mad.lo.u32": madLow[uint32],
	"mad.lo.s64": madLow[uint64], "mad.lo.u64": madLow[uint64],
	"mad.wide.s16": madWide[int16, int32], "mad.wide.u16": madWide[uint16, uint32], "mad.wide.s32": madWide[int32, int64], "mad.wide.u32": madWide[uint32, uint64],
	"mad.hi.s32": sum(mulHigh[int32, int64], addInt[uint32]), "mad.hi.u32": sum(mulHigh[uint32, uint64], addInt[uint32]),
	"mad.hi.s64": sum(mulHighS64, addInt[uint64]), "mad.hi.u64": sum(mulHighU64, addInt[uint64]),
	"mad.hi.s16": sum(mulHigh[int16, int32], addInt[uint16]), "mad.hi.u16": sum(mulHigh[uint16, uint32], addInt[uint16]),
	"sad.s16": sadInt[int16], "sad.u16": sadInt[uint16], "sad.s32": sadInt[int32], "sad.u32": sadInt[uint32], "sad.s64": sadInt[int64], "sad.u64": sadInt[uint64],
}

func isFloat(typ string) bool {
	switch typ {
	case "f16", "f16x2", "bf16", "bf16x2", "f32", "f64":
		return true
	}
	return false
}

// packed is o.typ, or one of the packed integer types that typeBits does not know.
func (o *operands) packed() string {
	if t := o.one("u16x2", "s16x2"); t != "" {
		return t
	}
	return o.typ
}

func translateAdd(o *operands) op {
	typ := o.packed()
	switch {
	case isFloat(typ):
		return o.floatOp()
	case o.has("cc"):
		return o.carryOp()
	case typ == "s32" && o.has("sat"):
		if o.part[0] == "add" {
			return o.binary(addSat)
		}
		return o.binary(subSat)
	}
	return o.binary(integerBinary[o.part[0]+"."+typ])
}

func translateMul(o *operands) op {
	if isFloat(o.typ) {
		return o.floatOp()
	}
	if o.has("cc") {
		return o.carryOp()
	}
	name := o.part[0] + "." + o.one("lo", "hi", "wide") + "." + o.typ
	if o.part[0] == "mul" {
		return o.binary(integerBinary[name])
	}
	return o.ternary(integerTernary[name])
}

func translateDiv(o *operands) op {
	if isFloat(o.typ) {
		return o.divide()
	}
	return o.binary(integerBinary["div."+o.typ])
}

func translateMinMax(o *operands) op {
	typ := o.packed()
	if isFloat(typ) {
		return o.floatMinMax()
	}
	f := integerBinary[o.part[0]+"."+typ]
	if f == nil || !o.has("relu") {
		return o.binary(f)
	}
	var zero lanes
	switch typ {
	case "s32":
		return o.binary(func(D, A, B *lanes) { f(D, A, B); maxInt[int32](D, D, &zero) })
	case "s16x2":
		return o.binary(func(D, A, B *lanes) { f(D, A, B); pairs(maxInt[int16])(D, D, &zero) })
	}
	return nil
}

func translateSign(o *operands) op {
	if isFloat(o.typ) {
		return o.floatSign()
	}
	neg := o.part[0] == "neg"
	switch o.typ {
	case "s16":
		return o.unary(signInt[int16](neg))
	case "s32":
		return o.unary(signInt[int32](neg))
	case "s64":
		return o.unary(signInt[int64](neg))
	}
	return nil
}

func signInt[T signed](neg bool) unaryLoop {
	if neg {
		return func(D, A *lanes) {
			for l := range D {
				D[l] = low(-T(A[l]))
			}
		}
	}
	return func(D, A *lanes) {
		for l := range D {
			v := T(A[l])
			if v < 0 {
				v = -v
			}
			D[l] = low(v)
		}
	}
}

func addInt[T unsigned](D, A, B *lanes) {
	for l := range D {
		D[l] = uint64(T(A[l]) + T(B[l]))
	}
}

func subInt[T unsigned](D, A, B *lanes) {
	for l := range D {
		D[l] = uint64(T(A[l]) - T(B[l]))
	}
}

func mulLow[T unsigned](D, A, B *lanes) {
	for l := range D {
		D[l] = uint64(T(A[l]) * T(B[l]))
	}
}

func madLow[T unsigned](D, A, B, C *lanes) {
	for l := range D {
		D[l] = uint64(T(A[l])*T(B[l]) + T(C[l]))
	}
}

func mulWide[T, W integer](D, A, B *lanes) {
	for l := range D {
		D[l] = low(W(T(A[l])) * W(T(B[l])))
	}
}

func madWide[T, W integer](D, A, B, C *lanes) {
	for l := range D {
		D[l] = low(W(T(A[l]))*W(T(B[l])) + W(C[l]))
	}
}

// mulHigh is the upper half of the product of two T, computed in W of twice the width.
func mulHigh[T, W integer](D, A, B *lanes) {
	var t T
	half := bits.Len64(low(^t)) // width of T
	for l := range D {
		D[l] = low(T(W(T(A[l])) * W(T(B[l])) >> half))
	}
}

func mulHighU64(D, A, B *lanes) {
	for l := range D {
		D[l], _ = bits.Mul64(A[l], B[l])
	}
}

func mulHighS64(D, A, B *lanes) {
	for l := range D {
		a, b := A[l], B[l]
		hi, _ := bits.Mul64(a, b)
		D[l] = hi - uint64(int64(a)>>63)&b - uint64(int64(b)>>63)&a
	}
}

// sum is product(a, b) + c.
func sum(product, add binaryLoop) ternaryLoop {
	return func(D, A, B, C *lanes) {
		var p lanes
		product(&p, A, B)
		add(D, &p, C)
	}
}

// divInt and remInt give all ones for a zero divisor: the manual leaves it open.
func divInt[T integer](D, A, B *lanes) {
	for l := range D {
		if T(B[l]) == 0 {
			D[l] = low(^T(0))
			continue
		}
		D[l] = low(T(A[l]) / T(B[l]))
	}
}

func remInt[T integer](D, A, B *lanes) {
	for l := range D {
		if T(B[l]) == 0 {
			D[l] = low(^T(0))
			continue
		}
		D[l] = low(T(A[l]) % T(B[l]))
	}
}

func minInt[T integer](D, A, B *lanes) {
	for l := range D {
		D[l] = low(min(T(A[l]), T(B[l])))
	}
}

func maxInt[T integer](D, A, B *lanes) {
	for l := range D {
		D[l] = low(max(T(A[l]), T(B[l])))
	}
}

func sadInt[T integer](D, A, B, C *lanes) {
	for l := range D {
		a, b := T(A[l]), T(B[l])
		D[l] = low(T(C[l]) + max(a, b) - min(a, b))
	}
}

func addSat(D, A, B *lanes) {
	for l := range D {
		D[l] = clamp32(int64(int32(A[l])) + int64(int32(B[l])))
	}
}

func subSat(D, A, B *lanes) {
	for l := range D {
		D[l] = clamp32(int64(int32(A[l])) - int64(int32(B[l])))
	}
}

func clamp32(v int64) uint64 { return uint64(uint32(max(-1<<31, min(1<<31-1, v)))) }

// pairs applies a loop of 16-bit values to both halves of 32-bit registers.
func pairs(f binaryLoop) binaryLoop {
	return func(D, A, B *lanes) {
		var a, b, lo, hi lanes
		f(&lo, half(&a, A, 0), half(&b, B, 0))
		f(&hi, half(&a, A, 16), half(&b, B, 16))
		for l := range D {
			D[l] = lo[l] | hi[l]<<16
		}
	}
}

// half takes the 16 bits from shift up of every lane.
func half(D, A *lanes, shift int) *lanes {
	for l := range D {
		D[l] = A[l] >> shift & 0xffff
	}
	return D
}
