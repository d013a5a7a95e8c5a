package cuda

import (
	"errors"
	"fmt"

	"forja/kernels"
	"forja/kernels/cuda/driver"
)

// uploads is page-locked memory in two halves: while the stream copies from one, the other is filled.
type uploads struct {
	half [2]*driver.Host
	done [2]*driver.Event // the stream has read the half
	now  int              // the half that is filled
	used int              // bytes of it
}

func openUploads(ctx *driver.Context, bytes int) (u uploads, err error) {
	for i := range u.half {
		if u.half[i], err = ctx.AllocHost(bytes); err != nil {
			return u, err
		}
		if u.done[i], err = ctx.NewEvent(false); err != nil {
			return u, err
		}
	}
	return u, nil
}

func (u *uploads) close() error {
	var errs []error
	for i := range u.half {
		if u.half[i] != nil {
			errs = append(errs, u.half[i].Free())
		}
		if u.done[i] != nil {
			errs = append(errs, u.done[i].Close())
		}
	}
	return firstOf(errs)
}

// firstOf is the first error of a list, nil if there is none.
func firstOf(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// reset forgets what the stream has read.
func (u *uploads) reset() { u.used = 0 }

// take copies a piece of src, of whole units, to page-locked memory and returns where it is. It waits for the stream only
// if that has not read what was put there two halves ago.
func (u *uploads) take(s *driver.Stream, src []byte, unit int) (h *driver.Host, off, n int, err error) {
	const align = 64
	off = aligned(u.used, align)
	size := len(u.half[0].Bytes)
	if size-off < min(unit, len(src)) {
		if err := u.done[u.now].Record(s); err != nil {
			return nil, 0, 0, err
		}
		u.now ^= 1
		u.used, off = 0, 0
		if err := u.done[u.now].Synchronize(); err != nil {
			return nil, 0, 0, err
		}
	}
	n = min(size-off, len(src)) / unit * unit
	h = u.half[u.now]
	copy(h.Bytes[off:off+n], src)
	u.used = off + n
	return h, off, n, nil
}

// Upload copies host bytes to dst. It does not wait for the stream's other work.
func (b *Backend) Upload(dst kernels.Tensor, src []byte) {
	if err := b.upload(dst, src); err != nil {
		b.fail(fmt.Errorf("upload %v %v: %w", dst.DType, dst.Shape, err))
	}
}

var errRecording = errors.New("a graph is being recorded, which could not repeat it")

func (b *Backend) upload(dst kernels.Tensor, src []byte) error {
	if b.graphs.recording {
		return errRecording
	}
	at := driver.Ptr(b.addr(dst))
	if b.err != nil || len(src) == 0 {
		return nil
	}
	width, pitch := len(src), len(src)
	if !dst.Dense() {
		width, pitch = dst.Cols()*dst.DType.Size(), dst.Stride*dst.DType.Size()
	}
	// Rows longer than the memory are copied alone, in pieces; a dense tensor is a row.
	if width > len(b.uploads.half[0].Bytes) || width == len(src) {
		for ; len(src) > 0; src = src[width:] {
			if err := b.uploadBytes(at, src[:width]); err != nil {
				return err
			}
			at += driver.Ptr(pitch)
		}
		return nil
	}
	for len(src) > 0 {
		h, off, n, err := b.uploads.take(b.stream, src, width)
		if err != nil {
			return err
		}
		if err := b.stream.UploadRows(at, pitch, h, off, width, n/width); err != nil {
			return err
		}
		at += driver.Ptr(n / width * pitch)
		src = src[n:]
	}
	return nil
}

func (b *Backend) uploadBytes(at driver.Ptr, src []byte) error {
	for len(src) > 0 {
		h, off, n, err := b.uploads.take(b.stream, src, 1)
		if err != nil {
			return err
		}
		if err := b.stream.Upload(at, h, off, n); err != nil {
			return err
		}
		at += driver.Ptr(n)
		src = src[n:]
	}
	return nil
}

// downloads is a ring of page-locked memory that the stream copies to, and where each piece goes once it is there.
type downloads struct {
	ring       *driver.Host
	head, tail int // of the bytes in use; equal if none
	pending    []pending
	n          int // pieces ever asked for; the last len(pending) wait
	marks      [16]mark
	marked     int
}

type pending struct {
	dst []byte
	off int
}

// A mark is a point of the stream, and how many pieces come before it.
type mark struct {
	event  *driver.Event
	number int
	pieces int
}

func openDownloads(ctx *driver.Context, bytes int) (d downloads, err error) {
	if d.ring, err = ctx.AllocHost(bytes); err != nil {
		return d, err
	}
	for i := range d.marks {
		if d.marks[i].event, err = ctx.NewEvent(false); err != nil {
			return d, err
		}
	}
	return d, nil
}

func (d *downloads) close() error {
	var errs []error
	if d.ring != nil {
		errs = append(errs, d.ring.Free())
	}
	for _, m := range d.marks {
		if m.event != nil {
			errs = append(errs, m.event.Close())
		}
	}
	return firstOf(errs)
}

// room reserves n bytes of the ring, and reports false if they are in use.
func (d *downloads) room(n int) (off int, ok bool) {
	size := len(d.ring.Bytes)
	if len(d.pending) == 0 {
		d.head, d.tail = 0, 0
	}
	full := len(d.pending) > 0 && d.head == d.tail
	switch {
	case full:
		return 0, false
	case d.tail >= d.head && n <= size-d.tail:
		off = d.tail
	case d.tail >= d.head && n <= d.head:
		off = 0
	case d.tail < d.head && n <= d.head-d.tail:
		off = d.tail
	default:
		return 0, false
	}
	d.tail = off + n
	return off, true
}

// deliver gives out the pieces up to the n-th that was asked for.
func (d *downloads) deliver(n int) {
	done := max(0, len(d.pending)-(d.n-n))
	for _, p := range d.pending[:done] {
		copy(p.dst, d.ring.Bytes[p.off:])
		d.head = p.off + len(p.dst)
	}
	rest := copy(d.pending, d.pending[done:])
	clear(d.pending[rest:])
	d.pending = d.pending[:rest]
}

// drop forgets all pieces.
func (d *downloads) drop() {
	clear(d.pending)
	d.pending = d.pending[:0]
}

// Download copies src to host bytes, which hold them after the next Sync, or after Await of a later Mark. It waits for
// the stream if more is asked for than the page-locked memory holds.
func (b *Backend) Download(dst []byte, src kernels.Tensor) {
	if err := b.download(dst, src); err != nil {
		b.fail(fmt.Errorf("download %v %v: %w", src.DType, src.Shape, err))
	}
}

func (b *Backend) download(dst []byte, src kernels.Tensor) error {
	if b.graphs.recording {
		return errRecording
	}
	at := driver.Ptr(b.addr(src))
	if b.err != nil || len(dst) == 0 {
		return nil
	}
	most := len(b.downloads.ring.Bytes)
	width, pitch := len(dst), len(dst)
	if !src.Dense() {
		width, pitch = src.Cols()*src.DType.Size(), src.Stride*src.DType.Size()
	}
	if width > most || width == len(dst) {
		for ; len(dst) > 0; dst = dst[width:] {
			for done := 0; done < width; {
				n := min(width-done, most)
				off, err := b.reserve(dst[done : done+n])
				if err == nil {
					err = b.stream.Download(b.downloads.ring, off, at+driver.Ptr(done), n)
				}
				if err != nil {
					return err
				}
				done += n
			}
			at += driver.Ptr(pitch)
		}
		return nil
	}
	for len(dst) > 0 {
		rows := min(len(dst), most) / width
		off, err := b.reserve(dst[:rows*width])
		if err == nil {
			err = b.stream.DownloadRows(b.downloads.ring, off, at, pitch, width, rows)
		}
		if err != nil {
			return err
		}
		at += driver.Ptr(rows * pitch)
		dst = dst[rows*width:]
	}
	return nil
}

// reserve finds room for a piece, after waiting for all others if there is none.
func (b *Backend) reserve(dst []byte) (off int, err error) {
	d := &b.downloads
	off, ok := d.room(len(dst))
	if !ok {
		if err := b.stream.Synchronize(); err != nil {
			return 0, err
		}
		d.deliver(d.n)
		off, _ = d.room(len(dst))
	}
	d.pending = append(d.pending, pending{dst, off})
	d.n++
	return off, nil
}

// Mark is a point of the stream, for Await.
func (b *Backend) Mark() int {
	d := &b.downloads
	d.marked++
	m := &d.marks[d.marked%len(d.marks)]
	m.number, m.pieces = d.marked, d.n
	if b.graphs.recording {
		b.fail(fmt.Errorf("mark: %w", errRecording))
	} else if err := m.event.Record(b.stream); err != nil {
		b.fail(fmt.Errorf("mark: %w", err))
	}
	return d.marked
}

// Await waits until the stream has reached a mark and delivers the downloads before it, while later work goes on. Of an
// error of the stream only Sync tells. A mark that is 16 marks old makes it wait for more than it must.
func (b *Backend) Await(number int) {
	d := &b.downloads
	if b.err != nil || number <= 0 || number > d.marked {
		return
	}
	m := &d.marks[number%len(d.marks)]
	if b.graphs.recording {
		b.fail(fmt.Errorf("wait for a mark: %w", errRecording))
	} else if err := m.event.Synchronize(); err != nil {
		b.fail(fmt.Errorf("wait for a mark: %w", err))
	} else {
		d.deliver(m.pieces)
	}
}
