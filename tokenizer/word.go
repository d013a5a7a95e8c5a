package tokenizer

import (
	"math/bits"
	"slices"
)

const (
	// maxWord bounds a pre-token, so that positions in it fit in 32 bits;
	// longer runs of letters are cut.
	maxWord = 1 << 28

	// Pre-tokens up to maxShortWord bytes are merged by scanning them for the
	// best pair, quadratic but fast; longer ones by ordered queues.
	maxShortWord = 48
)

// A workspace is the memory of one call to EncodeTo or Count, kept in a pool.
type workspace struct {
	cache  wordCache
	ids    []int32 // of the last word that is not in the cache
	blocks blocks
	run    []int32
	long   *longWord
}

func newWorkspace() *workspace { return &workspace{cache: newWordCache()} }

// word returns the ids of a pre-token, valid until the next call.
func (b *BPE) word(w *workspace, word string) []int32 {
	if len(word) > maxCachedWord {
		return b.wordUncached(w, word)
	}
	key := keyOf(word)
	if ids, ok := w.cache.find(key, word); ok {
		return ids
	}
	ids := b.wordUncached(w, word)
	w.cache.add(key, word, ids)
	return ids
}

func (b *BPE) wordUncached(w *workspace, word string) []int32 {
	if b.config.WholeWords {
		if id, ok := b.ids.find(word); ok {
			w.ids = append(w.ids[:0], id)
			return w.ids
		}
	}
	w.ids = w.ids[:0]
	for i := range len(word) {
		w.ids = append(w.ids, b.byteIDs[word[i]])
	}
	w.ids = b.mergeSymbols(w, w.ids)
	return w.ids
}

// A mergeTable says which neighbouring symbols merge, in which order, and into
// which token.
type mergeTable struct {
	pairs    *pairTable
	mergedID []int32          // by rank; several: the pair decides
	tied     map[uint64]int32 // by pairKey
	sizes    []int32          // by symbol: of how many it is made; nil: not known

	// The ranks of pairs of symbols below lowCount, which are most of the pairs
	// that words start with: a table in the processor's nearest memory.
	low      []uint32
	lowCount int32
}

// maxLow bounds the symbols that have a table of their own.
const maxLow = 320

// setLow makes the table for the pairs of symbols below a number.
func (m *mergeTable) setLow(count int32) {
	if count > maxLow {
		return
	}
	low := make([]uint32, count*count)
	for left := range count {
		for right := range count {
			low[left*count+right] = m.pairs.rank(left, right)
		}
	}
	m.low, m.lowCount = low, count
}

// rank returns the rank of a pair, noRank if it does not merge.
func (m *mergeTable) rank(left, right int32) uint32 {
	if left < m.lowCount && right < m.lowCount {
		return m.low[left*m.lowCount+right]
	}
	return m.pairs.rank(left, right)
}

const several = -1

// merged is the token that a pair of a rank gives.
func (m *mergeTable) merged(rank uint32, left, right int32) int32 {
	if id := m.mergedID[rank]; id != several {
		return id
	}
	return m.tied[pairKey(left, right)]
}

// mergeSymbols merges in place until nothing merges, and returns what is left.
func (m *mergeTable) mergeSymbols(w *workspace, symbols []int32) []int32 {
	if len(symbols) <= maxShortWord {
		return m.mergeShort(symbols)
	}
	if w.long == nil {
		w.long = newLongWord(len(m.mergedID))
	}
	if m.sizes != nil {
		if ids, ok := m.mergeRun(w, symbols); ok {
			return ids
		}
		ids, ok := w.blocks.merge(m, symbols)
		if ok {
			return ids
		}
		symbols = w.blocks.source // theirs may be where the tokens of the word before are
	}
	return w.long.merge(m, symbols)
}

// mergeShort merges at most maxShortWord symbols.
func (m *mergeTable) mergeShort(ids []int32) []int32 {
	var ranks [maxShortWord]uint32 // ranks[i] is that of the pair ids[i], ids[i+1]
	n := len(ids)
	for i := range n - 1 {
		ranks[i] = m.rank(ids[i], ids[i+1])
	}
	for n > 1 {
		best, at := noRank, 0
		for i, rank := range ranks[:n-1] {
			if rank < best {
				best, at = rank, i
			}
		}
		if best == noRank {
			break
		}
		ids[at] = m.merged(best, ids[at], ids[at+1])
		n--
		copy(ids[at+1:n], ids[at+2:n+1])
		copy(ranks[at:n-1], ranks[at+1:n])
		if at > 0 {
			ranks[at-1] = m.rank(ids[at-1], ids[at])
		}
		if at < n-1 {
			ranks[at] = m.rank(ids[at], ids[at+1])
		}
	}
	return ids[:n]
}

