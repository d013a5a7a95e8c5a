package vfs_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/vfs"
)

// both runs a test on the real file system and on the simulated one.
func both(t *testing.T, test func(t *testing.T, fsys vfs.FS)) {
	t.Run("disk", func(t *testing.T) { test(t, openDisk(t, t.TempDir())) })
	t.Run("mem", func(t *testing.T) { test(t, vfs.NewMem()) })
}

func openDisk(t *testing.T, dir string) *vfs.Disk {
	t.Helper()
	d, err := vfs.OS(dir)
	require.NoError(t, err)
	t.Cleanup(func() { d.Close() })
	return d
}

func put(t *testing.T, fsys vfs.FS, name, content string) {
	t.Helper()
	f, err := fsys.Create(name)
	require.NoError(t, err)
	_, err = f.Write([]byte(content))
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
}

func get(t *testing.T, fsys vfs.FS, name string) string {
	t.Helper()
	b, err := vfs.ReadFile(fsys, name, 1<<20)
	require.NoError(t, err)
	return string(b)
}

func list(t *testing.T, fsys vfs.FS, dir string) []string {
	t.Helper()
	entries, err := fsys.ReadDir(dir)
	require.NoError(t, err)
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestBothFileSystemsAgreeOnTrees(t *testing.T) {
	both(t, func(t *testing.T, fsys vfs.FS) {
		require.NoError(t, fsys.Mkdir("d"))
		put(t, fsys, "d/b", "2")
		put(t, fsys, "d/a", "1")
		require.NoError(t, fsys.Mkdir("e"))
		assert.Equal(t, []string{"a", "b"}, list(t, fsys, "d"))

		require.NoError(t, fsys.Rename("d/a", "d/c"))
		require.NoError(t, fsys.Rename("d/c", "e/c"), "between directories")
		require.NoError(t, fsys.Rename("d/b", "e/c"), "onto a file")
		require.NoError(t, fsys.Rename("e/c", "e/c"), "onto itself")
		assert.Equal(t, "2", get(t, fsys, "e/c"))
		assert.Equal(t, []string{}, list(t, fsys, "d"))
		require.NoError(t, fsys.SyncDir("d"))

		assert.ErrorIs(t, fsys.Mkdir("d"), fs.ErrExist)
		assert.ErrorIs(t, fsys.Mkdir("none/d"), fs.ErrNotExist)
		assert.ErrorIs(t, fsys.Rename("e", "d"), fs.ErrExist, "onto an empty directory")
		assert.ErrorIs(t, fsys.Rename("none", "x"), fs.ErrNotExist)
		assert.ErrorIs(t, fsys.Remove("none"), fs.ErrNotExist)
		assert.ErrorIs(t, fsys.Remove("e"), syscall.ENOTEMPTY)
		assert.ErrorIs(t, fsys.SyncDir("none"), fs.ErrNotExist)
		assert.NoError(t, fsys.RemoveAll("none"))
		assert.ErrorContains(t, fsys.SyncDir("e/c"), "not a directory")
		assert.Error(t, fsys.RemoveAll("e/c/x"))
		_, err := fsys.Open("none")
		assert.ErrorIs(t, err, fs.ErrNotExist)
		_, err = fsys.Open("d")
		assert.Error(t, err, "a directory")
		_, err = fsys.Create("d")
		assert.Error(t, err, "a directory")
		_, err = fsys.Create("none/f")
		assert.ErrorIs(t, err, fs.ErrNotExist)
		_, err = fsys.ReadDir("none")
		assert.ErrorIs(t, err, fs.ErrNotExist)

		info, err := fsys.Stat("e")
		require.NoError(t, err)
		assert.True(t, info.IsDir())
		info, err = fsys.Stat("e/c")
		require.NoError(t, err)
		assert.Equal(t, int64(1), info.Size())
		_, err = fsys.Stat("none")
		assert.ErrorIs(t, err, fs.ErrNotExist)

		require.NoError(t, fsys.RemoveAll("e"))
		assert.Equal(t, []string{"d"}, list(t, fsys, "."))
		require.NoError(t, fsys.Remove("d"))
	})
}

func TestBothFileSystemsAgreeOnFiles(t *testing.T) {
	both(t, func(t *testing.T, fsys vfs.FS) {
		put(t, fsys, "f", "hello")
		f, err := fsys.Append("f")
		require.NoError(t, err)
		require.NoError(t, f.Truncate(4))
		_, err = f.Write([]byte(" water"))
		require.NoError(t, err)
		require.NoError(t, f.Close())
		assert.ErrorIs(t, f.Close(), fs.ErrClosed)
		_, err = f.Write(nil)
		assert.ErrorIs(t, err, fs.ErrClosed)
		assert.Equal(t, "hell water", get(t, fsys, "f"))

		r, err := fsys.Open("f")
		require.NoError(t, err)
		assert.Equal(t, int64(10), r.Size())
		b := make([]byte, 4)
		_, err = r.ReadAt(b, 6)
		require.NoError(t, err)
		assert.Equal(t, "ater", string(b))
		require.NoError(t, r.Close())

		_, err = vfs.ReadFile(fsys, "f", 9)
		assert.ErrorIs(t, err, vfs.ErrTooBig)
		f, err = fsys.Create("f")
		require.NoError(t, err)
		require.NoError(t, f.Truncate(3), "grows with zeros")
		_, err = f.Write([]byte("x"))
		require.NoError(t, err)
		require.NoError(t, f.Close())
		assert.Equal(t, "\x00\x00\x00x", get(t, fsys, "f"))
		free, err := fsys.Free()
		require.NoError(t, err)
		assert.Positive(t, free)
	})
}

func TestNamesCannotLeaveTheRoot(t *testing.T) {
	both(t, func(t *testing.T, fsys vfs.FS) {
		put(t, fsys, "ok", "")
		for _, name := range []string{"", "/etc/passwd", "..", "../x", "a/../../x", "a//b", "./a", "a/"} {
			_, err := fsys.Open(name)
			assert.ErrorIs(t, err, fs.ErrInvalid, name)
			_, err = fsys.Create(name)
			assert.ErrorIs(t, err, fs.ErrInvalid, name)
			assert.ErrorIs(t, fsys.Mkdir(name), fs.ErrInvalid, name)
			assert.ErrorIs(t, fsys.Rename("ok", name), fs.ErrInvalid, name)
			assert.ErrorIs(t, fsys.RemoveAll(name), fs.ErrInvalid, name)
			assert.ErrorIs(t, vfs.MkdirAll(fsys, name), fs.ErrInvalid, name)
			assert.ErrorIs(t, vfs.WriteFile(fsys, name, nil), fs.ErrInvalid, name)
		}
	})
}

func TestSymbolicLinksCannotLeaveTheRoot(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(outside, "secret"), []byte("x"), 0o600))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "link")))
	fsys := openDisk(t, dir)
	_, err := fsys.Open("link/secret")
	assert.Error(t, err)
	assert.Error(t, vfs.WriteFile(fsys, "link/secret", nil))
	b, err := os.ReadFile(filepath.Join(outside, "secret"))
	require.NoError(t, err)
	assert.Equal(t, "x", string(b))
}

