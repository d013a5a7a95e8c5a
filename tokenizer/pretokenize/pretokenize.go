// Package pretokenize cuts normalized text into the pieces that a model
// encodes one by one.
//
// The pre-tokenizers are those of Hugging Face tokenizers, with its tables;
// pieces come in order and none is empty. They are values without hidden
// state, safe for concurrent use.
//
// Deliberately absent: the scanners of the byte-level families, which are in
// package split, and scripts (UnicodeScripts), which no supported model needs.
package pretokenize

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"forja/tokenizer/internal/ucd"
	"forja/tokenizer/normalize"
)

// A PreTokenizer appends the pieces of a text to dst.
type PreTokenizer interface {
	Append(dst []normalize.Text, t normalize.Text) []normalize.Text
}

// Sequence cuts the pieces of each pre-tokenizer with the next.
type Sequence []PreTokenizer

// Append implements PreTokenizer.
func (s Sequence) Append(dst []normalize.Text, t normalize.Text) []normalize.Text {
	if len(s) == 0 {
		return append(dst, t)
	}
	if len(s) == 1 {
		return s[0].Append(dst, t)
	}
	for _, piece := range s[0].Append(nil, t) {
		dst = s[1:].Append(dst, piece)
	}
	return dst
}

// Bert cuts at white space, which goes, and around every punctuation character.
type Bert struct{}

// Append implements PreTokenizer.
func (Bert) Append(dst []normalize.Text, t normalize.Text) []normalize.Text {
	start := 0
	flush := func(end, next int) {
		if start < end {
			dst = append(dst, t.Sub(start, end))
		}
		start = next
	}
	for at := 0; at < len(t.S); {
		r, size := rune(t.S[at]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(t.S[at:])
		}
		switch {
		case isSpace(r):
			flush(at, at+size)
		case isPunctuation(r):
			flush(at, at)
			flush(at+size, at+size)
		}
		at += size
	}
	flush(len(t.S), len(t.S))
	return dst
}

// WhitespaceSplit cuts at white space, which goes.
type WhitespaceSplit struct{}

// Append implements PreTokenizer.
func (WhitespaceSplit) Append(dst []normalize.Text, t normalize.Text) []normalize.Text {
	return appendCuts(dst, t, Removed, characters(t.S, isSpace))
}

// Whitespace keeps runs of word characters and runs of other characters that
// are no white space: \w+|[^\w\s]+.
type Whitespace struct{}

// Append implements PreTokenizer.
func (Whitespace) Append(dst []normalize.Text, t normalize.Text) []normalize.Text {
	const blank, word, other = 0, 1, 2
	kind, start := blank, 0
	for at, r := range t.S {
		now := other
		if isSpace(r) {
			now = blank
		} else if ucd.IsWord(r) {
			now = word
		}
		if now != kind {
			if kind != blank {
				dst = append(dst, t.Sub(start, at))
			}
			kind, start = now, at
		}
	}
	if kind != blank {
		dst = append(dst, t.Sub(start, len(t.S)))
	}
	return dst
}

// Punctuation cuts at punctuation characters.
type Punctuation struct{ Behavior Behavior }

// Append implements PreTokenizer.
func (p Punctuation) Append(dst []normalize.Text, t normalize.Text) []normalize.Text {
	return appendCuts(dst, t, p.Behavior, characters(t.S, isPunctuation))
}

// Digits cuts numbers from the rest, or each digit on its own.
type Digits struct{ Individual bool }

// Append implements PreTokenizer.
func (p Digits) Append(dst []normalize.Text, t normalize.Text) []normalize.Text {
	behavior := Contiguous
	if p.Individual {
		behavior = Isolated
	}
	return appendCuts(dst, t, behavior, characters(t.S, isNumeric))
}

// Metaspace makes blanks visible, by default as U+2581, and cuts before them.
type Metaspace struct {
	Replacement string
	Prepend     Scheme
	Split       bool
}

// A Scheme says where Metaspace puts a blank before a text that has none.
type Scheme string

// The schemes.
const (
	Always Scheme = "always"
	First  Scheme = "first" // only where the input starts
	Never  Scheme = "never"
)

// Append implements PreTokenizer.
func (p Metaspace) Append(dst []normalize.Text, t normalize.Text) []normalize.Text {
	if t.S == "" {
		return dst
	}
	first := t.First
	t = normalize.NewReplace(" ", p.Replacement).Normalize(t)
	if !strings.HasPrefix(t.S, p.Replacement) && (p.Prepend == Always || p.Prepend == First && first) {
		t = normalize.Prepend{Prefix: p.Replacement}.Normalize(t)
	}
	if !p.Split {
		return append(dst, t)
	}
	for start := 0; start < len(t.S); {
		end := len(t.S)
		if skip := start + 1; skip < len(t.S) {
			if at := strings.Index(t.S[skip:], p.Replacement); at >= 0 {
				end = skip + at
			}
		}
		dst = append(dst, t.Sub(start, end))
		start = end
	}
	return dst
}

func isSpace(r rune) bool {
	if r < utf8.RuneSelf {
		return r == ' ' || '\t' <= r && r <= '\r'
	}
	return unicode.IsSpace(r)
}

// isPunctuation is all ASCII that is neither letter, digit nor control
// character, and the punctuation of Unicode 8.
func isPunctuation(r rune) bool {
	if r < utf8.RuneSelf {
		return '!' <= r && r <= '/' || ':' <= r && r <= '@' || '[' <= r && r <= '`' || '{' <= r && r <= '~'
	}
	return unicode.IsPunct(r) && !ucd.Contains(ucd.OldPunctuation, r) || r == 0x166d || r == 0x111c9
}

func isNumeric(r rune) bool {
	if r < utf8.RuneSelf {
		return '0' <= r && r <= '9'
	}
	return ucd.IsNumber(r)
}
