package vfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"syscall"
)

func (m *Mem) Create(name string) (File, error) {
	return m.openWrite(OpCreate, name)
}

func (m *Mem) Append(name string) (File, error) {
	return m.openWrite(OpAppend, name)
}

func (m *Mem) Lock(name string) (File, error) {
	return m.openWrite(OpLock, name)
}

// openWrite opens or makes a file, empties it for OpCreate and locks it for OpLock.
func (m *Mem) openWrite(op Op, name string) (File, error) {
	f := &memFile{mem: m, name: name}
	err := m.do(op, name, func() error {
		d, base, err := m.parent(name)
		if err != nil {
			return err
		}
		n := d.entries[base]
		switch {
		case n != nil && n.isDir():
			return syscall.EISDIR
		case n == nil:
			n = &node{}
			m.apply(change{{dir: d, name: base, node: n}})
		case op == OpCreate:
			n.content.empty()
		case op == OpLock && m.locked[n]:
			return ErrLocked
		}
		if op == OpLock {
			m.locked[n], f.locked = true, true
		}
		f.node = n
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// A memFile is an open file of a Mem.
type memFile struct {
	mem    *Mem
	node   *node
	name   string
	locked bool
	closed bool
}

func (f *memFile) do(op Op, g func() error) error {
	return f.mem.do(op, f.name, func() error {
		if f.closed {
			return fs.ErrClosed
		}
		return g()
	})
}

func (f *memFile) Write(b []byte) (n int, err error) {
	var short *ShortWrite
	err = f.do(OpWrite, func() error { return f.write(b, &n) })
	if errors.As(err, &short) && !f.closed { // the hook stopped the operation; do its part
		f.mem.mu.Lock()
		defer f.mem.mu.Unlock()
		_ = f.write(b[:min(short.Bytes, len(b))], &n) // the injected error is the one to report
	}
	return n, err
}

// write appends b, or what fits of it, and sets n.
func (f *memFile) write(b []byte, n *int) (err error) {
	if f.mem.Capacity > 0 {
		if free := f.mem.free(); int64(len(b)) > free {
			b, err = b[:free], syscall.ENOSPC
		}
	}
	f.node.content.data = append(f.node.content.data, b...)
	*n = len(b)
	return err
}

func (f *memFile) Truncate(size int64) error {
	return f.do(OpTruncate, func() error {
		if size < 0 {
			return syscall.EINVAL
		}
		f.node.content.truncate(int(size))
		return nil
	})
}

func (f *memFile) Sync() error {
	err := f.do(OpSync, func() error {
		f.node.content.sync()
		return nil
	})
	if err != nil && !f.closed {
		f.mem.mu.Lock()
		defer f.mem.mu.Unlock()
		f.node.content.lost = true
	}
	return err
}

// Close closes the file even if it reports an error.
func (f *memFile) Close() error {
	err := f.do(OpClose, func() error { return nil })
	f.mem.mu.Lock()
	defer f.mem.mu.Unlock()
	f.closed = true
	if f.locked {
		delete(f.mem.locked, f.node)
		f.locked = false
	}
	return err
}

func (m *Mem) Open(name string) (Reader, error) {
	r := &memReader{mem: m, name: name}
	err := m.do(OpOpen, name, func() error {
		n, err := m.find(name)
		if err != nil {
			return err
		}
		if n.isDir() {
			return syscall.EISDIR
		}
		data := n.content.data
		r.Reader = bytes.NewReader(data[:len(data):len(data)])
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// A memReader reads the bytes a file had when it was opened.
type memReader struct {
	*bytes.Reader
	mem  *Mem
	name string
}

func (r *memReader) Read(b []byte) (int, error) {
	if err := r.mem.ask(OpRead, r.name); err != nil {
		return 0, err
	}
	return r.Reader.Read(b)
}

func (r *memReader) ReadAt(b []byte, off int64) (int, error) {
	if err := r.mem.ask(OpRead, r.name); err != nil {
		return 0, err
	}
	return r.Reader.ReadAt(b, off)
}

// WriteTo hides the one of bytes.Reader, which would go past the hook.
func (r *memReader) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{r})
}

func (r *memReader) Close() error { return nil }

// Damage changes the bytes of a file behind the program's back, in the cache and on the disk, as a failing disk does.
// It panics if there is no such file.
func (m *Mem) Damage(name string, f func([]byte) []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err != nil || n.isDir() {
		panic("vfs: Damage: no file " + name)
	}
	n.content = content{data: f(slices.Clone(n.content.data))}
	n.content.sync()
}
