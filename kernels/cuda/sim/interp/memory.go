package interp

import (
	"math/bits"
	"strings"
	"unsafe"
)

func init() {
	families["ld"] = func(o *operands) op { return o.loadStore(true) }
	families["ldu"] = families["ld"]
	families["st"] = func(o *operands) op { return o.loadStore(false) }
}

// spaceBase is what turns an address of a state space into a generic one.
func (o *operands) spaceBase() uint64 {
	switch o.one("global", "shared::cta", "shared::cluster", "shared", "local", "const", "param") {
	case "shared::cta", "shared::cluster", "shared":
		return sharedBase
	case "local":
		return localBase
	case "param":
		return paramBase
	}
	return 0
}

// at is the n bytes at a generic address, as lane l sees it. n is a power of two.
func (w *warp) at(l int, addr uint64, n int) []byte {
	if addr&uint64(n-1) != 0 {
		faultf(l, "address %s is not a multiple of the access of %d bytes", w.where(addr), n)
	}
	if addr < paramBase {
		a := w.run.h.find(addr)
		if a == nil || addr < a.addr || addr-a.addr+uint64(n) > uint64(len(a.data)) {
			faultf(l, "global access of %d bytes out of bounds at %#x: %s", n, addr, w.run.h.whereabouts(addr))
		}
		return a.data[addr-a.addr:][:n:n]
	}
	switch {
	case addr >= sharedBase:
		b, off := w.b, addr-sharedBase
		if rank := off >> clusterShift; rank != 0 {
			off &= 1<<clusterShift - 1
			if rank > uint64(len(w.u.blocks)) {
				faultf(l, "shared access at %#x: the cluster has no block of rank %d", addr-sharedBase, rank-1)
			}
			b = w.u.blocks[rank-1]
		}
		if off < reservedShared || off+uint64(n) > uint64(len(b.shared)) {
			faultf(l, "shared access of %d bytes out of bounds at offset %d of %d", n, int64(off)-reservedShared, len(b.shared)-reservedShared)
		}
		return b.shared[off:][:n:n]
	case addr >= localBase:
		off, size := addr-localBase, uint64(w.run.k.local)
		if off+uint64(n) > size {
			faultf(l, "local access of %d bytes out of bounds at offset %d of %d", n, off, size)
		}
		return w.local[uint64(l)*size+off:][:n:n]
	}
	off := addr - paramBase
	if off+uint64(n) > uint64(len(w.run.params)) {
		faultf(l, "parameter access of %d bytes at offset %d of %d", n, off, len(w.run.params))
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

// loadStore translates ld and st.
func (o *operands) loadStore(load bool) op {
	if !o.want(2, 3) {
		return nil
	}
	o.modifiers()
	if len(o.arg) == 3 { // a cache policy
		o.value(o.arg[2], "u64")
	}
	base := o.spaceBase()
	n := typeBits(o.typ) / 8
	vals, at := o.arg[0], o.arg[1]
	if !load {
		vals, at = at, vals
	}
	count := 1
	if v := o.one("v2", "v4", "v8"); v != "" {
		count = int(v[1] - '0')
	}
	reg, off := o.addr(at)
	off += base
	regs := o.list(vals, o.typ)
	if n == 0 || n > 8 || count != len(regs) || n*count > 32 {
		o.fail("%d registers of %d bytes", len(regs), n)
		return nil
	}
	o.access(n * count)
	_ = strings.HasPrefix
	signed := load && o.typ[0] == 's'
	return func(w *warp, m uint32) {
		A := w.reg(reg)
		for ; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			b := w.at(l, A[l]+off, n*count)
			for i, r := range regs {
				if load {
					w.r[r][l] = loadOne(b[i*n:], n, signed)
				} else {
					storeOne(b[i*n:], n, w.r[r][l])
				}
			}
		}
	}
}

// modifiers marks what does not change the result of an access here: cache operators, eviction
// priorities, prefetch sizes, orderings and scopes.
func (o *operands) modifiers() {
	for _, m := range []string{
		"weak", "relaxed", "acquire", "release", "volatile", "cta", "cluster", "gpu", "sys", "mmio",
		"ca", "cg", "cs", "cv", "lu", "wb", "wt", "nc", "unified", "L1::no_allocate", "L1::evict_normal", "L1::evict_unchanged", "L1::evict_first",
		"L1::evict_last", "L2::evict_first", "L2::evict_last", "L2::evict_normal", "L2::cache_hint", "L2::64B", "L2::128B", "L2::256B",
	} {
		o.has(m)
	}
}

func loadOne(b []byte, n int, signed bool) uint64 {
	switch n {
	case 1:
		if signed {
			return uint64(uint32(int32(int8(b[0]))))
		}
		return uint64(b[0])
	case 2:
		if signed {
			return uint64(uint32(int32(int16(le.Uint16(b)))))
		}
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

var _ = unsafe.Pointer(nil)
