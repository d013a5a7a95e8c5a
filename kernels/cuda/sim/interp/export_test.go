package interp

import (
	"bytes"
	"sync/atomic"
)

// Tap calls f with every launch before it begins, until the function that it returns is called. For tests
// that run real kernels through the backend.
func Tap(f func(k *Kernel, h *Heap, grid, dim [3]uint32, shared int, args []byte)) (stop func()) {
	tap = f
	return func() { tap = nil }
}

// Clone is a heap with the same contents. What args points to is copied; a kernel cannot reach the rest.
func (h *Heap) Clone(args []byte) *Heap {
	h.mu.Lock()
	defer h.mu.Unlock()
	reached := map[*allocation]bool{}
	for i := 0; i+8 <= len(args); i += 8 {
		reached[h.find(le.Uint64(args[i:]))] = true
	}
	c := &Heap{limit: h.limit, used: h.used, serial: h.serial, modules: map[*Module]map[*variable]uint64{}}
	old := *h.table.Load()
	table := make([]*allocation, len(old))
	for i, a := range old {
		if i > 0 && a == old[i-1] {
			table[i] = table[i-1]
			continue
		}
		if table[i] = a; !reached[a] && !a.module {
			continue
		}
		b := &allocation{name: a.name, addr: a.addr, freed: a.freed, module: a.module, data: bytes.Clone(a.data), written: make([]atomic.Uint64, len(a.written))}
		for j := range a.written {
			b.written[j].Store(a.written[j].Load())
		}
		table[i] = b
	}
	c.table.Store(&table)
	for m, at := range h.modules {
		c.modules[m] = at
	}
	return c
}

// Same tells whether two clones of a heap hold the same bytes.
func (h *Heap) Same(other *Heap) bool {
	a, b := *h.table.Load(), *other.table.Load()
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] && !bytes.Equal(a[i].data, b[i].data) {
			return false
		}
	}
	return true
}
