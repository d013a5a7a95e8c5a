package main

import (
	"fmt"
	"math"
)

// An isa is an instruction set with its vector registers.
type isa struct {
	suffix    string // of the functions' names
	letter    string // of the vector registers
	lanes     int    // of float32
	registers int
}

var (
	avx512 = &isa{"AVX512", "Z", 16, 32}
	avx2   = &isa{"AVX2", "Y", 8, 16}
)

// A mode says how many elements a block treats.
type mode int

const (
	full   mode = iota // a whole vector
	masked             // the low lanes that the tail mask names (K1 or Y15)
	single             // one element, for AVX2 with 16-bit operands, which has no masked loads of words
)

// A value is what one operation computes, or a number held for the whole function.
type value struct {
	mask   bool   // an AVX-512 mask; AVX2 keeps masks in vector registers
	held   bool   // lives in its register for the whole function
	memory string // set for a constant without a register: its memory operand
	reg    int
	uses   int
}

// An op is one instruction before registers are assigned. Operands are in Intel's order, the last source may be memory.
type op struct {
	name    string // mnemonic; for fused, the part before the operand order
	fused   bool   // a·b + c in one of three operand orders
	imm     string
	args    []*value
	mask    *value // write mask (AVX-512) or blend selector (AVX2)
	address string // memory operand of a load or store
	store   bool
	noMem   bool // takes no memory operand
	into    bool // reads and writes dst, an accumulator
	half    bool // a 16-byte or 32-byte memory operand: half a register
	dst     *value
}

// A block records the operations on one vector of elements.
type block struct {
	*function
	mode mode
	unit int // which vector of the unrolled loop
	ops  []*op
}

func (b *block) emit(o *op) *value {
	for _, a := range o.args {
		a.uses++
	}
	if o.mask != nil {
		o.mask.uses++
	}
	if o.dst == nil && !o.store {
		o.dst = &value{reg: -1}
	}
	b.ops = append(b.ops, o)
	return o.dst
}

// address is the memory operand of the current vector of slice name, with elements of size bytes.
func (b *block) address(name string, size int) string {
	p, ok := b.pointers[name]
	if !ok {
		panic("no slice " + name + " in " + b.sig.name)
	}
	s := fmt.Sprintf("(%s)(AX*%d)", p, size)
	if b.unit > 0 {
		s = fmt.Sprint(b.unit*b.lanes*size) + s
	}
	return s
}

// load reads float32; lanes beyond the tail are 0.
func (b *block) load(name string) *value {
	return b.emit(&op{name: "VMOVUPS", address: b.address(name, 4)})
}

// loadWords reads uint16 into the low halves of the lanes.
func (b *block) loadWords(name string) *value {
	return b.emit(&op{name: "VPMOVZXWD", address: b.address(name, 2), half: true})
}

// loadHalf reads IEEE half precision.
func (b *block) loadHalf(name string) *value {
	return b.emit(&op{name: "VCVTPH2PS", address: b.address(name, 2), half: true})
}

func (b *block) store(name string, v *value) {
	b.emit(&op{name: "VMOVUPS", address: b.address(name, 4), args: []*value{v}, store: true})
}

// storeWords writes the low halves of the lanes, which hold numbers below 2¹⁶.
func (b *block) storeWords(name string, v *value) {
	if b.isa == avx2 && b.mode == full {
		v = b.do("VPACKUSDW", v, v)
		v = b.emit(&op{name: "VPERMQ", imm: "$0xd8", args: []*value{v}})
	}
	b.emit(&op{name: "VPMOVDW", address: b.address(name, 2), args: []*value{v}, store: true, half: true})
}

func (b *block) do(name string, args ...*value) *value { return b.emit(&op{name: name, args: args}) }

