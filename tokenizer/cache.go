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

	exactHash = 7 // words up to this long never share a hash
	inlineIDs = 3
)

// A wordCache remembers the ids of words, most of a text being repetitions of
// a few. It is a two-way associative hash table, at most 10 MiB in all, used by
// one goroutine at a time.
type wordCache struct {
	slots []wordSlot // a power of two
	added int
	words []byte  // the bytes of words longer than maxKeyWord
	ids   []int32 // the ids of words that have more than inlineIDs
}

// A wordSlot is half a cache line, so that most look-ups touch one line.
type wordSlot struct {
	key    wordKey // zero: the slot is empty
	n      int32   // number of ids
	inline [inlineIDs]int32
}

// A wordKey is a word of up to maxKeyWord bytes itself: its bytes in order, its
// length in the highest byte. Of a longer word it is a hash, where the word
// starts in the cache, its length, and longKey in the highest byte.
type wordKey struct{ lo, hi uint64 }

const (
	maxKeyWord = 15
	longKey    = 0xff << 56
	longStart  = 32 // bits of hi below the start of a long word: its length
)

func newWordCache() wordCache { return wordCache{slots: make([]wordSlot, firstSlots)} }

// keyOf is the key of a word of 1 to maxCachedWord bytes, without the start of
// a long one.
func keyOf(word string) wordKey {
	n := len(word)
	switch {
	case n > maxKeyWord:
		return wordKey{hashWord(word), longKey | uint64(n)}
	case n >= 8:
		return wordKey{load64(word, 0), load64(word, n-8)>>(8*(16-n)) | uint64(n)<<56}
	case n >= 4:
		return wordKey{load32(word, 0) | load32(word, n-4)<<(8*(n-4)), uint64(n) << 56}
	}
	return wordKey{uint64(word[0]) | uint64(word[n/2])<<(8*(n/2)) | uint64(word[n-1])<<(8*(n-1)), uint64(n) << 56}
}

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

func load32(s string, at int) uint64 {
	s = s[at : at+4]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
}

// find returns the ids of a word whose key is given.
func (c *wordCache) find(key wordKey, word string) ([]int32, bool) {
	at := c.home(key)
	s := &c.slots[at]
	if s.key != key {
		if len(word) > maxKeyWord {
			return c.findLong(at, key, word)
		}
		if s = &c.slots[at^1]; s.key != key {
			return nil, false
		}
	}
	return c.idsOf(s), true
}

// findLong finds a word that its key does not hold.
func (c *wordCache) findLong(at uint64, key wordKey, word string) ([]int32, bool) {
	const mask = longKey | 0xffff
	for _, i := range [2]uint64{at, at ^ 1} {
		s := &c.slots[i]
		if s.key.lo != key.lo || s.key.hi&mask != key.hi {
			continue
		}
		if start := s.key.hi &^ longKey >> longStart; string(c.words[start:int(start)+len(word)]) == word {
			return c.idsOf(s), true
		}
	}
	return nil, false
}

func (c *wordCache) idsOf(s *wordSlot) []int32 {
	if s.n <= inlineIDs {
		return s.inline[:s.n]
	}
	return c.ids[s.inline[0]:][:s.n]
}

// home is the first of the two slots where a word may be.
func (c *wordCache) home(key wordKey) uint64 {
	const k = 0x9e3779b97f4a7c15
	hi := key.hi
	if hi >= longKey {
		hi = 0 // where a long word starts is not part of it
	}
	h := (key.lo ^ hi*k) * k
	return (h ^ h>>29) * k >> 40 & uint64(len(c.slots)-1)
}

// add remembers a word; what was in its way is forgotten.
func (c *wordCache) add(key wordKey, word string, ids []int32) {
	if len(c.words)+len(word) > maxCachedBytes || len(c.ids)+len(ids) > maxCachedIDs {
		clear(c.slots)
		c.words, c.ids = c.words[:0], c.ids[:0]
	}
	if c.added++; c.added > len(c.slots)/2 && len(c.slots) < maxSlots {
		c.grow()
	}
	s := wordSlot{key: key, n: int32(len(ids))}
	if len(word) > maxKeyWord {
		s.key.hi |= uint64(len(c.words)) << longStart
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
	at := c.home(s.key)
	c.slots[at^1] = c.slots[at]
	c.slots[at] = s
}

func (c *wordCache) grow() {
	old := slices.Clone(c.slots)
	c.slots = make([]wordSlot, 4*len(old))
	for _, s := range old {
		if s.key != (wordKey{}) {
			c.put(s)
		}
	}
}
