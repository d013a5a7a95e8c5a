// Package tokenizer turns text into token ids and back.
//
// It trains vocabularies, reads and writes the files in which tokenizers
// travel, and gives the ids of the original implementations. There are two
// kinds of Tokenizer. A BPE is the byte-level one of GPT-2, LLaMA 3 and Qwen,
// fast because it does everything itself. A Pipeline is put together from parts
// as Hugging Face tokenizers and SentencePiece have them: a normalizer (package
// normalize), pre-tokenizers (pretokenize), a model (CharBPE, unigram,
// wordpiece) and a decoder (decode). Open reads either from any file.
//
// Two rules hold everywhere. Any bytes can be encoded, and a byte-level
// tokenizer decodes to exactly the bytes it was given. Text is only text:
// special tokens that occur in it are spelled out as ordinary tokens, unless
// the caller asks for them with WithSpecials.
//
// Every Tokenizer is immutable once built and safe for concurrent use.
//
// Deliberately absent: rendering chat templates, padding, truncation and
// batching, which belong to whoever builds model inputs; and parts of other
// tokenizer families, which readers refuse by name instead of ignoring.
package tokenizer

import (
	"iter"

	"forja/tokenizer/normalize"
)

// MaxVocab bounds the number of ids of any tokenizer. It is several times the
// largest vocabulary published, and keeps a damaged file from asking for
// unbounded memory.
const MaxVocab = 1 << 20

// A Tokenizer maps text to ids in [0, VocabSize) and back.
type Tokenizer interface {
	// EncodeTo appends the ids of text to dst. Special tokens are never
	// parsed from text. Invalid UTF-8 is encoded byte for byte.
	EncodeTo(dst []int32, text string) []int32

	// Encode returns the ids of text.
	Encode(text string) []int32

	// Count returns len(Encode(text)) without allocating the ids.
	Count(text string) int

	// Tokens yields the ids of text with the part of text that each stands
	// for. Parts are in order; they overlap where several tokens share a
	// character that was normalized, and need not cover the text.
	Tokens(text string) iter.Seq2[int32, Span]

	// DecodeTo appends the raw bytes of ids to dst. Special tokens decode to
	// their content. Ids that name no token are skipped. The result need not
	// be valid UTF-8: one character may be spread over several tokens.
	DecodeTo(dst []byte, ids []int32) []byte

	// Decode returns the raw bytes of ids as a string.
	Decode(ids []int32) string

	// VocabSize is the highest id plus one, special tokens included.
	VocabSize() int

	// Token describes an id; false means that no token has it.
	Token(id int32) (Token, bool)

	// ID finds a special or an ordinary token by its exact content.
	ID(token string) (int32, bool)

	// Specials lists the special tokens, sorted by id. The caller may keep
	// and change the slice.
	Specials() []Special
}

// A Span is a part of a text, from byte Start to before byte End.
type Span = normalize.Span

// A Token is what an id stands for.
type Token struct {
	// Bytes are the raw bytes of a token of a byte-level tokenizer, not always
	// valid UTF-8; the spelling in the vocabulary of any other; the content of
	// a special token.
	Bytes   string
	Special bool // never the result of encoding ordinary text
}

// A Special is a token that stands for a position or a role rather than for
// text: end of document, begin of turn. The last five fields are those of an
// added token of Hugging Face tokenizers; they are zero for most tokens.
type Special struct {
	ID      int32
	Content string

	Visible    bool // part of the readable text: decoders that skip specials keep it
	LStrip     bool // WithSpecials: swallow the white space before it
	RStrip     bool // WithSpecials: swallow the white space after it
	SingleWord bool // WithSpecials: only where no letter, digit or _ touches it
	Normalized bool // WithSpecials of Hugging Face matches it in normalized text; kept for writing
}
