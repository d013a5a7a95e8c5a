package tokenizer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"forja/tokenizer/internal/bytelevel"
	"forja/tokenizer/internal/jsonread"
	"forja/tokenizer/split"
)

// ReadMerges reads the vocab.json and merges.txt of GPT-2. Tokens that no merge
// gives and that are written in angle brackets, like <|endoftext|>, are special.
// The files do not say the split. Errors name the file with its line.
func ReadMerges(vocab, merges io.Reader, pattern *split.Pattern) (*BPE, error) {
	f := jsonFile{}
	data, err := readBounded(vocab)
	if err == nil {
		f.Reader = jsonread.New(data)
		f.vocabulary()
		err = f.End()
	}
	if err != nil {
		return nil, fmt.Errorf("read vocab.json: %w", err)
	}
	data, err = readBounded(merges)
	if err == nil {
		f.merges, err = parseMerges(data)
	}
	if err != nil {
		return nil, fmt.Errorf("read merges.txt: %w", err)
	}
	made := make(map[string]bool, len(f.merges))
	for _, merge := range f.merges {
		made[merge[0]+merge[1]] = true
	}
	for i, token := range f.tokens {
		if strings.HasPrefix(token, "<") && strings.HasSuffix(token, ">") && len(token) > 2 && !made[token] {
			f.specials = append(f.specials, Special{ID: f.ids[i], Content: token})
		}
	}
	config := BPEConfig{Split: pattern, Specials: f.specials}
	if err := f.byteTokens(&config); err != nil {
		return nil, fmt.Errorf("read vocab.json and merges.txt: %w", err)
	}
	b, err := NewBPE(config)
	if err != nil {
		return nil, fmt.Errorf("read vocab.json and merges.txt: %w", err)
	}
	return b, nil
}

func parseMerges(data []byte) ([][2]string, error) {
	var merges [][2]string
	for n := 1; len(data) > 0; n++ {
		var row []byte
		row, data, _ = bytes.Cut(data, []byte("\n"))
		line := string(bytes.TrimSuffix(row, []byte("\r")))
		if line == "" || n == 1 && strings.HasPrefix(line, "#version") {
			continue
		}
		left, right, ok := strings.Cut(line, " ")
		if !ok || left == "" || right == "" || strings.Contains(right, " ") {
			return nil, fmt.Errorf("line %d: %.100q is not two tokens with a blank between", n, line)
		}
		if len(merges) >= maxMerges {
			return nil, fmt.Errorf("line %d: more than %d merges", n, maxMerges)
		}
		merges = append(merges, [2]string{left, right})
	}
	return merges, nil
}

// WriteMerges writes a byte-level BPE as the vocab.json and merges.txt of
// GPT-2. They do not hold the split nor what the fields of special tokens say.
// A BPE with ranks is written with every way to merge, see WriteJSON. It fails
// if t is another model, or encodes whole words or normalized text.
func WriteMerges(vocab, merges io.Writer, t Tokenizer) error {
	b, ok := unwrap(t).(*BPE)
	switch {
	case !ok:
		return errors.New("write vocab.json and merges.txt: the files are for byte-level BPE, which this tokenizer is not")
	case b.config.NFC:
		return errors.New("write vocab.json and merges.txt: the files cannot say that text is normalized to NFC")
	case b.config.WholeWords && !b.config.Ranked:
		return errors.New("write vocab.json and merges.txt: the files cannot say that whole words are looked up before they are merged")
	}
	model, err := describeBPE(b)
	if err != nil {
		return fmt.Errorf("write vocab.json and merges.txt: %w", err)
	}
	for _, m := range model.(jsonObject) {
		if m.key == "vocab" {
			if err := writeObject(vocab, m.value.(jsonObject)); err != nil {
				return fmt.Errorf("write vocab.json: %w", err)
			}
		}
	}
	out := bufio.NewWriter(merges)
	fmt.Fprintln(out, "#version: 0.2")
	for _, merge := range b.merges {
		fmt.Fprintln(out, bytelevel.Spell(b.ordinary(merge[0])), bytelevel.Spell(b.ordinary(merge[1])))
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write merges.txt: %w", err)
	}
	return nil
}

// WriteTiktoken writes the ordinary tokens of a byte-level BPE as a .tiktoken
// file, which holds neither split nor special tokens. It fails where ids are
// not ranks: if the tokens do not merge in the order of their ids. By ranks any
// two tokens merge that together are one, not only those of a list of merges:
// the ids may differ about twice in a million tokens.
func WriteTiktoken(w io.Writer, t Tokenizer) error {
	b, ok := unwrap(t).(*BPE)
	if !ok {
		return errors.New("write .tiktoken: the file is for byte-level BPE, which this tokenizer is not")
	}
	if err := b.checkRanked(); err != nil {
		return fmt.Errorf("write .tiktoken: %w", err)
	}
	if err := b.writeRanks(w); err != nil {
		return fmt.Errorf("write .tiktoken: %w", err)
	}
	return nil
}

// checkRanked fails unless ids as ranks give the same ids.
func (b *BPE) checkRanked() error {
	if b.config.NFC {
		return errors.New("the file cannot say that text is normalized to NFC")
	}
	if b.config.Ranked {
		return nil
	}
	config := b.config
	config.Merges, config.Ranked, config.Specials = nil, true, nil
	ranked, err := NewBPE(config)
	if err != nil {
		return err
	}
	// By ranks every way to make a token merges. Our merges must be the first
	// for every token, in the order of ids, and give what ranks give.
	last := int32(-1)
	for i, merge := range b.merges {
		id := b.mergedID[i]
		if id < last {
			return fmt.Errorf("merge %d gives token %d, but one before it token %d: ids are not ranks", i, id, last)
		}
		last = id
		for _, half := range merge {
			if len(b.ordinary(half)) > 1 && half > id {
				return fmt.Errorf("token %d is made of token %d, which has a higher id: ids are not ranks", id, half)
			}
		}
	}
	ours, theirs := newWorkspace(), newWorkspace()
	for id, token := range b.config.Tokens {
		if token == "" {
			continue
		}
		byMerges := b.mergeSymbols(ours, b.byteSymbols(token))
		byRanks := ranked.mergeSymbols(theirs, ranked.byteSymbols(token))
		if len(byMerges) != 1 || len(byRanks) != 1 {
			return fmt.Errorf("token %d, %q, is not what its bytes merge into: ids are not ranks", id, token)
		}
	}
	return nil
}

func (b *BPE) byteSymbols(word string) (ids []int32) {
	for i := range len(word) {
		ids = append(ids, b.byteIDs[word[i]])
	}
	return ids
}
