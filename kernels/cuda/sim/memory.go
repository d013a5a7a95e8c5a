package sim

import (
	"cmp"
	"slices"
	"unsafe"
)

// hostBlock is page-locked memory.
type hostBlock struct {
	at    uintptr
	bytes []byte
}

func (s *slot) memGetInfo(free, total *uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		if free == nil || total == nil {
			return invalidValue
		}
		*free, *total = uintptr(m.o.Memory-m.heap.Used()), uintptr(m.o.Memory)
		return success
	})
}

func (s *slot) memAlloc(p *uint64, n uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		if p == nil || n == 0 {
			return m.say(invalidValue, "an allocation of %d bytes", n)
		}
		addr, err := m.heap.Alloc(int(min(n, 1<<62)))
		if err != nil {
			return m.say(outOfMemory, "%v", err)
		}
		*p = addr
		return success
	})
}

// memFree waits for all streams first, as the driver does.
func (s *slot) memFree(p uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		if r := m.runAll(); r != success {
			return r
		}
		if err := m.heap.Free(uint64(p)); err != nil {
			return m.say(invalidValue, "%v", err)
		}
		return success
	})
}

func (s *slot) memHostAlloc(p *unsafe.Pointer, n, flags uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		const page = 4096
		if p == nil || n == 0 || n > 1<<40 || uint32(flags) > 7 {
			return m.say(invalidValue, "page-locked memory of %d bytes, flags %#x", n, flags)
		}
		room := make([]byte, int(n)+page-1)
		off := int(-uintptr(unsafe.Pointer(&room[0])) & (page - 1))
		b := room[off : off+int(n) : off+int(n)]
		for i := range b {
			b[i] = 0xa5
		}
		block := hostBlock{uintptr(unsafe.Pointer(&b[0])), b}
		i, _ := m.findHost(block.at)
		m.host = slices.Insert(m.host, i, block)
		*p = unsafe.Pointer(&b[0])
		return success
	})
}

func (s *slot) memFreeHost(p uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		i, ok := m.findHost(p)
		if !ok {
			return m.say(invalidValue, "no page-locked memory begins at %#x, or it was freed", p)
		}
		m.host = slices.Delete(m.host, i, i+1)
		return success
	})
}

func (m *Machine) findHost(at uintptr) (int, bool) {
	return slices.BinarySearchFunc(m.host, at, func(h hostBlock, at uintptr) int { return cmp.Compare(h.at, at) })
}

// hostBytes are n bytes of page-locked memory.
func (m *Machine) hostBytes(at, n uintptr) ([]byte, result) {
	i, ok := m.findHost(at)
	if !ok {
		i-- // the block that begins before
	}
	if i >= 0 {
		h := m.host[i]
		if off := at - h.at; off <= uintptr(len(h.bytes)) && n <= uintptr(len(h.bytes))-off {
			return h.bytes[off : off+n], success
		}
	}
	return nil, m.say(invalidValue, "%d bytes of the host at %#x are not page-locked: a copy may still use them after the call",
		n, at)
}

// deviceBytes are n bytes of the card.
func (m *Machine) deviceBytes(at uint64, n uintptr) ([]byte, result) {
	b, err := m.heap.Bytes(at, int(min(n, 1<<62)))
	if err != nil {
		return nil, m.say(invalidValue, "%v", err)
	}
	return b, success
}

// rows are rows of memory, of the host or of the card.
type rows struct {
	host  bool
	at    uint64
	pitch uint64
}

// row is row i, n bytes of it.
func (m *Machine) row(p rows, i, n uintptr) ([]byte, result) {
	at := p.at + uint64(i)*p.pitch
	if p.host {
		return m.hostBytes(uintptr(at), n)
	}
	return m.deviceBytes(at, n)
}

// copy queues a copy. Both sides are looked up now, so that a wrong address is this call's error, and again when it is done.
func (m *Machine) copy(stream uintptr, dst, src rows, width, height uintptr) result {
	if width == 0 || height == 0 {
		return success
	}
	for i := range height {
		if _, r := m.row(dst, i, width); r != success {
			return r
		}
		if _, r := m.row(src, i, width); r != success {
			return r
		}
	}
	return m.push(stream, func(m *Machine) result {
		for i := range height {
			if r := m.copyRow(dst, src, i, width); r != success {
				return r
			}
		}
		return success
	})
}

// copyRow copies row i, and which of its bytes have been written.
func (m *Machine) copyRow(dst, src rows, i, width uintptr) result {
	to, r := m.row(dst, i, width)
	if r != success {
		return r
	}
	from, r := m.row(src, i, width)
	if r != success {
		return r
	}
	copy(to, from)
	if dst.host {
		return success
	}
	toAt, fromAt := dst.at+uint64(i)*dst.pitch, src.at+uint64(i)*src.pitch
	if src.host || m.heap.Written(fromAt, int(width)) {
		m.heap.MarkWritten(toAt, int(width))
		return success
	}
	for k := range uint64(width) {
		if m.heap.Written(fromAt+k, 1) {
			m.heap.MarkWritten(toAt+k, 1)
		}
	}
	return success
}

func (s *slot) copyToDevice(dst, src, n, stream uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		return m.copy(stream, rows{at: uint64(dst)}, rows{host: true, at: uint64(src)}, n, 1)
	})
}

func (s *slot) copyToHost(dst, src, n, stream uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		return m.copy(stream, rows{host: true, at: uint64(dst)}, rows{at: uint64(src)}, n, 1)
	})
}

func (s *slot) copyWithin(dst, src, n, stream uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		return m.copy(stream, rows{at: uint64(dst)}, rows{at: uint64(src)}, n, 1)
	})
}

// copy2D is CUDA_MEMCPY2D.
type copy2D struct {
	src, dst      side
	width, height uintptr
}

type side struct {
	x, y                   uintptr
	kind                   uint32
	host, device, _, pitch uintptr
}

// place is where a side begins.
func (p *side) place(m *Machine) (rows, result) {
	const host, device = 1, 2
	start := uint64(p.y*p.pitch + p.x)
	switch p.kind {
	case host:
		return rows{true, uint64(p.host) + start, uint64(p.pitch)}, success
	case device:
		return rows{false, uint64(p.device) + start, uint64(p.pitch)}, success
	}
	return rows{}, m.say(invalidValue, "memory type %d", p.kind)
}

func (s *slot) copyRows(p *copy2D, stream uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		if p == nil {
			return invalidValue
		}
		dst, r := p.dst.place(m)
		if r != success {
			return r
		}
		src, r := p.src.place(m)
		if r != success {
			return r
		}
		if p.height > 1 && (p.dst.pitch < p.width || p.src.pitch < p.width) {
			return m.say(invalidValue, "rows of %d bytes, %d and %d bytes apart", p.width, p.dst.pitch, p.src.pitch)
		}
		return m.copy(stream, dst, src, p.width, p.height)
	})
}

func (s *slot) setBytes(dst, value, n, stream uintptr) uintptr {
	return s.inContext(func(m *Machine) result {
		if _, r := m.deviceBytes(uint64(dst), n); r != success {
			return r
		}
		return m.push(stream, func(m *Machine) result {
			b, r := m.deviceBytes(uint64(dst), n)
			for i := range b {
				b[i] = byte(value)
			}
			m.heap.MarkWritten(uint64(dst), len(b))
			return r
		})
	})
}
