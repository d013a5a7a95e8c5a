package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// An Entry is a tensor to write.
type Entry struct {
	Name  string
	DType DType
	Shape []int                   // empty for a scalar
	Data  func(w io.Writer) error // writes the elements: little-endian, C order, exactly Size bytes
}

// Bytes is the data of an [Entry] that is already in memory.
func Bytes(b []byte) func(io.Writer) error {
	return func(w io.Writer) error { _, err := w.Write(b); return err }
}

// Size is the number of bytes of the tensor.
func (e Entry) Size() (int64, error) {
	size, err := byteSize(e.DType, e.Shape)
	if err != nil {
		return 0, fmt.Errorf("tensor %q: %w", e.Name, err)
	}
	return size, nil
}

// Write writes a file. The bytes depend on the entries and the metadata alone, not on their order. The metadata always
// says {"format":"pt"}, unless it names another format, because transformers wants it.
func Write(w io.Writer, entries []Entry, metadata map[string]string) error {
	entries = sorted(entries)
	header, err := encodeHeader(entries, metadata)
	if err != nil {
		return fmt.Errorf("write safetensors: %w", err)
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	for _, e := range entries {
		if e.Data == nil {
			return fmt.Errorf("write tensor %q: it has no data", e.Name)
		}
		size, _ := e.Size() // encodeHeader has seen it
		out := &exactWriter{w: w, left: size}
		if err := e.Data(out); err != nil {
			return fmt.Errorf("write tensor %q: %w", e.Name, err)
		}
		if out.left != 0 {
			return fmt.Errorf("write tensor %q: its data ended %d bytes early", e.Name, out.left)
		}
	}
	return nil
}

// sorted puts wide elements first, so that everything is aligned, then goes by name, as the reference does.
func sorted(entries []Entry) []Entry {
	return slices.SortedFunc(slices.Values(entries), func(a, b Entry) int {
		return cmp.Or(cmp.Compare(b.DType, a.DType), cmp.Compare(a.Name, b.Name))
	})
}

// encodeHeader returns everything before the data.
func encodeHeader(entries []Entry, metadata map[string]string) ([]byte, error) {
	if len(entries) > maxTensors {
		return nil, fmt.Errorf("%d tensors, at most %d in a file", len(entries), maxTensors)
	}
	metadata = maps.Clone(metadata)
	if metadata == nil {
		metadata = map[string]string{}
	}
	if metadata["format"] == "" {
		metadata["format"] = "pt"
	}
	b := make([]byte, 8, 8+128*(len(entries)+1))
	b = append(b, `{"`+metadataName+`":{`...)
	for i, key := range slices.Sorted(maps.Keys(metadata)) {
		if !utf8.ValidString(key) || !utf8.ValidString(metadata[key]) {
			return nil, fmt.Errorf("metadata %q is not UTF-8", key)
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, key), ':')
		b = appendString(b, metadata[key])
	}
	b = append(b, '}')
	names := make(map[string]bool, len(entries))
	offset := int64(0)
	for _, e := range entries {
		size, err := e.Size()
		if err != nil {
			return nil, err
		}
		switch {
		case e.Name == metadataName || !utf8.ValidString(e.Name):
			return nil, fmt.Errorf("a tensor cannot be called %q", e.Name)
		case names[e.Name]:
			return nil, fmt.Errorf("two tensors are called %q", e.Name)
		case size > math.MaxInt64-offset-maxHeader-8:
			return nil, fmt.Errorf("tensor %q: the file would be too large", e.Name)
		}
		names[e.Name] = true
		b = append(b, ',')
		b = append(appendString(b, e.Name), `:{"dtype":"`...)
		b = append(append(b, e.DType.String()...), `","shape":[`...)
		for i, dim := range e.Shape {
			if i > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendInt(b, int64(dim), 10)
		}
		b = append(b, `],"data_offsets":[`...)
		b = append(strconv.AppendInt(b, offset, 10), ',')
		offset += size
		b = append(strconv.AppendInt(b, offset, 10), "]}"...)
	}
	b = append(b, '}')
	b = append(b, bytes.Repeat([]byte{' '}, (8-len(b)%8)%8)...)
	if len(b)-8 > maxHeader {
		return nil, fmt.Errorf("a header of %d bytes, at most %d", len(b)-8, maxHeader)
	}
	binary.LittleEndian.PutUint64(b, uint64(len(b)-8))
	return b, nil
}

// An exactWriter refuses to write more than it was told to.
type exactWriter struct {
	w    io.Writer
	left int64
}

func (e *exactWriter) Write(b []byte) (int, error) {
	if int64(len(b)) > e.left {
		return 0, fmt.Errorf("its data is at least %d bytes too long", int64(len(b))-e.left)
	}
	n, err := e.w.Write(b)
	e.left -= int64(n)
	return n, err
}
