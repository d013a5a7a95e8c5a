package normalize

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"forja/tokenizer/internal/bytelevel"
	"forja/tokenizer/internal/pattern"
	"forja/tokenizer/internal/ucd"
)

// Lowercase maps every character to lower case on its own, without regard to
// its neighbours: the final sigma stays as the table has it.
type Lowercase struct{}

// Normalize implements Normalizer.
func (Lowercase) Normalize(t Text) Text { return mapped(t, lower) }

// lower is the lower case of a character: one character for all but U+0130.
func lower(r rune) (rune, string) {
	if r == 'İ' {
		return instead, "i\u0307"
	}
	return ucd.ToLower(r), ""
}

// instead is no character: a string stands in its place.
const instead = -1

// mapped replaces each valid character by another, or by a string where the
// character given is instead.
func mapped(t Text, to func(rune) (rune, string)) Text {
	if !t.Track {
		t.S = mapString(t.S, to)
		return t
	}
	e := t.Edit()
	for s := e.Rest(); len(s) > 0; s = e.Rest() {
		r, size := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && size == 1 {
			e.Keep(1)
			continue
		}
		switch c, many := to(r); c {
		case r:
			e.Keep(size)
		case instead:
			e.Replace(size, many)
		default:
			e.Replace(size, string(c))
		}
	}
	return e.Done()
}

// mapString is mapped without account of places.
func mapString(s string, to func(rune) (rune, string)) string {
	var ascii [utf8.RuneSelf]int8 // what becomes of a character: that one, or -1: ask
	for b := range ascii {
		c, _ := to(rune(b))
		if ascii[b] = -1; 0 <= c && c < utf8.RuneSelf {
			ascii[b] = int8(c)
		}
	}
	var out []byte // nil: nothing has changed yet
	for at := 0; at < len(s); {
		b := s[at]
		if b < utf8.RuneSelf && ascii[b] >= 0 {
			if out != nil {
				out = append(out, byte(ascii[b]))
			} else if byte(ascii[b]) != b {
				out = append(append(make([]byte, 0, len(s)+len(s)/8+16), s[:at]...), byte(ascii[b]))
			}
			at++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[at:])
		c, many := r, ""
		if r != utf8.RuneError || size > 1 {
			c, many = to(r)
		}
		if c != r && out == nil {
			out = append(make([]byte, 0, len(s)+len(s)/8+16), s[:at]...)
		}
		switch {
		case out == nil:
		case c == r:
			out = append(out, s[at:at+size]...)
		case c == instead:
			out = append(out, many...)
		default:
			out = utf8.AppendRune(out, c)
		}
		at += size
	}
	if out == nil {
		return s
	}
	return string(out)
}

// Strip removes white space at the ends.
type Strip struct{ Left, Right bool }

// Normalize implements Normalizer.
func (n Strip) Normalize(t Text) Text {
	s := t.S
	start, end := 0, len(s)
	if n.Left {
		start = len(s) - len(strings.TrimLeftFunc(s, unicode.IsSpace))
	}
	if n.Right {
		end = len(strings.TrimRightFunc(s, unicode.IsSpace))
	}
	first := t.First
	t = t.Sub(min(start, end), end)
	t.First = first // nothing stands before it
	return t
}

// Prepend puts a string before a text that is not empty.
type Prepend struct{ Prefix string }

// Normalize implements Normalizer.
func (n Prepend) Normalize(t Text) Text {
	if t.S == "" {
		return t
	}
	e := t.Edit()
	e.Replace(0, n.Prefix)
	return e.Done()
}

// Replace replaces all that matches by a string: a literal, or what an
// expression matches.
type Replace struct {
	literal    string
	expression *pattern.Expression
	content    string
}

// NewReplace replaces a literal string.
func NewReplace(literal, content string) Replace { return Replace{literal: literal, content: content} }

// NewReplaceRegexp replaces what an expression matches.
func NewReplaceRegexp(expression, content string) (Replace, error) {
	compiled, err := pattern.Compile(expression)
	return Replace{expression: compiled, content: content}, err
}

// Pattern is what is replaced and whether it is an expression.
func (n Replace) Pattern() (pattern string, expression bool) {
	if n.expression != nil {
		return n.expression.String(), true
	}
	return n.literal, false
}

// Content is what stands in its place.
func (n Replace) Content() string { return n.content }

// Normalize implements Normalizer.
func (n Replace) Normalize(t Text) Text {
	e := t.Edit()
	if n.expression != nil {
		at := 0
		for start, end := range n.expression.Matches(t.S) {
			e.Keep(start - at)
			e.Replace(end-start, n.content)
			at = end
		}
		return e.Done()
	}
	if n.literal == "" {
		return t
	}
	for {
		at := strings.Index(e.Rest(), n.literal)
		if at < 0 {
			return e.Done()
		}
		e.Keep(at)
		e.Replace(len(n.literal), n.content)
	}
}

// Nmt is the first half of SentencePiece's nmt rules: control characters go,
// exotic white space becomes a blank.
type Nmt struct{}

// Normalize implements Normalizer.
func (Nmt) Normalize(t Text) Text {
	return mapped(t, func(r rune) (rune, string) {
		switch {
		case 0x01 <= r && r <= 0x08, r == 0x0b, 0x0e <= r && r <= 0x1f, r == 0x7f, r == 0x8f, r == 0x9f:
			return instead, ""
		case r == 0x09, r == 0x0a, r == 0x0c, r == 0x0d, r == 0x1680, 0x200b <= r && r <= 0x200f, r == 0x2028, r == 0x2029, r == 0x2581, r == 0xfeff, r == 0xfffd:
			return ' ', ""
		}
		return r, ""
	})
}

// ByteLevel spells every byte as the character that stands for it.
type ByteLevel struct{}

// Normalize implements Normalizer.
func (ByteLevel) Normalize(t Text) Text {
	e := t.Edit()
	for e.Rest() != "" {
		e.Replace(1, string(bytelevel.Rune(e.Rest()[0])))
	}
	return e.Done()
}
