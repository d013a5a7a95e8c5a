package tokenizer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"forja/tokenizer/internal/bytelevel"
	"forja/tokenizer/split"
)

// referenceMerges trains as TrainBPE is documented to, in the plainest way:
// every word is a list of strings, and every step counts all pairs again.
func referenceMerges(docs []string, size int, o TrainOptions) [][2]string {
	pattern := o.Split
	if pattern == nil {
		pattern = split.GPT2
	}
	counts := map[string]int64{}
	for _, doc := range docs {
		for word := range pattern.All(doc) {
			counts[word]++
		}
	}
	words := map[string][]string{}
	ids := map[string]int{}
	for _, b := range bytelevel.InOrder {
		ids[string([]byte{b})] = len(ids)
	}
	for word := range counts {
		for i := range len(word) {
			words[word] = append(words[word], word[i:i+1])
		}
	}
	replace := func(pair [2]string) {
		for word, parts := range words {
			var out []string
			for i := 0; i < len(parts); i++ {
				if i+1 < len(parts) && parts[i] == pair[0] && parts[i+1] == pair[1] {
					out = append(out, parts[i]+parts[i+1])
					i++
				} else {
					out = append(out, parts[i])
				}
			}
			words[word] = out
		}
	}
	var merges [][2]string
	for len(ids) < size-len(o.Specials) {
		pairs := map[[2]string]int64{}
		for word, parts := range words {
			for i := range len(parts) - 1 {
				pairs[[2]string{parts[i], parts[i+1]}] += counts[word]
			}
		}
		var best [2]string
		var most int64
		for pair, n := range pairs {
			token := pair[0] + pair[1]
			if n < max(o.MinFrequency, 1) || o.MaxTokenLength > 0 && len(token) > o.MaxTokenLength || slices.Contains(o.Specials, token) {
				continue
			}
			a, b := [2]int{ids[pair[0]], ids[pair[1]]}, [2]int{ids[best[0]], ids[best[1]]}
			if n > most || n == most && slices.Compare(a[:], b[:]) < 0 {
				best, most = pair, n
			}
		}
		if most == 0 {
			break
		}
		merges = append(merges, best)
		ids[best[0]+best[1]] = len(ids)
		replace(best)
	}
	return merges
}

func mergeStrings(b *BPE) [][2]string {
	var out [][2]string
	for _, merge := range b.Merges() {
		out = append(out, [2]string{b.ordinary(merge[0]), b.ordinary(merge[1])})
	}
	return out
}

func train(t testing.TB, docs []string, o TrainOptions) *BPE {
	t.Helper()
	b, err := TrainBPE(context.Background(), slices.Values(docs), o)
	require.NoError(t, err)
	return b
}

func TestTrainingEqualsTheSlowReference(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	fewLetters := func(letters string, words, length int) string {
		var b strings.Builder
		for range words {
			for range 1 + rng.IntN(length) {
				b.WriteByte(letters[rng.IntN(len(letters))])
			}
			b.WriteByte(' ')
		}
		return b.String()
	}
	for name, c := range map[string]struct {
		docs []string
		o    TrainOptions
	}{
		"prose":      {[]string{strings.Repeat("the theme of the thesis is that they bathe there; breathe, lather, father. ", 3), "other mother"}, TrainOptions{VocabSize: 330}},
		"runs":       {[]string{strings.Repeat("a", 37) + " " + strings.Repeat("ab", 20) + " " + strings.Repeat("a", 11) + "b aab aaab"}, TrainOptions{VocabSize: 290}},
		"ab":         {[]string{fewLetters("ab", 200, 12)}, TrainOptions{VocabSize: 420}},
		"abc":        {[]string{fewLetters("abc", 300, 9)}, TrainOptions{VocabSize: 500}},
		"long":       {[]string{fewLetters("ab", 1, 1) + strings.Repeat("abacabadabacaba", 20)}, TrainOptions{VocabSize: 300}},
		"utf8":       {[]string{"línguas e números: ação, coração, mañana, 東京都 東京 京都, мама мыла раму", "日本語と中国語 日本"}, TrainOptions{VocabSize: 330}},
		"frequency":  {[]string{fewLetters("abcd", 200, 6)}, TrainOptions{VocabSize: 900, MinFrequency: 4}},
		"short":      {[]string{fewLetters("ab", 200, 12)}, TrainOptions{VocabSize: 400, MaxTokenLength: 4}},
		"specials":   {[]string{fewLetters("ab", 100, 12), "<|end|> abab"}, TrainOptions{VocabSize: 400, Specials: []string{"abab", "<|end|>"}}},
		"exhausted":  {[]string{"ab abc"}, TrainOptions{VocabSize: 1000}},
		"cl100k":     {[]string{"x = 12345 + 1234; // it's 123\r\n\r\n\ty = x\n"}, TrainOptions{VocabSize: 280, Split: split.CL100K}},
		"only bytes": {[]string{"hello"}, TrainOptions{VocabSize: 256}},
	} {
		b := train(t, c.docs, c.o)
		assert.Equal(t, referenceMerges(c.docs, c.o.VocabSize, c.o), mergeStrings(b), name)
	}
}

