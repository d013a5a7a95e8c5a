package snapshot_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/vfs"
	"forja/engine/vfs/snapshot"
)

func both(t *testing.T, test func(t *testing.T, fsys vfs.FS)) {
	t.Run("disk", func(t *testing.T) {
		d, err := vfs.OS(t.TempDir())
		require.NoError(t, err)
		t.Cleanup(func() { d.Close() })
		test(t, d)
	})
	t.Run("mem", func(t *testing.T) { test(t, vfs.NewMem()) })
}

// files returns a function that writes the given names and contents, alternating.
func files(namesAndContents ...string) func(w *snapshot.Writer) error {
	return func(w *snapshot.Writer) error {
		for i := 0; i < len(namesAndContents); i += 2 {
			if err := w.WriteFile(namesAndContents[i], []byte(namesAndContents[i+1])); err != nil {
				return err
			}
		}
		return nil
	}
}

func save(t *testing.T, fsys vfs.FS, name string, namesAndContents ...string) {
	t.Helper()
	require.NoError(t, snapshot.Save(fsys, "run/ckpt", name, files(namesAndContents...)))
}

func overwrite(t *testing.T, fsys vfs.FS, name, content string) {
	t.Helper()
	f, err := fsys.Create(name)
	require.NoError(t, err)
	_, err = f.Write([]byte(content))
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func entries(t *testing.T, fsys vfs.FS, dir string) (names []string) {
	t.Helper()
	list, err := fsys.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func TestASavedSnapshotVerifiesAndListsItsFiles(t *testing.T) {
	both(t, func(t *testing.T, fsys vfs.FS) {
		save(t, fsys, "00000001", "b", "two", "a/x/y", "", "a/z", "one")
		m, err := snapshot.Verify(fsys, "run/ckpt/00000001")
		require.NoError(t, err)
		assert.Equal(t, int64(6), m.Size())
		assert.Equal(t, []string{"a/x/y", "a/z", "b"}, []string{m.Files[0].Name, m.Files[1].Name, m.Files[2].Name})
		f, ok := m.File("a/z")
		assert.True(t, ok)
		assert.Equal(t, int64(3), f.Size)
		_, ok = m.File("c")
		assert.False(t, ok)

		save(t, fsys, "00000002", "a/z", "one", "b", "two", "a/x/y", "")
		same, err := snapshot.Verify(fsys, "run/ckpt/00000002")
		require.NoError(t, err)
		assert.Equal(t, m.ID(), same.ID(), "the order of writing does not matter")
		save(t, fsys, "00000002", "a/z", "One", "b", "two", "a/x/y", "")
		other, err := snapshot.Verify(fsys, "run/ckpt/00000002")
		require.NoError(t, err)
		assert.NotEqual(t, m.ID(), other.ID())
	})
}

func TestTheManifestIsReadByOrdinaryTools(t *testing.T) {
	dir := t.TempDir()
	fsys, err := vfs.OS(dir)
	require.NoError(t, err)
	defer fsys.Close()
	save(t, fsys, "1", "hello", "hello\n", "sub/empty", "")
	b, err := vfs.ReadFile(fsys, "run/ckpt/1/SHA256SUMS", 1000)
	require.NoError(t, err)
	assert.Equal(t, `# forja snapshot 1
# 6 bytes
5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03  hello
# 0 bytes
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  sub/empty
# end 850eea13ee272288ad47563d9a6e34a96f9e7873204332f81d7cf584afc41ea8
`, string(b))
	tool, err := exec.LookPath("sha256sum")
	if err != nil {
		t.Skip("no sha256sum here")
	}
	check := exec.Command(tool, "-c", "SHA256SUMS")
	check.Dir = dir + "/run/ckpt/1"
	out, err := check.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Equal(t, "hello: OK\nsub/empty: OK\n", string(out))
}

func TestADamagedSnapshotIsSkippedExplainedAndReplaced(t *testing.T) {
	both(t, func(t *testing.T, fsys vfs.FS) {
		save(t, fsys, "00000001", "model", "first")
		save(t, fsys, "00000002", "model", "second")
		overwrite(t, fsys, "run/ckpt/00000002/model", "secant")

		name, skipped, err := snapshot.Latest(fsys, "run/ckpt")
		require.NoError(t, err)
		assert.Equal(t, "00000001", name)
		require.Len(t, skipped, 1)
		assert.ErrorIs(t, skipped[0], snapshot.ErrDamaged)
		assert.EqualError(t, skipped[0], fsys.Path("run/ckpt/00000002/model")+" is damaged: its SHA-256 does not match the manifest's")

		save(t, fsys, "00000002", "model", "again")
		name, skipped, err = snapshot.Latest(fsys, "run/ckpt")
		require.NoError(t, err)
		assert.Equal(t, "00000002", name)
		assert.Empty(t, skipped)
		assert.Equal(t, []string{"00000001", "00000002"}, entries(t, fsys, "run/ckpt"))
	})
}

func TestNoSnapshotAndNoUsableSnapshotAreDifferentErrors(t *testing.T) {
	m := vfs.NewMem()
	_, _, err := snapshot.Latest(m, "run/ckpt")
	require.ErrorIs(t, err, fs.ErrNotExist)
	assert.EqualError(t, err, "no snapshot in run/ckpt: file does not exist")
	names, err := snapshot.List(m, "run/ckpt")
	require.NoError(t, err)
	assert.Empty(t, names)

	save(t, m, "1", "f", "x")
	require.NoError(t, m.Remove("run/ckpt/1/f"))
	_, skipped, err := snapshot.Latest(m, "run/ckpt")
	require.ErrorIs(t, err, snapshot.ErrDamaged)
	assert.ErrorContains(t, err, "no usable snapshot in run/ckpt: damaged: run/ckpt/1/f is damaged")
	assert.Len(t, skipped, 1)
}

func TestAnErrorOfTheDiskIsNotCalledDamage(t *testing.T) {
	m := vfs.NewMem()
	save(t, m, "1", "f", "x")
	m.Hook = func(op vfs.Op, name string) error {
		if op == vfs.OpRead && strings.HasSuffix(name, "/f") {
			return syscall.EIO
		}
		return nil
	}
	_, err := snapshot.Verify(m, "run/ckpt/1")
	require.ErrorIs(t, err, syscall.EIO)
	assert.NotErrorIs(t, err, snapshot.ErrDamaged)
}

func TestPruneKeepsTheNewestAndTheLastGoodOne(t *testing.T) {
	both(t, func(t *testing.T, fsys vfs.FS) {
		for i := range 6 {
			save(t, fsys, fmt.Sprintf("%08d", i), "f", "x")
		}
		require.NoError(t, snapshot.Prune(fsys, "run/ckpt", 4))
		assert.Equal(t, []string{"00000002", "00000003", "00000004", "00000005"}, entries(t, fsys, "run/ckpt"))

		overwrite(t, fsys, "run/ckpt/00000005/f", "")
		overwrite(t, fsys, "run/ckpt/00000004/f", "y")
		require.NoError(t, snapshot.Prune(fsys, "run/ckpt", 1))
		assert.Equal(t, []string{"00000003", "00000004", "00000005"}, entries(t, fsys, "run/ckpt"))

		overwrite(t, fsys, "run/ckpt/00000003/f", "z")
		require.NoError(t, snapshot.Prune(fsys, "run/ckpt", 1))
		assert.Len(t, entries(t, fsys, "run/ckpt"), 3, "with no good one, nothing goes")

		save(t, fsys, "00000006", "f", "x")
		require.NoError(t, snapshot.Prune(fsys, "run/ckpt", 0))
		assert.Equal(t, []string{"00000006"}, entries(t, fsys, "run/ckpt"), "at least one stays")
	})
}

func TestLeftoversOfACrashGoWithTheNextSave(t *testing.T) {
	m := vfs.NewMem()
	save(t, m, "1", "f", "one")
	save(t, m, "2", "f", "two")
	require.NoError(t, m.Mkdir("run/ckpt/9.tmp"))
	overwrite(t, m, "run/ckpt/9.tmp/f", "half")
	require.NoError(t, m.Rename("run/ckpt/2", "run/ckpt/2.old"))
	overwrite(t, m, "run/ckpt/notes", "of the user")

	names, err := snapshot.List(m, "run/ckpt")
	require.NoError(t, err)
	assert.Equal(t, []string{"1"}, names)
	name, skipped, err := snapshot.Latest(m, "run/ckpt")
	require.NoError(t, err)
	assert.Equal(t, "2.old", name)
	assert.Empty(t, skipped)

	save(t, m, "3", "f", "three")
	assert.Equal(t, []string{"1", "2", "3", "notes"}, entries(t, m, "run/ckpt"))
}

func TestTheOnlyGoodOneOfANameIsKept(t *testing.T) {
	m := vfs.NewMem()
	save(t, m, "1", "f", "good")
	require.NoError(t, m.Rename("run/ckpt/1", "run/ckpt/1.old"))
	require.NoError(t, m.Mkdir("run/ckpt/1"))
	overwrite(t, m, "run/ckpt/1/f", "bad")
	save(t, m, "0", "f", "older")
	name, skipped, err := snapshot.Latest(m, "run/ckpt")
	require.NoError(t, err)
	assert.Equal(t, "1.old", name)
	assert.Len(t, skipped, 1)

	// Failing to replace it leaves it there.
	require.Error(t, snapshot.Save(m, "run/ckpt", "1", func(*snapshot.Writer) error { return errors.New("no") }))
	assert.Equal(t, []string{"0", "1", "1.old"}, entries(t, m, "run/ckpt"))
	save(t, m, "1", "f", "new")
	assert.Equal(t, []string{"0", "1"}, entries(t, m, "run/ckpt"))
}

func TestAFullDiskKeepsWhatWasSavedAndGivesBackTheRoom(t *testing.T) {
	m := vfs.NewMem()
	save(t, m, "1", "model", strings.Repeat("x", 1000))
	free := func() int64 { n, err := m.Free(); require.NoError(t, err); return n }
	m.Capacity = 5000
	before := free()
	err := snapshot.Save(m, "run/ckpt", "2", files("config", "{}", "model", strings.Repeat("x", 9000)))
	require.ErrorIs(t, err, vfs.ErrNoSpace)
	var full *vfs.NoSpaceError
	require.ErrorAs(t, err, &full)
	assert.Equal(t, "run/ckpt/2.tmp/model", full.Path)
	assert.Equal(t, before, free())
	name, skipped, err := snapshot.Latest(m, "run/ckpt")
	require.NoError(t, err)
	assert.Equal(t, "1", name)
	assert.Empty(t, skipped)
	save(t, m, "2", "model", "small")
}

func TestAnErrorInsideWriteFailsTheSave(t *testing.T) {
	m := vfs.NewMem()
	boom := errors.New("boom")
	require.ErrorIs(t, snapshot.Save(m, "c", "1", func(*snapshot.Writer) error { return boom }), boom)
	require.ErrorIs(t, snapshot.Save(m, "c", "1", func(w *snapshot.Writer) error {
		_ = w.File("a", func(io.Writer) error { return boom }) // forgotten
		assert.ErrorIs(t, w.WriteFile("b", nil), boom)
		return nil
	}), boom)
	assert.Empty(t, entries(t, m, "c"))
}

func TestBadNamesAreRefused(t *testing.T) {
	m := vfs.NewMem()
	for _, name := range []string{"", ".", "..", "a/b", "/a", "1.tmp", "1.old"} {
		require.Error(t, snapshot.Save(m, "c", name, files("f", "x")), "snapshot %q", name)
	}
	for _, name := range []string{"", ".", "..", "../x", "/x", "a/", snapshot.ManifestName, "a\nb", `a\b`} {
		require.Error(t, snapshot.Save(m, "c", "1", files(name, "x")), "file %q", name)
	}
	require.Error(t, snapshot.Save(m, "c", "1", files("f", "x", "f", "y")), "twice the same")
	require.Error(t, snapshot.Save(m, "c", "1", files("f", "x", "f/g", "y")), "a file as a directory")
	require.NoError(t, snapshot.Save(m, "c", "1", files("f", "x")))
}
