package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
)

// Journal is a file that only grows, such as metrics.jsonl. A checkpoint records its length, and a resumed run cuts
// it back to that length. After the first error every call returns that error: what a failed sync dropped cannot be
// brought back by another.
type Journal struct {
	file File
	name string // for messages
	size int64
	err  error
}

// ErrShort is what errors.Is finds when a journal has lost bytes that a checkpoint counted on.
var ErrShort = errors.New("journal is shorter than recorded")

// OpenJournal opens a journal for appending and creates it, durably, if it is missing.
func OpenJournal(fsys FS, name string) (*Journal, error) {
	return openJournal(fsys, name, -1)
}

// OpenJournalAt is [OpenJournal] after cutting the file to size bytes, durably; [ErrShort] if it has fewer. Size 0 is a
// new journal.
func OpenJournalAt(fsys FS, name string, size int64) (*Journal, error) {
	if size < 0 {
		return nil, fmt.Errorf("open journal %s: negative length %d", fsys.Path(name), size)
	}
	return openJournal(fsys, name, size)
}

func openJournal(fsys FS, name string, size int64) (*Journal, error) {
	have := int64(0)
	if info, err := fsys.Stat(name); err == nil {
		have = info.Size()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if size < 0 {
		size = have
	}
	if have < size {
		return nil, fmt.Errorf("open %s: %w: %d bytes, the checkpoint counts on %d", fsys.Path(name), ErrShort, have, size)
	}
	f, err := fsys.Append(name)
	if err != nil {
		return nil, err
	}
	if have > size {
		err = f.Truncate(size)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = fsys.SyncDir(path.Dir(name))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &Journal{file: f, name: fsys.Path(name), size: size}, nil
}

// Write appends a record, whole; it is durable after Sync.
func (j *Journal) Write(b []byte) (int, error) {
	if j.err != nil {
		return 0, j.err
	}
	n, err := j.file.Write(b)
	j.size += int64(n)
	j.err = err
	return n, err
}

// Sync makes everything written so far durable. Call it before recording [Journal.Size] in a checkpoint.
func (j *Journal) Sync() error {
	if j.err == nil {
		j.err = j.file.Sync()
	}
	return j.err
}

// Size is the length in bytes.
func (j *Journal) Size() int64 { return j.size }

// Close syncs and closes the journal.
func (j *Journal) Close() error {
	err := j.Sync()
	if closeErr := j.file.Close(); err == nil {
		err = closeErr
	}
	if j.err == nil {
		j.err = fmt.Errorf("write %s: %w", j.name, fs.ErrClosed)
	}
	return err
}
