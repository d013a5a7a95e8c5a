// Package split cuts text into pre-tokens: the words, numbers, runs of
// punctuation and of white space inside which BPE merges.
//
// The rules are published as regular expressions with look-ahead, which Go's
// regexp cannot run and backtracking engines run slowly. Each is implemented
// here as a hand-written scanner that gives exactly the matches of the
// expression, in time linear in the text. Tests hold the scanners against a
// backtracking engine on generated text.
//
// Categories are those of Unicode 16.0, as in tiktoken 0.14 and Hugging Face
// tokenizers 0.23; \s is White_Space. A byte that is not part of valid UTF-8 counts as one
// character that is neither letter nor number nor white space.
//
// Expressions that are none of the published ones are left to a regular
// expression engine. Deliberately absent: any other rule of pre-tokenization,
// which is in package pretokenize.
package split

import (
	"iter"
	"slices"

	"forja/tokenizer/internal/pattern"
)

// A Pattern is one published pre-tokenizer.
type Pattern struct {
	name    string
	regexp  string
	aliases []string // other names
	equals  []string // other spellings of the expression

	next     func(text string) int // the scanner, or else:
	compiled *pattern.Expression
}

// Name is the short name by which ByName finds the pattern, "" for one that was
// compiled.
func (p *Pattern) Name() string { return p.name }

// Regexp is the expression in the spelling of Hugging Face tokenizer.json
// files, the one to write to files.
func (p *Pattern) Regexp() string { return p.regexp }

// Next returns the length in bytes of the first pre-token of text, which must
// not be empty. It depends on nothing before text and is at least 1. Only a
// pattern that Scans has it.
func (p *Pattern) Next(text string) int { return p.next(text) }

// All yields the pre-tokens of text in order; joined they are text.
func (p *Pattern) All(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		start := 0
		for end := range p.Cuts(text) {
			if !yield(text[start:end]) {
				return
			}
			start = end
		}
	}
}

const (
	gpt2Regexp = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

	// A cl100k-like expression is foldedHead, the number rule, foldedTail.
	foldedHead = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|`
	foldedTail = `| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`

	// An o200k-like expression is two cased words, each perhaps with a
	// contraction, the number rule, and casedTail.
	casedWords1 = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+`
	casedWords2 = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*`
	contracted  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)?`
	casedTail   = `| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// The patterns.
var (
	// GPT2 is the split of GPT-2 and GPT-3, RoBERTa and OPT.
	GPT2 = &Pattern{
		name: "gpt2", aliases: []string{"gpt-2", "r50k_base", "p50k_base"}, regexp: gpt2Regexp,
		equals: []string{
			`'s|'t|'re|'ve|'m|'ll|'d| ?[\p{L}]+| ?[\p{N}]+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
			`'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
			`'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s`,
		},
		next: nextGPT2,
	}

	// CL100K is the split of GPT-3.5 and GPT-4, and of LLaMA 3. The expression
	// in PyPI's tiktoken since 0.8 differs in one case: white space at the end of
	// a text that has other characters behind its last line break it keeps whole.
	CL100K = &Pattern{
		name: "cl100k", aliases: []string{"cl100k_base", "llama3"}, regexp: foldedHead + `\p{N}{1,3}` + foldedTail,
		next: func(text string) int { return nextFolded(text, 3) },
	}

	// Qwen2 is CL100K with every digit on its own: Qwen 2 and 3.
	Qwen2 = &Pattern{
		name: "qwen2", aliases: []string{"qwen3"}, regexp: foldedHead + `\p{N}` + foldedTail,
		next: func(text string) int { return nextFolded(text, 1) },
	}

	// Nanochat is CL100K with numbers cut after two digits, for vocabularies
	// too small to spend a thousand tokens on numbers.
	Nanochat = &Pattern{
		name: "nanochat", regexp: foldedHead + `\p{N}{1,2}` + foldedTail,
		equals: []string{`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`},
		next:   func(text string) int { return nextFolded(text, 2) },
	}

	// O200K is the split of GPT-4o and later: words are cut before a capital
	// that follows a small letter, and a contraction stays with its word.
	O200K = &Pattern{
		name: "o200k", aliases: []string{"o200k_base", "o200k_harmony", "gpt-4o"},
		regexp: casedWords1 + contracted + `|` + casedWords2 + contracted + `|\p{N}{1,3}` + casedTail,
		next:   func(text string) int { return nextCased(text, 3, true) },
	}

	// Tekken is O200K with contractions cut and every digit on its own: Mistral
	// since NeMo.
	Tekken = &Pattern{
		name: "tekken", regexp: casedWords1 + `|` + casedWords2 + `|\p{N}` + casedTail,
		next: func(text string) int { return nextCased(text, 1, false) },
	}
)

// Patterns lists all patterns.
func Patterns() []*Pattern { return []*Pattern{GPT2, CL100K, Qwen2, Nanochat, O200K, Tekken} }

// ByName finds a pattern by its name, or by that of an encoding or a model
// family that uses it.
func ByName(name string) (*Pattern, bool) {
	for _, p := range Patterns() {
		if p.name == name || slices.Contains(p.aliases, name) {
			return p, true
		}
	}
	return nil, false
}

// ByRegexp finds the pattern that implements an expression, by its spelling.
func ByRegexp(expression string) (*Pattern, bool) {
	for _, p := range Patterns() {
		if p.regexp == expression || slices.Contains(p.equals, expression) {
			return p, true
		}
	}
	return nil, false
}

// Boundary returns the first place at or after from where every pattern that
// Scans starts a pre-token, whatever stands before or behind it: the blank
// between two ASCII letters. A text may be cut there and its halves be split on
// their own. It is len(text) if there is none.
func Boundary(text string, from int) int {
	isLetter := func(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }
	for at := max(from, 1); at+1 < len(text); at++ {
		if text[at] == ' ' && isLetter(text[at-1]) && isLetter(text[at+1]) {
			return at
		}
	}
	return len(text)
}
