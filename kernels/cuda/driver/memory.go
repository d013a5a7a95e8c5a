package driver

import (
	"fmt"
	"unsafe"
)

// Ptr is an address of device memory.
type Ptr uint64

// Alloc reserves device memory, aligned to 256 bytes, with undefined content.
func (c *Context) Alloc(bytes int) (Ptr, error) {
	if bytes <= 0 {
		return 0, fmt.Errorf("allocate %d bytes of device memory: %w", bytes, InvalidValue)
	}
	var p Ptr
	if err := c.api.call(fnMemAlloc, uintptr(unsafe.Pointer(&p)), uintptr(bytes)); err != nil {
		return 0, err
	}
	c.born(deviceMemory, uintptr(p), bytes)
	return p, nil
}

// Free returns what Alloc gave. It waits for all work of the context.
func (c *Context) Free(p Ptr) error {
	if err := c.dies(deviceMemory, uintptr(p)); err != nil {
		return err
	}
	return c.api.call(fnMemFree, uintptr(p))
}

// Host is page-locked memory of the host, the only kind that copies read and write: the driver may still do so after the
// call that asked for it, and knows nothing of Go's memory.
type Host struct {
	Bytes []byte // nil after Free
	c     *Context
	at    uintptr
}

// AllocHost reserves page-locked memory.
func (c *Context) AllocHost(bytes int) (*Host, error) {
	if bytes <= 0 {
		return nil, fmt.Errorf("allocate %d bytes of page-locked memory: %w", bytes, InvalidValue)
	}
	var p unsafe.Pointer
	if err := c.api.call(fnMemHostAlloc, uintptr(unsafe.Pointer(&p)), uintptr(bytes), 0); err != nil {
		return nil, err
	}
	c.born(hostMemory, uintptr(p), bytes)
	return &Host{Bytes: unsafe.Slice((*byte)(p), bytes), c: c, at: uintptr(p)}, nil
}

// Free returns the memory.
func (h *Host) Free() error {
	if err := h.c.dies(hostMemory, h.at); err != nil {
		return err
	}
	h.Bytes = nil
	return h.c.api.call(fnMemFreeHost, h.at)
}

// within checks that [off, off+n) lies in the memory.
func (h *Host) within(off, n int) error {
	if off < 0 || n < 0 || off > len(h.Bytes)-n {
		return fmt.Errorf("copy bytes [%d,%d) of %d bytes of page-locked memory: %w", off, off+n, len(h.Bytes), InvalidValue)
	}
	return nil
}
