package interp

import (
	"encoding/binary"
	"fmt"
	"sort"
	"sync"
	"sync/atomic"
)

var le = binary.LittleEndian

// Global addresses start at heapBase. Every allocation begins in a granule of addresses of its own,
// at an odd multiple of 256 so that nothing is aligned better than promised, and the rest of its last
// granule is its guard: an address says which allocation it belongs to, and one past the end belongs
// to none.
const (
	heapBase     = 1 << 40
	granuleShift = 20
	granule      = 1 << granuleShift
	startOffset  = 0x2_0100
)

// allocation is one piece of global memory.
type allocation struct {
	name    string
	addr    uint64
	data    []byte
	written []atomic.Uint64 // a bit per byte; set once the byte has been written
	freed   bool
	module  bool // holds variables of a module
}

// Heap is the global memory of a device. It is safe for concurrent use; what kernels and the host do
// to the same bytes at the same time is up to the caller.
type Heap struct {
	mu      sync.Mutex
	limit   int
	used    int
	serial  int
	table   atomic.Pointer[[]*allocation] // by granule; replaced, never changed, where launches may read it
	modules map[*Module]map[*variable]uint64
	blind   atomic.Bool // a launch ran without the checker: written bits say too little
}

// NewHeap makes an empty heap that holds up to limit bytes.
func NewHeap(limit int) *Heap {
	h := &Heap{limit: limit, modules: map[*Module]map[*variable]uint64{}}
	h.table.Store(&[]*allocation{})
	return h
}

// Alloc reserves n bytes at a multiple of 256 and returns their address. They hold ones: NaN as
// float32 and as bfloat16.
func (h *Heap) Alloc(n int) (uint64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.serial++
	return h.alloc(n, fmt.Sprintf("allocation %d", h.serial))
}

func (h *Heap) alloc(n int, name string) (uint64, error) {
	if n <= 0 || n > h.limit-h.used {
		return 0, fmt.Errorf("out of memory: %d bytes asked for, %d of %d in use", n, h.used, h.limit)
	}
	old := *h.table.Load()
	if len(old) > 1<<24 {
		return 0, fmt.Errorf("out of addresses after %d granules", len(old))
	}
	granules := (startOffset + n + 256 + granule - 1) >> granuleShift
	a := &allocation{
		name: name, addr: heapBase + uint64(len(old))<<granuleShift + startOffset, data: make([]byte, n),
		written: make([]atomic.Uint64, (n+63)/64),
	}
	fillOnes(a.data)
	table := old
	for range granules { // appending never changes what readers of a shorter slice see
		table = append(table, a)
	}
	h.table.Store(&table)
	h.used += n
	return a.addr, nil
}

// Free releases the allocation that starts at addr. Its addresses are never used again.
func (h *Heap) Free(addr uint64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.find(addr)
	if a == nil || a.addr != addr || a.module {
		return fmt.Errorf("free of %#x: no allocation starts there", addr)
	}
	if a.freed {
		return fmt.Errorf("free of %#x: freed before", addr)
	}
	h.release(a)
	return nil
}

// release frees an allocation.
func (h *Heap) release(a *allocation) {
	table := append([]*allocation(nil), *h.table.Load()...)
	gone := &allocation{name: a.name, addr: a.addr, freed: true}
	for i := range table {
		if table[i] == a {
			table[i] = gone
		}
	}
	h.table.Store(&table)
	h.used -= len(a.data)
}

// find is the allocation whose granules hold addr, nil if none does.
func (h *Heap) find(addr uint64) *allocation {
	table := *h.table.Load()
	if i := (addr - heapBase) >> granuleShift; i < uint64(len(table)) {
		return table[i]
	}
	return nil
}

// Bytes is the memory of n bytes from addr, which must be within one allocation.
func (h *Heap) Bytes(addr uint64, n int) ([]byte, error) {
	a := h.find(addr)
	if n < 0 || a == nil || addr < a.addr || addr-a.addr > uint64(len(a.data)) || uint64(n) > uint64(len(a.data))-(addr-a.addr) {
		return nil, fmt.Errorf("%d bytes at %#x: %s", n, addr, h.whereabouts(addr))
	}
	return a.data[addr-a.addr:][:n:n], nil
}

