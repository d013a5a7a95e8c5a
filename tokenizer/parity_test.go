package tokenizer

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/tokenizer/split"
)

func loadShared(t testing.TB, name string, pattern *split.Pattern, specials ...Special) *BPE {
	t.Helper()
	b, err := LoadTiktoken(bytes.NewReader(sharedFile(t, "vocab/"+name+".tiktoken.gz")), pattern, specials...)
	require.NoError(t, err)
	return b
}

type parityCase struct {
	ID, Text string
	Enc      map[string][]int32
}

func TestIdsEqualThoseOfTiktoken(t *testing.T) {
	cases := sharedLines[parityCase](t, "tokenizer/parity.jsonl.gz")
	for name, pattern := range map[string]*split.Pattern{"gpt2": split.GPT2, "cl100k_base": split.CL100K, "o200k_base": split.O200K} {
		b := loadShared(t, name, pattern)
		checked := 0
		for _, c := range cases {
			want, ok := c.Enc[name]
			if !ok {
				continue
			}
			checked++
			got := b.Encode(c.Text)
			if len(want) == 0 {
				require.Empty(t, got)
				continue
			}
			require.Equal(t, want, got, "%s %s %.200q", name, c.ID, c.Text)
			assert.Equal(t, c.Text, b.Decode(got), c.ID)
			assert.Equal(t, len(want), b.Count(c.Text), c.ID)
		}
		assert.Greater(t, checked, 350)
	}
}
