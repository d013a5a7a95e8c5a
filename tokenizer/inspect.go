package tokenizer

import (
	"fmt"

	"forja/tokenizer/normalize"
	"forja/tokenizer/unigram"
	"forja/tokenizer/wordpiece"
)

// Describe says in a few words what a tokenizer is.
func Describe(t Tokenizer) string {
	switch t := unwrap(t).(type) {
	case *BPE:
		kind := "merges"
		if t.config.Ranked {
			kind = "ranks"
		}
		name := t.config.Split.Name()
		if name == "" {
			name = "by expression"
		}
		return fmt.Sprintf("byte-level BPE by %s, split %s", kind, name)
	case *Pipeline:
		rules := ""
		if _, ok := t.config.Normalizer.(normalize.SentencePiece); ok {
			rules = " with the rules of SentencePiece"
		}
		switch m := t.config.Model.(type) {
		case *BPE:
			return "byte-level BPE with its own normalizer or pre-tokenizers"
		case *CharBPE:
			if m.config.ByteFallback {
				rules += ", bytes for other characters"
			}
			if m.config.Scores != nil {
				return "BPE over characters by scores" + rules
			}
			return "BPE over characters by merges" + rules
		case *wordpiece.Model:
			return "WordPiece"
		case *unigram.Model:
			return "Unigram" + rules
		}
	}
	return "another tokenizer"
}

// Unreachable lists the tokens, by id, that no text gives: ordinary tokens that
// are not what their own text becomes, in any place of a word.
func Unreachable(t Tokenizer) []int32 {
	t = unwrap(t)
	var model Model
	cuts := func(text string) bool { return false }
	switch t := t.(type) {
	case *BPE:
		model = t
		cuts = func(text string) bool {
			// A token may start inside what a blank or a letter before it starts.
			for _, before := range []string{"", "a", " ", ".", "1", "\n"} {
				n := 0
				for word := range t.config.Split.All(before + text) {
					if n += len(word); n >= len(before)+len(text) && len(word) >= len(text) {
						return false
					}
				}
			}
			return true
		}
	case *Pipeline:
		model = t.config.Model
	default:
		return nil
	}
	specials := map[int32]bool{}
	for _, s := range t.Specials() {
		specials[s.ID] = true
	}
	var out []int32
	for id := range int32(model.Len()) {
		text := model.Text(id)
		if text == "" || specials[id] || produced(model, id, text) && !cuts(text) {
			continue
		}
		out = append(out, id)
	}
	return out
}

// produced reports whether a model makes a token of its own text.
func produced(model Model, id int32, text string) bool {
	switch m := model.(type) {
	case *wordpiece.Model:
		_, inside := m.Bare(text)
		return !inside && len(m.AppendIDs(nil, nil, text)) == 1 || inside
	case *unigram.Model:
		if k := m.Options().Pieces[id].Kind; k != unigram.Normal && k != unigram.User {
			return k == unigram.Byte
		}
	case *CharBPE:
		if m.hidden(id) {
			return m.config.ByteFallback && m.bytes[0] <= id && id <= m.bytes[255]
		}
	}
	ids := model.AppendIDs(nil, nil, text)
	return len(ids) == 1 && ids[0] == id
}
