package pattern

import (
	"fmt"
	"regexp"
	"strings"

	"forja/tokenizer/internal/ucd"
)

const white = `\t-\r \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}`

// classes are the escapes whose meaning depends on the engine, as the inside
// of a bracket.
var classes = map[string]string{
	`\s`: white,
	`\d`: `\p{Nd}`,
	// Alphabetic letters, marks, digits, connectors, joiners and circled letters.
	`\w`:     `\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{200c}\x{200d}\x{24b6}-\x{24e9}\x{1f130}-\x{1f149}\x{1f150}-\x{1f169}\x{1f170}-\x{1f189}` + ranges(ucd.Letters) + ranges(ucd.Marks) + ranges(ucd.Numbers),
	`\h`:     `0-9A-Fa-f`,
	`\p{L}`:  `\p{L}` + ranges(ucd.Letters),
	`\p{Lu}`: `\p{Lu}` + ranges(ucd.Upper),
	`\p{Ll}`: `\p{Ll}` + ranges(ucd.Lower),
	`\p{Lm}`: `\p{Lm}` + ranges(ucd.Modifier),
	`\p{Lo}`: `\p{Lo}` + ranges(ucd.Other),
	`\p{M}`:  `\p{M}` + ranges(ucd.Marks),
	`\p{N}`:  `\p{N}` + ranges(ucd.Numbers),
	`\p{P}`:  `\p{P}` + ranges(ucd.Punctuation),
	`\p{S}`:  `\p{S}` + ranges(ucd.Symbols),
}

func ranges(table []ucd.Range) string {
	var b strings.Builder
	for _, r := range table {
		fmt.Fprintf(&b, `\x{%x}-\x{%x}`, r[0], r[1])
	}
	return b.String()
}

// negated are the escapes for what a class does not contain.
var negated = map[string]string{`\S`: `\s`, `\D`: `\d`, `\W`: `\w`, `\H`: `\h`}

// counts is a quantifier in braces.
var counts = regexp.MustCompile(`^\{[0-9]*(,[0-9]*)?\}`)

// translate spells out classes and makes x++, x?+ and x*+ atomic groups. As in
// Oniguruma x{1,3}+ is (?:x{1,3})+.
func translate(source string) string {
	var out []byte
	var groups []int // starts of the open groups in out
	atom := -1       // start of the last atom in out, -1 if there is none
	for at := 0; at < len(source); {
		switch c := source[at]; c {
		case '\\':
			escape := escapeAt(source[at:])
			at += len(escape)
			atom = len(out)
			switch {
			case classes[escape] != "":
				out = append(out, "["+classes[escape]+"]"...)
			case negated[escape] != "":
				out = append(out, "[^"+classes[negated[escape]]+"]"...)
			default:
				out = append(out, escape...)
			}
		case '[':
			n, class := translateClass(source[at:])
			atom = len(out)
			out = append(out, class...)
			at += n
		case '(':
			groups = append(groups, len(out))
			out = append(out, c)
			at++
			atom = -1
		case ')':
			if len(groups) > 0 {
				atom = groups[len(groups)-1]
				groups = groups[:len(groups)-1]
			}
			out = append(out, c)
			at++
		case '*', '+', '?':
			out = append(out, c)
			at++
			if at < len(source) && source[at] == '+' && atom >= 0 && out[len(out)-2] != '(' {
				out = append(out[:atom], "(?>"+string(out[atom:])+")"...)
				at++
			}
		case '|':
			out = append(out, c)
			at++
			atom = -1
		case '{':
			n := len(counts.FindString(source[at:]))
			out = append(out, source[at:at+max(n, 1)]...)
			at += max(n, 1)
			if n > 0 && at < len(source) && source[at] == '+' && atom >= 0 { // again and again, not possessive
				out = append(out[:atom], "(?:"+string(out[atom:])+")+"...)
				at++
			}
		default:
			atom = len(out)
			n := 1
			for at+n < len(source) && source[at+n]&0xc0 == 0x80 { // the rest of a character
				n++
			}
			out = append(out, source[at:at+n]...)
			at += n
		}
	}
	return string(out)
}

// escapeAt is the escape that s starts with: \p{..}, \x{..} or a single character.
func escapeAt(s string) string {
	if len(s) > 2 && strings.IndexByte("pPx", s[1]) >= 0 && s[2] == '{' {
		if end := strings.IndexByte(s, '}'); end > 0 {
			return s[:end+1]
		}
	}
	n := min(2, len(s))
	for n < len(s) && s[n]&0xc0 == 0x80 {
		n++
	}
	return s[:n]
}

// translateClass translates the bracket that s starts with and returns its
// length. Brackets inside it (set operations) are left to the engine.
func translateClass(s string) (int, string) {
	var out strings.Builder
	at := 1
	out.WriteByte('[')
	if at < len(s) && s[at] == '^' {
		out.WriteByte('^')
		at++
	}
	for first := true; at < len(s); first = false {
		switch c := s[at]; {
		case c == ']' && !first:
			out.WriteByte(']')
			return at + 1, out.String()
		case c == '\\':
			escape := escapeAt(s[at:])
			if class, ok := classes[escape]; ok {
				out.WriteString(class)
			} else {
				out.WriteString(escape)
			}
			at += len(escape)
		default:
			out.WriteByte(c)
			at++
		}
	}
	return at, out.String()
}
