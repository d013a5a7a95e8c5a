package tokenizer

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// sharedPath is a file of the shared data, whether or not it is there:
// FORJA_SHARED names the folder, else it is "shared" beside the module.
func sharedPath(t testing.TB, name string) string {
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
	return filepath.Join(root, "data", name)
}

// sharedFile returns the bytes of a file of the shared data, unpacked, and
// skips the test where there is none.
func sharedFile(t testing.TB, name string) []byte {
	t.Helper()
	path := sharedPath(t, name)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		t.Skipf("no shared data: %v", err)
	}
	return unpackedFile(t, path)
}

func unpackedFile(t testing.TB, path string) []byte {
	t.Helper()
	f, err := unpacked(path)
	require.NoError(t, err)
	defer f.Close()
	data, err := io.ReadAll(f)
	require.NoError(t, err)
	return data
}

// jsonLines decodes one JSON value a line.
func jsonLines[T any](t testing.TB, data []byte) []T {
	t.Helper()
	var out []T
	for line := range bytesLines(data) {
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
