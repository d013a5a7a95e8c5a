package trie

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func prefixes(t *Trie, s string) map[int]int32 {
	found := map[int]int32{}
	at := Root
	for i := range len(s) {
		next, ok := t.Next(at, s[i])
		if !ok {
			break
		}
		at = next
		if v := t.Value(at); v >= 0 {
			found[i+1] = v
		}
	}
	return found
}

func TestAllPrefixesThatAreKeysAreFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfN(rapid.StringMatching(`[ab\x00ÿ世]{0,6}`), 0, 40).Draw(t, "keys")
		values := make([]int32, len(keys))
		model := map[string]int32{}
		for i, key := range keys {
			values[i] = int32(i)
			if key != "" {
				model[key] = int32(i)
			}
		}
		trie := Build(keys, values)
		for _, text := range append(keys, rapid.StringMatching(`[abc\x00ÿ世]{0,12}`).Draw(t, "text")) {
			want := map[int]int32{}
			for n := 1; n <= len(text); n++ {
				if v, ok := model[text[:n]]; ok {
					want[n] = v
				}
			}
			require.Equal(t, want, prefixes(trie, text))
		}
	})
}

func TestLargeTriesAreDense(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var keys []string
	var values []int32
	bytes := map[string]bool{}
	for i := range 50_000 {
		key := make([]byte, 1+rng.IntN(10))
		for j := range key {
			key[j] = byte('a' + rng.IntN(4+rng.IntN(22)))
			bytes[string(key[:j+1])] = true
		}
		keys = append(keys, string(key))
		values = append(values, int32(i))
	}
	trie := Build(keys, values)
	assert.Less(t, len(trie.nodes), 2*len(bytes), "slots for the nodes")
	for i := range 1000 {
		assert.Contains(t, prefixes(trie, keys[i]), len(keys[i]))
	}
}
