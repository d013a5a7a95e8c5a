package tokenizer

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math"
	"runtime"
	"slices"
	"strings"
	"unicode/utf8"

	"forja/tokenizer/normalize"
	"forja/tokenizer/pretokenize"
)

// WordPieceOptions say what vocabulary to train for BERT. The zero value of
// every field but VocabSize is a good choice.
type WordPieceOptions struct {
	// VocabSize is the number of ids wanted: special tokens, characters, one
	// for each merge. Small corpora may give fewer.
	VocabSize int

	// Specials get the first ids, in this order; nil is BERT's [PAD], [UNK],
	// [CLS], [SEP], [MASK]. [UNK] must be among them.
	Specials []string

	// Cased keeps case and accents.
	Cased bool

	// ByFrequency merges the most frequent pair, as Hugging Face's trainer does.
	ByFrequency bool

	// MinFrequency is how often a pair must occur to be merged; 0 is 2.
	MinFrequency int64

	// MaxCharacters is how many different characters become tokens, the most
	// frequent ones; 0 is 1000. Words with others are unknown.
	MaxCharacters int

	// MaxTokenLength bounds the tokens, in characters without ##; 0 is no bound.
	MaxTokenLength int

	// Workers is the number of goroutines that count; 0 is GOMAXPROCS. It does
	// not change the result.
	Workers int

	// Progress, if not nil, is called now and then, never concurrently, and
	// once at the end.
	Progress func(TrainProgress)
}

// TrainWordPiece learns a WordPiece vocabulary from documents, cut into words
// as by BERT.
//
// Words start as characters, all but the first marked by ##. The pair of
// neighbours with the highest count(ab) / (count(a) · count(b)) becomes a token,
// again and again: that whose halves most prefer each other, by which the
// likelihood of the text rises most for each time it is used (Schuster and
// Nakajima 2012; Devlin et al. 2018). Of pairs that score the same the one with
// the lower left id wins, then the lower right id. Only pairs that are frequent
// enough take part: that occur half as often as the most frequent pair of
// characters, then, whenever no such pair is left, half as often again, down to
// MinFrequency.
//
// Trainers differ here. Google's was never published. Hugging Face's
// WordPieceTrainer takes the most frequent pair: it is BPE that writes ##, which
// ByFrequency does here. The score without steps of frequency, as textbooks have
// it, prefers rare characters that belong together to the point of learning
// words that occur once: of 8,000 such tokens an English text needs more than
// twice as many.
//
// The result depends only on the documents and the options, not on their order
// nor on Workers.
func TrainWordPiece(ctx context.Context, documents iter.Seq[string], options WordPieceOptions) (*Pipeline, error) {
	o, err := options.complete()
	if err != nil {
		return nil, fmt.Errorf("train WordPiece: %w", err)
	}
	tokens, err := o.train(ctx, documents)
	if err != nil {
		return nil, fmt.Errorf("train WordPiece: %w", err)
	}
	p, err := NewBert(tokens, o.Cased)
	if err != nil {
		return nil, fmt.Errorf("train WordPiece: %w", err)
	}
	return p, nil
}

