package dedup

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"forja/engine/corpus"
	"forja/internal/shareddata"
)

func sharedDocuments(t testing.TB, name string, most int) (docs []corpus.Document, bytes int) {
	f, err := os.Open(shareddata.Path(t, name))
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	for d, err := range corpus.Read(z) {
		require.NoError(t, err)
		docs = append(docs, d)
		if bytes += len(d.Text); bytes > most {
			break
		}
	}
	return docs, bytes
}

type truePair struct {
	A, B, Kind string
	Jaccard    float64
}

func truePairs(t testing.TB) (pairs []truePair) {
	f, err := os.Open(shareddata.Path(t, "dedup/truth.jsonl"))
	require.NoError(t, err)
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var p truePair
		require.NoError(t, json.Unmarshal(s.Bytes(), &p))
		pairs = append(pairs, p)
	}
	require.NotEmpty(t, pairs)
	return pairs
}

func TestNormalizationIsFineWebs(t *testing.T) {
	for text, want := range map[string]string{
		"Hello,  World!":            "hello world ",
		"AÇÃO é İstanbul ΟΔΌΣ ὁδός": "acao e istanbul οδοσ οδοσ ",
		"3.14 and 1.2.3 x12y":       "0 and 0 0 x0y ",
		"١٢٣ ４２":                    "0 0 ",
		"…“quoted”—text»":           "quoted text ",
		"がぎ 漢字 한국":                  "かき 漢字 한국 ",
		"a\x00b\tc\u0085d\u00a0e":   "a b c d e ",
		"  ":                        "",
		"":                          "",
	} {
		assert.Equal(t, want, string(Normalize(nil, text)), "%q", text)
	}
}

func TestNormalizationAppendsAndIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		once := string(Normalize([]byte("x "), text))
		assert.True(t, strings.HasPrefix(once, "x "))
		assert.NotContains(t, once[1:], "  ")
		assert.True(t, strings.HasSuffix(once, " "))
		assert.Equal(t, string(Normalize(nil, text)), once[2:])
	})
}

func TestSimilaritiesAreThoseOfTheReference(t *testing.T) {
	docs, _ := sharedDocuments(t, "dedup/docs.jsonl.gz", math.MaxInt)
	sets := map[string][]uint64{}
	s := NewSigner(Default())
	for _, d := range docs {
		sets[d.ID] = s.Shingles(nil, d.Text)
	}
	for _, p := range truePairs(t) {
		assert.InDelta(t, p.Jaccard, Jaccard(sets[p.A], sets[p.B]), 1e-6, "%s %s", p.A, p.B)
	}
}

// The share of hash functions that agree estimates the similarity; of 100 pairs with 112 functions each, its mean is off
// by more than 4 standard deviations once in 16,000 seeds.
func TestHashFunctionsAgreeAsOftenAsDocumentsAreSimilar(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	c := Default()
	s := NewSigner(c)
	for _, similarity := range []float64{0.2, 0.5, 0.8, 0.95} {
		sum, expected, variance := 0.0, 0.0, 0.0
		for range 100 {
			a, b := make([]uint64, 0, 400), make([]uint64, 0, 400)
			for range 400 {
				x := random.Uint64()
				a = append(a, x)
				if random.Float64() < 2*similarity/(1+similarity) {
					b = append(b, x)
				} else {
					b = append(b, random.Uint64())
				}
			}
			both := 0
			for i := range a {
				if a[i] == b[i] {
					both++
				}
			}
			j := float64(both) / float64(800-both)
			la, lb := make([]uint64, len(s.a)), make([]uint64, len(s.a))
			for i := 0; i < len(s.a); i += 4 {
				least4(la[i:], s.a[i:], s.b[i:], a)
				least4(lb[i:], s.a[i:], s.b[i:], b)
			}
			for i := range la {
				if la[i] == lb[i] {
					sum++
				}
			}
			expected += j * float64(len(la))
			variance += j * (1 - j) * float64(len(la))
		}
		assert.InDelta(t, expected, sum, 4*math.Sqrt(variance), "similarity %g", similarity)
	}
}

func TestKeysDependOnWordsAlone(t *testing.T) {
	s := NewSigner(Default())
	a := s.Keys(nil, "The quick brown fox, jumps over 12 dogs.")
	require.Len(t, a, 14)
	assert.Equal(t, a, s.Keys(nil, "the QUICK brown fox jumps over  7 dógs"))
	assert.NotEqual(t, a, s.Keys(nil, "the quick brown fox jumps over 7 cats and more"))
	assert.Empty(t, s.Keys(nil, "... !"))
	assert.Len(t, s.Keys(nil, "one"), 14, "fewer words than an n-gram")
	other := Default()
	other.Seed = 2
	assert.NotEqual(t, a, NewSigner(other).Keys(nil, "The quick brown fox, jumps over 12 dogs."))
	odd := Config{NGram: 2, Bands: 3, Rows: 3}
	require.NoError(t, odd.Validate())
	assert.Len(t, NewSigner(odd).Keys(nil, "a b c d"), 3)
}

func TestJaccardOfSets(t *testing.T) {
	assert.Equal(t, 0.5, Jaccard([]uint64{1, 2, 3}, []uint64{2, 3, 4}))
	assert.Equal(t, 1.0, Jaccard([]uint64{1}, []uint64{1}))
	assert.Equal(t, 0.0, Jaccard([]uint64{1}, nil))
	assert.Equal(t, 0.0, Jaccard(nil, nil))
}

func FuzzKeys(f *testing.F) {
	f.Add("a b c 1.5 ٣٫٤ é\xff")
	s := NewSigner(Default())
	f.Fuzz(func(t *testing.T, text string) {
		assert.Equal(t, len(s.Keys(nil, text)) > 0, len(s.Shingles(nil, text)) > 0)
	})
}
