package unigram

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"forja/tokenizer/internal/trie"
)

// A trainLattice is what one worker needs to go through all pieces of a word.
type trainLattice struct {
	t      *trainer
	counts []int64 // by piece

	arcs   []arc
	ending []int32   // by place: the first of the arcs that end there, -1
	log    []float64 // by place: log of the sum over all ways to it, or of the best
	mass   []float64 // by place: how often a way leads there
	last   []int32   // by place: the last arc of the best way to it
}

// An arc is a piece somewhere in a word.
type arc struct {
	start, piece int32
	next         int32 // the next arc that ends at the same place, -1
	share        float64
}

func (t *trainer) newLattice() *trainLattice {
	return &trainLattice{t: t, counts: make([]int64, len(t.pieces))}
}

func (l *trainLattice) reset(n int) {
	l.arcs = l.arcs[:0]
	if cap(l.ending) < n+1 {
		l.ending, l.last = make([]int32, 2*n+1), make([]int32, 2*n+1)
		l.log, l.mass = make([]float64, 2*n+1), make([]float64, 2*n+1)
	}
	l.ending, l.last, l.log, l.mass = l.ending[:n+1], l.last[:n+1], l.log[:n+1], l.mass[:n+1]
	for i := range l.ending {
		l.ending[i] = -1
	}
	clear(l.mass)
	l.log[0] = 0
}

// leave adds the arcs that start at a place.
func (l *trainLattice) leave(word string, start int) {
	node := trie.Root
	for end := start; end < len(word); {
		next, ok := l.t.trie.Next(node, word[end])
		if !ok {
			return
		}
		node = next
		end++
		if piece := l.t.trie.Value(node); piece >= 0 && l.t.scores[piece] > math.Inf(-1) {
			l.arcs = append(l.arcs, arc{start: int32(start), piece: piece, next: l.ending[end]})
			l.ending[end] = int32(len(l.arcs) - 1)
		}
	}
}

// negligible is the log of a share that is not worth its exponential.
const negligible = -36

// addExpected adds to the counts how often each piece is to be expected in a
// word that occurs so often: forwards, the share of each arc in all ways to its
// end; backwards, how many ways lead there.
func (l *trainLattice) addExpected(word string, weight float64) {
	l.reset(len(word))
	l.leave(word, 0)
	for at := 1; at <= len(word); at++ {
		if l.ending[at] < 0 {
			continue
		}
		best := math.Inf(-1)
		for i := l.ending[at]; i >= 0; i = l.arcs[i].next {
			a := &l.arcs[i]
			a.share = l.log[a.start] + l.t.scores[a.piece]
			best = max(best, a.share)
		}
		sum := 0.0
		for i := l.ending[at]; i >= 0; i = l.arcs[i].next {
			a := &l.arcs[i]
			switch d := a.share - best; {
			case d == 0:
				a.share = 1
			case d < negligible:
				a.share = 0
			default:
				a.share = math.Exp(d)
			}
			sum += a.share
		}
		if l.log[at] = best; sum != 1 {
			l.log[at] += math.Log(sum)
			for i := l.ending[at]; i >= 0; i = l.arcs[i].next {
				l.arcs[i].share /= sum
			}
		}
		l.leave(word, at)
	}
	l.mass[len(word)] = weight
	for at := len(word); at > 0; at-- {
		if l.mass[at] == 0 {
			continue
		}
		for i := l.ending[at]; i >= 0; i = l.arcs[i].next {
			a := &l.arcs[i]
			n := l.mass[at] * a.share
			l.counts[a.piece] += int64(n + 0.5)
			l.mass[a.start] += n
		}
	}
}

// best finds the best way through a word and returns its score, -Inf if there
// is none. It does not take the whole word for the piece without.
func (l *trainLattice) best(word string, without int32) float64 {
	l.reset(len(word))
	l.leave(word, 0)
	for at := 1; at <= len(word); at++ {
		if l.ending[at] < 0 {
			continue
		}
		l.log[at] = math.Inf(-1)
		for i := l.ending[at]; i >= 0; i = l.arcs[i].next {
			a := &l.arcs[i]
			if score := l.log[a.start] + l.t.scores[a.piece]; score > l.log[at] && a.piece != without {
				l.log[at], l.last[at] = score, i
			}
		}
		l.leave(word, at)
	}
	return l.log[len(word)]
}

// way yields the pieces of the way that best found, the last one first.
func (l *trainLattice) way(yield func(piece int32) bool) {
	for at := len(l.last) - 1; at > 0; {
		a := &l.arcs[l.last[at]]
		if !yield(a.piece) {
			return
		}
		at = int(a.start)
	}
}

// prune gives up pieces until size are left, or all that are needed: those
// first that the best ways through the words do not use, then those without
// which the likelihood of the words falls least. It is judged as if each
// occurrence of a piece became the best other way to write it.
func (t *trainer) prune(size int) {
	uses := t.countBest()
	total := 0.0
	for _, n := range uses {
		total += float64(n)
	}
	losses := make([]float64, len(t.pieces)) // +Inf: needed; -Inf: of no use
	parallel(t.options.Workers, len(t.pieces), batch, t.newLattice, func(l *trainLattice, from, to int) {
		for i := from; i < to; i++ {
			losses[i] = l.loss(int32(i), uses, total)
		}
	})
	order := make([]int, 0, len(t.pieces))
	for i := range t.pieces {
		if !math.IsInf(losses[i], -1) {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(losses[b], losses[a]), strings.Compare(t.pieces[a].text, t.pieces[b].text))
	})
	kept := make([]candidate, 0, size)
	for _, i := range order {
		if len(kept) < size || math.IsInf(losses[i], 1) {
			kept = append(kept, t.pieces[i])
		}
	}
	t.pieces = kept
}

// countBest counts how often each piece occurs in the best ways.
func (t *trainer) countBest() []int64 {
	all := parallel(t.options.Workers, len(t.words), batch, t.newLattice, func(l *trainLattice, from, to int) {
		for _, w := range t.words[from:to] {
			l.best(w.Text, -1)
			for piece := range l.way {
				l.counts[piece] += w.Count
			}
		}
	})
	for _, l := range all[1:] {
		for i, n := range l.counts {
			all[0].counts[i] += n
		}
	}
	return all[0].counts
}

// loss is how much the log likelihood of the words, divided by how many they
// are in a way that is the same for all pieces, falls without a piece.
func (l *trainLattice) loss(piece int32, uses []int64, total float64) float64 {
	p := &l.t.pieces[piece]
	if p.required {
		return math.Inf(1)
	}
	other := l.best(p.text, piece)
	if uses[piece] == 0 || other > p.score {
		return math.Inf(-1)
	}
	n := float64(uses[piece])
	parts := 0
	for range l.way {
		parts++
	}
	logTotal := math.Log(total + n*float64(parts-1))
	logOther := 0.0
	for part := range l.way {
		logOther += math.Log(float64(uses[part])+n) - logTotal
	}
	return n * (math.Log(n) - math.Log(total) - logOther)
}
