// Package decode turns tokens back into text: the decoders of Hugging Face
// tokenizers and that of SentencePiece, one token at a time.
//
// Where they write U+FFFD for bytes that are no UTF-8, the bytes themselves
// come out here: a character may be spread over several tokens, and who shows
// text knows when it ends.
//
// Deliberately absent: decoders that need the tokens behind a token, but for
// BPE; and CTC, which is not about text.
package decode

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"forja/tokenizer/internal/pattern"
)

// A Step rewrites one token after the other. State is that of the text.
type Step interface {
	step(token string, s *stepState) string
}

// stepState is what a step knows of the tokens before.
type stepState struct {
	first   bool   // no token came before
	owed    string // comes before the next token
	removed int    // characters that Strip has removed at the start
	started bool   // the text has started: nothing more goes at its start
}

// A Chain is a sequence of steps.
type Chain []Step

// Check fails where a step needs the whole text at once.
func (c Chain) Check() error {
	fused := false
	for _, step := range c {
		switch s := step.(type) {
		case Fuse:
			fused = true
		case Strip:
			if fused && s.Stop > 0 {
				return fmt.Errorf("the decoder Strip removes characters at the end of the text, which is not supported")
			}
		case Replace:
			if fused && (s.expression != nil || len(s.literal) > 1) {
				return fmt.Errorf("the decoder Replace after Fuse is supported for a single character only")
			}
		case Metaspace, WordPiece, BPE, ByteFallback:
			if fused {
				return fmt.Errorf("the decoder %T after Fuse is not supported", s)
			}
		}
	}
	return nil
}

// A State decodes one text.
type State struct {
	chain Chain
	steps []stepState
	fuse  int // the step that is Fuse, or the number of steps
}

// Start returns the state before the first token.
func (c Chain) Start() *State {
	s := &State{chain: c, steps: make([]stepState, len(c)), fuse: len(c)}
	for i := range s.steps {
		s.steps[i].first = true
		if _, ok := c[i].(Fuse); ok && s.fuse == len(c) {
			s.fuse = i
		}
	}
	return s
}

// Append appends what a token stands for.
func (s *State) Append(dst []byte, token string) []byte {
	for i, step := range s.chain {
		state := &s.steps[i]
		if strip, ok := step.(Strip); ok && i > s.fuse {
			token = strip.start(token, state)
			continue
		}
		token = step.step(token, state)
		state.first = false
	}
	return append(dst, token...)
}

// Fuse joins tokens: what follows works on the text.
type Fuse struct{}

func (Fuse) step(token string, _ *stepState) string { return token }

// ByteFallback turns the tokens <0x00> to <0xFF> into bytes.
type ByteFallback struct{}

func (ByteFallback) step(token string, _ *stepState) string {
	if b, ok := Byte(token); ok {
		return string([]byte{b})
	}
	return token
}

// Byte is the byte that a token like <0x0A> stands for.
func Byte(token string) (byte, bool) {
	if len(token) != 6 || !strings.HasPrefix(token, "<0x") || token[5] != '>' {
		return 0, false
	}
	n, err := strconv.ParseUint(token[3:5], 16, 8)
	return byte(n), err == nil
}

// Metaspace turns the replacement of blanks back; in the first token it goes,
// unless Keep.
type Metaspace struct {
	Replacement string
	Keep        bool // prepend_scheme never
}

func (m Metaspace) step(token string, s *stepState) string {
	if s.first && !m.Keep {
		return strings.ReplaceAll(token, m.Replacement, "")
	}
	return strings.ReplaceAll(token, m.Replacement, " ")
}

// WordPiece puts blanks between words and removes the prefix of tokens that
// continue one.
type WordPiece struct {
	Prefix  string
	Cleanup bool // no blanks before punctuation and in English contractions
}

