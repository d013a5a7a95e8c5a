package filter

import (
	"strings"
	"unicode/utf8"
)

// cut takes the first line of a text: up to a line feed, carriage return, form feed, vertical tab, the separators of
// ASCII, NEL, or the line and paragraph separators of Unicode. A line end at the end of the text begins no other line.
func cut(text string) (line, rest string) {
	for i := 0; i < len(text); i++ {
		switch b := text[i]; {
		case b > '\r' && b < 0x1c || b > 0x1e && b < 0x80 || b < '\n':
		case b == '\r' && i+1 < len(text) && text[i+1] == '\n':
			return text[:i], text[i+2:]
		case b < 0x80:
			return text[:i], text[i+1:]
		case b == 0xc2 && i+1 < len(text) && text[i+1] == 0x85:
			return text[:i], text[i+2:]
		case b == 0xe2 && i+2 < len(text) && text[i+1] == 0x80 && text[i+2]&^1 == 0xa8:
			return text[:i], text[i+3:]
		}
	}
	return text, ""
}

// cutBreak takes what stands before the first run of at least n line feeds; more says that there was one.
func cutBreak(text string, n int) (part, rest string, more bool) {
	for from := 0; ; {
		i := strings.IndexByte(text[from:], '\n')
		if i < 0 {
			return text, "", false
		}
		i += from
		end := i + 1
		for end < len(text) && text[end] == '\n' {
			end++
		}
		if end-i >= n {
			return text[:i], text[end:], true
		}
		from = end
	}
}

// repeated counts the parts of a text, between runs of n line feeds, those that have occurred before, and their characters.
func (c *Checker) repeated(text string, n int) (parts, again, chars int) {
	c.seen.reset(strings.Count(text, "\n") + 1)
	for more := true; more; {
		var part string
		part, text, more = cutBreak(text, n)
		parts++
		if !c.seen.add(hash(part)) {
			again++
			chars += utf8.RuneCountInString(part)
		}
	}
	return parts, again, chars
}
