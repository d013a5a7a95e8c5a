package unigram

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// drawWords draws different words of few letters, so that they repeat.
func drawWords(t *rapid.T) []Word {
	texts := rapid.SliceOfNDistinct(rapid.StringMatching(`[abé世]{1,9}`), 1, 12, rapid.ID[string]).Draw(t, "words")
	words := make([]Word, len(texts))
	for i, text := range texts {
		words[i] = Word{text, rapid.Int64Range(1, 5).Draw(t, "count")}
	}
	return words
}

// slowRepeats finds what repeats by looking at every substring of every word.
func slowRepeats(words []Word, maxPiece int) map[string]float64 {
	type occurrences struct {
		count         int64
		places        int // in different words, or of one
		before, after map[string]bool
	}
	all := map[string]*occurrences{}
	for _, w := range words {
		runes := []rune(w.Text)
		for from := range runes {
			for to := from + 2; to <= min(len(runes), from+maxPiece); to++ {
				piece := string(runes[from:to])
				if all[piece] == nil {
					all[piece] = &occurrences{before: map[string]bool{}, after: map[string]bool{}}
				}
				o := all[piece]
				o.count += w.Count
				o.places++
				// A border differs from all that may stand elsewhere, so it counts
				// for two.
				if from == 0 {
					o.before["border"], o.before["other border"] = true, true
				} else {
					o.before[string(runes[from-1])] = true
				}
				if to == len(runes) {
					o.after["border"], o.after["other border"] = true, true
				} else {
					o.after[string(runes[to])] = true
				}
			}
		}
	}
	found := map[string]float64{}
	for piece, o := range all {
		n := utf8.RuneCountInString(piece)
		if o.count >= 2 && (n == maxPiece && o.places > 1 || len(o.before) > 1 && len(o.after) > 1) {
			found[piece] = float64(o.count) * float64(n)
		}
	}
	return found
}

func TestSeedsAreTheSubstringsThatRepeat(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := drawWords(t)
		maxPiece := rapid.IntRange(2, 10).Draw(t, "max piece")
		s := suffixes{words: words, maxPiece: maxPiece}
		s.layOut()
		found := map[string]float64{}
		for _, f := range s.repeats(rapid.IntRange(1, 3).Draw(t, "workers")) {
			require.NotContains(t, found, f.text)
			found[f.text] = f.score
		}
		require.Equal(t, slowRepeats(words, maxPiece), found)
	})
}

// cuts yields every way to cut a word into pieces, with its score.
func cuts(word string, scores map[string]float64, yield func(pieces []string, score float64)) {
	var cut func(rest string, pieces []string, score float64)
	cut = func(rest string, pieces []string, score float64) {
		if rest == "" {
			yield(pieces, score)
		}
		for n := 1; n <= len(rest); n++ {
			if s, ok := scores[rest[:n]]; ok {
				cut(rest[n:], append(slices.Clip(pieces), rest[:n]), score+s)
			}
		}
	}
	cut(word, nil, 0)
}

func drawTrainer(t *rapid.T) (*trainer, map[string]float64) {
	words := drawWords(t)
	tr := &trainer{options: TrainOptions{Workers: 2, Size: 3}, words: words, pieces: seeds(words, TrainOptions{MaxPiece: 6, MaxSeeds: 100, Workers: 1})}
	scores := map[string]float64{}
	for i := range tr.pieces {
		p := &tr.pieces[i]
		p.score = -rapid.Float64Range(0.1, 12).Draw(t, "score")
		scores[p.text] = p.score
	}
	tr.index()
	return tr, scores
}

func TestExpectedCountsAreThoseOfAllSegmentations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tr, scores := drawTrainer(t)
		want := map[string]float64{}
		for _, w := range tr.words {
			sum := 0.0
			cuts(w.Text, scores, func(_ []string, score float64) { sum += math.Exp(score) })
			cuts(w.Text, scores, func(pieces []string, score float64) {
				for _, p := range pieces {
					want[p] += float64(w.Count) * math.Exp(score) / sum
				}
			})
		}
		for i, n := range tr.expect() {
			require.InDelta(t, want[tr.pieces[i].text], n, 1e-5, tr.pieces[i].text)
		}
	})
}

func TestPruningKeepsWhatIsMissedMost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tr, scores := drawTrainer(t)
		best := func(word string, without string) (pieces []string, score float64) {
			score = math.Inf(-1)
			cuts(word, scores, func(p []string, s float64) {
				if s > score && !slices.Equal(p, []string{without}) {
					pieces, score = p, s
				}
			})
			return pieces, score
		}
		uses := map[string]float64{}
		total := 0.0
		for _, w := range tr.words {
			pieces, _ := best(w.Text, "")
			for _, p := range pieces {
				uses[p] += float64(w.Count)
				total += float64(w.Count)
			}
		}
		losses := map[string]float64{}
		needed, useful := 0, 0
		for _, p := range tr.pieces {
			if p.required {
				needed++
				losses[p.text] = math.Inf(1)
				continue
			}
			others, score := best(p.text, p.text)
			n := uses[p.text]
			if n == 0 || score > p.score {
				continue
			}
			useful++
			loss := n * math.Log(n/total)
			for _, other := range others {
				loss -= n * math.Log((uses[other]+n)/(total+n*float64(len(others)-1)))
			}
			losses[p.text] = loss
		}
		size := rapid.IntRange(0, len(tr.pieces)).Draw(t, "size")
		tr.prune(size)
		require.Len(t, tr.pieces, max(needed, min(size, needed+useful)))
		kept := map[string]bool{}
		least := math.Inf(1)
		for _, p := range tr.pieces {
			require.Contains(t, losses, p.text)
			kept[p.text] = true
			least = min(least, losses[p.text])
		}
		for piece, loss := range losses {
			if !kept[piece] {
				require.LessOrEqual(t, loss, least+1e-9, piece)
			}
		}
	})
}

