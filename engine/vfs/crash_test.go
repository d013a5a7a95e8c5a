package vfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"forja/engine/vfs"
	"forja/engine/vfs/vfstest"
)

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

func TestBytesNeedSyncAndNamesNeedSyncDir(t *testing.T) {
	for _, sync := range []bool{false, true} {
		for _, syncDir := range []bool{false, true} {
			m, r := vfs.NewMem(), newRand(1)
			f, err := m.Create("f")
			require.NoError(t, err)
			_, err = f.Write([]byte("hello"))
			require.NoError(t, err)
			if sync {
				require.NoError(t, f.Sync())
			}
			if syncDir {
				require.NoError(t, m.SyncDir("."))
			}
			after := m.Crash(r, 0)
			assert.Equal(t, syncDir, slices.Contains(list(t, after, "."), "f"))
			if syncDir {
				assert.Equal(t, sync, get(t, after, "f") == "hello")
			}
			assert.Equal(t, "hello", get(t, m.Crash(r, 1), "f"))
		}
	}
}

func TestUnsyncedBlocksCanBeZeros(t *testing.T) {
	m, r := vfs.NewMem(), newRand(2)
	f, err := m.Create("f")
	require.NoError(t, err)
	_, err = f.Write(bytes.Repeat([]byte{7}, 3*4096))
	require.NoError(t, err)
	require.NoError(t, m.SyncDir("."))
	seen := map[string]bool{}
	for range 1000 {
		if s := get(t, m.Crash(r, .5), "f"); len(s) == 3*4096 {
			seen[string([]byte{s[0], s[4096], s[8192]})] = true
		}
	}
	assert.Len(t, seen, 8, "combinations of three blocks")
}

func TestAnUnsyncedTruncationMayBeUndoneOrLeaveZeros(t *testing.T) {
	m, r := vfs.NewMem(), newRand(3)
	put(t, m, "f", "aaaaaaaa")
	require.NoError(t, m.SyncDir("."))
	f, err := m.Append("f")
	require.NoError(t, err)
	require.NoError(t, f.Truncate(2))
	_, err = f.Write([]byte("bb"))
	require.NoError(t, err)
	seen := map[string]bool{}
	for range 1000 {
		seen[get(t, m.Crash(r, .5), "f")] = true
	}
	assert.Equal(t, map[string]bool{
		"aaaaaaaa": true, "aabbaaaa": true, // the old length
		"aaaa": true, "aabb": true, "aa\x00\x00": true, "aa": true,
	}, seen)
	require.NoError(t, f.Sync())
	assert.Equal(t, "aabb", get(t, m.Crash(r, 0), "f"))
}

func TestAFailedSyncLosesTheBytesForGood(t *testing.T) {
	m := vfs.NewMem()
	f, err := m.Create("f")
	require.NoError(t, err)
	_, err = f.Write([]byte("hello"))
	require.NoError(t, err)
	m.Hook = vfs.FailNth(0, syscall.EIO)
	require.ErrorIs(t, f.Sync(), syscall.EIO)
	require.NoError(t, f.Sync(), "the kernel forgets the error")
	require.NoError(t, m.SyncDir("."))
	assert.Equal(t, "", get(t, m.Crash(newRand(4), 0), "f"))

	put(t, m, "f", "again") // a new start
	assert.Equal(t, "again", get(t, m.Crash(newRand(4), 0), "f"))
}

func TestARenameHappensWholeOrNotAtAll(t *testing.T) {
	for _, to := range []string{"a/new", "b/new"} {
		m, r := vfs.NewMem(), newRand(5)
		require.NoError(t, vfs.MkdirAll(m, "a"))
		require.NoError(t, vfs.MkdirAll(m, "b"))
		require.NoError(t, vfs.WriteFile(m, "a/old", []byte("x")))
		require.NoError(t, m.Rename("a/old", to))
		seen := map[string]bool{}
		for range 100 {
			after := m.Crash(r, .5)
			seen[fmt.Sprint(list(t, after, "a"), list(t, after, "b"))] = true
		}
		assert.Len(t, seen, 2, "before and after, never none or both")
		require.NoError(t, m.SyncDir(path.Dir(to)))
		assert.Equal(t, "x", get(t, m.Crash(r, 0), to))
		assert.Equal(t, 1, len(list(t, m.Crash(r, 0), "a"))+len(list(t, m.Crash(r, 0), "b")))
	}
}

// dump is every path and content of a tree, in order.
func dump(fsys vfs.FS, dir string) string {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if e.IsDir() {
			fmt.Fprintf(&b, "%s/\n%s", name, dump(fsys, name))
			continue
		}
		content, err := vfs.ReadFile(fsys, name, 1<<20)
		fmt.Fprintf(&b, "%s %q %v\n", name, content, err)
	}
	return b.String()
}

func syncAll(fsys vfs.FS, dir string) error {
	entries, err := fsys.ReadDir(dir)
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if e.IsDir() {
			err = errors.Join(err, syncAll(fsys, name))
			continue
		}
		f, openErr := fsys.Append(name)
		if err = errors.Join(err, openErr); openErr == nil {
			err = errors.Join(err, f.Sync(), f.Close())
		}
	}
	return errors.Join(err, fsys.SyncDir(dir))
}

