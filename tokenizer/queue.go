package tokenizer

// A pairQueue is a heap with four children a node: the pair of the highest
// score first, of these the one with the lower left id, then right id.
type pairQueue struct{ heap []queuedPair }

type queuedPair struct {
	score float64
	key   uint64 // left id above right id
	index int32
}

func (q *queuedPair) before(other *queuedPair) bool {
	return q.score > other.score || q.score == other.score && q.key < other.key
}

func (q *pairQueue) len() int { return len(q.heap) }

func (q *pairQueue) push(p queuedPair) {
	at := len(q.heap)
	q.heap = append(q.heap, p)
	for at > 0 {
		parent := (at - 1) / 4
		if !p.before(&q.heap[parent]) {
			break
		}
		q.heap[at] = q.heap[parent]
		at = parent
	}
	q.heap[at] = p
}

// pop removes the first; the queue must not be empty.
func (q *pairQueue) pop() queuedPair {
	top := q.heap[0]
	n := len(q.heap) - 1
	p := q.heap[n]
	q.heap = q.heap[:n]
	at := 0
	for {
		best := 4*at + 1
		if best >= n {
			break
		}
		for child := best + 1; child < min(best+4, n); child++ {
			if q.heap[child].before(&q.heap[best]) {
				best = child
			}
		}
		if !q.heap[best].before(&p) {
			break
		}
		q.heap[at] = q.heap[best]
		at = best
	}
	if n > 0 {
		q.heap[at] = p
	}
	return top
}

// A pairIndex maps the keys of pairs to indices. It is an open-addressing hash
// table that only grows.
type pairIndex struct {
	slots []pairSlot // a power of two
	n     int
}

type pairSlot struct {
	key   uint64
	index int32 // plus one; 0: empty
}

func newPairIndex() pairIndex { return pairIndex{slots: make([]pairSlot, 1<<16)} }

// findOrAdd returns the index of a key; if it has none, it gets next.
func (x *pairIndex) findOrAdd(key uint64, next int32) int32 {
	s := x.slot(key)
	if s.index > 0 {
		return s.index - 1
	}
	*s = pairSlot{key, next + 1}
	if x.n++; x.n > len(x.slots)/2 {
		old := x.slots
		x.slots = make([]pairSlot, 2*len(old))
		for _, s := range old {
			if s.index > 0 {
				*x.slot(s.key) = s
			}
		}
	}
	return next
}

// slot is the place of a key, or the empty place where it belongs.
func (x *pairIndex) slot(key uint64) *pairSlot {
	mask := uint64(len(x.slots) - 1)
	at := key * 0x9e3779b97f4a7c15 >> 20 & mask
	for x.slots[at].index > 0 && x.slots[at].key != key {
		at = (at + 1) & mask
	}
	return &x.slots[at]
}
