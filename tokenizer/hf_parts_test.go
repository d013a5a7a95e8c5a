package tokenizer

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"
)

type partsFile struct {
	Name, File string
	Cases      []struct {
		Text           string
		Plain, Special []int32
		Framed, Pair   []int32
		Types          []int32
		Offsets        []int
		Decoded        string
	}
}

// partsFiles are what testdata/make_hf_parts.py wrote.
func partsFiles(t testing.TB) []partsFile {
	t.Helper()
	data, err := os.ReadFile("testdata/hf_parts.json.gz")
	require.NoError(t, err)
	zr, err := gzip.NewReader(bytes.NewReader(data))
	require.NoError(t, err)
	data, err = io.ReadAll(zr)
	require.NoError(t, err)
	var all struct{ Files []partsFile }
	require.NoError(t, json.Unmarshal(data, &all))
	return all.Files
}

// bare is a tokenizer.json without added tokens and post-processor.
func bare(t testing.TB, file string) []byte {
	t.Helper()
	var parts map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(file), &parts))
	parts["added_tokens"] = json.RawMessage("[]")
	delete(parts, "post_processor")
	out, err := json.Marshal(parts)
	require.NoError(t, err)
	return out
}

func same(t *testing.T, want, got []int32, what ...any) bool {
	t.Helper()
	return assert.Equal(t, append([]int32{}, want...), append([]int32{}, got...), what...)
}

func TestPartsGiveTheIdsOfHuggingFace(t *testing.T) {
	for _, f := range partsFiles(t) {
		t.Run(f.Name, func(t *testing.T) {
			plain := readJSON(t, bare(t, f.File))
			tok := readJSON(t, []byte(f.File))
			all, err := WithSpecials(tok)
			require.NoError(t, err)
			again := readJSON(t, writeJSON(t, tok))
			assert.Equal(t, Fingerprint(tok), Fingerprint(again))
			assert.Equal(t, TemplateOf(tok), TemplateOf(again))
			for _, c := range f.Cases {
				same(t, c.Plain, plain.Encode(c.Text), "%q", c.Text)
				same(t, c.Special, all.Encode(c.Text), "with special tokens %q", c.Text)
				same(t, c.Framed, TemplateOf(tok).Apply(all.Encode(c.Text)), "framed %q", c.Text)
				if TemplateOf(tok) != nil {
					ids, types, err := TemplateOf(tok).ApplyPair(all.Encode(c.Text), all.Encode("the fox"))
					require.NoError(t, err)
					same(t, c.Pair, ids, "pair %q", c.Text)
					same(t, c.Types, types, "types %q", c.Text)
				}
				same(t, tok.Encode(c.Text), again.Encode(c.Text), "written and read %q", c.Text)
				assert.Equal(t, len(c.Plain), plain.Count(c.Text))
				d := NewDecoder(plain, false)
				var text strings.Builder
				for _, id := range c.Plain {
					text.WriteString(d.Push(id))
				}
				text.WriteString(d.Flush())
				assert.Equal(t, strings.ToValidUTF8(plain.Decode(c.Plain), "\ufffd"), strings.ToValidUTF8(text.String(), "\ufffd"))
				if !strings.Contains(c.Decoded, "\ufffd") {
					assert.Equal(t, c.Decoded, text.String(), "decoded %q", c.Text)
				}
				// Of what Hugging Face composes or decomposes it names a part only;
				// dropped characters and bytes shift its offsets.
				comparable := norm.NFKD.IsNormalString(c.Text) && f.Name != "bpe unknown dropped" && f.Name != "unigram with bytes"
				i := 0
				for id, span := range plain.Tokens(c.Text) {
					require.Equal(t, c.Plain[i], id)
					// Hugging Face gives whole characters, and to what was put
					// before a character the place of that.
					for span.Start > 0 && !utf8.RuneStart(c.Text[span.Start]) {
						span.Start--
					}
					for span.End < len(c.Text) && !utf8.RuneStart(c.Text[span.End]) {
						span.End++
					}
					if span.Start < span.End && comparable {
						assert.Equal(t, Span{Start: c.Offsets[2*i], End: c.Offsets[2*i+1]}, span, "%q token %d", c.Text, i)
					}
					i++
				}
			}
		})
	}
}
