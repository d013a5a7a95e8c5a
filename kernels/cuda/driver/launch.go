package driver

import (
	"fmt"
	"runtime"
	"unsafe"
)

// MaxParams is the room for the parameters of a kernel, in bytes.
const MaxParams = 1024

// A Launch is the pinned block that a kernel's parameters are packed in and launches are made from. The driver copies it
// during the call, so one is enough for a stream.
type Launch struct {
	s     *Stream
	block *launchBlock
	pin   runtime.Pinner
	buf   []byte // the parameters, aligned to 64 bytes for tensor maps
}

type launchBlock struct {
	args  [11]uintptr
	extra [5]uintptr
	size  uintptr
	bytes [MaxParams + 63]byte
}

// NewLaunch makes a block for a stream, pinned until Close.
func (s *Stream) NewLaunch() *Launch {
	l := &Launch{s: s, block: new(launchBlock)}
	b := l.block
	l.pin.Pin(b)
	off := int(-uintptr(unsafe.Pointer(&b.bytes)) & 63)
	l.buf = b.bytes[off : off+MaxParams : off+MaxParams]
	const end, pointer, size = 0, 1, 2 // CU_LAUNCH_PARAM_…
	b.extra = [5]uintptr{pointer, uintptr(unsafe.Pointer(&l.buf[0])), size, uintptr(unsafe.Pointer(&b.size)), end}
	return l
}

// Params is where the parameters are packed, laid out as in C.
func (l *Launch) Params() []byte { return l.buf }

// Close releases the block.
func (l *Launch) Close() { l.pin.Unpin() }

// Do queues a kernel with one-dimensional blocks. params is the number of bytes packed.
func (l *Launch) Do(f Function, x, y, z uint32, threads, shared, params int) error {
	if uint(params) > MaxParams {
		return fmt.Errorf("launch a kernel with %d bytes of parameters, more than %d: %w", params, MaxParams, InvalidValue)
	}
	b := l.block
	b.size = uintptr(params)
	b.args = [11]uintptr{
		f.handle, uintptr(x), uintptr(y), uintptr(z), uintptr(threads), 1, 1, uintptr(shared), l.s.handle, 0,
		uintptr(unsafe.Pointer(&b.extra)),
	}
	api := l.s.c.api
	return api.check(fnLaunchKernel, invoke(api.fn[fnLaunchKernel], b.args[:]...))
}
