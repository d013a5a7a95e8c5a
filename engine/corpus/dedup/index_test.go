package dedup

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"forja/engine/vfs"
)

// joined are the clusters by the definition: the connected parts of the graph of shared keys.
func joined(docs [][]uint64) (first []uint32) {
	for i := range docs {
		first = append(first, uint32(i))
	}
	for changed := true; changed; {
		changed = false
		for i := range docs {
			for j := range docs[:i] {
				if first[i] != first[j] && slices.ContainsFunc(docs[i], func(k uint64) bool { return slices.Contains(docs[j], k) }) {
					low := min(first[i], first[j])
					first[i], first[j], changed = low, low, true
				}
			}
		}
	}
	return first
}

func TestClustersAreWhatSharedKeysConnect(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.OneOf(rapid.Uint64Range(0, 20), rapid.Map(rapid.Uint64Range(0, 20), func(k uint64) uint64 { return k << 57 }))
		docs := rapid.SliceOfN(rapid.SliceOfN(key, 0, 4), 0, 30).Draw(t, "keys")
		x := NewIndex(nil, 0)
		for _, keys := range docs {
			require.NoError(t, x.Add(keys))
		}
		got, err := x.Clusters(nil)
		require.NoError(t, err)
		assert.Equal(t, joined(docs), []uint32(got))
	})
}

// synthetic adds documents of which those of one number modulo a third of all share one key in fourteen.
func synthetic(x *Index, docs int) error {
	random := rand.New(rand.NewPCG(7, 7))
	var keys [14]uint64
	for doc := range docs {
		for i := range keys {
			keys[i] = random.Uint64()
		}
		keys[doc%14] = mix(uint64(doc % (docs / 3)))
		if err := x.Add(keys[:]); err != nil {
			return err
		}
	}
	return nil
}

func TestClustersAreTheSameOutOfMemory(t *testing.T) {
	docs := 20_000
	large := os.Getenv("FORJA_LONG") == "1"
	if large {
		docs = 10_000_000
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(1 << 30))
	}
	begin := time.Now()
	outside := NewIndex(diskOf(t), map[bool]int64{false: 1 << 20, true: 256 << 20}[large])
	require.NoError(t, synthetic(outside, docs))
	require.Positive(t, outside.Spilled())
	got, err := outside.Clusters(nil)
	require.NoError(t, err)
	if large {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		t.Logf("%d documents in %.0f s, %d MiB of keys on disk, %d MiB of memory from the system", docs, time.Since(begin).Seconds(), outside.Spilled()>>20, m.Sys>>20)
		assert.Less(t, m.Sys, uint64(1<<30))
		debug.SetMemoryLimit(8 << 30) // all keys in memory
	}
	inside := NewIndex(nil, 32*15*int64(docs))
	require.NoError(t, synthetic(inside, docs))
	require.Zero(t, inside.Spilled())
	want, err := inside.Clusters(nil)
	require.NoError(t, err)
	assert.True(t, slices.Equal(want, got))
	for doc, first := range got {
		require.EqualValues(t, doc%(docs/3), first)
	}
}

func diskOf(t *testing.T) vfs.FS {
	d, err := vfs.OS(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { d.Close() })
	return d
}

func TestAnIndexLeavesNoFiles(t *testing.T) {
	m := vfs.NewMem()
	x := NewIndex(m, 1)
	require.NoError(t, synthetic(x, 3000))
	entries, err := m.ReadDir(".")
	require.NoError(t, err)
	assert.Greater(t, len(entries), 10)
	_, err = x.Clusters(nil)
	require.NoError(t, err)
	entries, err = m.ReadDir(".")
	require.NoError(t, err)
	assert.Empty(t, entries)
}

func TestOnlyVerifiedDocumentsAreJoined(t *testing.T) {
	x := NewIndex(nil, 0)
	for _, keys := range [][]uint64{{5}, {5}, {5}, {5, 6}, {6}, {7}} {
		require.NoError(t, x.Add(keys))
	}
	asked := map[[2]uint32]int{}
	got, err := x.Clusters(func(a, b uint32) (bool, error) { // even with even, odd with odd
		asked[[2]uint32{a, b}]++
		return a%2 == b%2, nil
	})
	require.NoError(t, err)
	assert.Equal(t, []uint32{0, 1, 0, 1, 4, 5}, []uint32(got))
	for pair, n := range asked {
		assert.Equal(t, 1, n, "%v", pair)
		assert.Less(t, pair[0], pair[1])
	}
}

func TestErrorsOfTheDiskAndOfVerificationArePassedOn(t *testing.T) {
	broken := errors.New("broken")
	m := vfs.NewMem()
	m.Hook = vfs.FailNth(20, broken)
	x := NewIndex(m, 1)
	err := synthetic(x, 3000)
	if err == nil {
		_, err = x.Clusters(nil)
	}
	assert.ErrorIs(t, err, broken)

	x = NewIndex(nil, 0)
	require.NoError(t, x.Add([]uint64{1}))
	require.NoError(t, x.Add([]uint64{1}))
	_, err = x.Clusters(func(a, b uint32) (bool, error) { return false, io.ErrUnexpectedEOF })
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
}
