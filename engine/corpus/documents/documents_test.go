package documents_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/corpus"
	"forja/engine/corpus/documents"
)

// some are documents of all shapes: empty fields, long texts, signs of every kind.
func some(n int) (ds []corpus.Document) {
	for i := range n {
		d := corpus.Document{ID: fmt.Sprintf("f%d", i), Text: fmt.Sprintf("%d forja\nação 鍛冶場 <&>\t\"%s\"", i, bytes.Repeat([]byte("é"), i%300))}
		if i%3 > 0 {
			d.URL, d.Title, d.Lang, d.Type = fmt.Sprintf("https://example.org/%d", i), "A título", "pt", "article"
		}
		if i%5 > 2 {
			d.Date, d.License, d.Source, d.SHA256 = "2024-02-29", "CC-BY-4.0", "test", fmt.Sprintf("%064x", i)
		}
		ds = append(ds, d)
	}
	return ds
}

func encode(t testing.TB, ending string, ds []corpus.Document) []byte {
	var b bytes.Buffer
	w, err := documents.Create(&b, ending)
	require.NoError(t, err)
	for _, d := range ds {
		require.NoError(t, w.Write(d))
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func decode(name string, r io.Reader) (ds []corpus.Document, err error) {
	for d, err := range documents.Read(name, r) {
		if err != nil {
			return ds, err
		}
		ds = append(ds, d)
	}
	return ds, nil
}

func TestEveryFormatGivesBackWhatWasWritten(t *testing.T) {
	for _, ending := range documents.Endings() {
		for _, n := range []int{0, 1, 3000} {
			want := some(n)
			b := encode(t, ending, want)
			assert.Equal(t, b, encode(t, ending, want), "%s: the same documents, other bytes", ending)
			got, err := decode("a/b"+ending, bytes.NewReader(b))
			require.NoError(t, err, ending)
			assert.Equal(t, want, got, ending)
			got, err = decode("a/b"+ending, io.MultiReader(bytes.NewReader(b))) // no random access
			require.NoError(t, err, ending)
			assert.Equal(t, want, got, ending)
		}
	}
}
