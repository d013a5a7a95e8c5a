package filter

import (
	"unicode"
	"unicode/utf8"

	"github.com/zeebo/xxh3"
)

// Contamination knows the n-grams of evaluation sets and finds them in documents. Words are compared in lower case and
// without punctuation. A text shorter than n words counts as one n-gram if it has at least half of them; shorter ones
// occur by chance and are left out. It is safe for concurrent use once it is filled.
type Contamination struct {
	n       int
	lengths []bool // of n-grams that occur, by words
	grams   map[uint64]struct{}
}

// NewContamination looks for n-grams of at least 2 words; 0 is 12, as in the cleaning of FineWeb's peers.
func NewContamination(n int) *Contamination {
	if n == 0 {
		n = 12
	}
	n = max(2, n)
	return &Contamination{n: n, lengths: make([]bool, n+1), grams: map[uint64]struct{}{}}
}

// Add puts a text of an evaluation set in.
func (c *Contamination) Add(text string) {
	prefix := foldedWords(text)
	words := len(prefix) - 1
	n := min(words, c.n)
	if 2*n < c.n {
		return
	}
	c.lengths[n] = true
	scale := power(n)
	for i := range words - n + 1 {
		c.grams[prefix[i+n]-prefix[i]*scale] = struct{}{}
	}
}

// Find counts the n-grams of a document that occur in an evaluation set.
func (c *Contamination) Find(text string) (found int) {
	if len(c.grams) == 0 {
		return 0
	}
	prefix := foldedWords(text)
	for n, occurs := range c.lengths {
		if !occurs {
			continue
		}
		scale := power(n)
		for i := range max(0, len(prefix)-n) {
			if _, ok := c.grams[prefix[i+n]-prefix[i]*scale]; ok {
				found++
			}
		}
	}
	return found
}

// foldedWords hashes all prefixes of a text's words in lower case.
func foldedWords(text string) []uint64 {
	prefix := []uint64{0}
	var h uint64
	var folded []byte
	for i := 0; ; {
		start, end, _, k := nextWord(text, i)
		if start == len(text) {
			return prefix
		}
		i = end
		if k == symbol {
			continue
		}
		folded = folded[:0]
		for _, r := range text[start:end] {
			folded = utf8.AppendRune(folded, unicode.ToLower(r))
		}
		h = h*multiplier + xxh3.Hash(folded)
		prefix = append(prefix, h)
	}
}
