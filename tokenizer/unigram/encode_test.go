package unigram

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func smallModel(t testing.TB, edit func(o *Options)) *Model {
	t.Helper()
	o := Options{Unknown: 0, Pieces: []Piece{{"<unk>", 0, Hidden}, {"a", -1, Normal}, {"b", -1.5, Normal}, {"ab", -2, Normal}, {"ba", -2.2, Normal}, {"aba", -3, Normal}, {"日", -4, Normal}}}
	if edit != nil {
		edit(&o)
	}
	m, err := New(o)
	require.NoError(t, err)
	return m
}

// segmentations lists all ways to cut a text into pieces, the best first.
func segmentations(m *Model, text string) (all []Segmentation) {
	var walk func(at int, ids []int32, score float64)
	walk = func(at int, ids []int32, score float64) {
		if at == len(text) {
			all = append(all, Segmentation{slices.Clone(ids), score})
			return
		}
		for id, p := range m.options.Pieces {
			if p.Kind != Hidden && strings.HasPrefix(text[at:], p.Text) {
				walk(at+len(p.Text), append(ids, int32(id)), score+p.Score)
			}
		}
	}
	walk(0, nil, 0)
	slices.SortStableFunc(all, func(x, y Segmentation) int {
		if x.Score > y.Score {
			return -1
		}
		return 1
	})
	return all
}

func TestTheBestSegmentationIsFound(t *testing.T) {
	for _, single := range []bool{false, true} {
		m := smallModel(t, func(o *Options) { o.Single = single })
		rapid.Check(t, func(t *rapid.T) {
			text := rapid.StringMatching(`[ab日]{1,9}`).Draw(t, "text")
			all := segmentations(m, text)
			score := 0.0
			for _, id := range m.AppendIDs(nil, nil, text) {
				score += m.options.Pieces[id].Score
			}
			require.InDelta(t, all[0].Score, score, 1e-5, text)
		})
	}
}

func TestTheBestSegmentationsComeInOrder(t *testing.T) {
	m := smallModel(t, nil)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[ab日]{1,8}`).Draw(t, "text")
		n := rapid.IntRange(1, 12).Draw(t, "n")
		want, got := segmentations(m, text), m.NBest(text, n)
		require.Len(t, got, min(n, len(want)))
		seen := map[string]bool{}
		for i, s := range got {
			require.InDelta(t, want[i].Score, s.Score, 1e-9)
			key := ""
			for _, id := range s.IDs {
				key += m.options.Pieces[id].Text + " "
			}
			require.False(t, seen[key])
			seen[key] = true
			require.Equal(t, text, strings.ReplaceAll(key, " ", ""))
		}
	})
}

func TestSamplesFollowTheirProbabilities(t *testing.T) {
	m := smallModel(t, nil)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, theta := range []float64{0, 0.5, 1} {
		const draws = 40_000
		all := segmentations(m, "abaab")
		sum := 0.0
		for _, s := range all {
			sum += math.Exp(theta * s.Score)
		}
		counts := map[string]int{}
		for range draws {
			counts[string([]rune(toRunes(m.Sample("abaab", theta, rng))))]++
		}
		for _, s := range all {
			p := math.Exp(theta*s.Score) / sum
			assert.InDelta(t, p, float64(counts[string(toRunes(s.IDs))])/draws, 5*math.Sqrt(p*(1-p)/draws)+1e-4, "%v theta %g", s.IDs, theta)
		}
	}
}

func toRunes(ids []int32) []rune {
	out := make([]rune, len(ids))
	for i, id := range ids {
		out[i] = id + 'A'
	}
	return out
}

func TestUnknownCharactersTogetherAreOneId(t *testing.T) {
	m := smallModel(t, nil)
	var ends []int
	assert.Equal(t, []int32{3, 0, 1, 0}, m.AppendIDs(nil, &ends, "abxéza!"))
	assert.Equal(t, []int{2, 6, 7, 8}, ends)
	bytes := smallModel(t, func(o *Options) {
		o.ByteFallback = true
		for b := range 256 {
			o.Pieces = append(o.Pieces, Piece{byteText(byte(b)), -9, Byte})
		}
	})
	ends = nil
	assert.Equal(t, []int32{1, 7 + 0xc3, 7 + 0xa9}, bytes.AppendIDs(nil, &ends, "aé"))
	assert.Equal(t, []int{1, 2, 3}, ends)
	assert.Equal(t, [][]int32{{1, 7 + 0xc3, 7 + 0xa9}}, [][]int32{bytes.NBest("aé", 3)[0].IDs})
}

func TestUserDefinedPiecesHaveABonus(t *testing.T) {
	m := smallModel(t, func(o *Options) { o.Single = true; o.Pieces = append(o.Pieces, Piece{"bab", -99, User}) })
	assert.Equal(t, []int32{6, 7, 6}, m.AppendIDs(nil, nil, "日bab日"))
}

func TestWrongPiecesAreRefused(t *testing.T) {
	for _, c := range []struct {
		edit func(o *Options)
		want string
	}{
		{func(o *Options) { o.Pieces[1].Score = math.NaN() }, "no finite number"},
		{func(o *Options) { o.Pieces[1].Score = math.Inf(-1) }, "no finite number"},
		{func(o *Options) { o.Pieces[2].Text = "a" }, `piece "a" has two ids, 1 and 2`},
		{func(o *Options) { o.Pieces[2].Text = strings.Repeat("x", MaxPiece+1) }, "longer than"},
		{func(o *Options) { o.Unknown = 99 }, "the unknown piece has the id 99"},
		{func(o *Options) { o.Pieces = o.Pieces[:1] }, "no piece that text can produce"},
		{func(o *Options) { o.ByteFallback = true }, "byte fallback needs the piece <0x00>"},
		{func(o *Options) { o.Pieces[1].Kind = Byte }, "is no byte"},
	} {
		o := Options{Unknown: 0, Pieces: []Piece{{"<unk>", 0, Hidden}, {"a", -1, Normal}, {"b", -1.5, Normal}}}
		c.edit(&o)
		_, err := New(o)
		assert.ErrorContains(t, err, c.want)
	}
}
