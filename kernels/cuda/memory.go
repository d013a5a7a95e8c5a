package cuda

import (
	"errors"
	"fmt"

	"forja/kernels"
	"forja/kernels/cuda/driver"
)

// buffer is device memory.
type buffer struct {
	b    *Backend // nil after Free
	at   driver.Ptr
	size int
}

// Size is the number of bytes asked for.
func (b *buffer) Size() int { return b.size }

// Alloc reserves device memory, aligned to 256 bytes.
func (b *Backend) Alloc(bytes int) (kernels.Buffer, error) {
	if bytes < 0 {
		return nil, fmt.Errorf("allocate %d bytes on %s: the size is negative", bytes, b.info.Name)
	}
	if b.graphs.recording {
		return nil, fmt.Errorf("allocate %d bytes on %s: a graph is being recorded", bytes, b.info.Name)
	}
	buf := &buffer{b: b, size: bytes}
	if bytes > 0 {
		at, err := b.ctx.Alloc(bytes)
		if err != nil {
			return nil, b.noMemory(bytes, err)
		}
		buf.at = at
	}
	b.live[buf] = struct{}{}
	b.usage.Now += bytes
	b.usage.Peak = max(b.usage.Peak, b.usage.Now)
	return buf, nil
}

// noMemory says how much there is.
func (b *Backend) noMemory(bytes int, err error) error {
	if !errors.Is(err, driver.OutOfMemory) {
		return fmt.Errorf("allocate %d bytes on %s: %w", bytes, b.info.Name, err)
	}
	free, total, e := b.ctx.Memory()
	if e != nil {
		return errors.Join(err, e)
	}
	return fmt.Errorf("allocate %d bytes on %s: %d of its %d bytes are free, %d are allocated here: "+
		"use a smaller batch or model, or end what else uses the card (nvidia-smi): %w", bytes, b.info.Name, free, total,
		b.usage.Now, err)
}

// Free waits for the stream and returns a buffer. Freeing one twice, or one of another backend, has no effect.
func (b *Backend) Free(memory kernels.Buffer) {
	buf, _ := memory.(*buffer)
	if _, ok := b.live[buf]; !ok {
		return
	}
	if b.graphs.recording {
		b.fail(fmt.Errorf("free %d bytes on %s: a graph is being recorded", buf.size, b.info.Name))
		return
	}
	if err := b.freeBuffer(buf); err != nil {
		b.fail(fmt.Errorf("free %d bytes on %s: %w", buf.size, b.info.Name, err))
	}
}

// freeBuffer frees a live buffer.
func (b *Backend) freeBuffer(buf *buffer) error {
	delete(b.live, buf)
	b.usage.Now -= buf.size
	at := buf.at
	buf.b, buf.at = nil, 0
	if at == 0 {
		return nil
	}
	return b.ctx.Free(at)
}

// Usage counts the bytes asked for; Overhead is the scratch memory.
func (b *Backend) Usage() kernels.Usage { return b.usage }

// addr is the address of a tensor's first element, 0 for an absent one.
func (b *Backend) addr(t kernels.Tensor) ptr {
	if t.Buf == nil {
		return 0
	}
	buf, _ := t.Buf.(*buffer)
	if buf == nil || buf.b != b {
		b.fail(fmt.Errorf("a %v %v tensor lies in a buffer that is freed, or of another device", t.DType, t.Shape))
		return 0
	}
	return ptr(buf.at) + ptr(t.Off*t.DType.Size())
}

// tensorMapOf is the tensor map of a shape, made once.
func (b *Backend) tensorMapOf(t driver.TensorShape) *driver.TensorMap {
	const most = 1 << 14 // 3 MiB; a model's plan has a few hundred
	if m := b.maps[t]; m != nil {
		return m
	}
	m, err := b.api.EncodeTensorMap(&t)
	if err != nil {
		b.fail(err)
		return &m
	}
	if len(b.maps) >= most {
		clear(b.maps)
	}
	b.maps[t] = &m
	return &m
}
