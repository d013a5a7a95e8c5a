package store_test

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/corpus/store"
	"forja/engine/vfs"
)

// A machine that loses power at any operation has the old file or the new one, and what was told to be there is.
func TestPowerLossLeavesFilesWhole(t *testing.T) {
	broken := errors.New("power")
	states := map[string]int{}
	for n := 0; ; n++ {
		mem := vfs.NewMem()
		s := store.In(mem)
		require.NoError(t, store.WriteFile(t.Context(), s, "a/b", []byte("old")))
		require.NoError(t, store.WriteFile(t.Context(), s, "a/gone", []byte("x")))
		mem.Hook = vfs.FailNth(n, broken)
		written := store.WriteFile(t.Context(), s, "a/b", []byte("a new one"))
		made := store.WriteFile(t.Context(), s, "c/d/e", []byte("made"))
		removed := s.Remove(t.Context(), "a/gone")
		for _, keep := range []float64{0, 0.5, 1} {
			after := store.In(mem.Crash(rand.New(rand.NewPCG(uint64(n), 0)), keep))
			files, err := after.List(t.Context())
			require.NoError(t, err)
			have := strings.Join(names(files), " ")
			content := read(t, after, "a/b")
			states[content]++
			assert.Contains(t, []string{"old", "a new one"}, content, "operation %d", n)
			if written == nil {
				assert.Equal(t, "a new one", content, "operation %d", n)
			}
			if made == nil {
				assert.Equal(t, "made", read(t, after, "c/d/e"), "operation %d", n)
			}
			if removed == nil {
				assert.NotContains(t, have, "gone", "operation %d", n)
			}
			for _, f := range files {
				assert.Contains(t, []string{"a/b", "a/gone", "c/d/e"}, f.Name, "operation %d", n)
			}
		}
		if written == nil && made == nil && removed == nil {
			require.Greater(t, n, 10)
			break
		}
	}
	assert.Len(t, states, 2)
}

// Files of others beside a store's own are read, but for what is hidden or no file.
func TestAFolderOfOthersIsRead(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.jsonl", "sub/b.jsonl", ".git/c", "sub/.d", "e.tmp", "LOCK"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644))
	}
	require.NoError(t, os.Symlink("/etc", filepath.Join(dir, "outside")))
	s, err := store.Open(t.Context(), dir)
	require.NoError(t, err)
	defer s.Close()
	files, err := s.List(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"a.jsonl", "sub/b.jsonl"}, names(files))
}

func TestALocationOfAnotherKindIsRefused(t *testing.T) {
	_, err := store.Open(t.Context(), "gs://bucket")
	require.ErrorContains(t, err, "s3://bucket/prefix")
}

func FuzzNames(f *testing.F) {
	for _, name := range []string{"a", "a/b", "..", "a/../b", "/", "é", "a.tmp", "x\x00", "LOCK/a", " ", "a/b/c.jsonl.gz"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		s := store.In(vfs.NewMem())
		err := store.WriteFile(t.Context(), s, name, []byte("content"))
		files, listErr := s.List(t.Context())
		require.NoError(t, listErr)
		if err != nil {
			require.ErrorIs(t, err, fs.ErrInvalid)
			require.Empty(t, files)
			return
		}
		require.Equal(t, []store.File{{Name: name, Size: 7}}, files)
		require.Equal(t, "content", read(t, s, name))
		require.NoError(t, s.Remove(t.Context(), name))
	})
}
