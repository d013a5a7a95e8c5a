package decode

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func text(c Chain, tokens ...string) string {
	var out []byte
	s := c.Start()
	for _, token := range tokens {
		out = s.Append(out, token)
	}
	return string(out)
}

func TestStepsDecodeAsTheirOriginals(t *testing.T) {
	llama := Chain{NewReplace("▁", " "), ByteFallback{}, Fuse{}, Strip{Content: ' ', Start: 1}}
	digits, err := NewReplaceRegexp(`\d+`, "#")
	assert.NoError(t, err)
	for _, c := range []struct {
		chain  Chain
		tokens []string
		want   string
	}{
		{llama, []string{"▁Hello", "▁▁world", "<0xC3>", "<0xA9>", "<0xZZ>"}, "Hello  worldé<0xZZ>"},
		{llama, []string{"▁", "▁a"}, " a"},
		{llama, []string{"a", "▁b"}, "a b"},
		{Chain{Metaspace{Replacement: "▁"}}, []string{"▁a▁b", "▁c"}, "ab c"},
		{Chain{Metaspace{Replacement: "▁", Keep: true}}, []string{"▁a", "▁c"}, " a c"},
		{Chain{WordPiece{Prefix: "##", Cleanup: true}}, []string{"##un", "##aff", "do", "n't", ",", "it", "'s", "!"}, "##unaff don't, it's!"},
		{Chain{WordPiece{Prefix: "##"}}, []string{"a", "##b", "!"}, "ab !"},
		{Chain{BPE{Suffix: "</w>"}}, []string{"he", "llo</w>", "wo", "rld</w>"}, "hello world"},
		{Chain{Strip{Content: 'H', Start: 1, Stop: 1}}, []string{"HeyH", "HH", "é"}, "eyé"},
		{Chain{Spaced{}}, []string{"a", "b"}, "a b"},
		{Chain{digits}, []string{"a12b", "3"}, "a#b#"},
		{Chain{SentencePiece{Trim: true, All: true, Unknown: "<unk>"}}, []string{"▁", "▁a", "<unk>", "▁b"}, "a \u2047  b"},
		{Chain{SentencePiece{Trim: true}}, []string{"▁", "▁a"}, " a"},
		{Chain{SentencePiece{}}, []string{"▁a"}, " a"},
		{Chain{ByteLevel{Byte: func(r rune) (byte, bool) { return byte(r), r < 256 }}}, []string{"aé", "日"}, "a\xe9日"},
		{nil, []string{"a", "b"}, "ab"},
	} {
		assert.Equal(t, c.want, text(c.chain, c.tokens...), "%T", c.chain)
	}
}

func TestStepsThatNeedTheWholeTextAreRefused(t *testing.T) {
	expression, err := NewReplaceRegexp("a", "b")
	assert.NoError(t, err)
	for _, c := range []Chain{{Fuse{}, Strip{Content: ' ', Stop: 1}}, {Fuse{}, NewReplace("ab", "")}, {Fuse{}, expression}, {Fuse{}, WordPiece{}}} {
		assert.Error(t, c.Check())
	}
	assert.NoError(t, Chain{Strip{Content: ' ', Stop: 1}, Fuse{}, NewReplace("a", "b"), Strip{Content: ' ', Start: 2}}.Check())
}
