package warc

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"forja/engine/vfs"
)

// Archive is a set of numbered files, prefix-00000.warc.gz and so on, that only grow. A new one is begun when the last
// one is as large as wanted. It is not safe for concurrent use.
type Archive struct {
	fsys    vfs.FS
	o       ArchiveOptions
	file    *vfs.Journal
	at      Position
	written bool // since the last Sync
}

// ArchiveOptions are how an archive is written.
type ArchiveOptions struct {
	Dir     string // "." is the root
	Prefix  string
	Suffix  string // ".warc.gz", or ".warc" for plain records
	MaxSize int64  // of a file; one may be larger by a record
	// Head makes the first bytes of a file: its warcinfo record.
	Head func(name string) []byte
}

// Position is a place in an archive.
type Position struct {
	File   int
	Offset int64
}

// Name is the path of a file of an archive.
func (o ArchiveOptions) Name(file int) string {
	return path.Join(o.Dir, fmt.Sprintf("%s-%05d%s", o.Prefix, file, o.Suffix))
}

// OpenArchive goes on at a position, the end of what is to be kept: what lies behind it is removed. The directory must
// exist.
func OpenArchive(fsys vfs.FS, o ArchiveOptions, end Position) (*Archive, error) {
	if end.File < 0 || end.Offset < 0 || o.MaxSize <= 0 {
		return nil, fmt.Errorf("open archive %s: file %d, offset %d, size %d: none may be negative", o.Prefix, end.File, end.Offset, o.MaxSize)
	}
	a := &Archive{fsys: fsys, o: o, at: end}
	for file := end.File; ; file++ {
		if file == end.File && end.Offset > 0 {
			continue
		}
		if err := fsys.Remove(o.Name(file)); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("open archive: %w", err)
		}
	}
	if end.Offset > 0 {
		var err error
		if a.file, err = vfs.OpenJournalAt(fsys, o.Name(end.File), end.Offset); err != nil {
			return nil, fmt.Errorf("open archive: %w", err)
		}
	}
	return a, nil
}

// Append writes encoded records, which stay together in one file, and says where they begin.
func (a *Archive) Append(records []byte) (Position, error) {
	if a.file != nil && a.at.Offset >= a.o.MaxSize {
		if err := a.file.Close(); err != nil { // which syncs it
			return Position{}, fmt.Errorf("write archive: %w", err)
		}
		a.file, a.at = nil, Position{File: a.at.File + 1}
	}
	if a.file == nil {
		name := a.o.Name(a.at.File)
		j, err := vfs.OpenJournalAt(a.fsys, name, 0)
		if err != nil {
			return Position{}, fmt.Errorf("write archive: %w", err)
		}
		a.file = j
		if a.o.Head != nil {
			if err := a.write(a.o.Head(strings.TrimPrefix(name, a.o.Dir+"/"))); err != nil {
				return Position{}, err
			}
		}
	}
	at := a.at
	return at, a.write(records)
}

func (a *Archive) write(b []byte) error {
	a.written = true
	n, err := a.file.Write(b)
	a.at.Offset += int64(n)
	if err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	return nil
}

// End is where the next records go, unless a new file is begun.
func (a *Archive) End() Position { return a.at }

// Sync makes everything appended durable.
func (a *Archive) Sync() error {
	if a.file == nil || !a.written {
		return nil
	}
	if err := a.file.Sync(); err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	a.written = false
	return nil
}

// Close syncs and closes the last file.
func (a *Archive) Close() error {
	if a.file == nil {
		return nil
	}
	err := a.file.Close()
	a.file = nil
	return err
}
