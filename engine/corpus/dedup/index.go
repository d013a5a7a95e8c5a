package dedup

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"

	"forja/engine/vfs"
)

// An Index joins documents that share keys. Documents are known by number, from 0 in the order in which they come.
type Index struct {
	sorter  sorter[uint32]
	parents parents
}

// documentNumbers are what an index sorts.
var documentNumbers = layout[uint32]{4, binary.LittleEndian.PutUint32, binary.LittleEndian.Uint32}

const defaultMemory = 256 << 20

// NewIndex makes an index that takes about as many bytes of memory for its keys, and four for each document; 0 is 256 MiB.
// Keys beyond that go to files of a directory, which may be nil if there are none.
func NewIndex(dir vfs.FS, memory int64) *Index {
	if memory <= 0 {
		memory = defaultMemory
	}
	return &Index{sorter: newSorter(dir, "keys", memory, documentNumbers)}
}

// Add gives the next document's keys.
func (x *Index) Add(keys []uint64) error {
	if len(x.parents) == math.MaxUint32 {
		return fmt.Errorf("an index holds at most %d documents: deduplicate in parts", uint32(math.MaxUint32))
	}
	doc := uint32(len(x.parents))
	x.parents = append(x.parents, doc)
	for _, key := range keys {
		if err := x.sorter.add(key, doc); err != nil {
			return fmt.Errorf("keys of document %d: %w", doc, err)
		}
	}
	return nil
}

// candidates are the documents that share a key with another, sorted. None may be added after.
func (x *Index) candidates() (docs []uint64, err error) {
	shared := make([]uint64, (len(x.parents)+63)/64) // a bit a document
	mark := func(doc uint32) { shared[doc/64] |= 1 << (doc % 64) }
	var last record[uint32]
	any := false
	err = x.sorter.each(func(r record[uint32]) error {
		if any && r.key == last.key && r.value != last.value {
			mark(last.value)
			mark(r.value)
		}
		last, any = r, true
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find documents of equal keys: %w", err)
	}
	for i, word := range shared {
		for ; word != 0; word &= word - 1 {
			docs = append(docs, uint64(i*64+bits.TrailingZeros64(word)))
		}
	}
	return docs, nil
}

// maxLeaders bounds the documents of one key that others are verified against.
const maxLeaders = 32

// Clusters joins documents that share a key and that same says are the same; nil joins them all. For each document it
// gives the first one of its cluster. Of one key, a document is compared with those, at most 32, that were found to be
// different from each other, not with all: the result depends on nothing but the keys, the order of the documents and same.
// It empties the index.
func (x *Index) Clusters(same func(a, b uint32) (bool, error)) (first []uint32, err error) {
	var leaders []uint32
	var key uint64
	err = x.sorter.each(func(r record[uint32]) error {
		if r.key != key {
			key, leaders = r.key, leaders[:0]
		}
		alone := true
		for _, leader := range leaders {
			joined := x.parents.find(leader) == x.parents.find(r.value)
			if !joined {
				if same == nil {
					joined = true
				} else if joined, err = same(leader, r.value); err != nil {
					return err
				}
				if joined {
					x.parents.join(leader, r.value)
				}
			}
			alone = alone && !joined
		}
		if alone && len(leaders) < maxLeaders {
			leaders = append(leaders, r.value)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("join documents of equal keys: %w", err)
	}
	for doc := range x.parents {
		x.parents[doc] = x.parents.find(uint32(doc))
	}
	first = x.parents
	x.parents = nil
	return first, x.Close()
}

// Spilled is how many bytes of keys have gone to files.
func (x *Index) Spilled() int64 { return x.sorter.disk }

// Close removes the files.
func (x *Index) Close() error { return x.sorter.remove() }

// parents is a union-find forest in which every root is the first document of its tree.
type parents []uint32

func (p parents) find(doc uint32) uint32 {
	for p[doc] != doc {
		p[doc] = p[p[doc]]
		doc = p[doc]
	}
	return doc
}

func (p parents) join(a, b uint32) {
	a, b = p.find(a), p.find(b)
	p[max(a, b)] = min(a, b)
}
