// Package store keeps the files of a corpus where one machine or many can reach them: in a folder, or in a bucket of a
// service that speaks S3.
//
// A store is what these have in common and a corpus needs: files with names, which appear whole or not at all. Nothing is
// appended to, locked or renamed, since buckets can do none of it.
//
// Deliberately absent: random access, listing of parts, and copies between stores.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"forja/engine/vfs"
)

// A File is one file of a store.
type File struct {
	Name string // slash-separated, as in fs.ValidPath; no part of it begins with a dot or ends in .tmp
	Size int64
}

// A Store is a tree of files. It is safe for concurrent use. Of two who write the same file at a time one may be refused.
type Store interface {
	// List gives all files that are whole, sorted by name.
	List(ctx context.Context) ([]File, error)
	// Open reads a file from its beginning; fs.ErrNotExist if there is none.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	// Write makes a file, or replaces it, by what write produces. When it returns nil the file is there, whole, and
	// survives a power loss; otherwise what was there before is untouched.
	Write(ctx context.Context, name string, write func(io.Writer) error) error
	// Remove removes a file; a missing one is no error.
	Remove(ctx context.Context, name string) error
	// Path is the name as a person would type it, for messages.
	Path(name string) string
	Close() error
}

// Open opens a store by its location, s3://bucket/prefix or a folder, which is made if it is missing.
func Open(ctx context.Context, location string) (Store, error) {
	scheme, rest, found := strings.Cut(location, "://")
	switch {
	case !found:
		return openFolder(location)
	case scheme == "s3":
		return openBucket(ctx, rest)
	}
	return nil, fmt.Errorf("%s: stores are folders and s3://bucket/prefix, not %s", location, scheme)
}

// ReadFile gives the bytes of a file of at most limit bytes.
func ReadFile(ctx context.Context, s Store, name string, limit int64) (b []byte, err error) {
	f, err := s.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if b, err = io.ReadAll(io.LimitReader(f, limit+1)); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Path(name), err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: more than %d bytes", s.Path(name), limit)
	}
	return b, nil
}

// WriteFile makes a file of bytes.
func WriteFile(ctx context.Context, s Store, name string, b []byte) error {
	return s.Write(ctx, name, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// unfinished is how files end that are being written.
const unfinished = ".tmp"

// valid refuses names that are not inside a store, and those that List passes over.
func valid(op, name string) error {
	ok := fs.ValidPath(name) && name != "." && !strings.ContainsAny(name, "\\\x00")
	for element := range strings.SplitSeq(name, "/") {
		ok = ok && !hidden(element)
	}
	if !ok {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	return nil
}

// hidden is whether what has this name, file or folder, is no part of a store.
func hidden(element string) bool {
	return strings.HasPrefix(element, ".") || strings.HasSuffix(element, unfinished) || element == vfs.LockFile
}
