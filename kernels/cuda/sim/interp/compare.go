package interp

func init() {
	families["setp"] = translateSetp
	families["set"] = translateSet
	families["selp"] = translateSelp
	families["slct"] = translateSlct
}

// relation gives the lanes where a comparison holds.
type relation func(A, B *lanes) uint32

type orderings struct{ lt, le relation }

var integerOrder = map[string]orderings{
	"s16": {less[int16], lessEqual[int16]}, "s32": {less[int32], lessEqual[int32]}, "s64": {less[int64], lessEqual[int64]},
	"u16": {less[uint16], lessEqual[uint16]}, "u32": {less[uint32], lessEqual[uint32]}, "u64": {less[uint64], lessEqual[uint64]},
}

func less[T integer](A, B *lanes) uint32 {
	var m uint32
	for l := range A {
		var b uint32
		if T(A[l]) < T(B[l]) {
			b = 1
		}
		m |= b << (l & 31)
	}
	return m
}

func lessEqual[T integer](A, B *lanes) uint32 {
	var m uint32
	for l := range A {
		var b uint32
		if T(A[l]) <= T(B[l]) {
			b = 1
		}
		m |= b << (l & 31)
	}
	return m
}

// equal is equality of integers of any width.
var equal = relation(equalLanes)

func equalLanes(A, B *lanes) uint32 {
	var m uint32
	for l := range A {
		var b uint32
		if A[l] == B[l] {
			b = 1
		}
		m |= b << (l & 31)
	}
	return m
}

// floatOrder gives less, less or equal, and unordered of a float type.
func floatOrder(typ string, ftz bool) (lt, le, nan relation) {
	rel := func(f func(a, b float64) bool, get func(uint64) float64) relation {
		return func(A, B *lanes) uint32 {
			var m uint32
			for l := range A {
				m |= uint32(b2u(f(get(A[l]), get(B[l])))) << l
			}
			return m
		}
	}
	get := map[string]func(uint64) float64{
		"f16": func(v uint64) float64 { return float64(fromF16(v)) }, "bf16": func(v uint64) float64 { return float64(fromBF16(v)) },
		"f64": f64, "f32": func(v uint64) float64 { return float64(f32(v)) },
	}[typ]
	if get == nil {
		return nil, nil, nil
	}
	if ftz {
		get = func(v uint64) float64 { return float64(f32(flushOne(v))) }
	}
	if typ == "f32" && !ftz {
		return lessF32, lessEqualF32, unordered32
	}
	return rel(func(a, b float64) bool { return a < b }, get), rel(func(a, b float64) bool { return a <= b }, get),
		rel(func(a, b float64) bool { return a != a || b != b }, get)
}

var lessF32, lessEqualF32 = relation(less32), relation(lessEqual32)

func less32(A, B *lanes) uint32 {
	var m uint32
	for l := range A {
		var b uint32
		if f32(A[l]) < f32(B[l]) {
			b = 1
		}
		m |= b << (l & 31)
	}
	return m
}

func lessEqual32(A, B *lanes) uint32 {
	var m uint32
	for l := range A {
		var b uint32
		if f32(A[l]) <= f32(B[l]) {
			b = 1
		}
		m |= b << (l & 31)
	}
	return m
}

func unordered32(A, B *lanes) uint32 {
	var m uint32
	for l := range A {
		var b uint32
		if A[l]&0x7fffffff > 0x7f800000 || B[l]&0x7fffffff > 0x7f800000 {
			b = 1
		}
		m |= b << (l & 31)
	}
	return m
}

// relation finds the comparison among the modifiers.
func (o *operands) relation(typ string) relation {
	cmp := o.one("eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs",
		"equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan")
	ftz := o.has("ftz")
	if !isFloat(typ) {
		if cmp == "eq" || cmp == "ne" {
			if typeBits(typ) < 16 {
				return nil
			}
			if cmp == "ne" {
				return func(A, B *lanes) uint32 { return ^equal(A, B) }
			}
			return equal
		}
		switch cmp { // names of unsigned comparisons
		case "lo", "ls", "hi", "hs":
			if typ[0] != 'u' && typ[0] != 'b' {
				return nil
			}
			typ = "u" + typ[1:]
			cmp = map[string]string{"lo": "lt", "ls": "le", "hi": "gt", "hs": "ge"}[cmp]
		}
		r := integerOrder[typ]
		switch cmp {
		case "lt":
			return r.lt
		case "le":
			return r.le
		case "gt":
			return swapped(r.lt)
		case "ge":
			return swapped(r.le)
		}
		return nil
	}
	lt, le, nan := floatOrder(typ, ftz)
	if lt == nil || ftz && typ != "f32" {
		return nil
	}
	not := func(r relation) relation { return func(A, B *lanes) uint32 { return ^r(A, B) } }
	ne := func(A, B *lanes) uint32 { return lt(A, B) | lt(B, A) }
	switch cmp {
	case "lt":
		return lt
	case "le":
		return le
	case "gt":
		return swapped(lt)
	case "ge":
		return swapped(le)
	case "ne":
		return ne
	case "eq":
		return func(A, B *lanes) uint32 { return le(A, B) & le(B, A) }
	case "ltu":
		return not(swapped(le))
	case "leu":
		return not(swapped(lt))
	case "gtu":
		return not(le)
	case "geu":
		return not(lt)
	case "equ":
		return not(ne)
	case "neu":
		return func(A, B *lanes) uint32 { return ^(le(A, B) & le(B, A)) }
	case "nan":
		return nan
	case "num":
		return not(nan)
	}
	return nil
}

