package vfs_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/vfs"
)

func TestOneHolderPerDirectory(t *testing.T) {
	both(t, func(t *testing.T, fsys vfs.FS) {
		require.NoError(t, vfs.MkdirAll(fsys, "runs/x"))
		unlock, err := vfs.Lock(fsys, "runs/x")
		require.NoError(t, err)
		_, err = vfs.Lock(fsys, "runs/x")
		require.ErrorIs(t, err, vfs.ErrLocked)
		assert.EqualError(t, err, fmt.Sprintf("another forja (pid %d) is using %s: stop it first, or choose another directory",
			os.Getpid(), fsys.Path("runs/x")))
		require.NoError(t, unlock())
		assert.Equal(t, "", get(t, fsys, "runs/x/LOCK"), "names nobody")
		unlock, err = vfs.Lock(fsys, "runs/x")
		require.NoError(t, err)
		require.NoError(t, unlock())

		_, err = vfs.Lock(fsys, "none")
		assert.Error(t, err)
	})
}

func TestALockFileOfAnotherHostOrWithNonsenseIsExplained(t *testing.T) {
	m := vfs.NewMem()
	f, err := m.Lock("LOCK")
	require.NoError(t, err)
	_, err = vfs.Lock(m, ".")
	assert.ErrorContains(t, err, "another forja is using .:")
	_, err = f.Write([]byte(`{"pid":123,"host":"gpu7"}`))
	require.NoError(t, err)
	_, err = vfs.Lock(m, ".")
	assert.ErrorContains(t, err, "another forja (pid 123 on gpu7) is using .:")
}

// TestMain lets the test binary play the other process: it locks the directory it is given and waits to be killed.
func TestMain(m *testing.M) {
	dir := os.Getenv("VFS_TEST_HOLD")
	if dir == "" {
		os.Exit(m.Run())
	}
	fsys, err := vfs.OS(dir)
	if err == nil {
		_, err = vfs.Lock(fsys, ".")
	}
	fmt.Println(err)
	select {}
}

func TestAKilledProcessReleasesItsLock(t *testing.T) {
	dir := t.TempDir()
	other := exec.Command(os.Args[0])
	other.Env = append(os.Environ(), "VFS_TEST_HOLD="+dir)
	out, err := other.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, other.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "<nil>\n", line)

	fsys := openDisk(t, dir)
	_, err = vfs.Lock(fsys, ".")
	assert.ErrorContains(t, err, fmt.Sprintf("another forja (pid %d) is using %s", other.Process.Pid, dir))
	require.NoError(t, other.Process.Kill())
	_ = other.Wait() // killed
	unlock, err := vfs.Lock(fsys, ".")
	require.NoError(t, err)
	require.NoError(t, unlock())
}
