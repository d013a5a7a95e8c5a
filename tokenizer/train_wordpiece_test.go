package tokenizer

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// referenceWordPiece trains as TrainWordPiece is documented to, in the plainest
// way, on lower-case words with blanks between: every step counts everything
// again.
func referenceWordPiece(docs []string, o WordPieceOptions) []string {
	counts := map[string]int64{}
	for _, doc := range docs {
		for _, word := range strings.Fields(doc) {
			counts[word]++
		}
	}
	words := map[string][]string{}
	letters := map[string]bool{}
	for word := range counts {
		for i, r := range word {
			part := string(r)
			if i > 0 {
				part = "##" + part
			}
			words[word] = append(words[word], part)
			letters[part] = true
		}
	}
	tokens := slices.Clone(bertSpecials)
	for _, inside := range []bool{false, true} {
		var some []string
		for part := range letters {
			if strings.HasPrefix(part, "##") == inside {
				some = append(some, part)
			}
		}
		slices.Sort(some)
		tokens = append(tokens, some...)
	}
	floor := o.MinFrequency
	if floor == 0 {
		floor = 2
	}
	least, first := floor, true
	for len(tokens) < o.VocabSize {
		pairs := map[[2]string]int64{}
		uses := map[string]int64{}
		for word, parts := range words {
			for i, part := range parts {
				uses[part] += counts[word]
				if i > 0 {
					pairs[[2]string{parts[i-1], part}] += counts[word]
				}
			}
		}
		if first && !o.ByFrequency {
			for _, n := range pairs {
				least = max(least, n/2)
			}
		}
		first = false
		var best [2]string
		var most float64
		for pair, n := range pairs {
			token := pair[0] + strings.TrimPrefix(pair[1], "##")
			if n < least || o.MaxTokenLength > 0 && len(strings.TrimPrefix(token, "##")) > o.MaxTokenLength {
				continue
			}
			score := float64(n)
			if !o.ByFrequency {
				score /= float64(uses[pair[0]]) * float64(uses[pair[1]])
			}
			ids := func(p [2]string) []int {
				return []int{slices.Index(tokens, p[0]), slices.Index(tokens, p[1])}
			}
			if score > most || score == most && slices.Compare(ids(pair), ids(best)) < 0 {
				best, most = pair, score
			}
		}
		if most == 0 {
			if least == floor {
				break
			}
			least = max(least/2, floor)
			continue
		}
		merged := best[0] + strings.TrimPrefix(best[1], "##")
		tokens = append(tokens, merged)
		for word, parts := range words {
			var out []string
			for i := 0; i < len(parts); i++ {
				if i+1 < len(parts) && parts[i] == best[0] && parts[i+1] == best[1] {
					out = append(out, merged)
					i++
				} else {
					out = append(out, parts[i])
				}
			}
			words[word] = out
		}
	}
	return tokens
}

func trainWordPiece(t rapid.TB, docs []string, o WordPieceOptions) (*Pipeline, []string) {
	t.Helper()
	p, err := TrainWordPiece(context.Background(), slices.Values(docs), o)
	require.NoError(t, err)
	var tokens []string
	for id := range int32(p.VocabSize()) {
		tokens = append(tokens, p.text(id))
	}
	return p, tokens
}

func TestWordPieceTrainingEqualsTheSlowReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		docs := rapid.SliceOfN(rapid.StringMatching(`([abc]{1,8} ?){1,30}[abc]`), 1, 4).Draw(t, "docs")
		o := WordPieceOptions{
			VocabSize: 11 + rapid.IntRange(0, 120).Draw(t, "merges"), Workers: rapid.IntRange(1, 3).Draw(t, "workers"),
			MinFrequency: rapid.Int64Range(0, 4).Draw(t, "frequency"), ByFrequency: rapid.Bool().Draw(t, "by frequency"),
			MaxTokenLength: rapid.SampledFrom([]int{0, 0, 2, 5}).Draw(t, "length"),
		}
		_, tokens := trainWordPiece(t, docs, o)
		require.Equal(t, referenceWordPiece(docs, o), tokens)
	})
}

