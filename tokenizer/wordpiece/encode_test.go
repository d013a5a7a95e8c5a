package wordpiece

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var tokens = []string{"[UNK]", "a", "ab", "##b", "##ab", "##a", "é", "##é", "abab", "##babb"}

// byDefinition is WordPiece as BERT's tokenization.py has it.
func byDefinition(word string, longest int) []int32 {
	if utf8.RuneCountInString(word) > longest {
		return []int32{0}
	}
	var ids []int32
	characters := []rune(word)
	for start := 0; start < len(characters); {
		found := -1
		end := len(characters)
		for ; end > start && found < 0; end-- {
			part := string(characters[start:end])
			if start > 0 {
				part = "##" + part
			}
			for id, token := range tokens {
				if token == part {
					found = id
				}
			}
		}
		if found < 0 {
			return []int32{0}
		}
		ids = append(ids, int32(found))
		start = end + 1
	}
	return ids
}

func TestWordsAreCutByTheDefinition(t *testing.T) {
	m, err := New(Options{Tokens: tokens, Prefix: "##", MaxWord: 9})
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[abé]{1,11}|[abc]{1,5}`).Draw(t, "word")
		var ends []int
		ids := m.AppendIDs(nil, &ends, word)
		require.Equal(t, byDefinition(word, 9), ids, word)
		require.Len(t, ends, len(ids))
		require.Equal(t, len(word), ends[len(ends)-1])
	})
}

func TestWrongVocabulariesAreRefused(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Tokens: tokens, Unknown: 99}, "the unknown token has the id 99"},
		{Options{Tokens: tokens, Unknown: -1}, "the unknown token has the id -1"},
		{Options{Tokens: []string{"[UNK]", "a", "a"}}, `token "a" has two ids, 1 and 2`},
		{Options{Tokens: []string{"[UNK]", strings.Repeat("x", MaxToken+1)}}, "longer than"},
		{Options{Tokens: tokens, MaxWord: -1}, "the longest word has -1 characters"},
		{Options{Tokens: tokens, Hidden: func(int32) bool { return true }}, "no token that text can produce"},
	} {
		_, err := New(c.o)
		assert.ErrorContains(t, err, c.want)
	}
}
