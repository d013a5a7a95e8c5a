package tokenizer

import (
	"errors"
	"fmt"

	"forja/tokenizer/decode"
	"forja/tokenizer/internal/bytelevel"
	"forja/tokenizer/normalize"
	"forja/tokenizer/pretokenize"
	"forja/tokenizer/split"
	"forja/tokenizer/unigram"
	"forja/tokenizer/wordpiece"
)

// build turns what was read into a tokenizer.
func (f *jsonFile) build() (Tokenizer, error) {
	normalizers, err := readNormalizers(f.normalizer)
	if err != nil {
		return nil, err
	}
	cutters, err := readPreTokenizers(f.preTokenizer)
	if err != nil {
		return nil, err
	}
	template, err := readTemplate(f.postProcessor)
	if err != nil {
		return nil, err
	}
	chain, err := readDecoders(f.decoding)
	if err != nil {
		return nil, err
	}
	config := PipelineConfig{Decoder: chain, Template: template, Specials: f.specials}
	if len(normalizers) > 0 {
		config.Normalizer = normalizers
	}
	if f.kind == "BPE" && f.isByteLevel(cutters) {
		return f.byteLevel(config, normalizers, cutters)
	}
	if len(cutters) > 0 {
		config.PreTokenizer = cutters
	}
	switch f.kind {
	case "BPE":
		config.Model, err = f.charBPE()
	case "WordPiece":
		config.Model, err = f.wordPiece()
	case "Unigram":
		config.Model, err = f.unigram()
	default:
		return nil, fmt.Errorf("the model %s is not supported; BPE, WordPiece and Unigram are", f.kind)
	}
	if err != nil {
		return nil, err
	}
	t, err := NewPipeline(config)
	if err != nil {
		return nil, err
	}
	return t, template.check(t.VocabSize())
}

// isByteLevel reports whether the model knows tokens by their bytes: the last
// pre-tokenizer spells them.
func (f *jsonFile) isByteLevel(cutters pretokenize.Sequence) bool {
	if len(cutters) == 0 || f.prefix+f.suffix != "" || f.byteFallback {
		return false
	}
	_, ok := cutters[len(cutters)-1].(pretokenize.ByteLevel)
	return ok
}

// byteLevel makes a BPE, or a Pipeline around one if more is to be done than
// it can do itself.
func (f *jsonFile) byteLevel(config PipelineConfig, normalizers normalize.Sequence, cutters pretokenize.Sequence) (Tokenizer, error) {
	bpe := BPEConfig{WholeWords: f.wholeWords, Specials: f.specials, Template: config.Template, Split: split.GPT2}
	if err := f.byteTokens(&bpe); err != nil {
		return nil, err
	}
	last := cutters[len(cutters)-1].(pretokenize.ByteLevel)
	plain := !last.PrefixSpace
	switch len(cutters) {
	case 1:
		plain = plain && last.Split
	case 2:
		first, ok := cutters[0].(pretokenize.Split)
		if plain = plain && ok && !last.Split && first.Pattern != nil && cutsAtMatches(first); plain {
			bpe.Split = first.Pattern
		}
	default:
		plain = false
	}
	switch {
	case len(normalizers) == 1 && normalizers[0] == normalize.NFC:
		bpe.NFC = plain
	case len(normalizers) > 0:
		plain = false
	}
	_, decodes := config.Decoder[0].(decode.ByteLevel)
	_, spaced := config.Decoder[0].(decode.Spaced)
	if len(config.Decoder) > 1 || !decodes && !spaced {
		return nil, errors.New("a byte-level model with a decoder other than ByteLevel is not supported")
	}
	if plain {
		b, err := NewBPE(bpe)
		if err != nil {
			return nil, err
		}
		return b, config.Template.check(b.VocabSize())
	}
	model, err := NewBPE(bpe)
	if err != nil {
		return nil, err
	}
	last.Spell = false
	config.Model, config.Decoder = model, nil
	config.PreTokenizer = append(cutters[:len(cutters)-1:len(cutters)-1], last)
	p, err := NewPipeline(config)
	if err != nil {
		return nil, err
	}
	return p, config.Template.check(p.VocabSize())
}

// cutsAtMatches reports whether a Split does what a BPE does with its pattern.
// A scanner matches everything: to keep what matches is the same.
func cutsAtMatches(s pretokenize.Split) bool {
	if s.Invert {
		return s.Behavior == pretokenize.Removed && s.Pattern.Scans()
	}
	return s.Behavior == pretokenize.Isolated
}

// tokensByID lists the vocabulary by id.
func (f *jsonFile) tokensByID() ([]string, error) {
	var tokens []string
	for i, token := range f.tokens {
		id := f.ids[i]
		for int(id) >= len(tokens) {
			tokens = append(tokens, "")
		}
		if tokens[id] != "" {
			return nil, fmt.Errorf("tokens %q and %q have the same id %d", tokens[id], token, id)
		}
		tokens[id] = token
	}
	for _, s := range f.specials {
		if id, ok := f.find(s.Content); ok && id != s.ID {
			return nil, fmt.Errorf("added token %q has the id %d, but %d in the vocabulary", s.Content, s.ID, id)
		}
	}
	return tokens, nil
}

