// Package vfs is the small file system interface that every durable write of forja goes through.
//
// It has two implementations: [Disk], the operating system's, confined to one directory, and [Mem], a file system in
// memory that loses power on request. A kill -9 finds no durability mistake, because the page cache outlives the
// process; only a simulated power loss does. On top of the interface stand the few patterns that are easy to get
// wrong: [WriteFile] (replace a file whole), [Journal] (append, remember the length), [Lock] (one process per
// directory) and [MkdirAll]. Sub-package snapshot writes whole directories.
//
// Deliberately absent: hard links, symbolic links, permissions, memory mapping and writing in the middle of a file.
// Locks and directory syncs need a Unix.
package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
)

// FS is a directory tree. Names are slash-separated and relative to its root, as in [fs.ValidPath]; "." is the root.
// Errors carry the operation and the full path; errors.Is finds [fs.ErrNotExist], [fs.ErrExist] and [ErrNoSpace].
//
// Durability is the strict reading of POSIX: File.Sync makes a file's bytes durable but not its name; SyncDir makes
// the names in a directory durable but not the bytes behind them. Until then a power loss may keep or drop each on its own.
type FS interface {
	// Open opens a regular file for reading.
	Open(name string) (Reader, error)
	// Create opens a file for writing and empties it if it exists.
	Create(name string) (File, error)
	// Append opens a file for writing at its end, and creates it if it is missing.
	Append(name string) (File, error)
	// Lock is Append plus an exclusive lock that lasts until Close or the end of the process. It does not wait: if the
	// lock is taken, by this process or another, the error is [ErrLocked].
	Lock(name string) (File, error)
	// Mkdir makes one directory; [fs.ErrExist] if the name is taken.
	Mkdir(name string) error
	// Rename is atomic. It replaces a file, but never a directory, not even an empty one.
	Rename(old, new string) error
	// Remove removes a file or an empty directory.
	Remove(name string) error
	// RemoveAll removes a tree, not atomically; a missing name is no error.
	RemoveAll(name string) error
	// ReadDir lists a directory, sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	Stat(name string) (fs.FileInfo, error)
	// SyncDir makes the names in a directory durable.
	SyncDir(name string) error
	// Free is how many bytes can still be written.
	Free() (int64, error)
	// Path is the name as a person would type it, for messages.
	Path(name string) string
}

// File is an open file being written. Every write goes to its end.
type File interface {
	io.Writer
	Truncate(size int64) error
	// Sync makes the bytes durable. If it fails, they are lost even if a second Sync reports success: the kernel has
	// dropped them. Give the file up and write another.
	Sync() error
	Close() error
}

// Reader is an open file being read.
type Reader interface {
	io.Reader
	io.ReaderAt
	io.Closer
	Size() int64
}

// Errors that callers tell apart. A missing file is [fs.ErrNotExist].
var (
	ErrLocked = errors.New("locked")
	ErrTooBig = errors.New("file is larger than allowed")
)

// checkName rejects what could leave the root, and names with more than one spelling.
func checkName(op, name string) error {
	if fs.ValidPath(name) {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: fmt.Errorf("%w: want a relative path, without dots as names", fs.ErrInvalid)}
}

// ReadFile returns the bytes of a file of at most limit bytes; [ErrTooBig] if it is larger.
func ReadFile(fsys FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if f.Size() > limit {
		return nil, fmt.Errorf("read %s: %w: %d bytes, at most %d", fsys.Path(name), ErrTooBig, f.Size(), limit)
	}
	b := make([]byte, f.Size())
	if n, err := io.ReadFull(f, b); err == io.EOF || err == io.ErrUnexpectedEOF { // it shrank since Open
		return b[:n], nil
	} else if err != nil {
		return nil, err
	}
	return b, nil
}

// WriteFile replaces a file by data, or leaves it as it was. When it returns nil, the new content survives a power loss.
// The directory must exist, durably. One writer per name: the new content grows under name + ".tmp".
func WriteFile(fsys FS, name string, data []byte) error {
	return WriteStream(fsys, name, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// WriteStream is [WriteFile] with the content produced by write. Writes are not buffered.
func WriteStream(fsys FS, name string, write func(io.Writer) error) error {
	if err := checkName("write", name); err != nil {
		return err
	}
	temp := name + ".tmp"
	if err := writeSynced(fsys, temp, write); err != nil {
		_ = fsys.Remove(temp) // gives back the space; a leftover is overwritten by the next attempt
		return err
	}
	if err := fsys.Rename(temp, name); err != nil {
		_ = fsys.Remove(temp)
		return err
	}
	return fsys.SyncDir(path.Dir(name))
}

func writeSynced(fsys FS, name string, write func(io.Writer) error) error {
	f, err := fsys.Create(name)
	if err != nil {
		return err
	}
	if err = write(f); err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// MkdirAll makes a directory and its parents, durably. Directories that exist are synced too: whoever made them may
// have died before.
func MkdirAll(fsys FS, name string) error {
	if err := checkName("mkdir", name); err != nil || name == "." {
		return err
	}
	parent := path.Dir(name)
	if err := MkdirAll(fsys, parent); err != nil {
		return err
	}
	if info, err := fsys.Stat(name); err != nil || !info.IsDir() {
		if err := fsys.Mkdir(name); err != nil {
			return err
		}
	}
	return fsys.SyncDir(parent)
}
