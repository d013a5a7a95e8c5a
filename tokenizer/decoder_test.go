package tokenizer

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestDecoderHoldsBackIncompleteCharacters(t *testing.T) {
	tok := byteTokenizer(t)
	d := NewDecoder(tok, false)
	var got []string
	for _, id := range tok.Encode("aé世😀\xffb\xe4\xb8c\xf0\x9f") {
		got = append(got, d.Push(id))
	}
	assert.Equal(t, []string{"a", "", "é", "", "", "世", "", "", "", "😀", "\ufffd", "b", "", "", "\ufffdc", "", ""}, got)
	assert.Equal(t, "\ufffd", d.Flush())
	assert.Empty(t, d.Flush())
	assert.Equal(t, "x", d.Push(tok.Encode("x")[0]))
}

func TestDecoderHidesSpecialTokens(t *testing.T) {
	tok := byteTokenizer(t, Special{Content: "<eos>"}, Special{Content: "<tool>", Visible: true})
	ids := append(tok.Encode("a"), 256, 257, 258, -1, tok.Encode("b")[0])
	for skip, want := range map[bool]string{true: "a<tool>b", false: "a<eos><tool>b"} {
		d := NewDecoder(tok, skip)
		var b strings.Builder
		for _, id := range ids {
			b.WriteString(d.Push(id))
		}
		assert.Equal(t, want, b.String()+d.Flush())
	}
}

func TestDecoderGivesWholeCharactersOfAnyBytes(t *testing.T) {
	tok := byteTokenizer(t)
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"a", "é", "世", "😀", "\x80", "\xc3", "\xe4", "\xe4\xb8", "\xf0\x9f\x98", "\xff", "\xed\xa0"})).Draw(t, "text"), "")
		d := NewDecoder(tok, false)
		var b strings.Builder
		for _, id := range tok.Encode(text) {
			piece := d.Push(id)
			require.True(t, utf8.ValidString(piece))
			b.WriteString(piece)
		}
		b.WriteString(d.Flush())
		if utf8.ValidString(text) {
			require.Equal(t, text, b.String())
		}
		// One replacement for each maximal invalid sequence: removing all of
		// them leaves the valid characters in order.
		valid := strings.ToValidUTF8(text, "")
		require.Equal(t, valid, strings.ReplaceAll(b.String(), "\ufffd", ""))
	})
}