func swapped(r relation) relation {
	if r == nil {
		return nil
	}
	return func(A, B *lanes) uint32 { return r(B, A) }
}

// combine is the boolean operation of setp with a third operand.
func combine(how string, x, c uint32) uint32 {
	switch how {
	case "and":
		return x & c
	case "or":
		return x | c
	case "xor":
		return x ^ c
	}
	return x
}

func translateSetp(o *operands) op {
	how := o.one("and", "or", "xor")
	r := o.relation(o.typ)
	n := 3
	if how != "" {
		n = 4
	}
	if r == nil || !o.want(n, n) {
		return nil
	}
	first, second, two := cutPair(o.arg[0])
	p, _ := o.pred(first)
	q := -1
	if two {
		q, _ = o.pred(second)
	}
	a, b := o.slot(1), o.slot(2)
	c, neg := 0, false
	if how != "" {
		c, neg = o.pred(o.arg[3])
	}
	if how == "" && q < 0 {
		return func(w *warp, m uint32) { w.p[p] = w.p[p]&^m | r(&w.r[a], &w.r[b])&m }
	}
	return func(w *warp, m uint32) {
		x := r(&w.r[a], &w.r[b])
		k := w.pred(c, neg)
		w.setPred(p, m, combine(how, x, k))
		if q >= 0 {
			w.setPred(q, m, combine(how, ^x, k))
		}
	}
}

// cutPair reads "p|q".
func cutPair(s string) (p, q string, two bool) {
	for i := range len(s) {
		if s[i] == '|' {
			return trim(s[:i]), trim(s[i+1:]), true
		}
	}
	return s, "", false
}

func trim(s string) string {
	for s != "" && s[0] == ' ' {
		s = s[1:]
	}
	for s != "" && s[len(s)-1] == ' ' {
		s = s[:len(s)-1]
	}
	return s
}

// translateSet makes set: all ones, or 1.0, where the comparison holds.
func translateSet(o *operands) op {
	if len(o.part) < 4 || o.one("and", "or", "xor") != "" || !o.want(3, 3) {
		return nil
	}
	to := o.part[len(o.part)-2]
	o.used[len(o.part)-2] = true
	yes, ok := map[string]uint64{"u32": 0xffffffff, "s32": 0xffffffff, "f32": 0x3f800000}[to]
	r := o.relation(o.typ)
	if r == nil || !ok {
		return nil
	}
	return o.binary(func(D, A, B *lanes) {
		x := r(A, B)
		for l := range D {
			D[l] = yes * uint64(x>>l&1)
		}
	})
}

func translateSelp(o *operands) op {
	if !o.want(4, 4) || typeBits(o.typ) < 16 {
		return nil
	}
	d, a, b := o.slot(0), o.slot(1), o.slot(2)
	p, neg := o.pred(o.arg[3])
	o.in.choice = &choice{a, b, p, neg}
	return func(w *warp, m uint32) {
		D, A, B := &w.r[d], &w.r[a], &w.r[b]
		x := w.pred(p, neg)
		if m != full {
			D = &w.tmp
		}
		for l := range D {
			take := -uint64(x >> (l & 31) & 1)
			D[l] = B[l] ^ (A[l]^B[l])&take
		}
		if m != full {
			merge(&w.r[d], D, m)
		}
	}
}

// translateSlct makes slct: a where c >= 0, else b.
func translateSlct(o *operands) op {
	n := len(o.part)
	if n < 3 || !o.want(4, 4) {
		return nil
	}
	typ := o.part[n-2]
	o.used[n-2] = true
	ftz := o.has("ftz")
	if typeBits(typ) < 16 || o.typ != "s32" && o.typ != "f32" || ftz && o.typ != "f32" {
		return nil
	}
	float := o.typ == "f32"
	return onTernary(o.slotOf(0, typ), o.slotOf(1, typ), o.slotOf(2, typ), o.slot(3), func(D, A, B, C *lanes) {
		for l := range D {
			yes := int32(C[l]) >= 0
			if float {
				v := C[l]
				if ftz {
					v = flushOne(v)
				}
				yes = f32(v) >= 0
			}
			if yes {
				D[l] = A[l]
			} else {
				D[l] = B[l]
			}
		}
	})
}
