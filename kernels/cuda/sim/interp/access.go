package interp

import (
	"math/bits"
	"unsafe"
)

// shape is how the addresses of a full warp lie.
type shape uint8

const (
	scattered  shape = iota
	contiguous       // lane after lane
	uniform          // all the same
)

// pattern finds the shape of 32 addresses for accesses of step bytes.
func pattern(A *lanes, step uint64) shape {
	first := A[0]
	switch A[1] - first {
	case step:
		var off uint64
		next := first
		for l := range A {
			off |= A[l] ^ next
			next += step
		}
		if off == 0 {
			return contiguous
		}
	case 0:
		var off uint64
		for l := range A {
			off |= A[l] ^ first
		}
		if off == 0 {
			return uniform
		}
	}
	return scattered
}

// row is n bytes at a generic address in global memory or the block's own shared memory, nil if they
// are not all in one piece of it.
func (w *warp) row(addr uint64, n int) []byte {
	if addr < paramBase {
		a := w.run.h.find(addr)
		if a == nil || addr < a.addr || addr-a.addr+uint64(n) > uint64(len(a.data)) {
			return nil
		}
		return a.data[addr-a.addr:][:n]
	}
	off := addr - sharedBase
	if addr < sharedBase || off < reservedShared || off+uint64(n) > uint64(len(w.b.shared)) {
		return nil
	}
	return w.b.shared[off:][:n]
}

// whole moves 32 lanes that lie one after the other.
func (t *transfer) whole(w *warp, b []byte) {
	p := unsafe.Pointer(unsafe.SliceData(b))
	count := len(t.regs)
	for i, r := range t.regs {
		R := &w.r[r]
		switch {
		case t.n == 4 && count == 1:
			if t.load {
				loadRow((*[32]uint32)(p), R)
			} else {
				storeRow((*[32]uint32)(p), R)
			}
		case t.n == 4 && count == 4:
			if t.load {
				loadEvery4((*[128]uint32)(p), R, i)
			} else {
				storeEvery4((*[128]uint32)(p), R, i)
			}
		case t.n == 2 && count == 1:
			if t.load {
				loadRow((*[32]uint16)(p), R)
			} else {
				storeRow((*[32]uint16)(p), R)
			}
		case t.n == 8 && count == 1:
			if t.load {
				*R = *(*lanes)(p)
			} else {
				*(*lanes)(p) = *R
			}
		default:
			for l := range R {
				at := b[l*t.total+i*t.n:]
				if t.load {
					R[l] = loadOne(at, t.n)
				} else {
					storeOne(at, t.n, R[l])
				}
			}
		}
		if t.extend != 0 {
			for l := range R {
				R[l] = t.widen(R[l])
			}
		}
	}
}

func loadRow[T uint16 | uint32](s *[32]T, R *lanes) {
	for l := range R {
		R[l] = uint64(s[l])
	}
}

func storeRow[T uint16 | uint32](s *[32]T, R *lanes) {
	for l := range R {
		s[l] = T(R[l])
	}
}

func loadEvery4(s *[128]uint32, R *lanes, i int) {
	i &= 3
	for l := range R {
		R[l] = uint64(s[l*4+i])
	}
}

func storeEvery4(s *[128]uint32, R *lanes, i int) {
	i &= 3
	for l := range R {
		s[l*4+i] = uint32(R[l])
	}
}

// lanewise moves the lanes of m one by one.
func (t *transfer) lanewise(w *warp, m uint32, addresses *lanes) {
	A := addresses
	if t.load {
		for _, r := range t.regs { // a result may overwrite the address
			if r == t.base {
				copied := *addresses
				A = &copied
			}
		}
	}
	total := uint64(t.total)
	var last *allocation
	shared := w.b.shared
	for ; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m) & 31
		addr := A[l] + t.off
		var b []byte
		switch {
		case addr&(total-1) != 0:
			w.at(l, addr, t.total)
		case addr < paramBase:
			if last == nil || addr < last.addr || addr-last.addr+total > uint64(len(last.data)) {
				w.at(l, addr, t.total)
				last = w.run.h.find(addr)
			}
			b = last.data[addr-last.addr:][:total]
		case addr-sharedBase-reservedShared < uint64(len(shared))-reservedShared && addr-sharedBase+total <= uint64(len(shared)):
			b = shared[addr-sharedBase:][:total]
		case !t.load && addr >= paramBase && addr < localBase:
			faultf(l, "writes a parameter, at %s", w.where(addr))
		default:
			b = w.at(l, addr, t.total)
		}
		switch {
		case t.n == 4:
			for i, r := range t.regs {
				if t.load {
					w.r[r][l] = uint64(le.Uint32(b[i*4:]))
				} else {
					le.PutUint32(b[i*4:], uint32(w.r[r][l]))
				}
			}
		case t.load:
			for i, r := range t.regs {
				w.r[r][l] = loadOne(b[i*t.n:], t.n)
			}
		default:
			for i, r := range t.regs {
				storeOne(b[i*t.n:], t.n, w.r[r][l])
			}
		}
		if t.extend != 0 {
			for _, r := range t.regs {
				w.r[r][l] = t.widen(w.r[r][l])
			}
		}
	}
}
