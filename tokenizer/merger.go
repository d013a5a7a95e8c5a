package tokenizer

import (
	"context"
	"math"
	"slices"
	"strings"
)

// A merger finds merges. All different words lie one behind the other in
// cells, one cell for each byte or character that words start as, so that the
// place of a token is that of its first cell and the next token starts where it
// ends. Each pair of ids knows
// its count and where it occurs; a merge visits just these places, however
// long the words are.
//
// It rests on two facts. Merges inside a stretch of text that no merge has
// crossed do not depend on what is around it, so the cells of a token are
// always put together by the same two halves: a merge never gives a token that
// exists. So once a merge is done, the pairs with its token only get fewer.
type merger struct {
	options mergeOptions
	tokens  []string // by id
	sizes   []int32  // by id, in cells
	merges  [][2]int32

	cells   []cell
	weights []int64 // by word: how often it occurs

	pairs   []pairCount
	indexOf pairIndex
	queue   pairQueue
	slab    []int32 // memory for places

	least int64 // what a pair must have now to become a token

	// Only to merge by likelihood: how often each token occurs, and which pairs
	// may still become a token that it is a half of.
	uses      []int64
	pairsWith [][]int32

	// Of the merge at work: where it took place, and the pairs that its
	// halves lost and its result gained, by the id of the neighbour.
	merged                                 []int32
	lostLeft, lostRight, newLeft, newRight neighbours
}

// mergeOptions say what words start as and what they become.
type mergeOptions struct {
	// Tokens are the first ids. Spell appends to dst those that a word starts as.
	Tokens []string
	Spell  func(dst []int32, word []byte) []int32

	Size         int             // of the vocabulary, at most
	MinFrequency int64           // of a pair that becomes a token
	MaxCells     int32           // of a token; 0: no bound
	Prefix       string          // of tokens that continue a word
	Refuse       map[string]bool // what must not become a token

	// Likelihood takes the pair that occurs most often for what its halves
	// would by chance, count(ab)/(count(a)·count(b)), not the most frequent. The
	// least frequency then starts at half of what the most frequent pair has,
	// and is halved whenever no pair is left, down to MinFrequency.
	Likelihood bool
}

// A cell is one byte or character of a word. At the first cell of a token it
// holds its id; at the last one of a longer token minus its length; between
// them, inside.
// A border stands before, between and behind the words.
type cell struct{ id, word int32 }

const (
	inside = -1
	border = math.MinInt32
)

// A pairCount is a pair of neighbouring tokens: how often it occurs and where
// its left half starts, in ascending order. At some of these places it may
// occur no longer.
type pairCount struct {
	count       int64
	places      []int32
	left, right int32
	fresh       int32 // places that are to be added
}

// neighbours finds pairs by one of their halves while a merge is at work.
type neighbours struct {
	pairOf []int32 // by id: index of the pair plus one, 0 if not met yet
	met    []int32 // ids
}

func (n *neighbours) reset() {
	for _, id := range n.met {
		n.pairOf[id] = 0
	}
	n.met = n.met[:0]
}

// newMerger lays out the words of at least two cells and counts their pairs.
// It empties the table.
func newMerger(words *wordTable, o mergeOptions) *merger {
	m := &merger{options: o, tokens: slices.Clone(o.Tokens), indexOf: newPairIndex()}
	m.sizes = slices.Repeat([]int32{1}, len(o.Tokens))
	if o.Likelihood {
		m.uses = make([]int64, len(o.Tokens))
		m.pairsWith = make([][]int32, len(o.Tokens))
	}
	m.cells = append(make([]cell, 0, len(words.words)+words.n+1), cell{id: border})
	var ids []int32
	for i := range words.slots {
		s := &words.slots[i]
		if s.count == 0 {
			continue
		}
		ids = o.Spell(ids[:0], words.word(s))
		if o.Likelihood {
			for _, id := range ids {
				m.uses[id] += s.count
			}
		}
		if len(ids) < 2 {
			continue
		}
		for _, id := range ids {
			m.cells = append(m.cells, cell{id, int32(len(m.weights))})
		}
		m.cells = append(m.cells, cell{id: border})
		m.weights = append(m.weights, s.count)
	}
	*words = wordTable{}
	for _, n := range []*neighbours{&m.lostLeft, &m.lostRight, &m.newLeft, &m.newRight} {
		n.pairOf = make([]int32, o.Size)
	}
	m.countFirstPairs()
	return m
}

