package dedup

import (
	"bufio"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"forja/engine/vfs"
)

// A record says that a document has a key.
type record struct {
	key uint64
	doc uint32
}

// recordSize is a record's on disk: key and document, little-endian.
const recordSize = 12

// A sorter puts records in the order of their keys and, of one key, in that in which they came. What does not fit in
// memory goes to files, sorted, and is merged.
type sorter struct {
	dir     vfs.FS
	buffer  []record
	scratch []record
	most    int // records in memory
	runs    []string
	disk    int64 // bytes written
}

// add takes a record.
func (s *sorter) add(r record) error {
	if len(s.buffer) == s.most {
		if err := s.spill(); err != nil {
			return err
		}
	}
	s.buffer = append(s.buffer, r)
	return nil
}

// sort orders the records in memory by radix, which keeps the order of equal keys.
func (s *sorter) sort() {
	if cap(s.scratch) < len(s.buffer) {
		s.scratch = make([]record, len(s.buffer))
	}
	from, to := s.buffer, s.scratch[:len(s.buffer)]
	var count [8][256]int
	for _, r := range from {
		for d := range count {
			count[d][byte(r.key>>(8*d))]++
		}
	}
	for d := range count {
		at := 0
		for i, n := range count[d] {
			count[d][i] = at
			at += n
		}
		for _, r := range from {
			p := &count[d][byte(r.key>>(8*d))]
			to[*p] = r
			*p++
		}
		from, to = to, from // eight times: the result is where it began
	}
}

// spill writes the records in memory to a file of their own.
func (s *sorter) spill() (err error) {
	s.sort()
	name := fmt.Sprintf("keys-%06d", len(s.runs))
	f, err := s.dir.Create(name)
	if err != nil {
		return err
	}
	s.runs = append(s.runs, name)
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	var b [recordSize]byte
	for _, r := range s.buffer {
		binary.LittleEndian.PutUint64(b[:], r.key)
		binary.LittleEndian.PutUint32(b[8:], r.doc)
		if _, err := w.Write(b[:]); err != nil {
			return err
		}
	}
	s.disk += int64(len(s.buffer)) * recordSize
	s.buffer = s.buffer[:0]
	return w.Flush()
}

// each visits all records in order.
func (s *sorter) each(visit func(record) error) (err error) {
	if len(s.runs) == 0 {
		s.sort()
		for _, r := range s.buffer {
			if err := visit(r); err != nil {
				return err
			}
		}
		return nil
	}
	if err := s.spill(); err != nil {
		return err
	}
	s.buffer, s.scratch = nil, nil
	var m merge
	defer func() {
		for _, r := range m {
			err = errors.Join(err, r.file.Close())
		}
	}()
	for i, name := range s.runs {
		f, err := s.dir.Open(name)
		if err != nil {
			return err
		}
		r := &run{number: i, file: f, in: bufio.NewReaderSize(f, 1<<18)}
		m = append(m, r)
	}
	var open merge
	for _, r := range m {
		if more, err := r.next(); err != nil {
			return err
		} else if more {
			open = append(open, r)
		}
	}
	heap.Init(&open)
	for len(open) > 0 {
		r := open[0]
		if err := visit(r.record); err != nil {
			return err
		}
		more, err := r.next()
		switch {
		case err != nil:
			return err
		case more:
			heap.Fix(&open, 0)
		default:
			heap.Pop(&open)
		}
	}
	return nil
}

// remove gives back the files.
func (s *sorter) remove() (err error) {
	for _, name := range s.runs {
		err = errors.Join(err, s.dir.Remove(name))
	}
	s.runs = nil
	return err
}

// A run is a file of sorted records being read.
type run struct {
	record
	number int
	file   vfs.Reader
	in     *bufio.Reader
}

func (r *run) next() (more bool, err error) {
	var b [recordSize]byte
	if _, err := io.ReadFull(r.in, b[:]); errors.Is(err, io.EOF) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("sorted keys, file %d: %w", r.number, err)
	}
	r.record = record{binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint32(b[8:])}
	return true, nil
}

// merge is a heap of runs; of one key, earlier runs come first.
type merge []*run

func (m merge) Len() int { return len(m) }
func (m merge) Less(i, j int) bool {
	return m[i].key < m[j].key || m[i].key == m[j].key && m[i].number < m[j].number
}
func (m merge) Swap(i, j int) { m[i], m[j] = m[j], m[i] }
func (m *merge) Push(x any)   { *m = append(*m, x.(*run)) }
func (m *merge) Pop() any {
	last := len(*m) - 1
	r := (*m)[last]
	*m = (*m)[:last]
	return r
}
