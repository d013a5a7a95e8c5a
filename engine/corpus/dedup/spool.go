package dedup

import (
	"bufio"
	"errors"
	"fmt"
	"slices"

	"forja/engine/vfs"
)

// A spool keeps pieces of bytes in a file, in the order in which they come.
type spool struct {
	dir    vfs.FS
	name   string
	file   vfs.File
	out    *bufio.Writer
	in     vfs.Reader
	ends   []int64
	buffer []byte
}

func newSpool(dir vfs.FS, name string) (*spool, error) {
	f, err := dir.Create(name)
	if err != nil {
		return nil, err
	}
	return &spool{dir: dir, name: name, file: f, out: bufio.NewWriterSize(f, 1<<20), ends: []int64{0}}, nil
}

func (s *spool) add(piece []byte) error {
	s.ends = append(s.ends, s.ends[len(s.ends)-1]+int64(len(piece)))
	_, err := s.out.Write(piece)
	return err
}

// read ends writing.
func (s *spool) read() (err error) {
	if err := s.out.Flush(); err != nil {
		return err
	}
	file := s.file
	s.file, s.out = nil, nil
	if err := file.Close(); err != nil {
		return err
	}
	s.in, err = s.dir.Open(s.name)
	return err
}

// piece is one of those added, by number from 0, and valid until the next call.
func (s *spool) piece(i int) ([]byte, error) {
	size := int(s.ends[i+1] - s.ends[i])
	s.buffer = slices.Grow(s.buffer[:0], size)[:size]
	if _, err := s.in.ReadAt(s.buffer, s.ends[i]); err != nil {
		return nil, fmt.Errorf("piece %d of %s: %w", i, s.dir.Path(s.name), err)
	}
	return s.buffer, nil
}

// close removes the file.
func (s *spool) close() (err error) {
	if s.file != nil {
		err = s.file.Close()
	}
	if s.in != nil {
		err = errors.Join(err, s.in.Close())
	}
	return errors.Join(err, s.dir.Remove(s.name))
}
