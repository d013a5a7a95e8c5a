package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Mem is a file system in memory that tells what a program sees (the page cache) from what is on the disk.
// [Mem.Crash] is a power loss, Hook injects errors, Capacity makes the disk full. It is safe for concurrent use.
type Mem struct {
	// Hook, if set, runs before every operation. An error from it becomes the operation's error, and the operation
	// does not happen; a [ShortWrite] lets a write happen in part. A failed [OpSync] loses the unsynced bytes for good.
	// Set it while no operation runs.
	Hook func(op Op, name string) error
	// Capacity is the total size in bytes that files may have; 0 is no limit.
	Capacity int64

	mu      sync.Mutex
	root    *node
	pending []change // since the SyncDirs that made them durable, oldest first
	locked  map[*node]bool
}

var _ FS = (*Mem)(nil)

// Op names an operation for [Mem.Hook].
type Op string

const (
	OpOpen     Op = "open"
	OpRead     Op = "read"
	OpCreate   Op = "create"
	OpAppend   Op = "append"
	OpLock     Op = "lock"
	OpWrite    Op = "write"
	OpTruncate Op = "truncate"
	OpSync     Op = "sync"
	OpClose    Op = "close" // of a file being written
	OpMkdir    Op = "mkdir"
	OpRename   Op = "rename"
	OpRemove   Op = "remove" // RemoveAll does one for each name
	OpReadDir  Op = "readdir"
	OpStat     Op = "stat"
	OpSyncDir  Op = "syncdir"
)

// Writes reports whether the operation can change what is on the disk.
func (op Op) Writes() bool {
	return op != OpOpen && op != OpRead && op != OpReadDir && op != OpStat
}

// FailNth is a hook that fails the n-th operation that can change the disk, counting from 0, and no other.
func FailNth(n int, err error) func(Op, string) error {
	return func(op Op, _ string) error {
		if op.Writes() {
			if n--; n == -1 {
				return err
			}
		}
		return nil
	}
}

// ShortWrite is an error for a hook to return: the first Bytes bytes are written, then Err is reported.
type ShortWrite struct {
	Bytes int
	Err   error
}

func (e *ShortWrite) Error() string {
	return fmt.Sprintf("short write of %d bytes: %v", e.Bytes, e.Err)
}
func (e *ShortWrite) Unwrap() error { return e.Err }

// NewMem is an empty file system.
func NewMem() *Mem { return newMem(newDir()) }

func newMem(root *node) *Mem { return &Mem{root: root, locked: map[*node]bool{}} }

// A node is a file or a directory.
type node struct {
	content content // of a file

	entries map[string]*node // of a directory, as programs see it; nil for a file
	durable map[string]*node // of a directory, as the disk has it
}

func newDir() *node { return &node{entries: map[string]*node{}, durable: map[string]*node{}} }

func (n *node) isDir() bool { return n.entries != nil }

// A change is a set of directory entries that reach the disk together or not at all.
type change []edit

type edit struct {
	dir    *node
	name   string
	node   *node
	remove bool
}

func (c change) apply(entries func(dir *node) map[string]*node) {
	for _, e := range c {
		if e.remove {
			delete(entries(e.dir), e.name)
		} else {
			entries(e.dir)[e.name] = e.node
		}
	}
}

func seen(dir *node) map[string]*node { return dir.entries }

// apply makes a change that programs see at once and the disk later.
func (m *Mem) apply(c change) {
	c.apply(seen)
	m.pending = append(m.pending, c)
}

// ask runs the hook, outside the lock, so that it may call Crash.
func (m *Mem) ask(op Op, name string) error {
	if err := checkName(string(op), name); err != nil {
		return err
	}
	if m.Hook == nil {
		return nil
	}
	return m.fail(op, name, m.Hook(op, name))
}

func (m *Mem) fail(op Op, name string, err error) error {
	if err == nil {
		return nil
	}
	if isNoSpace(err) {
		free, _ := m.Free()
		return &NoSpaceError{Op: string(op), Path: name, Free: free, Err: err}
	}
	return &fs.PathError{Op: string(op), Path: name, Err: err}
}

// find returns the node called name.
func (m *Mem) find(name string) (*node, error) {
	n := m.root
	if name == "." {
		return n, nil
	}
	for part := range strings.SplitSeq(name, "/") {
		if !n.isDir() {
			return nil, syscall.ENOTDIR
		}
		if n = n.entries[part]; n == nil {
			return nil, syscall.ENOENT
		}
	}
	return n, nil
}

// findDir is find for a directory.
func (m *Mem) findDir(name string) (*node, error) {
	n, err := m.find(name)
	if err == nil && !n.isDir() {
		return nil, syscall.ENOTDIR
	}
	return n, err
}

