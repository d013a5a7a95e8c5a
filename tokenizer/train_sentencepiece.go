package tokenizer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"runtime"
	"slices"
	"strings"

	"forja/tokenizer/normalize"
	"forja/tokenizer/unigram"
)

// SentencePieceOptions say what vocabulary to train for the pipeline of
// SentencePiece. The zero value of every field but VocabSize is a good choice:
// with it, valid UTF-8 decodes to what it was.
type SentencePieceOptions struct {
	// VocabSize is the number of ids wanted: <unk>, <s>, </s>, Specials, bytes,
	// pieces. Small corpora may give fewer.
	VocabSize int

	// Specials are control tokens besides <unk>, <s> and </s>; their ids follow.
	Specials []string

	// Rules normalize text; nil puts a blank before it, makes blanks U+2581,
	// and changes nothing else, as in LLaMA's model. The rules of an existing
	// .model, such as NFKC, are its Pipeline's normalizer.
	Rules *normalize.SentencePiece

	// Coverage is the share of the text whose characters, the most frequent
	// ones, become pieces; 0 is 0.9995.
	Coverage float64

	// NoBytes leaves out the tokens of bytes: other characters become <unk>.
	NoBytes bool

	SplitDigits    bool  // every digit is a piece of its own
	Blanks         bool  // pieces of several blanks, for code
	MinFrequency   int64 // of a pair that BPE merges; 0 is 1
	MaxTokenLength int   // of pieces in characters; 0 is 16

	// Workers is the number of goroutines; 0 is GOMAXPROCS. It does not change
	// the result.
	Workers int

	// Progress, if not nil, is called now and then, never concurrently, and
	// once at the end.
	Progress func(TrainProgress)
}

// TrainUnigram learns a Unigram model from documents, as spm_train does; see
// unigram.Train. Each line is a sentence of its own. Pieces start with a blank
// or have none, and keep to one script; digits and punctuation are one, and
// Han, Hiragana and Katakana together are.
//
// The result depends only on the documents and the options, not on their order
// nor on Workers. It can be written as a .model and as tokenizer.json.
func TrainUnigram(ctx context.Context, documents iter.Seq[string], options SentencePieceOptions) (*Pipeline, error) {
	return trainSentencePiece(ctx, documents, options, spmUnigram, "train Unigram")
}

// TrainSentencePieceBPE learns a BPE over characters from documents, as
// spm_train does: like TrainUnigram, but starting from characters, the pair of
// neighbours that occurs most often becomes a piece, again and again. Of pairs
// that occur equally often the one whose left half, then right half came first
// wins, where more frequent characters come first; spm_train decides by length
// and spelling, and looks only at a part of the pairs most of the time.
func TrainSentencePieceBPE(ctx context.Context, documents iter.Seq[string], options SentencePieceOptions) (*Pipeline, error) {
	return trainSentencePiece(ctx, documents, options, spmBPE, "train SentencePiece BPE")
}

// TrainCharacters makes a tokenizer whose pieces are single characters, those
// that occur most often in documents.
func TrainCharacters(ctx context.Context, documents iter.Seq[string], options SentencePieceOptions) (*Pipeline, error) {
	return trainSentencePiece(ctx, documents, options, spmChar, "train characters")
}

func trainSentencePiece(ctx context.Context, documents iter.Seq[string], options SentencePieceOptions, kind uint64, what string) (*Pipeline, error) {
	o, err := options.complete()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	t := sentencePieceTrainer{options: o, kind: kind, progress: &reporter{call: o.Progress}}
	p, err := t.train(ctx, documents)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return p, nil
}