func (w WordPiece) step(token string, s *stepState) string {
	if !s.first {
		if rest, ok := strings.CutPrefix(token, w.Prefix); ok {
			token = rest
		} else {
			token = " " + token
		}
	}
	if w.Cleanup {
		for _, r := range [...][2]string{
			{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"},
			{" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
		} {
			token = strings.ReplaceAll(token, r[0], r[1])
		}
	}
	return token
}

// BPE turns the suffix of tokens that end a word into a blank, but for the last.
type BPE struct{ Suffix string }

func (b BPE) step(token string, s *stepState) string {
	owed := s.owed
	s.owed = ""
	if b.Suffix != "" && strings.HasSuffix(token, b.Suffix) {
		token = strings.TrimSuffix(token, b.Suffix)
		s.owed = " "
	}
	return owed + token
}

// Strip removes up to Start characters at the start and Stop at the end of
// each token, or of the text behind Fuse.
type Strip struct {
	Content     rune
	Start, Stop int
}

func (p Strip) step(token string, _ *stepState) string {
	for range p.Start {
		r, n := utf8.DecodeRuneInString(token)
		if r != p.Content || n == 0 {
			break
		}
		token = token[n:]
	}
	for range p.Stop {
		r, n := utf8.DecodeLastRuneInString(token)
		if r != p.Content || n == 0 {
			break
		}
		token = token[:len(token)-n]
	}
	return token
}

func (p Strip) start(token string, s *stepState) string {
	for token != "" && !s.started {
		r, n := utf8.DecodeRuneInString(token)
		if r != p.Content || s.removed >= p.Start {
			s.started = true
			break
		}
		s.removed++
		token = token[n:]
	}
	return token
}

// Replace replaces a literal string or what an expression matches.
type Replace struct {
	literal    string
	expression *pattern.Expression
	content    string
}

// NewReplace replaces a literal string.
func NewReplace(literal, content string) Replace { return Replace{literal: literal, content: content} }

// NewReplaceRegexp replaces what an expression matches.
func NewReplaceRegexp(expression, content string) (Replace, error) {
	compiled, err := pattern.Compile(expression)
	return Replace{expression: compiled, content: content}, err
}

// Pattern is what is replaced and whether it is an expression.
func (r Replace) Pattern() (pattern string, expression bool) {
	if r.expression != nil {
		return r.expression.String(), true
	}
	return r.literal, false
}

// Content is what stands in its place.
func (r Replace) Content() string { return r.content }

func (r Replace) step(token string, _ *stepState) string {
	if r.expression == nil {
		if r.literal == "" {
			return token
		}
		return strings.ReplaceAll(token, r.literal, r.content)
	}
	var out strings.Builder
	at := 0
	for start, end := range r.expression.Matches(token) {
		out.WriteString(token[at:start])
		out.WriteString(r.content)
		at = end
	}
	out.WriteString(token[at:])
	return out.String()
}

// SentencePiece is the decoder of SentencePiece: U+2581 is a blank, and one at
// the start of the text is gone.
type SentencePiece struct {
	Trim bool // a blank at the start of the text goes
	All  bool // all of them, if they come in several tokens

	Unknown string // the token of unknown characters, shown as U+2047
}

func (d SentencePiece) step(token string, s *stepState) string {
	if token == d.Unknown && token != "" {
		s.started = true
		return " \u2047 "
	}
	if d.Trim && !s.started {
		rest, ok := strings.CutPrefix(token, "\u2581")
		if s.started = !ok || !d.All || rest != ""; ok {
			token = rest
		}
	}
	return strings.ReplaceAll(token, "\u2581", " ")
}

// ByteLevel turns characters back into the bytes that they stand for in files
// of byte-level tokenizers.
type ByteLevel struct{ Byte func(r rune) (byte, bool) }

func (d ByteLevel) step(token string, _ *stepState) string {
	out := make([]byte, 0, len(token))
	for _, r := range token {
		b, ok := d.Byte(r)
		if !ok {
			return token
		}
		out = append(out, b)
	}
	return string(out)
}

// Spaced puts a blank between tokens: what happens without a decoder.
type Spaced struct{}

func (Spaced) step(token string, s *stepState) string {
	if s.first {
		return token
	}
	return " " + token
}