// parent returns the directory that holds name, and name's last element.
func (m *Mem) parent(name string) (*node, string, error) {
	if name == "." {
		return nil, "", syscall.EBUSY
	}
	d, err := m.findDir(path.Dir(name))
	return d, path.Base(name), err
}

// do runs an operation on the tree under the hook and the lock.
func (m *Mem) do(op Op, name string, f func() error) error {
	if err := m.ask(op, name); err != nil {
		return err
	}
	m.mu.Lock()
	err := f()
	m.mu.Unlock()
	return m.fail(op, name, err)
}

func (m *Mem) Path(name string) string { return name }

func (m *Mem) Mkdir(name string) error {
	return m.do(OpMkdir, name, func() error {
		d, base, err := m.parent(name)
		if err != nil {
			return err
		}
		if d.entries[base] != nil {
			return syscall.EEXIST
		}
		m.apply(change{{dir: d, name: base, node: newDir()}})
		return nil
	})
}

func (m *Mem) Rename(old, new string) error {
	if err := checkName(string(OpRename), new); err != nil {
		return err
	}
	return m.do(OpRename, old, func() error {
		from, oldBase, err := m.parent(old)
		if err != nil {
			return err
		}
		to, newBase, err := m.parent(new)
		if err != nil {
			return err
		}
		n, replaced := from.entries[oldBase], to.entries[newBase]
		switch {
		case n == nil:
			return syscall.ENOENT
		case replaced != nil && replaced.isDir():
			return syscall.EEXIST
		case replaced != nil && n.isDir():
			return syscall.ENOTDIR
		case strings.HasPrefix(new, old+"/"):
			return syscall.EINVAL
		case old != new:
			m.apply(change{{dir: from, name: oldBase, node: n, remove: true}, {dir: to, name: newBase, node: n}})
		}
		return nil
	})
}

func (m *Mem) Remove(name string) error {
	return m.do(OpRemove, name, func() error {
		d, base, err := m.parent(name)
		if err != nil {
			return err
		}
		n := d.entries[base]
		if n == nil {
			return syscall.ENOENT
		}
		if len(n.entries) > 0 {
			return syscall.ENOTEMPTY
		}
		m.apply(change{{dir: d, name: base, node: n, remove: true}})
		return nil
	})
}

func (m *Mem) RemoveAll(name string) error {
	if err := checkName(string(OpRemove), name); err != nil {
		return err
	}
	m.mu.Lock()
	n, err := m.find(name)
	var names []string
	if err == nil {
		names = slices.Sorted(maps.Keys(n.entries))
	}
	m.mu.Unlock()
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return m.fail(OpRemove, name, err)
	}
	for _, base := range names {
		if err := m.RemoveAll(path.Join(name, base)); err != nil {
			return err
		}
	}
	return m.Remove(name)
}

func (m *Mem) ReadDir(name string) (list []fs.DirEntry, err error) {
	err = m.do(OpReadDir, name, func() error {
		d, err := m.findDir(name)
		if err != nil {
			return err
		}
		for _, base := range slices.Sorted(maps.Keys(d.entries)) {
			list = append(list, fs.FileInfoToDirEntry(memInfo{base, d.entries[base]}))
		}
		return nil
	})
	return list, err
}

func (m *Mem) Stat(name string) (info fs.FileInfo, err error) {
	err = m.do(OpStat, name, func() error {
		n, err := m.find(name)
		info = memInfo{path.Base(name), n}
		return err
	})
	if err != nil {
		return nil, err
	}
	return info, nil
}

func (m *Mem) SyncDir(name string) error {
	return m.do(OpSyncDir, name, func() error {
		d, err := m.findDir(name)
		if err != nil {
			return err
		}
		m.commit(d)
		return nil
	})
}

// Free is what is left of Capacity, or a lot.
func (m *Mem) Free() (int64, error) {
	if m.Capacity == 0 {
		return 1 << 60, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.free(), nil
}

func (m *Mem) free() int64 { return max(0, m.Capacity-m.root.size()) }

func (n *node) size() int64 {
	total := int64(len(n.content.data))
	for _, child := range n.entries {
		total += child.size()
	}
	return total
}

// memInfo is the [fs.FileInfo] of a node. There is no clock: every modification time is zero.
type memInfo struct {
	name string
	node *node
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return int64(len(i.node.content.data)) }
func (i memInfo) ModTime() time.Time { return time.Time{} }
func (i memInfo) IsDir() bool        { return i.node.isDir() }
func (i memInfo) Sys() any           { return nil }

func (i memInfo) Mode() fs.FileMode {
	if i.IsDir() {
		return fs.ModeDir | 0o755
	}
	return 0o644
}
