package dedup

import (
	"bufio"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unsafe"

	"forja/engine/vfs"
)

// A record is a value that has a key.
type record[V any] struct {
	key   uint64
	value V
}

// A layout is how values are written, in so many bytes each.
type layout[V any] struct {
	size int
	put  func([]byte, V)
	get  func([]byte) V
}

// A sorter puts records in the order of their keys and, of one key, in that in which they came. What does not fit in
// memory goes to files, sorted, and is merged.
type sorter[V any] struct {
	dir     vfs.FS
	name    string // of the files, before a number
	layout  layout[V]
	most    int // records in memory
	buffer  []record[V]
	scratch []record[V]
	sorted  bool // the buffer is
	runs    []string
	disk    int64 // bytes written
}

// newSorter makes a sorter that takes about as many bytes of memory.
func newSorter[V any](dir vfs.FS, name string, memory int64, l layout[V]) sorter[V] {
	size := int64(unsafe.Sizeof(record[V]{}))
	return sorter[V]{dir: dir, name: name, layout: l, most: int(max(minRecords, memory/(2*size)))} // sorted into a copy
}

// minRecords keep sorted files from being many and tiny.
const minRecords = 1 << 10

// add takes a record; none may follow each.
func (s *sorter[V]) add(key uint64, value V) error {
	if len(s.buffer) == s.most {
		if err := s.spill(); err != nil {
			return err
		}
	}
	s.buffer = append(s.buffer, record[V]{key, value})
	s.sorted = false
	return nil
}

// sort orders the records in memory by radix, which keeps the order of equal keys.
func (s *sorter[V]) sort() {
	if s.sorted || len(s.buffer) == 0 {
		return
	}
	if cap(s.scratch) < len(s.buffer) {
		s.scratch = make([]record[V], len(s.buffer))
	}
	from, to := s.buffer, s.scratch[:len(s.buffer)]
	var count [8][256]int
	for _, r := range from {
		for d := range count {
			count[d][byte(r.key>>(8*d))]++
		}
	}
	for d := range count {
		if count[d][byte(from[0].key>>(8*d))] == len(from) { // all have the same digit
			continue
		}
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
		from, to = to, from
	}
	s.buffer, s.scratch, s.sorted = from, to, true
}

// spill writes the records in memory to a file of their own.
func (s *sorter[V]) spill() (err error) {
	s.sort()
	name := fmt.Sprintf("%s-%06d", s.name, len(s.runs))
	f, err := s.dir.Create(name)
	if err != nil {
		return err
	}
	s.runs = append(s.runs, name)
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	b := make([]byte, 8+s.layout.size)
	for _, r := range s.buffer {
		binary.LittleEndian.PutUint64(b, r.key)
		s.layout.put(b[8:], r.value)
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	s.disk += int64(len(s.buffer)) * int64(len(b))
	s.buffer = s.buffer[:0]
	return w.Flush()
}

// each visits all records in order. It may be called again.
func (s *sorter[V]) each(visit func(record[V]) error) (err error) {
	if len(s.runs) == 0 {
		s.sort()
		for _, r := range s.buffer {
			if err := visit(r); err != nil {
				return err
			}
		}
		return nil
	}
	if len(s.buffer) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
	}
	s.buffer, s.scratch = nil, nil
	var all, open merge[V]
	defer func() {
		for _, r := range all {
			err = errors.Join(err, r.file.Close())
		}
	}()
	size := max(1<<12, min(1<<18, s.most*(8+s.layout.size)/len(s.runs)))
	for i, name := range s.runs {
		f, err := s.dir.Open(name)
		if err != nil {
			return err
		}
		r := &run[V]{layout: s.layout, number: i, file: f, in: bufio.NewReaderSize(f, size), b: make([]byte, 8+s.layout.size)}
		all = append(all, r)
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

// remove gives back the files and the memory.
func (s *sorter[V]) remove() (err error) {
	for _, name := range s.runs {
		err = errors.Join(err, s.dir.Remove(name))
	}
	s.runs, s.buffer, s.scratch = nil, nil, nil
	return err
}

// A run is a file of sorted records being read.
type run[V any] struct {
	record[V]
	layout layout[V]
	number int
	file   vfs.Reader
	in     *bufio.Reader
	b      []byte
}

func (r *run[V]) next() (more bool, err error) {
	if _, err := io.ReadFull(r.in, r.b); errors.Is(err, io.EOF) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("sorted keys, file %d: %w", r.number, err)
	}
	r.record = record[V]{binary.LittleEndian.Uint64(r.b), r.layout.get(r.b[8:])}
	return true, nil
}

// merge is a heap of runs; of one key, earlier runs come first.
type merge[V any] []*run[V]

func (m merge[V]) Len() int { return len(m) }
func (m merge[V]) Less(i, j int) bool {
	return m[i].key < m[j].key || m[i].key == m[j].key && m[i].number < m[j].number
}
func (m merge[V]) Swap(i, j int) { m[i], m[j] = m[j], m[i] }
func (m *merge[V]) Push(x any)   { *m = append(*m, x.(*run[V])) }
func (m *merge[V]) Pop() any {
	last := len(*m) - 1
	r := (*m)[last]
	*m = (*m)[:last]
	return r
}
