package tokenizer

import (
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"forja/tokenizer/normalize"
	"forja/tokenizer/pretokenize"
)

// maxStream bounds what EncodeReader holds of texts that can only be encoded
// whole.
const maxStream = 1 << 30

// EncodeReader encodes the text of r and passes the ids to emit, some at a
// time, in a slice that it uses again. The ids are those of Encode of the whole
// text. It stops at the first error of r or emit.
//
// A byte-level BPE needs memory for the longest run of letters or of white
// space; WordPiece with the rules of BERT for the longest text without a blank
// between two ASCII letters. Other tokenizers, those with an expression as
// split, and WithSpecials, need the whole text in memory: more than 1 GiB of it
// is an error.
func EncodeReader(t Tokenizer, r io.Reader, emit func(ids []int32) error) error {
	s := &stream{r: r, emit: emit}
	var err error
	switch t := t.(type) {
	case *BPE:
		switch {
		case !t.config.Split.Scans():
			err = s.whole(t)
		case t.config.NFC:
			s.r = &formReader{r: r}
			err = s.bpe(t)
		default:
			err = s.bpe(t)
		}
	case *Pipeline:
		if t.isLocal() {
			err = s.byWords(t)
		} else {
			err = s.whole(t)
		}
	default:
		err = s.whole(t)
	}
	if err != nil {
		return fmt.Errorf("encode stream: %w", err)
	}
	return nil
}

// A stream is the text that was read and not yet encoded.
type stream struct {
	r    io.Reader
	emit func(ids []int32) error
	text []byte
	ids  []int32
	end  bool
}

const streamChunk = 1 << 18

// fill reads more: a chunk, or as much again as there is.
func (s *stream) fill() error {
	start := len(s.text)
	want := start + max(streamChunk, start)
	if cap(s.text) < want {
		s.text = append(make([]byte, 0, want), s.text...)
	}
	for len(s.text) < want && !s.end {
		n, err := s.r.Read(s.text[len(s.text):want])
		s.text = s.text[:len(s.text)+n]
		if errors.Is(err, io.EOF) {
			s.end = true
		} else if err != nil {
			return err
		}
	}
	return nil
}

// flush emits the ids and forgets the first n bytes.
func (s *stream) flush(n int) error {
	s.text = append(s.text[:0], s.text[n:]...)
	if len(s.ids) == 0 {
		return nil
	}
	err := s.emit(s.ids)
	s.ids = s.ids[:0]
	return err
}

// bpe encodes pre-tokens as soon as they are settled.
func (s *stream) bpe(b *BPE) error {
	w := b.workspaces.Get().(*workspace)
	defer b.workspaces.Put(w)
	pattern := b.config.Split
	for !s.end {
		if err := s.fill(); err != nil {
			return err
		}
		text := string(s.text)
		settled := pattern.Settled(text)
		if s.end {
			settled = len(text)
		}
		done := 0
		for done < settled {
			n := min(pattern.Next(text[done:]), maxWord)
			if done+n > settled {
				if n == maxWord { // cut there whatever follows
					s.ids = b.appendWord(w, s.ids, text[done:done+n])
					done += n
					continue
				}
				break
			}
			s.ids = append(s.ids, b.word(w, text[done:done+n])...)
			done += n
		}
		if err := s.flush(done); err != nil {
			return err
		}
	}
	return nil
}

// isLocal reports whether blanks between letters part the pipeline's input into
// texts that can be encoded on their own.
func (p *Pipeline) isLocal() bool {
	normalizers, ok := p.config.Normalizer.(normalize.Sequence)
	if !ok && p.config.Normalizer != nil {
		normalizers = normalize.Sequence{p.config.Normalizer}
	}
	for _, n := range normalizers {
		switch n.(type) {
		case normalize.Bert, normalize.Form, normalize.Lowercase, normalize.StripAccents:
		default:
			return false
		}
	}
	cutters, ok := p.config.PreTokenizer.(pretokenize.Sequence)
	if !ok {
		cutters = pretokenize.Sequence{p.config.PreTokenizer}
	}
	if len(cutters) == 0 {
		return false
	}
	switch cutters[0].(type) {
	case pretokenize.Bert, pretokenize.WhitespaceSplit, pretokenize.Whitespace:
	default:
		return false
	}
	for _, c := range cutters[1:] {
		switch c.(type) {
		case pretokenize.Bert, pretokenize.WhitespaceSplit, pretokenize.Whitespace, pretokenize.Punctuation, pretokenize.Digits:
		default:
			return false
		}
	}
	return true
}

// byWords encodes up to the last blank between two ASCII letters.
func (s *stream) byWords(p *Pipeline) error {
	isLetter := func(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }
	for !s.end {
		if err := s.fill(); err != nil {
			return err
		}
		end := len(s.text)
		if !s.end {
			for end -= 2; end > 0; end-- {
				if s.text[end] == ' ' && isLetter(s.text[end-1]) && isLetter(s.text[end+1]) {
					break
				}
			}
			if end <= 0 {
				continue
			}
		}
		s.ids = p.EncodeTo(s.ids, string(s.text[:end]))
		if err := s.flush(end); err != nil {
			return err
		}
	}
	return nil
}

// whole reads everything first.
func (s *stream) whole(t Tokenizer) error {
	for !s.end {
		if err := s.fill(); err != nil {
			return err
		}
		if len(s.text) > maxStream {
			return fmt.Errorf("the text is longer than %d bytes, the limit for a tokenizer that needs it whole: split it", maxStream)
		}
	}
	s.ids = t.EncodeTo(s.ids, string(s.text))
	return s.flush(len(s.text))
}

// formReader brings what it reads into normalization form C.
type formReader struct {
	r    io.Reader
	raw  []byte // not yet normalized: from the last place that nothing before it changes
	done []byte // normalized, not yet given away
	err  error
}

func (f *formReader) Read(p []byte) (int, error) {
	for len(f.done) == 0 && f.err == nil {
		at := len(f.raw)
		f.raw = append(f.raw, make([]byte, max(1<<15, at))...)
		var n int
		n, f.err = f.r.Read(f.raw[at:])
		f.raw = f.raw[:at+n]
		end := len(f.raw)
		if f.err == nil {
			end = lastBoundary(f.raw)
		}
		f.done = append(f.done[:0], normalize.NFC.Normalize(normalize.Of(string(f.raw[:end]), false)).S...)
		f.raw = append(f.raw[:0], f.raw[end:]...)
	}
	if len(f.done) == 0 {
		return 0, f.err
	}
	n := copy(p, f.done)
	f.done = f.done[n:]
	return n, nil
}

// lastBoundary is the last place before which nothing depends on what follows,
// and after which nothing depends on what is before.
func lastBoundary(b []byte) int {
	for at := len(b) - 1; at > 0; at-- {
		if utf8.RuneStart(b[at]) && utf8.FullRune(b[at:]) && norm.NFC.Properties(b[at:]).BoundaryBefore() {
			return at
		}
	}
	return 0
}

// Truncate returns the start of text that the first n tokens stand for, without
// keeping ids: all of it if there are no more. It may end inside a character
// where a token does.
func Truncate(t Tokenizer, text string, n int) string {
	if n <= 0 {
		return ""
	}
	end := 0
	for _, span := range t.Tokens(text) {
		if n == 0 {
			return text[:end]
		}
		n--
		end = max(end, span.End)
	}
	return text
}
