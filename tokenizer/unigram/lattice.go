package unigram

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"

	"forja/tokenizer/internal/trie"
)

// A lattice holds all pieces of a text: those that end at each place.
type lattice struct {
	ending [][]edge // by place
}

type edge struct {
	start, id int32
	score     float64
}

func (m *Model) lattice(text string) lattice {
	l := lattice{ending: make([][]edge, len(text)+1)}
	for start := 0; start < len(text); {
		character := characterLen(text[start:])
		single := false
		node := trie.Root
		for end := start; end < len(text); {
			next, ok := m.trie.Next(node, text[end])
			if !ok {
				break
			}
			node = next
			end++
			if id := m.trie.Value(node); id >= 0 {
				l.ending[end] = append(l.ending[end], edge{int32(start), id, m.scores[id]})
				single = single || end-start == character
			}
		}
		if !single {
			end := start + character
			l.ending[end] = append(l.ending[end], edge{int32(start), unknownID, m.unknown})
		}
		start += character
	}
	return l
}

// A Segmentation is one way to cut a text, with the sum of its log
// probabilities.
type Segmentation struct {
	IDs   []int32
	Score float64
}

// maxAgenda bounds the memory of NBest.
const maxAgenda = 100_000

// NBest returns the n best segmentations of text, the best first; fewer if
// there are fewer, or if they are too many to search.
func (m *Model) NBest(text string, n int) []Segmentation {
	if len(text) > MaxText || n <= 0 {
		return nil
	}
	l := m.lattice(text)
	// The best score from the start to each place guides a search (A*) from the
	// end, so that complete ways come in order.
	best := make([]float64, len(text)+1)
	for end := 1; end <= len(text); end++ {
		best[end] = math.Inf(-1)
		for _, e := range l.ending[end] {
			best[end] = max(best[end], best[e.start]+e.score)
		}
	}
	agenda := agenda{{place: int32(len(text)), total: best[len(text)]}}
	var found []Segmentation
	for len(agenda) > 0 && len(found) < n {
		h := heap.Pop(&agenda).(*hypothesis)
		if h.place == 0 {
			found = append(found, Segmentation{m.way(text, h), h.behind})
			continue
		}
		for _, e := range l.ending[h.place] {
			behind := h.behind + e.score
			if len(agenda) < maxAgenda {
				heap.Push(&agenda, &hypothesis{place: e.start, end: h.place, id: e.id, next: h, behind: behind, total: behind + best[e.start]})
			}
		}
	}
	return found
}

// Sample draws a segmentation with a probability proportional to that of its
// pieces to the power of theta: 0 is uniform, large values give the best.
func (m *Model) Sample(text string, theta float64, rng *rand.Rand) []int32 {
	if len(text) > MaxText {
		return m.AppendIDs(nil, nil, text)
	}
	l := m.lattice(text)
	sum := make([]float64, len(text)+1) // log of the sum over all ways to a place
	for end := 1; end <= len(text); end++ {
		sum[end] = math.Inf(-1)
		for _, e := range l.ending[end] {
			sum[end] = logAdd(sum[end], sum[e.start]+theta*e.score)
		}
	}
	var last *hypothesis
	for place := int32(len(text)); place > 0; {
		edges := l.ending[place]
		pick := rng.Float64()
		chosen := edges[len(edges)-1]
		for _, e := range edges {
			if pick -= math.Exp(sum[e.start] + theta*e.score - sum[place]); pick < 0 {
				chosen = e
				break
			}
		}
		last = &hypothesis{place: chosen.start, end: place, id: chosen.id, next: last}
		place = chosen.start
	}
	return m.way(text, last)
}

func logAdd(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(b, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}

// way are the ids of the way that starts at a hypothesis.
func (m *Model) way(text string, h *hypothesis) (ids []int32) {
	var segments []segment
	for ; h != nil && h.end > 0; h = h.next {
		s := segment{h.place, h.end, h.id}
		if n := len(segments); n > 0 && s.id == unknownID && segments[n-1].id == unknownID && !m.options.ByteFallback {
			segments[n-1].end = s.end
			continue
		}
		segments = append(segments, s)
	}
	for _, s := range segments {
		ids = m.appendSegment(ids, nil, text, 0, s)
	}
	return slices.Clip(ids)
}

// A hypothesis is a way from a place to the end of the text.
type hypothesis struct {
	place, end, id int32 // of its first piece
	next           *hypothesis
	behind, total  float64 // score of the way; with the best way to place
}

type agenda []*hypothesis

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].total > a[j].total }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)        { *a = append(*a, x.(*hypothesis)) }
func (a *agenda) Pop() any {
	old := *a
	h := old[len(old)-1]
	*a = old[:len(old)-1]
	return h
}
