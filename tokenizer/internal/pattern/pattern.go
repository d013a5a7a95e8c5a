// Package pattern runs the regular expressions of tokenizer files, which were
// written for Oniguruma and for Rust's engines.
//
// An expression is first translated: character classes are spelled out at the
// Unicode version of those engines, possessive quantifiers become atomic
// groups. What Go's own engine can then compile it runs, in linear time; what
// needs look-around or atomic groups goes to a backtracking engine.
//
// Deliberately absent: captures, replacement templates, and expressions that
// match the empty string, whose empty matches are skipped.
package pattern

import (
	"fmt"
	"iter"
	"regexp"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2/v2"
)

// maxExpression bounds an expression; the longest published one has 500 bytes.
const maxExpression = 1 << 14

// patience bounds the search for one match, for expressions on which a
// backtracking engine takes exponential time.
const patience = 5 * time.Second

// An Expression finds matches in text. It is safe for concurrent use.
type Expression struct {
	source string
	linear *regexp.Regexp
	back   *regexp2.Regexp
}

// Compile translates and compiles an expression. Errors show it.
func Compile(source string) (*Expression, error) {
	if len(source) > maxExpression || !utf8.ValidString(source) {
		return nil, fmt.Errorf("an expression of %d bytes is not UTF-8 or longer than the limit of %d", len(source), maxExpression)
	}
	translated := translate(source)
	e := &Expression{source: source}
	if linear, err := regexp.Compile(translated); err == nil {
		e.linear = linear
		return e, nil
	}
	back, err := regexp2.Compile(translated)
	if err != nil {
		return nil, fmt.Errorf("expression %.200q: %w", source, err)
	}
	back.MatchTimeout = patience
	e.back = back
	return e, nil
}

// String is the expression as it was given.
func (e *Expression) String() string { return e.source }

// Matches yields the start and the end of every match that is not empty, from
// left to right. Where the backtracking engine runs out of patience there are
// no more matches.
func (e *Expression) Matches(text string) iter.Seq2[int, int] {
	if e.back != nil {
		return e.backtrack(text)
	}
	return func(yield func(int, int) bool) {
		for _, m := range e.linear.FindAllStringIndex(text, -1) {
			if m[0] < m[1] && !yield(m[0], m[1]) {
				return
			}
		}
	}
}

// backtrack translates the engine's positions, which count characters.
func (e *Expression) backtrack(text string) iter.Seq2[int, int] {
	return func(yield func(int, int) bool) {
		characters, at := 0, 0
		forward := func(to int) int {
			for ; characters < to; characters++ {
				_, size := utf8.DecodeRuneInString(text[at:])
				at += size
			}
			return at
		}
		m, err := e.back.FindStringMatch(text)
		for ; m != nil && err == nil; m, err = e.back.FindNextMatch(m) {
			start := forward(m.RuneIndex)
			end := forward(m.RuneIndex + m.RuneLength)
			if start < end && !yield(start, end) {
				return
			}
		}
	}
}
