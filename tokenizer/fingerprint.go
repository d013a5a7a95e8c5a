package tokenizer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// Fingerprint is the SHA-256, in hexadecimal, of all that decides how text
// becomes ids and ids become text: the tokens with their ids, the merges in
// order, the special tokens and the split. It does not depend on the file
// format a tokenizer was read from nor on WithSpecials, so that a checkpoint
// can tell whether it is used with the tokenizer it was trained with. Of a
// Tokenizer of another package it covers the tokens.
func Fingerprint(t Tokenizer) string {
	t = unwrap(t)
	switch t := t.(type) {
	case *BPE:
		return t.fingerprint()
	case *Pipeline:
		return t.fingerprint()
	}
	hash := sha256.New()
	writeTokens(hash, t)
	return hex.EncodeToString(hash.Sum(nil))
}

func writeTokens(w io.Writer, t Tokenizer) {
	for id := range int32(t.VocabSize()) {
		if token, ok := t.Token(id); ok {
			fmt.Fprintf(w, "token %d %q %t\n", id, token.Bytes, token.Special)
		}
	}
}

func (b *BPE) computeFingerprint() string {
	var content []byte
	number := func(n int) { content = binary.AppendUvarint(content, uint64(n)) }
	text := func(s string) {
		number(len(s))
		content = append(content, s...)
	}
	flag := func(set bool) { content = strconv.AppendBool(content, set) }
	text("byte-level BPE 1")
	text(b.config.Split.Regexp())
	flag(b.config.WholeWords)
	flag(b.config.NFC)
	// Ids at the end that are no tokens make no difference.
	tokens := b.config.Tokens
	for len(tokens) > 0 && tokens[len(tokens)-1] == "" {
		tokens = tokens[:len(tokens)-1]
	}
	number(len(tokens))
	for _, token := range tokens {
		text(token)
	}
	number(len(b.merges))
	for _, merge := range b.merges {
		number(int(merge[0]))
		number(int(merge[1]))
	}
	for _, s := range b.config.Specials {
		number(int(s.ID))
		text(s.Content)
		for _, set := range []bool{s.Visible, s.LStrip, s.RStrip, s.SingleWord} {
			flag(set)
		}
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// computeFingerprint is that of the tokenizer.json, without what it says of
// post-processing; of one that has no such form, that of the tokens.
func (p *Pipeline) computeFingerprint() string {
	hash := sha256.New()
	file, err := describe(p)
	if err == nil {
		file = slices.DeleteFunc(file, func(m jsonMember) bool { return m.key == "post_processor" })
		writeObject(hash, file)
	} else {
		writeTokens(hash, p)
		fmt.Fprint(hash, err)
	}
	return hex.EncodeToString(hash.Sum(nil))
}
