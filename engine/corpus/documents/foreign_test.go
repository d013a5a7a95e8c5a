package documents_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The files are of other programs: see testdata/make.py.
func TestParquetOfOtherProgramsIsRead(t *testing.T) {
	f, err := os.Open("testdata/documents.jsonl")
	require.NoError(t, err)
	defer f.Close()
	want, err := decode(f.Name(), f)
	require.NoError(t, err)
	require.Len(t, want, 120)
	files, err := filepath.Glob("testdata/*.parquet")
	require.NoError(t, err)
	require.Greater(t, len(files), 15)
	for _, name := range files {
		f, err := os.Open(name)
		require.NoError(t, err)
		got, err := decode(name, f)
		require.NoError(t, err, name)
		assert.Equal(t, want, got, name)
		require.NoError(t, f.Close())
	}
}