func TestErrorsNameTheWholePath(t *testing.T) {
	dir := t.TempDir()
	fsys := openDisk(t, dir)
	_, err := fsys.Open("runs/x")
	assert.EqualError(t, err, "open "+filepath.Join(dir, "runs", "x")+": no such file or directory")
	assert.ErrorContains(t, fsys.Rename("runs/x", "y"), filepath.Join(dir, "runs", "x"))
}

func TestMakeOSMakesEveryMissingDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b", "c")
	_, err := vfs.OS(dir)
	require.ErrorIs(t, err, fs.ErrNotExist)
	for range 2 { // the second time it is there
		fsys, err := vfs.MakeOS(dir)
		require.NoError(t, err)
		put(t, fsys, "f", "x")
		require.NoError(t, fsys.Close())
	}
	require.FileExists(t, filepath.Join(dir, "f"))
	_, err = vfs.MakeOS(filepath.Join(dir, "f"))
	require.ErrorContains(t, err, "not a directory")
}

func TestWriteFileReplacesWhole(t *testing.T) {
	both(t, func(t *testing.T, fsys vfs.FS) {
		require.NoError(t, vfs.MkdirAll(fsys, "a/b"))
		require.NoError(t, vfs.MkdirAll(fsys, "a/b"))
		for _, content := range []string{"first", "second, longer", ""} {
			require.NoError(t, vfs.WriteFile(fsys, "a/b/f", []byte(content)))
			assert.Equal(t, content, get(t, fsys, "a/b/f"))
			assert.Equal(t, []string{"f"}, list(t, fsys, "a/b"))
		}
		assert.Error(t, vfs.MkdirAll(fsys, "a/b/f/g"), "a file is in the way")
	})
}

