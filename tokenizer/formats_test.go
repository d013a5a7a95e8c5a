package tokenizer

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/tokenizer/decode"
	"forja/tokenizer/internal/gguf"
	"forja/tokenizer/internal/wire"
	"forja/tokenizer/normalize"
	"forja/tokenizer/split"
	"forja/tokenizer/unigram"
)

// formatTexts show where tokenizers differ.
var formatTexts = []string{"", " ", "the theme of the thesis", "  The  THEME\n\n of it's 12345 ", "não é açúcar", "今日は世界", "<unk></s><|endoftext|>[CLS]", "e\u0301 ﬁ\u3000x", "a▁b", "😀"}

func sameIDs(t *testing.T, want, got Tokenizer, what string) {
	t.Helper()
	for _, text := range formatTexts {
		same(t, want.Encode(text), got.Encode(text), "%s %q", what, text)
		assert.Equal(t, want.Decode(want.Encode(text)), got.Decode(want.Encode(text)), "%s %q", what, text)
	}
	assert.Equal(t, want.VocabSize(), got.VocabSize(), what)
}

// smallUnigram is a SentencePiece Unigram model.
func smallUnigram(t testing.TB, bytes bool) *Pipeline {
	t.Helper()
	o := unigram.Options{Unknown: 0, ByteFallback: bytes, Single: true, Pieces: []unigram.Piece{{Text: "<unk>", Kind: unigram.Hidden}, {Text: "<s>", Kind: unigram.Hidden}, {Text: "</s>", Kind: unigram.Hidden}}}
	if bytes {
		for b := range 256 {
			o.Pieces = append(o.Pieces, unigram.Piece{Text: byteToken(byte(b)), Kind: unigram.Byte})
		}
	}
	for i, text := range []string{"\u2581", "\u2581the", "me", "sis", "t", "h", "e", "m", "s", "i", "o", "f", "a", "ã", "\u2581of", "é", "日", "T", "H", "E", "M"} {
		o.Pieces = append(o.Pieces, unigram.Piece{Text: text, Score: -float64(i) * 0.37})
	}
	model, err := unigram.New(o)
	require.NoError(t, err)
	chain := decode.Chain{decode.SentencePiece{Trim: true, All: true, Unknown: "<unk>"}}
	if bytes {
		chain = append(decode.Chain{decode.ByteFallback{}}, chain...)
	}
	p, err := NewPipeline(PipelineConfig{Normalizer: normalize.SentencePiece{Prefix: true, RemoveExtra: true, Escape: true, Name: "identity"}, Model: model, Decoder: chain,
		Specials: []Special{{ID: 0, Content: "<unk>"}, {ID: 1, Content: "<s>"}, {ID: 2, Content: "</s>"}}})
	require.NoError(t, err)
	return p
}

// smallSPM is a SentencePiece BPE model.
func smallSPM(t testing.TB) *Pipeline {
	t.Helper()
	m := spmModel{kind: spmBPE, prefix: true, escape: true, byteFallback: true, name: "identity", pieces: []spmPiece{{"<unk>", 0, spmUnknown}, {"<s>", 0, spmControl}, {"</s>", 0, spmControl}, {"<tool>", 0, spmUser}}}
	for b := range 256 {
		m.pieces = append(m.pieces, spmPiece{byteToken(byte(b)), 0, spmByte})
	}
	for i, text := range []string{"th", "\u2581th", "\u2581the", "\u2581t", "he", "es", "is", "me", "\u2581o", "of", "\u2581of", "\u2581", "t", "h", "e", "m", "s", "i", "o", "f"} {
		m.pieces = append(m.pieces, spmPiece{text, -float32(i), spmNormal})
	}
	p, err := ReadSentencePiece(bytes.NewReader(m.append(nil)))
	require.NoError(t, err)
	return p
}

func TestSentencePieceModelsSurviveTheirFile(t *testing.T) {
	for name, p := range map[string]*Pipeline{"unigram": smallUnigram(t, false), "with bytes": smallUnigram(t, true), "bpe": smallSPM(t)} {
		var b bytes.Buffer
		require.NoError(t, WriteSentencePiece(&b, p), name)
		again, err := ReadSentencePiece(bytes.NewReader(b.Bytes()))
		require.NoError(t, err, name)
		sameIDs(t, p, again, name)
		assert.Equal(t, Fingerprint(p), Fingerprint(again), name)
		assert.Equal(t, p.Specials(), again.Specials(), name)
		var c bytes.Buffer
		require.NoError(t, WriteSentencePiece(&c, again), name)
		assert.Equal(t, b.Bytes(), c.Bytes(), name)
	}
}

