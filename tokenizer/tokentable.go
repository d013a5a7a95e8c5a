package tokenizer

import "math/bits"

// A tokenTable finds tokens by their bytes. Its hash is a polynomial, so that
// of all halves of a token, and of two tokens together, it follows from hashes
// that are known: building a vocabulary is mostly looking up such pieces.
type tokenTable struct {
	texts  []string // by id; "" is not in the table
	hashes []uint64 // by id
	powers []uint64 // of hashBase, as many as the longest token has bytes, and one
	slots  []tableSlot
	shift  uint
}

// A tableSlot holds part of the hash and the id plus one; 0 is empty.
type tableSlot struct {
	tag uint32
	id  int32
}

const hashBase = 0x9e3779b97f4a7c15

// newTokenTable indexes the texts. Of equal texts it keeps the first and
// returns the ids of the first two, -1 if there are none.
func newTokenTable(texts []string) (t tokenTable, first, second int32) {
	size := uint(bits.Len(uint(max(len(texts), 4) * 2)))
	t = tokenTable{texts: texts, hashes: make([]uint64, len(texts)), slots: make([]tableSlot, 1<<size), shift: 64 - size}
	longest := 0
	first, second = -1, -1
	for id, text := range texts {
		if text == "" {
			continue
		}
		longest = max(longest, len(text))
		hash := hashToken(text)
		t.hashes[id] = hash
		at, found := t.slot(hash, func(other string) bool { return other == text })
		if found {
			if first < 0 {
				first, second = t.slots[at].id-1, int32(id)
			}
			continue
		}
		t.slots[at] = tableSlot{uint32(hash), int32(id) + 1}
	}
	t.powers = make([]uint64, longest+1)
	for i := range t.powers {
		t.powers[i] = 1
		if i > 0 {
			t.powers[i] = t.powers[i-1] * hashBase
		}
	}
	return t, first, second
}

func hashToken(text string) uint64 {
	var h uint64
	for i := range len(text) {
		h = hashByte(h, text[i])
	}
	return h
}

// hashByte is the hash of a text with one more byte.
func hashByte(h uint64, b byte) uint64 { return h*hashBase + uint64(b) + 1 }

// slot is the place of a text with a hash, or the empty place where it belongs.
func (t *tokenTable) slot(hash uint64, same func(text string) bool) (at uint64, found bool) {
	mask := uint64(len(t.slots) - 1)
	at = (hash ^ hash>>32) * 0xff51afd7ed558ccd >> t.shift
	for ; t.slots[at].id != 0; at = (at + 1) & mask {
		if t.slots[at].tag == uint32(hash) && same(t.texts[t.slots[at].id-1]) {
			return at, true
		}
	}
	return at, false
}

// find returns the id of a text.
func (t *tokenTable) find(text string) (int32, bool) {
	return t.findHash(hashToken(text), text)
}

func (t *tokenTable) findHash(hash uint64, text string) (int32, bool) {
	mask := uint64(len(t.slots) - 1)
	for at := (hash ^ hash>>32) * 0xff51afd7ed558ccd >> t.shift; t.slots[at].id != 0; at = (at + 1) & mask {
		if s := t.slots[at]; s.tag == uint32(hash) && t.texts[s.id-1] == text {
			return s.id - 1, true
		}
	}
	return 0, false
}

// findJoined returns the id of two tokens together.
func (t *tokenTable) findJoined(left, right int32) (int32, bool) {
	l, r := t.texts[left], t.texts[right]
	if len(l)+len(r) >= len(t.powers) {
		return 0, false
	}
	at, found := t.slot(t.hashes[left]*t.powers[len(r)]+t.hashes[right], func(text string) bool {
		return len(text) == len(l)+len(r) && text[:len(l)] == l && text[len(l):] == r
	})
	if !found {
		return 0, false
	}
	return t.slots[at].id - 1, true
}