// whereabouts says what is at or near an address, for messages.
func (h *Heap) whereabouts(addr uint64) string {
	a := h.find(addr)
	switch {
	case a == nil:
		return "no allocation is there"
	case a.freed:
		return fmt.Sprintf("%s at %#x has been freed", a.name, a.addr)
	case addr < a.addr:
		return fmt.Sprintf("%d bytes before %s of %d bytes", a.addr-addr, a.name, len(a.data))
	}
	return fmt.Sprintf("offset %d of %s, which has %d bytes", addr-a.addr, a.name, len(a.data))
}

// MarkWritten notes that the host has written n bytes at addr.
func (h *Heap) MarkWritten(addr uint64, n int) {
	if _, err := h.Bytes(addr, n); err == nil {
		a := h.find(addr)
		a.mark(int(addr-a.addr), n)
	}
}

// Written tells whether every one of n bytes at addr has been written.
func (h *Heap) Written(addr uint64, n int) bool {
	if _, err := h.Bytes(addr, n); err != nil {
		return false
	}
	a := h.find(addr)
	return h.blind.Load() || a.unwritten(int(addr-a.addr), n) < 0
}

// mark sets the written bits of n bytes from off.
func (a *allocation) mark(off, n int) {
	for n > 0 {
		bit := off & 63
		k := min(64-bit, n)
		word := &a.written[off>>6]
		if want := ^uint64(0) >> (64 - k) << bit; word.Load()&want != want {
			word.Or(want)
		}
		off += k
		n -= k
	}
}

// unwritten is the first offset of the n bytes from off that nobody has written, -1 if there is none.
func (a *allocation) unwritten(off, n int) int {
	for n > 0 {
		bit := off & 63
		k := min(64-bit, n)
		want := ^uint64(0) >> (64 - k) << bit
		if have := a.written[off>>6].Load() & want; have != want {
			for have>>(off&63)&1 != 0 {
				off++
			}
			return off
		}
		off += k
		n -= k
	}
	return -1
}

// Live lists the allocations that have not been freed, in order of address, as "name: n bytes".
func (h *Heap) Live() []string {
	var list []string
	seen := map[*allocation]bool{}
	for _, a := range *h.table.Load() {
		if !a.freed && !a.module && !seen[a] {
			seen[a] = true
			list = append(list, fmt.Sprintf("%s at %#x: %d bytes", a.name, a.addr, len(a.data)))
		}
	}
	return list
}

// Used is the number of bytes in use.
func (h *Heap) Used() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.used
}

// Unload frees the variables of a module that is not used any more.
func (h *Heap) Unload(m *Module) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, addr := range h.modules[m] {
		h.release(h.find(addr))
	}
	delete(h.modules, m)
}

func (h *Heap) unchecked() { h.blind.Store(true) }

// place gives the variables of a kernel's module their memory, the first time, and returns the
// addresses of those that the kernel uses.
func (h *Heap) place(k *Kernel) ([]constant, error) {
	if len(k.symbols) == 0 {
		return nil, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.modules[k.module]
	if at == nil {
		at = map[*variable]uint64{}
		for _, v := range k.module.globals {
			addr, err := h.alloc(max(v.size, 1), "variable "+v.name)
			if err != nil {
				return nil, err
			}
			a := h.find(addr)
			a.module = true
			clear(a.data)
			copy(a.data, v.init)
			a.mark(0, len(a.data))
			at[v] = addr
		}
		h.modules[k.module] = at
	}
	var list []constant
	for _, u := range k.symbols {
		addr, ok := at[u.v]
		if !ok {
			return nil, fmt.Errorf("variable %s in %s memory is not supported", u.v.name, u.v.space)
		}
		list = append(list, constant{u.slot, addr})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].slot < list[j].slot })
	return list, nil
}