func TestDigammaHasItsKnownValues(t *testing.T) {
	const euler = 0.5772156649015329
	for x, want := range map[float64]float64{
		1: -euler, 2: 1 - euler, 0.5: -euler - 2*math.Ln2, 0.25: -math.Pi/2 - 3*math.Ln2 - euler, 10: 2.251752589066721, 1e9: math.Log(1e9) - 0.5e-9,
	} {
		assert.InDelta(t, want, digamma(x), 1e-9, "digamma(%v)", x)
	}
}

// madeWords are words of stems and endings.
func madeWords() []Word {
	var words []Word
	for _, stem := range []string{"nation", "work", "play", "consider", "walk", "form", "act", "talk"} {
		for _, ending := range []string{"", "s", "ed", "ing", "er", "able", "ation", "ational"} {
			words = append(words, Word{"▁" + stem + ending, 1})
		}
	}
	return words
}

func TestTrainingFindsStemsAndEndings(t *testing.T) {
	pieces, err := Train(context.Background(), madeWords(), TrainOptions{Size: 41})
	require.NoError(t, err)
	require.Len(t, pieces, 41)
	var texts []string
	for i, p := range pieces {
		texts = append(texts, p.Text)
		assert.Less(t, p.Score, 0.0)
		if i > 0 {
			assert.LessOrEqual(t, p.Score, pieces[i-1].Score)
		}
	}
	for _, want := range []string{"▁nation", "▁work", "▁consider", "ing", "able", "▁"} {
		assert.Contains(t, texts, want)
	}
	model, err := New(Options{Pieces: pieces, Unknown: -1})
	require.NoError(t, err)
	var cut []string
	for _, id := range model.AppendIDs(nil, nil, "▁considering") {
		cut = append(cut, pieces[id].Text)
	}
	assert.Equal(t, "▁consider|ing", strings.Join(cut, "|"))
}

func TestTrainedPiecesDoNotDependOnWorkersOrOrder(t *testing.T) {
	words := madeWords()
	want, err := Train(context.Background(), words, TrainOptions{Size: 50, Workers: 1})
	require.NoError(t, err)
	for workers := 2; workers < 6; workers++ {
		rand.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
		got, err := Train(context.Background(), words, TrainOptions{Size: 50, Workers: workers})
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestEveryCharacterBecomesAPiece(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := drawWords(t)
		size := rapid.IntRange(1, 40).Draw(t, "size")
		pieces, err := Train(context.Background(), words, TrainOptions{Size: size})
		require.NoError(t, err)
		found := map[string]bool{}
		for _, p := range pieces {
			require.False(t, found[p.Text], "%q twice", p.Text)
			found[p.Text] = true
			require.False(t, math.IsInf(p.Score, 0) || math.IsNaN(p.Score))
		}
		characters := map[rune]bool{}
		for _, w := range words {
			for _, r := range w.Text {
				characters[r] = true
				require.True(t, found[string(r)])
			}
		}
		require.LessOrEqual(t, len(pieces), max(size, len(characters)))
	})
}

func TestTrainingRefusesWhatMakesNoSense(t *testing.T) {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	ok := []Word{{"word", 1}}
	for name, c := range map[string]struct {
		ctx   context.Context
		words []Word
		o     TrainOptions
		want  string
	}{
		"no words":  {context.Background(), nil, TrainOptions{Size: 10}, "no words"},
		"no size":   {context.Background(), ok, TrainOptions{}, "options out of range"},
		"shrink":    {context.Background(), ok, TrainOptions{Size: 10, Shrink: 1}, "options out of range"},
		"empty":     {context.Background(), []Word{{"", 1}}, TrainOptions{Size: 10}, "words are different"},
		"twice":     {context.Background(), []Word{{"a", 1}, {"a", 2}}, TrainOptions{Size: 10}, "words are different"},
		"count":     {context.Background(), []Word{{"a", 0}}, TrainOptions{Size: 10}, "words are different"},
		"UTF-8":     {context.Background(), []Word{{"\xff", 1}}, TrainOptions{Size: 10}, "words are different"},
		"cancelled": {cancelled, ok, TrainOptions{Size: 10}, "context canceled"},
	} {
		_, err := Train(c.ctx, c.words, c.o)
		assert.ErrorContains(t, err, c.want, name)
	}
}
