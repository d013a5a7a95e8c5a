package tokenizer

import (
	"bytes"
	"context"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"forja/tokenizer/normalize"
	"forja/tokenizer/unigram"
)

type sentencePieceTraining func(context.Context, iter.Seq[string], SentencePieceOptions) (*Pipeline, error)

func trainPieces(t rapid.TB, f sentencePieceTraining, docs []string, o SentencePieceOptions) (*Pipeline, []string) {
	t.Helper()
	p, err := f(context.Background(), slices.Values(docs), o)
	require.NoError(t, err)
	var pieces []string
	for id := range int32(p.VocabSize()) {
		pieces = append(pieces, p.text(id))
	}
	return p, pieces
}

// referencePieces trains as TrainSentencePieceBPE is documented to, in the
// plainest way, on lines of letters, digits and single blanks: every step
// counts all pairs again, and looks whether the piece may be.
func referencePieces(docs []string, o SentencePieceOptions) []string {
	const meta = "▁"
	counts := map[string]int64{}
	chars := map[string]int64{}
	for _, doc := range docs {
		for line := range strings.SplitSeq(doc, "\n") {
			if line == "" {
				continue
			}
			for word := range strings.SplitSeq(line, " ") {
				counts[meta+word]++
				for _, r := range meta + word {
					chars[string(r)]++
				}
			}
		}
	}
	words := map[string][]string{}
	for word := range counts {
		words[word] = strings.Split(word, "")
	}
	tokens := slices.SortedFunc(func(yield func(string) bool) {
		for c := range chars {
			if !yield(c) {
				return
			}
		}
	}, func(a, b string) int {
		if chars[a] != chars[b] {
			return int(chars[b] - chars[a])
		}
		return strings.Compare(a, b)
	})
	first := len(tokens)
	longest := o.MaxTokenLength
	if longest == 0 {
		longest = 16
	}
	may := func(piece string) bool {
		bare := strings.TrimPrefix(piece, meta)
		digits := strings.ContainsAny(piece, "0123456789")
		return len([]rune(piece)) <= longest && (!digits || strings.Trim(bare, "0123456789") == "") && !(o.SplitDigits && digits)
	}
	for len(tokens) < o.VocabSize-3-256 {
		pairs := map[[2]string]int64{}
		for word, parts := range words {
			for i := range len(parts) - 1 {
				pairs[[2]string{parts[i], parts[i+1]}] += counts[word]
			}
		}
		var best [2]string
		var most int64
		for pair, n := range pairs {
			ids := func(p [2]string) []int { return []int{slices.Index(tokens, p[0]), slices.Index(tokens, p[1])} }
			if n >= max(1, o.MinFrequency) && may(pair[0]+pair[1]) && (n > most || n == most && slices.Compare(ids(pair), ids(best)) < 0) {
				best, most = pair, n
			}
		}
		if most == 0 {
			break
		}
		tokens = append(tokens, best[0]+best[1])
		for word, parts := range words {
			var out []string
			for i := 0; i < len(parts); i++ {
				if i+1 < len(parts) && parts[i] == best[0] && parts[i+1] == best[1] {
					out = append(out, best[0]+best[1])
					i++
				} else {
					out = append(out, parts[i])
				}
			}
			words[word] = out
		}
	}
	return append(tokens[first:], tokens[:first]...)
}

func TestSentencePieceBPEEqualsTheSlowReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		docs := rapid.SliceOfN(rapid.StringMatching(`([abé12]{1,8} ){0,20}[ab]`), 1, 4).Draw(t, "docs")
		o := SentencePieceOptions{
			VocabSize: 3 + 256 + 6 + rapid.IntRange(0, 60).Draw(t, "merges"), Coverage: 1, Workers: rapid.IntRange(1, 3).Draw(t, "workers"),
			SplitDigits: rapid.Bool().Draw(t, "digits"), MaxTokenLength: rapid.SampledFrom([]int{0, 0, 2, 4}).Draw(t, "length"),
			MinFrequency: rapid.Int64Range(0, 3).Draw(t, "frequency"),
		}
		_, pieces := trainPieces(t, TrainSentencePieceBPE, docs, o)
		require.Equal(t, referencePieces(docs, o), pieces[3+256:])
	})
}

func TestSentencePieceBPEOfRealTextEqualsTheSlowReference(t *testing.T) {
	docs := []string{lowerWords(t, 20_000)}
	o := SentencePieceOptions{VocabSize: 3 + 256 + 27 + 150, Coverage: 1}
	_, pieces := trainPieces(t, TrainSentencePieceBPE, docs, o)
	assert.Equal(t, referencePieces(docs, o), pieces[3+256:])
}

