package tokenizer

import "slices"

// Long words are merged block by block. That is exact because of a property of
// byte pair encoding: a sequence of tokens is the encoding of its text if and
// only if every two neighbours are the encoding of theirs. (The first merge
// across a border of the sequence would be done for these two tokens alone as
// well: until then all merges are inside tokens, and of the pairs around the
// border it has the lowest rank, the leftmost of equals.) So blocks join where
// the tokens at the border stay as they are together; where they do not, tokens
// on both sides are merged again.
//
// A border that maxShortWord symbols around do not settle, or too many borders
// that need more than a look, show a word for which blocks are of no use.
const blockSize = 28

// blocks is the memory for long words.
type blocks struct {
	source []int32 // the symbols of the word
	out    []int32 // tokens of what was joined
	part   []int32 // tokens of the block at work
	window []int32
	pair   []int32
	again  int // symbols that were merged again at borders
}

// merge merges a word and returns its tokens, valid until the next call;
// false if the word is not for blocks.
func (b *blocks) merge(m *mergeTable, symbols []int32) ([]int32, bool) {
	b.source = append(b.source[:0], symbols...)
	b.out, b.again = b.out[:0], 0
	for start := 0; start < len(b.source); start += blockSize {
		end := min(start+blockSize, len(b.source))
		b.part = m.mergeShort(append(b.part[:0], b.source[start:end]...))
		if !b.join(m, start) {
			return nil, false
		}
	}
	if cap(b.source) > 1<<21 {
		out := b.out
		*b = blocks{}
		return out, true
	}
	return b.out, true
}

// join appends the block that starts at a place of the source.
func (b *blocks) join(m *mergeTable, border int) bool {
	if len(b.out) == 0 || b.stay(m, border, b.out[len(b.out)-1], b.part[0]) {
		b.out = append(b.out, b.part...)
		return true
	}
	left, right := len(b.out)-1, 1 // tokens of out[left:] and part[:right] are merged again
	from, to := border-int(m.sizes[b.out[left]]), border+int(m.sizes[b.part[0]])
	for {
		if b.again += to - from; to-from > maxShortWord || b.again > border+4*blockSize {
			return false
		}
		b.window = m.mergeShort(append(b.window[:0], b.source[from:to]...))
		leftStays := left == 0 || b.stay(m, from, b.out[left-1], b.window[0])
		rightStays := right == len(b.part) || b.stay(m, to, b.window[len(b.window)-1], b.part[right])
		if leftStays && rightStays {
			b.out = append(append(b.out[:left], b.window...), b.part[right:]...)
			return true
		}
		if !leftStays {
			left--
			from -= int(m.sizes[b.out[left]])
		}
		if !rightStays {
			to += int(m.sizes[b.part[right]])
			right++
		}
	}
}

// stay reports whether two tokens around a border are what their symbols merge
// into.
func (b *blocks) stay(m *mergeTable, border int, left, right int32) bool {
	from, to := border-int(m.sizes[left]), border+int(m.sizes[right])
	if to-from > maxShortWord {
		return false
	}
	b.pair = m.mergeShort(append(b.pair[:0], b.source[from:to]...))
	return slices.Equal(b.pair, []int32{left, right})
}

// longRun is how many symbols of a run of one symbol are merged; the rest
// follows.
const longRun = 1 << 11

// mergeRun merges a word that is one symbol repeated: the tokens of a shorter
// run, with its first token repeated in front. If that token stays as it is next
// to itself, that is the encoding, for the reason above. False if the word is
// none, or that token does not.
func (m *mergeTable) mergeRun(w *workspace, symbols []int32) ([]int32, bool) {
	n := len(symbols)
	if n < 4*longRun {
		return nil, false
	}
	for _, s := range symbols {
		if s != symbols[0] {
			return nil, false
		}
	}
	w.run = append(w.run[:0], symbols[:longRun]...)
	first := w.long.merge(m, w.run)[0]
	size := int(m.sizes[first])
	rest := longRun + (n-longRun)%size
	tail := w.long.merge(m, append(w.run[:0], symbols[:rest]...))
	if len(tail) < 2 || tail[0] != first || tail[1] != first {
		return nil, false
	}
	repeats := (n - rest) / size
	out := append(symbols[:0], tail...) // symbols are longer
	out = out[:repeats+len(tail)]
	copy(out[repeats:], tail)
	for i := range repeats {
		out[i] = first
	}
	return out, true
}
