package interp

import (
	"fmt"
	"strings"
)

// families translate the instructions of an opcode, by its first part. Every file that knows some
// adds them in its init.
var families = map[string]func(o *operands) op{}

// noDest are the opcodes whose first operand is not written.
var noDest = map[string]bool{
	"st": true, "red": true, "bar": true, "barrier": true, "cp": true, "prefetch": true, "bra": true, "nanosleep": true, "stmatrix": true,
	"membar": true, "fence": true, "setmaxnreg": true, "trap": true, "brkpt": true, "discard": true, "prefetchu": true, "applypriority": true,
	"griddepcontrol": true, "multimem": true, "pmevent": true, "exit": true, "ret": true, "brx": true,
}

// instruction translates one instruction into a closure.
func (a *assembler) instruction(st statement) error {
	in := instr{guard: -1, text: st.text, line: st.line}
	text := st.text
	o := &operands{a: a, line: st.line, in: &in}
	if text[0] == '@' {
		guard, rest, ok := strings.Cut(text[1:], " ")
		if !ok {
			return fmt.Errorf("guard without an instruction")
		}
		in.guard, in.neg = o.pred(strings.TrimSpace(guard))
		text = strings.TrimSpace(rest)
	}
	o.name = text
	if i := strings.IndexAny(text, " \t{["); i >= 0 {
		o.name = text[:i]
		o.arg = split(strings.TrimSpace(text[i:]))
	}
	in.name = o.name
	o.part = strings.Split(o.name, ".")
	o.used = make([]bool, len(o.part))
	o.used[0] = true
	o.typ = "b32"
	if last := o.part[len(o.part)-1]; len(o.part) > 1 && typeBits(last) > 0 {
		o.typ = last
		o.used[len(o.part)-1] = true
	}
	if o.err != nil {
		return o.err
	}
	switch o.part[0] {
	case "bra", "brx", "ret", "exit":
		a.jump(o)
	default:
		f := families[o.part[0]]
		if f == nil {
			return fmt.Errorf("unknown opcode %s", o.part[0])
		}
		in.run = f(o)
		if o.err == nil && in.run == nil {
			return fmt.Errorf("%s is not supported", o.name)
		}
	}
	for i, used := range o.used {
		if !used {
			o.fail("unknown modifier .%s", o.part[i])
		}
	}
	if o.err != nil {
		return o.err
	}
	o.record()
	a.k.code = append(a.k.code, in)
	return nil
}

// jump makes a branch, an indirect branch or an end.
func (a *assembler) jump(o *operands) {
	in := o.in
	o.one("uni")
	switch o.part[0] {
	case "ret", "exit":
		in.kind = ret
		o.want(0, 0)
		return
	case "bra":
		in.kind = branch
		if !o.want(1, 1) {
			return
		}
	case "brx":
		in.kind = indirect
		if !o.has("idx") || !o.want(2, 2) {
			o.fail("brx.idx with an index and a table expected")
			return
		}
		in.index = o.slotOf(0, "u32")
	}
	a.fixups = append(a.fixups, fixup{at: len(a.k.code), name: o.arg[len(o.arg)-1], scopes: append([]string(nil), a.scopes...)})
}

// record lists the registers that the instruction reads and writes.
func (o *operands) record() {
	in := o.in
	in.pure = pureOps[o.part[0]]
	if in.guard >= 0 {
		in.preads = append(in.preads, in.guard)
	}
	for i, arg := range o.arg {
		reduces := o.part[0] == "bar" && len(o.part) > 1 && o.part[1] == "red" || o.part[0] == "barrier" && o.has("red")
		dest := i == 0 && (reduces || !noDest[o.part[0]]) && !strings.HasPrefix(arg, "[")
		for _, name := range strings.FieldsFunc(arg, func(r rune) bool { return !wordByte(byte(r)) || r > 127 }) {
			r := o.a.reg(name)
			switch {
			case r == nil || r.slot < 0:
			case r.bits == 1 && dest:
				in.pwrite = append(in.pwrite, r.slot)
			case r.bits == 1:
				in.preads = append(in.preads, r.slot)
			case dest:
				in.writes = append(in.writes, r.slot)
			default:
				in.reads = append(in.reads, r.slot)
			}
		}
	}
}

// pureOps only compute registers from registers: what they make of an unwritten register is
// unwritten too, and is only an error where it is used.
var pureOps = map[string]bool{
	"mov": true, "cvt": true, "cvta": true, "selp": true, "slct": true, "setp": true, "set": true, "add": true, "sub": true, "mul": true, "mad": true,
	"mul24": true, "mad24": true, "sad": true, "fma": true, "div": true, "rem": true, "neg": true, "abs": true, "min": true, "max": true, "and": true,
	"or": true, "xor": true, "not": true, "cnot": true, "shl": true, "shr": true, "shf": true, "lop3": true, "prmt": true, "bfe": true, "bfi": true,
	"brev": true, "clz": true, "popc": true, "fns": true, "bfind": true, "rcp": true, "sqrt": true, "rsqrt": true, "ex2": true, "lg2": true,
	"sin": true, "cos": true, "tanh": true, "copysign": true, "testp": true, "dp4a": true, "dp2a": true, "szext": true, "bmsk": true, "isspacep": true,
	"addc": true, "subc": true, "madc": true, "mapa": true, "getctarank": true,
}