// Random operations must do the same to both file systems; what is kept or synced must survive a crash exactly.
func TestRandomOperationsAgreeAndSyncedTreesSurvive(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		disk, err := vfs.MakeOS(path.Join(dir, fmt.Sprint(n)))
		require.NoError(t, err)
		defer disk.Close()
		mem := vfs.NewMem()
		name := rapid.SampledFrom([]string{"a", "b", "c", "a/a", "a/b", "b/a", "b/c", "a/b/c"})
		for range rapid.IntRange(1, 25).Draw(t, "operations") {
			one, two := name.Draw(t, "name"), name.Draw(t, "other")
			text := rapid.StringN(0, 8, 8).Draw(t, "text")
			var do func(fsys vfs.FS) error
			switch op := rapid.IntRange(0, 7).Draw(t, "op"); op {
			case 0, 1:
				do = func(fsys vfs.FS) error { return fsys.Mkdir(one) }
			case 2, 3:
				do = func(fsys vfs.FS) error { return write(fsys.Create(one))(text, 0) }
			case 4:
				do = func(fsys vfs.FS) error { return write(fsys.Append(one))(text, 2) }
			case 5:
				do = func(fsys vfs.FS) error { return fsys.Rename(one, two) }
			case 6:
				do = func(fsys vfs.FS) error { return errors.Join(fsys.Remove(one), fsys.RemoveAll(two)) }
			case 7:
				do = func(fsys vfs.FS) error {
					if fsys == vfs.FS(disk) { // slow, and nothing to see
						return nil
					}
					_ = fsys.SyncDir(path.Dir(one))
					return nil
				}
			}
			diskErr, memErr := do(disk), do(mem)
			require.Equal(t, diskErr == nil, memErr == nil, "disk: %v, memory: %v", diskErr, memErr)
			require.Equal(t, dump(disk, "."), dump(mem, "."))
		}
		r := newRand(rapid.Uint64().Draw(t, "seed"))
		require.Equal(t, dump(mem, "."), dump(mem.Crash(r, 1), "."), "everything kept")
		dump(mem.Crash(r, .5), ".")
		require.NoError(t, syncAll(mem, "."))
		require.Equal(t, dump(mem, "."), dump(mem.Crash(r, 0), "."), "everything synced")
	})
}

// write returns a function that truncates an open file to size, appends text and closes it.
func write(f vfs.File, err error) func(text string, size int64) error {
	return func(text string, size int64) error {
		if err != nil {
			return err
		}
		err := f.Truncate(size)
		_, writeErr := f.Write([]byte(text))
		return errors.Join(err, writeErr, f.Close())
	}
}

// crashWriteFile replaces one file several times on a file system wrapped by wrap, losing power before every operation
// and failing every operation, and counts crash points at which the file was neither the promised version nor a later one.
func crashWriteFile(t *testing.T, wrap func(vfs.FS) vfs.FS) (points, lost int) {
	content := func(version int) []byte {
		return bytes.Repeat(fmt.Appendf(nil, "version %d|", version), 600+100*version)
	}
	check := func(disk *vfs.Mem, committed int) {
		points++
		b, err := vfs.ReadFile(disk, "d/f", 1<<20)
		if err != nil {
			if committed > 0 {
				lost++
			}
			return
		}
		for v := max(committed, 1); v <= committed+1; v++ {
			if bytes.Equal(b, content(v)) {
				return
			}
		}
		lost++
	}
	for seed := range uint64(20) {
		for fail := -1; fail < 30; fail++ {
			m, r := vfs.NewMem(), newRand(seed)
			require.NoError(t, vfs.MkdirAll(m, "d"))
			nth := vfs.FailNth(fail, syscall.EIO)
			committed := 0
			m.Hook = func(op vfs.Op, name string) error {
				if fail < 0 && op.Writes() {
					check(m.Crash(r, []float64{0, .5, .9}[r.IntN(3)]), committed)
				}
				return nth(op, name)
			}
			for v := 1; v <= 4; v++ {
				if vfs.WriteFile(wrap(m), "d/f", content(v)) == nil {
					committed = v
				} else if committed == 0 || fail < 0 {
					break // a version that failed may still appear, so stop promising
				} else {
					committed = v - 1
					break
				}
			}
			m.Hook = nil
			check(m.Crash(r, 0), committed)
		}
	}
	return points, lost
}

func TestWriteFileSurvivesPowerLossAtEveryOperation(t *testing.T) {
	points, lost := crashWriteFile(t, func(fsys vfs.FS) vfs.FS { return fsys })
	t.Logf("%d crash points", points)
	assert.Zero(t, lost)
}

func TestThePowerLossTestOfWriteFileFindsPlantedMistakes(t *testing.T) {
	every := func(string) bool { return true }
	for name, wrap := range map[string]func(vfs.FS) vfs.FS{
		"no sync of the file":      vfstest.NoFileSync,
		"no sync of the directory": vfstest.NoDirSync(every),
		"sync error ignored":       vfstest.IgnoreSyncError,
		"sync retried":             vfstest.RetrySync,
		"write error ignored":      vfstest.IgnoreWriteError,
		"removed, then renamed":    vfstest.RemoveThenRename,
		"written in place":         vfstest.InPlace,
	} {
		_, lost := crashWriteFile(t, wrap)
		assert.Positive(t, lost, name)
	}
}

func TestMemIsSafeForConcurrentUse(t *testing.T) {
	m := vfs.NewMem()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			name := fmt.Sprintf("f%d", i)
			for n := range 20 {
				assert.NoError(t, vfs.WriteFile(m, name, bytes.Repeat([]byte{byte(i)}, 100*n)))
				m.Crash(newRand(uint64(i)), .5)
			}
		})
	}
	wg.Wait()
	assert.Len(t, list(t, m, "."), 8)
}