func TestSentencePieceModelsKeepTheirIdsInOtherFormats(t *testing.T) {
	for name, p := range map[string]*Pipeline{"unigram": smallUnigram(t, false), "with bytes": smallUnigram(t, true), "bpe": smallSPM(t)} {
		again := readJSON(t, writeJSON(t, p))
		for _, text := range formatTexts {
			if strings.Contains(text, "<") {
				continue // an added token there
			}
			same(t, p.Encode(text), again.Encode(text), "tokenizer.json of %s %q", name, text)
		}
		var b bytes.Buffer
		require.NoError(t, WriteGGUF(&b, p), name)
		fromGGUF, err := ReadGGUF(&b)
		require.NoError(t, err, name)
		sameIDs(t, p, fromGGUF, "GGUF of "+name)
	}
}

func TestUserDefinedPiecesAreTakenWhereverTheyOccur(t *testing.T) {
	p := smallSPM(t)
	id, ok := p.ID("<tool>")
	require.True(t, ok)
	assert.Contains(t, p.Encode("the<tool>me"), id)
	assert.Equal(t, "the<tool>me", p.Decode(p.Encode("the<tool>me")))
}

func TestByteLevelModelsKeepTheirIdsInOtherFormats(t *testing.T) {
	docs := []string{strings.Repeat("the theme of the thesis, it's 12345 não é 今日は ", 4)}
	for _, pattern := range split.Patterns() {
		b := train(t, docs, TrainOptions{VocabSize: 300, Split: pattern, Specials: []string{"<|endoftext|>", "<|im_end|>"}})
		var vocab, merges, ranks bytes.Buffer
		require.NoError(t, WriteMerges(&vocab, &merges, b))
		again, err := ReadMerges(&vocab, &merges, pattern)
		require.NoError(t, err)
		sameIDs(t, b, again, "vocab.json of "+pattern.Name())
		assert.Equal(t, Fingerprint(b), Fingerprint(again))
		require.NoError(t, WriteTiktoken(&ranks, b))
		ranked, err := LoadTiktoken(&ranks, pattern, b.Specials()...)
		require.NoError(t, err)
		sameIDs(t, b, ranked, ".tiktoken of "+pattern.Name())
		for _, model := range []*BPE{b, ranked} {
			var file bytes.Buffer
			err = WriteGGUF(&file, model)
			if pattern == split.Nanochat || pattern == split.Tekken && model == b {
				assert.ErrorContains(t, err, "llama.cpp has no name for the split "+pattern.Name())
				continue
			}
			require.NoError(t, err)
			fromGGUF, err := ReadGGUF(&file)
			require.NoError(t, err)
			sameIDs(t, model, fromGGUF, "GGUF of "+pattern.Name())
		}
		assert.ErrorContains(t, WriteSentencePiece(&vocab, b), "a byte-level BPE has no form in it")
		assert.ErrorContains(t, WriteVocab(&vocab, b), "which this tokenizer is not")
	}
}

func TestBertKeepsItsIdsInOtherFormats(t *testing.T) {
	tokens := []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "##me", "##sis", "of", "nao", "e", "今", "[", "]", "cls", "12", "##345"}
	for _, cased := range []bool{false, true} {
		p, err := NewBert(tokens, cased)
		require.NoError(t, err)
		var vocab, file bytes.Buffer
		require.NoError(t, WriteVocab(&vocab, p))
		again, err := ReadVocab(&vocab, cased)
		require.NoError(t, err)
		sameIDs(t, p, again, "vocab.txt")
		assert.Equal(t, Fingerprint(p), Fingerprint(again))
		sameIDs(t, p, readJSON(t, writeJSON(t, p)), "tokenizer.json")
		assert.Equal(t, Fingerprint(p), Fingerprint(readJSON(t, writeJSON(t, p))))
		if cased {
			assert.ErrorContains(t, WriteGGUF(&file, p), "llama.cpp lowers case")
			continue
		}
		require.NoError(t, WriteGGUF(&file, p))
		fromGGUF, err := ReadGGUF(&file)
		require.NoError(t, err)
		sameIDs(t, p, fromGGUF, "GGUF")
		ids, types, err := TemplateOf(p).ApplyPair([]int32{5}, []int32{6})
		require.NoError(t, err)
		assert.Equal(t, []int32{2, 5, 3, 6, 3}, ids)
		assert.Equal(t, []int32{0, 0, 0, 1, 1}, types)
	}
}

