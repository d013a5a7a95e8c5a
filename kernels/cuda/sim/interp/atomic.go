package interp

import (
	"math/bits"
	"sync/atomic"
	"unsafe"
)

func init() {
	families["atom"] = func(o *operands) op { return o.atomic(true) }
	families["red"] = func(o *operands) op { return o.atomic(false) }
	families["membar"] = translateFence
	families["fence"] = translateFence
}

// atomic translates atom and red. What other goroutines' blocks do to the same word is ordered by
// compare and swap; the lanes of a warp take their turns in ascending order.
func (o *operands) atomic(result bool) op {
	o.cacheHints()
	order := o.one("relaxed", "acquire", "release", "acq_rel")
	o.one("cta", "cluster", "gpu", "sys")
	o.has("noftz")
	base, shared, global := o.space()
	name := o.one("add", "min", "max", "and", "or", "xor", "inc", "dec", "exch", "cas")
	vector := o.one("v2", "v4")
	f := atomicFunction(name, o.typ)
	n := typeBits(o.typ) / 8
	if f == nil || name == "" || vector != "" {
		return nil
	}
	first := 0
	if result {
		first = 1
	}
	count := first + 2
	if name == "cas" {
		count++
	}
	if !o.want(count, count+1) {
		return nil
	}
	if len(o.arg) > count {
		o.value(o.arg[count], "u64")
	}
	d := -1
	if result {
		d = o.slot(0)
	}
	reg, off := o.addr(o.arg[first])
	off += base
	x := o.slot(first + 1)
	y := x
	if name == "cas" {
		y = o.slot(first + 2)
	}
	o.touches(n, shared, global)
	o.in.kind = waits
	return func(w *warp, m uint32) {
		A, X, Y := w.r[reg], w.r[x], w.r[y]
		if order == "release" || order == "acq_rel" {
			w.releaseFence(m)
		}
		if w.u.stats != nil {
			w.u.stats.Atomics += int64(bits.OnesCount32(m))
		}
		for rest := m; rest != 0; rest &= rest - 1 {
			l := bits.TrailingZeros32(rest) & 31
			addr := A[l] + off
			b := w.at(l, addr, n)
			w.checkAtomic(l, addr, n, true, true)
			old := update(b, n, func(v uint64) uint64 { return f(v, X[l], Y[l]) })
			if d >= 0 {
				w.r[d][l] = old
			}
			if w.b.check != nil {
				w.observeWord(addr, order == "acquire" || order == "acq_rel")
				w.publishWord(addr, order == "release" || order == "acq_rel")
			}
		}
		// A loop on compare and swap, or an exchange, may wait for another warp.
		if w.spins++; w.spins&1023 == 0 {
			w.yield = true
			w.u.idle++
		}
	}
}

// atomicFunction gives the new value from the old one and the operands.
func atomicFunction(name, typ string) func(old, x, y uint64) uint64 {
	width := typeBits(typ)
	mask := ^uint64(0) >> (64 - max(width, 1))
	switch typ {
	case "f32":
		if name == "add" {
			return func(old, x, _ uint64) uint64 { return u32(f32(old) + f32(x)) }
		}
		return nil
	case "f64":
		if name == "add" {
			return func(old, x, _ uint64) uint64 { return u64(f64(old) + f64(x)) }
		}
		return nil
	case "f16x2", "bf16x2", "f16", "bf16":
		c := codec{fromF16, toF16}
		if typ[0] == 'b' {
			c = codec{fromBF16, toBF16Wide}
		}
		if name != "add" {
			return nil
		}
		return func(old, x, _ uint64) uint64 {
			return both(width == 32, old, x, 0, func(a, b, _ uint64) uint64 { return c.put(float64(c.get(a)) + float64(c.get(b))) })
		}
	case "u32", "s32", "b32", "u64", "s64", "b64", "b16":
	default:
		return nil
	}
	isSigned, isBits := typ[0] == 's', typ[0] == 'b'
	smaller := func(a, b uint64) bool {
		if isSigned {
			return int64(a<<(64-width)) < int64(b<<(64-width))
		}
		return a < b
	}
	switch name {
	case "exch":
		if isBits && width >= 32 {
			return func(_, x, _ uint64) uint64 { return x }
		}
	case "cas":
		if isBits {
			return func(old, x, y uint64) uint64 {
				if old == x {
					return y
				}
				return old
			}
		}
	case "and":
		return func(old, x, _ uint64) uint64 { return old & x }
	case "or":
		return func(old, x, _ uint64) uint64 { return old | x }
	case "xor":
		return func(old, x, _ uint64) uint64 { return old ^ x }
	}
	if isBits {
		return nil
	}
	switch name {
	case "add":
		return func(old, x, _ uint64) uint64 { return (old + x) & mask }
	case "min":
		return func(old, x, _ uint64) uint64 {
			if smaller(x, old) {
				return x
			}
			return old
		}
	case "max":
		return func(old, x, _ uint64) uint64 {
			if smaller(old, x) {
				return x
			}
			return old
		}
	case "inc":
		return func(old, x, _ uint64) uint64 {
			if old >= x {
				return 0
			}
			return old + 1
		}
	case "dec":
		return func(old, x, _ uint64) uint64 {
			if old == 0 || old > x {
				return x
			}
			return old - 1
		}
	}
	return nil
}

// update replaces the n bytes at b by f of them, atomically, and returns what they were.
func update(b []byte, n int, f func(uint64) uint64) uint64 {
	p := unsafe.Pointer(unsafe.SliceData(b))
	switch n {
	case 8:
		q := (*uint64)(p)
		for {
			old := atomic.LoadUint64(q)
			if atomic.CompareAndSwapUint64(q, old, f(old)) {
				return old
			}
		}
	case 4:
		q := (*uint32)(p)
		for {
			old := atomic.LoadUint32(q)
			if atomic.CompareAndSwapUint32(q, old, uint32(f(uint64(old)))) {
				return uint64(old)
			}
		}
	}
	// Two bytes of a word.
	shift := uintptr(p) & 2 * 8
	q := (*uint32)(unsafe.Add(p, -int(uintptr(p)&2)))
	for {
		word := atomic.LoadUint32(q)
		old := uint64(word >> shift & 0xffff)
		if atomic.CompareAndSwapUint32(q, word, word&^(0xffff<<shift)|uint32(f(old)&0xffff)<<shift) {
			return old
		}
	}
}

// atomicLoad and atomicStore access n bytes at once.
func atomicLoad(b []byte, n int) uint64 {
	p := unsafe.Pointer(unsafe.SliceData(b))
	switch n {
	case 8:
		return atomic.LoadUint64((*uint64)(p))
	case 4:
		return uint64(atomic.LoadUint32((*uint32)(p)))
	}
	return loadOne(b, n)
}

func atomicStore(b []byte, n int, v uint64) {
	p := unsafe.Pointer(unsafe.SliceData(b))
	switch n {
	case 8:
		atomic.StoreUint64((*uint64)(p), v)
	case 4:
		atomic.StoreUint32((*uint32)(p), uint32(v))
	default:
		storeOne(b, n, v)
	}
}

// translateFence makes membar and the fences between threads; those of the asynchronous proxy are
// elsewhere.
func translateFence(o *operands) op {
	o.one("sc", "acq_rel")
	scope := o.one("cta", "gl", "cluster", "gpu", "sys")
	if scope == "" || !o.want(0, 0) {
		return nil
	}
	o.in.kind = plain
	if scope == "cta" {
		return func(*warp, uint32) {}
	}
	return func(w *warp, m uint32) { w.releaseFence(m) }
}
