package documents_test

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
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
		for _, n := range []int{0, 1, 1000} {
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

func TestStemCutsOnlyKnownEndings(t *testing.T) {
	for name, want := range map[string]string{"a/b.jsonl.gz": "a/b", "b.jsonl": "b", "b.jsonl.zst": "b", "x.y.parquet": "x.y"} {
		stem, ok := documents.Stem(name)
		assert.True(t, ok, name)
		assert.Equal(t, want, stem)
	}
	for _, name := range []string{"", "a", ".jsonl.gz", "a/.parquet", "a.json", "a.gz", "a.jsonl.gz.tmp"} {
		stem, ok := documents.Stem(name)
		assert.False(t, ok, name)
		assert.Equal(t, name, stem)
		_, err := decode(name, strings.NewReader(""))
		require.ErrorContains(t, err, ".jsonl.zst")
	}
	_, err := documents.Create(io.Discard, ".csv")
	require.ErrorContains(t, err, ".parquet")
}

func TestEveryFormatHasUTF8(t *testing.T) {
	want := []corpus.Document{{ID: "a", Text: "x\xff\xfey\xe2\x28z", Title: "\xc0"}}
	var first []corpus.Document
	for _, ending := range documents.Endings() {
		got, err := decode("f"+ending, bytes.NewReader(encode(t, ending, want)))
		require.NoError(t, err)
		require.True(t, utf8.ValidString(got[0].Text+got[0].Title), ending)
		if first == nil {
			first = got
		}
		assert.Equal(t, first, got, ending)
	}
}

func TestFilesThatAreCutAreNoFiles(t *testing.T) {
	for _, ending := range []string{".jsonl.gz", ".jsonl.zst", ".parquet"} {
		b := encode(t, ending, some(500))
		for _, n := range []int{1, len(b) / 2, len(b) - 1} {
			_, err := decode("f"+ending, bytes.NewReader(b[:n]))
			require.Error(t, err, "%s: %d of %d bytes", ending, n, len(b))
		}
	}
}

func TestDocumentsTooLongToReadAreNotWritten(t *testing.T) {
	long := corpus.Document{ID: "long", Text: strings.Repeat("x", corpus.MaxLine+1)}
	for _, ending := range []string{".jsonl", ".parquet"} {
		w, err := documents.Create(io.Discard, ending)
		require.NoError(t, err)
		require.ErrorContains(t, w.Write(long), `"long"`, ending)
		require.ErrorContains(t, w.Write(corpus.Document{}), "split it", "a file with a hole is no file")
		require.Error(t, w.Close())
	}
}

// A line of 256 MiB that is some kilobytes compressed.
func TestWhatExpandsWithoutEndIsRefused(t *testing.T) {
	var bomb bytes.Buffer
	z, err := zstd.NewWriter(&bomb)
	require.NoError(t, err)
	for range 256 {
		_, err := z.Write(make([]byte, 1<<20))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = decode("f.jsonl.zst", &bomb)
	require.ErrorContains(t, err, "longer than")
	runtime.ReadMemStats(&after)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(600<<20)) // a buffer that doubled to 64 MiB, and what it left
}

func FuzzReadCompressed(f *testing.F) {
	for _, ending := range documents.Endings() {
		f.Add(ending, encode(f, ending, some(5)))
	}
	f.Fuzz(func(t *testing.T, ending string, b []byte) {
		n := 0
		for _, err := range documents.Read("f"+ending, bytes.NewReader(b)) {
			if n++; err != nil || n > 1000 {
				break
			}
		}
	})
}
