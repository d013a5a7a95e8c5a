package tokenizer

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
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
	// Longest first: the first that matches at a place is the longest.
	slices.SortStableFunc(specials, func(a, b Special) int { return len(b.Content) - len(a.Content) })
	for _, s := range specials {
		p.byFirst[s.Content[0]] = append(p.byFirst[s.Content[0]], s)
	}
	return p, nil
}

// specialParser is a tokenizer that looks for special tokens in text.
type specialParser struct {
	Tokenizer
	byFirst [256][]Special // by first byte of the content, longest first
}

func (p *specialParser) Encode(text string) []int32 {
	return p.EncodeTo(nil, text)
}

func (p *specialParser) EncodeTo(dst []int32, text string) []int32 {
	for s, before := range p.parts(text) {
		dst = p.Tokenizer.EncodeTo(dst, before)
		if s != nil {
			dst = append(dst, s.ID)
		}
	}
	return dst
}

func (p *specialParser) Count(text string) int {
	n := 0
	for s, before := range p.parts(text) {
		n += p.Tokenizer.Count(before)
		if s != nil {
			n++
		}
	}
	return n
}

// parts cuts text at its special tokens. It yields each of them with the
// ordinary text before it, and at last nil with the rest.
func (p *specialParser) parts(text string) iter.Seq2[*Special, string] {
	return func(yield func(*Special, string) bool) {
		start := 0
		for at := 0; at < len(text); {
			s := p.match(text[at:])
			if s == nil {
				at++
				continue
			}
			next := at + len(s.Content)
			if s.SingleWord && !standsAlone(text, at, next) {
				at = next
				continue
			}
			before := text[start:at]
			if s.LStrip {
				before = strings.TrimRightFunc(before, unicode.IsSpace)
			}
			if s.RStrip {
				next = len(text) - len(strings.TrimLeftFunc(text[next:], unicode.IsSpace))
			}
			if !yield(s, before) {
				return
			}
			at, start = next, next
		}
		yield(nil, text[start:])
	}
}

// match returns the longest special token that text starts with, or nil.
func (p *specialParser) match(text string) *Special {
	candidates := p.byFirst[text[0]]
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
	return !isWord(before) && !isWord(after)
}

// isWord is \w of Unicode regular expressions.
func isWord(r rune) bool {
	return unicode.In(r, unicode.L, unicode.Nl, unicode.Other_Alphabetic, unicode.M, unicode.Nd, unicode.Pc, unicode.Join_Control)
}