func (b *block) add(x, y *value) *value { return b.do("VADDPS", x, y) }
func (b *block) sub(x, y *value) *value { return b.do("VSUBPS", x, y) }
func (b *block) mul(x, y *value) *value { return b.do("VMULPS", x, y) }
func (b *block) div(x, y *value) *value { return b.do("VDIVPS", x, y) }
func (b *block) sqrt(x *value) *value   { return b.do("VSQRTPS", x) }
func (b *block) and(x, y *value) *value { return b.do("VANDPS", x, y) }
func (b *block) or(x, y *value) *value  { return b.do("VORPS", x, y) }

// max and min keep a NaN of x; x is never a constant.
func (b *block) max(x, bound *value) *value {
	return b.emit(&op{name: "VMAXPS", args: []*value{bound, x}, noMem: true})
}
func (b *block) min(x, bound *value) *value {
	return b.emit(&op{name: "VMINPS", args: []*value{bound, x}, noMem: true})
}

// fma is x·y + z, fnma z − x·y, fms x·y − z, all rounded once.
func (b *block) fma(x, y, z *value) *value {
	return b.emit(&op{name: "VFMADD", fused: true, args: []*value{x, y, z}})
}
func (b *block) fnma(x, y, z *value) *value {
	return b.emit(&op{name: "VFNMADD", fused: true, args: []*value{x, y, z}})
}
func (b *block) fms(x, y, z *value) *value {
	return b.emit(&op{name: "VFMSUB", fused: true, args: []*value{x, y, z}})
}

func (b *block) shift(name string, x *value, bits int) *value {
	return b.emit(&op{name: name, imm: fmt.Sprintf("$%d", bits), args: []*value{x}, noMem: true})
}

// notBelow is the mask of the lanes where x >= bound or x is NaN; isNaN of those where it is NaN.
func (b *block) notBelow(x, bound *value) *value { return b.compare("$5", x, bound) }
func (b *block) isNaN(x *value) *value           { return b.compare("$3", x, x) }

func (b *block) compare(predicate string, x, y *value) *value {
	return b.emit(&op{name: "VCMPPS", imm: predicate, args: []*value{x, y}, dst: &value{reg: -1, mask: b.isa == avx512}})
}

// keep is x where the mask holds and 0 elsewhere.
func (b *block) keep(mask, x *value) *value {
	if b.isa == avx2 {
		return b.and(mask, x)
	}
	return b.emit(&op{name: "VMOVAPS.Z", args: []*value{x}, mask: mask, noMem: true})
}

// choose is x where the mask holds and y elsewhere.
func (b *block) choose(mask, x, y *value) *value {
	name := "VBLENDMPS"
	if b.isa == avx2 {
		name = "VBLENDVPS"
	}
	return b.emit(&op{name: name, args: []*value{y, x}, mask: mask, noMem: b.isa == avx512})
}

// ifNegative is x where the sign bit of s is set and y elsewhere.
func (b *block) ifNegative(s, x, y *value) *value {
	if b.isa == avx512 {
		s = b.emit(&op{name: "VPMOVD2M", args: []*value{s}, noMem: true, dst: &value{reg: -1, mask: true}})
	}
	return b.choose(s, x, y)
}

// inTail is x with the lanes beyond the tail set to other, for reductions over something that is not 0 there.
func (b *block) inTail(x, other *value) *value {
	if b.mode != masked {
		return x
	}
	return b.choose(b.tail, x, other)
}

// number is a constant in every lane, integer the same by its bits.
func (b *block) number(x float64) *value { return b.integer(math.Float32bits(float32(x))) }

func (b *block) integer(bits uint32) *value { return b.constant(bits) }

// accumulate does dst = name(dst, x) on an accumulator of the group; each unrolled vector has its own.
func (b *block) accumulate(name string, group int, x *value) {
	acc := b.accumulators[group][b.unit]
	b.emit(&op{name: name, args: []*value{acc, x}, into: true, dst: acc})
}

// accumulateProduct does dst += x·y.
func (b *block) accumulateProduct(group int, x, y *value) {
	acc := b.accumulators[group][b.unit]
	b.emit(&op{name: "VFMADD", fused: true, args: []*value{x, y, acc}, into: true, dst: acc})
}
