package ngram

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/data"
	"forja/engine/data/goroot"
	"forja/engine/vfs"
)

// octets is the tokenizer whose tokens are bytes.
type octets struct{}

func (octets) EncodeTo(dst []int32, text string) []int32 {
	for i := range len(text) {
		dst = append(dst, int32(text[i]))
	}
	return dst
}

// library is a part of Go's own library, as bytes.
func library(t testing.TB, part goroot.Part, most int) *data.Set {
	root, err := goroot.Find(context.Background(), "")
	require.NoError(t, err)
	read := 0
	docs := func(yield func(data.Document, error) bool) {
		for d, err := range goroot.Documents(root, part) {
			if read += len(d.Text); !yield(d, err) || read > most {
				return
			}
		}
	}
	disk := vfs.NewMem()
	_, err = data.Build(context.Background(), disk, "set", docs, octets{}, data.BuildOptions{Format: data.Format{VocabSize: 257, Begin: -1, End: 256}})
	require.NoError(t, err)
	set, err := data.Open(disk, "set")
	require.NoError(t, err)
	t.Cleanup(func() { set.Close() })
	return set
}

func source(t testing.TB, set *data.Set) data.Source {
	l, err := data.NewSequential(set, 512)
	require.NoError(t, err)
	return l
}

func TestLongerContextsPredictRealTextBetter(t *testing.T) {
	text, held := source(t, library(t, goroot.Train, 1<<20)), source(t, library(t, goroot.Validation, 100<<10))
	before := 0.0
	for order := 1; order <= 5; order++ {
		m := train(t, text, 257, order)
		l, err := m.Likelihood(context.Background(), held, 0)
		require.NoError(t, err)
		t.Logf("order %d: %.4f nats a byte, %.4f bits a byte of text, discounts %.3f", order, l.Loss, l.BPB, m.Discounts)
		if order > 1 {
			assert.Less(t, l.Loss, before-0.05)
		}
		before = l.Loss
		if order == 5 {
			// The likelihood is over the text's bytes and one end for each document.
			assert.InDelta(t, l.Loss/0.6931472*float64(l.Tokens)/l.Bytes, l.BPB, 1e-6)
			require.NoError(t, m.Fit(context.Background(), held, 20_000))
			fitted, err := m.Likelihood(context.Background(), held, 0)
			require.NoError(t, err)
			t.Logf("fitted:  %.4f nats a byte, discounts %.3f", fitted.Loss, m.Discounts)
			assert.Less(t, fitted.Loss, l.Loss)
		}
	}
}

func BenchmarkTrain(b *testing.B) {
	text := source(b, library(b, goroot.Train, 8<<20))
	targets := 0
	for b.Loop() {
		m, err := Train(context.Background(), text, 257, 5, 0)
		require.NoError(b, err)
		targets += m.Targets
	}
	b.ReportMetric(float64(targets)/b.Elapsed().Seconds()/1e6, "Mtok/s")
}
