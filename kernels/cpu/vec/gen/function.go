package main

import (
	"bytes"
	"fmt"
	"math"
	"strings"
)

// A kernel is one primitive: either body, run over the elements in loops, or raw, a function of its own.
type kernel struct {
	sig    *signature
	unroll int // vectors per turn of the main loop
	body   func(b *block)
	start  []float64 // what the accumulators of each group start from
	finish func(f *function)
	raw    func(f *function)
}

// A function is a kernel being written for one instruction set.
type function struct {
	*isa
	*kernel
	out          strings.Builder
	pool         *constantPool
	pointers     map[string]string
	scalars      map[string]*value
	constants    map[uint32]*value
	order        []uint32 // of the constants, by first use
	accumulators [][]*value
	tail         *value // mask of the last, partial vector
	limit        int    // registers below it are free for the blocks
}

func (f *function) line(format string, args ...any) { fmt.Fprintf(&f.out, "\t"+format+"\n", args...) }

func (f *function) label(name string) { fmt.Fprintf(&f.out, "%s:\n", name) }

// assembly returns the file with every kernel for one instruction set.
func assembly(m *isa, ks []*kernel) []byte {
	var file bytes.Buffer
	pool := &constantPool{isa: m, offsets: map[uint32]int{}}
	for _, k := range ks {
		file.WriteString(write(m, k, pool))
	}
	var head bytes.Buffer
	head.WriteString(notice + "//go:build !noasm\n\n#include \"textflag.h\"\n\n")
	if m == avx2 {
		head.WriteString("// Eight lanes of ones, then of zeros: the mask of the r low lanes starts 4·r bytes before the zeros.\n")
		for i := range 8 {
			fmt.Fprintf(&head, "DATA tailMask<>+%d(SB)/8, $0x%016x\n", 8*i, []uint64{math.MaxUint64, 0}[i/4])
		}
		head.WriteString("GLOBL tailMask<>(SB), RODATA|NOPTR, $64\n\n")
	}
	pool.write(&head)
	head.Write(file.Bytes())
	return head.Bytes()
}

// write returns the text of one function, with as many constants in registers as fit.
func write(m *isa, k *kernel, pool *constantPool) string {
	for held := math.MaxInt; ; {
		f := &function{isa: m, kernel: k, pool: pool}
		if f.attempt(&held) {
			return f.out.String()
		}
		if held--; held < 0 || m == avx512 {
			panic(k.sig.name + m.suffix + " needs too many registers")
		}
	}
}

// attempt writes the function with at most held constants in registers (set to their number if larger) and reports
// whether the registers sufficed.
func (f *function) attempt(held *int) (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, fits := r.(outOfRegisters); !fits {
				panic(r)
			}
			ok = false
		}
	}()
	f.prologue()
	if f.raw != nil {
		f.raw(f)
		return true
	}
	f.assignHeld(held)
	f.loops()
	f.label("done")
	if f.finish != nil {
		f.finish(f)
	}
	f.line("VZEROUPPER\n\tRET\n")
	return true
}

// prologue writes the header and loads the slices' pointers, the number of elements (CX) and the first index (AX).
func (f *function) prologue() {
	s := f.sig
	fmt.Fprintf(&f.out, "// func %s%s%s\n", s.name, f.suffix, s.rest)
	fmt.Fprintf(&f.out, "TEXT ·%s%s(SB), NOSPLIT, $0-%d\n", s.name, f.suffix, s.frame())
	f.pointers = map[string]string{}
	free := []string{"DI", "SI", "R8", "R9", "R10", "R11"}
	for _, p := range s.params {
		if strings.HasPrefix(p.kind, "[]") {
			f.pointers[p.name] = free[len(f.pointers)]
			f.line("MOVQ %s_base+%d(FP), %s", p.name, p.offset, f.pointers[p.name])
		}
	}
	f.line("MOVQ %s_len+%d(FP), CX", s.params[0].name, s.params[0].offset+8)
	f.line("XORL AX, AX")
}

// assignHeld gives registers, from the top, to what lives for the whole function: scalars, accumulators, constants.
func (f *function) assignHeld(held *int) {
	f.limit = f.registers
	f.tail = &value{held: true, mask: true, reg: 1}
	if f.isa == avx2 {
		f.limit--
		f.tail = &value{held: true, reg: f.limit}
	}
	hold := func(v *value) string {
		f.limit--
		v.held, v.reg = true, f.limit
		return fmt.Sprintf("%s%d", f.letter, v.reg)
	}
	f.scalars, f.constants = map[string]*value{}, map[uint32]*value{}
	for _, p := range f.sig.params {
		if p.kind == "float32" {
			f.scalars[p.name] = &value{}
			f.line("VBROADCASTSS %s+%d(FP), %s", p.name, p.offset, hold(f.scalars[p.name]))
		}
	}
	for _, start := range f.start {
		var group []*value
		for range f.unroll {
			v := &value{}
			r := hold(v)
			group = append(group, v)
			if start == 0 {
				f.line("VXORPS %s, %s, %s", r, r, r)
			} else {
				f.line("%s, %s", f.pool.load(math.Float32bits(float32(start))), r)
			}
		}
		f.accumulators = append(f.accumulators, group)
	}
	f.body(&block{function: f, mode: full}) // to learn the constants
	f.body(&block{function: f, mode: f.tailMode()})
	*held = min(*held, len(f.order))
	for _, bits := range f.order[:*held] {
		v := f.constants[bits]
		v.memory = ""
		f.line("%s, %s", f.pool.load(bits), hold(v))
	}
	if f.limit <= 0 {
		panic(outOfRegisters{})
	}
}

