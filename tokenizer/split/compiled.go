package split

import (
	"fmt"
	"iter"

	"forja/tokenizer/internal/pattern"
)

// Compile returns the pattern of an expression: the scanner that implements it
// if there is one, else one that runs the expression in a regular expression
// engine, much slower. What no match covers is a pre-token too.
func Compile(expression string) (*Pattern, error) {
	if p, ok := ByRegexp(expression); ok {
		return p, nil
	}
	compiled, err := pattern.Compile(expression)
	if err != nil {
		return nil, fmt.Errorf("compile split pattern: %w", err)
	}
	return &Pattern{regexp: expression, compiled: compiled}, nil
}

// Scans reports whether the pattern has a scanner of its own.
func (p *Pattern) Scans() bool { return p.next != nil }

// Cuts yields the end of every piece of text and whether the piece is a match
// of the expression; the scanners match everything.
func (p *Pattern) Cuts(text string) iter.Seq2[int, bool] {
	return func(yield func(int, bool) bool) {
		at := 0
		if p.Scans() {
			for at < len(text) {
				if at += p.next(text[at:]); !yield(at, true) {
					return
				}
			}
			return
		}
		for start, end := range p.compiled.Matches(text) {
			if start > at && !yield(start, false) || !yield(end, true) {
				return
			}
			at = end
		}
		if at < len(text) {
			yield(len(text), false)
		}
	}
}
