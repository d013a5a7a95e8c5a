package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

	"forja/engine/vfs"
)

// A folder is a store in a file system.
type folder struct {
	fs    vfs.FS
	close func() error
}

func openFolder(dir string) (Store, error) {
	d, err := vfs.MakeOS(dir)
	if err != nil {
		return nil, err
	}
	return &folder{d, d.Close}, nil
}

// In makes a store of a file system, which stays its owner's to close.
func In(f vfs.FS) Store { return &folder{f, func() error { return nil }} }

func (s *folder) Path(name string) string { return s.fs.Path(name) }
func (s *folder) Close() error            { return s.close() }

func (s *folder) List(ctx context.Context) (files []File, err error) {
	if err := s.walk(ctx, ".", &files); err != nil {
		return nil, err
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return files, nil
}

// walk passes over what is hidden, being written, or no regular file.
func (s *folder) walk(ctx context.Context, dir string, files *[]File) error {
	entries, err := s.fs.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		name := path.Join(dir, e.Name())
		switch {
		case hidden(e.Name()):
		case e.IsDir():
			if err := s.walk(ctx, name, files); err != nil {
				return err
			}
		case e.Type().IsRegular():
			info, err := s.fs.Stat(name)
			if errors.Is(err, fs.ErrNotExist) { // gone since
				continue
			}
			if err != nil {
				return err
			}
			*files = append(*files, File{name, info.Size()})
		}
	}
	return nil
}

func (s *folder) Open(_ context.Context, name string) (io.ReadCloser, error) {
	if err := valid("open", name); err != nil {
		return nil, err
	}
	return s.fs.Open(name)
}

func (s *folder) Write(ctx context.Context, name string, write func(io.Writer) error) (err error) {
	if err := valid("write", name); err != nil {
		return err
	}
	if err := s.makeDir(path.Dir(name)); err != nil {
		return err
	}
	release, err := s.own(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	return vfs.WriteStream(s.fs, name, func(w io.Writer) error {
		if err := write(w); err != nil {
			return err
		}
		return context.Cause(ctx) // what was cut short must not appear
	})
}

// own keeps others from writing a file until it is released. They would write into the same unfinished one: a job that was given
// again, for example, while the machine that had it hangs. On file systems that know no locks it does nothing.
func (s *folder) own(name string) (release func() error, err error) {
	lock, err := s.fs.Lock(name + unfinished)
	switch {
	case err == nil:
		return lock.Close, nil
	case errors.Is(err, vfs.ErrLocked):
		return nil, fmt.Errorf("write %s: another process is writing it: %w", s.Path(name), err)
	case errors.Is(err, errors.ErrUnsupported), errors.Is(err, syscall.ENOLCK):
		return func() error { return nil }, nil
	}
	return nil, err
}

// makeDir makes a folder, which others may be making too.
func (s *folder) makeDir(dir string) error {
	for n := strings.Count(dir, "/"); ; n-- {
		if err := vfs.MkdirAll(s.fs, dir); n < 0 || !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
}

func (s *folder) Remove(_ context.Context, name string) error {
	if err := valid("remove", name); err != nil {
		return err
	}
	if err := s.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.fs.SyncDir(path.Dir(name)); err != nil && !errors.Is(err, fs.ErrNotExist) { // the folder may be missing too
		return err
	}
	return nil
}
