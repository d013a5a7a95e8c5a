package safetensors

import (
	"cmp"
	"fmt"
	"io"
	"slices"
)

// MaxShardBytes is the size at which files are split, that of transformers.
const MaxShardBytes = 5_000_000_000

// A Shard is one file of a set.
type Shard struct {
	Name    string
	Entries []Entry
}

// PlanShards divides entries, in their order, into files of at most maxBytes of data; a tensor that is larger has a file
// of its own. One file is called base.safetensors, several base-00001-of-0000N.safetensors.
func PlanShards(base string, entries []Entry, maxBytes int64) ([]Shard, error) {
	shards := []Shard{{}}
	room := maxBytes
	for _, e := range entries {
		size, err := e.Size()
		if err != nil {
			return nil, err
		}
		last := &shards[len(shards)-1]
		if len(last.Entries) > 0 && (size > room || len(last.Entries) == maxTensors) {
			shards = append(shards, Shard{})
			last, room = &shards[len(shards)-1], maxBytes
		}
		last.Entries = append(last.Entries, e)
		room -= size
	}
	for i := range shards {
		shards[i].Name = base + suffix
		if len(shards) > 1 {
			shards[i].Name = fmt.Sprintf("%s-%05d-of-%05d%s", base, i+1, len(shards), suffix)
		}
	}
	return shards, nil
}

// WriteSet plans shards and writes them, and an index if there is more than one. It gives every file to create, which is
// the method File of a snapshot's Writer, or a call of vfs.WriteStream.
func WriteSet(create func(name string, write func(io.Writer) error) error, base string, entries []Entry, maxBytes int64,
	metadata map[string]string) error {
	shards, err := PlanShards(base, entries, maxBytes)
	if err != nil {
		return err
	}
	for _, s := range shards {
		if err := create(s.Name, func(w io.Writer) error { return Write(w, s.Entries, metadata) }); err != nil {
			return err
		}
	}
	if len(shards) == 1 {
		return nil
	}
	index, err := encodeIndex(shards)
	if err != nil {
		return err
	}
	return create(base+indexSuffix, func(w io.Writer) error { _, err := w.Write(index); return err })
}

// encodeIndex lists the tensors of all shards, sorted by name.
func encodeIndex(shards []Shard) ([]byte, error) {
	var weights []weight
	total := int64(0)
	for _, s := range shards {
		for _, e := range s.Entries {
			size, err := e.Size()
			if err != nil {
				return nil, err
			}
			total += size
			weights = append(weights, weight{e.Name, s.Name})
		}
	}
	slices.SortFunc(weights, func(a, b weight) int { return cmp.Compare(a.tensor, b.tensor) })
	b := fmt.Appendf(nil, "{\n  \"metadata\": {\n    \"total_size\": %d\n  },\n  \"weight_map\": {", total)
	for i, w := range weights {
		if i > 0 {
			if weights[i-1].tensor == w.tensor {
				return nil, fmt.Errorf("write safetensors: two tensors are called %q", w.tensor)
			}
			b = append(b, ',')
		}
		b = append(b, "\n    "...)
		b = append(appendString(b, w.tensor), ": "...)
		b = appendString(b, w.file)
	}
	return append(b, "\n  }\n}\n"...), nil
}