// trainings are the trainers of this pipeline with the least sizes that fit a
// text of a hundred characters.
var trainings = map[string]sentencePieceTraining{"unigram": TrainUnigram, "bpe": TrainSentencePieceBPE, "char": TrainCharacters}

const mixedText = "The theme of the thesis is that they bathe there, 123 times in 1999; don't they?\n" +
	"  Línguas e números: ação, coração, mañana.\n東京都 東京 京都, ひらがなとカタカナ\tмама мыла раму\n\n    x = x +  1 # code\n"

func TestTrainedPiecesDecodeToTheText(t *testing.T) {
	for name, f := range trainings {
		for _, blanks := range []bool{false, true} {
			p, _ := trainPieces(t, f, []string{strings.Repeat(mixedText, 3)}, SentencePieceOptions{VocabSize: 420, Coverage: 1, Blanks: blanks})
			assert.Equal(t, mixedText, p.Decode(p.Encode(mixedText)), name)
			rapid.Check(t, func(t *rapid.T) {
				text := rapid.OneOf(rapid.String(), rapid.StringMatching(`([a-z 東\n]{0,5} {0,3}){0,5}`)).Draw(t, "text")
				if !strings.Contains(text, "▁") {
					require.Equal(t, text, p.Decode(p.Encode(text)), name)
				}
			})
		}
	}
}

func TestTrainedPiecesSurviveTheirFiles(t *testing.T) {
	for name, f := range trainings {
		p, _ := trainPieces(t, f, []string{mixedText}, SentencePieceOptions{VocabSize: 390, Coverage: 1, Specials: []string{"<pad>"}})
		want := p.Encode(mixedText)
		var model, file bytes.Buffer
		require.NoError(t, WriteSentencePiece(&model, p), name)
		again, err := ReadSentencePiece(&model)
		require.NoError(t, err, name)
		assert.Equal(t, want, again.Encode(mixedText), name)
		require.NoError(t, WriteJSON(&file, p), name)
		fromJSON, err := ReadJSON(&file)
		require.NoError(t, err, name)
		assert.Equal(t, want, fromJSON.Encode(mixedText), name)
	}
}

func TestTrainedPiecesKeepToOneScriptAndStartWithTheirBlank(t *testing.T) {
	for name, f := range trainings {
		_, pieces := trainPieces(t, f, []string{strings.Repeat(mixedText, 9)}, SentencePieceOptions{VocabSize: 600, Coverage: 1})
		for _, piece := range pieces[3+256:] {
			scripts := map[int]bool{}
			for i, r := range []rune(piece) {
				if r == metaRune {
					assert.Zero(t, i, "%s: %q", name, piece)
				} else {
					scripts[scriptOf(r)] = true
				}
			}
			assert.LessOrEqual(t, len(scripts), 1, "%s: %q", name, piece)
		}
	}
}

func TestBlanksBecomePiecesWhereWanted(t *testing.T) {
	docs := []string{strings.Repeat("    if x:\n        return y\n", 20)}
	for name, f := range map[string]sentencePieceTraining{"unigram": TrainUnigram, "bpe": TrainSentencePieceBPE} {
		for _, blanks := range []bool{false, true} {
			_, pieces := trainPieces(t, f, docs, SentencePieceOptions{VocabSize: 300, Coverage: 1, Blanks: blanks})
			assert.Equal(t, blanks, slices.ContainsFunc(pieces, func(p string) bool { return strings.HasPrefix(p, "▁▁") }), name)
			assert.False(t, slices.ContainsFunc(pieces, func(p string) bool { return strings.Contains(strings.TrimLeft(p, "▁"), "▁") }), name)
		}
	}
}

func TestCoverageDecidesWhichCharactersArePieces(t *testing.T) {
	docs := []string{strings.Repeat("aaaa bbb cc ", 50) + "z"}
	_, pieces := trainPieces(t, TrainUnigram, docs, SentencePieceOptions{VocabSize: 3 + 256 + 8})
	assert.Contains(t, pieces, "z")
	p, pieces := trainPieces(t, TrainUnigram, docs, SentencePieceOptions{VocabSize: 3 + 256 + 8, Coverage: 0.99})
	assert.NotContains(t, strings.Join(pieces[3+256:], ""), "z")
	assert.Equal(t, "z", p.Decode(p.Encode("z")), "by its byte")
	p, _ = trainPieces(t, TrainUnigram, docs, SentencePieceOptions{VocabSize: 11, Coverage: 0.99, NoBytes: true})
	assert.Contains(t, p.Encode("z"), int32(0), "unknown")
}

