package filter

import (
	"math/bits"

	"github.com/zeebo/xxh3"
)

func hash(s string) uint64 { return xxh3.HashString(s) }

// seen counts 64-bit hashes, by open addressing. Two texts of one hash are taken for one: among a million, with a
// probability of one in 37 million.
type seen struct {
	slots []slot
	shift int
}

type slot struct {
	hash  uint64
	count uint32
	first uint32 // number of the hash that was added first
}

// reset empties the table and makes room for n different hashes.
func (s *seen) reset(n int) {
	size := 1 << bits.Len(uint(max(2*n, 15)))
	if size > cap(s.slots) {
		s.slots = make([]slot, size)
	}
	s.slots = s.slots[:size]
	clear(s.slots)
	s.shift = 64 - bits.Len(uint(size-1))
}

// find is the place of a hash.
func (s *seen) find(h uint64) *slot {
	mask := len(s.slots) - 1
	for i := int(h * 0x9e3779b97f4a7c15 >> s.shift); ; i++ {
		p := &s.slots[i&mask]
		if p.count == 0 || p.hash == h {
			return p
		}
	}
}

// add counts a hash and says how often it has come.
func (s *seen) add(h uint64) uint32 {
	p := s.find(h)
	p.hash = h
	p.count++
	return p.count
}
