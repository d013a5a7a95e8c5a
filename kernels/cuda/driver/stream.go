package driver

import (
	"math"
	"unsafe"
)

// A Stream is a queue of work that the device does in order.
type Stream struct {
	c      *Context
	handle uintptr
}

// NewStream makes a stream that does not wait for the legacy default one.
func (c *Context) NewStream() (*Stream, error) {
	s := &Stream{c: c}
	const nonBlocking = 1
	if err := c.api.call(fnStreamCreate, uintptr(unsafe.Pointer(&s.handle)), nonBlocking); err != nil {
		return nil, err
	}
	c.born(aStream, s.handle, 0)
	return s, nil
}

// Close destroys the stream; its work is still done.
func (s *Stream) Close() error {
	if err := s.c.dies(aStream, s.handle); err != nil {
		return err
	}
	return s.c.api.call(fnStreamDestroy, s.handle)
}

// fast calls a function with the first n arguments of the context's block.
func (c *Context) fast(f function, n int) error {
	return c.api.check(f, invoke(c.api.fn[f], c.args[:n]...))
}

// Synchronize waits for the stream's work.
func (s *Stream) Synchronize() error {
	s.c.args[0] = s.handle
	return s.c.fast(fnStreamSynchronize, 1)
}

// Upload copies n bytes of page-locked memory, from off, to the device.
func (s *Stream) Upload(dst Ptr, src *Host, off, n int) error {
	if err := src.within(off, n); err != nil || n == 0 {
		return err
	}
	*(*[4]uintptr)(s.c.args[:]) = [4]uintptr{uintptr(dst), src.at + uintptr(off), uintptr(n), s.handle}
	return s.c.fast(fnMemcpyHtoDAsync, 4)
}

// Download copies n bytes of the device to page-locked memory, from off.
func (s *Stream) Download(dst *Host, off int, src Ptr, n int) error {
	if err := dst.within(off, n); err != nil || n == 0 {
		return err
	}
	*(*[4]uintptr)(s.c.args[:]) = [4]uintptr{dst.at + uintptr(off), uintptr(src), uintptr(n), s.handle}
	return s.c.fast(fnMemcpyDtoHAsync, 4)
}

// Copy copies n bytes within the device. The ranges do not overlap.
func (s *Stream) Copy(dst, src Ptr, n int) error {
	if n == 0 {
		return nil
	}
	*(*[4]uintptr)(s.c.args[:]) = [4]uintptr{uintptr(dst), uintptr(src), uintptr(n), s.handle}
	return s.c.fast(fnMemcpyDtoDAsync, 4)
}

// Fill sets n bytes of the device.
func (s *Stream) Fill(dst Ptr, value byte, n int) error {
	if n == 0 {
		return nil
	}
	*(*[4]uintptr)(s.c.args[:]) = [4]uintptr{uintptr(dst), uintptr(value), uintptr(n), s.handle}
	return s.c.fast(fnMemsetD8Async, 4)
}

// memcpy2D is CUDA_MEMCPY2D.
type memcpy2D struct {
	srcX, srcY         uintptr
	srcType            uint32
	srcHost, srcDevice uintptr
	srcArray, srcPitch uintptr
	dstX, dstY         uintptr
	dstType            uint32
	dstHost, dstDevice uintptr
	dstArray, dstPitch uintptr
	width, height      uintptr
}

// UploadRows copies rows of width bytes, dense in page-locked memory from off, to rows that lie pitch bytes apart.
func (s *Stream) UploadRows(dst Ptr, pitch int, src *Host, off, width, rows int) error {
	if err := src.within(off, width*rows); err != nil || width*rows == 0 {
		return err
	}
	s.c.memory.rows = memcpy2D{
		srcType: memoryTypeHost, srcHost: src.at + uintptr(off), srcPitch: uintptr(width),
		dstType: memDevice, dstDevice: uintptr(dst), dstPitch: uintptr(pitch), width: uintptr(width), height: uintptr(rows),
	}
	return s.copyRows()
}

// DownloadRows copies rows of width bytes, pitch bytes apart, to dense page-locked memory from off.
func (s *Stream) DownloadRows(dst *Host, off int, src Ptr, pitch, width, rows int) error {
	if err := dst.within(off, width*rows); err != nil || width*rows == 0 {
		return err
	}
	s.c.memory.rows = memcpy2D{
		srcType: memDevice, srcDevice: uintptr(src), srcPitch: uintptr(pitch),
		dstType: memoryTypeHost, dstHost: dst.at + uintptr(off), dstPitch: uintptr(width),
		width: uintptr(width), height: uintptr(rows),
	}
	return s.copyRows()
}

func (s *Stream) copyRows() error {
	s.c.args[0], s.c.args[1] = uintptr(unsafe.Pointer(&s.c.memory.rows)), s.handle
	return s.c.fast(fnMemcpy2DAsync, 2)
}

// Wait makes later work of the stream wait for an event that is recorded already.
func (s *Stream) Wait(e *Event) error {
	s.c.args[0], s.c.args[1], s.c.args[2] = s.handle, e.handle, 0
	return s.c.fast(fnStreamWaitEvent, 3)
}

// An Event is a point of a stream.
type Event struct {
	c      *Context
	handle uintptr
}

// NewEvent makes an event. Only a timed one takes part in Elapsed.
func (c *Context) NewEvent(timed bool) (*Event, error) {
	const disableTiming = 2
	flags := uintptr(disableTiming)
	if timed {
		flags = 0
	}
	e := &Event{c: c}
	if err := c.api.call(fnEventCreate, uintptr(unsafe.Pointer(&e.handle)), flags); err != nil {
		return nil, err
	}
	c.born(anEvent, e.handle, 0)
	return e, nil
}

// Close destroys the event.
func (e *Event) Close() error {
	if err := e.c.dies(anEvent, e.handle); err != nil {
		return err
	}
	return e.c.api.call(fnEventDestroy, e.handle)
}

// Record makes the event the point that the stream's work so far has reached.
func (e *Event) Record(s *Stream) error {
	e.c.args[0], e.c.args[1] = e.handle, s.handle
	return e.c.fast(fnEventRecord, 2)
}

// Synchronize waits until the event is reached. One that was never recorded is.
func (e *Event) Synchronize() error {
	e.c.args[0] = e.handle
	return e.c.fast(fnEventSynchronize, 1)
}

// Done reports whether the event is reached.
func (e *Event) Done() (bool, error) {
	e.c.args[0] = e.handle
	switch r := Result(int32(invoke(e.c.api.fn[fnEventQuery], e.c.args[:1]...))); r {
	case Success:
		return true, nil
	case NotReady:
		return false, nil
	default:
		return false, e.c.api.describe(fnEventQuery, r)
	}
}

// Elapsed is the time in seconds from e to a later event, both timed and reached.
func (e *Event) Elapsed(end *Event) (float64, error) {
	e.c.args[0], e.c.args[1], e.c.args[2] = uintptr(unsafe.Pointer(&e.c.memory.ms)), e.handle, end.handle
	err := e.c.fast(fnEventElapsedTime, 3)
	if err != nil {
		return math.NaN(), err
	}
	return float64(e.c.memory.ms) / 1e3, nil
}