// complete fills in what is left to choose, and checks the rest.
func (o WordPieceOptions) complete() (WordPieceOptions, error) {
	if o.Specials == nil {
		o.Specials = bertSpecials
	}
	if o.MinFrequency <= 0 {
		o.MinFrequency = 2
	}
	if o.MaxCharacters == 0 {
		o.MaxCharacters = 1000
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	switch {
	case o.VocabSize <= 0 || o.VocabSize > MaxVocab:
		return o, fmt.Errorf("vocabulary size %d: it must be from 1 to %d", o.VocabSize, MaxVocab)
	case o.MaxCharacters < 0:
		return o, fmt.Errorf("%d different characters: it must not be negative", o.MaxCharacters)
	case o.MaxTokenLength < 0 || o.MaxTokenLength > math.MaxInt32:
		return o, fmt.Errorf("maximum token length %d is negative or beyond all texts", o.MaxTokenLength)
	case !slices.Contains(o.Specials, "[UNK]"):
		return o, fmt.Errorf("the special tokens %q lack [UNK], which stands for unknown words", o.Specials)
	}
	return o, checkContents(o.Specials)
}

func (o *WordPieceOptions) train(ctx context.Context, documents iter.Seq[string]) ([]string, error) {
	progress := &reporter{call: o.Progress}
	raw, err := countWords(ctx, documents, o.Workers, func() counter { return addFields }, progress)
	if err != nil {
		return nil, err
	}
	words := o.bertWords(raw)
	if words.n == 0 {
		return nil, errNoText
	}
	progress.Words = words.n
	alphabet := o.characters(words)
	tokens := slices.Concat(o.Specials, alphabet)
	if len(tokens) > o.VocabSize {
		return nil, fmt.Errorf("vocabulary size %d: %d special tokens and %d characters, at the start of words and inside, are more; lower the number of characters",
			o.VocabSize, len(o.Specials), len(alphabet))
	}
	ids := make(map[string]int32, len(tokens))
	refuse := make(map[string]bool, len(o.Specials))
	for id, token := range tokens {
		ids[token] = int32(id)
		if id < len(o.Specials) {
			refuse[token] = true
		}
	}
	progress.MaxMerges = o.VocabSize - len(tokens)
	m := newMerger(words, mergeOptions{
		Tokens: tokens, Size: o.VocabSize, MinFrequency: o.MinFrequency, MaxCells: int32(o.MaxTokenLength), Prefix: "##", Refuse: refuse,
		Likelihood: !o.ByFrequency,
		Spell: func(dst []int32, word []byte) []int32 {
			n := len(dst)
			for at, r := range string(word) {
				id, ok := ids[continued(r, at)]
				if !ok {
					return dst[:n] // unknown as a whole
				}
				dst = append(dst, id)
			}
			return dst
		},
	})
	if err := m.run(ctx, progress); err != nil {
		return nil, err
	}
	progress.report(true)
	return m.tokens, nil
}

// addFields counts what stands between blanks and line breaks; the rules of
// BERT work on each alone as they do in the text.
func addFields(t *wordTable, text string) {
	for text != "" {
		n := strings.IndexAny(text, " \n\t\r")
		if n < 0 {
			n = len(text)
		}
		if n > 0 {
			t.add(hashWord(text[:n]), text[:n], 1)
		}
		text = text[min(n+1, len(text)):]
	}
}

// maxBertWord is the length in characters from which words are unknown.
const maxBertWord = 100

// bertWords normalizes and cuts words as BERT does. It empties the table.
func (o *WordPieceOptions) bertWords(raw *wordTable) *wordTable {
	rules := normalize.Bert{CleanText: true, Chinese: true, StripAccents: !o.Cased, Lowercase: !o.Cased}
	words := newWordTable()
	var pieces []normalize.Text
	for i := range raw.slots {
		s := &raw.slots[i]
		if s.count == 0 {
			continue
		}
		text := rules.Normalize(normalize.Of(strings.ToValidUTF8(string(raw.word(s)), "\ufffd"), false))
		pieces = pretokenize.Bert{}.Append(pieces[:0], text)
		for _, piece := range pieces {
			if utf8.RuneCountInString(piece.S) <= maxBertWord {
				words.add(hashWord(piece.S), piece.S, s.count)
			}
		}
	}
	*raw = wordTable{}
	return words
}

// continued is the token of a character at some place of a word.
func continued(r rune, at int) string {
	if at > 0 {
		return "##" + string(r)
	}
	return string(r)
}

// characters are the tokens of single characters, those that start words
// first, each in order of code points.
func (o *WordPieceOptions) characters(words *wordTable) []string {
	counts := map[rune]int64{}
	for i := range words.slots {
		if s := &words.slots[i]; s.count > 0 {
			for _, r := range string(words.word(s)) {
				counts[r] += s.count
			}
		}
	}
	chars := make([]rune, 0, len(counts))
	for r := range counts {
		chars = append(chars, r)
	}
	slices.SortFunc(chars, func(a, b rune) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	chars = chars[:min(len(chars), o.MaxCharacters)]
	kept := make(map[rune]bool, len(chars))
	for _, r := range chars {
		kept[r] = true
	}
	occurs := map[string]bool{}
	for i := range words.slots {
		if s := &words.slots[i]; s.count > 0 {
			for at, r := range string(words.word(s)) {
				if kept[r] {
					occurs[continued(r, at)] = true
				}
			}
		}
	}
	slices.Sort(chars)
	var tokens []string
	for at := range 2 {
		for _, r := range chars {
			if occurs[continued(r, at)] {
				tokens = append(tokens, continued(r, at))
			}
		}
	}
	return tokens
}