// countFirstPairs finds the pairs of cells, their counts and their places.
func (m *merger) countFirstPairs() {
	visit := func(do func(p *pairCount, at int)) {
		for at := 1; at+1 < len(m.cells); at++ {
			if left, right := m.cells[at].id, m.cells[at+1].id; left >= 0 && right >= 0 {
				do(&m.pairs[m.pair(left, right)], at)
			}
		}
	}
	visit(func(p *pairCount, at int) {
		p.count += m.weights[m.cells[at].word]
		p.fresh++
	})
	for i := range m.pairs {
		m.makeRoom(&m.pairs[i])
	}
	visit(func(p *pairCount, at int) { p.places = append(p.places, int32(at)) })
	m.least = m.options.MinFrequency
	if m.options.Likelihood {
		for i := range m.pairs {
			m.least = max(m.least, m.pairs[i].count/2)
		}
	}
	m.enqueueAll()
}

// run merges until the vocabulary is full or no pair is frequent enough.
func (m *merger) run(ctx context.Context, progress *reporter) error {
	for len(m.tokens) < m.options.Size {
		if len(m.merges)%64 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			progress.Merges = len(m.merges)
			progress.report(false)
		}
		index, ok := m.best()
		if !ok && m.least > m.options.MinFrequency {
			m.least = max(m.least/2, m.options.MinFrequency)
			m.enqueueAll()
			continue
		}
		if !ok {
			break
		}
		m.merge(index)
	}
	progress.Merges = len(m.merges)
	return nil
}

// best takes the best pair from the queue. The scores in the queue may be out
// of date. One that is too high is put right here; where one is too low, the
// pair was queued again when its score rose.
func (m *merger) best() (index int32, ok bool) {
	for m.queue.len() > 0 {
		top := m.queue.pop()
		switch p := &m.pairs[top.index]; {
		case !m.eligible(p): // any more
		case m.score(p) == top.score:
			return top.index, true
		case m.score(p) < top.score:
			m.enqueue(top.index)
		}
	}
	return 0, false
}

// score is what the best pair has most of. Counts are exact up to 1<<53.
func (m *merger) score(p *pairCount) float64 {
	if m.options.Likelihood {
		return float64(p.count) / (float64(m.uses[p.left]) * float64(m.uses[p.right]))
	}
	return float64(p.count)
}

// enqueue queues a pair, unless it must not or cannot become a token.
func (m *merger) enqueue(index int32) {
	if p := &m.pairs[index]; m.eligible(p) {
		m.queue.push(queuedPair{score: m.score(p), key: pairKey(p.left, p.right), index: index})
	}
}

func (m *merger) eligible(p *pairCount) bool {
	limit := m.options.MaxCells
	return p.count >= m.least && p.count > 0 && (limit == 0 || m.sizes[p.left]+m.sizes[p.right] <= limit)
}

// requeue queues the pairs whose score rose because a token got rarer.
func (m *merger) requeue(id int32) {
	m.pairsWith[id] = slices.DeleteFunc(m.pairsWith[id], func(index int32) bool {
		m.enqueue(index)
		return m.pairs[index].count == 0
	})
	if m.queue.len() > 4*len(m.pairs)+1<<16 { // most are out of date
		m.enqueueAll()
	}
}

// enqueueAll fills the queue anew.
func (m *merger) enqueueAll() {
	m.queue.heap = m.queue.heap[:0]
	for index := range m.pairs {
		m.enqueue(int32(index))
	}
}

// pair returns the index of a pair, which may be new.
func (m *merger) pair(left, right int32) int32 {
	index := m.indexOf.findOrAdd(pairKey(left, right), int32(len(m.pairs)))
	if int(index) == len(m.pairs) {
		m.pairs = append(m.pairs, pairCount{left: left, right: right})
		if m.options.Likelihood {
			m.pairsWith[left] = append(m.pairsWith[left], index)
			if left != right {
				m.pairsWith[right] = append(m.pairsWith[right], index)
			}
		}
	}
	return index
}

// makeRoom gives a pair memory for its fresh places.
func (m *merger) makeRoom(p *pairCount) {
	const slabSize = 1 << 18
	n := len(p.places) + int(p.fresh)
	p.fresh = 0
	if cap(p.places) >= n {
		return
	}
	var room []int32
	if n > slabSize/8 {
		room = make([]int32, 0, n)
	} else {
		if len(m.slab) < n {
			m.slab = make([]int32, slabSize)
		}
		room, m.slab = m.slab[:0:n], m.slab[n:]
	}
	p.places = append(room, p.places...)
}

