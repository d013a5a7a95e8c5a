package tokenizer

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"forja/tokenizer/split"
)

// pieces is a reader that returns a few bytes at a time.
type pieces struct {
	text string
	rng  *rand.Rand
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.text == "" {
		return 0, io.EOF
	}
	n := copy(b, p.text[:min(len(p.text), 1+p.rng.IntN(40))])
	p.text = p.text[n:]
	return n, nil
}

func streamed(t testing.TB, tok Tokenizer, r io.Reader) []int32 {
	t.Helper()
	var ids []int32
	require.NoError(t, EncodeReader(tok, r, func(more []int32) error {
		ids = append(ids, more...)
		return nil
	}))
	return ids
}

func TestSettledPreTokensStayWhateverFollows(t *testing.T) {
	alphabet := []string{"a", "B", "é", "中", "ß", "\u0301", "1", "½", " ", "  ", "\n", "\r\n", "\t", "\u3000", "'", "'s", "'LL", "!", "/", "😀", "\xff", "ABCD", "xyz"}
	for _, p := range split.Patterns() {
		rapid.Check(t, func(t *rapid.T) {
			text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(alphabet), 0, 60).Draw(t, "text"), "")
			more := strings.Join(rapid.SliceOfN(rapid.SampledFrom(alphabet), 0, 8).Draw(t, "more"), "")
			settled := p.Settled(text)
			at := 0
			for at < len(text) {
				n := p.Next(text[at:])
				if at+n > settled {
					break
				}
				require.Equal(t, n, p.Next((text + more)[at:]), "%s %q+%q at %d, settled %d", p.Name(), text, more, at, settled)
				at += n
			}
		})
	}
}

func TestStreamsGiveTheIdsOfTheWholeText(t *testing.T) {
	bert, err := NewBert([]string{"[UNK]", "[CLS]", "[SEP]", "the", "##m", "##e", "a", "##b", "."}, false)
	require.NoError(t, err)
	base := byteTokenizer(t).config
	base.NFC = true
	nfc, err := NewBPE(base)
	require.NoError(t, err)
	base.NFC = false
	base.Split, err = split.Compile(`\w+|\W`)
	require.NoError(t, err)
	compiled, err := NewBPE(base)
	require.NoError(t, err)
	toks := map[string]Tokenizer{"bert": bert, "nfc": nfc, "compiled": compiled}
	for _, p := range split.Patterns() {
		toks[p.Name()] = train(t, []string{strings.Repeat("the theme of   the\n\n thesis, it's 12345 中文字 ÀB", 5)}, TrainOptions{VocabSize: 300, Split: p})
	}
	rng := rand.New(rand.NewPCG(1, 2))
	words := []string{"the ", "theme's ", "  ", "\n\n", "123456", "中文字", "e\u0301", "ÀBC", "!!", "\xff", "\u1100\u1161", "A"}
	for name, tok := range toks {
		for i := range 20 {
			var b strings.Builder
			for b.Len() < []int{0, 10, 1000, 700_000}[min(i/6, 3)] {
				b.WriteString(words[rng.IntN(len(words))])
			}
			text := b.String()
			if i >= 18 && name != "gpt2" && name != "nfc" {
				continue // the long ones take their time
			}
			want := append([]int32{}, tok.Encode(text)...)
			require.Equal(t, want, append([]int32{}, streamed(t, tok, &pieces{text, rng})...), name)
		}
	}
}

func TestStreamsOfLongRunsAreExact(t *testing.T) {
	tok := train(t, []string{strings.Repeat("aaaa      \n\n\n\n base64 'st 的一是了", 9)}, TrainOptions{VocabSize: 300, Split: split.O200K})
	for name, text := range awkwardTexts(600_000) {
		ids := streamed(t, tok, strings.NewReader(text))
		assert.True(t, len(ids) == tok.Count(text) && tok.Decode(ids) == text, name)
	}
}

func TestStreamsStopAtErrors(t *testing.T) {
	tok := byteTokenizer(t)
	failure := errors.New("disk on fire")
	err := EncodeReader(tok, io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(failure)), func([]int32) error { return nil })
	assert.ErrorIs(t, err, failure)
	err = EncodeReader(tok, strings.NewReader("abc"), func([]int32) error { return failure })
	assert.ErrorIs(t, err, failure)
	require.NoError(t, EncodeReader(tok, bytes.NewReader(nil), func([]int32) error { return failure }))
}

func TestTruncateKeepsTheTextOfTheFirstTokens(t *testing.T) {
	tok := train(t, []string{strings.Repeat("the theme of the thesis, 世界 ", 4)}, TrainOptions{VocabSize: 300})
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[the mso世界é]{0,30}`).Draw(t, "text")
		n := rapid.IntRange(-1, 40).Draw(t, "n")
		ids := tok.Encode(text)
		got := Truncate(tok, text, n)
		require.Equal(t, tok.Decode(ids[:max(0, min(n, len(ids)))]), got)
		require.True(t, strings.HasPrefix(text, got))
	})
	assert.True(t, utf8.ValidString(Truncate(tok, "世世世", 100)))
}

func TestPlacesOfTokensAreTheirBytes(t *testing.T) {
	tok := train(t, []string{strings.Repeat("the theme of the thesis, 世界 ", 4)}, TrainOptions{VocabSize: 300})
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		at := 0
		for id, span := range tok.Tokens(text) {
			token, _ := tok.Token(id)
			require.Equal(t, token.Bytes, text[span.Start:span.End])
			require.Equal(t, at, span.Start)
			at = span.End
		}
		require.Equal(t, len(text), at)
	})
}
