package driver

import (
	"fmt"
	"runtime"
	"unsafe"
)

// MaxParams is the room for the parameters of a kernel, in bytes, MaxParamCount how many there may be.
const (
	MaxParams     = 1024
	MaxParamCount = 64
)

// A Launch is the pinned block that a kernel's parameters are packed in and launches are made from. The driver copies it
// during the call, so one is enough for a stream.
//
// The driver is told where each parameter lies, not given the block as a whole (CU_LAUNCH_PARAM_BUFFER_POINTER): native
// code for sm_90 has a tensor map at a multiple of 64 bytes of its constant bank, where parameters begin at 0x210, and so
// not where a structure in C has it.
type Launch struct {
	s     *Stream
	block *launchBlock
	pin   runtime.Pinner
	buf   []byte // the parameters, aligned to 64 bytes for tensor maps
}

type launchBlock struct {
	args   [11]uintptr
	params [MaxParamCount]uintptr
	bytes  [MaxParams + 63]byte
}

// NewLaunch makes a block for a stream, pinned until Close.
func (s *Stream) NewLaunch() *Launch {
	l := &Launch{s: s, block: new(launchBlock)}
	b := l.block
	l.pin.Pin(b)
	off := int(-uintptr(unsafe.Pointer(&b.bytes)) & 63)
	l.buf = b.bytes[off : off+MaxParams : off+MaxParams]
	return l
}

// Params is where the parameters are put, each aligned as in C.
func (l *Launch) Params() []byte { return l.buf }

// Close releases the block.
func (l *Launch) Close() { l.pin.Unpin() }

// Do queues a kernel with one-dimensional blocks. params are the places of its parameters in Params, in their order: as
// many as the kernel has.
func (l *Launch) Do(f Function, x, y, z uint32, threads, shared int, params []int) error {
	b := l.block
	if len(params) > MaxParamCount {
		return fmt.Errorf("launch a kernel with %d parameters, more than %d: %w", len(params), MaxParamCount, InvalidValue)
	}
	for i, at := range params {
		if uint(at) >= MaxParams {
			return fmt.Errorf("launch a kernel with a parameter at byte %d of %d: %w", at, MaxParams, InvalidValue)
		}
		b.params[i] = uintptr(unsafe.Pointer(&l.buf[at]))
	}
	b.args = [11]uintptr{
		f.handle, uintptr(x), uintptr(y), uintptr(z), uintptr(threads), 1, 1, uintptr(shared), l.s.handle,
		uintptr(unsafe.Pointer(&b.params)), 0,
	}
	api := l.s.c.api
	return api.check(fnLaunchKernel, invoke(api.fn[fnLaunchKernel], b.args[:]...))
}
