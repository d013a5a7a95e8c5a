package tokenizer

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// sharedFile returns the bytes of a file of the shared data, unpacked, and
// skips the test where there is none: FORJA_SHARED names the folder, else it
// is "shared" beside the module.
func sharedFile(t testing.TB, name string) []byte {
	t.Helper()
	root := os.Getenv("FORJA_SHARED")
	if root == "" {
		dir, err := filepath.Abs(".")
		require.NoError(t, err)
		for {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil || dir == filepath.Dir(dir) {
				break
			}
			dir = filepath.Dir(dir)
		}
		root = filepath.Join(filepath.Dir(dir), "shared")
	}
	f, err := os.Open(filepath.Join(root, "data", name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("no shared data: %v", err)
	}
	require.NoError(t, err)
	defer f.Close()
	if !strings.HasSuffix(name, ".gz") {
		data, err := io.ReadAll(f)
		require.NoError(t, err)
		return data
	}
	zr, err := gzip.NewReader(bufio.NewReader(f))
	require.NoError(t, err)
	data, err := io.ReadAll(zr)
	require.NoError(t, err)
	return data
}

// sharedLines decodes a gzip file of the shared data, one JSON value a line.
func sharedLines[T any](t testing.TB, name string) []T {
	t.Helper()
	var out []T
	for line := range bytesLines(sharedFile(t, name)) {
		var v T
		require.NoError(t, json.Unmarshal(line, &v))
		out = append(out, v)
	}
	return out
}

// bytesLines yields the lines of data, split at \n only.
func bytesLines(data []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		start := 0
		for i, b := range data {
			if b == '\n' {
				if !yield(data[start:i]) {
					return
				}
				start = i + 1
			}
		}
		if start < len(data) {
			yield(data[start:])
		}
	}
}

// sharedDocuments returns the first documents of a corpus file, up to about
// limit bytes of text.
func sharedDocuments(t testing.TB, name string, limit int) []string {
	t.Helper()
	var docs []string
	size := 0
	for line := range bytesLines(sharedFile(t, "corpus/"+name)) {
		var doc struct{ Text string }
		require.NoError(t, json.Unmarshal(line, &doc))
		docs = append(docs, doc.Text)
		if size += len(doc.Text); size >= limit {
			break
		}
	}
	return docs
}
