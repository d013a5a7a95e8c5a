package unigram

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// seeds are the pieces that training starts from: all characters, and of the
// substrings that repeat those that occupy most text.
//
// The suffixes of the words are sorted, as in a suffix array, but only as deep
// as pieces are long, one character at a time: whatever shares a beginning
// stands together, so that this needs no array of common prefixes.
func seeds(words []Word, o TrainOptions) []candidate {
	s := suffixes{words: words, maxPiece: o.MaxPiece}
	s.layOut()
	found := s.repeats(o.Workers)
	slices.SortFunc(found, func(a, b substring) int {
		return cmp.Or(cmp.Compare(b.score, a.score), strings.Compare(a.text, b.text))
	})
	out := make([]candidate, 0, len(found)+len(s.chars))
	sum := 0.0
	for _, c := range s.chars {
		out = append(out, candidate{text: string(c.r), score: float64(c.count), required: true})
		sum += float64(c.count)
	}
	for _, f := range found[:min(len(found), max(0, o.MaxSeeds-len(out)))] {
		out = append(out, candidate{text: f.text, score: f.score})
		sum += f.score
	}
	for i := range out {
		out[i].score = math.Log(out[i].score) - math.Log(sum)
	}
	return out
}

// suffixes are the suffixes of words.
type suffixes struct {
	words    []Word
	maxPiece int
	chars    []character
	text     []int32 // the words as characters plus one, a zero before, between and behind them
	wordOf   []int32 // by place in text
	byteOf   []int32 // by place in text: in its word
}

type character struct {
	r     rune
	count int64
}

// A substring is a candidate with the number of characters that it occupies.
type substring struct {
	text  string
	score float64
}

func (s *suffixes) layOut() {
	counts := map[rune]int64{}
	size := 1
	for _, w := range s.words {
		for _, r := range w.Text {
			counts[r] += w.Count
			size++
		}
		size++
	}
	for r, n := range counts {
		s.chars = append(s.chars, character{r, n})
	}
	slices.SortFunc(s.chars, func(a, b character) int { return cmp.Compare(a.r, b.r) })
	ids := make(map[rune]int32, len(s.chars))
	for i, c := range s.chars {
		ids[c.r] = int32(i + 1)
	}
	s.text, s.wordOf, s.byteOf = make([]int32, 1, size), make([]int32, 1, size), make([]int32, 1, size)
	for i, w := range s.words {
		for at, r := range w.Text {
			s.text, s.wordOf, s.byteOf = append(s.text, ids[r]), append(s.wordOf, int32(i)), append(s.byteOf, int32(at))
		}
		s.text, s.wordOf, s.byteOf = append(s.text, 0), append(s.wordOf, int32(i)), append(s.byteOf, int32(len(w.Text)))
	}
}

// repeats finds the substrings of two characters or more that occur twice or
// more, with different characters or a border behind and before them.
func (s *suffixes) repeats(workers int) []substring {
	order := make([]uint64, 0, len(s.text))
	for place, c := range s.text {
		if c > 0 {
			order = append(order, uint64(place))
		}
	}
	s.sort(order, 0)
	var groups [][]uint64
	for group := range runs(order) {
		groups = append(groups, group)
	}
	found := make([][]substring, len(groups))
	parallel(workers, len(groups), 1, func() int { return 0 }, func(_ int, from, to int) {
		for i := from; i < to; i++ {
			found[i] = s.visit(nil, groups[i], 1)
		}
	})
	return slices.Concat(found...)
}

// sort sorts places, the low halves of order, by the character at some depth,
// which it writes to the high halves.
func (s *suffixes) sort(order []uint64, depth int) {
	for i, o := range order {
		place := uint64(uint32(o))
		order[i] = uint64(s.text[int(place)+depth])<<32 | place
	}
	slices.Sort(order)
}

// runs yields the stretches of one character.
func runs(order []uint64) func(yield func([]uint64) bool) {
	return func(yield func([]uint64) bool) {
		for start := 0; start < len(order); {
			end := start + 1
			for end < len(order) && order[end]>>32 == order[start]>>32 {
				end++
			}
			if !yield(order[start:end]) {
				return
			}
			start = end
		}
	}
}

// visit appends the repeats among suffixes that share a beginning of depth
// characters: this beginning, and what is longer.
func (s *suffixes) visit(dst []substring, order []uint64, depth int) []substring {
	count := int64(0)
	for _, o := range order {
		count += s.words[s.wordOf[uint32(o)]].Count
	}
	if count < 2 {
		return dst
	}
	if len(order) == 1 { // one word that occurs often: all of it, or nothing
		place := int(uint32(order[0]))
		w := s.words[s.wordOf[place]].Text
		if n := utf8.RuneCountInString(w); s.text[place-1] == 0 && n > 1 && n <= s.maxPiece {
			dst = append(dst, substring{w, float64(count) * float64(n)})
		}
		return dst
	}
	full := depth == s.maxPiece
	s.sort(order, depth)
	branches := order[0]>>32 == 0 || order[0]>>32 != order[len(order)-1]>>32
	if depth > 1 && (full || branches && s.differBefore(order)) {
		place := int(uint32(order[0]))
		w := s.words[s.wordOf[place]].Text
		dst = append(dst, substring{w[s.byteOf[place]:s.byteOf[place+depth]], float64(count) * float64(depth)})
	}
	if full {
		return dst
	}
	for group := range runs(order) {
		if group[0]>>32 > 0 {
			dst = s.visit(dst, group, depth+1)
		}
	}
	return dst
}

// differBefore reports whether different characters, or a border, stand before
// the places.
func (s *suffixes) differBefore(order []uint64) bool {
	first := s.text[int(uint32(order[0]))-1]
	if first == 0 {
		return true
	}
	for _, o := range order[1:] {
		if s.text[int(uint32(o))-1] != first {
			return true
		}
	}
	return false
}
