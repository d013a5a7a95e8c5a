package interp

import (
	"math/bits"
	"runtime"
)

func init() {
	families["ld"] = func(o *operands) op { return o.loadStore(true) }
	families["ldu"] = families["ld"]
	families["st"] = func(o *operands) op { return o.loadStore(false) }
	for _, name := range []string{"prefetch", "prefetchu", "applypriority", "discard"} {
		families[name] = translateHint
	}
	families["createpolicy"] = translatePolicy
}

// at is the n bytes at a generic address, as lane l sees it.
func (w *warp) at(l int, addr uint64, n int) []byte {
	if addr&uint64(n-1) != 0 {
		faultf(l, "address %s is not a multiple of the %d bytes accessed", w.where(addr), n)
	}
	return w.span(l, addr, n)
}

// span is the n bytes at a generic address, as lane l sees it, whatever their alignment.
func (w *warp) span(l int, addr uint64, n int) []byte {
	if addr < paramBase {
		a := w.run.h.find(addr)
		if a == nil || addr < a.addr || addr-a.addr+uint64(n) > uint64(len(a.data)) {
			faultf(l, "%d bytes of global memory out of bounds at %#x: %s", n, addr, w.run.h.whereabouts(addr))
		}
		return a.data[addr-a.addr:][:n:n]
	}
	switch {
	case addr >= sharedBase:
		b, off := w.b, addr-sharedBase
		if rank := off >> clusterShift; rank != 0 {
			off &= 1<<clusterShift - 1
			if rank > uint64(len(w.u.blocks)) {
				faultf(l, "shared address %#x: the cluster has no block of rank %d", addr-sharedBase, rank-1)
			}
			b = w.u.blocks[rank-1]
			if b != w.b {
				w.reach(l, b)
			}
		}
		if off < reservedShared || off+uint64(n) > uint64(len(b.shared)) {
			faultf(l, "%d bytes of shared memory out of bounds at offset %d of %d", n, int64(off)-reservedShared, len(b.shared)-reservedShared)
		}
		return b.shared[off:][:n:n]
	case addr >= localBase:
		off, size := addr-localBase, uint64(w.run.k.local)
		if off+uint64(n) > size {
			faultf(l, "%d bytes of local memory out of bounds at offset %d of %d", n, off, size)
		}
		return w.local[uint64(l)*size+off:][:n:n]
	}
	off := addr - paramBase
	if off+uint64(n) > uint64(len(w.run.params)) {
		faultf(l, "%d bytes of parameters out of bounds at offset %d of %d", n, off, len(w.run.params))
	}
	return w.run.params[off:][:n:n]
}

// where writes an address for a message.
func (w *warp) where(addr uint64) string {
	switch {
	case addr >= sharedBase:
		return "shared+" + itoa(addr-sharedBase)
	case addr >= localBase:
		return "local+" + itoa(addr-localBase)
	case addr >= paramBase:
		return "param+" + itoa(addr-paramBase)
	}
	return "0x" + hex(addr)
}

// space reads the state space of an instruction: what turns its addresses into generic ones, and
// whether the instruction may touch shared or global memory.
func (o *operands) space() (base uint64, shared, global bool) {
	switch name := o.one("global", "shared::cta", "shared::cluster", "shared", "local", "const", "param::entry", "param"); name {
	case "shared::cta", "shared::cluster", "shared":
		return sharedBase, true, false
	case "local":
		return localBase, false, false
	case "param", "param::entry":
		return paramBase, false, false
	case "":
		return 0, true, true
	}
	return 0, false, true
}

// transfer is a load or store: count registers of n bytes each per lane.
type transfer struct {
	load     bool
	base     int    // slot of the address
	off      uint64 // added to it, with the base of the state space
	regs     []int
	n, total int  // bytes of an element and of a lane
	extend   uint // for signed elements: how far to shift left and back, 0 for none
	mask     uint64
	own      bool // must be that of the block
	relaxed  bool // racing with other strong accesses is allowed
	acquire  bool
	release  bool
}

