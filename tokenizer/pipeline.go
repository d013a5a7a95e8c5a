package tokenizer

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"unicode/utf8"

	"forja/tokenizer/decode"
	"forja/tokenizer/normalize"
	"forja/tokenizer/pretokenize"
)

// A Model turns a piece of normalized text into tokens. It is safe for
// concurrent use.
type Model interface {
	// AppendIDs appends the ids of a piece to dst and, if ends is not nil, to
	// ends where in the piece each token ends.
	AppendIDs(dst []int32, ends *[]int, piece string) []int32

	// Len is the highest id plus one.
	Len() int

	// Text is a token as the vocabulary spells it, "" if the id is none.
	Text(id int32) string

	// ID finds a token by its text.
	ID(text string) (int32, bool)
}

// A Pipeline is a Tokenizer made of parts: text is normalized, cut into pieces,
// and each of them is encoded by a model.
type Pipeline struct {
	config  PipelineConfig
	special map[int32]Special
	size    int
	bytes   bool // the model knows tokens by their bytes

	pieces      sync.Pool // of *[]normalize.Text
	fingerprint func() string
}

// PipelineConfig says what a Pipeline is made of. All but Model may be nil.
type PipelineConfig struct {
	Normalizer   normalize.Normalizer
	PreTokenizer pretokenize.PreTokenizer
	Model        Model
	Decoder      decode.Chain // nil joins the tokens
	Template     *Template

	// Specials are the special tokens. One that is also a token of the model
	// must have its id and its content.
	Specials []Special
}

// NewPipeline checks the parts and puts them together.
func NewPipeline(config PipelineConfig) (*Pipeline, error) {
	p := &Pipeline{config: config, special: make(map[int32]Special, len(config.Specials))}
	p.config.Specials = slices.SortedFunc(slices.Values(config.Specials), func(x, y Special) int { return cmp.Compare(x.ID, y.ID) })
	if config.Model == nil {
		return nil, errors.New("build pipeline: no model")
	}
	_, p.bytes = config.Model.(*BPE)
	if err := config.Decoder.Check(); err != nil {
		return nil, fmt.Errorf("build pipeline: %w", err)
	}
	p.size = config.Model.Len()
	contents := make(map[string]int32, len(config.Specials))
	for _, s := range p.config.Specials {
		if err := checkSpecial(s, p.special, contents); err != nil {
			return nil, fmt.Errorf("build pipeline: %w", err)
		}
		if id, ok := config.Model.ID(s.Content); ok && id != s.ID {
			return nil, fmt.Errorf("build pipeline: special token %q with id %d is also token %d of the model", s.Content, s.ID, id)
		}
		if text := config.Model.Text(s.ID); text != "" && text != s.Content {
			return nil, fmt.Errorf("build pipeline: special token %q has the id %d of the token %q", s.Content, s.ID, text)
		}
		p.special[s.ID] = s
		contents[s.Content] = s.ID
		p.size = max(p.size, int(s.ID)+1)
	}
	if p.size > MaxVocab {
		return nil, fmt.Errorf("build pipeline: %d ids, more than the limit of %d", p.size, MaxVocab)
	}
	p.pieces.New = func() any { return new([]normalize.Text) }
	p.fingerprint = sync.OnceValue(p.computeFingerprint)
	return p, nil
}

// checkSpecial checks what all special tokens have in common.
func checkSpecial(s Special, byID map[int32]Special, byContent map[string]int32) error {
	if s.Content == "" || s.ID < 0 || s.ID >= MaxVocab {
		return fmt.Errorf("special token %q with id %d: it needs a content and an id from 0 to %d", s.Content, s.ID, MaxVocab-1)
	}
	if !utf8.ValidString(s.Content) {
		return fmt.Errorf("special token %q is not UTF-8", s.Content)
	}
	if other, taken := byID[s.ID]; taken {
		return fmt.Errorf("special tokens %q and %q have the same id %d", other.Content, s.Content, s.ID)
	}
	if first, twice := byContent[s.Content]; twice {
		return fmt.Errorf("special token %q has two ids, %d and %d", s.Content, first, s.ID)
	}
	return nil
}

// Config returns what the pipeline is made of. The caller must not change it.
func (p *Pipeline) Config() PipelineConfig { return p.config }

// encodeSection appends the ids of a part of the input and, if spans is not
// nil, where each comes from.
func (p *Pipeline) encodeSection(dst []int32, spans *[]Span, t normalize.Text, normalized *specialSet) []int32 {
	if !p.bytes && !utf8.ValidString(t.S) {
		t = replaceInvalid(t)
	}
	if p.config.Normalizer != nil {
		t = p.config.Normalizer.Normalize(t)
	}
	if normalized == nil {
		return p.encodeNormalized(dst, spans, t)
	}
	for s, part := range normalized.parts(t.S) {
		dst = p.encodeNormalized(dst, spans, t.Sub(part.Start, part.End))
		if s != nil {
			dst = append(dst, s.ID)
			if spans != nil {
				*spans = append(*spans, Span(t.Place(part.End, part.next)))
			}
		}
	}
	return dst
}

