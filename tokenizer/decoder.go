package tokenizer

import (
	"unicode/utf8"

	"forja/tokenizer/decode"
)

// A Decoder turns a stream of ids into readable text, for showing tokens as
// they are generated. It never returns part of a character: bytes that may
// still become one are held back until the tokens that complete it arrive.
// Bytes that cannot become one are replaced by U+FFFD, one for each maximal
// invalid sequence, as browsers and Hugging Face tokenizers do. A Decoder is
// not safe for concurrent use.
type Decoder struct {
	t      Tokenizer
	hidden map[int32]bool // ids that give no text
	held   []byte         // not yet returned; after Push an incomplete character
	text   []byte         // reused for the result

	// Of a Pipeline, whose tokens depend on those before them.
	pipeline *Pipeline
	state    *decode.State
}

// NewDecoder returns a Decoder for the ids of t. With skipSpecials, special
// tokens give no text, except those marked Visible.
func NewDecoder(t Tokenizer, skipSpecials bool) *Decoder {
	d := &Decoder{t: t, hidden: map[int32]bool{}}
	if skipSpecials {
		for _, s := range t.Specials() {
			d.hidden[s.ID] = !s.Visible
		}
	}
	if p, ok := unwrap(t).(*Pipeline); ok {
		d.pipeline = p
		d.state = p.config.Decoder.Start()
	}
	return d
}

// Push takes one more id and returns the text that is now certain, often "".
func (d *Decoder) Push(id int32) string {
	if d.hidden[id] {
		return ""
	}
	if d.pipeline != nil {
		d.held = d.pipeline.appendDecoded(d.held, d.state, id)
	} else {
		d.held = d.t.DecodeTo(d.held, []int32{id})
	}
	return d.take(false)
}

// Flush ends the stream: it returns what is held back, an incomplete
// character as U+FFFD, and makes the Decoder ready for another stream.
func (d *Decoder) Flush() string {
	if d.pipeline != nil {
		d.state = d.pipeline.config.Decoder.Start()
	}
	return d.take(true)
}

// take removes whole characters from the held bytes and returns them; at the
// end also what can no longer become one.
func (d *Decoder) take(end bool) string {
	d.text = d.text[:0]
	at := 0
	for at < len(d.held) {
		rest := d.held[at:]
		if !end && !utf8.FullRune(rest) {
			break
		}
		r, size := utf8.DecodeRune(rest)
		if r == utf8.RuneError && size == 1 {
			size = invalidLen(rest)
		}
		d.text = utf8.AppendRune(d.text, r)
		at += size
	}
	d.held = append(d.held[:0], d.held[at:]...)
	return string(d.text)
}

// invalidLen is the length of the maximal invalid sequence at the start of b,
// which does not start with a valid character: the longest beginning of a
// well-formed character, or else one byte.
func invalidLen(b []byte) int {
	for n := min(3, len(b)); n > 1; n-- {
		if !utf8.FullRune(b[:n]) {
			return n
		}
	}
	return 1
}
