// Package unigram is the Unigram language model (Kudo 2018): a text is cut into
// the pieces whose probabilities have the highest product.
//
// It encodes as SentencePiece (in float32) and as Hugging Face tokenizers (in
// float64) do, and lists and samples segmentations for subword regularisation.
//
// Deliberately absent: what happens to text before, in packages normalize and
// pretokenize, and files, in package tokenizer.
package unigram

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"unicode/utf8"

	"forja/tokenizer/internal/trie"
)

// MaxPiece bounds the length of a piece in bytes.
const MaxPiece = 1 << 14

// A Kind says how text may produce a piece.
type Kind uint8

// The kinds of pieces.
const (
	Normal Kind = iota
	Hidden      // never: control, unknown, unused
	User        // always where it occurs
	Byte        // one byte of a character that no piece has, with ByteFallback
)

// A Piece is a piece with its log probability.
type Piece struct {
	Text  string
	Score float64
	Kind  Kind
}

// Options say what a Model is made of.
type Options struct {
	Pieces       []Piece // by id; an empty text is no piece
	Unknown      int32   // id for characters that no piece has; -1: there is none
	ByteFallback bool    // spell those by the pieces <0x00> to <0xFF>

	// Single computes scores as SentencePiece does, in float32.
	Single bool
}

// A Model is safe for concurrent use.
type Model struct {
	options Options
	trie    *trie.Trie
	scores  []float64
	bytes   [256]int32
	ids     map[string]int32
	unknown float64 // score of an unknown character
	most    float64 // the highest score

	paths sync.Pool // of *path
}

// penalty is how much worse than the worst piece an unknown character is.
const penalty = 10

// New checks and indexes the pieces. Errors name the piece.
func New(o Options) (*Model, error) {
	o.Pieces = slices.Clone(o.Pieces)
	for id := range o.Pieces {
		if o.Single {
			o.Pieces[id].Score = float64(float32(o.Pieces[id].Score))
		}
	}
	m := &Model{options: o, scores: make([]float64, len(o.Pieces)), ids: make(map[string]int32, len(o.Pieces))}
	if o.Unknown >= int32(len(o.Pieces)) {
		return nil, fmt.Errorf("build unigram: the unknown piece has the id %d, of %d pieces", o.Unknown, len(o.Pieces))
	}
	keys, values := make([]string, 0, len(o.Pieces)), make([]int32, 0, len(o.Pieces))
	least := math.Inf(1)
	m.most = math.Inf(-1)
	for i := range m.bytes {
		m.bytes[i] = -1
	}
	for id, p := range o.Pieces {
		score := p.Score
		switch {
		case math.IsNaN(score) || math.IsInf(score, 0):
			return nil, fmt.Errorf("build unigram: piece %q with id %d has the score %v, which is no finite number", p.Text, id, p.Score)
		case len(p.Text) > MaxPiece:
			return nil, fmt.Errorf("build unigram: piece %.30q with id %d is longer than %d bytes", p.Text, id, MaxPiece)
		case p.Text == "":
			continue
		}
		if first, twice := m.ids[p.Text]; twice {
			return nil, fmt.Errorf("build unigram: piece %q has two ids, %d and %d", p.Text, first, id)
		}
		m.ids[p.Text] = int32(id)
		m.scores[id] = score
		if p.Kind == Normal || !o.Single { // Hugging Face takes the worst of all
			least, m.most = min(least, score), max(m.most, score)
		}
		if p.Kind == Byte {
			var b byte
			if _, err := fmt.Sscanf(p.Text, "<0x%02X>", &b); err != nil || p.Text != byteText(b) {
				return nil, fmt.Errorf("build unigram: piece %q with id %d is no byte", p.Text, id)
			}
			m.bytes[b] = int32(id)
		}
		if p.Kind == Normal || p.Kind == User {
			keys, values = append(keys, p.Text), append(values, int32(id))
		}
	}
	if len(keys) == 0 || least > m.most {
		return nil, errors.New("build unigram: there is no piece that text can produce")
	}
	if o.ByteFallback {
		for b, id := range m.bytes {
			if id < 0 {
				return nil, fmt.Errorf("build unigram: byte fallback needs the piece %s", byteText(byte(b)))
			}
		}
	}
	m.unknown = least - penalty
	if o.Single {
		m.unknown = float64(float32(least) - penalty)
	}
	for id, p := range o.Pieces {
		if p.Kind != User {
			continue
		}
		// A bonus, so that it is always taken.
		m.scores[id] = float64(len(p.Text))*m.most - 0.1
		if o.Single {
			m.scores[id] = float64(float32(len(p.Text))*float32(m.most)) - 0.1
		}
	}
	m.trie = trie.Build(keys, values)
	m.paths.New = func() any { return &path{} }
	return m, nil
}

