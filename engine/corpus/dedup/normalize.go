package dedup

import (
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Normalize appends a text as it is compared, and a space after each word: in lower case, without accents (canonical
// decomposition less nonspacing marks), with 0 for each number, and spaces for punctuation and white space.
func Normalize(dst []byte, text string) []byte {
	begin := len(dst)
	t := folded()
	for i := 0; i < len(text); {
		b := text[i]
		if b < utf8.RuneSelf {
			switch c := plain[b]; {
			case c == ' ':
				i++
				if n := len(dst); n > begin && dst[n-1] != ' ' {
					dst = append(dst, ' ')
				}
			case c == '0':
				i = number(text, i)
				dst = append(dst, '0')
			default:
				i++
				dst = append(dst, c)
			}
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		var s string
		switch {
		case int(r) < len(t):
			s = t[r]
		case r >= 0x4e00 && r < 0xa000, r >= 0xac00 && r < 0xd7a4: // ideographs and Hangul syllables are as they are
			s = text[i : i+n]
		default:
			s = fold(r)
		}
		switch s {
		case " ":
			if n := len(dst); n > begin && dst[n-1] != ' ' {
				dst = append(dst, ' ')
			}
		case "0":
			i = number(text, i)
			dst = append(dst, '0')
			continue
		default:
			dst = append(dst, s...)
		}
		i += n
	}
	if n := len(dst); n > begin && dst[n-1] != ' ' {
		dst = append(dst, ' ')
	}
	return dst
}

// number is where a number ends: digits, and once more a decimal separator and digits.
func number(text string, i int) int {
	i = digits(text, i)
	if i < len(text) {
		switch r, n := utf8.DecodeRuneInString(text[i:]); r {
		case '.', ',', '،', '٫', '⎖', '⎗', '⎘':
			if end := digits(text, i+n); end > i+n {
				return end
			}
		}
	}
	return i
}

func digits(text string, i int) int {
	for i < len(text) {
		if b := text[i]; b < utf8.RuneSelf {
			if b < '0' || b > '9' {
				return i
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		if !unicode.Is(unicode.Nd, r) {
			return i
		}
		i += n
	}
	return i
}

// plain is what becomes of ASCII: a space, the small letter, 0 for a digit.
var plain = func() (t [utf8.RuneSelf]byte) {
	for b := range t {
		switch {
		case b >= '0' && b <= '9':
			t[b] = '0'
		case b|0x20 >= 'a' && b|0x20 <= 'z':
			t[b] = byte(b) | 0x20
		default:
			t[b] = ' '
		}
	}
	return t
}()

// folded is what becomes of the characters before the ideographs: nothing, a space, 0, or small letters.
var folded = sync.OnceValue(func() (t []string) {
	t = make([]string, 0x3400)
	for r := range t {
		t[r] = fold(rune(r))
	}
	return t
})

// punctuation beyond ASCII, as in FineWeb's table.
const punctuation = "—”：％１〈（、━【」，】；“《„’∶´．–？！～«〉》）。…►»「"

var spaces = func() map[rune]bool {
	m := map[rune]bool{}
	for _, r := range punctuation {
		m[r] = true
	}
	return m
}()

func fold(r rune) string {
	switch {
	case r < utf8.RuneSelf:
		return string(plain[r])
	case spaces[r] || r < 0xa0 || unicode.IsSpace(r):
		return " "
	case unicode.Is(unicode.Nd, r):
		return "0"
	}
	lower := unicode.ToLower(r)
	if lower == 'ς' { // which of the two sigmas is small depends on what follows
		lower = 'σ'
	}
	var out []rune
	for _, d := range norm.NFD.String(string(lower)) {
		if !unicode.Is(unicode.Mn, d) {
			out = append(out, d)
		}
	}
	return string(out)
}
