package interp

import (
	"fmt"
	"strconv"
	"strings"
)

// operands is the parsed text of one instruction, for the functions that translate it. The first
// mistake sticks in err; what a method returns after it has no meaning.
type operands struct {
	a    *assembler
	line int
	name string   // opcode with modifiers: ld.shared.v4.b32
	part []string // name split at its dots
	used []bool   // which of part were understood
	typ  string   // the last of part, b32 if that is no type
	arg  []string // at top-level commas
	err  error
	in   *instr // being made
}

func (o *operands) fail(format string, args ...any) {
	if o.err == nil {
		o.err = fmt.Errorf(format, args...)
	}
}

// has tells whether the modifier is there, which may be of several parts, like to.shared, and marks
// it as understood. What nobody asks for is an unknown modifier.
func (o *operands) has(mod string) bool {
	want := strings.Split(mod, ".")
	for i := 1; i+len(want) <= len(o.part); i++ {
		ok := true
		for j := range want {
			ok = ok && o.part[i+j] == want[j]
		}
		if ok {
			for j := range want {
				o.used[i+j] = true
			}
			return true
		}
	}
	return false
}

// one returns the modifier out of several that is there, and "" if none is.
func (o *operands) one(mods ...string) string {
	for _, m := range mods {
		if o.has(m) {
			return m
		}
	}
	return ""
}

// want fails unless there are between least and most operands.
func (o *operands) want(least, most int) bool {
	if len(o.arg) < least || len(o.arg) > most {
		o.fail("%d operands", len(o.arg))
	}
	return o.err == nil
}

// slot is the place of operand i in the register file, of the instruction's type.
func (o *operands) slot(i int) int { return o.slotOf(i, o.typ) }

// slotOf is the place of operand i, read with type typ if it is an immediate.
func (o *operands) slotOf(i int, typ string) int {
	if i >= len(o.arg) {
		o.fail("operand %d is missing", i+1)
		return 0
	}
	return o.value(o.arg[i], typ)
}

// value gives a register, special register, variable or immediate its slot. The sink _ is a slot
// that nobody reads.
func (o *operands) value(s, typ string) int {
	a := o.a
	if s == "" {
		o.fail("empty operand")
		return 0
	}
	if c := s[0]; c >= '0' && c <= '9' || c == '-' {
		v, err := immediate(s)
		if err != nil {
			o.fail("immediate %q", s)
		}
		if bits := typeBits(typ); bits < 64 {
			v &= 1<<bits - 1
		}
		return a.constant(v)
	}
	if r := a.reg(s); r != nil {
		if r.bits == 1 {
			o.fail("%s is a predicate", s)
			return 0
		}
		if r.slot < 0 {
			r.slot = a.newSlot(r.bits)
			a.names[r.slot] = s
		}
		return r.slot
	}
	switch {
	case s == "_":
		return a.newSlot(64)
	case s == "WARP_SZ":
		return a.constant(32)
	case s[0] == '%' && isSpecial(s):
		if n, ok := a.specials[s]; ok {
			return n
		}
		n := a.newSlot(32)
		a.specials[s] = n
		a.k.special = append(a.k.special, newSpecial(s, n))
		return n
	}
	if v, off, ok := o.variable(s); ok {
		if off != 0 {
			o.fail("%s: an offset is only allowed in an address", s)
		}
		return a.symbol(v)
	}
	o.fail("unknown operand %q", s)
	return 0
}

// variable finds "name" or "name+offset" among the declared variables.
func (o *operands) variable(s string) (*variable, uint64, bool) {
	name, plus, hasOff := strings.Cut(s, "+")
	name = strings.TrimSpace(name)
	v, ok := lookup(o.a.vars, o.a.scopes, name)
	if !ok {
		v, ok = o.a.k.module.vars[name]
	}
	if !ok || !hasOff {
		return v, 0, ok
	}
	off, err := immediate(strings.TrimSpace(plus))
	if err != nil {
		o.fail("offset %q", plus)
	}
	return v, off, true
}

// list reads {%r1, %r2}, or a single register, of type typ.
func (o *operands) list(s, typ string) []int {
	if inner, ok := strings.CutPrefix(s, "{"); ok {
		inner, ok = strings.CutSuffix(inner, "}")
		if !ok {
			o.fail("vector %q", s)
		}
		var slots []int
		for _, x := range split(inner) {
			slots = append(slots, o.value(strings.TrimSpace(x), typ))
		}
		return slots
	}
	return []int{o.value(s, typ)}
}

// addr reads [%rd1+16], [name+16], [%rd1] or [16]: the slot of the base and what is added to it.
func (o *operands) addr(s string) (base int, off uint64) {
	inner, ok := strings.CutPrefix(s, "[")
	if ok {
		inner, ok = strings.CutSuffix(inner, "]")
	}
	if !ok {
		o.fail("address %q", s)
		return 0, 0
	}
	return o.address(strings.TrimSpace(inner))
}

// address is addr without the brackets.
func (o *operands) address(s string) (base int, off uint64) {
	at := strings.LastIndexAny(s, "+")
	if at < 0 {
		if m := strings.LastIndexByte(s, '-'); m > 0 {
			at = m
		}
	}
	if at > 0 {
		text := strings.TrimSpace(strings.TrimPrefix(s[at:], "+"))
		v, err := immediate(text)
		if err != nil {
			o.fail("offset %q", text)
		}
		off = v
		s = strings.TrimSpace(s[:at])
	}
	return o.value(s, "u64"), off
}

// pred is the index of a predicate, and whether it is negated. The sink _ is one that nobody reads.
func (o *operands) pred(s string) (index int, neg bool) {
	name, neg := strings.CutPrefix(s, "!")
	if name == "_" {
		o.a.k.preds++
		return o.a.k.preds - 1, neg
	}
	r := o.a.reg(name)
	if r == nil || r.bits != 1 {
		o.fail("%q is no predicate", s)
		return 0, neg
	}
	if r.slot < 0 {
		r.slot = o.a.k.preds
		o.a.k.preds++
	}
	return r.slot, neg
}

// imm is operand i as an integer that must be an immediate.
func (o *operands) imm(i int) int {
	if i >= len(o.arg) {
		o.fail("operand %d is missing", i+1)
		return 0
	}
	v, err := strconv.ParseInt(strings.TrimSuffix(o.arg[i], "U"), 0, 33)
	if err != nil {
		o.fail("operand %d must be a number: %q", i+1, o.arg[i])
	}
	return int(v)
}

// access notes that the instruction touches n bytes of shared or global memory at once.
func (o *operands) access(n int) { o.touches(n, true, true) }

// touches notes the same of shared memory, global memory or both.
func (o *operands) touches(n int, shared, global bool) {
	k := o.a.k
	if shared {
		k.sharedGrain = min(k.sharedGrain, n)
	}
	if global {
		k.globalGrain = min(k.globalGrain, n)
	}
}
