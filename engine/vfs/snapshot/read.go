package snapshot

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"forja/engine/vfs"
)

// ErrDamaged is what errors.Is finds when a snapshot is not what was saved.
var ErrDamaged = errors.New("damaged")

// A DamagedError says what is wrong with a snapshot, and in which file.
type DamagedError struct {
	Path string // of the file
	Why  error
}

func (e *DamagedError) Error() string   { return fmt.Sprintf("%s is damaged: %v", e.Path, e.Why) }
func (e *DamagedError) Unwrap() []error { return []error{ErrDamaged, e.Why} }

// Verify reads every byte of a snapshot and compares it with the manifest. Files that the manifest does not list
// are ignored. Anything that differs or is missing is a [*DamagedError]; other errors come from the file system.
func Verify(fsys vfs.FS, dir string) (*Manifest, error) {
	name := path.Join(dir, ManifestName)
	damaged := func(name string, why error) error { return &DamagedError{fsys.Path(name), why} }
	b, err := vfs.ReadFile(fsys, name, manifestLimit)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, vfs.ErrTooBig) {
		return nil, damaged(name, err)
	}
	if err != nil {
		return nil, err
	}
	m, err := parseManifest(b)
	if err != nil {
		return nil, damaged(name, err)
	}
	buf := make([]byte, min(256<<10, max(m.Size(), 1)))
	for _, want := range m.Files {
		name := path.Join(dir, want.Name)
		got, err := sum(fsys, name, want.Size, buf)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, damaged(name, err)
		}
		if err != nil {
			return nil, err
		}
		if got.Size != want.Size {
			return nil, damaged(name, fmt.Errorf("%d bytes instead of %d", got.Size, want.Size))
		}
		if got.Sum != want.Sum {
			return nil, damaged(name, errors.New("its SHA-256 does not match the manifest's"))
		}
	}
	return m, nil
}

// sum returns the size of a file, and its checksum if it has the wanted size.
func sum(fsys vfs.FS, name string, size int64, buf []byte) (f File, err error) {
	r, err := fsys.Open(name)
	if err != nil {
		return f, err
	}
	defer r.Close()
	if f.Size = r.Size(); f.Size != size {
		return f, nil
	}
	h := newHash()
	f.Size, err = io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{r}, buf) // the wrappers make it use buf
	copy(f.Sum[:], h.Sum(nil))
	return f, err
}

// List returns the names of the finished snapshots, oldest first, without verifying them. A missing parent has none.
func List(fsys vfs.FS, parent string) ([]string, error) {
	names, err := list(fsys, parent)
	return slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, oldSuffix) }), err
}

// list is List with those that were moved aside, each before its successor.
func list(fsys vfs.FS, parent string) (names []string, err error) {
	entries, err := fsys.ReadDir(parent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if e.IsDir() && validName(strings.TrimSuffix(e.Name(), oldSuffix)) {
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		baseA, oldA := strings.CutSuffix(a, oldSuffix)
		baseB, _ := strings.CutSuffix(b, oldSuffix)
		switch c := strings.Compare(baseA, baseB); {
		case c != 0:
			return c
		case oldA:
			return -1
		default:
			return 1
		}
	})
	return names, err
}

// Latest returns the newest snapshot that passes [Verify], and what was wrong with the newer ones it skipped. It
// changes nothing. After a crash during the replacement of a snapshot the name may end in ".old". The error is
// [fs.ErrNotExist] if there is no snapshot at all, and [ErrDamaged] if there are some and none is usable.
func Latest(fsys vfs.FS, parent string) (name string, skipped []error, err error) {
	names, err := list(fsys, parent)
	if err != nil {
		return "", nil, err
	}
	if len(names) == 0 {
		return "", nil, fmt.Errorf("no snapshot in %s: %w", fsys.Path(parent), fs.ErrNotExist)
	}
	for _, name := range slices.Backward(names) {
		if _, err := Verify(fsys, path.Join(parent, name)); err == nil {
			return name, skipped, nil
		} else {
			skipped = append(skipped, err)
		}
	}
	return "", skipped, fmt.Errorf("no usable snapshot in %s: %w: %w", fsys.Path(parent), ErrDamaged, errors.Join(skipped...))
}

// Prune removes all but the newest keep snapshots, at least one. It never removes the newest one that passes
// [Verify], and removes nothing if none does.
func Prune(fsys vfs.FS, parent string, keep int) error {
	names, err := List(fsys, parent)
	if err != nil {
		return err
	}
	surplus := len(names) - max(keep, 1)
	if surplus <= 0 {
		return nil
	}
	newestGood := len(names) - 1
	for ; newestGood >= 0; newestGood-- {
		if _, err := Verify(fsys, path.Join(parent, names[newestGood])); err == nil {
			break
		}
	}
	if err := fsys.SyncDir(parent); err != nil { // a newer one may have been renamed by a process that died then
		return err
	}
	for _, name := range names[:max(0, min(surplus, newestGood))] {
		if err := remove(fsys, path.Join(parent, name)); err != nil {
			return err
		}
	}
	return nil
}

// remove takes a snapshot away at once, as far as readers can see.
func remove(fsys vfs.FS, dir string) error {
	temp := dir + tempSuffix
	if err := fsys.RemoveAll(temp); err != nil {
		return err
	}
	if err := fsys.Rename(dir, temp); err != nil {
		return err
	}
	return fsys.RemoveAll(temp)
}
