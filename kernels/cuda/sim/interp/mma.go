package interp

func init() { families["mma"] = translateMMA }

// translateMMA: mma.sync.aligned.m16n8k16/.m16n8k8.row.col.f32.TYPE.TYPE.f32 d, a, b, c with TYPE bf16, f16 or (k8 only) tf32.
func translateMMA(o *operands) op {
	if !o.want(4, 4) {
		return nil
	}
	shape := o.one("m16n8k16", "m16n8k8")
	if shape == "" || !o.has("sync") || !o.has("aligned") || !o.has("row.col") {
		return nil
	}
	var e element
	known := false
	for name, v := range elementNames {
		if o.has("f32." + name + "." + name + ".f32") {
			e, known = v, true
		}
	}
	if !known || e == elemTF32 && shape == "m16n8k16" {
		return nil
	}
	groups := 1
	if shape == "m16n8k16" {
		groups = 2
	}
	na, nb := 2*groups, groups
	if e == elemTF32 {
		na, nb = 4, 2
	}
	d, a, b, c := o.list(o.arg[0], "f32"), o.list(o.arg[1], "b32"), o.list(o.arg[2], "b32"), o.list(o.arg[3], "f32")
	if o.err == nil && (len(d) != 4 || len(a) != na || len(b) != nb || len(c) != 4) {
		o.fail("fragments of %d, %d, %d and %d registers: 4, %d, %d and 4 expected", len(d), len(a), len(b), len(c), na, nb)
		return nil
	}
	crossed := false // a register of d is another one of c, and would be written before it is read
	for i := range d {
		for j := range c {
			crossed = crossed || i != j && d[i] == c[j]
		}
	}
	return func(w *warp, m uint32) {
		if m != full {
			faultf(-1, "executed by lanes %#08x: all 32 must take part", m)
		}
		var fa fragA
		var fb fragB
		block := mmaBlock{a: &fa, b: &fb, groups: groups}
		var regs [4]*lanes
		pick := func(slots []int) []*lanes {
			for i, s := range slots {
				regs[i] = w.reg(s)
			}
			return regs[:len(slots)]
		}
		if e == elemTF32 {
			fa.tf32(pick(a))
			fb.tf32(pick(b))
		} else {
			fa.registers(e, pick(a))
			fb.registers(e, pick(b))
		}
		for i := range 4 {
			block.d[i], block.c[i] = w.reg(d[i]), w.reg(c[i])
		}
		if crossed {
			var copies [4]lanes
			for i := range copies {
				copies[i] = *block.c[i]
				block.c[i] = &copies[i]
			}
		}
		block.run()
	}
}
