package safetensors

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A scanner reads the JSON of headers and indexes. encoding/json is too lenient for it: it takes duplicate keys, keys in the
// wrong case and broken UTF-8. The input must be valid UTF-8.
type scanner struct {
	text []byte
	pos  int
}

func (s *scanner) fail(format string, args ...any) error {
	return fmt.Errorf("byte %d: %s", s.pos, fmt.Sprintf(format, args...))
}

// peek skips white space and returns the next byte, or 0 at the end.
func (s *scanner) peek() byte {
	for ; s.pos < len(s.text); s.pos++ {
		if c := s.text[s.pos]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
	}
	return 0
}

// accept reads the byte c if it is next.
func (s *scanner) accept(c byte) bool {
	if s.peek() != c || s.pos == len(s.text) {
		return false
	}
	s.pos++
	return true
}

func (s *scanner) expect(c byte) error {
	if !s.accept(c) {
		return s.unexpected(strconv.QuoteRune(rune(c)))
	}
	return nil
}

func (s *scanner) unexpected(want string) error {
	if s.peek(); s.pos == len(s.text) {
		return s.fail("want %s, got the end", want)
	}
	return s.fail("want %s, got %q", want, s.text[s.pos])
}

// object reads an object and calls member after every key; member reads the value.
func (s *scanner) object(member func(key string) error) error {
	if err := s.expect('{'); err != nil || s.accept('}') {
		return err
	}
	for {
		key, err := s.string()
		if err != nil {
			return err
		}
		if err := s.expect(':'); err != nil {
			return err
		}
		if err := member(key); err != nil {
			return err
		}
		if s.accept('}') {
			return nil
		}
		if !s.accept(',') {
			return s.unexpected("',' or '}'")
		}
	}
}

// array reads an array and calls element before every element, which it reads.
func (s *scanner) array(element func() error) error {
	if err := s.expect('['); err != nil || s.accept(']') {
		return err
	}
	for {
		if err := element(); err != nil {
			return err
		}
		if s.accept(']') {
			return nil
		}
		if !s.accept(',') {
			return s.unexpected("',' or ']'")
		}
	}
}

// integer reads a number that is not negative and has neither fraction nor exponent.
func (s *scanner) integer() (int64, error) {
	s.peek()
	start, n := s.pos, int64(0)
	for ; s.pos < len(s.text); s.pos++ {
		digit := int64(s.text[s.pos]) - '0'
		if digit < 0 || digit > 9 {
			break
		}
		if n > (math.MaxInt64-digit)/10 {
			return 0, s.fail("number is too large")
		}
		n = 10*n + digit
	}
	if s.pos == start {
		return 0, s.unexpected("a whole number")
	}
	if s.text[start] == '0' && s.pos > start+1 {
		return 0, s.fail("number starts with 0")
	}
	return n, nil
}

// string reads a string.
func (s *scanner) string() (string, error) {
	if err := s.expect('"'); err != nil {
		return "", err
	}
	start := s.pos
	for ; s.pos < len(s.text); s.pos++ {
		switch c := s.text[s.pos]; {
		case c == '"':
			s.pos++
			return string(s.text[start : s.pos-1]), nil
		case c == '\\':
			return s.escaped(s.text[start:s.pos])
		case c < ' ':
			return "", s.fail("control character in a string")
		}
	}
	return "", s.fail("string without end")
}

// escaped reads the rest of a string that has escapes, after its plain beginning.
func (s *scanner) escaped(beginning []byte) (string, error) {
	var out strings.Builder
	out.Grow(len(beginning) + s.toQuote())
	out.Write(beginning)
	for s.pos < len(s.text) {
		c := s.text[s.pos]
		s.pos++
		switch {
		case c == '"':
			return out.String(), nil
		case c < ' ':
			return "", s.fail("control character in a string")
		case c != '\\':
			out.WriteByte(c)
			continue
		}
		if s.pos == len(s.text) {
			break
		}
		c = s.text[s.pos]
		s.pos++
		switch c {
		case '"', '\\', '/':
			out.WriteByte(c)
		case 'b':
			out.WriteByte('\b')
		case 'f':
			out.WriteByte('\f')
		case 'n':
			out.WriteByte('\n')
		case 'r':
			out.WriteByte('\r')
		case 't':
			out.WriteByte('\t')
		case 'u':
			r, err := s.codePoint()
			if err != nil {
				return "", err
			}
			out.WriteRune(r)
		default:
			return "", s.fail("unknown escape \\%c", c)
		}
	}
	return "", s.fail("string without end")
}

// toQuote is the number of bytes before the quote that ends the string.
func (s *scanner) toQuote() int {
	for i := s.pos; i < len(s.text); i++ {
		switch s.text[i] {
		case '"':
			return i - s.pos
		case '\\':
			i++
		}
	}
	return len(s.text) - s.pos
}

// codePoint reads what follows \u, and a second \u if the first is half of a surrogate pair.
func (s *scanner) codePoint() (rune, error) {
	high, err := s.hex4()
	if err != nil || high < 0xD800 || high > 0xDFFF {
		return high, err
	}
	if high < 0xDC00 && s.pos+2 <= len(s.text) && string(s.text[s.pos:s.pos+2]) == `\u` {
		s.pos += 2
		low, err := s.hex4()
		if err != nil {
			return 0, err
		}
		if low >= 0xDC00 && low <= 0xDFFF {
			return 0x10000 + (high-0xD800)<<10 + (low - 0xDC00), nil
		}
	}
	return 0, s.fail("half of a surrogate pair")
}

func (s *scanner) hex4() (rune, error) {
	if s.pos+4 > len(s.text) {
		return 0, s.fail("string without end")
	}
	n, err := strconv.ParseUint(string(s.text[s.pos:s.pos+4]), 16, 16)
	if err != nil {
		return 0, s.fail("want four hexadecimal digits")
	}
	s.pos += 4
	return rune(n), nil
}

// skip reads any value of at most depth levels.
func (s *scanner) skip(depth int) error {
	if depth == 0 {
		return s.fail("too deeply nested")
	}
	switch c := s.peek(); c {
	case '{':
		return s.object(func(string) error { return s.skip(depth - 1) })
	case '[':
		return s.array(func() error { return s.skip(depth - 1) })
	case '"':
		_, err := s.string()
		return err
	default: // a number, true, false or null
		start := s.pos
		for ; s.pos < len(s.text); s.pos++ {
			if c := s.text[s.pos]; (c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '-' && c != '+' && c != '.' && c != 'E' {
				break
			}
		}
		switch word := string(s.text[start:s.pos]); word {
		case "true", "false", "null":
			return nil
		default:
			if _, err := strconv.ParseFloat(word, 64); err != nil || word[0] > '9' {
				s.pos = start
				return s.unexpected("a value")
			}
			return nil
		}
	}
}

// appendString writes a string as the reference does: everything but quotes, backslashes and control characters as it is.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c == '\b':
			b = append(b, `\b`...)
		case c == '\f':
			b = append(b, `\f`...)
		case c < ' ':
			b = fmt.Appendf(b, `\u%04x`, c)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