func TestLlamaMergesBecomeScoresOnlyWhereTheyMeanTheSame(t *testing.T) {
	for _, f := range partsFiles(t) {
		if f.Name != "llama" {
			continue
		}
		p := readJSON(t, []byte(f.File))
		var b bytes.Buffer
		err := WriteSentencePiece(&b, p)
		if err != nil {
			assert.ErrorContains(t, err, "write SentencePiece model: ")
			return
		}
		again, err := ReadSentencePiece(&b)
		require.NoError(t, err)
		sameIDs(t, p, again, ".model of LLaMA's tokenizer.json")
	}
}

func TestFilesAreKnownByTheirNameAndStart(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, packed bool, data []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		if packed {
			var b bytes.Buffer
			zw := gzip.NewWriter(&b)
			zw.Write(data)
			require.NoError(t, zw.Close())
			data = b.Bytes()
		}
		require.NoError(t, os.WriteFile(path, data, 0o644))
		return path
	}
	b := train(t, []string{strings.Repeat("the theme of the thesis ", 4)}, TrainOptions{VocabSize: 280})
	bert, err := NewBert([]string{"[UNK]", "The", "the", "##me"}, true)
	require.NoError(t, err)
	var ranks, vocab, merges, model, tokens, ggufFile bytes.Buffer
	require.NoError(t, WriteTiktoken(&ranks, b))
	require.NoError(t, WriteMerges(&vocab, &merges, b))
	require.NoError(t, WriteSentencePiece(&model, smallSPM(t)))
	require.NoError(t, WriteVocab(&tokens, bert))
	require.NoError(t, WriteGGUF(&ggufFile, b))
	for _, packed := range []bool{false, true} {
		suffix := map[bool]string{true: ".gz"}[packed]
		write("a/tokenizer.json"+suffix, packed, writeJSON(t, b))
		write("b/vocab.json"+suffix, packed, vocab.Bytes())
		write("b/merges.txt"+suffix, packed, merges.Bytes())
		for path, want := range map[string]Tokenizer{
			filepath.Join(dir, "a"):                                         b,
			write("any.json"+suffix, packed, writeJSON(t, b)):               b,
			write("gpt2.tiktoken"+suffix, packed, ranks.Bytes()):            b,
			write("r50k_base.tiktoken"+suffix, packed, ranks.Bytes()):       b,
			filepath.Join(dir, "b"):                                         b,
			filepath.Join(dir, "b", "vocab.json"+suffix):                    b,
			write("c/tokenizer.model"+suffix, packed, model.Bytes()):        smallSPM(t),
			write("d/vocab.txt"+suffix, packed, tokens.Bytes()):             bert,
			write("e/model-Q4.gguf"+suffix, packed, ggufFile.Bytes()):       b,
			filepath.Join(dir, "e"):                                         b,
			write("model without name"+suffix, packed, ggufFile.Bytes()):    b,
			write("a model without name"+suffix, packed, model.Bytes()):     smallSPM(t),
			write("json without a name"+suffix, packed, writeJSON(t, bert)): bert,
		} {
			got, err := Open(path, OpenOptions{Cased: true})
			require.NoError(t, err, path)
			same(t, want.Encode("the Theme the thesis"), got.Encode("the Theme the thesis"), path)
		}
		_, err := Open(write("mine.tiktoken"+suffix, packed, ranks.Bytes()), OpenOptions{})
		assert.ErrorContains(t, err, "does not say its split: name the file like one of cl100k_base")
		got, err := Open(filepath.Join(dir, "mine.tiktoken"+suffix), OpenOptions{Split: split.GPT2})
		require.NoError(t, err)
		same(t, b.Encode("the theme"), got.Encode("the theme"))
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "e")))
	}
	_, err = Open(filepath.Join(dir, "nothing"), OpenOptions{})
	assert.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "empty"), 0o755))
	_, err = Open(filepath.Join(dir, "empty"), OpenOptions{})
	assert.ErrorContains(t, err, "holds no tokenizer")
	_, err = Open(write("noise", false, []byte("noise")), OpenOptions{})
	assert.ErrorContains(t, err, "neither its name nor its start say what it is")
}

