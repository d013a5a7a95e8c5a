package filter

import (
	"unicode"
	"unicode/utf8"

	"github.com/zeebo/xxh3"
)

// A word is a run of letters, digits and marks, with apostrophes inside it and points inside numbers, or a run of the
// same punctuation mark.
type word struct {
	hash   uint64
	before int // characters of all words before it
	kind   kind
}

type kind uint8

const (
	symbol  kind = iota // no letter and no digit
	number              // digits without a letter
	letters             // at least one letter
)

// The classes of a character.
const (
	space = iota
	punctuation
	digit
	letter
	mark
	alone // a letter of a script that writes no spaces: it begins a word
)

var ascii = func() (class [utf8.RuneSelf]uint8) {
	for r := range class {
		class[r] = classOf(rune(r))
	}
	return class
}()

func classOf(r rune) uint8 {
	switch {
	case r == '_':
		return letter
	case unicode.IsLetter(r):
		if r >= 0xe00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar) {
			return alone
		}
		return letter
	case unicode.IsSpace(r) || r < ' ' || r == 0x7f:
		return space
	case unicode.IsNumber(r):
		return digit
	case unicode.IsMark(r) || r == 0x200c || r == 0x200d:
		return mark
	}
	return punctuation
}

// class reads a character.
func class(text string, i int) (c uint8, size int) {
	if b := text[i]; b < utf8.RuneSelf {
		return ascii[b], 1
	}
	r, size := utf8.DecodeRuneInString(text[i:])
	return classOf(r), size
}

// nextWord finds the first word at or after a byte; start is the text's length where there is none.
func nextWord(text string, from int) (start, end, runes int, k kind) {
	i := from
	var c uint8
	var n int
	for {
		if i >= len(text) {
			return len(text), len(text), 0, symbol
		}
		if c, n = class(text, i); c != space {
			break
		}
		i += n
	}
	start, runes = i, 1
	first := text[i : i+n]
	i += n
	if c == punctuation {
		for len(text)-i >= n && text[i:i+n] == first {
			i += n
			runes++
		}
		return start, i, runes, symbol
	}
	k = number
	if c == letter || c == alone {
		k = letters
	}
	for previous := c; i < len(text); {
		if previous == letter { // most of most texts
			at := i
			for i < len(text) && text[i] < utf8.RuneSelf && ascii[text[i]] == letter {
				i++
			}
			if runes += i - at; i == len(text) {
				break
			}
		}
		c, n := class(text, i)
		if previous == alone && c != mark {
			break
		}
		switch c {
		case letter:
			k = letters
		case digit, mark:
		case punctuation: // it belongs to the word if what follows does
			if !(text[i] == '\'' || text[i:i+n] == "’" || previous == digit && (text[i] == '.' || text[i] == ',')) || i+n >= len(text) {
				return start, i, runes, k
			}
			next, _ := class(text, i+n)
			if next != previous || next != letter && next != digit || previous == digit && text[i] >= utf8.RuneSelf {
				return start, i, runes, k
			}
			c = next
		default:
			return start, i, runes, k
		}
		if c != mark {
			previous = c
		}
		i += n
		runes++
	}
	return start, i, runes, k
}

// scan splits a text, with a word more at the end that holds the characters of all.
func scan(words []word, text string) []word {
	words = words[:0]
	total := 0
	for i := 0; ; {
		start, end, runes, k := nextWord(text, i)
		if start == len(text) {
			return append(words, word{before: total})
		}
		words = append(words, word{xxh3.HashString(text[start:end]), total, k})
		total += runes
		i = end
	}
}

// countWords counts up to as many words as are enough.
func countWords(text string, enough int) (n int) {
	for i := 0; n < enough; n++ {
		start, end, _, _ := nextWord(text, i)
		if start == len(text) {
			break
		}
		i = end
	}
	return n
}
