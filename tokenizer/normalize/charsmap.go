package normalize

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"

	"forja/tokenizer/internal/ucd"
)

// A Charsmap is the precompiled_charsmap of SentencePiece: a double-array trie
// (Darts-clone) from strings to the strings that replace them.
type Charsmap struct {
	blob  []byte
	units []uint32
	texts []byte // the replacements, each with a zero behind it

	// plain tells of an ASCII character that no rule starts with it and goes on
	// with ASCII: next to another one it stays as it is.
	plain [utf8.RuneSelf]bool
}

// ParseCharsmap reads the blob of a model file: the size of the trie in bytes,
// the trie, the replacements. It keeps blob, which must not change.
func ParseCharsmap(blob []byte) (*Charsmap, error) {
	if len(blob) < 4 {
		return nil, errors.New("the charsmap is shorter than its header")
	}
	size := int(binary.LittleEndian.Uint32(blob))
	if size%4 != 0 || size == 0 || size > len(blob)-4 {
		return nil, fmt.Errorf("the charsmap says that its trie has %d bytes, of %d in all", size, len(blob))
	}
	c := &Charsmap{blob: blob, units: make([]uint32, size/4), texts: blob[4+size:]}
	for i := range c.units {
		c.units[i] = binary.LittleEndian.Uint32(blob[4+4*i:])
	}
	if len(c.texts) == 0 || c.texts[len(c.texts)-1] != 0 {
		return nil, errors.New("the charsmap does not end with a zero")
	}
	for b := 1; b < utf8.RuneSelf; b++ {
		c.plain[b] = c.isPlain(byte(b))
	}
	return c, nil
}

func (c *Charsmap) isPlain(b byte) bool {
	if n, _ := c.find(string([]byte{b}), longest); n > 0 {
		return false
	}
	at := unitOffset(c.units[0]) ^ uint32(b)
	if int(at) >= len(c.units) || unitLabel(c.units[at]) != uint32(b) {
		return true
	}
	at ^= unitOffset(c.units[at])
	for next := uint32(1); next < utf8.RuneSelf; next++ {
		if child := at ^ next; int(child) < len(c.units) && unitLabel(c.units[child]) == next {
			return false
		}
	}
	return true
}

// Blob is what ParseCharsmap read.
func (c *Charsmap) Blob() []byte { return c.blob }

// The units of a Darts-clone double array: bit 31 marks a value, bit 8 a node
// that has one; bits 10 and up are the offset, which bit 9 shifts by eight.
func unitLabel(unit uint32) uint32  { return unit & (1<<31 | 0xff) }
func unitOffset(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }

// longest and shortest select a match.
const (
	longest  = true
	shortest = false
)

// find looks for a prefix of s and returns its length, 0 if there is none, and
// its replacement.
func (c *Charsmap) find(s string, long bool) (n int, text string) {
	at := unitOffset(c.units[0])
	value := uint32(0)
	for i := range len(s) {
		at ^= uint32(s[i])
		if s[i] == 0 || int(at) >= len(c.units) {
			break
		}
		unit := c.units[at]
		if unitLabel(unit) != uint32(s[i]) {
			break
		}
		at ^= unitOffset(unit)
		if unit>>8&1 == 1 {
			if int(at) >= len(c.units) {
				break
			}
			n, value = i+1, c.units[at]&(1<<31-1)
			if !long {
				break
			}
		}
	}
	if n == 0 || int(value) >= len(c.texts) {
		return 0, ""
	}
	end := int(value)
	for c.texts[end] != 0 { // there is one at the end
		end++
	}
	return n, string(c.texts[value:end])
}

// Precompiled applies a Charsmap as Hugging Face tokenizers does: grapheme
// clusters of less than six bytes are looked up as a whole first; of what
// matches, the shortest prefix wins and the rest of the cluster goes.
type Precompiled struct{ Map *Charsmap }

// Normalize implements Normalizer.
func (n Precompiled) Normalize(t Text) Text {
	e := t.Edit()
	for s := e.Rest(); len(s) > 0; s = e.Rest() {
		if cluster := shortCluster(s); cluster > 0 {
			if found, text := n.Map.find(s[:cluster], shortest); found > 0 {
				e.Replace(cluster, text)
				continue
			}
			n.characters(e, s[:cluster])
			continue
		}
		_, size := utf8.DecodeRuneInString(s)
		n.characters(e, s[:size])
	}
	return e.Done()
}

func (n Precompiled) characters(e *Editor, s string) {
	for len(s) > 0 {
		_, size := utf8.DecodeRuneInString(s)
		if found, text := n.Map.find(s[:size], shortest); found > 0 {
			e.Replace(size, text)
		} else {
			e.Keep(size)
		}
		s = s[size:]
	}
}

// shortCluster is the length of the grapheme cluster (Unicode Standard Annex
// 29) that s starts with if it is two characters or more and less than six
// bytes; else 0. So short, a cluster is CR LF, or a character with marks.
func shortCluster(s string) int {
	if len(s) > 1 && s[0] == '\r' && s[1] == '\n' {
		return 2
	}
	r, n := utf8.DecodeRuneInString(s)
	if n > 3 || unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp) || unicode.Is(unicode.Cf, r) && r != 0x200c && r != 0x200d && !isPrepended(r) {
		return 0
	}
	first := n
	prepended := isPrepended(r)
	for n < len(s) {
		r, size := utf8.DecodeRuneInString(s[n:])
		if !extends(r) && !(prepended && !unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp)) {
			break
		}
		prepended = isPrepended(r)
		if n += size; n >= 6 {
			return 0
		}
	}
	if n == first {
		return 0
	}
	return n
}

func isPrepended(r rune) bool { return unicode.Is(unicode.Prepended_Concatenation_Mark, r) }

// extends reports whether a character belongs to the cluster before it.
func extends(r rune) bool {
	switch {
	case r < 0x300:
		return false
	case r == 0x200c || r == 0x200d || r == 0xe33 || r == 0xeb3 || r == 0xff9e || r == 0xff9f:
		return true
	case unicode.In(r, unicode.Mn, unicode.Me), ucd.Contains(ucd.Marks, r):
		return true
	}
	return unicode.Is(unicode.Mc, r) && !ucd.Contains(apart, r)
}

// apart are the spacing marks that start a cluster of their own.
var apart = []ucd.Range{
	{0x102b, 0x102c}, {0x1038, 0x1038}, {0x1062, 0x1064}, {0x1067, 0x106d}, {0x1083, 0x1083}, {0x1087, 0x108c},
	{0x108f, 0x108f}, {0x109a, 0x109c}, {0x1a61, 0x1a61}, {0x1a63, 0x1a64}, {0xaa7b, 0xaa7b}, {0xaa7d, 0xaa7d},
}
