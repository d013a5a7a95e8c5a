package stats

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/corpus"
	"forja/engine/corpus/documents"
	"forja/engine/corpus/shard"
	"forja/engine/corpus/store"
	"forja/engine/vfs"
)

func sourceOf(name string, b []byte) Source {
	return Source{Name: name, Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }}
}

func TestFilesAreCountedAlikeByAnyNumberOfWorkers(t *testing.T) {
	var all []corpus.Document
	var files []Source
	for i, ending := range []string{".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet", ".jsonl", ".jsonl", ".jsonl"} {
		var b bytes.Buffer
		w, err := documents.Create(&b, ending)
		require.NoError(t, err)
		for j := range i * 3 {
			d := corpus.Document{ID: fmt.Sprint(i, j), Text: strings.Repeat("x", i*j), Lang: fmt.Sprint("l", j%4), URL: fmt.Sprintf("http://h%d/", j)}
			all = append(all, d)
			require.NoError(t, w.Write(d))
		}
		require.NoError(t, w.Close())
		files = append(files, sourceOf(fmt.Sprint(i, ending), b.Bytes()))
	}
	archive := sourceOf("a.warc", archiveOf("HTTP/1.1 200 OK\r\n\r\nx"))
	archive.Archive = true
	files = append(files, archive)
	want := collected(Options{}, all...)
	want.files = 7
	require.NoError(t, want.AddArchive(bytes.NewReader(archiveOf("HTTP/1.1 200 OK\r\n\r\nx"))))
	for _, workers := range []int{1, 2, 5, 0} {
		c, err := Collect(t.Context(), files, Options{Workers: workers})
		require.NoError(t, err)
		assert.Equal(t, want.Report("x", nil), c.Report("x", nil))
	}
}

func TestWhatCannotBeReadIsNamed(t *testing.T) {
	good := sourceOf("a.jsonl", []byte("{\"id\":\"1\",\"text\":\"a\"}\n"))
	bad := sourceOf("b.jsonl", []byte("{\"id\":\"1\",\"text\":\"a\"}\n{\"id\":3}\n"))
	worse := sourceOf("c.jsonl", []byte("x"))
	for range 20 {
		_, err := Collect(t.Context(), []Source{good, bad, worse, good}, Options{Workers: 4})
		require.ErrorContains(t, err, "b.jsonl: line 2: not a document", "the first in the order of the files")
	}
	broken := errors.New("broken")
	bad.Path, bad.Open = "s3://x/b.jsonl", func(context.Context) (io.ReadCloser, error) { return nil, broken }
	_, err := Collect(t.Context(), []Source{good, bad}, Options{})
	require.ErrorIs(t, err, broken)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Collect(ctx, []Source{good}, Options{})
	require.ErrorIs(t, err, context.Canceled)
	_, err = Collect(t.Context(), []Source{sourceOf("a.txt", nil)}, Options{})
	require.ErrorContains(t, err, "a.txt")
	archive := sourceOf("a.warc", nil)
	archive.Archive, archive.Open = true, func(context.Context) (io.ReadCloser, error) { return io.NopCloser(iotest.ErrReader(broken)), nil }
	_, err = Collect(t.Context(), []Source{archive}, Options{})
	require.ErrorIs(t, err, broken)
}

func TestADamagedArchiveIsCountedUpToItsDamageAndTold(t *testing.T) {
	whole := archiveOf("HTTP/1.1 200 OK\r\n\r\nx", "HTTP/1.1 200 OK\r\n\r\ny")
	cut, none := sourceOf("a.warc", whole[:len(whole)-8]), sourceOf("b.warc", []byte("no archive at all"))
	cut.Archive, none.Archive = true, true
	c, err := Collect(t.Context(), []Source{cut, none}, Options{})
	require.NoError(t, err)
	r := c.Report("x", nil)
	assert.Equal(t, int64(1), r.Archive.Pages.Documents)
	assert.Equal(t, 2, r.Archive.Files)
	require.Len(t, r.Warnings, 2)
	assert.Contains(t, r.Warnings[0], "a.warc is damaged, and what follows is not counted: ")
	assert.Contains(t, r.Warnings[1], "b.warc is damaged, and what follows is not counted: record 1")
}

func TestStepsAreReadFromTheirReports(t *testing.T) {
	in, out := store.In(vfs.NewMem()), store.In(vfs.NewMem())
	for i := range 3 {
		require.NoError(t, store.WriteFile(t.Context(), in, fmt.Sprintf("%d.in", i), []byte("12345")))
	}
	for _, step := range []struct{ name, prefix string }{{"dedup", ""}, {"dedup sign", "_keys/"}} {
		m := &shard.Map{Step: step.name, Settings: 1, In: in, Out: out, Share: shard.All, Ending: ".jsonl",
			Stem: func(name string) (string, bool) { return step.prefix + strings.TrimSuffix(name, ".in"), true },
			Do: func(_ context.Context, f store.File, _ io.Reader, _ io.Writer, report *shard.Report) error {
				report.Read.Add(5)
				report.Drop("r", f.Name, 5)
				return nil
			}}
		_, err := m.Run(t.Context())
		require.NoError(t, err)
	}
	steps, err := Steps(t.Context(), out)
	require.NoError(t, err)
	require.Len(t, steps, 1, "what a step has for itself is none")
	assert.Equal(t, "dedup", steps[0].Step)
	assert.Equal(t, []any{3, int64(15), int64(3)}, []any{steps[0].Files, steps[0].Size, steps[0].Read.Documents})
	assert.Equal(t, []string{"0.in", "1.in", "2.in"}, steps[0].Dropped[0].Samples)
	steps, err = Steps(t.Context(), in)
	require.NoError(t, err)
	assert.Empty(t, steps)
}

func BenchmarkCollect(b *testing.B) {
	var file bytes.Buffer
	w, err := documents.Create(&file, ".jsonl")
	require.NoError(b, err)
	for i := range 2000 {
		d := corpus.Document{ID: fmt.Sprintf("urn:uuid:%08d", i), URL: fmt.Sprintf("https://host%d.example/path/%d", i%100, i), Title: "Um título", Lang: "pt", Type: "article",
			Date: "2024-05-06", Source: "crawl.warc.gz", Text: strings.Repeat("Era uma vez uma forja, e nela um ferreiro que \"batia\" o ferro.\n", 40+i%100)}
		require.NoError(b, w.Write(d))
	}
	require.NoError(b, w.Close())
	b.SetBytes(int64(file.Len()))
	for b.Loop() {
		_, err := Collect(b.Context(), []Source{sourceOf("a.jsonl", file.Bytes())}, Options{Workers: 1})
		require.NoError(b, err)
	}
}
