package tokenizer

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"forja/tokenizer/internal/gguf"
	"forja/tokenizer/normalize"
	"forja/tokenizer/split"
)

// The keys of a GGUF file that describe its tokenizer.
const (
	ggufPrefix    = "tokenizer.ggml."
	ggufModel     = ggufPrefix + "model" // gpt2, llama, bert or t5
	ggufPre       = ggufPrefix + "pre"
	ggufTokens    = ggufPrefix + "tokens"
	ggufScores    = ggufPrefix + "scores"
	ggufTypes     = ggufPrefix + "token_type"
	ggufMerges    = ggufPrefix + "merges"
	ggufUnknown   = ggufPrefix + "unknown_token_id"
	ggufAddSpace  = ggufPrefix + "add_space_prefix"
	ggufRemove    = ggufPrefix + "remove_extra_whitespaces"
	ggufCharsmap  = ggufPrefix + "precompiled_charsmap"
	ggufTemplate  = "tokenizer.chat_template"
	ggufAddBegin  = ggufPrefix + "add_bos_token"
	ggufAddEnd    = ggufPrefix + "add_eos_token"
	ggufBegin     = ggufPrefix + "bos_token_id"
	ggufEnd       = ggufPrefix + "eos_token_id"
	ggufSeparator = ggufPrefix + "seperator_token_id" // sic
	ggufPad       = ggufPrefix + "padding_token_id"
)

// Types of tokens in a GGUF file: the same as in a .model.
const (
	ggufNormal, ggufUnknownType, ggufControl, ggufUser, ggufUnused, ggufByte = 1, 2, 3, 4, 5, 6
)

// ggufPres are the names that llama.cpp has for a split, its own first; whole
// tells that it looks whole words up before it merges them.
var ggufPres = []struct {
	pattern *split.Pattern
	whole   bool
	names   []string
}{
	{split.GPT2, false, []string{"gpt-2", "phi-2", "jina-es", "jina-de", "jina-v1-en", "jina-v2-es", "jina-v2-de", "roberta-bpe", "exaone4", "mellum"}},
	{split.CL100K, true, []string{"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral"}},
	{split.CL100K, false, []string{"dbrx", "smaug-bpe", "olmo"}},
	{split.Qwen2, false, []string{"qwen2", "deepseek-r1-qwen"}},
	{split.O200K, false, []string{"gpt-4o", "llama4"}},
	{split.Tekken, true, []string{"tekken"}},
}

// ReadGGUF reads the tokenizer of a GGUF file: of the models gpt2, llama, bert
// and t5, with the splits that have a scanner here. It stops before the
// tensors. Errors name the key.
func ReadGGUF(r io.Reader) (Tokenizer, error) {
	values, err := gguf.Read(r, func(key string) bool { return strings.HasPrefix(key, ggufPrefix) })
	if err != nil {
		return nil, fmt.Errorf("read GGUF: %w", err)
	}
	t, err := fromGGUF(values)
	if err != nil {
		return nil, fmt.Errorf("read GGUF: %w", err)
	}
	return t, nil
}

// ggufValues are the keys of a file.
type ggufValues map[string]any

func (v ggufValues) flag(key string, otherwise bool) bool {
	if set, ok := v[key].(bool); ok {
		return set
	}
	return otherwise
}

func fromGGUF(v ggufValues) (Tokenizer, error) {
	tokens, _ := v[ggufTokens].([]string)
	if len(tokens) == 0 || len(tokens) > MaxVocab {
		return nil, fmt.Errorf("key %s: it must list 1 to %d tokens; there are %d", ggufTokens, MaxVocab, len(tokens))
	}
	types, _ := v[ggufTypes].([]int64)
	scores, _ := v[ggufScores].([]float64)
	if types != nil && len(types) != len(tokens) || scores != nil && len(scores) != len(tokens) {
		return nil, fmt.Errorf("keys %s and %s: %d types and %d scores for %d tokens", ggufTypes, ggufScores, len(types), len(scores), len(tokens))
	}
	if types == nil {
		types = make([]int64, len(tokens))
		for i := range types {
			types[i] = ggufNormal
		}
	}
	if scores == nil {
		scores = make([]float64, len(tokens))
	}
	switch kind := v[ggufModel]; kind {
	case "gpt2":
		return v.byteLevel(tokens, types)
	case "llama", "t5":
		return v.sentencePiece(kind == "llama", tokens, types, scores)
	case "bert":
		for i, token := range tokens {
			if rest, ok := strings.CutPrefix(token, normalize.Meta); ok {
				tokens[i] = rest
			} else if types[i] == ggufNormal && !slices.Contains(bertSpecials, token) {
				tokens[i] = "##" + token
			}
		}
		return NewBert(tokens, false)
	default:
		return nil, fmt.Errorf("key %s: the model %v is not supported; gpt2, llama, bert and t5 are", ggufModel, kind)
	}
}

