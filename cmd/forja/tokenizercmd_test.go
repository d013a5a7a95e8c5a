package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bertVocab writes a small vocab.txt.
func bertVocab(t *testing.T) string {
	return write(t, "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\n##me\n##sis\nolá\nola\n,\n")
}

func TestLinesOfTextsBecomeLinesOfIds(t *testing.T) {
	vocab := bertVocab(t)
	texts := `{"text":"The theme, the"}` + "\n" + `{"text":"","id":7}` + "\n" + `{"text":"olá\u2028thesis"}` + "\n" + `{"text":"[CLS]"}`
	out := forjaIn(t, texts, "tokenizer", "encode", "--jsonl", "--tokenizer", vocab).done(t).stdout
	assert.Equal(t, `{"ids":[4,4,5,9,4]}`+"\n"+`{"ids":[]}`+"\n"+`{"ids":[8,4,6]}`+"\n"+`{"ids":[1,1,1]}`+"\n", out)
	out = forjaIn(t, texts, "tokenizer", "encode", "--jsonl", "--tokenizer", vocab, "--cased").done(t).stdout
	assert.Equal(t, `{"ids":[1,4,5,9,4]}`, strings.SplitN(out, "\n", 2)[0])
	assert.Contains(t, out, `{"ids":[7,4,6]}`)
	out = forjaIn(t, texts, "tokenizer", "encode", "--jsonl", "--tokenizer", vocab, "--offsets", "--framed", "--specials").done(t).stdout
	assert.Equal(t, `{"ids":[2,4,4,5,9,4,3],"offsets":[[0,3],[4,7],[7,9],[9,10],[11,14]]}`, strings.SplitN(out, "\n", 2)[0])
	assert.Contains(t, out, `{"ids":[2,2,3],"offsets":[[0,5]]}`)
	var many, want strings.Builder
	for i := range 20_000 {
		many.WriteString(`{"text":"` + strings.Repeat("the ", i%7) + `"}` + "\n")
		want.WriteString(`{"tokens":` + string(rune('0'+i%7)) + "}\n")
	}
	assert.Equal(t, want.String(), forjaIn(t, many.String(), "tokenizer", "count", "--jsonl", "--tokenizer", vocab).done(t).stdout)
	back := forjaIn(t, `{"ids":[2,4,5,3]}`+"\n", "tokenizer", "decode", "--jsonl", "--tokenizer", vocab, "--skip-specials").done(t).stdout
	assert.Equal(t, `{"text":"theme"}`+"\n", back)
}

func TestAWrongLineIsNamed(t *testing.T) {
	vocab := bertVocab(t)
	for lines, want := range map[string]string{
		`{"text":"a"}` + "\n{":                   "line 2: not JSON",
		`{"text":"a"}` + "\n" + `{"txt":"a"}`:    `line 2: no "text"`,
		`{"text":"a"}` + "\n\n" + `{"text":"a"}`: "line 2: not JSON",
		`{"text":3}`:                             `line 1: "text" is of type number: want a text`,
	} {
		r := forjaIn(t, lines, "tokenizer", "encode", "--jsonl", "--tokenizer", vocab)
		assert.Equal(t, exitFailed, r.code)
		assert.Contains(t, r.err, want)
	}
}

