// Package data turns text into the batches a language model trains on.
//
// It reads documents (JSONL, plain text, folders), writes their tokens to
// shards that notice every damaged byte, and deals the tokens out as packed
// rows in which no document sees another. A batch is a pure function of the
// seed and the number of its first sample: a resumed run needs no saved
// loader state, and the micro-batch size changes nothing.
//
// # Shard, little-endian
//
//	  0  8  magic "FORJATOK"
//	  8  4  version, 1
//	 12  4  bytes per token: 2 if the vocabulary has at most 65,536 ids, else 4
//	 16  4  vocabulary size
//	 20  4  id put before each document, or -1
//	 24  4  id put after each document, or -1
//	 28  4  zero
//	 32  8  documents D, at least 1
//	 40  8  tokens N, those put before and after included
//	 48  8  UTF-8 bytes of text
//	 56 32  SHA-256 of the tokenizer
//	 88 32  SHA-256 of everything after the header
//	120  4  CRC-32C of the index and the checksums of blocks
//	124  4  CRC-32C of bytes 0..123
//	128  16·D      index: first token and bytes of text of each document, two u64
//	       4·S     CRC-32C of each block of 16 KiB of tokens, the last one shorter
//	       width·N tokens
//
// The header, the index and the file's size are checked when a shard is
// opened, the tokens block by block each time they are read, and the SHA-256
// by [Set.Verify]. A set is a folder of shards and a manifest, tokens.json,
// which is written last: a folder without one is not a set.
//
// Deliberately absent: tokenizers, which come in as an [Encoder]; compression;
// cropping documents to fit rows; and cleaning, which is engine/corpus.
package data

import (
	"crypto/sha256"
	"encoding/binary"
	"iter"
)

// A Document is one text and where it came from.
type Document struct {
	ID      string `json:"id,omitempty"` // unique within its source: a path, a line, an address
	Text    string `json:"text"`         // valid UTF-8
	Source  string `json:"source,omitempty"`
	Lang    string `json:"lang,omitempty"`
	License string `json:"license,omitempty"`
}

// Filter passes on the documents that keep accepts, and every error.
func Filter(docs iter.Seq2[Document, error], keep func(Document) bool) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for doc, err := range docs {
			if (err != nil || keep(doc)) && !yield(doc, err) {
				return
			}
		}
	}
}

// HeldOut returns a test that holds for about the given fraction of all
// documents. It depends on the seed and the text alone, so that two copies of
// a text never end up on both sides of a train/validation split.
func HeldOut(seed uint64, fraction float64) func(Document) bool {
	return func(doc Document) bool { return hashFraction(seed, doc.Text) < fraction }
}

// hashFraction maps a text to a number in [0, 1), uniformly.
func hashFraction(seed uint64, text string) float64 {
	h := sha256.New()
	var key [8]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	h.Write(key[:])
	h.Write([]byte(text))
	return float64(binary.LittleEndian.Uint64(h.Sum(nil))>>11) / (1 << 53)
}