func TestAFullDiskNamesTheFileAndTheRoom(t *testing.T) {
	m := vfs.NewMem()
	m.Capacity = 5000
	require.NoError(t, vfs.WriteFile(m, "f", make([]byte, 2000)))
	err := vfs.WriteFile(m, "f", make([]byte, 4000))
	require.ErrorIs(t, err, vfs.ErrNoSpace)
	require.ErrorIs(t, err, syscall.ENOSPC)
	var full *vfs.NoSpaceError
	require.ErrorAs(t, err, &full)
	assert.Equal(t, "f.tmp", full.Path)
	assert.EqualError(t, err, "write f.tmp: no space left on device: 0 B free: make room or write to another disk")
	assert.Len(t, get(t, m, "f"), 2000, "the old content stays")
	assert.Equal(t, []string{"f"}, list(t, m, "."), "the space is given back")

	require.NoError(t, vfs.CheckRoom(m, "g", 3000))
	err = vfs.CheckRoom(m, "g", 3001)
	require.ErrorIs(t, err, vfs.ErrNoSpace)
	assert.EqualError(t, err, "reserve g: no space left on device: needs 3 kB: 3 kB free: make room or write to another disk")
	m.Hook = vfs.FailNth(0, syscall.EDQUOT)
	require.ErrorIs(t, m.Mkdir("d"), vfs.ErrNoSpace, "a quota is a full disk, too")
}

func TestWriteFileReportsEveryInjectedError(t *testing.T) {
	for _, cause := range []error{syscall.EIO, syscall.ENOSPC, &vfs.ShortWrite{Bytes: 3, Err: syscall.EIO}} {
		n := 0
		for ; ; n++ {
			m := vfs.NewMem()
			require.NoError(t, vfs.WriteFile(m, "f", []byte("old content")))
			m.Hook = vfs.FailNth(n, cause)
			err := vfs.WriteFile(m, "f", []byte("new content"))
			m.Hook = nil
			if err == nil {
				break
			}
			require.True(t, errors.Is(err, cause) || errors.Is(err, syscall.EIO), "%d: %v", n, err)
			assert.Contains(t, []string{"old content", "new content"}, get(t, m, "f"))
			assert.Equal(t, []string{"f"}, list(t, m, "."))
		}
		assert.Equal(t, 6, n, "create, write, sync, close, rename, syncdir")
	}
}

func TestReadErrorsReachTheCaller(t *testing.T) {
	m := vfs.NewMem()
	put(t, m, "f", "x")
	for _, op := range []vfs.Op{vfs.OpOpen, vfs.OpRead} {
		m.Hook = func(o vfs.Op, _ string) error {
			if o == op {
				return syscall.EIO
			}
			return nil
		}
		_, err := vfs.ReadFile(m, "f", 10)
		require.ErrorIs(t, err, syscall.EIO)
	}
	r, err := func() (vfs.Reader, error) { m.Hook = nil; return m.Open("f") }()
	require.NoError(t, err)
	m.Hook = func(vfs.Op, string) error { return syscall.EIO }
	_, err = r.ReadAt(make([]byte, 1), 0)
	require.ErrorIs(t, err, syscall.EIO)
	_, err = bytes.NewBuffer(nil).ReadFrom(r)
	require.ErrorIs(t, err, syscall.EIO)
}
