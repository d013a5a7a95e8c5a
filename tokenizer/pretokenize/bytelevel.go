package pretokenize

import (
	"strings"

	"forja/tokenizer/normalize"
	"forja/tokenizer/split"
)

// ByteLevel is the pre-tokenizer of byte-level models.
type ByteLevel struct {
	PrefixSpace bool // a blank before a text that starts with none
	Split       bool // cut as GPT-2 does

	// Spell writes bytes as the characters of such vocabularies; else pieces
	// keep their bytes, for a model that knows tokens by these.
	Spell bool
}

// Append implements PreTokenizer.
func (p ByteLevel) Append(dst []normalize.Text, t normalize.Text) []normalize.Text {
	if p.PrefixSpace && !strings.HasPrefix(t.S, " ") {
		t = normalize.Prepend{Prefix: " "}.Normalize(t)
	}
	start := len(dst)
	if p.Split {
		dst = appendCuts(dst, t, Isolated, split.GPT2.Cuts(t.S))
	} else if t.S != "" {
		dst = append(dst, t)
	}
	if p.Spell {
		for i := start; i < len(dst); i++ {
			dst[i] = normalize.ByteLevel{}.Normalize(dst[i])
		}
	}
	return dst
}