// byteLevel makes a BPE of the model gpt2.
func (v ggufValues) byteLevel(tokens []string, types []int64) (Tokenizer, error) {
	config := BPEConfig{}
	name, _ := v[ggufPre].(string)
	for _, pre := range ggufPres {
		if slices.Contains(pre.names, name) {
			config.Split, config.WholeWords = pre.pattern, pre.whole
		}
	}
	if config.Split == nil {
		return nil, fmt.Errorf("key %s: the split %q is not known", ggufPre, name)
	}
	f := jsonFile{}
	for id, token := range tokens {
		if types[id] == ggufUnused && strings.HasPrefix(token, "[PAD") {
			continue // fills a hole
		}
		f.ids = append(f.ids, int32(id))
		f.tokens = append(f.tokens, token)
		if types[id] != ggufNormal {
			f.specials = append(f.specials, Special{ID: int32(id), Content: token, Visible: types[id] == ggufUser})
		}
	}
	var first, second int32
	if f.table, first, second = newTokenTable(f.tokens); second >= 0 {
		return nil, fmt.Errorf("key %s: token %q has two ids, %d and %d", ggufTokens, f.tokens[first], f.ids[first], f.ids[second])
	}
	merges, _ := v[ggufMerges].([]string)
	for i, merge := range merges {
		left, right, ok := strings.Cut(merge, " ")
		if !ok || left == "" || right == "" {
			return nil, fmt.Errorf("key %s: merge %d is %.100q, not two tokens with a blank between", ggufMerges, i, merge)
		}
		f.merges = append(f.merges, [2]string{left, right})
	}
	config.Specials = f.specials
	if err := f.byteTokens(&config); err != nil {
		return nil, err
	}
	return NewBPE(config)
}

// sentencePiece makes a pipeline of the models llama and t5.
func (v ggufValues) sentencePiece(bpe bool, tokens []string, types []int64, scores []float64) (Tokenizer, error) {
	m := spmModel{kind: spmUnigram, prefix: v.flag(ggufAddSpace, true), removeExtra: v.flag(ggufRemove, !bpe), escape: true}
	if bpe {
		m.kind = spmBPE
	}
	if charsmap, ok := v[ggufCharsmap].([]int64); ok {
		for _, b := range charsmap {
			m.charsmap = append(m.charsmap, byte(b))
		}
	}
	for id, token := range tokens {
		kind := uint64(types[id])
		if bpe && kind == spmUnused {
			kind = spmControl
		}
		m.byteFallback = m.byteFallback || kind == spmByte
		m.pieces = append(m.pieces, spmPiece{token, float32(scores[id]), kind})
	}
	if id, ok := v[ggufUnknown].(int64); ok && id >= 0 && int(id) < len(tokens) && !slices.Contains(types, ggufUnknownType) {
		m.pieces[id].kind = spmUnknown
	}
	return m.build()
}

// GGUFMetadata returns the keys of a GGUF file for t, as who writes the file
// needs them: string, bool, uint32, []string, []int32, []float32 and []byte.
// The ids of special tokens by role are left to the caller, who knows them;
// those that a Template or the usual names tell are set. It fails, saying why,
// if llama.cpp has no form for t.
func GGUFMetadata(t Tokenizer) (map[string]any, error) {
	out, err := toGGUF(t)
	if err != nil {
		return nil, fmt.Errorf("make GGUF metadata: %w", err)
	}
	return out, nil
}

// WriteGGUF writes a GGUF file that holds a tokenizer and nothing else.
func WriteGGUF(w io.Writer, t Tokenizer) error {
	values, err := toGGUF(t)
	if err != nil {
		return fmt.Errorf("write GGUF: %w", err)
	}
	architecture := map[any]string{"gpt2": "gpt2", "llama": "llama", "t5": "t5", "bert": "bert"}[values[ggufModel]]
	values["general.architecture"] = architecture
	if err := gguf.Write(w, values); err != nil {
		return fmt.Errorf("write GGUF: %w", err)
	}
	return nil
}
