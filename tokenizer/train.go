package tokenizer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"runtime"
	"slices"
	"time"
	"unicode/utf8"

	"forja/tokenizer/internal/bytelevel"
	"forja/tokenizer/split"
)

// TrainOptions say what vocabulary to train. The zero value of every field
// but VocabSize is a good choice.
type TrainOptions struct {
	// VocabSize is the number of ids wanted: special tokens, 256 bytes, one
	// for each merge. Small corpora may give fewer.
	VocabSize int

	// Specials are the contents of the special tokens. They get the first
	// ids, in this order, as with Hugging Face's trainer.
	Specials []string

	// Reserved is the number of special tokens that follow Specials for later
	// use. They are called <|reserved_special_token_0|> and so on, as LLaMA 3
	// has them.
	Reserved int

	// Split is the pre-tokenizer; nil is split.GPT2.
	Split *split.Pattern

	// MinFrequency is how often a pair must occur to be merged; 0 is 1.
	MinFrequency int64

	// MaxTokenLength bounds the tokens, in bytes; 0 is no bound.
	MaxTokenLength int

	// Workers is the number of goroutines that split and count; 0 is
	// GOMAXPROCS. It does not change the result.
	Workers int

	// Progress, if not nil, is called now and then, never concurrently, and
	// once at the end.
	Progress func(TrainProgress)
}

// TrainProgress is how far a training has come. Merges start once all text
// has been counted.
type TrainProgress struct {
	Bytes     int64 // of text handed to the counters
	Words     int   // different pre-tokens; 0 until all are counted
	Merges    int   // found so far
	MaxMerges int   // at most to be found; 0 for Unigram, which does not merge
	Pieces    int   // of Unigram: how many are left
}

// TrainBPE learns a byte-level BPE from documents. Pre-tokens never cross the
// border of a document.
//
// Starting from bytes, the pair of neighbouring tokens that occurs most often
// becomes a token, again and again. Of pairs that occur equally often the one
// with the lower left id wins, then the lower right id; bytes have their ids in
// GPT-2's order, "!" first. The result depends only on the documents and the
// options, not on their order nor on Workers, and equals that of Hugging Face's
// BpeTrainer with the byte-level alphabet.
//
// Memory grows with the different pre-tokens, not with the text: about 25
// bytes for each of their bytes. It fails on options that make no sense, if
// there is no text, and if ctx ends.
func TrainBPE(ctx context.Context, documents iter.Seq[string], options TrainOptions) (*BPE, error) {
	o, err := options.complete()
	if err != nil {
		return nil, fmt.Errorf("train BPE: %w", err)
	}
	progress := &reporter{TrainProgress: TrainProgress{MaxMerges: o.VocabSize - 256 - len(o.Specials)}, call: o.Progress}
	words, err := countWords(ctx, documents, o.Workers, func() counter {
		return func(t *wordTable, text string) { t.addPieces(o.Split, text) }
	}, progress)
	if err != nil {
		return nil, fmt.Errorf("train BPE: %w", err)
	}
	progress.Words = words.n
	config := BPEConfig{Split: o.Split}
	for i, content := range o.Specials {
		config.Specials = append(config.Specials, Special{ID: int32(i), Content: content})
		config.Tokens = append(config.Tokens, "")
	}
	for _, c := range bytelevel.InOrder {
		config.Tokens = append(config.Tokens, string([]byte{c}))
	}
	refuse := make(map[string]bool, len(o.Specials))
	for _, content := range o.Specials {
		refuse[content] = true
	}
	var ids [256]int32
	for i, c := range bytelevel.InOrder {
		ids[c] = int32(len(o.Specials) + i)
	}
	m := newMerger(words, mergeOptions{
		Tokens: config.Tokens, Size: o.VocabSize, MinFrequency: o.MinFrequency, MaxCells: int32(o.MaxTokenLength), Refuse: refuse,
		Spell: func(dst []int32, word []byte) []int32 {
			for _, c := range word {
				dst = append(dst, ids[c])
			}
			return dst
		},
	})
	if err := m.run(ctx, progress); err != nil {
		return nil, fmt.Errorf("train BPE: %w", err)
	}
	progress.report(true)
	config.Tokens, config.Merges = m.tokens, m.merges
	b, err := NewBPE(config)
	if err != nil {
		return nil, fmt.Errorf("train BPE: %w", err)
	}
	return b, nil
}

// complete fills in what is left to choose, and checks the rest.
func (o TrainOptions) complete() (TrainOptions, error) {
	if o.Split == nil {
		o.Split = split.GPT2
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	o.MinFrequency = max(o.MinFrequency, 1)
	if o.Reserved < 0 || o.Reserved > MaxVocab {
		return o, fmt.Errorf("%d reserved tokens: it must be from 0 to %d", o.Reserved, MaxVocab)
	}
	o.Specials = slices.Clip(o.Specials)
	for i := range o.Reserved {
		o.Specials = append(o.Specials, fmt.Sprintf("<|reserved_special_token_%d|>", i))
	}
	least := 256 + len(o.Specials)
	switch {
	case o.VocabSize < least || o.VocabSize > MaxVocab:
		return o, fmt.Errorf("vocabulary size %d: it must be from %d (256 bytes and %d special tokens) to %d", o.VocabSize, least, len(o.Specials), MaxVocab)
	case !o.Split.Scans():
		return o, errors.New("the split is an expression that only the regular expression engine runs: training needs one of split.Patterns")
	case o.MaxTokenLength < 0 || o.MaxTokenLength > math.MaxInt32:
		return o, fmt.Errorf("maximum token length %d is negative or beyond all texts", o.MaxTokenLength)
	}
	return o, checkContents(o.Specials)
}

// checkContents checks the special tokens of a vocabulary to be trained.
func checkContents(specials []string) error {
	seen := make(map[string]bool, len(specials))
	for _, content := range specials {
		if len(content) < 2 {
			return fmt.Errorf("special token %q: it must be longer than one byte", content)
		}
		if !utf8.ValidString(content) {
			return fmt.Errorf("special token %q is not UTF-8", content)
		}
		if seen[content] {
			return fmt.Errorf("special token %q is listed twice", content)
		}
		seen[content] = true
	}
	return nil
}

var errNoText = errors.New("the documents contain no text")

// A reporter calls the progress function at most ten times a second.
type reporter struct {
	TrainProgress
	call func(TrainProgress)
	last time.Time
}

func (r *reporter) report(always bool) {
	if r.call == nil || !always && time.Since(r.last) < 100*time.Millisecond {
		return
	}
	r.last = time.Now()
	r.call(r.TrainProgress)
}
