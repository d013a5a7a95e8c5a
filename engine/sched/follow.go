package sched

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"time"

	"forja/engine/vfs"
)

// Follow copies a growing file to w, from a place in bytes on, until it has nothing new and ended reports true, or ctx ends,
// which is no error. A file that does not exist yet is waited for.
func Follow(ctx context.Context, fsys vfs.FS, name string, at int64, w io.Writer, ended func() bool) error {
	for {
		last := ended() // asked before reading, so that nothing written before the end is missed
		n, err := copyFrom(fsys, name, at, w)
		at += n
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if last && n == 0 {
			return nil
		}
		if n > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func copyFrom(fsys vfs.FS, name string, at int64, w io.Writer) (int64, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return io.Copy(w, io.NewSectionReader(f, at, max(0, f.Size()-at)))
}
