package documents_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"forja/engine/corpus"
	"forja/engine/corpus/documents"
)

// texts are documents that compress as prose does, about: words of a vocabulary, drawn.
func texts() (ds []corpus.Document, size int) {
	vocabulary := strings.Fields(strings.Repeat("the of and a to in is it that he was for on are as with his they at be this have from or one had by word but not what all were we when your can said there use an each which she do how their if will up other about out many then them these so some her would make like him into time has look two more write go see number no way could people my than first water been call who oil its now find long down day did get come made may part ", 1))
	r := uint64(1)
	for i := range 4000 {
		var text strings.Builder
		for range 100 + i%900 {
			r = r*6364136223846793005 + 1442695040888963407
			text.WriteString(vocabulary[r>>33%uint64(len(vocabulary))])
			text.WriteByte(' ')
		}
		ds = append(ds, corpus.Document{ID: "x", URL: "https://example.org/", Text: text.String(), Lang: "en"})
		size += text.Len()
	}
	return ds, size
}

func BenchmarkWrite(b *testing.B) {
	ds, size := texts()
	for _, ending := range documents.Endings() {
		b.Run(ending, func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				w, err := documents.Create(io.Discard, ending)
				require.NoError(b, err)
				for _, d := range ds {
					require.NoError(b, w.Write(d))
				}
				require.NoError(b, w.Close())
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	ds, size := texts()
	for _, ending := range documents.Endings() {
		file := encode(b, ending, ds)
		b.Run(ending, func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportMetric(float64(size)/float64(len(file)), "ratio")
			for b.Loop() {
				for _, err := range documents.Read("f"+ending, bytes.NewReader(file)) {
					require.NoError(b, err)
				}
			}
		})
	}
}