func TestRulesOfNormalizationAreTrainedWithAndKept(t *testing.T) {
	rules := normalize.SentencePiece{Prefix: true, Escape: true, RemoveExtra: true, Name: "identity"}
	p, pieces := trainPieces(t, TrainSentencePieceBPE, []string{"  a   bc  bc \n bc"}, SentencePieceOptions{VocabSize: 3 + 256 + 6, Coverage: 1, Rules: &rules})
	assert.Contains(t, pieces, "▁bc")
	assert.Equal(t, p.Encode("a bc"), p.Encode("  a    bc "))

	shared, err := ReadSentencePiece(bytes.NewReader(sharedFile(t, "vocab/spm_unigram_8k.model")))
	require.NoError(t, err)
	nfkc := shared.Config().Normalizer.(normalize.SentencePiece)
	p, pieces = trainPieces(t, TrainUnigram, []string{strings.Repeat("ﬁne ﬁre　fine ", 9)}, SentencePieceOptions{VocabSize: 3 + 256 + 9, Coverage: 1, Rules: &nfkc})
	assert.NotContains(t, strings.Join(pieces, ""), "ﬁ")
	assert.Equal(t, p.Encode("fine"), p.Encode("ﬁne"))
}

func TestSentencePieceTrainingDoesNotDependOnWorkersOrOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	docs := strings.SplitAfter(strings.Repeat(mixedText, 5), "\n")
	for name, f := range trainings {
		want, _ := trainPieces(t, f, docs, SentencePieceOptions{VocabSize: 400, Coverage: 1, Workers: 1})
		for workers := 2; workers < 5; workers++ {
			rng.Shuffle(len(docs), func(i, j int) { docs[i], docs[j] = docs[j], docs[i] })
			got, _ := trainPieces(t, f, docs, SentencePieceOptions{VocabSize: 400, Coverage: 1, Workers: workers})
			assert.Equal(t, Fingerprint(want), Fingerprint(got), name)
		}
	}
}

func TestUnigramOfRealTextCutsItAsWellAsTheOriginal(t *testing.T) {
	original, err := ReadSentencePiece(bytes.NewReader(sharedFile(t, "vocab/spm_unigram_8k.model")))
	require.NoError(t, err)
	rules := original.Config().Normalizer.(normalize.SentencePiece)
	docs := append(sharedDocuments(t, "en-00.jsonl.gz", 750_000), sharedDocuments(t, "pt-00.jsonl.gz", 250_000)...)
	p, _ := trainPieces(t, TrainUnigram, docs, SentencePieceOptions{VocabSize: 8000, NoBytes: true, Rules: &rules})
	ours, theirs := 0, 0
	for _, doc := range docs[:100] {
		ours += p.Count(doc)
		theirs += original.Count(doc)
	}
	// Theirs was trained on ten times the text, this part included.
	assert.Less(t, float64(ours), 1.01*float64(theirs))
	assert.Equal(t, 8000, p.VocabSize())
	assert.IsType(t, &unigram.Model{}, p.Config().Model)
}

func TestSentencePieceTrainingRefusesWhatMakesNoSense(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		o    SentencePieceOptions
		want string
	}{
		"no size":   {"text", SentencePieceOptions{}, "from 1 to"},
		"too small": {"text", SentencePieceOptions{VocabSize: 262}, "259 tokens for roles and bytes, and 4 characters"},
		"no room":   {"text", SentencePieceOptions{VocabSize: 200}, "259 tokens for roles and bytes"},
		"no text":   {"\n\n", SentencePieceOptions{VocabSize: 300}, "no text"},
		"coverage":  {"text", SentencePieceOptions{VocabSize: 300, Coverage: 1.5}, "coverage 1.5"},
		"length":    {"text", SentencePieceOptions{VocabSize: 300, MaxTokenLength: -1}, "maximum token length"},
		"rules":     {"text", SentencePieceOptions{VocabSize: 300, Rules: &normalize.SentencePiece{}}, "leave blanks"},
		"twice":     {"text", SentencePieceOptions{VocabSize: 300, Specials: []string{"<s>"}}, "listed twice"},
	} {
		for kind, f := range trainings {
			_, err := f(context.Background(), slices.Values([]string{c.text}), c.o)
			if kind != "char" || name != "too small" {
				assert.ErrorContains(t, err, c.want, "%s: %s", kind, name)
			}
		}
	}
}
