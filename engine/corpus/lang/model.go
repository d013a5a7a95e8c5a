package lang

import (
	"math"
	"slices"
	"sync"
	"unicode/utf8"
)

const (
	lanes        = 8 // words of a row, of 8 languages each
	maxLanguages = 8 * lanes
	maxWeight    = 31  // so that 8 weights add up in a byte
	step         = 0.3 // natural logarithm of the ratio of probabilities that one unit of weight stands for
	most         = 2048
	windows      = 16 // that a longer text is looked at through
)

// A Model tells languages. It is safe for concurrent use.
type Model struct {
	languages []string
	rows      [][lanes]uint64 // byte i of word w is the weight of language 8*w+i
	softness  float64         // what the sum of weights is divided by: n-grams overlap and are no independent witnesses
}

func newModel(languages []string) *Model {
	return &Model{languages: languages, rows: make([][lanes]uint64, 1<<tableBits), softness: 6}
}

func (m *Model) set(row, language int, weight uint8) {
	m.rows[row][language/8] |= uint64(weight) << (language % 8 * 8)
}

// Languages lists what the model tells apart, as ISO 639-1 codes.
func (m *Model) Languages() []string { return m.languages }

// Knows reports whether a language is among them.
func (m *Model) Knows(language string) bool { return slices.Contains(m.languages, language) }

// A Guess is a language and how sure the model is of it, between 0 and 1. A text without letters has neither.
type Guess struct {
	Lang  string
	Score float64
}

// Detect tells the language of a text. Of a long one it looks at 2 KiB, in 16 places. The score is not more than the share
// of places in that language, since half-translated pages are common.
func (m *Model) Detect(text string) Guess {
	s := m.read(text)
	if s.n == 0 {
		return Guess{}
	}
	best := s.best(m)
	score := s.probability(m, best)
	if s.seen > 0 {
		same := 0
		for _, place := range s.places[:s.seen] {
			if int(place) == best {
				same++
			}
		}
		score = min(score, float64(same)/float64(s.seen))
	}
	return Guess{m.languages[best], score}
}

// read sums up a text and, if it is a long one, says which language each place in it is in.
func (m *Model) read(text string) (s sums) {
	buffer := buffers.Get().(*[]uint32)
	defer buffers.Put(buffer)
	if len(text) <= most {
		*buffer = features((*buffer)[:0], text)
		s.add(m, *buffer)
		return s
	}
	const size = most / windows
	for i := range windows {
		begin := (len(text) - size) / (windows - 1) * i
		for begin > 0 && !utf8.RuneStart(text[begin]) {
			begin--
		}
		*buffer = features((*buffer)[:0], text[begin:begin+size])
		if len(*buffer) == 0 { // no letters
			continue
		}
		var place sums
		place.add(m, *buffer)
		s.places[s.seen] = uint8(place.best(m))
		s.seen++
		s.merge(&place)
	}
	return s
}

var buffers = sync.Pool{New: func() any { return new([]uint32) }}

// probability is the share of a language, by Bayes' theorem and the softness of the model.
func (s *sums) probability(m *Model, language int) float64 {
	total := 0.0
	for l := range m.languages {
		more := (float64(s.all[l]) - float64(s.all[language])) * step / m.softness
		if more > -40 { // the rest together would not change a float64
			total += math.Exp(more)
		}
	}
	return 1 / total
}

// sums are the weights of all languages.
type sums struct {
	all    [maxLanguages]uint32
	n      int            // rows
	places [windows]uint8 // the likeliest language of each place with letters,
	seen   int            // of so many
}

// best is the likeliest language, the first of several.
func (s *sums) best(m *Model) int {
	best := 0
	for l := range m.languages {
		if s.all[l] > s.all[best] {
			best = l
		}
	}
	return best
}

// merge takes in the weights of a part.
func (s *sums) merge(part *sums) {
	for l, w := range part.all {
		s.all[l] += w
	}
	s.n += part.n
}

// add adds rows, eight weights to a machine word. Eight rows fit in its bytes; their sums are added by 16 bits, of which
// 256 fit.
func (s *sums) add(m *Model, rows []uint32) {
	const alternate = 0x00ff00ff00ff00ff
	s.n += len(rows)
	for len(rows) > 0 {
		some := rows[:min(len(rows), 8*256)]
		rows = rows[len(some):]
		var even, odd [lanes]uint64
		for len(some) > 0 {
			few := some[:min(len(some), 8)]
			some = some[len(few):]
			var a0, a1, a2, a3, a4, a5, a6, a7 uint64
			for _, row := range few {
				r := &m.rows[row&(1<<tableBits-1)]
				a0, a1, a2, a3, a4, a5, a6, a7 = a0+r[0], a1+r[1], a2+r[2], a3+r[3], a4+r[4], a5+r[5], a6+r[6], a7+r[7]
			}
			for i, a := range [lanes]uint64{a0, a1, a2, a3, a4, a5, a6, a7} {
				even[i] += a & alternate
				odd[i] += a >> 8 & alternate
			}
		}
		for i := range lanes {
			for b := range 4 {
				s.all[8*i+2*b] += uint32(even[i] >> (16 * b) & 0xffff)
				s.all[8*i+2*b+1] += uint32(odd[i] >> (16 * b) & 0xffff)
			}
		}
	}
}
