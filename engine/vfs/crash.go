package vfs

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// blockSize is the unit in which file bytes reach the disk.
const blockSize = 4096

// content is the bytes of a file. Bytes are only ever appended in place, so synced may share memory with data.
type content struct {
	data   []byte // as programs see it
	synced []byte // as the disk has it for sure
	low    int    // the shortest length since the last sync
	lost   bool   // a sync failed: the kernel dropped the dirty bytes, and later syncs report success
}

func (c *content) empty() { *c = content{synced: c.synced} }

func (c *content) truncate(size int) {
	if size > len(c.data) {
		c.data = append(slices.Clip(c.data), make([]byte, size-len(c.data))...)
		return
	}
	c.data = c.data[:size:size] // the next append copies
	c.low = min(c.low, size)
}

func (c *content) sync() {
	if !c.lost {
		c.synced, c.low = slices.Clip(c.data), len(c.data)
	}
}

// survivor is what the disk may hold: the old or the new length, or the shortest in between, and for every block the
// old bytes, the new ones, or zeros if it was cut off in between.
func (c *content) survivor(r *rand.Rand, keep float64) content {
	if len(c.data) == len(c.synced) && c.low == len(c.data) {
		return content{data: slices.Clip(c.synced), synced: slices.Clip(c.synced), low: len(c.synced)}
	}
	size, old := len(c.synced), c.synced
	if r.Float64() < keep {
		size = len(c.data)
		if c.low < len(old) && r.Float64() < .5 {
			old = old[:c.low]
			if r.Float64() < .5 {
				size = c.low
			}
		}
	}
	b := make([]byte, size)
	copy(b, old)
	for o := 0; o < min(size, len(c.data)); o += blockSize {
		if r.Float64() < keep {
			copy(b[o:min(o+blockSize, size)], c.data[o:])
		}
	}
	return content{data: b, synced: b, low: size}
}

// commit makes the entries of a directory durable, and with them everything they rest on: earlier changes to the
// same name or the same file.
func (m *Mem) commit(d *node) {
	type entry struct {
		dir  *node
		name string
	}
	names, nodes := map[entry]bool{}, map[*node]bool{}
	var commit, rest []change
	for _, c := range slices.Backward(m.pending) {
		if !slices.ContainsFunc(c, func(e edit) bool {
			return e.dir == d || names[entry{e.dir, e.name}] || nodes[e.node]
		}) {
			rest = append(rest, c)
			continue
		}
		commit = append(commit, c)
		for _, e := range c {
			names[entry{e.dir, e.name}], nodes[e.node] = true, true
		}
	}
	for _, c := range slices.Backward(commit) {
		c.apply(func(dir *node) map[string]*node { return dir.durable })
	}
	slices.Reverse(rest)
	m.pending = rest
}

// Crash returns the file system as a machine could find it after losing power now. Synced data is there. Of the
// rest, every 4 KiB block, every file length and every change of names is there with probability keep, independently,
// but for one thing: what happens to one file's name happens in order. A rename is there whole or not at all.
// A lengthened file whose blocks did not arrive holds zeros.
func (m *Mem) Crash(r *rand.Rand, keep float64) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	after, dropped := map[*node]map[string]*node{}, map[*node]bool{}
	for _, c := range m.pending {
		gone := r.Float64() >= keep || slices.ContainsFunc(c, func(e edit) bool { return dropped[e.node] })
		if gone {
			for _, e := range c {
				dropped[e.node] = true
			}
			continue
		}
		c.apply(func(dir *node) map[string]*node {
			if after[dir] == nil {
				after[dir] = maps.Clone(dir.durable)
			}
			return after[dir]
		})
	}
	disk := newMem(crashed(m.root, after, r, keep))
	disk.Capacity = m.Capacity
	return disk
}

func crashed(n *node, after map[*node]map[string]*node, r *rand.Rand, keep float64) *node {
	if !n.isDir() {
		return &node{content: n.content.survivor(r, keep)}
	}
	entries := after[n]
	if entries == nil {
		entries = n.durable
	}
	d := newDir()
	for _, name := range slices.Sorted(maps.Keys(entries)) { // in order: r decides the same thing on every run
		d.entries[name] = crashed(entries[name], after, r, keep)
	}
	d.durable = maps.Clone(d.entries)
	return d
}
