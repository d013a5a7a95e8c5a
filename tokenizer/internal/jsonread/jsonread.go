// Package jsonread reads JSON (RFC 8259) value by value, without building a
// tree: tokenizer files hold hundreds of thousands of strings, of which each is
// looked at once.
//
// It is strict: the whole input must be UTF-8, strings must not have lone
// surrogates, and nothing may follow the value. Errors give line and column.
// The first error sticks: every later call returns zero values at once, so a
// caller checks Err when it has read all.
//
// Deliberately absent: writing, and reading from anything but a slice.
package jsonread

import (
	"bytes"
	"fmt"
	"iter"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds the nesting of values.
const maxDepth = 100

// A Reader is a place in a JSON text.
type Reader struct {
	data  []byte
	at    int
	depth int
	err   error
}

// New returns a Reader at the start of a JSON text.
func New(data []byte) *Reader {
	r := &Reader{data: data}
	if !utf8.Valid(data) {
		for r.at < len(data) {
			c, size := utf8.DecodeRune(data[r.at:])
			if c == utf8.RuneError && size == 1 {
				break
			}
			r.at += size
		}
		r.Fail("not UTF-8")
	}
	return r
}

// Err is the first error.
func (r *Reader) Err() error { return r.err }

// Fail stops reading with an error at the current place, unless there is one.
func (r *Reader) Fail(format string, args ...any) {
	if r.err != nil {
		return
	}
	before := r.data[:min(r.at, len(r.data))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	r.err = fmt.Errorf("line %d, column %d: %w", line, column, fmt.Errorf(format, args...))
}

// Kind tells what value comes next by its first byte: one of {["tfn, or 0 for
// a number. It fails at the end of the text or at anything else.
func (r *Reader) Kind() byte {
	switch c := r.peek(); {
	case c == '-' || '0' <= c && c <= '9':
		return 0
	case c == '{' || c == '[' || c == '"' || c == 't' || c == 'f' || c == 'n':
		return c
	case r.err == nil && r.at >= len(r.data):
		r.Fail("the file ends where a value should be")
	default:
		r.Fail("no JSON value starts with %q", c)
	}
	return 0
}

// peek skips white space and returns the next byte, 0 at the end.
func (r *Reader) peek() byte {
	if r.err != nil {
		return 0
	}
	for ; r.at < len(r.data); r.at++ {
		switch c := r.data[r.at]; c {
		case ' ', '\n', '\r', '\t':
		default:
			return c
		}
	}
	return 0
}

// expect consumes a byte of punctuation.
func (r *Reader) expect(c byte) bool {
	if r.peek() != c || r.err != nil {
		if r.at >= len(r.data) {
			r.Fail("the file ends where %q should be", c)
		} else {
			r.Fail("%q where %q should be", r.data[r.at], c)
		}
		return false
	}
	r.at++
	return true
}

func (r *Reader) enter(open byte) bool {
	if !r.expect(open) {
		return false
	}
	if r.depth++; r.depth > maxDepth {
		r.Fail("values are nested deeper than %d", maxDepth)
		return false
	}
	return true
}

// items reads what stands between brackets, separated by commas.
func (r *Reader) items(open, end byte, item func() bool) {
	if !r.enter(open) {
		return
	}
	defer func() { r.depth-- }()
	if r.peek() == end && r.err == nil {
		r.at++
		return
	}
	for {
		if !item() || r.err != nil {
			return
		}
		if r.peek() != ',' {
			r.expect(end)
			return
		}
		r.at++
	}
}

// Entries reads an object. The loop must read the value of each key. Keys may
// repeat. A loop that is left early must not use the Reader again.
func (r *Reader) Entries() iter.Seq[string] {
	return func(yield func(string) bool) {
		r.items('{', '}', func() bool {
			key := r.String()
			return r.expect(':') && yield(key)
		})
	}
}

// Fields is Entries for an object of few fields: it fails if a key repeats.
func (r *Reader) Fields() iter.Seq[string] {
	return func(yield func(string) bool) {
		seen := map[string]bool{}
		for key := range r.Entries() {
			if seen[key] {
				r.Fail("field %q is repeated", key)
				return
			}
			seen[key] = true
			if !yield(key) {
				return
			}
		}
	}
}

// Elements reads an array. The loop must read each element.
func (r *Reader) Elements() iter.Seq[int] {
	return func(yield func(int) bool) {
		i := -1
		r.items('[', ']', func() bool {
			i++
			return yield(i)
		})
	}
}

// Null consumes null and reports whether it was there.
func (r *Reader) Null() bool {
	return r.peek() == 'n' && r.word("null")
}

// Bool reads true or false.
func (r *Reader) Bool() bool {
	if r.peek() == 't' {
		return r.word("true")
	}
	r.word("false")
	return false
}

func (r *Reader) word(word string) bool {
	r.peek()
	if r.err != nil {
		return false
	}
	if !bytes.HasPrefix(r.data[r.at:], []byte(word)) {
		r.Fail("not %s", word)
		return false
	}
	r.at += len(word)
	return true
}

// Int reads a number that is an integer.
func (r *Reader) Int() int64 {
	number, whole := r.number()
	if r.err != nil {
		return 0
	}
	n, err := strconv.ParseInt(string(number), 10, 64)
	if err != nil || !whole {
		r.at -= len(number)
		r.Fail("%.30s is not an integer of 64 bits", number)
	}
	return n
}

// Number reads any number, to the nearest float64.
func (r *Reader) Number() float64 {
	text, _ := r.number()
	if r.err != nil {
		return 0
	}
	n, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		r.Fail("%.30s is beyond the range of a number", text)
	}
	return n
}

// number consumes a number and tells whether it is a whole one.
func (r *Reader) number() (text []byte, whole bool) {
	r.peek()
	if r.err != nil {
		return nil, false
	}
	start := r.at
	digits := func() bool {
		from := r.at
		for r.at < len(r.data) && '0' <= r.data[r.at] && r.data[r.at] <= '9' {
			r.at++
		}
		return r.at > from
	}
	next := func(set string) bool {
		if r.at < len(r.data) && bytes.IndexByte([]byte(set), r.data[r.at]) >= 0 {
			r.at++
			return true
		}
		return false
	}
	next("-")
	from := r.at
	ok := digits() && (r.at == from+1 || r.data[from] != '0')
	whole = true
	if next(".") {
		whole, ok = false, ok && digits()
	}
	if next("eE") {
		next("+-")
		whole, ok = false, ok && digits()
	}
	if !ok {
		r.at = start
		r.Fail("not a number")
	}
	return r.data[start:r.at], whole
}

// String reads a string.
func (r *Reader) String() string {
	if !r.expect('"') {
		return ""
	}
	start := r.at
	for r.at < len(r.data) {
		switch c := r.data[r.at]; {
		case c == '"':
			r.at++
			return string(r.data[start : r.at-1])
		case c == '\\':
			return r.escaped(start)
		case c < ' ':
			r.Fail("control character 0x%02x in a string", c)
			return ""
		}
		r.at++
	}
	r.Fail("the file ends inside a string")
	return ""
}

// escaped reads the rest of a string that has escapes.
func (r *Reader) escaped(start int) string {
	out := bytes.Clone(r.data[start:r.at])
	for r.at < len(r.data) {
		c := r.data[r.at]
		switch {
		case c == '"':
			r.at++
			return string(out)
		case c < ' ':
			r.Fail("control character 0x%02x in a string", c)
			return ""
		case c != '\\':
			out = append(out, c)
			r.at++
		default:
			out = utf8.AppendRune(out, r.escape())
			if r.err != nil {
				return ""
			}
		}
	}
	r.Fail("the file ends inside a string")
	return ""
}

// escape reads one escape, or two that are a pair of surrogates.
func (r *Reader) escape() rune {
	if r.at+1 >= len(r.data) {
		r.Fail("the file ends inside a string")
		return 0
	}
	const plain, means = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if i := bytes.IndexByte([]byte(plain), r.data[r.at+1]); i >= 0 {
		r.at += 2
		return rune(means[i])
	}
	c, ok := r.hex(r.at)
	if !ok {
		r.Fail("unknown escape in a string")
		return 0
	}
	if !utf16.IsSurrogate(c) {
		r.at += 6
		return c
	}
	low, ok := r.hex(r.at + 6)
	c = utf16.DecodeRune(c, low)
	if !ok || c == utf8.RuneError {
		r.Fail("half a surrogate pair in a string")
		return 0
	}
	r.at += 12
	return c
}

// hex reads \uXXXX at a place.
func (r *Reader) hex(at int) (rune, bool) {
	if at+6 > len(r.data) || r.data[at] != '\\' || r.data[at+1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(r.data[at+2:at+6]), 16, 32)
	return rune(n), err == nil
}

// Skip reads any value and forgets it.
func (r *Reader) Skip() {
	switch r.Kind() {
	case '{':
		for range r.Entries() {
			r.Skip()
		}
	case '[':
		for range r.Elements() {
			r.Skip()
		}
	case '"':
		_ = r.String()
	case 't', 'f':
		r.Bool()
	case 'n':
		r.word("null")
	default:
		r.number()
	}
}

// End checks that nothing follows, and returns the first error.
func (r *Reader) End() error {
	if r.peek(); r.err == nil && r.at < len(r.data) {
		r.Fail("text after the end of the value")
	}
	return r.err
}

// Value reads any value: nil, bool, float64, string, []any or map[string]any.
// Of repeated keys the last counts. Use it for small parts of a file only.
func (r *Reader) Value() any {
	switch r.Kind() {
	case '{':
		object := map[string]any{}
		for key := range r.Entries() {
			object[key] = r.Value()
		}
		return object
	case '[':
		list := []any{}
		for range r.Elements() {
			list = append(list, r.Value())
		}
		return list
	case '"':
		return r.String()
	case 't', 'f':
		return r.Bool()
	case 'n':
		r.word("null")
		return nil
	}
	return r.Number()
}
