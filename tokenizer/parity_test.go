package tokenizer

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/tokenizer/split"
)

// loadShared reads a vocabulary of testdata/parity.
func loadShared(t testing.TB, name string, pattern *split.Pattern, specials ...Special) *BPE {
	t.Helper()
	b, err := LoadTiktoken(bytes.NewReader(unpackedFile(t, "testdata/parity/"+name+".tiktoken.gz")), pattern, specials...)
	require.NoError(t, err)
	return b
}

type parityCase struct {
	ID, Text string
	Enc      map[string][]int32
}

var loadedCases []parityCase

// parityCases are the vectors of the shared data where they are, else those of
// testdata/parity, which are the part of them that may be kept here.
func parityCases(t testing.TB) []parityCase {
	t.Helper()
	if loadedCases == nil {
		path := sharedPath(t, "tokenizer/parity.jsonl.gz")
		if _, err := os.Stat(path); err != nil {
			path = "testdata/parity/vectors.jsonl.gz"
		}
		loadedCases = jsonLines[parityCase](t, unpackedFile(t, path))
	}
	return loadedCases
}

func TestIdsEqualThoseOfTiktoken(t *testing.T) {
	for name, pattern := range map[string]*split.Pattern{"gpt2": split.GPT2, "cl100k_base": split.CL100K, "o200k_base": split.O200K} {
		b := loadShared(t, name, pattern)
		checkParity(t, name, b)
		for _, c := range parityCases(t) {
			assert.Equal(t, c.Text, b.Decode(b.Encode(c.Text)), c.ID)
		}
	}
}

func TestIdsEqualThoseOfSentencePiece(t *testing.T) {
	for _, name := range []string{"spm_unigram", "spm_bpe"} {
		p, err := ReadSentencePiece(bytes.NewReader(unpackedFile(t, "testdata/parity/"+name+"_8k.model.gz")))
		require.NoError(t, err)
		checkParity(t, name, p)
	}
}

func TestIdsEqualThoseOfBert(t *testing.T) {
	p, err := ReadVocab(bytes.NewReader(sharedFile(t, "vocab/bert-base-uncased.vocab.txt")), false)
	require.NoError(t, err)
	checkParity(t, "bert", p)
}

// checkParity compares the ids of every vector that has the key.
func checkParity(t *testing.T, key string, tok Tokenizer) {
	t.Helper()
	checked := 0
	for _, c := range parityCases(t) {
		want, ok := c.Enc[key]
		if !ok {
			continue
		}
		checked++
		require.Equal(t, append([]int32{}, want...), append([]int32{}, tok.Encode(c.Text)...), "%s %s %.200q", key, c.ID, c.Text)
		assert.Equal(t, len(want), tok.Count(c.Text), c.ID)
		n, last := 0, 0
		for id, span := range tok.Tokens(c.Text) {
			require.Equal(t, want[n], id)
			n++
			require.True(t, 0 <= span.Start && span.Start <= span.End && span.End <= len(c.Text) && last <= span.End, "%s %v", c.ID, span)
			last = span.End
		}
		assert.Equal(t, len(want), n, c.ID)
	}
	assert.Greater(t, checked, 180)
}

// Ids that the tests of tiktoken (tests/test_encoding.py, MIT) spell out.
func TestIdsEqualThoseThatTiktokenPublishes(t *testing.T) {
	for name, c := range map[string]struct {
		split *split.Pattern
		ids   map[string][]int32
	}{
		"gpt2": {split.GPT2, map[string][]int32{
			"hello world": {31373, 995}, "0": {15}, "00": {405}, "000": {830}, "0000": {2388}, "00000": {20483}, "000000": {10535}, "0000000": {24598},
			"00000000": {8269}, "000000000": {10535, 830}, "0000000000": {8269, 405}, "00000000000": {8269, 830}, "000000000000": {8269, 2388},
			"0000000000000": {8269, 20483}, "00000000000000": {8269, 10535}, "000000000000000": {8269, 24598}, "0000000000000000": {25645}, "00000000000000000": {8269, 10535, 830},
		}},
		"cl100k_base": {split.CL100K, map[string][]int32{
			"hello world": {15339, 1917}, "rer": {38149}, "'rer": {2351, 81}, "today\n ": {31213, 198, 220}, "today\n \n": {31213, 27907},
			"today\n  \n": {31213, 14211}, " \u00850": {220, 126, 227, 15}, "👍": {9468, 239, 235},
		}},
	} {
		b := loadShared(t, name, c.split)
		for text, want := range c.ids {
			assert.Equal(t, want, b.Encode(text), "%s %q", name, text)
		}
	}
}

func TestTheByteTokenizerSpellsBytes(t *testing.T) {
	b, err := NewBytes("<s>", "</s>")
	require.NoError(t, err)
	assert.Equal(t, []int32{'a', 0xff, 0, 0xc3, 0xa9}, b.Encode("a\xff\x00é"))
	assert.Equal(t, 258, b.VocabSize())
	id, ok := b.ID("</s>")
	assert.True(t, ok)
	assert.Equal(t, int32(257), id)
	assert.Equal(t, Fingerprint(b), Fingerprint(readJSON(t, writeJSON(t, b))))
	_, err = NewBytes("")
	assert.ErrorContains(t, err, "needs a content")
}
