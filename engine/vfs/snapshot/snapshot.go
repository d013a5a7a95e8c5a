// Package snapshot saves directories of files that appear whole or not at all, and notices every damaged byte.
//
// A snapshot is a directory NAME under a parent; names sort from old to new. It grows as NAME.tmp: every file is streamed
// through SHA-256 and synced, the manifest SHA256SUMS (sizes, sums, and a sum of itself; `sha256sum -c` reads it) comes
// last, the directory is synced, renamed to NAME, and the parent synced. Only then does [Save] return nil. Saving a name again moves
// the old one to NAME.old until the new one is safe. Nothing is ever overwritten.
//
// One process saves at a time (see vfs.Lock); others may read meanwhile. Deliberately absent: sharing of files
// between snapshots, compression, any knowledge of what the files hold, and repair.
package snapshot

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"forja/engine/vfs"
)

const (
	tempSuffix = ".tmp" // being written, or being removed
	oldSuffix  = ".old" // moved aside while its successor of the same name is written
)

// newHash is a variable so that a test can leave the checksums out and see that it is found.
var newHash = sha256.New

// Save makes the snapshot parent/name with the files that write adds, and first removes what a crash left behind. If it
// returns nil, the snapshot survives a power loss. If not, the other snapshots are as they were, and so is an
// earlier one of this name, possibly as name + ".old", where [Latest] finds it. A full disk is a [*vfs.NoSpaceError].
func Save(fsys vfs.FS, parent, name string, write func(w *Writer) error) error {
	if !validName(name) {
		return fmt.Errorf("save snapshot %q: want a file name that does not end in .tmp or .old", name)
	}
	if err := vfs.MkdirAll(fsys, parent); err != nil {
		return err
	}
	if err := tidy(fsys, parent); err != nil {
		return err
	}
	final := path.Join(parent, name)
	temp, old := final+tempSuffix, final+oldSuffix
	if err := writeAll(fsys, temp, write); err != nil {
		_ = fsys.RemoveAll(temp) // gives back the space; if that fails, too, the next Save does it
		return err
	}
	if err := moveAside(fsys, final, old); err != nil {
		return err
	}
	if err := fsys.Rename(temp, final); err != nil {
		return err
	}
	if err := fsys.SyncDir(parent); err != nil {
		return err
	}
	_ = fsys.RemoveAll(old) // if that fails, the next Save does it
	return nil
}

func validName(name string) bool {
	return fs.ValidPath(name) && name != "." && !strings.Contains(name, "/") &&
		!strings.HasSuffix(name, tempSuffix) && !strings.HasSuffix(name, oldSuffix)
}

// writeAll makes the directory dir with all files, synced.
func writeAll(fsys vfs.FS, dir string, write func(w *Writer) error) error {
	if err := fsys.Mkdir(dir); err != nil {
		return err
	}
	w := &Writer{fsys: fsys, dir: dir, dirs: []string{"."}}
	if err := write(w); err != nil {
		return err
	}
	if w.err != nil { // write went on after an error
		return w.err
	}
	m, err := newManifest(w.files)
	if err != nil {
		return err
	}
	if err := w.add(ManifestName, func(out io.Writer) error { _, err := out.Write(m.encode()); return err }); err != nil {
		return err
	}
	for _, sub := range slices.Backward(w.dirs) {
		if err := fsys.SyncDir(path.Join(dir, sub)); err != nil {
			return err
		}
	}
	return nil
}

// moveAside frees the name final. The only good one of final and old is never removed.
func moveAside(fsys vfs.FS, final, old string) error {
	if _, err := fsys.Stat(final); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if _, err := Verify(fsys, final); err != nil {
		if _, err := Verify(fsys, old); err == nil {
			return fsys.RemoveAll(final)
		}
	}
	if err := fsys.RemoveAll(old); err != nil {
		return err
	}
	return fsys.Rename(final, old)
}

// tidy removes what a crash left: directories being written or removed, and those moved aside for a successor that is good.
// One whose successor never came gets its name back.
func tidy(fsys vfs.FS, parent string) error {
	if err := fsys.SyncDir(parent); err != nil { // the good successor may have been renamed by a process that died then
		return err
	}
	entries, err := fsys.ReadDir(parent)
	if err != nil {
		return err
	}
	for _, e := range entries {
		dir := path.Join(parent, e.Name())
		final, moved := strings.CutSuffix(dir, oldSuffix)
		switch {
		case strings.HasSuffix(dir, tempSuffix):
			err = fsys.RemoveAll(dir)
		case moved:
			if _, statErr := fsys.Stat(final); errors.Is(statErr, fs.ErrNotExist) {
				err = fsys.Rename(dir, final)
			} else if _, verifyErr := Verify(fsys, final); verifyErr == nil {
				err = fsys.RemoveAll(dir)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Writer adds files to a snapshot being saved. After an error every call returns that error, and so does Save.
type Writer struct {
	fsys  vfs.FS
	dir   string
	dirs  []string // relative to dir, parents before children
	files []File
	buf   *bufio.Writer
	err   error
}

// File adds a file, written by write. The name may have directories, as in "policy/model.safetensors".
func (w *Writer) File(name string, write func(io.Writer) error) error {
	if w.err == nil {
		w.err = w.add(name, write)
	}
	return w.err
}

// WriteFile adds a file with the given bytes.
func (w *Writer) WriteFile(name string, data []byte) error {
	return w.File(name, func(out io.Writer) error { _, err := out.Write(data); return err })
}

func (w *Writer) add(name string, write func(io.Writer) error) error {
	if err := w.mkdirs(path.Dir(name)); err != nil {
		return err
	}
	f, err := w.fsys.Create(path.Join(w.dir, name))
	if err != nil {
		return err
	}
	out := &summer{file: f, hash: newHash()}
	if w.buf == nil {
		w.buf = bufio.NewWriterSize(out, 256<<10)
	} else {
		w.buf.Reset(out)
	}
	err = write(w.buf)
	if err == nil {
		err = w.buf.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	w.files = append(w.files, File{Name: name, Size: out.size, Sum: [sha256.Size]byte(out.hash.Sum(nil))})
	return nil
}

// mkdirs makes the directories of a file that are not there yet.
func (w *Writer) mkdirs(dir string) error {
	if !fs.ValidPath(dir) || slices.Contains(w.dirs, dir) {
		return nil // an invalid name fails in Create
	}
	if err := w.mkdirs(path.Dir(dir)); err != nil {
		return err
	}
	w.dirs = append(w.dirs, dir)
	return w.fsys.Mkdir(path.Join(w.dir, dir))
}

// A summer counts and sums the bytes on their way to a file.
type summer struct {
	file vfs.File
	hash hash.Hash
	size int64
}

func (s *summer) Write(b []byte) (int, error) {
	n, err := s.file.Write(b)
	s.hash.Write(b[:n])
	s.size += int64(n)
	return n, err
}
