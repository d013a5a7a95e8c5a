package store_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/corpus/store"
	"forja/engine/vfs"
)

func TestStoreInMemory(t *testing.T) {
	conform(t, func(*testing.T) store.Store { return store.In(vfs.NewMem()) })
}

func TestStoreInAFolder(t *testing.T) {
	conform(t, func(t *testing.T) store.Store {
		s, err := store.Open(t.Context(), path.Join(t.TempDir(), "new", "store"))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		return s
	})
}

// conform is what every kind of store must do; open gives an empty one.
func conform(t *testing.T, open func(*testing.T) store.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, store.Store)
	}{
		{"files come back whole", filesComeBack},
		{"a file appears when all of it was written", appearsWhole},
		{"a write that fails changes nothing", failureChangesNothing},
		{"a write that is cancelled changes nothing", cancelled},
		{"the list is sorted by bytes", listIsSorted},
		{"what is missing", missing},
		{"names stay inside", namesStayInside},
		{"many writers at once", manyWriters},
		{"two writers of one file", twoWriters},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// noise is bytes that are the same for the same seed and do not repeat.
func noise(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = r.Read(b) // never fails
	return b
}

func filesComeBack(t *testing.T, s store.Store) {
	for i, n := range []int{0, 1, 1000, store.PartSize - 1, store.PartSize, store.PartSize + 1, 2 * store.PartSize, 2*store.PartSize + 12345} {
		name, want := fmt.Sprintf("sizes/%d/f", n), noise(n, uint64(i))
		require.NoError(t, s.Write(t.Context(), name, func(w io.Writer) error {
			for piece := range slices.Chunk(want, 1<<20-7) {
				if k, err := w.Write(piece); err != nil || k != len(piece) {
					return fmt.Errorf("%d of %d bytes: %w", k, len(piece), err)
				}
			}
			return nil
		}), "%d bytes", n)
		got, err := store.ReadFile(t.Context(), s, name, int64(n))
		require.NoError(t, err)
		assert.Equal(t, sha256.Sum256(want), sha256.Sum256(got), "%d bytes", n)
		if n > 0 {
			_, err = store.ReadFile(t.Context(), s, name, int64(n-1))
			require.Error(t, err)
		}
		require.NoError(t, s.Remove(t.Context(), name))
	}
	files, err := s.List(t.Context())
	require.NoError(t, err)
	assert.Empty(t, files)
}

func appearsWhole(t *testing.T, s store.Store) {
	for _, old := range []string{"", "old"} {
		for i, n := range []int{100, 2*store.PartSize + 1} {
			name := fmt.Sprintf("a/%d", i)
			unchanged := func() {
				files, err := s.List(t.Context())
				require.NoError(t, err)
				if old == "" {
					assert.NotContains(t, names(files), name)
					_, err = s.Open(t.Context(), name)
					require.ErrorIs(t, err, fs.ErrNotExist)
					return
				}
				assert.Contains(t, names(files), name)
				assert.Equal(t, old, read(t, s, name))
			}
			if old != "" {
				require.NoError(t, store.WriteFile(t.Context(), s, name, []byte(old)))
			}
			require.NoError(t, s.Write(t.Context(), name, func(w io.Writer) error {
				unchanged()
				_, err := w.Write(noise(n, 1))
				unchanged()
				return err
			}))
			files, err := s.List(t.Context())
			require.NoError(t, err)
			assert.Contains(t, files, store.File{Name: name, Size: int64(n)})
			require.NoError(t, s.Remove(t.Context(), name))
		}
	}
}

func failureChangesNothing(t *testing.T, s store.Store) {
	broken := errors.New("broken")
	require.NoError(t, store.WriteFile(t.Context(), s, "there", []byte("old")))
	for _, name := range []string{"there", "new"} {
		for _, n := range []int{0, 100, 2*store.PartSize + 1} {
			err := s.Write(t.Context(), name, func(w io.Writer) error {
				if _, err := w.Write(noise(n, 1)); err != nil {
					return err
				}
				return broken
			})
			require.ErrorIs(t, err, broken)
			files, err := s.List(t.Context())
			require.NoError(t, err)
			assert.Equal(t, []store.File{{Name: "there", Size: 3}}, files)
			assert.Equal(t, "old", read(t, s, "there"))
		}
	}
}

func cancelled(t *testing.T, s store.Store) {
	for _, n := range []int{0, 100, 2*store.PartSize + 1} {
		ctx, cancel := context.WithCancel(t.Context())
		err := s.Write(ctx, "new", func(w io.Writer) error {
			_, err := w.Write(noise(n, 1))
			cancel()
			return err
		})
		require.ErrorIs(t, err, context.Canceled)
		files, err := s.List(t.Context())
		require.NoError(t, err)
		assert.Empty(t, files)
	}
}

func listIsSorted(t *testing.T, s store.Store) {
	want := []string{"B", "a-b", "a.b", "a/0", "a/b/c", "a0", "ab", "p+q %20=&#?*", "z z/y", "é", "日本/語.jsonl.gz", "~"}
	slices.Sort(want)
	shuffled := slices.Clone(want)
	rand.New(rand.NewPCG(1, 0)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	for _, name := range shuffled {
		require.NoError(t, store.WriteFile(t.Context(), s, name, []byte(name)), name)
	}
	files, err := s.List(t.Context())
	require.NoError(t, err)
	assert.Equal(t, want, names(files))
	for _, f := range files {
		assert.Equal(t, int64(len(f.Name)), f.Size, f.Name)
		assert.Equal(t, f.Name, read(t, s, f.Name))
		require.NoError(t, s.Remove(t.Context(), f.Name))
	}
}

func missing(t *testing.T, s store.Store) {
	require.NoError(t, store.WriteFile(t.Context(), s, "a/b", []byte("x")))
	for _, name := range []string{"c", "a/c", "d/e/f", "a/b.gz"} {
		_, err := s.Open(t.Context(), name)
		require.ErrorIs(t, err, fs.ErrNotExist, name)
		require.ErrorContains(t, err, s.Path(name))
		require.NoError(t, s.Remove(t.Context(), name), name)
	}
	require.NoError(t, s.Remove(t.Context(), "a/b"))
	_, err := s.Open(t.Context(), "a/b")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func namesStayInside(t *testing.T, s store.Store) {
	for _, name := range []string{"", ".", "..", "../x", "/x", "a//b", "a/../b", "a/./b", "a/", `a\b`, "a\x00b", ".hidden", "a/.hidden/b", "a.tmp", "LOCK"} {
		require.ErrorIs(t, store.WriteFile(t.Context(), s, name, nil), fs.ErrInvalid, name)
		_, err := s.Open(t.Context(), name)
		require.ErrorIs(t, err, fs.ErrInvalid, name)
		require.ErrorIs(t, s.Remove(t.Context(), name), fs.ErrInvalid, name)
	}
}

func manyWriters(t *testing.T, s store.Store) {
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			for j := range 4 {
				name := fmt.Sprintf("deep/%d/er/%d", j, i)
				assert.NoError(t, store.WriteFile(t.Context(), s, name, bytes.Repeat([]byte(name), 100)))
			}
		})
	}
	all.Wait()
	files, err := s.List(t.Context())
	require.NoError(t, err)
	require.Len(t, files, 32*4)
	for _, f := range files {
		assert.Equal(t, string(bytes.Repeat([]byte(f.Name), 100)), read(t, s, f.Name))
	}
}

// One of two that write the same file may be refused, but what is there is what somebody wrote who was told that it is.
func twoWriters(t *testing.T, s store.Store) {
	for _, n := range []int{1000, 2*store.PartSize + 1} {
		a, b := noise(n, 1), noise(n, 2)
		var second error
		first := s.Write(t.Context(), "f", func(w io.Writer) error {
			if _, err := w.Write(a[:n/2]); err != nil {
				return err
			}
			second = store.WriteFile(t.Context(), s, "f", b)
			_, err := w.Write(a[n/2:])
			return err
		})
		want := a
		if first != nil {
			require.NoError(t, second)
			want = b
		}
		got, err := store.ReadFile(t.Context(), s, "f", int64(2*n))
		require.NoError(t, err)
		assert.True(t, bytes.Equal(want, got), "%d bytes: first %v, second %v", n, first, second)
	}
}

func names(files []store.File) (ns []string) {
	for _, f := range files {
		ns = append(ns, f.Name)
	}
	return ns
}

func read(t *testing.T, s store.Store, name string) string {
	b, err := store.ReadFile(t.Context(), s, name, 1<<30)
	require.NoError(t, err)
	return string(b)
}
