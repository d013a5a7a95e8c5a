package tokenizer

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Fingerprint is the SHA-256, in hexadecimal, of all that decides how text
// becomes ids and ids become text: the tokens with their ids, the merges in
// order, the special tokens and the split. It does not depend on the file
// format a tokenizer was read from nor on WithSpecials, so that a checkpoint
// can tell whether it is used with the tokenizer it was trained with. Of a
// Tokenizer of another package it covers the tokens.
func Fingerprint(t Tokenizer) string {
	t = unwrap(t)
	if b, ok := t.(*BPE); ok {
		return b.fingerprint()
	}
	hash := sha256.New()
	for id := range int32(t.VocabSize()) {
		if token, ok := t.Token(id); ok {
			fmt.Fprintf(hash, "token %d %q %t\n", id, token.Bytes, token.Special)
		}
	}
	return hex.EncodeToString(hash.Sum(nil))
}

func (b *BPE) computeFingerprint() string {
	hash := sha256.New()
	w := bufio.NewWriter(hash)
	fmt.Fprintf(w, "byte-level BPE 1\nsplit %q\nwhole words %t\nNFC %t\n", b.config.Split.Regexp(), b.config.WholeWords, b.config.NFC)
	for id, token := range b.config.Tokens {
		if token != "" {
			fmt.Fprintf(w, "token %d %q\n", id, token)
		}
	}
	for _, merge := range b.Merges() {
		fmt.Fprintf(w, "merge %d %d\n", merge[0], merge[1])
	}
	for _, s := range b.config.Specials {
		fmt.Fprintf(w, "special %d %q %t %t %t %t\n", s.ID, s.Content, s.Visible, s.LStrip, s.RStrip, s.SingleWord)
	}
	w.Flush()
	return hex.EncodeToString(hash.Sum(nil))
}
