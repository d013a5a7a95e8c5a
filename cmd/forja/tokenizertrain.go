package main

import (
	"context"
	"iter"

	"forja/engine/recipe"
	"forja/tokenizer"
)

// trainKind trains a tokenizer of the kind that a stage wants. It returns what
// the kind is called, and the name of the file, besides tokenizer.json, in
// which such tokenizers travel; "" is none.
func trainKind(ctx context.Context, s recipe.Tokenizer, texts iter.Seq[string], progress func(tokenizer.TrainProgress)) (t tokenizer.Tokenizer, name, file string, err error) {
	pieces := tokenizer.SentencePieceOptions{VocabSize: s.Vocab, Specials: s.Specials, MinFrequency: int64(s.MinFrequency), Progress: progress}
	bytes := tokenizer.TrainOptions{VocabSize: s.Vocab, Specials: s.Specials, MinFrequency: int64(s.MinFrequency), Progress: progress}
	if len(s.Specials) == 0 {
		bytes.Specials = defaultSpecials
	}
	switch s.Kind {
	case "wordpiece":
		o := tokenizer.WordPieceOptions{VocabSize: s.Vocab, MinFrequency: int64(s.MinFrequency), Progress: progress}
		if len(s.Specials) > 0 {
			o.Specials = s.Specials
		}
		t, err = tokenizer.TrainWordPiece(ctx, texts, o)
		return t, "WordPiece", "vocab.txt", err
	case "unigram":
		t, err = tokenizer.TrainUnigram(ctx, texts, pieces)
		return t, "Unigram", "tokenizer.model", err
	case "spm-bpe":
		t, err = tokenizer.TrainSentencePieceBPE(ctx, texts, pieces)
		return t, "SentencePiece BPE", "tokenizer.model", err
	case "char":
		t, err = tokenizer.TrainCharacters(ctx, texts, pieces)
		return t, "characters", "tokenizer.model", err
	case "byte":
		bytes.VocabSize = 256 + len(bytes.Specials)
		t, err = tokenizer.TrainBPE(ctx, texts, bytes)
		return t, "bytes", "", err
	default:
		t, err = tokenizer.TrainBPE(ctx, texts, bytes)
		return t, "byte-level BPE", "", err
	}
}