func byteText(b byte) string { return fmt.Sprintf("<0x%02X>", b) }

// Options returns what the model was made of.
func (m *Model) Options() Options { return m.options }

// ID finds a piece by its text.
func (m *Model) ID(text string) (int32, bool) {
	id, ok := m.ids[text]
	return id, ok
}

// A path is the memory of one call: the best way to each place of the text.
type path struct {
	best []step
	back []segment
}

type step struct {
	score float64
	start int32 // of the last piece; -1: none ends here yet
	id    int32 // of the last piece; unknownID
}

// A segment is a piece of a text, from start to before end.
type segment struct{ start, end, id int32 }

// unknownID stands for a character that is no piece.
const unknownID = -1

// MaxText bounds the text of one call, so that places fit in 32 bits; longer
// texts are cut.
const MaxText = 1 << 28

// AppendIDs appends the ids of the best segmentation of text; if ends is not
// nil, also where in text each ends.
func (m *Model) AppendIDs(dst []int32, ends *[]int, text string) []int32 {
	p := m.paths.Get().(*path)
	for base := 0; base < len(text); base += MaxText {
		part := text[base:min(len(text), base+MaxText)]
		if m.options.Single {
			m.forwardSingle(p, part)
		} else {
			m.forward(p, part)
		}
		p.back = p.back[:0]
		for end := int32(len(part)); end > 0; {
			s := p.best[end]
			p.back = append(p.back, segment{s.start, end, s.id})
			end = s.start
		}
		for i := len(p.back) - 1; i >= 0; i-- {
			s := p.back[i]
			for s.id == unknownID && i > 0 && p.back[i-1].id == unknownID && !m.options.ByteFallback { // one id for all
				i--
				s.end = p.back[i].end
			}
			dst = m.appendSegment(dst, ends, part, base, s)
		}
	}
	if cap(p.best) > 1<<22 {
		p = &path{}
	}
	m.paths.Put(p)
	return dst
}

func (m *Model) appendSegment(dst []int32, ends *[]int, text string, base int, s segment) []int32 {
	add := func(id, end int32) {
		dst = append(dst, id)
		if ends != nil {
			*ends = append(*ends, base+int(end))
		}
	}
	switch {
	case s.id != unknownID:
		add(s.id, s.end)
	case m.options.ByteFallback:
		for i := s.start; i < s.end; i++ {
			add(m.bytes[text[i]], i+1)
		}
	case m.options.Unknown >= 0:
		add(m.options.Unknown, s.end)
	}
	return dst
}

func (p *path) reset(n int) {
	if cap(p.best) < n+1 {
		p.best = make([]step, n+1, n+n/4+64)
	}
	p.best = p.best[:n+1]
	for i := range p.best {
		p.best[i] = step{start: -1}
	}
}

// forward finds the best way to every place.
func (m *Model) forward(p *path, text string) {
	p.reset(len(text))
	for start := 0; start < len(text); {
		character := characterLen(text[start:])
		here := p.best[start].score
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
				p.offer(start, end, id, here+m.scores[id])
				single = single || end-start == character
			}
		}
		if !single {
			p.offer(start, start+character, unknownID, here+m.unknown)
		}
		start += character
	}
}

// offer notes a way to a place if it is better than what is known.
func (p *path) offer(start, end int, id int32, score float64) {
	if s := &p.best[end]; s.start < 0 || score > s.score {
		*s = step{score, int32(start), id}
	}
}

// forwardSingle is forward with the rounding of SentencePiece: the best scores
// are kept in float32 and compared with sums in float64.
func (m *Model) forwardSingle(p *path, text string) {
	p.reset(len(text))
	for start := 0; start < len(text); {
		character := characterLen(text[start:])
		here := p.best[start].score
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
				if s, score := &p.best[end], here+m.scores[id]; s.start < 0 || score > s.score {
					*s = step{float64(float32(score)), int32(start), id}
				}
				single = single || end-start == character
			}
		}
		if !single {
			end := start + character
			if s, score := &p.best[end], float32(here)+float32(m.unknown); s.start < 0 || float64(score) > s.score {
				*s = step{float64(score), int32(start), unknownID}
			}
		}
		start += character
	}
}

// characterLen is the length of the first character; an invalid byte is one.
func characterLen(s string) int {
	if s[0] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRuneInString(s)
	return n
}

// Len is the number of pieces.
func (m *Model) Len() int { return len(m.options.Pieces) }

// Text is a piece, "" if the id is none.
func (m *Model) Text(id int32) string {
	if id < 0 || int(id) >= len(m.options.Pieces) {
		return ""
	}
	return m.options.Pieces[id].Text
}
