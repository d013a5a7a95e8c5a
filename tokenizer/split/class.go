package split

import (
	"unicode"
	"unicode/utf8"

	"forja/tokenizer/internal/ucd"
)

// Classes of characters, as bits.
const (
	letter  uint8 = 1 << iota // \p{L}
	number                    // \p{N}
	space                     // \s
	newline                   // \r and \n, which are also space
	upper                     // \p{Lu} and \p{Lt}, which are also letters
	lower                     // \p{Ll}, which are also letters
	mark                      // \p{M}
)

// A two-stage table of classes: the page of a character is pageOf[r>>8], its
// class pages[page][r&0xff]. ASCII also has a table of its own.
var (
	asciiClass [utf8.RuneSelf]uint8
	pageOf     [(unicode.MaxRune + 1) >> 8]uint16
	pages      [][256]uint8
)

func init() {
	flat := make([]uint8, unicode.MaxRune+1)
	set := func(table *unicode.RangeTable, class uint8) {
		for _, r := range table.R16 {
			for c := uint32(r.Lo); c <= uint32(r.Hi); c += uint32(r.Stride) {
				flat[c] |= class
			}
		}
		for _, r := range table.R32 {
			for c := r.Lo; c <= r.Hi; c += r.Stride {
				flat[c] |= class
			}
		}
	}
	for _, t := range []struct {
		table *unicode.RangeTable
		class uint8
		later []ucd.Range
	}{
		{unicode.L, letter, ucd.Letters}, {unicode.N, number, ucd.Numbers}, {unicode.White_Space, space, nil},
		{unicode.Lu, upper, ucd.Upper}, {unicode.Lt, upper, nil}, {unicode.Ll, lower, ucd.Lower}, {unicode.M, mark, ucd.Marks},
	} {
		set(t.table, t.class)
		for _, r := range t.later {
			for c := r[0]; c <= r[1]; c++ {
				flat[c] |= t.class
			}
		}
	}
	flat['\r'] |= newline
	flat['\n'] |= newline
	copy(asciiClass[:], flat)
	pages = [][256]uint8{{}}
	seen := map[[256]uint8]uint16{{}: 0}
	for i := range pageOf {
		page := [256]uint8(flat[i<<8:])
		at, ok := seen[page]
		if !ok {
			at = uint16(len(pages))
			seen[page] = at
			pages = append(pages, page)
		}
		pageOf[i] = at
	}
}

// classAt returns the class and the length in bytes of the character at
// text[at]. An invalid byte is a character of no class.
func classAt(text string, at int) (class uint8, size int) {
	if b := text[at]; b < utf8.RuneSelf {
		return asciiClass[b], 1
	}
	r, size := utf8.DecodeRuneInString(text[at:])
	return pages[pageOf[r>>8]][r&0xff], size
}