// A longWord merges a word of any length in nearly linear time. The symbols
// are a linked list over their first positions. All pairs of one rank wait
// in one queue, and a set of ranks knows the lowest that is not empty, so
// taking the best pair costs no logarithm. All queues are empty between words.
type longWord struct {
	symbols []symbol // by position; a merged symbol stands where its left half was

	queued      rankSet
	first, last []int32 // by rank: ends of its queue in links
	links       []link
	batch       []int32 // the positions of the queue at work
}

type symbol struct {
	id         int32
	prev, next int32  // positions of the neighbours; -1 and the length at the ends
	rank       uint32 // of the pair that starts here
}

// A link is an element of a queue.
type link struct{ position, next int32 }

func newLongWord(ranks int) *longWord {
	return &longWord{queued: newRankSet(ranks), first: make([]int32, ranks), last: make([]int32, ranks)}
}

func (l *longWord) merge(m *mergeTable, ids []int32) []int32 {
	n := len(ids)
	l.symbols = slices.Grow(l.symbols[:0], n)[:n]
	l.links = slices.Grow(l.links[:0], n+n/2)
	for i, id := range ids {
		l.symbols[i] = symbol{id, int32(i - 1), int32(i + 1), noRank}
	}
	for i := range n - 1 {
		l.rank(m, int32(i), int32(i+1))
	}
	for rank := l.queued.min(); rank != noRank; rank = l.queued.min() {
		l.mergeAll(m, rank)
	}
	ids = ids[:0]
	for i := 0; i < n; i = int(l.symbols[i].next) {
		ids = append(ids, l.symbols[i].id)
	}
	l.release()
	return ids
}

// rank notes the rank of the pair at two neighbouring positions, and queues it.
func (l *longWord) rank(m *mergeTable, left, right int32) {
	s := &l.symbols[left]
	s.rank = m.rank(s.id, l.symbols[right].id)
	if s.rank != noRank {
		l.push(s.rank, left)
	}
}

func (l *longWord) push(rank uint32, position int32) {
	at := int32(len(l.links))
	l.links = append(l.links, link{position, -1})
	if l.queued.add(rank) {
		l.first[rank] = at
	} else {
		l.links[l.last[rank]].next = at
	}
	l.last[rank] = at
}

// mergeAll merges the pairs of the lowest rank from left to right. If a merge
// makes a pair of a still lower rank, the rest waits.
func (l *longWord) mergeAll(m *mergeTable, rank uint32) {
	l.batch = l.batch[:0]
	for at := l.first[rank]; at >= 0; at = l.links[at].next {
		l.batch = append(l.batch, l.links[at].position)
	}
	l.queued.remove(rank)
	if !slices.IsSorted(l.batch) {
		slices.Sort(l.batch)
	}
	n := int32(len(l.symbols))
	for i, at := range l.batch {
		left := &l.symbols[at]
		if left.rank != rank {
			continue // one half has merged with another neighbour since
		}
		right := &l.symbols[left.next]
		after := right.next
		left.id, left.next = m.merged(rank, left.id, right.id), after
		left.rank, right.rank = noRank, noRank
		if after < n {
			l.symbols[after].prev = at
			l.rank(m, at, after)
		}
		if left.prev >= 0 {
			l.rank(m, left.prev, at)
		}
		if l.queued.min() <= rank { // equal only where tokens have one score
			for _, waiting := range l.batch[i+1:] {
				l.push(rank, waiting)
			}
			return
		}
	}
}

// release gives back the memory of a very long word.
func (l *longWord) release() {
	const keep = 1 << 21
	if cap(l.symbols) > keep {
		l.symbols, l.links, l.batch = nil, nil, nil
	}
}

// A rankSet is a set of ranks as a tree of bit sets: bit i of one level says
// whether word i of the level below is not empty.
type rankSet struct{ levels [][]uint64 }

func newRankSet(n int) rankSet {
	var s rankSet
	for n = max(n, 1); ; {
		n = (n + 63) / 64
		s.levels = append(s.levels, make([]uint64, n))
		if n == 1 {
			return s
		}
	}
}

// add reports whether the rank was not in the set.
func (s *rankSet) add(rank uint32) bool {
	isNew := s.levels[0][rank/64]&(1<<(rank%64)) == 0
	for _, level := range s.levels {
		word := &level[rank/64]
		full := *word != 0
		*word |= 1 << (rank % 64)
		if full {
			break
		}
		rank /= 64
	}
	return isNew
}

func (s *rankSet) remove(rank uint32) {
	for _, level := range s.levels {
		word := &level[rank/64]
		*word &^= 1 << (rank % 64)
		if *word != 0 {
			break
		}
		rank /= 64
	}
}

// min returns the lowest rank, noRank if the set is empty.
func (s *rankSet) min() uint32 {
	top := len(s.levels) - 1
	if s.levels[top][0] == 0 {
		return noRank
	}
	at := uint32(0)
	for i := top; i >= 0; i-- {
		at = at*64 + uint32(bits.TrailingZeros64(s.levels[i][at]))
	}
	return at
}
