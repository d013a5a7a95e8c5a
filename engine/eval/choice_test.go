package eval

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/data"
)

// letters encodes a text by one token for each byte, and "qu" by one token of its own.
func letters(text string) (ids []int32) {
	for i := 0; i < len(text); i++ {
		if strings.HasPrefix(text[i:], "qu") {
			ids = append(ids, 60)
			i++
			continue
		}
		ids = append(ids, int32(text[i])%59)
	}
	return ids
}

var codec = Codec{Encode: letters, Start: 59}

func TestChoicesSharingRowsAreScoredAsIfAlone(t *testing.T) {
	s, m := session(t)
	qs := []Question{
		{"the sky is", []string{" blue", " a fish", " x"}, 0},
		{"", []string{"yes", "no"}, 1},
		{"two and two", []string{" make four", " are"}, 1},
		{"a rather long beginning of a text", []string{" ends", " goes on"}, 0},
	}
	packed, err := New(s, m, 3, 32)
	require.NoError(t, err)
	got, err := packed.Choose(context.Background(), qs, codec)
	require.NoError(t, err)
	alone, err := New(s, m, 1, 32)
	require.NoError(t, err)
	for i, q := range qs {
		best := 0
		want := make([]float64, len(q.Choices))
		for k, choice := range q.Choices {
			prompt, ids := letters(q.Prompt), letters(q.Prompt+choice)
			if len(prompt) == 0 {
				prompt, ids = []int32{59}, append([]int32{59}, ids...)
			}
			over := max(0, len(ids)-33)
			ids, from := ids[over:], len(prompt)-over
			b := data.NewBatch(1, 32)
			b.Pad(0, 0)
			for t := range ids[1:] {
				b.Tokens[t], b.Positions[t], b.Lo[t], b.Targets[t] = ids[t], int32(t), 0, ids[t+1]
			}
			logp, err := alone.LogProbs(b)
			require.NoError(t, err)
			for _, x := range logp[from-1 : len(ids)-1] {
				want[k] += float64(x)
			}
			if want[k] > want[best] {
				best = k
			}
			assert.Equal(t, len(choice), got[i].Bytes[k])
		}
		assert.InDeltaSlice(t, want, got[i].LogProbs, 1e-4)
		assert.Equal(t, best, got[i].Picked)
		assert.Equal(t, q.Answer, got[i].Answer)
		assert.Equal(t, i == 3, got[i].Truncated, "question %d", i)
	}
	assert.NotEqual(t, got[0].Picked, got[0].PerByte, "the sum favours the shortest choice, the sum per byte need not")
}

func TestAChoiceThatChangesThePromptsTokensIsScoredFromThere(t *testing.T) {
	ss, err := Question{Prompt: "iraq", Choices: []string{"u", "s"}}.sequences(codec)
	require.NoError(t, err)
	assert.Equal(t, letters("iraqu"), ss[0].ids)
	assert.Equal(t, letters("iraqs"), ss[1].ids)
	assert.Equal(t, []int{3, 3}, []int{ss[0].from, ss[1].from}, "both from the token that differs from the prompt's own")
}

func TestQuestionsThatCannotBeScoredAreRefused(t *testing.T) {
	s, m := session(t)
	sc, err := New(s, m, 1, 16)
	require.NoError(t, err)
	_, err = sc.Choose(context.Background(), []Question{{"p", []string{"a", strings.Repeat("b", 17)}, 0}}, codec)
	assert.ErrorContains(t, err, "question 1: a choice of 17 tokens does not fit rows of 16")
	_, err = sc.Choose(context.Background(), []Question{{"", []string{"a", "b"}, 0}}, Codec{letters, -1})
	assert.ErrorContains(t, err, "the prompt is empty")
	ok, err := sc.Choose(context.Background(), []Question{{"p", []string{"a", strings.Repeat("b", 16)}, 0}}, codec)
	require.NoError(t, err)
	assert.False(t, ok[0].Truncated)
}