func TestConfigKeepsTemplatesAndRoles(t *testing.T) {
	c, err := ReadConfig(strings.NewReader(`{"bos_token":{"content":"<s>","lstrip":false},"eos_token":"</s>","pad_token":null,"add_bos_token":true,
		"model_max_length":1000000000000000019884624838656,"chat_template":[{"name":"default","template":"{{ a }}"},{"name":"tools","template":"<b>"}]}`))
	require.NoError(t, err)
	yes := true
	want := &Config{BOS: "<s>", EOS: "</s>", AddBOS: &yes, ChatTemplate: "{{ a }}", Templates: map[string]string{"tools": "<b>"}}
	assert.Equal(t, want, c)
	c.MaxLength = 4096
	var b bytes.Buffer
	require.NoError(t, WriteConfig(&b, c))
	again, err := ReadConfig(&b)
	require.NoError(t, err)
	assert.Equal(t, c, again)
	for text, want := range map[string]string{
		`{"bos_token":3}`:          "bos_token is neither a text nor an object",
		`{"chat_template":3}`:      "neither a text nor a list",
		`{"chat_template":["a"]}`:  "has no name or no text",
		`{"model_max_length":"x"}`: "cannot unmarshal",
		`[`:                        "unexpected end",
	} {
		_, err := ReadConfig(strings.NewReader(text))
		assert.ErrorContains(t, err, want, text)
	}
}

func TestDamagedSentencePieceModelsAreRefused(t *testing.T) {
	piece := func(text string, kind uint64) []byte {
		return wire.AppendBytes(nil, modelPieces, wire.AppendVarint(wire.AppendFloat(wire.AppendBytes(nil, pieceText, text), pieceScore, -1), pieceType, kind))
	}
	good := append(piece("<unk>", spmUnknown), piece("a", spmNormal)...)
	_, err := ReadSentencePiece(bytes.NewReader(good))
	require.NoError(t, err)
	for _, c := range []struct {
		data []byte
		want string
	}{
		{nil, "it has no pieces"},
		{[]byte("\xff\xff\xff"), "byte 0: the message is truncated"},
		{good[:len(good)-1], "truncated"},
		{append(append([]byte{}, good...), piece("a", spmNormal)...), `piece "a" has two ids, 1 and 2`},
		{append(append([]byte{}, good...), piece("", spmNormal)...), "piece 2 is empty"},
		{append(append([]byte{}, good...), piece("b", 9)...), "of the unknown kind 9"},
		{append(append([]byte{}, good...), piece("b", spmByte)...), "is said to be a byte"},
		{append(append([]byte{}, good...), piece("b", spmUnknown)...), "are both unknown"},
		{piece("a", spmNormal), "no piece is the unknown one"},
		{append(append([]byte{}, good...), 0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), "truncated"},
		{wire.AppendBytes(append([]byte{}, good...), modelTrainer, wire.AppendVarint(nil, trainerModelType, spmWord)), "models of the kind 3"},
		{wire.AppendBytes(append([]byte{}, good...), modelTrainer, wire.AppendVarint(nil, trainerByteFallback, 1)), "byte fallback needs the piece <0x00>"},
		{wire.AppendBytes(append([]byte{}, good...), modelNormalizer, wire.AppendBytes(nil, normalizerCharsmap, "\xff\xff\xff\xff")), "the charsmap says that its trie has 4294967295 bytes"},
	} {
		_, err := ReadSentencePiece(bytes.NewReader(c.data))
		assert.ErrorContains(t, err, c.want)
	}
}

func TestDamagedVocabulariesAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      "no token is [UNK]",
		"a\nb":                                  "no token is [UNK]",
		"[UNK]\na\na":                           `line 3: token "a" is also in line 2`,
		"[UNK]\n\na":                            "line 2: an empty token",
		"[UNK]\n\xffa":                          `line 2: token "\xffa" is not UTF-8`,
		"[UNK]\n" + strings.Repeat("x", 20_000): "is longer than 16384 bytes",
	} {
		_, err := ReadVocab(strings.NewReader(text), false)
		assert.ErrorContains(t, err, want, "%.20q", text)
	}
	b := train(t, []string{"aa bb aa"}, TrainOptions{VocabSize: 257})
	var vocab, merges bytes.Buffer
	require.NoError(t, WriteMerges(&vocab, &merges, b))
	for tail, want := range map[string]string{
		"a b c\n": `merges.txt: line 3: "a b c" is not two tokens`,
		"ab\n":    `line 3: "ab" is not two tokens`,
		"zz a\n":  `"zz" is not in the vocabulary`,
		"a b\n":   `gives "ab", which is not a token`,
		"a a\n":   "is listed twice",
	} {
		_, err := ReadMerges(bytes.NewReader(vocab.Bytes()), strings.NewReader(merges.String()+tail), split.GPT2)
		assert.ErrorContains(t, err, want, tail)
	}
	_, err := ReadMerges(strings.NewReader(`{"a":1,"a":2}`), &merges, split.GPT2)
	assert.ErrorContains(t, err, `vocab.json: line 1`)
}

