// Package vfstest plants durability mistakes under code that uses package vfs, without a line in that code: it wraps a
// file system and does some operations wrong. A suite of crash tests that passes with a planted mistake would pass with a
// real one, so every such suite should have a test that runs it on these.
package vfstest

import (
	"strings"

	"forja/engine/vfs"
)

// Override is a file system with some operations replaced. A nil field leaves its operation as it is.
type Override struct {
	vfs.FS
	WriteFunc   func(f vfs.File, b []byte) (int, error)
	SyncFunc    func(f vfs.File) error
	SyncDirFunc func(fsys vfs.FS, name string) error
	RenameFunc  func(fsys vfs.FS, old, new string) error
	MkdirFunc   func(fsys vfs.FS, name string) error
}

func (o *Override) Create(name string) (vfs.File, error) { return o.wrap(o.FS.Create(name)) }

func (o *Override) Append(name string) (vfs.File, error) { return o.wrap(o.FS.Append(name)) }

func (o *Override) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &file{f, o}, nil
}

func (o *Override) SyncDir(name string) error {
	if o.SyncDirFunc != nil {
		return o.SyncDirFunc(o.FS, name)
	}
	return o.FS.SyncDir(name)
}

func (o *Override) Rename(old, new string) error {
	if o.RenameFunc != nil {
		return o.RenameFunc(o.FS, old, new)
	}
	return o.FS.Rename(old, new)
}

func (o *Override) Mkdir(name string) error {
	if o.MkdirFunc != nil {
		return o.MkdirFunc(o.FS, name)
	}
	return o.FS.Mkdir(name)
}

type file struct {
	vfs.File
	o *Override
}

func (f *file) Write(b []byte) (int, error) {
	if f.o.WriteFunc != nil {
		return f.o.WriteFunc(f.File, b)
	}
	return f.File.Write(b)
}

func (f *file) Sync() error {
	if f.o.SyncFunc != nil {
		return f.o.SyncFunc(f.File)
	}
	return f.File.Sync()
}

// The mistakes a writer of files can make.

// NoFileSync never syncs a file's bytes.
func NoFileSync(fsys vfs.FS) vfs.FS {
	return &Override{FS: fsys, SyncFunc: func(vfs.File) error { return nil }}
}

// NoDirSync never syncs the names in the directories that match.
func NoDirSync(match func(name string) bool) func(vfs.FS) vfs.FS {
	return func(fsys vfs.FS) vfs.FS {
		return &Override{FS: fsys, SyncDirFunc: func(fsys vfs.FS, name string) error {
			if match(name) {
				return nil
			}
			return fsys.SyncDir(name)
		}}
	}
}

// IgnoreSyncError drops the error of a failed sync.
func IgnoreSyncError(fsys vfs.FS) vfs.FS {
	return &Override{FS: fsys, SyncFunc: func(f vfs.File) error { _ = f.Sync(); return nil }}
}

// RetrySync syncs again after a failed sync, and believes the second answer.
func RetrySync(fsys vfs.FS) vfs.FS {
	return &Override{FS: fsys, SyncFunc: func(f vfs.File) error {
		if err := f.Sync(); err != nil {
			return f.Sync()
		}
		return nil
	}}
}

// IgnoreWriteError drops the error of a failed or short write.
func IgnoreWriteError(fsys vfs.FS) vfs.FS {
	return &Override{FS: fsys, WriteFunc: func(f vfs.File, b []byte) (int, error) { _, _ = f.Write(b); return len(b), nil }}
}

// RemoveThenRename clears the way for a rename by removing what has the new name.
func RemoveThenRename(fsys vfs.FS) vfs.FS {
	return &Override{FS: fsys, RenameFunc: func(fsys vfs.FS, old, new string) error {
		if err := fsys.RemoveAll(new); err != nil {
			return err
		}
		return fsys.Rename(old, new)
	}}
}

// InPlace writes what should grow under a temporary name, ending in ".tmp", under the final name.
func InPlace(fsys vfs.FS) vfs.FS { return inPlace{fsys} }

type inPlace struct{ vfs.FS }

func final(name string) string { return strings.ReplaceAll(name, ".tmp", "") }

func (p inPlace) Create(name string) (vfs.File, error) { return p.FS.Create(final(name)) }

func (p inPlace) Mkdir(name string) error {
	if _, err := p.FS.Stat(final(name)); err == nil {
		return nil
	}
	return p.FS.Mkdir(final(name))
}

func (p inPlace) SyncDir(name string) error { return p.FS.SyncDir(final(name)) }

func (p inPlace) Rename(old, new string) error {
	if final(old) == final(new) {
		return nil
	}
	return p.FS.Rename(old, new)
}
