package filter

import (
	"math/bits"

	"github.com/zeebo/xxh3"
)

func hash(s string) uint64 { return xxh3.HashString(s) }

// A set holds 64-bit hashes, by open addressing. Two texts of one hash are taken for one: among a million different ones,
// there are such two with a probability of one in 37 million.
type set struct {
	slots []uint64 // 0 is empty
	shift int
}

// reset empties the set and makes room for n different hashes.
func (s *set) reset(n int) {
	s.slots, s.shift = emptied(s.slots, n)
}

// add says whether a hash is new.
func (s *set) add(h uint64) bool {
	h = max(h, 1)
	mask := len(s.slots) - 1
	for i := int(h * spread >> s.shift); ; i++ {
		switch s.slots[i&mask] {
		case 0:
			s.slots[i&mask] = h
			return true
		case h:
			return false
		}
	}
}

// counts is a set that counts.
type counts struct {
	slots []slot
	shift int
}

type slot struct {
	hash  uint64
	count uint32
	first uint32 // number of the hash that was added first
}

func (c *counts) reset(n int) {
	c.slots, c.shift = emptied(c.slots, n)
}

// find is the place of a hash; its count is 0 where it is new.
func (c *counts) find(h uint64) *slot {
	mask := len(c.slots) - 1
	for i := int(h * spread >> c.shift); ; i++ {
		p := &c.slots[i&mask]
		if p.count == 0 || p.hash == h {
			return p
		}
	}
}

const spread = 0x9e3779b97f4a7c15 // 2^64 over the golden ratio: the upper bits of a product depend on all bits of a hash

// emptied is a table of zeros for n entries, at most half full, and the shift that leaves as many bits as it has places.
func emptied[T any](slots []T, n int) ([]T, int) {
	width := bits.Len(uint(max(2*n-1, 15)))
	if 1<<width > cap(slots) {
		slots = make([]T, 1<<width)
	} else {
		slots = slots[:1<<width]
		clear(slots)
	}
	return slots, 64 - width
}