// loadStore translates ld and st.
func (o *operands) loadStore(load bool) op {
	if !o.want(2, 3) {
		return nil
	}
	t := &transfer{load: load, n: typeBits(o.typ) / 8}
	o.cacheHints()
	switch o.one("relaxed", "acquire", "release", "volatile", "weak") {
	case "acquire":
		t.acquire, t.relaxed = true, true
		if !load {
			return nil
		}
	case "release":
		t.release, t.relaxed = true, true
		if load {
			return nil
		}
	case "relaxed", "volatile":
		t.relaxed = true
	}
	o.one("mmio")
	o.one("cta", "cluster", "gpu", "sys")
	if len(o.arg) == 3 { // a cache policy
		o.value(o.arg[2], "u64")
	}
	base, shared, global := o.space()
	t.own = o.has("shared::cta") || o.has("shared")
	count := 1
	if v := o.one("v2", "v4", "v8"); v != "" {
		count = int(v[1] - '0')
	}
	vals, at := o.arg[0], o.arg[1]
	if !load {
		vals, at = at, vals
	}
	t.base, t.off = o.addr(at)
	t.off += base
	t.regs = o.list(vals, o.typ)
	if !load && (base == paramBase || o.has("const")) {
		o.fail("a store to memory that cannot be written")
		return nil
	}
	if t.n == 0 || t.n > 8 || count != len(t.regs) || t.n*count > 32 {
		o.fail("%d registers of type %s", len(t.regs), o.typ)
		return nil
	}
	if o.err != nil {
		return nil
	}
	t.total = t.n * count
	o.touches(t.total, shared, global)
	if load && o.typ[0] == 's' && t.n < 8 {
		t.extend = uint(64 - 8*t.n)
		t.mask = ^uint64(0) >> (64 - o.a.width[t.regs[0]])
	}
	if v := o.a.parameter(t.base); v != nil && base == paramBase && load {
		return t.parameter(o, v)
	}
	if base == localBase || base == paramBase {
		return t.private
	}
	if t.relaxed {
		o.in.kind = waits
	}
	return t.run
}

// cacheHints marks what does not change the result of an access: cache operators, eviction
// priorities and prefetch sizes.
func (o *operands) cacheHints() {
	for _, m := range []string{
		"ca", "cg", "cs", "cv", "lu", "wb", "wt", "nc", "L1::no_allocate", "L1::evict_normal", "L1::evict_unchanged",
		"L1::evict_first", "L1::evict_last", "L2::evict_first", "L2::evict_last", "L2::evict_normal", "L2::cache_hint", "L2::64B", "L2::128B", "L2::256B",
	} {
		o.has(m)
	}
}

// parameter is the parameter whose address a slot holds, nil if it holds something else.
func (a *assembler) parameter(slot int) *variable {
	for _, u := range a.k.symbols {
		if u.slot == slot && u.v.space == ".param" {
			return u.v
		}
	}
	return nil
}

// parameter loads from a place in the parameter block that is known now.
func (t *transfer) parameter(o *operands, v *variable) op {
	k := o.a.k
	at := t.off - paramBase + v.at
	if at+uint64(t.total) > uint64(k.size) || at%uint64(t.total) != 0 {
		o.fail("%d bytes at offset %d of parameters of %d bytes", t.total, at, k.size)
		return nil
	}
	return func(w *warp, m uint32) {
		b := w.run.params[at:]
		for i, r := range t.regs {
			v := t.widen(loadOne(b[i*t.n:], t.n))
			for l := range w.tmp {
				w.tmp[l] = v
			}
			if m == full {
				w.r[r] = w.tmp
			} else {
				merge(&w.r[r], &w.tmp, m)
			}
		}
	}
}

// private is an access to local memory, or to parameters by a computed address.
func (t *transfer) private(w *warp, m uint32) {
	A := w.r[t.base]
	for ; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m) & 31
		b := w.at(l, A[l]+t.off, t.total)
		for i, r := range t.regs {
			if t.load {
				w.r[r][l] = t.widen(loadOne(b[i*t.n:], t.n))
			} else {
				storeOne(b[i*t.n:], t.n, w.r[r][l])
			}
		}
	}
}

