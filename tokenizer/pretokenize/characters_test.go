package pretokenize

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"forja/tokenizer/normalize"
	"forja/tokenizer/split"
)

func pieces(p PreTokenizer, text string) (out []string) {
	for _, piece := range p.Append(nil, normalize.Of(text, false)) {
		out = append(out, piece.S)
	}
	return out
}

// allCharacters are all of the planes that hold some, and a few of the others.
func allCharacters() (all []rune) {
	for r := range rune(0x32000) {
		if r < 0xd800 || r >= 0xe000 {
			all = append(all, r)
		}
	}
	for r := rune(0xe0000); r < 0xe0200; r++ {
		all = append(all, r)
	}
	return append(all, 0xf0000, 0xffffd, 0xfffff, 0x10fffd, 0x10ffff)
}

// The sums are those of testdata/make_hf_characters.py, tokenizers 0.23.3.
func TestEveryCharacterIsCutAsHuggingFaceDoes(t *testing.T) {
	for name, c := range map[string]struct {
		p   PreTokenizer
		sum string
	}{
		"Bert":              {Bert{}, "ab2c504cf40724db389a29d20250869c37d0dedeac3b1caf345e30e059a8c55d"},
		"Punctuation":       {Punctuation{Isolated}, "3d63d650744f8929de9ad0daa8b5138907e38173faef3451213fb31c5ffdeb48"},
		"Digits":            {Digits{}, "862c5b42befa3babbed0ed619e32d153bf62c566cfffcf7a0d0ba328ca998be0"},
		"Digits individual": {Digits{true}, "862c5b42befa3babbed0ed619e32d153bf62c566cfffcf7a0d0ba328ca998be0"},
		"Whitespace":        {Whitespace{}, "74375d90a3cd85abf7a778890c1b457cb9e760e70e5464e956228273f76101a8"},
		"WhitespaceSplit":   {WhitespaceSplit{}, "6f493016c47138fa681341eaa117878433621abf3620b73095a2eb96c6a97304"},
		"Metaspace":         {Metaspace{"▁", Always, true}, "bab0d6892199a353477666acf85e16e2add2ac04cf52c1e802175992ae554164"},
		"ByteLevel":         {ByteLevel{PrefixSpace: true, Split: true, Spell: true}, "5197779e400a5ef464507e7bce9970b194dd583158a0da0cd55f1ebc0466a8db"},
	} {
		hash := sha256.New()
		for _, r := range allCharacters() {
			fmt.Fprintf(hash, "%x %s\n", r, strings.Join(pieces(c.p, "a"+string(r)+"b1"), "|"))
		}
		assert.Equal(t, c.sum, hex.EncodeToString(hash.Sum(nil)), name)
	}
}

func TestBehaviorsTreatDelimitersAsNamed(t *testing.T) {
	for behavior, want := range map[Behavior]string{
		Isolated: "the|-|final|-|-|countdown", Removed: "the|final|countdown", MergedWithPrevious: "the-|final-|-|countdown",
		MergedWithNext: "the|-final|-|-countdown", Contiguous: "the|-|final|--|countdown",
	} {
		assert.Equal(t, want, strings.Join(pieces(Split{Literal: "-", Behavior: behavior}, "the-final--countdown"), "|"), behavior)
	}
	_, err := ParseBehavior("Isolate")
	assert.Error(t, err)
}

func TestPiecesAreInOrderAndNotEmpty(t *testing.T) {
	pattern, err := split.Compile(`[a-c]+|\s`)
	require.NoError(t, err)
	var all []PreTokenizer
	for _, b := range []Behavior{Isolated, Removed, MergedWithPrevious, MergedWithNext, Contiguous} {
		all = append(all, Punctuation{b}, Split{Literal: "a", Behavior: b}, Split{Pattern: pattern, Behavior: b, Invert: true})
	}
	all = append(all, Bert{}, Whitespace{}, WhitespaceSplit{}, Digits{true}, Digits{}, ByteLevel{Split: true, PrefixSpace: true}, Metaspace{"▁", First, true}, Metaspace{"▁", Always, false})
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[abc ,.1é日\n]{0,20}`)).Draw(t, "text")
		var s Sequence
		for range rapid.IntRange(0, 3).Draw(t, "steps") {
			s = append(s, rapid.SampledFrom(all).Draw(t, "pre-tokenizer"))
		}
		last := 0
		for _, piece := range s.Append(nil, normalize.Of(text, true)) {
			require.True(t, piece.S != "" || text == "")
			p := piece.Place(0, len(piece.S))
			require.True(t, last <= p.Start+1 && p.Start <= p.End && p.End <= len(text), "%v of %q", p, text)
			last = p.End
		}
	})
}

func TestMetaspacePrependsAsTold(t *testing.T) {
	for scheme, want := range map[Scheme]string{Always: "▁a|▁b|▁|▁c", First: "▁a|▁b|▁|▁c", Never: "a|▁b|▁|▁c"} {
		assert.Equal(t, want, strings.Join(pieces(Metaspace{"▁", scheme, true}, "a b  c"), "|"), scheme)
	}
	assert.Equal(t, []string{"▁a", "b"}, pieces(Sequence{Split{Literal: "|", Behavior: Removed}, Metaspace{"▁", First, true}}, "a|b"))
}