// complete fills in what is left to choose, and checks the rest.
func (o SentencePieceOptions) complete() (SentencePieceOptions, error) {
	if o.Rules == nil {
		o.Rules = &normalize.SentencePiece{Prefix: true, Escape: true, Name: "identity"}
	}
	if o.Coverage == 0 {
		o.Coverage = 0.9995
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.MaxTokenLength == 0 {
		o.MaxTokenLength = 16
	}
	o.MinFrequency = max(o.MinFrequency, 1)
	o.Specials = append([]string{"<unk>", "<s>", "</s>"}, o.Specials...)
	switch {
	case o.VocabSize <= 0 || o.VocabSize > MaxVocab:
		return o, fmt.Errorf("vocabulary size %d: it must be from 1 to %d", o.VocabSize, MaxVocab)
	case !(o.Coverage > 0 && o.Coverage <= 1):
		return o, fmt.Errorf("character coverage %v: it must be more than 0 and at most 1", o.Coverage)
	case o.MaxTokenLength < 0 || o.MaxTokenLength > 1<<10:
		return o, fmt.Errorf("maximum token length %d: it must be from 1 to %d", o.MaxTokenLength, 1<<10)
	case !o.Rules.Escape || o.Rules.Suffix || o.Rules.Verbatim != nil:
		return o, errors.New("the rules leave blanks as they are, put them behind words, or spare some words: training supports none of these")
	}
	return o, checkContents(o.Specials)
}

// A sentencePieceTrainer is a training at work.
type sentencePieceTrainer struct {
	options  SentencePieceOptions
	kind     uint64
	progress *reporter
	chars    []pieceChar // that become pieces, the most frequent first
	infos    map[rune]charInfo
}

func (t *sentencePieceTrainer) train(ctx context.Context, documents iter.Seq[string]) (*Pipeline, error) {
	o := &t.options
	words, err := countWords(ctx, documents, o.Workers, t.newCounter, t.progress)
	if err != nil {
		return nil, err
	}
	t.findCharacters(words)
	m := &spmModel{kind: t.kind, byteFallback: !o.NoBytes, name: o.Rules.Name,
		prefix: o.Rules.Prefix, removeExtra: o.Rules.RemoveExtra, escape: true}
	if o.Rules.Map != nil {
		m.charsmap = o.Rules.Map.Blob()
	}
	for i, content := range o.Specials {
		kind := uint64(spmControl)
		if i == 0 {
			kind = spmUnknown
		}
		m.pieces = append(m.pieces, spmPiece{content, 0, kind})
	}
	if !o.NoBytes {
		for b := range 256 {
			m.pieces = append(m.pieces, spmPiece{byteToken(byte(b)), 0, spmByte})
		}
	}
	room := o.VocabSize - len(m.pieces)
	if room < len(t.chars) && t.kind != spmChar {
		return nil, fmt.Errorf("vocabulary size %d: there are %d tokens for roles and bytes, and %d characters make up %v of the text; the sum is the least size",
			o.VocabSize, len(m.pieces), len(t.chars), o.Coverage)
	}
	if room < 1 {
		return nil, fmt.Errorf("vocabulary size %d: there are %d tokens for roles and bytes alone", o.VocabSize, len(m.pieces))
	}
	if t.kind == spmChar {
		t.progress.Words = words.n
		m.pieces = append(m.pieces, t.characterPieces(t.chars[:min(room, len(t.chars))])...)
	} else {
		segments := t.cut(words)
		*words = wordTable{}
		t.progress.Words = segments.n
		train := t.trainUnigram
		if t.kind == spmBPE {
			train = t.trainBPE
		}
		pieces, err := train(ctx, segments, room)
		if err != nil {
			return nil, err
		}
		m.pieces = append(m.pieces, pieces...)
	}
	t.progress.report(true)
	taken := map[string]bool{}
	for _, p := range m.pieces {
		if taken[p.text] {
			return nil, fmt.Errorf("the text has the special token %q as a word; call it something else", p.text)
		}
		taken[p.text] = true
	}
	return m.build()
}

// characterPieces are characters with their log probabilities.
func (t *sentencePieceTrainer) characterPieces(chars []pieceChar) (pieces []spmPiece) {
	sum := 0.0
	for _, c := range chars {
		sum += float64(c.count)
	}
	for _, c := range chars {
		pieces = append(pieces, spmPiece{string(c.r), float32(math.Log(float64(c.count) / sum)), spmNormal})
	}
	return pieces
}

func (t *sentencePieceTrainer) trainUnigram(ctx context.Context, segments *wordTable, room int) ([]spmPiece, error) {
	words := make([]unigram.Word, 0, segments.n)
	for i := range segments.slots {
		if s := &segments.slots[i]; s.count > 0 {
			words = append(words, unigram.Word{Text: string(segments.word(s)), Count: s.count})
		}
	}
	*segments = wordTable{}
	found, err := unigram.Train(ctx, words, unigram.TrainOptions{
		Size: room, MaxPiece: t.options.MaxTokenLength, Workers: t.options.Workers,
		Progress: func(pieces int) {
			t.progress.Pieces = pieces
			t.progress.report(false)
		},
	})
	if err != nil {
		return nil, err
	}
	pieces := make([]spmPiece, len(found))
	for i, p := range found {
		pieces[i] = spmPiece{p.Text, float32(p.Score), spmNormal}
	}
	t.progress.Pieces = len(pieces)
	return pieces, nil
}

// trainBPE returns the merged pieces in order of rank, then the characters;
// each scores less than the one before.
func (t *sentencePieceTrainer) trainBPE(ctx context.Context, segments *wordTable, room int) ([]spmPiece, error) {
	var tokens []string
	for _, c := range t.chars {
		tokens = append(tokens, string(c.r))
	}
	t.progress.MaxMerges = room - len(tokens)
	m := newMerger(segments, mergeOptions{
		Tokens: tokens, Size: room, MinFrequency: t.options.MinFrequency, MaxCells: int32(t.options.MaxTokenLength),
		Spell: func(dst []int32, word []byte) []int32 {
			for _, r := range string(word) {
				dst = append(dst, t.infos[r].id)
			}
			return dst
		},
	})
	if err := m.run(ctx, t.progress); err != nil {
		return nil, err
	}
	var pieces []spmPiece
	for _, token := range slices.Concat(m.tokens[len(tokens):], tokens) {
		pieces = append(pieces, spmPiece{token, -float32(len(pieces)), spmNormal})
	}
	return pieces, nil
}

// A pieceChar is a character that becomes a piece.
type pieceChar struct {
	r     rune
	count int64
}

// findCharacters finds the characters that become pieces.
func (t *sentencePieceTrainer) findCharacters(words *wordTable) {
	counts := map[rune]int64{}
	total := int64(0)
	for i := range words.slots {
		s := &words.slots[i]
		if s.count == 0 {
			continue
		}
		for _, r := range t.spelling(words.word(s)) {
			counts[r] += s.count
			total += s.count
		}
	}
	chars := make([]pieceChar, 0, len(counts))
	for r, n := range counts {
		if r != 0 && r != '\ufffd' {
			chars = append(chars, pieceChar{r, n})
		}
	}
	slices.SortFunc(chars, func(a, b pieceChar) int { return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.r, b.r)) })
	covered := int64(0)
	t.infos = make(map[rune]charInfo, len(chars))
	for i, c := range chars {
		if float64(covered) >= t.options.Coverage*float64(total) {
			chars = chars[:i]
			break
		}
		covered += c.count
		t.infos[c.r] = charInfo{int32(i), scriptOf(c.r)}
	}
	t.chars = chars
}

// spelling is a word as its pieces spell it.
func (t *sentencePieceTrainer) spelling(word []byte) string {
	switch s := string(word); {
	case s[0] == ' ':
		return normalize.Meta + s[1:]
	case t.options.Rules.Prefix && !strings.HasPrefix(s, normalize.Meta):
		return normalize.Meta + s
	default:
		return s
	}
}
