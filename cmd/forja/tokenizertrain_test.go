package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryKindOfTokenizerIsTrainedAndTravels(t *testing.T) {
	text := strings.Repeat("the theme of the thesis is that they bathe there; breathe, lather, father.\n", 20)
	path := write(t, "text.txt", text)
	for kind, file := range map[string]string{"bpe": "", "wordpiece": "vocab.txt", "unigram": "tokenizer.model", "spm-bpe": "tokenizer.model", "char": "tokenizer.model", "byte": ""} {
		t.Run(kind, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "tok")
			r := forja(t, "tokenizer", "train", path, "-o", out, "--kind", kind, "--tokenizer.vocab", "300")
			require.Zero(t, r.code, r.err)
			ids := forja(t, "tokenizer", "encode", out, path)
			require.Zero(t, ids.code, ids.err)
			back := forja(t, "tokenizer", "decode", out, write(t, "ids", ids.stdout))
			require.Zero(t, back.code, back.err)
			if kind != "wordpiece" { // which does not keep line breaks
				assert.Equal(t, text, strings.TrimSuffix(back.stdout, "\n")+"\n")
			}
			if file != "" {
				other := forja(t, "tokenizer", "encode", filepath.Join(out, file), path)
				assert.Equal(t, ids.stdout, other.stdout)
			}
		})
	}
}