func (p *Pipeline) encodeNormalized(dst []int32, spans *[]Span, t normalize.Text) []int32 {
	if p.config.PreTokenizer == nil {
		return p.appendPiece(dst, spans, t)
	}
	pieces := p.pieces.Get().(*[]normalize.Text)
	*pieces = p.config.PreTokenizer.Append((*pieces)[:0], t)
	for i := range *pieces {
		dst = p.appendPiece(dst, spans, (*pieces)[i])
	}
	clear(*pieces)
	if cap(*pieces) < 1<<16 {
		p.pieces.Put(pieces)
	}
	return dst
}

func (p *Pipeline) appendPiece(dst []int32, spans *[]Span, t normalize.Text) []int32 {
	if t.S == "" {
		return dst
	}
	if spans == nil {
		return p.config.Model.AppendIDs(dst, nil, t.S)
	}
	var ends []int
	dst = p.config.Model.AppendIDs(dst, &ends, t.S)
	start := 0
	for _, end := range ends {
		*spans = append(*spans, Span(t.Place(start, end)))
		start = end
	}
	return dst
}

// replaceInvalid replaces each byte that is no UTF-8 by U+FFFD.
func replaceInvalid(t normalize.Text) normalize.Text {
	e := t.Edit()
	for s := e.Rest(); s != ""; s = e.Rest() {
		if r, size := utf8.DecodeRuneInString(s); r == utf8.RuneError && size == 1 {
			e.Replace(1, "\ufffd")
		} else {
			e.Keep(size)
		}
	}
	return e.Done()
}

// EncodeTo implements Tokenizer.
func (p *Pipeline) EncodeTo(dst []int32, text string) []int32 {
	return p.encodeSection(dst, nil, normalize.Of(text, false), nil)
}

// Encode implements Tokenizer.
func (p *Pipeline) Encode(text string) []int32 { return p.EncodeTo(nil, text) }

// Count implements Tokenizer.
func (p *Pipeline) Count(text string) int {
	ids := idPool.Get().(*[]int32)
	*ids = p.EncodeTo((*ids)[:0], text)
	n := len(*ids)
	if n < 1<<20 {
		idPool.Put(ids)
	}
	return n
}

var idPool = sync.Pool{New: func() any { return new([]int32) }}

// Tokens implements Tokenizer.
func (p *Pipeline) Tokens(text string) iter.Seq2[int32, Span] {
	return p.sectionTokens(normalize.Of(text, true), nil)
}

func (p *Pipeline) sectionTokens(t normalize.Text, normalized *specialSet) iter.Seq2[int32, Span] {
	return func(yield func(int32, Span) bool) {
		spans := []Span{}
		for i, id := range p.encodeSection(nil, &spans, t, normalized) {
			if !yield(id, spans[i]) {
				return
			}
		}
	}
}

// DecodeTo implements Tokenizer.
func (p *Pipeline) DecodeTo(dst []byte, ids []int32) []byte {
	state := p.config.Decoder.Start()
	for _, id := range ids {
		dst = p.appendDecoded(dst, state, id)
	}
	return dst
}

// appendDecoded appends what one more id stands for.
func (p *Pipeline) appendDecoded(dst []byte, state *decode.State, id int32) []byte {
	text := p.text(id)
	if text == "" {
		return dst
	}
	if p.bytes && p.special[id].Content != "" {
		return append(dst, text...)
	}
	return state.Append(dst, text)
}

// Decode implements Tokenizer.
func (p *Pipeline) Decode(ids []int32) string { return string(p.DecodeTo(nil, ids)) }

// VocabSize implements Tokenizer.
func (p *Pipeline) VocabSize() int { return p.size }

func (p *Pipeline) text(id int32) string {
	if s, ok := p.special[id]; ok {
		return s.Content
	}
	return p.config.Model.Text(id)
}

// Token implements Tokenizer.
func (p *Pipeline) Token(id int32) (Token, bool) {
	text := p.text(id)
	s, special := p.special[id]
	return Token{Bytes: text, Special: special && !s.Visible}, text != ""
}

// ID implements Tokenizer.
func (p *Pipeline) ID(token string) (int32, bool) {
	for _, s := range p.config.Specials {
		if s.Content == token {
			return s.ID, true
		}
	}
	return p.config.Model.ID(token)
}

// Specials implements Tokenizer.
func (p *Pipeline) Specials() []Special { return slices.Clone(p.config.Specials) }
