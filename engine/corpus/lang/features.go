package lang

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// tableBits is the logarithm of the rows that n-grams are hashed to.
const tableBits = 16

// known maps characters below 0x2500 to their small letter, and what is no letter to a space.
var known = func() (t [0x2500]uint16) {
	for r := range t {
		t[r] = uint16(letterOf(rune(r)))
	}
	return t
}()

// composed are letters with an accent, by letter and accent.
var composed = func() map[[2]uint16]uint16 {
	m := map[[2]uint16]uint16{}
	for r := range rune(len(known)) {
		if d := []rune(norm.NFD.String(string(r))); len(d) > 1 && unicode.IsLower(r) {
			accent := d[len(d)-1]
			if base := []rune(norm.NFC.String(string(d[:len(d)-1]))); len(base) == 1 {
				m[[2]uint16{uint16(base[0]), uint16(accent)}] = uint16(r)
			}
		}
	}
	return m
}()

// letterOf is a letter in lower case, a mark as it is, and a space for all else. Only the lower 16 bits count.
func letterOf(r rune) rune {
	switch {
	case unicode.IsLetter(r):
		return unicode.ToLower(r)
	case unicode.IsMark(r):
		return r
	}
	return ' '
}

// features appends the rows of a text's n-grams. Words are read with a space on either side, and each character that is
// read ends one n-gram, half of them of four characters, the others of one to three: an n-gram costs a miss of the
// cache, and more of them tell languages no better. Ideographs, kana and syllables of Hangul end two, of one and of two.
func features(rows []uint32, text string) []uint32 {
	window := uint64(' ') // the last four characters, 16 bits each
	for i, at := 0, 0; i <= len(text); {
		var c uint64
		switch {
		case i == len(text): // the last word ends
			c = ' '
			i++
		case text[i] < utf8.RuneSelf:
			c = uint64(known[text[i]])
			i++
		default:
			r, n := utf8.DecodeRuneInString(text[i:])
			i += n
			if int(r) < len(known) {
				c = uint64(known[r])
			} else {
				c = uint64(letterOf(r)) & 0xffff
			}
		}
		for i < len(text) && (text[i] == 0xcc || text[i] == 0xcd) { // an accent on its own: as if it were written with its letter
			r, n := utf8.DecodeRuneInString(text[i:])
			if i += n; composed[[2]uint16{uint16(c), uint16(r)}] != 0 {
				c = uint64(composed[[2]uint16{uint16(c), uint16(r)}])
			}
		}
		if c == ' ' && window&0xffff == ' ' {
			continue
		}
		window = window<<16 | c
		if c >= 0x2e80 { // an ideograph, kana or a syllable of Hangul says as much as several letters
			rows = append(rows, rowOf(window, 1), rowOf(window, 2))
			continue
		}
		rows = append(rows, rowOf(window, turns[at&7]))
		at++
	}
	return rows
}

var turns = [8]uint{4, 3, 4, 2, 4, 3, 4, 1}

// rowOf hashes the last n characters of a window.
func rowOf(window uint64, n uint) uint32 {
	window <<= (64 - 16*n) & 63
	return uint32((window>>4^window+uint64(n))*0x9e3779b97f4a7c15>>32) * 0x85ebca6b >> (32 - tableBits)
}
