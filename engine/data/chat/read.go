package chat

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"unicode/utf8"

	"forja/engine/data"
)

// ReadOptions say how a data set is read.
type ReadOptions struct {
	Format   Format            // "" to recognise it by the first example
	Roles    map[string]string // renames roles, such as "bot" to "assistant"
	MaxBytes int               // of one example; default 16 MiB
}

// ReadFile yields the examples of a JSONL file, or of a file that is one JSON
// list; either may be packed with gzip. All examples must have the same
// format. The sequence ends at the first error.
func ReadFile(path string, o ReadOptions) iter.Seq2[Example, error] {
	return func(yield func(Example, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(Example{}, fmt.Errorf("read data set: %w", err))
			return
		}
		defer f.Close()
		for e, err := range Read(f, path, o) {
			if !yield(e, err) {
				return
			}
		}
	}
}

// Read is [ReadFile] for any reader; name stands for it in errors.
func Read(r io.Reader, name string, o ReadOptions) iter.Seq2[Example, error] {
	if o.MaxBytes <= 0 {
		o.MaxBytes = 16 << 20
	}
	return func(yield func(Example, error) bool) {
		objects, err := open(r, name, o.MaxBytes)
		if err != nil {
			yield(Example{}, fmt.Errorf("%s: %w", name, err))
			return
		}
		format, first := o.Format, ""
		for item, err := range objects {
			if err != nil {
				yield(Example{}, err)
				return
			}
			e, err := one(item.raw, &format, first, o)
			if err != nil {
				yield(Example{}, fmt.Errorf("%s: %w", item.place, err))
				return
			}
			if first == "" {
				first = item.place
			}
			e.Place = item.place
			if !yield(e, nil) {
				return
			}
		}
		if first == "" {
			yield(Example{}, fmt.Errorf("%s: %w: it is empty", name, data.ErrEmpty))
		}
	}
}

// one decodes an example. format is set by the first one; first is its place.
func one(raw []byte, format *Format, first string, o ReadOptions) (Example, error) {
	var fields object
	if err := json.Unmarshal(raw, &fields); err != nil || fields == nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return Example{}, fmt.Errorf("not JSON: %w; want one object per line", err)
		}
		return Example{}, errors.New("not a JSON object; want one object per line")
	}
	if o.Format == "" {
		found, err := detect(fields)
		if err != nil {
			return Example{}, err
		}
		if *format == "" {
			*format = found
		}
		if found != *format {
			return Example{}, fmt.Errorf("this is the format %s, but %s is %s; keep each format in its own file", found, first, *format)
		}
	}
	return convert(fields, *format, o.Roles)
}

// An item is the JSON of one example.
type item struct {
	raw   []byte
	place string
}

// open recognises gzip and JSON lists by how they start.
func open(r io.Reader, name string, maxBytes int) (iter.Seq2[item, error], error) {
	buffered := bufio.NewReaderSize(r, 1<<16)
	if head, _ := buffered.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) {
		unpacked, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, err
		}
		buffered = bufio.NewReaderSize(unpacked, 1<<16)
	}
	head, _ := buffered.Peek(1 << 10)
	if bytes.HasPrefix(bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\uFEFF")), " \t\r\n"), []byte("[")) {
		return list(buffered, name, maxBytes), nil
	}
	return func(yield func(item, error) bool) {
		for line, err := range data.Lines(buffered, name, maxBytes) {
			if !yield(item{line.Bytes, fmt.Sprintf("%s:%d", name, line.Number)}, err) || err != nil {
				return
			}
		}
	}, nil
}

// list yields the elements of a JSON list.
func list(r *bufio.Reader, name string, maxBytes int) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		if head, _ := r.Peek(3); string(head) == "\uFEFF" {
			_, _ = r.Discard(3)
		}
		limited := &limitedReader{r: r, left: maxBytes, max: maxBytes}
		decoder := json.NewDecoder(limited)
		if _, err := decoder.Token(); err != nil {
			yield(item{}, fmt.Errorf("%s: not JSON: %w", name, err))
			return
		}
		for n := 1; decoder.More(); n++ {
			place := fmt.Sprintf("%s: example %d", name, n)
			limited.left = maxBytes
			var raw json.RawMessage
			if err := decoder.Decode(&raw); err != nil {
				yield(item{}, fmt.Errorf("%s: not JSON: %w", place, err))
				return
			}
			if !utf8.Valid(raw) {
				yield(item{}, fmt.Errorf("%s: not UTF-8; convert the file, for example with: iconv -f LATIN1 -t UTF-8", place))
				return
			}
			if !yield(item{raw, place}, nil) {
				return
			}
		}
		if _, err := decoder.Token(); err != nil {
			yield(item{}, fmt.Errorf("%s: the list does not end: %w", name, err))
		}
	}
}

// A limitedReader fails once more bytes are read than are left.
type limitedReader struct {
	r         io.Reader
	left, max int
}

func (l *limitedReader) Read(b []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("one example has more than %d bytes", l.max)
	}
	n, err := l.r.Read(b[:min(len(b), l.left)])
	l.left -= n
	return n, err
}