// hidden tells which ids text never produces: those of special tokens.
func (f *jsonFile) hidden() func(id int32) bool {
	hidden := map[int32]bool{}
	for _, s := range f.specials {
		hidden[s.ID] = !s.Visible
	}
	return func(id int32) bool { return hidden[id] }
}

// unknownToken is the id of unk_token, -1 if there is none.
func (f *jsonFile) unknownToken() (int32, error) {
	if f.unknown == "" {
		return -1, nil
	}
	if id, ok := f.find(f.unknown); ok {
		return id, nil
	}
	return 0, fmt.Errorf("the unk_token %q is not in the vocabulary", f.unknown)
}

func (f *jsonFile) charBPE() (Model, error) {
	tokens, err := f.tokensByID()
	if err != nil {
		return nil, err
	}
	config := CharBPEConfig{Tokens: tokens, Hidden: f.hidden(), FuseUnknown: f.fuseUnknown, ByteFallback: f.byteFallback,
		WholeWords: f.wholeWords, Prefix: f.prefix, Suffix: f.suffix}
	if config.Unknown, err = f.unknownToken(); err != nil {
		return nil, err
	}
	if config.Merges, err = f.mergedIDs(); err != nil {
		return nil, err
	}
	return NewCharBPE(config)
}

func (f *jsonFile) wordPiece() (Model, error) {
	tokens, err := f.tokensByID()
	if err != nil {
		return nil, err
	}
	if f.unknown == "" {
		f.unknown = "[UNK]"
	}
	o := wordpiece.Options{Tokens: tokens, Prefix: f.prefix, MaxWord: int(f.maxWord), Hidden: f.hidden()}
	if !f.hasPrefix {
		o.Prefix = "##"
	}
	if o.Unknown, err = f.unknownToken(); err != nil {
		return nil, err
	}
	return wordpiece.New(o)
}

func (f *jsonFile) unigram() (Model, error) {
	if f.scores == nil {
		return nil, errors.New("the Unigram model has no list of pieces with scores")
	}
	o := unigram.Options{Unknown: -1, ByteFallback: f.byteFallback}
	if f.unknownID >= int64(len(f.tokens)) {
		return nil, fmt.Errorf("the unk_id %d is beyond the %d pieces", f.unknownID, len(f.tokens))
	}
	o.Unknown = int32(f.unknownID)
	hidden := f.hidden()
	for id, token := range f.tokens {
		p := unigram.Piece{Text: token, Score: f.scores[id]}
		if _, ok := decode.Byte(token); ok && f.byteFallback {
			p.Kind = unigram.Byte
		} else if hidden(int32(id)) {
			p.Kind = unigram.Hidden
		}
		o.Pieces = append(o.Pieces, p)
	}
	for _, s := range f.specials {
		if id, ok := f.find(s.Content); ok && id != s.ID {
			return nil, fmt.Errorf("added token %q has the id %d, but %d in the vocabulary", s.Content, s.ID, id)
		}
	}
	return unigram.New(o)
}

// mergedIDs are the merges by id.
func (f *jsonFile) mergedIDs() ([][2]int32, error) {
	merges := make([][2]int32, len(f.merges))
	for i, merge := range f.merges {
		for j, half := range merge {
			id, ok := f.find(half)
			if !ok {
				return nil, fmt.Errorf("merge %d of %q and %q: %q is not in the vocabulary", i, merge[0], merge[1], half)
			}
			merges[i][j] = id
		}
	}
	return merges, nil
}

// byteTokens fills in the tokens and merges of a byte-level model.
func (f *jsonFile) byteTokens(config *BPEConfig) (err error) {
	if config.Merges, err = f.mergedIDs(); err != nil {
		return err
	}
	added := make(map[string]int32, len(f.specials))
	lengths := make(map[int]bool)
	for _, s := range f.specials {
		added[s.Content] = s.ID
		lengths[len(s.Content)] = true
	}
	merged := make(map[string]bool) // at least the added tokens that merges give
	for _, merge := range f.merges {
		if lengths[len(merge[0])+len(merge[1])] {
			merged[merge[0]+merge[1]] = true
		}
	}
	for i, spelled := range f.tokens {
		id := f.ids[i]
		for int(id) >= len(config.Tokens) {
			config.Tokens = append(config.Tokens, "")
		}
		if want, ok := added[spelled]; ok {
			if id != want {
				return fmt.Errorf("added token %q has the id %d, but %d in the vocabulary", spelled, want, id)
			}
			if !merged[spelled] {
				continue // text cannot produce it
			}
		}
		token, err := bytelevel.Read(spelled)
		if err != nil {
			return fmt.Errorf("token %q with id %d: %w", spelled, id, err)
		}
		if config.Tokens[id] != "" {
			return fmt.Errorf("tokens %q and %q have the same id %d", config.Tokens[id], token, id)
		}
		config.Tokens[id] = token
	}
	return nil
}