// tailMode is how the elements after the last whole vector are treated.
func (f *function) tailMode() mode {
	if f.isa == avx2 {
		for _, p := range f.sig.params {
			if p.kind == "[]uint16" {
				return single
			}
		}
	}
	return masked
}

func (f *function) scalar(name string) *value { return f.scalars[name] }

func (f *function) constant(bits uint32) *value {
	v, ok := f.constants[bits]
	if !ok {
		v = &value{memory: f.pool.operand(bits)}
		f.constants[bits] = v
		f.order = append(f.order, bits)
	}
	return v
}

// loops writes the unrolled loop, the loop over single vectors and the tail.
func (f *function) loops() {
	run := func(m mode, unit int) {
		b := &block{function: f, mode: m, unit: unit}
		f.body(b)
		b.lower()
	}
	if f.unroll > 1 {
		f.line("SUBQ $%d, CX\n\tJLT vectors\n\tPCALIGN $32", f.unroll*f.lanes)
		f.label("unrolled")
		for u := range f.unroll {
			run(full, u)
		}
		f.line("ADDQ $%d, AX\n\tSUBQ $%d, CX\n\tJGE unrolled", f.unroll*f.lanes, f.unroll*f.lanes)
		f.label("vectors")
		f.line("ADDQ $%d, CX", (f.unroll-1)*f.lanes)
	} else {
		f.line("SUBQ $%d, CX", f.lanes)
	}
	f.line("JLT tail\n\tPCALIGN $32")
	f.label("vector")
	run(full, 0)
	f.line("ADDQ $%d, AX\n\tSUBQ $%d, CX\n\tJGE vector", f.lanes, f.lanes)
	f.label("tail")
	f.line("ADDQ $%d, CX\n\tJEQ done", f.lanes)
	if f.tailMode() == single {
		f.label("element")
		run(single, 0)
		f.line("INCQ AX\n\tDECQ CX\n\tJNE element")
		return
	}
	f.loadTailMask()
	run(masked, 0)
}

// loadTailMask makes the mask of the CX low lanes, 0 < CX < lanes.
func (f *function) loadTailMask() {
	if f.isa == avx512 {
		f.line("MOVL $1, DX\n\tSHLL CX, DX\n\tDECL DX\n\tKMOVW DX, K1")
		return
	}
	f.line("LEAQ tailMask<>+32(SB), DX\n\tSHLQ $2, CX\n\tSUBQ CX, DX\n\tVMOVUPS (DX), Y15")
}

// reduce combines the accumulators of a group pairwise, then their lanes, into the lowest lane of X0.
func (f *function) reduce(group int, name string) {
	combine := func(letter string, x, y, dst int) {
		f.line("%s %s%d, %s%d, %s%d", name, letter, y, letter, x, letter, dst)
	}
	acc := f.accumulators[group]
	if len(acc) != 4 {
		panic("reductions keep four accumulators")
	}
	combine(f.letter, acc[0].reg, acc[1].reg, 0)
	combine(f.letter, acc[2].reg, acc[3].reg, 1)
	combine(f.letter, 0, 1, 0)
	if f.isa == avx512 {
		f.line("VEXTRACTF64X4 $1, Z0, Y1")
		combine("Y", 0, 1, 0)
	}
	f.line("VEXTRACTF128 $1, Y0, X1")
	combine("X", 0, 1, 0)
	f.line("VPSHUFD $0x0e, X0, X1")
	combine("X", 0, 1, 0)
	f.line("VPSHUFD $0x01, X0, X1")
	combine("X", 0, 1, 0)
}

// result is the memory of result i.
func (f *function) result(i int) string {
	r := f.sig.results[i]
	return fmt.Sprintf("%s+%d(FP)", r.name, r.offset)
}

// A constantPool is the table of constants of one file: one float32 each for AVX-512, which broadcasts, eight for AVX2,
// which can then use them as operands.
type constantPool struct {
	*isa
	offsets map[uint32]int
	order   []uint32
}

func (p *constantPool) operand(bits uint32) string {
	offset, ok := p.offsets[bits]
	if !ok {
		offset = len(p.order) * p.stride()
		p.offsets[bits] = offset
		p.order = append(p.order, bits)
	}
	return fmt.Sprintf("constants%s<>+%d(SB)", p.suffix, offset)
}

func (p *constantPool) stride() int {
	if p.isa == avx512 {
		return 4
	}
	return 32
}

// load is the instruction that brings a constant into every lane, without its destination.
func (p *constantPool) load(bits uint32) string {
	if p.isa == avx512 {
		return "VBROADCASTSS " + p.operand(bits)
	}
	return "VMOVUPS " + p.operand(bits)
}

func (p *constantPool) write(out *bytes.Buffer) {
	for i, bits := range p.order {
		fmt.Fprintf(out, "// %g\n", math.Float32frombits(bits))
		for j := 0; j < p.stride(); j += 4 {
			fmt.Fprintf(out, "DATA constants%s<>+%d(SB)/4, $0x%08x\n", p.suffix, i*p.stride()+j, bits)
		}
	}
	fmt.Fprintf(out, "GLOBL constants%s<>(SB), RODATA|NOPTR, $%d\n\n", p.suffix, len(p.order)*p.stride())
}
