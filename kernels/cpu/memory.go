package cpu

import (
	"fmt"

	"forja/kernels"
)

// buffer is device memory: pages of their own, so that Free gives them back.
type buffer struct {
	mem  []byte // nil after Free
	size int
}

// Size is the number of bytes asked for.
func (b *buffer) Size() int { return b.size }

// Alloc reserves bytes, aligned to a page. Its content is undefined.
func (b *Backend) Alloc(bytes int) (kernels.Buffer, error) {
	if bytes < 0 {
		return nil, fmt.Errorf("allocate %d bytes on the cpu: the size is negative", bytes)
	}
	if free := b.limit - b.usage.Now; b.limit > 0 && bytes > free {
		return nil, fmt.Errorf("allocate %d bytes on the cpu: %d of its %d bytes are free: use a smaller batch or model",
			bytes, free, b.limit)
	}
	mem, err := mapMemory(bytes)
	if err != nil {
		return nil, fmt.Errorf("allocate %d bytes on the cpu, %d allocated: %w", bytes, b.usage.Now, err)
	}
	buf := &buffer{mem: mem, size: bytes}
	b.live[buf] = struct{}{}
	b.usage.Now += bytes
	b.usage.Peak = max(b.usage.Peak, b.usage.Now)
	return buf, nil
}

// Free returns a buffer's pages to the operating system. Freeing one twice, or one of another backend, has no effect.
func (b *Backend) Free(memory kernels.Buffer) {
	buf, _ := memory.(*buffer)
	if _, ok := b.live[buf]; !ok {
		return
	}
	delete(b.live, buf)
	unmapMemory(buf.mem)
	buf.mem = nil
	b.usage.Now -= buf.size
}

// Usage counts the bytes asked for; Overhead is the scratch of the workers.
func (b *Backend) Usage() kernels.Usage {
	u := b.usage
	u.Overhead = int(b.held.Load())
	return u
}

// Upload copies host bytes to dst.
func (b *Backend) Upload(dst kernels.Tensor, src []byte) {
	m := view(dst)
	flatten(&m)
	width := m.cols * m.dtype.Size()
	for i := range m.rows {
		copy(m.bytes(i), src[i*width:])
	}
}

// Download copies src to host bytes, at once.
func (b *Backend) Download(dst []byte, src kernels.Tensor) {
	m := view(src)
	flatten(&m)
	width := m.cols * m.dtype.Size()
	for i := range m.rows {
		copy(dst[i*width:], m.bytes(i))
	}
}
