package main

import (
	"fmt"
	"strings"
)

// outOfRegisters is the panic of an assignment that does not fit; the function then holds fewer constants.
type outOfRegisters struct{}

// pool is the free registers of one kind.
type pool []int

func (p *pool) take() int {
	if len(*p) == 0 {
		panic(outOfRegisters{})
	}
	r := (*p)[0]
	*p = (*p)[1:]
	return r
}

func (p *pool) release(r int) { *p = append(pool{r}, *p...) }

// lower assigns registers to a block and writes its instructions.
func (b *block) lower() {
	vectors := make(pool, 0, b.registers)
	for r := range b.limit {
		vectors = append(vectors, r)
	}
	a := &assigner{block: b, vectors: vectors, masks: pool{2, 3, 4, 5, 6, 7}}
	for _, o := range b.ops {
		a.assign(o)
	}
}

type assigner struct {
	*block
	vectors, masks pool
}

// register names a value's register at the width of the block.
func (a *assigner) register(v *value) string {
	if v.mask {
		return fmt.Sprintf("K%d", v.reg)
	}
	return fmt.Sprintf("%s%d", a.letter, v.reg)
}

// operand is a value as the last source: a register or memory.
func (a *assigner) operand(v *value) string {
	if v.memory != "" {
		return v.memory
	}
	return a.register(v)
}

// dying reports whether v's register is free after one more use by the current operation.
func dying(v *value) bool { return !v.held && v.memory == "" && v.uses == 1 }

// use counts one read and frees the register after the last.
func (a *assigner) use(v *value) {
	if v.uses--; v.uses > 0 || v.held || v.memory != "" {
		return
	}
	if v.mask {
		a.masks.release(v.reg)
	} else {
		a.vectors.release(v.reg)
	}
}

// inRegister makes sure that a constant in memory is loaded.
func (a *assigner) inRegister(v *value) *value {
	if v.memory == "" {
		return v
	}
	loaded := &value{reg: a.vectors.take(), uses: 1}
	v.uses--
	a.line("VMOVUPS %s, %s", v.memory, a.register(loaded))
	return loaded
}

func (a *assigner) assign(o *op) {
	switch {
	case o.fused:
		a.assignFused(o)
		return
	case o.address != "" && !o.store:
		o.dst.reg = a.vectors.take()
		a.printLoad(o)
		a.dropUnused(o.dst)
		return
	case o.store:
		a.printStore(o, a.inRegister(o.args[0]))
		return
	}
	last := len(o.args) - 1
	for i := range o.args {
		if i < last || o.noMem || last == 0 {
			o.args[i] = a.inRegister(o.args[i])
		}
	}
	var text []string
	if o.imm != "" {
		text = append(text, o.imm)
	}
	if o.mask != nil && a.isa == avx2 { // the selector of a blend comes first in Go's order
		text = append(text, a.register(o.mask))
	}
	for i := last; i >= 0; i-- {
		text = append(text, a.operand(o.args[i]))
	}
	if o.mask != nil && a.isa == avx512 {
		text = append(text, a.register(o.mask))
	}
	for _, v := range o.args {
		a.use(v)
	}
	if o.mask != nil {
		a.use(o.mask)
	}
	if !o.into {
		if o.dst.mask {
			o.dst.reg = a.masks.take()
		} else {
			o.dst.reg = a.vectors.take()
		}
	}
	a.line("%s %s, %s", o.name, strings.Join(text, ", "), a.register(o.dst))
	a.dropUnused(o.dst)
}

// assignFused picks the operand order in which the result overwrites a value that is no longer needed.
// 231: dst = x·y + dst; 213: dst = dst·x + y; 132: dst = dst·y + x; y may be memory.
func (a *assigner) assignFused(o *op) {
	x, y, z := o.args[0], o.args[1], o.args[2]
	if x.memory != "" && y.memory != "" {
		x = a.inRegister(x)
	}
	if x.memory != "" {
		x, y = y, x
	}
	write := func(order string, dst, second, third *value) {
		a.line("%s%sPS %s, %s, %s", o.name, order, a.operand(third), a.register(second), a.register(dst))
	}
	reuse := func(dst *value, others ...*value) {
		o.dst.reg = dst.reg
		dst.uses--
		for _, v := range others {
			a.use(v)
		}
		a.dropUnused(o.dst)
	}
	switch {
	case o.into:
		write("231", z, x, y)
		for _, v := range []*value{x, y, z} {
			a.use(v)
		}
	case dying(z):
		write("231", z, x, y)
		reuse(z, x, y)
	case dying(x) && y.memory == "":
		write("213", x, y, z)
		reuse(x, y, z)
	case dying(x) && z.memory == "":
		write("132", x, z, y)
		reuse(x, y, z)
	case dying(y):
		write("213", y, x, z)
		reuse(y, x, z)
	default:
		o.dst.reg = a.vectors.take()
		move := "VMOVAPS"
		if z.memory != "" {
			move = "VMOVUPS"
		}
		a.line("%s %s, %s", move, a.operand(z), a.register(o.dst))
		write("231", o.dst, x, y)
		for _, v := range []*value{x, y, z} {
			a.use(v)
		}
		a.dropUnused(o.dst)
	}
}

// dropUnused frees a result that nothing reads.
func (a *assigner) dropUnused(v *value) {
	if v.uses > 0 || v.held {
		return
	}
	if v.mask {
		a.masks.release(v.reg)
	} else {
		a.vectors.release(v.reg)
	}
}

func (a *assigner) printLoad(o *op) {
	r := o.dst.reg
	switch {
	case a.mode == full && a.isa == avx2 && o.half:
		a.line("%s %s, Y%d", o.name, o.address, r) // the memory operand has 16 bytes
	case a.mode == full:
		a.line("%s %s, %s", o.name, o.address, a.register(o.dst))
	case a.mode == single && o.half:
		a.line("MOVWLZX %s, DX\n\tVMOVD DX, X%d", o.address, r)
		if o.name == "VCVTPH2PS" {
			a.line("VCVTPH2PS X%d, X%d", r, r)
		}
	case a.mode == single:
		a.line("VMOVSS %s, X%d", o.address, r)
	case a.isa == avx512:
		a.line("%s.Z %s, K1, Z%d", o.name, o.address, r)
	default:
		a.line("VMASKMOVPS %s, Y15, Y%d", o.address, r)
	}
}

func (a *assigner) printStore(o *op, v *value) {
	r := v.reg
	a.use(v)
	switch {
	case a.mode == full && a.isa == avx2 && o.half:
		a.line("VMOVUPS X%d, %s", r, o.address)
	case a.mode == full:
		a.line("%s %s%d, %s", o.name, a.letter, r, o.address)
	case a.mode == single && o.half:
		a.line("VPEXTRW $0, X%d, %s", r, o.address)
	case a.mode == single:
		a.line("VMOVSS X%d, %s", r, o.address)
	case a.isa == avx512:
		a.line("%s Z%d, K1, %s", o.name, r, o.address)
	default:
		a.line("VMASKMOVPS Y%d, Y15, %s", r, o.address)
	}
}
