package filter

import (
	"compress/gzip"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"forja/engine/corpus"
	"forja/internal/shareddata"
)

// shared documents of about the size of web pages, up to most bytes of text.
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

func BenchmarkCheck(b *testing.B) {
	for _, name := range []string{"en-00", "pt-00"} {
		b.Run(name, func(b *testing.B) {
			docs, size := sharedDocuments(b, "corpus/"+name+".jsonl.gz", 4<<20)
			c := New(Default())
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				for _, d := range docs {
					c.Check(d, 1)
				}
			}
		})
		b.Run(name+"/every rule", func(b *testing.B) {
			docs, size := sharedDocuments(b, "corpus/"+name+".jsonl.gz", 4<<20)
			c := New(Default())
			b.SetBytes(int64(size))
			for b.Loop() {
				for _, d := range docs {
					c.Explain(d, 1)
				}
			}
		})
	}
}
