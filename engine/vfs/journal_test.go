package vfs_test

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/vfs"
)

func TestAJournalIsCutToTheRecordedLength(t *testing.T) {
	both(t, func(t *testing.T, fsys vfs.FS) {
		j, err := vfs.OpenJournal(fsys, "j")
		require.NoError(t, err)
		_, err = j.Write([]byte("one\n"))
		require.NoError(t, err)
		recorded := j.Size()
		_, err = j.Write([]byte("two\n"))
		require.NoError(t, err)
		require.NoError(t, j.Close())
		_, err = j.Write([]byte("three\n"))
		require.ErrorIs(t, err, fs.ErrClosed)

		j, err = vfs.OpenJournal(fsys, "j")
		require.NoError(t, err)
		assert.Equal(t, int64(8), j.Size())
		require.NoError(t, j.Close())

		j, err = vfs.OpenJournalAt(fsys, "j", recorded)
		require.NoError(t, err)
		_, err = j.Write([]byte("again\n"))
		require.NoError(t, err)
		require.NoError(t, j.Close())
		assert.Equal(t, "one\nagain\n", get(t, fsys, "j"))

		_, err = vfs.OpenJournalAt(fsys, "j", 11)
		require.ErrorIs(t, err, vfs.ErrShort)
		_, err = vfs.OpenJournalAt(fsys, "none", 1)
		require.ErrorIs(t, err, vfs.ErrShort)
		_, err = vfs.OpenJournalAt(fsys, "j", -1)
		require.Error(t, err)
	})
}

// At every crash the journal starts with what was synced, and a resume cuts it to exactly that.
func TestSyncedRecordsSurvivePowerLossAtEveryOperation(t *testing.T) {
	points := 0
	for seed := range uint64(20) {
		m, r, promised := vfs.NewMem(), newRand(seed), ""
		require.NoError(t, m.SyncDir("."))
		m.Hook = func(op vfs.Op, _ string) error {
			if !op.Writes() {
				return nil
			}
			points++
			disk := m.Crash(r, []float64{0, .5, .9}[r.IntN(3)])
			j, err := vfs.OpenJournalAt(disk, "j", int64(len(promised)))
			require.NoError(t, err)
			require.NoError(t, j.Close())
			require.Equal(t, promised, get(t, disk.Crash(r, 0), "j"))
			return nil
		}
		text := ""
		for range 3 { // runs, each resuming before the end of the one before
			j, err := vfs.OpenJournalAt(m, "j", int64(len(promised)))
			require.NoError(t, err)
			text = promised
			for range 10 {
				record := strings.Repeat("x", r.IntN(2000)) + "\n"
				_, err := j.Write([]byte(record))
				require.NoError(t, err)
				text += record
				if r.IntN(3) == 0 {
					require.NoError(t, j.Sync())
					promised = text
				}
			}
		}
	}
	t.Logf("%d crash points", points)
	assert.Greater(t, points, 500)
}

func TestAFailedJournalStaysFailed(t *testing.T) {
	for _, op := range []vfs.Op{vfs.OpWrite, vfs.OpSync} {
		m := vfs.NewMem()
		j, err := vfs.OpenJournal(m, "j")
		require.NoError(t, err)
		m.Hook = func(o vfs.Op, _ string) error {
			if o == op {
				return syscall.EIO
			}
			return nil
		}
		_, err = j.Write([]byte("x"))
		require.ErrorIs(t, errors.Join(err, j.Sync()), syscall.EIO)
		m.Hook = nil
		_, err = j.Write([]byte("x"))
		require.ErrorIs(t, err, syscall.EIO)
		require.ErrorIs(t, j.Sync(), syscall.EIO)
		require.ErrorIs(t, j.Close(), syscall.EIO)
	}
}
