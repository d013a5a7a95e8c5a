package interp

func b2u(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func init() {
	for _, name := range []string{"mov", "cvta", "add", "sub", "mul", "mad", "fma", "and", "or", "xor", "shl", "shr", "setp", "cvt", "not", "neg"} {
		families[name] = skeleton
	}
}

func skeleton(o *operands) op {
	if o.part[0] == "setp" {
		p, _ := o.pred(o.arg[0])
		a, b := o.slot(1), o.slot(2)
		c := o.one("lt", "ge", "eq", "ne", "gt", "le")
		return func(w *warp, m uint32) {
			A, B := w.reg(a), w.reg(b)
			var v uint32
			for l := range A {
				x, y := int32(A[l]), int32(B[l])
				if c == "lt" && x < y || c == "ge" && x >= y || c == "eq" && x == y || c == "ne" && x != y || c == "gt" && x > y || c == "le" && x <= y {
					v |= 1 << l
				}
			}
			w.setPred(p, m, v)
		}
	}
	o.has("to")
	o.has("global")
	o.has("wide")
	o.has("lo")
	o.has("rn")
	d, a := o.slot(0), o.slot(1)
	var b, c int
	if len(o.arg) > 2 {
		b = o.slot(2)
	}
	if len(o.arg) > 3 {
		c = o.slot(3)
	}
	f := map[string]func(x, y, z uint64) uint64{
		"mov": func(x, y, z uint64) uint64 { return x }, "cvta": func(x, y, z uint64) uint64 { return x },
		"add.s32": func(x, y, z uint64) uint64 { return uint64(uint32(x + y)) }, "add.s64": func(x, y, z uint64) uint64 { return x + y },
		"mul.wide.s32": func(x, y, z uint64) uint64 { return uint64(int64(int32(x)) * int64(int32(y))) },
		"mad.lo.s32":   func(x, y, z uint64) uint64 { return uint64(uint32(x*y + z)) },
		"fma.rn.f32":   func(x, y, z uint64) uint64 { return u32(f32(x)*f32(y) + f32(z)) },
		"shl.b32":      func(x, y, z uint64) uint64 { return uint64(uint32(x << y)) },
	}
	g := f[o.name]
	if g == nil {
		g = f[o.part[0]]
	}
	if g == nil {
		return nil
	}
	return func(w *warp, m uint32) {
		D, A, B, C := w.reg(d), w.reg(a), w.reg(b), w.reg(c)
		each(m, func(l int) { D[l] = g(A[l], B[l], C[l]) })
	}
}
