package chat

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A piece of a template is literal text or one tag.
type piece struct {
	kind   pieceKind
	text   string  // of literal text
	tokens []token // of a tag
	line   int     // where it begins, from 1
}

type pieceKind uint8

const (
	literal    pieceKind = iota
	expression           // {{ … }}
	statement            // {% … %}
)

// A token of a tag. text is the value of a string, or the spelling of all else.
type token struct {
	kind tokenKind
	text string
}

type tokenKind uint8

const (
	name tokenKind = iota
	number
	stringLiteral
	operator
)

const (
	maxTemplate = 256 << 10 // bytes of a template
	maxDepth    = 100       // nested brackets, blocks and macro calls
)

// A lexer splits a template into pieces by the rules of Jinja2 with
// trim_blocks and lstrip_blocks set and keep_trailing_newline not set, which
// are those of Hugging Face chat templates (jinja2/lexer.py, version 3.1.6).
type lexer struct {
	source    string
	at        int
	lineStart bool // the last tag took a line end with it, or there was none yet
	pieces    []piece
}

// lex returns the pieces of a template. Comments are gone and white space
// control has been applied.
func lex(source string) ([]piece, error) {
	if len(source) > maxTemplate {
		return nil, fmt.Errorf("%d bytes long, at most %d are read", len(source), maxTemplate)
	}
	if !utf8.ValidString(source) {
		return nil, fmt.Errorf("not UTF-8")
	}
	source = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(source)
	l := &lexer{source: strings.TrimSuffix(source, "\n"), lineStart: true}
	for l.at < len(l.source) {
		if err := l.next(); err != nil {
			return nil, err
		}
	}
	return l.pieces, nil
}

// line is the line number of a place in the source.
func (l *lexer) line(at int) int { return 1 + strings.Count(l.source[:at], "\n") }

func (l *lexer) errorf(at int, format string, args ...any) error {
	return fmt.Errorf("line %d: %w", l.line(at), fmt.Errorf(format, args...))
}

// next reads literal text and the tag after it.
func (l *lexer) next() error {
	start := l.at
	open := start
	for ; open < len(l.source); open++ {
		if l.source[open] == '{' && open+1 < len(l.source) && strings.IndexByte("{%#", l.source[open+1]) >= 0 {
			break
		}
	}
	if open == len(l.source) {
		l.literal(start, l.source[start:])
		l.at = open
		return nil
	}
	kind := l.source[open+1]
	l.at = open + 2
	l.literal(start, l.trimBefore(l.source[start:open], kind))
	switch kind {
	case '#':
		end := strings.Index(l.source[l.at:], "#}")
		if end < 0 {
			return l.errorf(open, "comment is not closed with #}")
		}
		l.at += end
		sign := byte(0)
		if c := l.source[l.at-1]; end > 0 && (c == '-' || c == '+') {
			sign = c
		}
		l.at += 2
		l.trimAfter(sign, kind)
	case '%':
		if end, ok := l.rawTag("raw"); ok {
			return l.raw(open, end)
		}
		return l.tag(open, statement, "%}")
	default:
		return l.tag(open, expression, "}}")
	}
	return nil
}

func (l *lexer) literal(at int, text string) {
	if text != "" {
		l.pieces = append(l.pieces, piece{kind: literal, text: text, line: l.line(at)})
	}
}

// trimBefore applies the sign of the tag that starts at l.at, and skips it.
func (l *lexer) trimBefore(text string, kind byte) string {
	sign := byte(0)
	if l.at < len(l.source) && (l.source[l.at] == '-' || l.source[l.at] == '+') {
		sign = l.source[l.at]
		l.at++
	}
	if sign == '-' {
		return strings.TrimRightFunc(text, unicode.IsSpace)
	}
	if sign != '+' && kind != '{' {
		line := strings.LastIndexByte(text, '\n') + 1
		if (line > 0 || l.lineStart) && strings.TrimSpace(text[line:]) == "" {
			return text[:line]
		}
	}
	return text
}

// trimAfter skips the white space that a tag takes with it; l.at is behind the tag.
func (l *lexer) trimAfter(sign, kind byte) {
	rest := l.source[l.at:]
	switch {
	case sign == '-':
		l.at += len(rest) - len(strings.TrimLeftFunc(rest, unicode.IsSpace))
	case sign != '+' && kind != '{' && strings.HasPrefix(rest, "\n"):
		l.at++
	}
	l.lineStart = l.source[l.at-1] == '\n'
}

// rawTag recognises the inside of {% raw %} or {% endraw %} at l.at, the sign
// in front skipped already, and returns where it ends.
func (l *lexer) rawTag(word string) (end int, ok bool) {
	rest := strings.TrimLeftFunc(l.source[l.at:], unicode.IsSpace)
	if !strings.HasPrefix(rest, word) {
		return 0, false
	}
	rest = strings.TrimLeftFunc(rest[len(word):], unicode.IsSpace)
	rest = strings.TrimPrefix(rest, "-")
	if word == "endraw" {
		rest = strings.TrimPrefix(rest, "+")
	}
	if !strings.HasPrefix(rest, "%}") {
		return 0, false
	}
	return len(l.source) - len(rest) + 2, true
}