func TestPairsThatGotRareAreNotMerged(t *testing.T) {
	// After "ab", "##b ##a" occurs once, and its score is what it was.
	docs := []string{"ababa", "aba"}
	o := WordPieceOptions{VocabSize: 20}
	_, tokens := trainWordPiece(t, docs, o)
	assert.Equal(t, referenceWordPiece(docs, o), tokens)
	assert.NotContains(t, tokens, "##ba")
}

// lowerWords are the words of English documents that have only small letters.
func lowerWords(t *testing.T, limit int) string {
	var words []string
	for _, doc := range sharedDocuments(t, "en-00.jsonl.gz", limit) {
		for _, word := range strings.Fields(doc) {
			if strings.Trim(word, "abcdefghijklmnopqrstuvwxyz") == "" {
				words = append(words, word)
			}
		}
	}
	return strings.Join(words, " ")
}

func TestWordPieceTrainingOfRealTextEqualsTheSlowReference(t *testing.T) {
	docs := []string{lowerWords(t, 20_000)}
	for _, byFrequency := range []bool{false, true} {
		o := WordPieceOptions{VocabSize: 250, ByFrequency: byFrequency}
		_, tokens := trainWordPiece(t, docs, o)
		assert.Equal(t, referenceWordPiece(docs, o), tokens)
	}
}

func TestTrainedWordPiecesMakeABert(t *testing.T) {
	docs := []string{strings.Repeat("The unaffable man was affable, unable and able: Ação! 東京 ", 9)}
	p, tokens := trainWordPiece(t, docs, WordPieceOptions{VocabSize: 90})
	assert.Equal(t, bertSpecials, tokens[:5])
	for _, text := range []string{"the", "man", "acao", "!", ":", "東", "京"} {
		id, ok := p.ID(text)
		require.True(t, ok, text)
		assert.Equal(t, []int32{id}, p.Encode(strings.ToUpper(text)))
	}
	assert.Equal(t, []int32{1}, p.Encode("жук"))
	assert.NotNil(t, TemplateOf(p))
}

func TestRareCharactersAreLeftOut(t *testing.T) {
	docs := []string{strings.Repeat("aaaa bbb cc ", 5) + "d dc"}
	p, tokens := trainWordPiece(t, docs, WordPieceOptions{VocabSize: 50, MaxCharacters: 3})
	assert.NotContains(t, strings.Join(tokens[5:], ""), "d")
	assert.Equal(t, []int32{1}, p.Encode("dc"))
}

func TestWordPieceTrainingDoesNotDependOnWorkersOrOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	docs := strings.SplitAfter(strings.Repeat("some words, some of which come again; others do not. ", 40)+"Unique?", " ")
	want, _ := trainWordPiece(t, docs, WordPieceOptions{VocabSize: 90, Workers: 1})
	for workers := 2; workers < 5; workers++ {
		rng.Shuffle(len(docs), func(i, j int) { docs[i], docs[j] = docs[j], docs[i] })
		got, _ := trainWordPiece(t, docs, WordPieceOptions{VocabSize: 90, Workers: workers})
		assert.Equal(t, Fingerprint(want), Fingerprint(got))
	}
}

func TestWordPieceTrainingRefusesWhatMakesNoSense(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		o    WordPieceOptions
		want string
	}{
		"no size":    {"text", WordPieceOptions{}, "from 1 to"},
		"too small":  {"text", WordPieceOptions{VocabSize: 8}, "5 special tokens and 4 characters"},
		"no text":    {"", WordPieceOptions{VocabSize: 100}, "no text"},
		"only blank": {" \n", WordPieceOptions{VocabSize: 100}, "no text"},
		"no words":   {"\x00", WordPieceOptions{VocabSize: 100}, "no text"},
		"unknown":    {"text", WordPieceOptions{VocabSize: 100, Specials: []string{"[PAD]"}}, "lack [UNK]"},
		"twice":      {"text", WordPieceOptions{VocabSize: 100, Specials: []string{"[UNK]", "[UNK]"}}, "listed twice"},
		"length":     {"text", WordPieceOptions{VocabSize: 100, MaxTokenLength: -1}, "negative"},
		"characters": {"text", WordPieceOptions{VocabSize: 100, MaxCharacters: -1}, "negative"},
	} {
		_, err := TrainWordPiece(context.Background(), slices.Values([]string{c.text}), c.o)
		assert.ErrorContains(t, err, c.want, name)
	}
}
