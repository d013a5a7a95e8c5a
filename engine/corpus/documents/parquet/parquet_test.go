package parquet_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	library "github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"forja/engine/corpus/documents/parquet"
)

var columns = []parquet.Column{{Name: "text"}, {Name: "lang", Optional: true}}

// A row is what the general library reads and writes.
type row struct {
	Text string `parquet:"text"`
	Lang string `parquet:"lang,optional"`
}

func write(t require.TestingT, rows []row) []byte {
	var b bytes.Buffer
	w, err := parquet.NewWriter(&b, columns...)
	require.NoError(t, err)
	for _, r := range rows {
		require.NoError(t, w.Write([]string{r.Text, r.Lang}))
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func read(b []byte) (rows []row, err error) {
	f, err := parquet.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	for r, err := range f.Rows("text", "lang") {
		if err != nil {
			return rows, err
		}
		rows = append(rows, row{string(r[0]), string(r[1])})
	}
	return rows, nil
}

// draw makes rows with long runs, long texts, and many of both.
func draw(t *rapid.T) (rows []row) {
	for range rapid.IntRange(0, 30).Draw(t, "runs") {
		r := row{rapid.String().Draw(t, "text"), rapid.SampledFrom([]string{"", "", "en", "pt"}).Draw(t, "lang")}
		if rapid.IntRange(0, 9).Draw(t, "long") == 0 {
			r.Text = strings.Repeat(r.Text+"é", rapid.IntRange(1, 20_000).Draw(t, "times"))
		}
		for range rapid.IntRange(1, 40).Draw(t, "run") {
			rows = append(rows, r)
			if len(r.Text) > 10_000 {
				break
			}
		}
	}
	return rows
}

func TestWhatIsWrittenIsReadByAGeneralLibraryToo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := draw(t)
		b := write(t, want)
		got, err := read(b)
		require.NoError(t, err)
		assert.Equal(t, want, got)
		general, err := library.Read[row](bytes.NewReader(b), int64(len(b)))
		require.NoError(t, err)
		if len(want) > 0 {
			assert.Equal(t, want, general)
		} else {
			assert.Empty(t, general)
		}
	})
}

func TestWhatAGeneralLibraryWritesIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := draw(t)
		encoding := rapid.SampledFrom([]library.Node{
			library.String(), library.Encoded(library.String(), &library.Plain), library.Encoded(library.String(), &library.RLEDictionary),
			library.Encoded(library.String(), &library.DeltaLengthByteArray), library.Encoded(library.String(), &library.DeltaByteArray),
		}).Draw(t, "encoding")
		options := []library.WriterOption{
			library.NewSchema("rows", library.Group{"text": encoding, "lang": library.Optional(encoding)}),
			library.DataPageVersion(rapid.IntRange(1, 2).Draw(t, "version")),
			library.PageBufferSize(rapid.SampledFrom([]int{64, 1000, 1 << 20}).Draw(t, "page")),
			library.MaxRowsPerRowGroup(rapid.Int64Range(1, 2000).Draw(t, "group")),
			rapid.SampledFrom([]library.WriterOption{
				library.Compression(&library.Uncompressed), library.Compression(&library.Snappy), library.Compression(&library.Gzip),
				library.Compression(&library.Brotli), library.Compression(&library.Zstd), library.Compression(&library.Lz4Raw),
			}).Draw(t, "codec"),
		}
		var b bytes.Buffer
		require.NoError(t, library.Write(&b, want, options...))
		got, err := read(b.Bytes())
		require.NoError(t, err)
		assert.Equal(t, want, got)
	})
}

func TestGroupsAndPagesAreOfBoundedSize(t *testing.T) {
	var rows []row
	for i := range 700 { // of 70 MB together
		rows = append(rows, row{Text: strings.Repeat(fmt.Sprintf("%d ", 1000+i), 20_000), Lang: "en"})
	}
	b := write(t, rows)
	f, err := library.OpenFile(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	require.Len(t, f.RowGroups(), 2)
	got, err := read(b)
	require.NoError(t, err)
	assert.Equal(t, rows, got)

	w, err := parquet.NewWriter(io.Discard, columns...)
	require.NoError(t, err)
	require.ErrorContains(t, w.Write([]string{strings.Repeat("x", parquet.MaxValue+1), ""}), "column text")
}

func TestDamageIsFound(t *testing.T) {
	want := []row{{strings.Repeat("forja ", 1000), "pt"}, {"x", ""}}
	b := write(t, want)
	for _, n := range []int{0, 3, 11, len(b) - 1, len(b) / 2} {
		_, err := read(b[:n])
		require.Error(t, err, "%d of %d bytes", n, len(b))
	}
	for i := range b {
		damaged := bytes.Clone(b)
		damaged[i] ^= 1 << (i % 8)
		if rows, err := read(damaged); err == nil { // what is not read may be anything, but what is has a checksum
			assert.True(t, slices.Equal(want, rows), "byte %d", i)
		}
	}
	f, err := parquet.Open(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	for _, err := range f.Rows("text", "title") {
		require.ErrorContains(t, err, "no column title")
	}
}

func TestARowHasAValueForEachColumn(t *testing.T) {
	for _, values := range [][]string{nil, {"a"}, {"a", "b", "c"}} {
		var b bytes.Buffer
		w, err := parquet.NewWriter(&b, columns...)
		require.NoError(t, err)
		require.Error(t, w.Write(values))
		require.NoError(t, w.Write([]string{"text", "en"}))
		require.NoError(t, w.Close())
		got, err := read(b.Bytes())
		require.NoError(t, err)
		assert.Equal(t, []row{{"text", "en"}}, got)
	}
}

func TestReadErrorsAreToldApartFromDamage(t *testing.T) {
	b, broken := write(t, []row{{"text", ""}}), errors.New("broken")
	_, err := parquet.Open(failing{broken}, int64(len(b)))
	require.ErrorIs(t, err, broken)
}

type failing struct{ err error }

func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.err }

// Small files that claim to be large cost what they are, not what they say.
func FuzzRead(f *testing.F) {
	f.Add(write(f, nil))
	f.Add(write(f, []row{{"a", "b"}, {"", ""}, {strings.Repeat("c", 5000), ""}}))
	files, err := filepath.Glob("../testdata/*.parquet")
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, name := range files {
		b, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		file, err := parquet.Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		n, size := 0, 0
		for row, err := range file.Rows(file.Columns()...) {
			if err != nil {
				break
			}
			for _, v := range row {
				size += len(v)
			}
			if n++; n > 1000 || size > 16<<20 {
				break
			}
		}
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<30 {
			t.Fatalf("%d bytes of memory for a file of %d", used, len(b))
		}
	})
}
