package dedup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"forja/engine/corpus"
	"forja/engine/vfs"
)

func jsonl(t testing.TB, docs []corpus.Document) []byte {
	var b bytes.Buffer
	for _, d := range docs {
		require.NoError(t, corpus.Write(&b, d))
	}
	return b.Bytes()
}

func clusters(t testing.TB, lines []byte, o Options) []uint32 {
	m := vfs.NewMem()
	o.Dir = m
	r, err := Run(context.Background(), corpus.Lines(bytes.NewReader(lines)), o)
	require.NoError(t, err)
	line := 0
	for want := range bytes.Lines(lines) {
		got, err := r.Line(uint32(line))
		require.NoError(t, err)
		require.Equal(t, string(bytes.TrimSpace(want)), string(got))
		line++
	}
	require.Len(t, r.First, line)
	require.NoError(t, r.Close())
	entries, err := m.ReadDir(".")
	require.NoError(t, err)
	assert.Empty(t, entries)
	return r.First
}

// found are the pairs of documents in the same cluster.
func found(docs []corpus.Document, first []uint32) map[[2]string]bool {
	pairs := map[[2]string]bool{}
	members := map[uint32][]string{}
	for doc, f := range first {
		for _, other := range members[f] {
			pairs[[2]string{other, docs[doc].ID}] = true
			pairs[[2]string{docs[doc].ID, other}] = true
		}
		members[f] = append(members[f], docs[doc].ID)
	}
	return pairs
}

func TestNearDuplicatesAreFoundAsOftenAsTheoryHasIt(t *testing.T) {
	docs, _ := sharedDocuments(t, "dedup/docs.jsonl.gz", math.MaxInt)
	lines := jsonl(t, docs)
	truth := truePairs(t)
	similarity := map[[2]string]float64{}
	for _, p := range truth {
		similarity[[2]string{p.A, p.B}], similarity[[2]string{p.B, p.A}] = p.Jaccard, p.Jaccard
	}
	c := Default()
	pairs := found(docs, clusters(t, lines, Options{Config: c}))
	near, hits, expected := 0, 0, 0.0
	for _, p := range truth {
		if p.Jaccard >= 0.8 {
			near++
			expected += 1 - math.Pow(1-math.Pow(p.Jaccard, float64(c.Rows)), float64(c.Bands))
			if pairs[[2]string{p.A, p.B}] {
				hits++
			}
		}
	}
	wrong := 0
	for pair := range pairs {
		if similarity[pair] < 0.7 {
			wrong++
		}
	}
	t.Logf("%d pairs of similarity 0.8 and above, %d found, %.1f expected; %d pairs found, %d of them below 0.7", near, hits, expected, len(pairs)/2, wrong/2)
	require.Greater(t, near, 90)
	assert.GreaterOrEqual(t, float64(hits)/float64(near), expected/float64(near)-0.02)
	assert.LessOrEqual(t, float64(wrong)/float64(len(pairs)), 0.01)
}

func TestClustersDoNotDependOnWorkersOrMemory(t *testing.T) {
	var docs []corpus.Document
	for i := range 600 {
		words := make([]string, 40)
		for w := range words {
			x := mix(uint64(i/3*100 + w))
			words[w] = string([]byte{'a' + byte(x%26), 'a' + byte(x>>8%26), 'a' + byte(x>>16%26)})
		}
		words[i%40] = "changed"
		docs = append(docs, corpus.Document{ID: fmt.Sprint(i), Text: strings.Join(words, " ")})
	}
	lines := jsonl(t, docs)
	o := Options{Config: Default(), Workers: 1}
	o.Config.Verify = 0.5
	want := clusters(t, lines, o)
	joined := 0
	for doc, first := range want {
		if int(first) != doc {
			joined++
			assert.Equal(t, int(first)/3, doc/3)
		}
	}
	assert.Greater(t, joined, 100)
	o.Workers, o.Memory = 7, 1
	assert.Equal(t, want, clusters(t, lines, o))
}

func TestWhatIsNoDocumentIsAnError(t *testing.T) {
	defer goleak.VerifyNone(t)
	for lines, message := range map[string]string{
		"{\"text\":\"a\"}\n\nnonsense\n": "not a document",
		"{\"id\":\"a\"}\n":               `no "text"`,
	} {
		m := vfs.NewMem()
		_, err := Run(context.Background(), corpus.Lines(strings.NewReader(lines)), Options{Config: Default(), Dir: m})
		assert.ErrorContains(t, err, message)
		entries, err := m.ReadDir(".")
		require.NoError(t, err)
		assert.Empty(t, entries)
	}
	stop, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("enough"))
	_, err := Run(stop, corpus.Lines(strings.NewReader("{\"text\":\"a\"}\n")), Options{Config: Default(), Dir: vfs.NewMem()})
	assert.ErrorContains(t, err, "enough")
	_, err = Run(context.Background(), nil, Options{Config: Config{}, Dir: vfs.NewMem()})
	assert.ErrorContains(t, err, "n-grams of 0 words")
}

func TestDiskErrorsEndARun(t *testing.T) {
	broken := errors.New("broken")
	line, err := json.Marshal(corpus.Document{Text: strings.Repeat("some words ", 100)})
	require.NoError(t, err)
	lines := strings.Repeat(string(line)+"\n", 200)
	failed := 0
	for n := range 12 {
		m := vfs.NewMem()
		m.Hook = vfs.FailNth(n, broken)
		r, err := Run(context.Background(), corpus.Lines(strings.NewReader(lines)), Options{Config: Default(), Dir: m, Memory: 1})
		if err != nil {
			failed++
			assert.ErrorIs(t, err, broken)
			continue
		}
		_ = r.Close()
	}
	assert.Positive(t, failed)
}