// raw reads from behind {% raw %} to behind {% endraw %}.
func (l *lexer) raw(open, bodyStart int) error {
	l.at = bodyStart
	if l.source[bodyStart-3] == '-' {
		l.trimAfter('-', '%')
	}
	l.lineStart = l.source[l.at-1] == '\n'
	bodyStart = l.at
	for at := bodyStart; ; {
		i := strings.Index(l.source[at:], "{%")
		if i < 0 {
			return l.errorf(open, "raw block is not closed with {%% endraw %%}")
		}
		at += i
		l.at = at + 2
		body := l.trimBefore(l.source[bodyStart:at], '%')
		if end, ok := l.rawTag("endraw"); ok {
			l.literal(bodyStart, body)
			l.at = end
			l.trimAfter(l.source[end-3], '%')
			return nil
		}
		at += 2
	}
}

// tag reads the tokens of a tag whose inside starts at l.at.
func (l *lexer) tag(open int, kind pieceKind, closer string) error {
	p := piece{kind: kind, line: l.line(open)}
	var brackets []byte
	for {
		rest := strings.TrimLeftFunc(l.source[l.at:], unicode.IsSpace)
		l.at = len(l.source) - len(rest)
		if rest == "" {
			return l.errorf(open, "tag is not closed with %s", closer)
		}
		if len(brackets) == 0 {
			sign := byte(0)
			if rest[0] == '-' || rest[0] == '+' && kind == statement {
				sign = rest[0]
				rest = rest[1:]
			}
			if strings.HasPrefix(rest, closer) {
				l.at = len(l.source) - len(rest) + 2
				l.trimAfter(sign, l.source[open+1])
				l.pieces = append(l.pieces, p)
				return nil
			}
		}
		t, size, err := lexToken(l.source[l.at:])
		if err != nil {
			return l.errorf(l.at, "%w", err)
		}
		if t.kind == operator {
			switch c := t.text[0]; c {
			case '(', '[', '{':
				if brackets = append(brackets, c); len(brackets) > maxDepth {
					return l.errorf(l.at, "more than %d nested brackets", maxDepth)
				}
			case ')', ']', '}':
				if len(brackets) == 0 || !strings.Contains("()[]{}", string(brackets[len(brackets)-1])+string(c)) {
					return l.errorf(l.at, "unexpected %q", c)
				}
				brackets = brackets[:len(brackets)-1]
			}
		}
		l.at += size
		p.tokens = append(p.tokens, t)
	}
}

var operators = []string{"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";"}

// lexToken reads the first token of s, which is not blank.
func lexToken(s string) (t token, size int, err error) {
	digit := func(i int) bool { return i < len(s) && s[i] >= '0' && s[i] <= '9' }
	switch c := s[0]; {
	case c == '\'' || c == '"':
		for i := 1; i < len(s); i++ {
			if s[i] == '\\' {
				i++
			} else if s[i] == c {
				return token{stringLiteral, unescape(s[1:i])}, i + 1, nil
			}
		}
		return t, 0, fmt.Errorf("string is not closed with %c", c)
	case digit(0):
		i := 1
		for digit(i) || i < len(s) && s[i] == '_' && digit(i+1) {
			i++
		}
		if i < len(s) && s[i] == '.' && digit(i+1) {
			for i++; digit(i); i++ {
			}
		}
		return token{number, strings.ReplaceAll(s[:i], "_", "")}, i, nil
	case isLetter(c):
		i := 1
		for i < len(s) && (isLetter(s[i]) || digit(i)) {
			i++
		}
		return token{name, s[:i]}, i, nil
	}
	for _, op := range operators {
		if strings.HasPrefix(s, op) {
			return token{operator, op}, len(op), nil
		}
	}
	r, _ := utf8.DecodeRuneInString(s)
	return t, 0, fmt.Errorf("unexpected character %q", r)
}

func isLetter(c byte) bool { return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' }

// unescape resolves the escapes of a Python string literal. Unknown ones stay as they are.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		if at := strings.IndexByte("abfnrtv\\'\"", s[i]); at >= 0 {
			b.WriteByte("\a\b\f\n\r\t\v\\'\""[at])
			continue
		}
		if digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[i]]; digits > 0 && i+digits < len(s) {
			if r, err := strconv.ParseUint(s[i+1:i+1+digits], 16, 32); err == nil {
				b.WriteRune(rune(r))
				i += digits
				continue
			}
		}
		if s[i] != '\n' { // a backslash at the end of a line joins two lines
			b.WriteByte('\\')
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
