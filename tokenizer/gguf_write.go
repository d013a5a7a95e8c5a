package tokenizer

import (
	"errors"
	"fmt"
	"strings"

	"forja/tokenizer/internal/bytelevel"
	"forja/tokenizer/normalize"
	"forja/tokenizer/wordpiece"
)

// toGGUF is t as the keys of a GGUF file.
func toGGUF(t Tokenizer) (map[string]any, error) {
	t = unwrap(t)
	var out map[string]any
	var err error
	switch t := t.(type) {
	case *BPE:
		out, err = ggufOfBPE(t)
	case *Pipeline:
		if model, ok := t.config.Model.(*wordpiece.Model); ok {
			out, err = ggufOfBert(t, model)
		} else {
			out, err = ggufOfSentencePiece(t)
		}
	default:
		err = fmt.Errorf("a %T has no form in GGUF", t)
	}
	if err != nil {
		return nil, err
	}
	for _, role := range []struct {
		key   string
		names []string
	}{
		{ggufBegin, []string{"<s>", "<bos>", "<|begin_of_text|>", "[CLS]", "<|endoftext|>"}},
		{ggufEnd, []string{"</s>", "<eos>", "<|end_of_text|>", "<|im_end|>", "[SEP]", "<|endoftext|>"}},
		{ggufUnknown, []string{"<unk>", "[UNK]"}},
		{ggufPad, []string{"<pad>", "[PAD]"}},
		{ggufSeparator, []string{"[SEP]"}},
	} {
		for _, name := range role.names {
			if id, ok := specialID(t, name); ok {
				out[role.key] = uint32(id)
				break
			}
		}
	}
	// llama.cpp has its own defaults for these: always say.
	template := TemplateOf(t)
	begins, ends := false, false
	if template != nil && len(template.Single) > 0 {
		begins = template.Single[0].Text == 0
		ends = template.Single[len(template.Single)-1].Text == 0
	}
	out[ggufAddBegin], out[ggufAddEnd] = begins, ends
	return out, nil
}

func specialID(t Tokenizer, content string) (int32, bool) {
	for _, s := range t.Specials() {
		if s.Content == content {
			return s.ID, true
		}
	}
	return 0, false
}

func ggufOfBPE(b *BPE) (map[string]any, error) {
	pre := ""
	for _, p := range ggufPres {
		// By ranks whole words are looked up too, but that changes ids only
		// where merges do not make a token, which ranks always do.
		if p.pattern == b.config.Split && (p.whole == b.config.WholeWords || b.config.Ranked) && pre == "" {
			pre = p.names[0]
		}
	}
	switch {
	case pre == "" && b.config.Split.Name() != "":
		return nil, fmt.Errorf("llama.cpp has no name for the split %s with whole words %t; gpt2, cl100k, qwen2, o200k and tekken have one", b.config.Split.Name(), b.config.WholeWords)
	case pre == "":
		return nil, errors.New("llama.cpp runs only splits that it knows by name, which this expression is not")
	}
	if _, err := describeBPE(b); err != nil {
		return nil, err
	}
	tokens, types := make([]string, b.VocabSize()), make([]int32, b.VocabSize())
	for id := range int32(len(tokens)) {
		token := b.ordinary(id)
		s, special := b.special[id]
		switch {
		case special && s.Visible && token != "":
			tokens[id], types[id] = bytelevel.Spell(token), ggufNormal
		case special && s.Visible:
			tokens[id], types[id] = s.Content, ggufUser
		case special:
			tokens[id], types[id] = s.Content, ggufControl
		case token != "":
			tokens[id], types[id] = bytelevel.Spell(token), ggufNormal
		default:
			tokens[id], types[id] = fmt.Sprintf("[PAD%d]", id), ggufUnused
		}
	}
	merges := make([]string, len(b.merges))
	for i, merge := range b.merges {
		merges[i] = bytelevel.Spell(b.ordinary(merge[0])) + " " + bytelevel.Spell(b.ordinary(merge[1]))
	}
	return map[string]any{ggufModel: "gpt2", ggufPre: pre, ggufTokens: tokens, ggufTypes: types, ggufMerges: merges}, nil
}

func ggufOfBert(p *Pipeline, model *wordpiece.Model) (map[string]any, error) {
	rules, ok := p.config.Normalizer.(normalize.Bert)
	if s, isSequence := p.config.Normalizer.(normalize.Sequence); isSequence && len(s) == 1 {
		rules, ok = s[0].(normalize.Bert)
	}
	if !ok || !rules.Lowercase || !rules.StripAccents {
		return nil, errors.New("llama.cpp lowers case and removes accents before WordPiece, which this tokenizer does not")
	}
	if model.Options().Prefix != "##" {
		return nil, errors.New("llama.cpp knows WordPiece only with the prefix ##")
	}
	tokens, types := make([]string, p.VocabSize()), make([]int32, p.VocabSize())
	for id := range int32(len(tokens)) {
		token, ok := p.Token(id)
		rest, inside := strings.CutPrefix(token.Bytes, "##")
		switch {
		case !ok:
			tokens[id], types[id] = fmt.Sprintf("[PAD%d]", id), ggufUnused
		case token.Special && id == model.Options().Unknown:
			tokens[id], types[id] = token.Bytes, ggufUnknownType
		case token.Special:
			tokens[id], types[id] = token.Bytes, ggufControl
		case inside:
			tokens[id], types[id] = rest, ggufNormal
		default:
			tokens[id], types[id] = normalize.Meta+token.Bytes, ggufNormal
		}
	}
	return map[string]any{ggufModel: "bert", ggufTokens: tokens, ggufTypes: types}, nil
}

func ggufOfSentencePiece(p *Pipeline) (map[string]any, error) {
	m, err := spmOf(p)
	if err != nil {
		return nil, err
	}
	if m.suffix || !m.escape {
		return nil, errors.New("llama.cpp has no form for blanks behind words, nor for blanks that stay blanks")
	}
	out := map[string]any{ggufModel: "t5", ggufAddSpace: m.prefix, ggufRemove: m.removeExtra}
	if m.kind == spmBPE {
		out[ggufModel] = "llama"
		if len(m.charsmap) > 0 || m.removeExtra {
			return nil, errors.New("llama.cpp changes nothing of text before BPE over characters; this tokenizer does")
		}
	} else if len(m.charsmap) > 0 {
		out[ggufCharsmap] = m.charsmap
	}
	var tokens []string
	var scores []float32
	var types []int32
	for _, piece := range m.pieces {
		tokens, scores, types = append(tokens, piece.text), append(scores, piece.score), append(types, int32(piece.kind))
	}
	out[ggufTokens], out[ggufScores], out[ggufTypes] = tokens, scores, types
	return out, nil
}
