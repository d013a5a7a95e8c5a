package interp

import (
	"fmt"
	"strings"
)

// maxSource bounds the text that Parse accepts, in bytes.
const maxSource = 64 << 20

// statement is one statement of PTX without its semicolon and comments: an instruction, a directive,
// a label with its colon, or a lone brace.
type statement struct {
	line int
	text string
}

// scanner cuts PTX into statements.
type scanner struct {
	src  string
	pos  int
	line int
}

// lineError is an error at a line of the source.
func lineError(line int, format string, args ...any) error {
	return fmt.Errorf("line %d: %w", line, fmt.Errorf(format, args...))
}

// skip passes over white space and comments.
func (s *scanner) skip() error {
	for s.pos < len(s.src) {
		switch c := s.src[s.pos]; {
		case c == '\n':
			s.line++
			s.pos++
		case c == ' ' || c == '\t' || c == '\r':
			s.pos++
		case strings.HasPrefix(s.src[s.pos:], "//"):
			n := strings.IndexByte(s.src[s.pos:], '\n')
			if n < 0 {
				n = len(s.src) - s.pos
			}
			s.pos += n
		case strings.HasPrefix(s.src[s.pos:], "/*"):
			n := strings.Index(s.src[s.pos+2:], "*/")
			if n < 0 {
				return lineError(s.line, "comment without end")
			}
			s.line += strings.Count(s.src[s.pos:s.pos+2+n], "\n")
			s.pos += n + 4
		default:
			return nil
		}
	}
	return nil
}

// ofLine are the directives that end with their line instead of a semicolon.
var ofLine = map[string]bool{".version": true, ".target": true, ".address_size": true, ".file": true, ".loc": true}

// next returns the next statement; an empty text means the end of the source.
func (s *scanner) next() (statement, error) {
	if err := s.skip(); err != nil {
		return statement{}, err
	}
	st := statement{line: s.line}
	if s.pos == len(s.src) {
		return st, nil
	}
	if c := s.src[s.pos]; c == '{' || c == '}' {
		s.pos++
		st.text = string(c)
		return st, nil
	}
	word := s.src[s.pos : s.pos+wordLen(s.src[s.pos:])]
	if ofLine[word] {
		n := strings.IndexByte(s.src[s.pos:], '\n')
		if n < 0 {
			n = len(s.src) - s.pos
		}
		text, _, _ := strings.Cut(s.src[s.pos:s.pos+n], "//")
		st.text = strings.TrimSpace(text)
		s.pos += n
		return st, nil
	}
	if after := s.src[s.pos+len(word):]; word != "" && !strings.Contains(word, ".") && strings.HasPrefix(after, ":") && !strings.HasPrefix(after, "::") {
		s.pos += len(word) + 1
		st.text = word + ":"
		return st, nil
	}
	text, err := s.until(';')
	st.text = text
	return st, err
}

// until returns the text up to the next stop outside quotes, which is passed over, without comments
// and with every run of white space made one space.
func (s *scanner) until(stop byte) (string, error) {
	start, from := s.line, s.pos
	var b strings.Builder
	plain := true // no comment, quote or odd space so far: the text is a piece of the source
	for s.pos < len(s.src) {
		c := s.src[s.pos]
		switch {
		case c == stop:
			s.pos++
			if plain {
				return strings.TrimSpace(s.src[from : s.pos-1]), nil
			}
			return strings.TrimSpace(b.String()), nil
		case c == '"':
			n := strings.IndexByte(s.src[s.pos+1:], '"')
			if n < 0 {
				return "", lineError(s.line, "string without end")
			}
			if !plain {
				b.WriteString(s.src[s.pos : s.pos+n+2])
			}
			s.line += strings.Count(s.src[s.pos:s.pos+n+2], "\n")
			s.pos += n + 2
		case c == '\n' || c == '\r' || c == '\t' || c == '/':
			if plain {
				plain = false
				b.WriteString(s.src[from:s.pos])
			}
			before := s.pos
			if err := s.skip(); err != nil {
				return "", err
			}
			if s.pos == before {
				b.WriteByte(c)
				s.pos++
			} else {
				b.WriteByte(' ')
			}
		default:
			if !plain {
				b.WriteByte(c)
			}
			s.pos++
		}
	}
	return "", lineError(start, "no %q ends this statement", string(stop))
}

// wordLen is the length of the identifier, directive or register name that s begins with.
func wordLen(s string) int {
	for i := range len(s) {
		if !wordByte(s[i]) {
			return i
		}
	}
	return len(s)
}

func wordByte(c byte) bool {
	return c == '_' || c == '$' || c == '%' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// split cuts an operand list at its commas outside brackets.
func split(args string) []string {
	var out []string
	depth, last := 0, 0
	for i := range len(args) {
		switch args[i] {
		case '{', '[', '(':
			depth++
		case '}', ']', ')':
			depth--
		case ',':
			if depth == 0 {
				out = append(out, strings.TrimSpace(args[last:i]))
				last = i + 1
			}
		}
	}
	if rest := strings.TrimSpace(args[last:]); rest != "" || last > 0 {
		out = append(out, rest)
	}
	return out
}
