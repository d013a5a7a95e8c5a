// Package gguf reads and writes the metadata of GGUF files (version 2 and 3),
// which is where they keep their tokenizer.
//
// Deliberately absent: tensors.
package gguf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// Bounds of what a file may ask for.
const (
	maxString = 16 << 20
	maxArray  = 1 << 24
	maxKeys   = 1 << 16
)

// Types of values.
const (
	typeUint8, typeInt8, typeUint16, typeInt16, typeUint32, typeInt32        = 0, 1, 2, 3, 4, 5
	typeFloat32, typeBool, typeString, typeArray                             = 6, 7, 8, 9
	typeUint64, typeInt64, typeFloat64                                       = 10, 11, 12
	magic, version                                                    uint32 = 0x46554747, 3
)

// Read reads the values of the keys that keep accepts. Whole numbers of all
// sizes become int64 and floats float64; arrays become []string, []int64 or
// []float64. Errors name the key.
func Read(r io.Reader, keep func(key string) bool) (map[string]any, error) {
	d := &reader{r: bufio.NewReaderSize(r, 1<<16)}
	if d.uint32() != magic && d.err == nil {
		return nil, errors.New("not a GGUF file")
	}
	if v := d.uint32(); d.err == nil && v != 2 && v != version {
		return nil, fmt.Errorf("GGUF version %d is not supported; 2 and 3 are", v)
	}
	d.uint64() // tensors
	n := d.uint64()
	if d.err == nil && n > maxKeys {
		return nil, fmt.Errorf("%d keys, more than the limit of %d", n, maxKeys)
	}
	out := map[string]any{}
	for range n {
		key := d.string()
		value := d.value(d.uint32(), keep(key), 0)
		if d.err != nil {
			return nil, fmt.Errorf("key %.60q: %w", key, d.err)
		}
		if !keep(key) {
			continue
		}
		if _, twice := out[key]; twice {
			return nil, fmt.Errorf("key %q is repeated", key)
		}
		out[key] = value
	}
	if d.err != nil {
		return nil, d.err
	}
	return out, nil
}

type reader struct {
	r   *bufio.Reader
	err error
	buf [8]byte
}

func (d *reader) bytes(n int) []byte {
	if d.err != nil {
		return d.buf[:n]
	}
	if _, err := io.ReadFull(d.r, d.buf[:n]); err != nil {
		d.err = truncated(err)
		clear(d.buf[:])
	}
	return d.buf[:n]
}

func truncated(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the file is truncated")
	}
	return err
}

func (d *reader) uint32() uint32 { return binary.LittleEndian.Uint32(d.bytes(4)) }
func (d *reader) uint64() uint64 { return binary.LittleEndian.Uint64(d.bytes(8)) }

func (d *reader) string() string {
	n := d.uint64()
	if d.err != nil {
		return ""
	}
	if n > maxString {
		d.err = fmt.Errorf("a string of %d bytes, more than the limit of %d", n, maxString)
		return ""
	}
	// Memory grows with what is there, not with what is promised.
	var out []byte
	for uint64(len(out)) < n {
		step := min(n-uint64(len(out)), 1<<16)
		at := len(out)
		out = slices.Grow(out, int(step))[:at+int(step)]
		if _, err := io.ReadFull(d.r, out[at:]); err != nil {
			d.err = truncated(err)
			return ""
		}
	}
	return string(out)
}

// number reads a whole number or a float.
func (d *reader) number(kind uint32) (whole int64, float float64, isFloat bool) {
	switch kind {
	case typeUint8, typeBool:
		return int64(d.bytes(1)[0]), 0, false
	case typeInt8:
		return int64(int8(d.bytes(1)[0])), 0, false
	case typeUint16:
		return int64(binary.LittleEndian.Uint16(d.bytes(2))), 0, false
	case typeInt16:
		return int64(int16(binary.LittleEndian.Uint16(d.bytes(2)))), 0, false
	case typeUint32:
		return int64(d.uint32()), 0, false
	case typeInt32:
		return int64(int32(d.uint32())), 0, false
	case typeUint64, typeInt64:
		return int64(d.uint64()), 0, false
	case typeFloat32:
		return 0, float64(math.Float32frombits(d.uint32())), true
	case typeFloat64:
		return 0, math.Float64frombits(d.uint64()), true
	}
	if d.err == nil {
		d.err = fmt.Errorf("values of type %d are not known", kind)
	}
	return 0, 0, false
}

func (d *reader) value(kind uint32, keep bool, depth int) any {
	switch kind {
	case typeString:
		return d.string()
	case typeArray:
		return d.array(keep, depth)
	}
	whole, float, isFloat := d.number(kind)
	switch {
	case isFloat:
		return float
	case kind == typeBool:
		return whole != 0
	}
	return whole
}

func (d *reader) array(keep bool, depth int) any {
	kind, n := d.uint32(), d.uint64()
	if d.err != nil {
		return nil
	}
	if n > maxArray || depth > 2 {
		d.err = fmt.Errorf("an array of %d values, more than the limit of %d, or one too deep", n, maxArray)
		return nil
	}
	var texts []string
	var wholes []int64
	var floats []float64
	for range n {
		switch kind {
		case typeString:
			if s := d.string(); keep {
				texts = append(texts, s)
			}
		case typeArray:
			d.array(false, depth+1)
		default:
			whole, float, isFloat := d.number(kind)
			if isFloat && keep {
				floats = append(floats, float)
			} else if keep {
				wholes = append(wholes, whole)
			}
		}
		if d.err != nil {
			return nil
		}
	}
	switch kind {
	case typeString:
		return texts
	case typeFloat32, typeFloat64:
		return floats
	}
	return wholes
}

// Write writes a file without tensors. Values are string, bool, uint32,
// float32, []string, []int32, []float32 or []byte; keys are sorted.
func Write(w io.Writer, values map[string]any) error {
	out := bufio.NewWriter(w)
	number := func(v any) { binary.Write(out, binary.LittleEndian, v) }
	text := func(s string) {
		number(uint64(len(s)))
		out.WriteString(s)
	}
	array := func(kind uint32, n int) {
		number(uint32(typeArray))
		number(kind)
		number(uint64(n))
	}
	number(magic)
	number(version)
	number(uint64(0))
	number(uint64(len(values)))
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		text(key)
		switch v := values[key].(type) {
		case string:
			number(uint32(typeString))
			text(v)
		case bool:
			number(uint32(typeBool))
			number(v)
		case uint32:
			number(uint32(typeUint32))
			number(v)
		case float32:
			number(uint32(typeFloat32))
			number(v)
		case []string:
			array(typeString, len(v))
			for _, s := range v {
				text(s)
			}
		case []int32:
			array(typeInt32, len(v))
			number(v)
		case []float32:
			array(typeFloat32, len(v))
			number(v)
		case []byte:
			array(typeUint8, len(v))
			number(v)
		default:
			return fmt.Errorf("key %q: a %T has no form in GGUF", key, v)
		}
	}
	return out.Flush()
}
