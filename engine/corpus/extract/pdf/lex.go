package pdf

import "bytes"

// kind is of a token in a page's program or in a character map.
type kind uint8

const (
	endOfProgram kind = iota
	aNumber
	aText // (literal) or <hex>
	aName // without its slash
	aList // [array] or <<dictionary>>, nested ones flattened
	anOperator
)

// A token is an operand or an operator. The slices are valid until the program's next token of that kind.
type token struct {
	kind kind
	num  float64
	str  []byte
	list []token
}

// maxList bounds the parts of one array; what is beyond is left out.
const maxList = 1 << 16

// A lexer reads the programs of PDF: pages, forms, and character maps (ISO 32000-1, 7.2 and 7.8). Whatever the bytes are, it
// comes to their end: a mistake costs a token, not the page.
type lexer struct {
	b     []byte
	at    int
	bytes []byte  // of strings with escapes
	parts []token // of lists
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == 0 || c == '\f'
}

func isDelimiter(c byte) bool {
	switch c {
	case '(', ')', '<', '>', '[', ']', '{', '}', '/', '%':
		return true
	}
	return false
}

// next returns the next token. Lists come whole.
func (l *lexer) next() token {
	l.bytes = l.bytes[:0]
	t, opens := l.one()
	if !opens {
		return t
	}
	l.parts = l.parts[:0]
	for depth := 1; depth > 0; {
		t, opens := l.one()
		switch {
		case opens:
			depth++
		case t.kind == endOfProgram:
			depth = 0
		case t.kind == anOperator && (string(t.str) == "]" || string(t.str) == ">>"):
			depth--
		case len(l.parts) < maxList:
			l.parts = append(l.parts, t)
		}
	}
	return token{kind: aList, list: l.parts}
}

// one returns the next token, or says that a list begins.
func (l *lexer) one() (t token, opens bool) {
	for l.at < len(l.b) {
		c := l.b[l.at]
		if c == '%' {
			for l.at < len(l.b) && l.b[l.at] != '\n' && l.b[l.at] != '\r' {
				l.at++
			}
			continue
		}
		if !isSpace(c) {
			break
		}
		l.at++
	}
	if l.at >= len(l.b) {
		return token{}, false
	}
	start := l.at
	c := l.b[l.at]
	l.at++
	switch c {
	case '(':
		return token{kind: aText, str: l.literal()}, false
	case '<':
		if l.at < len(l.b) && l.b[l.at] == '<' {
			l.at++
			return token{}, true
		}
		return token{kind: aText, str: l.hex()}, false
	case '[':
		return token{}, true
	case '>':
		if l.at < len(l.b) && l.b[l.at] == '>' {
			l.at++
		}
		return token{kind: anOperator, str: l.b[start:l.at]}, false
	case ']', ')', '{', '}':
		return token{kind: anOperator, str: l.b[start:l.at]}, false
	}
	for l.at < len(l.b) && !isSpace(l.b[l.at]) && !isDelimiter(l.b[l.at]) {
		l.at++
	}
	word := l.b[start:l.at]
	if c == '/' {
		return token{kind: aName, str: l.unescape(word[1:])}, false
	}
	if n, ok := parseNumber(word); ok {
		return token{kind: aNumber, num: n}, false
	}
	return token{kind: anOperator, str: word}, false
}

// literal reads a string after its parenthesis.
func (l *lexer) literal() []byte {
	from := len(l.bytes)
	for depth := 1; l.at < len(l.b); {
		c := l.b[l.at]
		l.at++
		switch c {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return l.bytes[from:]
			}
		case '\\':
			if l.at >= len(l.b) {
				return l.bytes[from:]
			}
			c = l.b[l.at]
			l.at++
			switch c {
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			case 'b':
				c = '\b'
			case 'f':
				c = '\f'
			case '\r':
				if l.at < len(l.b) && l.b[l.at] == '\n' {
					l.at++
				}
				continue
			case '\n':
				continue
			case '0', '1', '2', '3', '4', '5', '6', '7':
				c -= '0'
				for k := 0; k < 2 && l.at < len(l.b) && l.b[l.at] >= '0' && l.b[l.at] <= '7'; k++ {
					c = c<<3 | (l.b[l.at] - '0')
					l.at++
				}
			}
		}
		l.bytes = append(l.bytes, c)
	}
	return l.bytes[from:]
}

func digit16(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// hex reads a string after its angle bracket. A last odd digit is followed by a zero.
func (l *lexer) hex() []byte {
	from := len(l.bytes)
	high := -1
	for l.at < len(l.b) {
		c := l.b[l.at]
		l.at++
		if c == '>' {
			break
		}
		d := digit16(c)
		switch {
		case d < 0:
		case high < 0:
			high = d
		default:
			l.bytes = append(l.bytes, byte(high<<4|d))
			high = -1
		}
	}
	if high >= 0 {
		l.bytes = append(l.bytes, byte(high<<4))
	}
	return l.bytes[from:]
}

// unescape replaces #xx in a name.
func (l *lexer) unescape(s []byte) []byte {
	if bytes.IndexByte(s, '#') < 0 {
		return s
	}
	from := len(l.bytes)
	for k := 0; k < len(s); k++ {
		if s[k] == '#' && k+2 < len(s) && digit16(s[k+1]) >= 0 && digit16(s[k+2]) >= 0 {
			l.bytes = append(l.bytes, byte(digit16(s[k+1])<<4|digit16(s[k+2])))
			k += 2
			continue
		}
		l.bytes = append(l.bytes, s[k])
	}
	return l.bytes[from:]
}

// parseNumber reads what producers write as numbers: +1, -.5, 4., and --3, which is 3.
func parseNumber(s []byte) (x float64, ok bool) {
	k := 0
	negative := false
	for k < len(s) && (s[k] == '-' || s[k] == '+') {
		negative = s[k] == '-'
		k++
	}
	scale := 0.0
	digits := 0
	for ; k < len(s); k++ {
		switch c := s[k]; {
		case c >= '0' && c <= '9':
			digits++
			x = x*10 + float64(c-'0')
			scale *= 10
		case c == '.' && scale == 0:
			scale = 1
		case c == '-' && digits > 0: // "12-34" is taken for 12
			k = len(s)
		default:
			return 0, false
		}
	}
	if digits == 0 || digits > 300 {
		return 0, false
	}
	if scale > 1 {
		x /= scale
	}
	if negative {
		x = -x
	}
	return x, true
}

// skipImage passes over the data of an image that stands in the program: the operator ID has been read.
func (l *lexer) skipImage() {
	for l.at++; l.at < len(l.b); l.at++ {
		k := bytes.Index(l.b[l.at:], []byte("EI"))
		if k < 0 {
			l.at = len(l.b)
			return
		}
		l.at += k
		after := l.b[min(l.at+2, len(l.b)):]
		if l.at > 0 && isSpace(l.b[l.at-1]) && (len(after) == 0 || isSpace(after[0])) && readable(after[:min(len(after), 12)]) {
			l.at += 2
			return
		}
	}
}

func readable(b []byte) bool {
	for _, c := range b {
		if c >= 0x7f || c < ' ' && !isSpace(c) || c == 0 {
			return false
		}
	}
	return true
}
