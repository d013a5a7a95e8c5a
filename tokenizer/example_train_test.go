package tokenizer_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"forja/tokenizer"
)

// A Unigram model, written as the .model that SentencePiece loads.
func ExampleTrainUnigram() {
	var documents []string
	for _, stem := range []string{"walk", "talk", "look", "play", "work", "jump"} {
		documents = append(documents, fmt.Sprintf("%[1]s %[1]sed %[1]ser %[1]sing", stem))
	}
	p, err := tokenizer.TrainUnigram(context.Background(), slices.Values(documents), tokenizer.SentencePieceOptions{VocabSize: 300})
	if err != nil {
		panic(err)
	}
	for _, id := range p.Encode("walk talking") {
		token, _ := p.Token(id)
		fmt.Println(token.Bytes)
	}
	file, err := os.CreateTemp("", "*.model")
	if err != nil {
		panic(err)
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if err := tokenizer.WriteSentencePiece(file, p); err != nil {
		panic(err)
	}
	// Output:
	// ▁walk
	// ▁talk
	// ing
}

// A WordPiece vocabulary, written as the vocab.txt of BERT.
func ExampleTrainWordPiece() {
	documents := []string{strings.Repeat("Able, unable, usable, unusable. ", 3)}
	p, err := tokenizer.TrainWordPiece(context.Background(), slices.Values(documents), tokenizer.WordPieceOptions{VocabSize: 40})
	if err != nil {
		panic(err)
	}
	var vocab strings.Builder
	if err := tokenizer.WriteVocab(&vocab, p); err != nil {
		panic(err)
	}
	for _, id := range p.Encode("Unable!") {
		token, _ := p.Token(id)
		fmt.Println(token.Bytes)
	}
	// Output:
	// unable
	// [UNK]
}