// run is an access to global or shared memory.
func (t *transfer) run(w *warp, m uint32) {
	if t.relaxed {
		w.strong(t, m)
		return
	}
	A := &w.r[t.base]
	if w.u.stats != nil {
		t.count(w, m, A)
	}
	stride := contiguous
	if m == full {
		stride = pattern(A, uint64(t.total))
	} else {
		stride = scattered
	}
	if check := w.b.check; check != nil {
		t.check(w, m, A, stride)
	}
	switch stride {
	case contiguous:
		addr := A[0] + t.off
		if addr&uint64(t.total-1) == 0 {
			if b := w.row(addr, 32*t.total); b != nil {
				t.whole(w, b)
				return
			}
		}
	case uniform:
		if t.load {
			b := w.at(0, A[0]+t.off, t.total)
			for i, r := range t.regs {
				v := t.widen(loadOne(b[i*t.n:], t.n))
				R := &w.r[r]
				for l := range R {
					R[l] = v
				}
			}
			return
		}
	}
	t.lanewise(w, m, A)
}

// strong is an access that another thread may wait for: it is done one lane at a time, atomically.
func (w *warp) strong(t *transfer, m uint32) {
	A := w.r[t.base]
	if t.release {
		w.releaseFence(m)
	}
	for rest := m; rest != 0; rest &= rest - 1 {
		l := bits.TrailingZeros32(rest) & 31
		addr := A[l] + t.off
		b := w.at(l, addr, t.total)
		w.checkAtomic(l, addr, t.total, t.load, !t.load)
		for i, r := range t.regs {
			if t.load {
				w.r[r][l] = t.widen(atomicLoad(b[i*t.n:], t.n))
			} else {
				atomicStore(b[i*t.n:], t.n, w.r[r][l])
			}
		}
		if w.b.check != nil {
			if t.load {
				w.observeWord(addr, t.acquire)
			} else {
				w.publishWord(addr, t.release)
			}
		}
	}
	if !t.load {
		w.u.events++
		return
	}
	// Whoever waits for a value lets others run now and then.
	if w.spins++; w.spins&15 == 0 {
		w.yield = true
		w.u.idle++
		runtime.Gosched()
	}
}

func (t *transfer) widen(v uint64) uint64 {
	if t.extend == 0 {
		return v
	}
	return uint64(int64(v<<t.extend)>>t.extend) & t.mask
}

func loadOne(b []byte, n int) uint64 {
	switch n {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(le.Uint16(b))
	case 4:
		return uint64(le.Uint32(b))
	}
	return le.Uint64(b)
}

func storeOne(b []byte, n int, v uint64) {
	switch n {
	case 1:
		b[0] = byte(v)
	case 2:
		le.PutUint16(b, uint16(v))
	case 4:
		le.PutUint32(b, uint32(v))
	default:
		le.PutUint64(b, v)
	}
}

// translateHint makes instructions that only move data between caches.
func translateHint(o *operands) op {
	o.cacheHints()
	o.space()
	o.one("L1")
	o.one("L2")
	o.one("tensormap")
	if !o.want(1, 2) {
		return nil
	}
	o.addr(o.arg[0])
	return func(*warp, uint32) {}
}

// translatePolicy makes createpolicy: the value of a policy means nothing here.
func translatePolicy(o *operands) op {
	if o.one("fractional", "range") == "" {
		return nil
	}
	o.has("global")
	for _, m := range []string{"L2::evict_last", "L2::evict_normal", "L2::evict_first", "L2::evict_unchanged"} {
		o.has(m)
	}
	if !o.want(1, 6) || o.typ != "b64" {
		return nil
	}
	d := o.slot(0)
	return func(w *warp, m uint32) { each(m, func(l int) { w.r[d][l] = 1 }) }
}
