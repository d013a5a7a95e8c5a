package pretokenize

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"unicode"

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

// The sums are those of testdata/make_hf_characters.py, tokenizers 0.23.3.
func TestEveryCharacterIsCutAsHuggingFaceDoes(t *testing.T) {
	for name, c := range map[string]struct {
		p   PreTokenizer
		sum string
	}{
		"Bert":              {Bert{}, "b128c36bc96f8efd722c059a67672bc0234166bdfd8d22eec8f4e42ac72102c8"},
		"Punctuation":       {Punctuation{Isolated}, "f27bb9c0d2a505baff84122883db2309e4d738b52268981751d236e974fcefc5"},
		"Digits":            {Digits{}, "73c3b2c7444d23122b5d6885f058456b1b8bbd206b9df801ce66f2ea0472b232"},
		"Digits individual": {Digits{true}, "73c3b2c7444d23122b5d6885f058456b1b8bbd206b9df801ce66f2ea0472b232"},
		"Whitespace":        {Whitespace{}, "839757895343bb0630e22d12368220c1c0bf9959569cced3f061bb524e9d6215"},
		"WhitespaceSplit":   {WhitespaceSplit{}, "32b1e26b4af9bb27a8c2af514a20ac949b7e08882e3bbe13e84f7a7b5ad3fc72"},
		"Metaspace":         {Metaspace{"▁", Always, true}, "cf757169f564992ea553d74eadad18cdc8c5a09dde6dfc364c9deaa5e1265e1f"},
		"ByteLevel":         {ByteLevel{PrefixSpace: true, Split: true, Spell: true}, "12d3dfd0d1fef58087a9181f2b653503b5aa9be03654b9135c8b5b4e9d158196"},
	} {
		hash := sha256.New()
		for r := rune(0); r <= unicode.MaxRune; r++ {
			if 0xd800 <= r && r < 0xe000 {
				continue
			}
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
