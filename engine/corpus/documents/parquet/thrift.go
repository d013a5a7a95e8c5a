package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Types of Thrift's compact protocol.
const (
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12
	thriftUUID   = 13
)

// maxDepth bounds how deep structures are in structures.
const maxDepth = 32

var (
	errShort = errors.New("ends in the middle")
	errDeep  = errors.New("nested too deep")
)

// A thriftReader reads the compact protocol. Lists are never longer than the bytes that are left, and bytes are not copied. After
// the first error it gives zeros.
type thriftReader struct {
	b     []byte
	at    int
	depth int
	nodes int // of a footer
	err   error
}

func (r *thriftReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.at = len(r.b)
}

func (r *thriftReader) byte() byte {
	if r.at >= len(r.b) {
		r.fail(errShort)
		return 0
	}
	r.at++
	return r.b[r.at-1]
}

func (r *thriftReader) take(n uint64) []byte {
	if n > uint64(len(r.b)-r.at) {
		r.fail(errShort)
		return nil
	}
	r.at += int(n)
	return r.b[r.at-int(n) : r.at]
}

func (r *thriftReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b[r.at:])
	if n <= 0 {
		r.fail(errShort)
		return 0
	}
	r.at += n
	return v
}

// int reads a number of 16, 32 or 64 bits.
func (r *thriftReader) int() int64 {
	v := r.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

func (r *thriftReader) bytes() []byte { return r.take(r.uvarint()) }

// fields visits the fields of a structure; visit must read the value, or skip it.
func (r *thriftReader) fields(visit func(id int64, kind byte)) {
	if r.depth++; r.depth > maxDepth {
		r.fail(errDeep)
	}
	for id := int64(0); r.err == nil; {
		b := r.byte()
		if r.err != nil || b == 0 {
			break
		}
		if b>>4 != 0 {
			id += int64(b >> 4)
		} else {
			id = r.int()
		}
		visit(id, b&15)
	}
	r.depth--
}

// list visits the elements of a list.
func (r *thriftReader) list(visit func(kind byte)) {
	b := r.byte()
	n := uint64(b >> 4)
	if n == 15 {
		n = r.uvarint()
	}
	if n > uint64(len(r.b)-r.at) { // an element takes a byte at least
		r.fail(errShort)
	}
	for ; n > 0 && r.err == nil; n-- {
		visit(b & 15)
	}
}

// skip passes over a field's value.
func (r *thriftReader) skip(kind byte) {
	if kind != thriftTrue && kind != thriftFalse { // which stand in the field's header
		r.skipElement(kind)
	}
}

func (r *thriftReader) skipElement(kind byte) {
	if r.depth++; r.depth > maxDepth {
		r.fail(errDeep)
	}
	switch kind {
	case thriftTrue, thriftFalse, thriftByte:
		r.byte()
	case thriftI16, thriftI32, thriftI64:
		r.uvarint()
	case thriftDouble:
		r.take(8)
	case thriftBinary:
		r.bytes()
	case thriftList, thriftSet:
		r.list(r.skipElement)
	case thriftMap:
		n := r.uvarint()
		if n > uint64(len(r.b)-r.at) {
			r.fail(errShort)
		}
		if n > 0 {
			kinds := r.byte()
			for ; n > 0 && r.err == nil; n-- {
				r.skipElement(kinds >> 4)
				r.skipElement(kinds & 15)
			}
		}
	case thriftStruct:
		r.fields(func(_ int64, kind byte) { r.skip(kind) })
	case thriftUUID:
		r.take(16)
	default:
		r.fail(fmt.Errorf("unknown type %d", kind))
	}
	r.depth--
}

// A thriftWriter writes the compact protocol.
type thriftWriter struct {
	b    []byte
	last []int // the field written last, of each structure that is open
}

func (w *thriftWriter) begin() { w.last = append(w.last, 0) }

func (w *thriftWriter) end() {
	w.b = append(w.b, 0)
	w.last = w.last[:len(w.last)-1]
}

// field begins a field; ids ascend by at most 15.
func (w *thriftWriter) field(id int, kind byte) {
	last := &w.last[len(w.last)-1]
	w.b = append(w.b, byte(id-*last)<<4|kind)
	*last = id
}

func (w *thriftWriter) int(v int64) { w.b = binary.AppendUvarint(w.b, uint64(v<<1)^uint64(v>>63)) }

func (w *thriftWriter) text(s string) {
	w.b = binary.AppendUvarint(w.b, uint64(len(s)))
	w.b = append(w.b, s...)
}

func (w *thriftWriter) i32(id int, v int64) { w.field(id, thriftI32); w.int(v) }
func (w *thriftWriter) i64(id int, v int64) { w.field(id, thriftI64); w.int(v) }

func (w *thriftWriter) string(id int, s string) { w.field(id, thriftBinary); w.text(s) }

func (w *thriftWriter) list(id, n int, kind byte) {
	w.field(id, thriftList)
	if n < 15 {
		w.b = append(w.b, byte(n)<<4|kind)
		return
	}
	w.b = append(w.b, 0xf0|kind)
	w.b = binary.AppendUvarint(w.b, uint64(n))
}

func (w *thriftWriter) structure(id int) { w.field(id, thriftStruct); w.begin() }