func TestTrainingOfAnyWordsEqualsTheSlowReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		docs := rapid.SliceOfN(rapid.StringMatching(`([abc]{1,8} ?){1,30}`), 1, 4).Draw(t, "docs")
		o := TrainOptions{VocabSize: 256 + rapid.IntRange(0, 120).Draw(t, "merges"), Workers: rapid.IntRange(1, 3).Draw(t, "workers")}
		b, err := TrainBPE(context.Background(), slices.Values(docs), o)
		require.NoError(t, err)
		require.Equal(t, referenceMerges(docs, o.VocabSize, o), mergeStrings(b))
	})
}

func TestTrainingOfRealTextEqualsTheSlowReference(t *testing.T) {
	docs := append(sharedDocuments(t, "en-00.jsonl.gz", 30_000), sharedDocuments(t, "pt-00.jsonl.gz", 30_000)...)
	o := TrainOptions{VocabSize: 420}
	assert.Equal(t, referenceMerges(docs, o.VocabSize, o), mergeStrings(train(t, docs, o)))
}

func TestTrainingDoesNotDependOnWorkersOrOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	var docs []string
	for i := range 300 {
		docs = append(docs, fmt.Sprintf("Document %d: %s", i, strings.Repeat(string(rune('a'+rng.IntN(26)))+"word ", rng.IntN(50))))
	}
	docs = append(docs, strings.Repeat("a long document that is cut for the workers ", 3*batchBytes/44))
	want := Fingerprint(train(t, docs, TrainOptions{VocabSize: 500, Workers: 1}))
	for _, workers := range []int{2, 3, 16} {
		rng.Shuffle(len(docs), func(i, j int) { docs[i], docs[j] = docs[j], docs[i] })
		assert.Equal(t, want, Fingerprint(train(t, docs, TrainOptions{VocabSize: 500, Workers: workers})))
	}
}

func TestTrainedIdsAreSpecialsThenBytesThenMerges(t *testing.T) {
	b := train(t, []string{"aaaa aaaa"}, TrainOptions{VocabSize: 260, Specials: []string{"<|endoftext|>", "<|user|>"}})
	assert.Equal(t, 260, b.VocabSize())
	for content, want := range map[string]int32{"<|endoftext|>": 0, "<|user|>": 1, "!": 2, "\xad": 257, "aa": 258, "aaaa": 259} {
		id, ok := b.ID(content)
		require.True(t, ok, content)
		assert.Equal(t, want, id, content)
	}
	assert.NotContains(t, b.Encode("<|endoftext|><|user|>"), int32(0))
}

func TestReservedIdsFollowTheSpecialTokens(t *testing.T) {
	b := train(t, []string{"aaaa aaaa"}, TrainOptions{VocabSize: 260, Specials: []string{"<|endoftext|>"}, Reserved: 2})
	for content, want := range map[string]int32{"<|endoftext|>": 0, "<|reserved_special_token_0|>": 1, "<|reserved_special_token_1|>": 2, "!": 3, "aa": 259} {
		id, ok := b.ID(content)
		require.True(t, ok, content)
		assert.Equal(t, want, id, content)
	}
}

func TestTrainingRefusesWhatMakesNoSense(t *testing.T) {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	text := []string{"some text"}
	for name, c := range map[string]struct {
		ctx  context.Context
		docs []string
		o    TrainOptions
		want string
	}{
		"too small": {context.Background(), text, TrainOptions{VocabSize: 256, Specials: []string{"<s>"}}, "it must be from 257"},
		"too large": {context.Background(), text, TrainOptions{VocabSize: MaxVocab + 1}, "to 1048576"},
		"no text":   {context.Background(), []string{"", ""}, TrainOptions{VocabSize: 300}, "no text"},
		"no docs":   {context.Background(), nil, TrainOptions{VocabSize: 300}, "no text"},
		"cancelled": {cancelled, text, TrainOptions{VocabSize: 300}, "context canceled"},
		"twice":     {context.Background(), text, TrainOptions{VocabSize: 300, Specials: []string{"<s>", "<s>"}}, "listed twice"},
		"one byte":  {context.Background(), text, TrainOptions{VocabSize: 300, Specials: []string{"x"}}, "longer than one byte"},
		"length":    {context.Background(), text, TrainOptions{VocabSize: 300, MaxTokenLength: -1}, "negative"},
		"reserved":  {context.Background(), text, TrainOptions{VocabSize: 300, Reserved: -1}, "reserved tokens"},
		"no room":   {context.Background(), text, TrainOptions{VocabSize: 300, Reserved: 45}, "it must be from 301"},
	} {
		_, err := TrainBPE(c.ctx, slices.Values(c.docs), c.o)
		assert.ErrorContains(t, err, c.want, name)
	}
}

func TestTrainingReportsProgress(t *testing.T) {
	var last TrainProgress
	calls := 0
	b := train(t, []string{"the theme of the thesis"}, TrainOptions{VocabSize: 260, Progress: func(p TrainProgress) { last = p; calls++ }})
	assert.NotZero(t, calls)
	assert.Equal(t, TrainProgress{Bytes: 23, Words: 5, Merges: len(b.Merges()), MaxMerges: 4}, last)
}