func TestDamagedGGUFIsRefused(t *testing.T) {
	b := train(t, []string{"aa bb aa"}, TrainOptions{VocabSize: 257})
	values, err := GGUFMetadata(b)
	require.NoError(t, err)
	for _, c := range []struct {
		key   string
		value any
		want  string
	}{
		{ggufModel, "rwkv", "the model rwkv is not supported"},
		{ggufPre, "mystery", `the split "mystery" is not known`},
		{ggufTokens, []string{}, "it must list 1 to"},
		{ggufTokens, []string{"a", "a"}, "257 types and 0 scores for 2 tokens"},
		{ggufMerges, []string{"a"}, `merge 0 is "a"`},
		{ggufMerges, []string{"a z"}, `gives "az", which is not a token`},
	} {
		changed := map[string]any{}
		for key, value := range values {
			changed[key] = value
		}
		changed[c.key] = c.value
		var file bytes.Buffer
		require.NoError(t, gguf.Write(&file, changed))
		_, err := ReadGGUF(&file)
		assert.ErrorContains(t, err, c.want)
	}
	var file bytes.Buffer
	require.NoError(t, gguf.Write(&file, values))
	for n := range file.Len() {
		if n%7 == 0 {
			_, err := ReadGGUF(bytes.NewReader(file.Bytes()[:n]))
			require.Error(t, err, n)
		}
	}
}

func FuzzReadSentencePiece(f *testing.F) {
	for _, p := range []*Pipeline{smallUnigram(f, true), smallSPM(f)} {
		var b bytes.Buffer
		require.NoError(f, WriteSentencePiece(&b, p))
		f.Add(b.Bytes())
		f.Add(b.Bytes()[b.Len()-200:])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ReadSentencePiece(bytes.NewReader(data))
		if err != nil {
			return
		}
		checkAny(t, p)
		var b bytes.Buffer
		if WriteSentencePiece(&b, p) == nil {
			again, err := ReadSentencePiece(&b)
			require.NoError(t, err)
			for _, text := range formatTexts {
				require.Equal(t, append([]int32{}, p.Encode(text)...), append([]int32{}, again.Encode(text)...))
			}
		}
	})
}

// checkAny holds whatever a file holds.
func checkAny(t *testing.T, tok Tokenizer) {
	t.Helper()
	for _, text := range append(formatTexts, "\xff\x00\x80é", strings.Repeat("the ", 40)) {
		ids := tok.Encode(text)
		require.Equal(t, len(ids), tok.Count(text))
		for _, id := range ids {
			require.True(t, 0 <= id && int(id) < tok.VocabSize(), id)
		}
		tok.Decode(ids)
		last := 0
		for _, span := range tok.Tokens(text) {
			require.True(t, 0 <= span.Start && span.Start <= span.End && span.End <= len(text) && last <= span.End)
			last = span.End
		}
	}
}

func FuzzReadVocab(f *testing.F) {
	f.Add([]byte("[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\n##me\nof\n"), true)
	f.Add([]byte("[UNK]\n##\n#\n"), false)
	f.Fuzz(func(t *testing.T, data []byte, cased bool) {
		if p, err := ReadVocab(bytes.NewReader(data), cased); err == nil {
			checkAny(t, p)
		}
	})
}

func FuzzReadMerges(f *testing.F) {
	b := train(f, []string{strings.Repeat("the theme of the thesis ", 4)}, TrainOptions{VocabSize: 270})
	var vocab, merges bytes.Buffer
	require.NoError(f, WriteMerges(&vocab, &merges, b))
	f.Add(vocab.Bytes(), merges.Bytes())
	f.Add(vocab.Bytes(), []byte("#version: 0.2\nt h\n"))
	f.Fuzz(func(t *testing.T, vocab, merges []byte) {
		if b, err := ReadMerges(bytes.NewReader(vocab), bytes.NewReader(merges), split.O200K); err == nil {
			checkAny(t, b)
		}
	})
}

func FuzzReadGGUF(f *testing.F) {
	bert, err := NewBert([]string{"[UNK]", "the", "##me"}, false)
	require.NoError(f, err)
	for _, tok := range []Tokenizer{bert, smallSPM(f), smallUnigram(f, false), train(f, []string{"the theme"}, TrainOptions{VocabSize: 258})} {
		var b bytes.Buffer
		require.NoError(f, WriteGGUF(&b, tok))
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if tok, err := ReadGGUF(bytes.NewReader(data)); err == nil {
			checkAny(t, tok)
		}
	})
}

func FuzzReadConfig(f *testing.F) {
	f.Add([]byte(`{"bos_token":{"content":"<s>"},"chat_template":[{"name":"default","template":"x"}],"model_max_length":1e30}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ReadConfig(bytes.NewReader(data))
		if err == nil {
			require.NoError(t, WriteConfig(&bytes.Buffer{}, c))
		}
	})
}
