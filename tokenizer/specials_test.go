package tokenizer

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/tokenizer/internal/bytelevel"
	"forja/tokenizer/split"
)

// byteTokenizer has the bytes as ids 0 to 255, in GPT-2's order, and specials
// above them, in the order given.
func byteTokenizer(t testing.TB, specials ...Special) *BPE {
	t.Helper()
	config := BPEConfig{Split: split.GPT2}
	for _, b := range bytelevel.InOrder {
		config.Tokens = append(config.Tokens, string([]byte{b}))
	}
	for i, s := range specials {
		s.ID = int32(256 + i)
		config.Specials = append(config.Specials, s)
	}
	b, err := NewBPE(config)
	require.NoError(t, err)
	return b
}

// show writes ids as text, special tokens as their number in brackets.
func show(tok Tokenizer, ids []int32) string {
	var b strings.Builder
	for _, id := range ids {
		if id >= 256 {
			b.WriteString("[" + string(rune('0'+id-256)) + "]")
		} else {
			b.WriteString(tok.Decode([]int32{id}))
		}
	}
	return b.String()
}

func TestSpecialTokensInTextAreTextUnlessAllowed(t *testing.T) {
	tok := byteTokenizer(t, Special{Content: "<s>"}, Special{Content: "</s>"}, Special{Content: "<s><s>"}, Special{Content: "é!"})
	only, err := WithSpecials(tok, "</s>")
	require.NoError(t, err)
	all, err := WithSpecials(tok)
	require.NoError(t, err)
	for text, want := range map[string][2]string{
		"":                {"", ""},
		"plain < s>":      {"plain < s>", "plain < s>"},
		"<s>":             {"<s>", "[0]"},
		"a<s>b</s>":       {"a<s>b[1]", "a[0]b[1]"},
		"<s><s><s>":       {"<s><s><s>", "[2][0]"},
		"</s></s>":        {"[1][1]", "[1][1]"},
		"<<s>></s":        {"<<s>></s", "<[0]></s"},
		"é!é":             {"é!é", "[3]é"},
		"\xff</s>\xff<s>": {"\xff[1]\xff<s>", "\xff[1]\xff[0]"},
	} {
		assert.Equal(t, text, show(tok, tok.Encode(text)))
		assert.Equal(t, want[0], show(tok, only.Encode(text)))
		assert.Equal(t, want[1], show(tok, all.Encode(text)))
		assert.Equal(t, len(all.Encode(text)), all.Count(text))
		assert.Equal(t, text, all.Decode(all.Encode(text)))
	}
	assert.Equal(t, []int32{7, 256}, all.EncodeTo([]int32{7}, "<s>"))
}

func TestSpecialTokensTakeTheSpaceTheyAskFor(t *testing.T) {
	tok := byteTokenizer(t, Special{Content: "<l>", LStrip: true}, Special{Content: "<r>", RStrip: true}, Special{Content: "word", SingleWord: true})
	all, err := WithSpecials(tok)
	require.NoError(t, err)
	for text, want := range map[string]string{
		"a \n\u3000<l> b":    "a[0] b",
		"a <r> \t b":         "a [1]b",
		"<r> <l>":            "[1][0]",
		" <l>":               "[0]",
		"word":               "[2]",
		"a word.":            "a [2].",
		"words sword word_ ": "words sword word_ ",
		"éword word":         "éword [2]",
	} {
		assert.Equal(t, want, show(tok, all.Encode(text)), text)
	}
}

func TestUnknownSpecialTokenCannotBeAllowed(t *testing.T) {
	_, err := WithSpecials(byteTokenizer(t, Special{Content: "<s>"}), "<s>", "<x>")
	assert.ErrorContains(t, err, `no special token "<x>"`)
}
