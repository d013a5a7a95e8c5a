package tokenizer

import "slices"

const (
	// maxCachedWord is the longest pre-token whose ids are remembered.
	maxCachedWord = 64

	firstSlots = 1 << 11
	maxSlots   = 1 << 17

	// Bounds of the two arenas of a cache: 4 MiB of words, 2 MiB of ids.
	maxCachedBytes = 4 << 20
	maxCachedIDs   = 1 << 19

	exactHash = 7 // words up to this long are known by their hash alone
	inlineIDs = 4
)

// A wordCache remembers the ids of words, most of a text being repetitions of
// a few. It is a two-way associative hash table, at most 10 MiB in all, used by
// one goroutine at a time.
type wordCache struct {
	slots []wordSlot // a power of two
	added int
	words []byte  // the bytes of words longer than exactHash
	ids   []int32 // the ids of words that have more than inlineIDs
}

// A wordSlot is half a cache line, so that most look-ups touch one line.
type wordSlot struct {
	hash   uint64
	word   uint32 // where it starts in words
	length uint16 // of the word; 0: the slot is empty
	n      uint16 // number of ids
	inline [inlineIDs]int32
}

func newWordCache() wordCache { return wordCache{slots: make([]wordSlot, firstSlots)} }

// hashWord hashes a word of 1 to maxCachedWord bytes. Words of up to exactHash
// bytes of one length never share a hash: for them it is a bijection.
func hashWord(word string) uint64 {
	const k = 0x9e3779b97f4a7c15
	n := len(word)
	if n <= exactHash {
		var x uint64
		for i := n - 1; i >= 0; i-- {
			x = x<<8 | uint64(word[i])
		}
		x *= k
		return x ^ x>>29 // both steps can be undone
	}
	h := uint64(n)
	for i := 0; i+8 < n; i += 8 {
		h = (h ^ load64(word, i)) * k
		h ^= h >> 29
	}
	h = (h ^ load64(word, n-8)) * k
	return h ^ h>>29
}

// load64 reads eight bytes; the compiler makes it one load.
func load64(s string, at int) uint64 {
	s = s[at : at+8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func (c *wordCache) find(hash uint64, word string) ([]int32, bool) {
	at := c.home(hash)
	for _, i := range [2]uint64{at, at ^ 1} {
		s := &c.slots[i]
		if s.hash != hash || int(s.length) != len(word) {
			continue
		}
		if len(word) > exactHash && string(c.words[s.word:int(s.word)+len(word)]) != word {
			continue
		}
		if s.n <= inlineIDs {
			return s.inline[:s.n], true
		}
		return c.ids[s.inline[0]:][:s.n], true
	}
	return nil, false
}

// home is the first of the two slots where a word may be. The high bits of the
// hash are the well mixed ones.
func (c *wordCache) home(hash uint64) uint64 {
	return hash >> 32 & uint64(len(c.slots)-1)
}

// add remembers a word; what was in its way is forgotten.
func (c *wordCache) add(hash uint64, word string, ids []int32) {
	if len(c.words)+len(word) > maxCachedBytes || len(c.ids)+len(ids) > maxCachedIDs {
		clear(c.slots)
		c.words, c.ids = c.words[:0], c.ids[:0]
	}
	if c.added++; c.added > len(c.slots)/2 && len(c.slots) < maxSlots {
		c.grow()
	}
	s := wordSlot{hash: hash, length: uint16(len(word)), n: uint16(len(ids))}
	if len(word) > exactHash {
		s.word = uint32(len(c.words))
		c.words = append(c.words, word...)
	}
	if len(ids) <= inlineIDs {
		copy(s.inline[:], ids)
	} else {
		s.inline[0] = int32(len(c.ids))
		c.ids = append(c.ids, ids...)
	}
	c.put(s)
}

// put places a slot; the one before it moves over and pushes out the other.
func (c *wordCache) put(s wordSlot) {
	at := c.home(s.hash)
	c.slots[at^1] = c.slots[at]
	c.slots[at] = s
}

func (c *wordCache) grow() {
	old := slices.Clone(c.slots)
	c.slots = make([]wordSlot, 4*len(old))
	for _, s := range old {
		if s.length > 0 {
			c.put(s)
		}
	}
}
