package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Disk is a directory of the operating system. Paths cannot leave it, not even through symbolic links.
type Disk struct {
	root *os.Root
	dir  string // as the user wrote it
}

var _ FS = (*Disk)(nil)

// OS opens an existing directory.
func OS(dir string) (*Disk, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Disk{root, dir}, nil
}

// MakeOS opens a directory and, if it is missing, makes it and its parents, durably.
func MakeOS(dir string) (*Disk, error) {
	if err := makeDir(filepath.Clean(dir)); err != nil {
		return nil, err
	}
	return OS(dir)
}

// makeDir makes dir and syncs the parent of every directory it made, and dir's own parent in any case.
func makeDir(dir string) error {
	parent := filepath.Dir(dir)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := makeDir(parent); err != nil {
			return err
		}
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	} else if err != nil {
		return err
	}
	f, err := os.Open(parent)
	if errors.Is(err, fs.ErrPermission) { // a parent that is not ours to read was not made by us
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Close releases the directory's handle; open files stay open.
func (d *Disk) Close() error { return d.root.Close() }

func (d *Disk) Path(name string) string { return filepath.Join(d.dir, filepath.FromSlash(name)) }

// fail gives an error the operation and the full path, and a full disk its own type.
func (d *Disk) fail(op, name string, err error) error {
	if err == nil {
		return nil
	}
	var pathErr *fs.PathError
	var linkErr *os.LinkError
	switch {
	case errors.As(err, &pathErr):
		err = pathErr.Err
	case errors.As(err, &linkErr):
		err = linkErr.Err
	}
	if isNoSpace(err) {
		free, freeErr := d.Free()
		if freeErr != nil {
			free = -1
		}
		return &NoSpaceError{Op: op, Path: d.Path(name), Free: free, Err: err}
	}
	return &fs.PathError{Op: op, Path: d.Path(name), Err: err}
}

func (d *Disk) Open(name string) (Reader, error) {
	if err := checkName("open", name); err != nil {
		return nil, err
	}
	info, err := d.root.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file") // opening a pipe would wait for a writer
	}
	if err != nil {
		return nil, d.fail("open", name, err)
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, d.fail("open", name, err)
	}
	if info, err = f.Stat(); err != nil {
		f.Close()
		return nil, d.fail("open", name, err)
	}
	return &diskReader{f, info.Size()}, nil
}

type diskReader struct {
	*os.File
	size int64
}

func (r *diskReader) Size() int64 { return r.size }

func (d *Disk) openFile(op, name string, flag int) (*diskFile, error) {
	if err := checkName(op, name); err != nil {
		return nil, err
	}
	f, err := d.root.OpenFile(name, os.O_CREATE|os.O_APPEND|flag, 0o644)
	if err != nil {
		return nil, d.fail(op, name, err)
	}
	return &diskFile{f, d, name}, nil
}

func (d *Disk) Create(name string) (File, error) {
	return asFile(d.openFile("create", name, os.O_WRONLY|os.O_TRUNC))
}

func (d *Disk) Append(name string) (File, error) {
	return asFile(d.openFile("append", name, os.O_WRONLY))
}

func (d *Disk) Lock(name string) (File, error) {
	f, err := d.openFile("lock", name, os.O_RDWR)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f.file); err != nil {
		f.file.Close()
		return nil, d.fail("lock", name, err)
	}
	return f, nil
}

// asFile keeps a nil pointer from becoming an interface that is not nil.
func asFile(f *diskFile, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (d *Disk) Mkdir(name string) error {
	if err := checkName("mkdir", name); err != nil {
		return err
	}
	return d.fail("mkdir", name, d.root.Mkdir(name, 0o755))
}

func (d *Disk) Rename(old, new string) error {
	if err := errors.Join(checkName("rename", old), checkName("rename", new)); err != nil {
		return err
	}
	if info, err := d.root.Stat(new); err == nil && info.IsDir() {
		return d.fail("rename", old, fmt.Errorf("%s: %w: it is a directory", d.Path(new), fs.ErrExist))
	}
	return d.fail("rename", old, d.root.Rename(old, new))
}

func (d *Disk) Remove(name string) error {
	if err := checkName("remove", name); err != nil {
		return err
	}
	return d.fail("remove", name, d.root.Remove(name))
}

func (d *Disk) RemoveAll(name string) error {
	if err := checkName("remove", name); err != nil {
		return err
	}
	return d.fail("remove", name, d.root.RemoveAll(name))
}

func (d *Disk) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := checkName("readdir", name); err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(d.root.FS(), name) // sorted
	return entries, d.fail("readdir", name, err)
}

func (d *Disk) Stat(name string) (fs.FileInfo, error) {
	if err := checkName("stat", name); err != nil {
		return nil, err
	}
	info, err := d.root.Stat(name)
	return info, d.fail("stat", name, err)
}

func (d *Disk) SyncDir(name string) error {
	if err := checkName("syncdir", name); err != nil {
		return err
	}
	f, err := d.root.Open(name)
	if err != nil {
		return d.fail("syncdir", name, err)
	}
	info, err := f.Stat()
	if err == nil && !info.IsDir() {
		err = errors.New("not a directory")
	}
	if err == nil {
		err = f.Sync()
	}
	return d.fail("syncdir", name, errors.Join(err, f.Close()))
}

func (d *Disk) Free() (int64, error) { return freeBytes(d.dir) }

// A diskFile is an open file of a Disk, with errors that name it.
type diskFile struct {
	file *os.File
	disk *Disk
	name string
}

func (f *diskFile) Write(b []byte) (int, error) {
	n, err := f.file.Write(b)
	return n, f.disk.fail("write", f.name, err)
}

func (f *diskFile) Truncate(size int64) error {
	return f.disk.fail("truncate", f.name, f.file.Truncate(size))
}

func (f *diskFile) Sync() error  { return f.disk.fail("sync", f.name, f.file.Sync()) }
func (f *diskFile) Close() error { return f.disk.fail("close", f.name, f.file.Close()) }
