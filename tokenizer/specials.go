package tokenizer

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"forja/tokenizer/internal/ucd"
	"forja/tokenizer/normalize"
)

// WithSpecials returns t with some of its special tokens recognised in text:
// those whose contents are listed, or all of them if none is. Text between
// them is encoded by t. Where several match at one place, the longest wins.
//
// Use it for trusted text only, such as the output of a chat template whose
// message contents were checked: whoever writes the text writes the tokens.
//
// It fails if a name is not the content of a special token of t.
func WithSpecials(t Tokenizer, names ...string) (Tokenizer, error) {
	specials := t.Specials()
	if len(names) > 0 {
		specials = slices.DeleteFunc(specials, func(s Special) bool { return !slices.Contains(names, s.Content) })
		for _, name := range names {
			if !slices.ContainsFunc(specials, func(s Special) bool { return s.Content == name }) {
				return nil, fmt.Errorf("allow special tokens: the tokenizer has no special token %q", name)
			}
		}
	}
	p := &specialParser{Tokenizer: t}
	pipeline, ok := t.(*Pipeline)
	if ok && pipeline.config.Normalizer != nil {
		p.pipeline = pipeline
		var normalized []Special
		specials, normalized = separate(specials)
		for i := range normalized {
			n := pipeline.config.Normalizer.Normalize(normalize.Of(normalized[i].Content, false))
			normalized[i].Content = n.S
		}
		normalized = slices.DeleteFunc(normalized, func(s Special) bool { return s.Content == "" })
		p.normalized = newSpecialSet(normalized)
	} else if ok {
		p.pipeline = pipeline
	}
	p.raw = newSpecialSet(specials)
	return p, nil
}

// separate takes those apart that are matched in normalized text.
func separate(specials []Special) (raw, normalized []Special) {
	for _, s := range specials {
		if s.Normalized {
			normalized = append(normalized, s)
		} else {
			raw = append(raw, s)
		}
	}
	return raw, normalized
}

// specialParser is a tokenizer that looks for special tokens in text.
type specialParser struct {
	Tokenizer
	pipeline   *Pipeline   // Tokenizer, if it is one
	raw        *specialSet // those to look for in the text
	normalized *specialSet // in normalized text; nil: none
}

func (p *specialParser) Encode(text string) []int32 {
	return p.EncodeTo(nil, text)
}

func (p *specialParser) EncodeTo(dst []int32, text string) []int32 {
	all := normalize.Of(text, false)
	for s, part := range p.raw.parts(text) {
		if p.pipeline != nil {
			dst = p.pipeline.encodeSection(dst, nil, all.Sub(part.Start, part.End), p.normalized)
		} else {
			dst = p.Tokenizer.EncodeTo(dst, text[part.Start:part.End])
		}
		if s != nil {
			dst = append(dst, s.ID)
		}
	}
	return dst
}

func (p *specialParser) Count(text string) int {
	n := 0
	for s, part := range p.raw.parts(text) {
		if p.pipeline != nil {
			for range p.pipeline.sectionTokens(normalize.Of(text, true).Sub(part.Start, part.End), p.normalized) {
				n++
			}
		} else {
			n += p.Tokenizer.Count(text[part.Start:part.End])
		}
		if s != nil {
			n++
		}
	}
	return n
}

func (p *specialParser) Tokens(text string) iter.Seq2[int32, Span] {
	return func(yield func(int32, Span) bool) {
		for s, part := range p.raw.parts(text) {
			tokens, shift := p.Tokenizer.Tokens, part.Start
			if p.pipeline != nil {
				tokens, shift = func(string) iter.Seq2[int32, Span] {
					return p.pipeline.sectionTokens(normalize.Of(text, true).Sub(part.Start, part.End), p.normalized)
				}, 0
			}
			for id, span := range tokens(text[part.Start:part.End]) {
				if !yield(id, Span{Start: shift + span.Start, End: shift + span.End}) {
					return
				}
			}
			if s != nil && !yield(s.ID, Span{Start: part.End, End: part.next}) {
				return
			}
		}
	}
}

// A specialSet finds special tokens in text.
type specialSet struct {
	byFirst [256][]Special // by first byte of the content, longest first
}

func newSpecialSet(specials []Special) *specialSet {
	if len(specials) == 0 {
		return &specialSet{}
	}
	set := &specialSet{}
	// Longest first: the first that matches at a place is the longest.
	specials = slices.Clone(specials)
	slices.SortStableFunc(specials, func(a, b Special) int { return len(b.Content) - len(a.Content) })
	for _, s := range specials {
		set.byFirst[s.Content[0]] = append(set.byFirst[s.Content[0]], s)
	}
	return set
}

// A specialPart is ordinary text; the special token behind it ends before next.
type specialPart struct{ Start, End, next int }

// parts cuts text at its special tokens. It yields each of them with the
// ordinary text before it, and at last nil with the rest.
func (set *specialSet) parts(text string) iter.Seq2[*Special, specialPart] {
	return func(yield func(*Special, specialPart) bool) {
		start := 0
		for at := 0; at < len(text); {
			s := set.match(text[at:])
			if s == nil {
				at++
				continue
			}
			next := at + len(s.Content)
			if s.SingleWord && !standsAlone(text, at, next) {
				at = next
				continue
			}
			end := at
			if s.LStrip {
				end = start + len(strings.TrimRightFunc(text[start:at], unicode.IsSpace))
			}
			if s.RStrip {
				next = len(text) - len(strings.TrimLeftFunc(text[next:], unicode.IsSpace))
			}
			if !yield(s, specialPart{start, end, next}) {
				return
			}
			at, start = next, next
		}
		yield(nil, specialPart{start, len(text), len(text)})
	}
}

// match returns the longest special token that text starts with, or nil.
func (set *specialSet) match(text string) *Special {
	candidates := set.byFirst[text[0]]
	for i := range candidates {
		if strings.HasPrefix(text, candidates[i].Content) {
			return &candidates[i]
		}
	}
	return nil
}

// standsAlone reports whether no word character touches text[start:end].
func standsAlone(text string, start, end int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:start])
	after, _ := utf8.DecodeRuneInString(text[end:])
	return !ucd.IsWord(before) && !ucd.IsWord(after)
}