func TestTokenizersOfAnyFormatAreOpenedAndConverted(t *testing.T) {
	dir := t.TempDir()
	forja(t, "tokenizer", "train", "-o", filepath.Join(dir, "tok"), "--tokenizer.vocab", "300", "--data.max_bytes", "30000").done(t)
	text := "func main() { fmt.Println(\"olá\") }"
	want := forjaIn(t, text, "tokenizer", "encode", filepath.Join(dir, "tok")).done(t).stdout
	for _, name := range []string{"a.json", "b.gguf", "gpt2.tiktoken", "v/vocab.json"} {
		path := filepath.Join(dir, name)
		out := forja(t, "tokenizer", "convert", filepath.Join(dir, "tok"), path).done(t).stdout
		assert.Contains(t, out, path)
		if name != "gpt2.tiktoken" { // has special tokens of its own
			assert.Equal(t, want, forjaIn(t, text, "tokenizer", "encode", path).done(t).stdout, name)
		}
	}
	for name, want := range map[string]string{"a.model": "a byte-level BPE has no form in it", "vocab.txt": "which this tokenizer is not", "a.xyz": "names no format"} {
		r := forja(t, "tokenizer", "convert", filepath.Join(dir, "tok"), filepath.Join(dir, "x", name))
		assert.NotEqual(t, exitDone, r.code)
		assert.Contains(t, r.err, want)
	}
	_, err := os.Stat(filepath.Join(dir, "x"))
	assert.ErrorIs(t, err, os.ErrNotExist, "nothing is made where nothing can be written")
	r := forja(t, "tokenizer", "encode", write(t, "mine.tiktoken", "IQ== 0\n"))
	assert.Contains(t, r.err, "does not say its split")
	r = forja(t, "tokenizer", "encode", "--tokenizer", filepath.Join(dir, "nothing"))
	assert.Equal(t, exitUsage, r.code)
	assert.Contains(t, r.err, "there is no tokenizer in")
	r = forja(t, "tokenizer", "encode", "--tokenizer", filepath.Join(dir, "tok"), "--pattern", "(")
	assert.Equal(t, exitUsage, r.code)
}

func TestInspectTellsOfVocabulariesAndLanguages(t *testing.T) {
	vocab := bertVocab(t)
	var s vocabularySummary
	require.NoError(t, json.Unmarshal([]byte(forja(t, "tokenizer", "inspect", vocab, "--json").done(t).stdout), &s))
	assert.Equal(t, "WordPiece", s.Kind)
	assert.Equal(t, 10, s.Vocab)
	assert.Equal(t, map[string]int{"special": 4, "Latin": 5, "punctuation and symbols": 1}, s.Tokens)
	docs := write(t, "docs.jsonl", `{"text":"the theme","lang":"en"}`+"\n"+`{"text":"ola ola","lang":"pt"}`+"\n")
	var rows []languageCount
	require.NoError(t, json.Unmarshal([]byte(forja(t, "tokenizer", "inspect", vocab, docs, "--json").done(t).stdout), &rows))
	require.Len(t, rows, 3)
	assert.Equal(t, languageCount{"en", 1, 9, 9, 3, 3}, rows[0])
	assert.Equal(t, "all", rows[2].Language)
	assert.Equal(t, 5, rows[2].Tokens)
	assert.Contains(t, forja(t, "tokenizer", "inspect", vocab, docs).done(t).stdout, "bytes a token")
	assert.Contains(t, forja(t, "tokenizer", "inspect", vocab, "--unreachable").done(t).stdout, "tokens that no text gives")
}

func TestTokenizersAreComparedAndMeasured(t *testing.T) {
	vocab := bertVocab(t)
	var rows []tokenizerRow
	require.NoError(t, json.Unmarshal([]byte(forjaIn(t, "the theme x", "tokenizer", "compare", vocab, vocab, "--json").done(t).stdout), &rows))
	require.Len(t, rows, 2)
	assert.Equal(t, 4, rows[0].Tokens)
	assert.Equal(t, 1, rows[1].Unknown)
	var speeds []tokenizerSpeed
	out := forja(t, "tokenizer", "bench", vocab, write(t, "text.txt", strings.Repeat("the theme ", 1000)), "--rounds", "1", "--json").done(t).stdout
	require.NoError(t, json.Unmarshal([]byte(out), &speeds))
	for _, s := range speeds {
		assert.Positive(t, s.MBPerS, s.Text)
	}
	assert.GreaterOrEqual(t, len(speeds), 6)
}
