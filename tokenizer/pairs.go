package tokenizer

import "math/bits"

const (
	idBits   = 20 // MaxVocab is 1<<idBits
	rankBits = 24

	// maxMerges bounds the number of merges; noRank is not a rank.
	maxMerges = 1<<rankBits - 1
	noRank    = uint32(maxMerges)
)

// A pairTable maps a pair of ids to the rank of its merge. It is an
// open-addressing hash table of single words, a pair above its rank, so that
// one cache line holds eight entries: looking up pairs is what encoding an
// unknown word costs.
type pairTable struct {
	entries []uint64
	shift   uint
	n       int

	// One bit for each value of the hash's high bits, set where a pair has it:
	// most pairs do not merge, and this says so without a look at the entries.
	filter      []uint64
	filterShift uint
}

const (
	emptyPair = ^uint64(0)
	pairHash  = 0x9e3779b97f4a7c15
)

func newPairTable(n int) *pairTable {
	size := uint(bits.Len(uint(max(n, 4) * 2)))
	bits := min(size+2, 22)
	t := &pairTable{entries: make([]uint64, 1<<size), shift: 64 - size, filter: make([]uint64, 1<<bits/64), filterShift: 64 - bits}
	for i := range t.entries {
		t.entries[i] = emptyPair
	}
	return t
}

func pairKey(left, right int32) uint64 { return uint64(left)<<idBits | uint64(right) }

// slot is the place of the key, or the empty place where it belongs.
func (t *pairTable) slot(key uint64) uint64 {
	mask := uint64(len(t.entries) - 1)
	i := key * pairHash >> t.shift
	for t.entries[i]>>rankBits != key && t.entries[i] != emptyPair {
		i = (i + 1) & mask
	}
	return i
}

// rank returns the rank of a pair, noRank if it does not merge.
func (t *pairTable) rank(left, right int32) uint32 {
	key := pairKey(left, right)
	if h := key * pairHash >> t.filterShift; t.filter[h/64]>>(h%64)&1 == 0 {
		return noRank
	}
	return uint32(t.entries[t.slot(key)]) & noRank
}

// add enters a pair and reports whether it was new. There must be room.
func (t *pairTable) add(left, right int32, rank uint32) bool {
	key := pairKey(left, right)
	i := t.slot(key)
	if t.entries[i] != emptyPair {
		return false
	}
	h := key * pairHash >> t.filterShift
	t.filter[h/64] |= 1 << (h % 64)
	t.entries[i] = key<<rankBits | uint64(rank)
	t.n++
	return true
}
