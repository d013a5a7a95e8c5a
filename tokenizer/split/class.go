package split

import (
	"unicode"
	"unicode/utf8"
)

// Classes of characters, as bits.
const (
	letter  uint8 = 1 << iota // \p{L}
	number                    // \p{N}
	space                     // \s
	newline                   // \r and \n, which are also space
)

// A two-stage table of classes: the page of a character is pageOf[r>>8], its
// class pages[page][r&0xff]. ASCII also has a table of its own.
var (
	asciiClass [utf8.RuneSelf]uint8
	pageOf     [(unicode.MaxRune + 1) >> 8]uint16
	pages      [][256]uint8
)

// Letters and numbers that Unicode 15.1 and 16.0 added to the 15.0 of the Go
// release: the libraries that this package agrees with are at 16.0.
var (
	laterLetters = [][2]rune{
		{0x1c89, 0x1c8a}, {0xa7cb, 0xa7cd}, {0xa7da, 0xa7dc}, {0x105c0, 0x105f3}, {0x10d4a, 0x10d65},
		{0x10d6f, 0x10d85}, {0x10ec2, 0x10ec4}, {0x11380, 0x11389}, {0x1138b, 0x1138b}, {0x1138e, 0x1138e},
		{0x11390, 0x113b5}, {0x113b7, 0x113b7}, {0x113d1, 0x113d1}, {0x113d3, 0x113d3}, {0x11bc0, 0x11be0},
		{0x13460, 0x143fa}, {0x16100, 0x1611d}, {0x16d40, 0x16d6c}, {0x18cff, 0x18cff}, {0x1e5d0, 0x1e5ed},
		{0x1e5f0, 0x1e5f0}, {0x2ebf0, 0x2ee5d},
	}

	laterNumbers = [][2]rune{
		{0x10d40, 0x10d49}, {0x116d0, 0x116e3}, {0x11bf0, 0x11bf9}, {0x16130, 0x16139}, {0x16d70, 0x16d79},
		{0x1ccf0, 0x1ccf9}, {0x1e5f1, 0x1e5fa},
	}
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
	set(unicode.L, letter)
	set(unicode.N, number)
	set(unicode.White_Space, space)
	for _, r := range laterLetters {
		for c := r[0]; c <= r[1]; c++ {
			flat[c] |= letter
		}
	}
	for _, r := range laterNumbers {
		for c := r[0]; c <= r[1]; c++ {
			flat[c] |= number
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
