// Package wire reads and writes the protocol buffer wire format, field by
// field, for the few messages that tokenizer files hold.
//
// Deliberately absent: groups, packed fields, reflection.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Wire types.
const (
	Varint  = 0
	Fixed64 = 1
	Bytes   = 2
	Fixed32 = 5
)

// A Field is one field of a message.
type Field struct {
	Number int
	Type   int
	Value  uint64 // of a number, in its wire form
	Data   []byte // of Bytes
}

// Float is the value of a fixed 32 bit field as a float.
func (f Field) Float() float32 { return math.Float32frombits(uint32(f.Value)) }

var errTruncated = errors.New("the message is truncated")

// Next reads the first field of a message and returns the rest.
func Next(message []byte) (f Field, rest []byte, err error) {
	tag, n := binary.Uvarint(message)
	if n <= 0 {
		return f, nil, errTruncated
	}
	message = message[n:]
	f.Type = int(tag & 7)
	if tag>>3 == 0 || tag>>3 > 1<<29-1 {
		return f, nil, fmt.Errorf("the field number %d is not valid", tag>>3)
	}
	f.Number = int(tag >> 3)
	switch f.Type {
	case Varint:
		if f.Value, n = binary.Uvarint(message); n <= 0 {
			return f, nil, errTruncated
		}
	case Fixed64:
		if n = 8; len(message) < n {
			return f, nil, errTruncated
		}
		f.Value = binary.LittleEndian.Uint64(message)
	case Fixed32:
		if n = 4; len(message) < n {
			return f, nil, errTruncated
		}
		f.Value = uint64(binary.LittleEndian.Uint32(message))
	case Bytes:
		size, m := binary.Uvarint(message)
		if m <= 0 || size > uint64(len(message)-m) {
			return f, nil, errTruncated
		}
		n = m + int(size)
		f.Data = message[m:n]
	default:
		return f, nil, fmt.Errorf("field %d has the wire type %d, which is not supported", f.Number, f.Type)
	}
	return f, message[n:], nil
}

// AppendVarint appends a number.
func AppendVarint(dst []byte, number int, value uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, uint64(number)<<3|Varint), value)
}

// AppendFloat appends a float.
func AppendFloat(dst []byte, number int, value float32) []byte {
	dst = binary.AppendUvarint(dst, uint64(number)<<3|Fixed32)
	return binary.LittleEndian.AppendUint32(dst, math.Float32bits(value))
}

// AppendBytes appends bytes, a string or an embedded message.
func AppendBytes[T []byte | string](dst []byte, number int, value T) []byte {
	dst = binary.AppendUvarint(dst, uint64(number)<<3|Bytes)
	return append(binary.AppendUvarint(dst, uint64(len(value))), value...)
}
