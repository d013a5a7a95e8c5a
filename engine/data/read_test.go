package data

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// collect drains a sequence; the documents before an error come with it.
func collect(seq func(func(Document, error) bool)) (docs []Document, err error) {
	for doc, e := range seq {
		if e != nil {
			return docs, e
		}
		docs = append(docs, doc)
	}
	return docs, nil
}

func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
	b := []byte(content)
	if strings.HasSuffix(name, ".gz") {
		var buf bytes.Buffer
		w := gzip.NewWriter(&buf)
		_, err := w.Write(b)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		b = buf.Bytes()
	}
	require.NoError(t, os.WriteFile(path, b, 0o666))
	return path
}

func TestReadWalksAFolderInOrder(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "b.txt", "\uFEFFplain")
	write(t, dir, "a/two.jsonl.gz", "{\"text\":\"one\",\"lang\":\"pt\",\"license\":\"MIT\"}\n\n{\"text\":\"\"}\n{\"text\":\"two\",\"id\":\"x\",\"source\":\"s\"}")
	write(t, dir, "c.md.gz", "packed")
	write(t, dir, ".hidden/no.txt", "hidden")
	write(t, dir, "empty.txt", "")
	write(t, dir, "picture.png", "\xff\xfe")
	docs, err := collect(Read(dir, ReadOptions{}))
	require.NoError(t, err)
	gz, b, c := filepath.Join(dir, "a/two.jsonl.gz"), filepath.Join(dir, "b.txt"), filepath.Join(dir, "c.md.gz")
	require.Equal(t, []Document{
		{ID: gz + ":1", Text: "one", Source: gz, Lang: "pt", License: "MIT"},
		{ID: "x", Text: "two", Source: "s"},
		{ID: b, Text: "plain", Source: b},
		{ID: c, Text: "packed", Source: c},
	}, docs)

	docs, err = collect(Read(dir, ReadOptions{Extensions: []string{".txt"}}))
	require.NoError(t, err)
	require.Len(t, docs, 1)
}

func TestReadSaysWhatIsWrongAndWhere(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ content, want string }{
		"latin.txt":    {"caf\xe9", "not UTF-8: byte 0xe9 at offset 3; convert it"},
		"wide.txt":     {"\xff\xfea\x00", "UTF-16"},
		"binary.txt":   {"\x00\x01\xff", "probably not text"},
		"latin.jsonl":  {"{\"text\":\"a\"}\n{\"text\":\"\xe9\"}\n", "latin.jsonl:2: not UTF-8: byte 0xe9 at offset 22"},
		"broken.jsonl": {"{\"text\":\"a\"}\n{\"text\":", "broken.jsonl:2: not JSON"},
		"key.jsonl":    {"{\"txt\":\"a\"}\n", "key.jsonl:1: the object has no \"text\""},
		"type.jsonl":   {"{\"text\":5}\n", "type.jsonl:1: \"text\" is a JSON number"},
		"list.jsonl":   {"[1]\n", "list.jsonl:1: a JSON array"},
		"long.jsonl":   {"{\"text\":\"" + strings.Repeat("a", 5000) + "\"}\n", "long.jsonl:1: line longer than 4096 bytes"},
		"long.txt":     {strings.Repeat("a", 5000), "more than 4096 bytes"},
		"none.jsonl":   {"\n\n", "no documents"},
		"cut.txt.gz":   {"", "no documents"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := collect(Read(write(t, dir, name, c.content), ReadOptions{MaxBytes: 4096}))
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "Go ")
		})
	}
	_, err := collect(Read(filepath.Join(dir, "missing"), ReadOptions{}))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = collect(Read(dir, ReadOptions{Extensions: []string{".rst"}}))
	require.ErrorIs(t, err, ErrEmpty)
	require.ErrorContains(t, err, "ends in .rst")
	_, err = collect(Read(write(t, dir, "none.txt", ""), ReadOptions{}))
	require.ErrorIs(t, err, ErrEmpty)
}

func TestReadReportsATruncatedGzip(t *testing.T) {
	path := write(t, t.TempDir(), "a.jsonl.gz", strings.Repeat("{\"text\":\"abc\"}\n", 1000))
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, b[:len(b)-9], 0o666))
	_, err = collect(Read(path, ReadOptions{}))
	require.ErrorContains(t, err, "unexpected EOF")
}

func FuzzReadJSONL(f *testing.F) {
	for _, s := range []string{"", "{\"text\":\"a\"}", "{\"text\":\"a\"}\n{\"text\":\"\\ud800\"}\r\n", "\uFEFF{\"text\":\"b\"}", "{\"text\":\"\xff\"}", "[", "\n\n{}\n", "{\"text\":null}", strings.Repeat("x", 5000)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		docs, err := collect(ReadJSONL(strings.NewReader(s), "in", ReadOptions{MaxBytes: 4096}))
		if err != nil {
			require.True(t, strings.HasPrefix(err.Error(), "in:"), "%v", err)
		}
		require.LessOrEqual(t, len(docs), strings.Count(s, "\n")+1)
		for _, doc := range docs {
			require.NotEmpty(t, doc.Text)
			require.NoError(t, checkUTF8([]byte(doc.Text), "", 0))
		}
	})
}
