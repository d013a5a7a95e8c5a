// Package bytelevel spells bytes as the printable characters that stand for
// them in the files of byte-level tokenizers.
//
// Deliberately absent: everything else.
package bytelevel

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// The files of byte-level tokenizers spell each byte as a printable character:
// the printable characters of Latin-1 as themselves, the 68 others, in order,
// as U+0100 and up (GPT-2's bytes_to_unicode).
var (
	runeOfByte [256]rune
	byteOfRune [0x100 + 68]int16 // -1: not the spelling of a byte

	// InOrder lists the bytes by their characters: "!" is first. It is
	// the order of the ids of bytes in GPT-2 and all that are trained like it.
	InOrder [256]byte
)

func init() {
	for i := range byteOfRune {
		byteOfRune[i] = -1
	}
	next := rune(0x100)
	for b := range 256 {
		r := rune(b)
		if !('!' <= r && r <= '~' || '¡' <= r && r <= '¬' || '®' <= r && r <= 'ÿ') {
			r = next
			next++
		}
		runeOfByte[b] = r
		byteOfRune[r] = int16(b)
		InOrder[b] = byte(b)
	}
	slices.SortFunc(InOrder[:], func(a, b byte) int { return int(runeOfByte[a] - runeOfByte[b]) })
}

// Spell writes bytes as the characters that stand for them in files.
func Spell(token string) string {
	var b strings.Builder
	b.Grow(len(token) + len(token)/2)
	for i := range len(token) {
		b.WriteRune(runeOfByte[token[i]])
	}
	return b.String()
}

// Read is the inverse of Spell.
func Read(spelled string) (string, error) {
	plain := true // printable ASCII stands for itself
	for i := 0; i < len(spelled) && plain; i++ {
		plain = '!' <= spelled[i] && spelled[i] <= '~'
	}
	if plain {
		return spelled, nil
	}
	token := make([]byte, 0, len(spelled))
	for _, r := range spelled {
		if r >= rune(len(byteOfRune)) || byteOfRune[r] < 0 || r == utf8.RuneError {
			return "", fmt.Errorf("character %q stands for no byte: this is not a byte-level token", r)
		}
		token = append(token, byte(byteOfRune[r]))
	}
	return string(token), nil
}

// Byte is the byte that a character stands for.
func Byte(r rune) (byte, bool) {
	if r < 0 || r >= rune(len(byteOfRune)) || byteOfRune[r] < 0 {
		return 0, false
	}
	return byte(byteOfRune[r]), true
}

// Rune is the character that stands for a byte.
func Rune(b byte) rune { return runeOfByte[b] }