// before returns the token before the one at a place, and where it starts; the
// id is negative at the start of a word.
func (m *merger) before(at int32) (id, start int32) {
	switch c := m.cells[at-1].id; {
	case c == border:
		return border, at - 1
	case c >= 0:
		return c, at - 1
	default:
		return m.cells[at+c].id, at + c
	}
}

// merge makes a pair a token, unless it must not be one: replaces it everywhere
// and brings counts, places and queue up to date.
func (m *merger) merge(index int32) {
	p := &m.pairs[index]
	left, right, places := p.left, p.right, p.places
	token := m.tokens[left] + strings.TrimPrefix(m.tokens[right], m.options.Prefix)
	if m.options.Refuse[token] {
		return
	}
	id := int32(len(m.tokens))
	m.tokens = append(m.tokens, token)
	m.sizes = append(m.sizes, m.sizes[left]+m.sizes[right])
	if m.options.Likelihood {
		m.uses = append(m.uses, 0)
		m.pairsWith = append(m.pairsWith, nil)
	}
	m.merges = append(m.merges, [2]int32{left, right})
	m.replace(places, left, right, id)
	p.count, p.places = 0, nil
	m.gain(id)
	if m.options.Likelihood {
		m.requeue(left)
		if right != left {
			m.requeue(right)
		}
	}
}

// replace writes id over the pair, from left to right, notes the places in
// m.merged, and lowers the counts of the pairs with the neighbours.
func (m *merger) replace(places []int32, left, right, id int32) {
	leftLen, rightLen := m.sizes[left], m.sizes[right]
	m.merged = m.merged[:0]
	for _, at := range places {
		middle := at + leftLen
		if m.cells[at].id != left || m.cells[middle].id != right {
			continue
		}
		end := middle + rightLen
		weight := m.weights[m.cells[at].word]
		if m.options.Likelihood {
			m.uses[left] -= weight
			m.uses[right] -= weight
			m.uses[id] += weight
		}
		// If the neighbour was merged just now, the pair between them was lost
		// when that one lost its right neighbour.
		if other, _ := m.before(at); other >= 0 && other != id {
			m.lose(&m.lostLeft, other, other, left, weight)
		}
		if other := m.cells[end].id; other >= 0 {
			m.lose(&m.lostRight, other, right, other, weight)
		}
		m.cells[middle-1].id = inside
		m.cells[middle].id = inside
		m.cells[end-1].id = -(leftLen + rightLen)
		m.cells[at].id = id
		m.merged = append(m.merged, at)
	}
	m.lostLeft.reset()
	m.lostRight.reset()
}

// lose lowers the count of a pair, one half of which is a neighbour.
func (m *merger) lose(n *neighbours, neighbour, left, right int32, weight int64) {
	m.pairs[m.neighbourPair(n, neighbour, left, right)].count -= weight
}

func (m *merger) neighbourPair(n *neighbours, neighbour, left, right int32) int32 {
	if n.pairOf[neighbour] == 0 {
		n.pairOf[neighbour] = m.pair(left, right) + 1
		n.met = append(n.met, neighbour)
	}
	return n.pairOf[neighbour] - 1
}

// gain raises the counts of the pairs that the token at m.merged forms with its
// neighbours, adds their places, and queues them.
func (m *merger) gain(id int32) {
	m.visitNeighbours(id, func(index, at int32) {
		p := &m.pairs[index]
		p.count += m.weights[m.cells[at].word]
		p.fresh++
	})
	for _, n := range []*neighbours{&m.newLeft, &m.newRight} {
		for _, neighbour := range n.met {
			m.makeRoom(&m.pairs[n.pairOf[neighbour]-1])
		}
	}
	m.visitNeighbours(id, func(index, at int32) {
		p := &m.pairs[index]
		p.places = append(p.places, at)
	})
	for _, n := range []*neighbours{&m.newLeft, &m.newRight} {
		for _, neighbour := range n.met {
			m.enqueue(n.pairOf[neighbour] - 1)
		}
		n.reset()
	}
}

// visitNeighbours calls do for every pair of which the token at m.merged is a
// half, with the place of the pair; for a pair of two such tokens once.
func (m *merger) visitNeighbours(id int32, do func(index, at int32)) {
	length := m.sizes[id]
	for _, at := range m.merged {
		if other, start := m.before(at); other >= 0 {
			do(m.neighbourPair(&m.newLeft, other, other, id), start)
		}
		end := at + length
		if other := m.cells[end].id; other >= 0 && other != id {
			do(m.neighbourPair(&m.newRight, other, id, other), at)
		}
	}
}
