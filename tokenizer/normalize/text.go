// Package normalize brings text into the form that a vocabulary was made for:
// Unicode normalization forms, lower case, replaced characters, the rules of
// BERT and of SentencePiece.
//
// Normalizers do what those of Hugging Face tokenizers and of SentencePiece do,
// quirks included, and remember where every byte comes from. They are values
// without hidden state, safe for concurrent use.
//
// Deliberately absent: cutting text into pieces (package pretokenize) and
// normalizers that no published tokenizer uses.
package normalize

// A Span is a part of a text, from byte Start to before byte End.
type Span struct{ Start, End int }

// A Text is a text on its way to the model.
type Text struct {
	S string

	// First tells that the text starts where the whole input starts.
	First bool

	// Track asks normalizers to keep account of where bytes come from. The
	// place of byte i in the input is From[i], or At+i if From is nil.
	Track bool
	At    int
	From  []Span
}

// Of returns an input as a Text.
func Of(s string, track bool) Text { return Text{S: s, First: true, Track: track} }

// Sub is the part of the text from byte start to before byte end.
func (t Text) Sub(start, end int) Text {
	sub := Text{S: t.S[start:end], First: t.First && start == 0, Track: t.Track, At: t.At + start}
	if t.From != nil {
		sub.From = t.From[start:end]
	}
	return sub
}

// Place is where the bytes from start to before end come from in the input.
func (t Text) Place(start, end int) Span {
	switch {
	case t.From == nil:
		return Span{t.At + start, t.At + end}
	case len(t.From) == 0:
		return Span{t.At, t.At}
	case start >= end:
		if start < len(t.From) {
			return Span{t.From[start].Start, t.From[start].Start}
		}
		return Span{t.From[len(t.From)-1].End, t.From[len(t.From)-1].End}
	}
	return Span{t.From[start].Start, t.From[end-1].End}
}

// A Normalizer rewrites text.
type Normalizer interface{ Normalize(t Text) Text }

// Sequence applies normalizers one after the other.
type Sequence []Normalizer

// Normalize implements Normalizer.
func (s Sequence) Normalize(t Text) Text {
	for _, n := range s {
		t = n.Normalize(t)
	}
	return t
}

// An Editor writes a changed copy of a text from front to back. As long as
// nothing changes it copies nothing.
type Editor struct {
	src     Text
	at      int
	out     []byte
	from    []Span
	changed bool
}

// Edit starts an edit at the start of the text.
func (t Text) Edit() *Editor { return &Editor{src: t} }

// Keep copies the next n bytes.
func (e *Editor) Keep(n int) {
	if e.changed {
		e.copy(e.at, e.at+n)
	}
	e.at += n
}

func (e *Editor) copy(start, end int) {
	e.out = append(e.out, e.src.S[start:end]...)
	if !e.src.Track {
		return
	}
	for i := start; i < end; i++ {
		e.from = append(e.from, e.src.Place(i, i+1))
	}
}

// Replace puts s where the next n bytes are; n may be 0.
func (e *Editor) Replace(n int, s string) {
	if !e.changed {
		if e.src.S[e.at:e.at+n] == s {
			e.at += n
			return
		}
		e.changed = true
		e.out = make([]byte, 0, len(e.src.S)+len(s)+16)
		if e.src.Track {
			e.from = make([]Span, 0, cap(e.out))
		}
		e.copy(0, e.at)
	}
	e.out = append(e.out, s...)
	if e.src.Track {
		place := e.src.Place(e.at, e.at+n)
		for range len(s) {
			e.from = append(e.from, place)
		}
	}
	e.at += n
}

// Rest is what was not yet kept or replaced.
func (e *Editor) Rest() string { return e.src.S[e.at:] }

// Done keeps the rest and returns the new text.
func (e *Editor) Done() Text {
	if !e.changed {
		return e.src
	}
	e.Keep(len(e.src.S) - e.at)
	t := e.src
	t.S, t.From = string(e.out), e.from
	return t
}
