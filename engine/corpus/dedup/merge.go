package dedup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"

	"forja/engine/corpus/shard"
	"forja/engine/corpus/store"
	"forja/engine/vfs"
)

// A repeat is a unit that goes, and the one that it repeats, by number over all files.
type repeat struct{ unit, first uint64 }

// A merger is a merge at work.
type merger struct {
	*Job
	files  []store.File
	signed string   // the hash of signing
	merged string   // that of merging
	starts []uint64 // the number of each file's first unit, and at last of all
}

// Merge is the step between, for one process: of each input it makes the list of what is to be removed. It is an error if a
// file is not signed. If all lists are there it does nothing. Beyond Memory it takes 16 bytes for each document of which
// there are copies and, for near duplicates, 4 for each document and 16 for each that shares a key. The report says what
// was looked at.
func (j *Job) Merge(ctx context.Context) (r shard.Report, err error) {
	if err := j.validate(); err != nil {
		return r, err
	}
	signed, err := j.Sign().Finished(ctx)
	if err != nil {
		return r, err
	}
	m := &merger{Job: j, signed: signed.Settings}
	if m.files, err = j.inputs(ctx); err != nil {
		return r, err
	}
	if m.merged, err = j.merged(m.files); err != nil {
		return r, err
	}
	r = shard.Report{Step: "dedup merge", Settings: m.merged, Files: signed.Files, Size: signed.Size, Read: signed.Read}
	done, err := m.done(ctx)
	switch {
	case done || err != nil:
		return r, err
	case j.Exact != "":
		return r, m.exactly(ctx)
	default:
		return r, m.nearly(ctx)
	}
}

// done says whether all lists are there, of this very merge.
func (m *merger) done(ctx context.Context) (bool, error) {
	for _, f := range m.files {
		s, _ := stem(f.Name)
		r, err := m.Out.Open(ctx, removedName(s)+removedEnding)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		list, err := openList(r)
		current := err == nil && list.header == header{removedList, m.merged, f.Name, f.Size}
		if err := r.Close(); err != nil || !current {
			return false, err
		}
	}
	return true, nil
}

// keys visits all units in order.
func (m *merger) keys(ctx context.Context, visit func(unit uint64, e entry) error) error {
	unit := uint64(0)
	m.starts = append(m.starts[:0], 0)
	for _, f := range m.files {
		list, close, err := m.openList(ctx, keysList, m.signed, f)
		if err != nil {
			return err
		}
		for e, err := range list.entries() {
			if err == nil {
				err = visit(unit, e)
			}
			if err != nil {
				return errors.Join(fmt.Errorf("keys of %s: %w", m.In.Path(f.Name), err), close())
			}
			unit++
		}
		if err := close(); err != nil {
			return err
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		m.starts = append(m.starts, unit)
	}
	return nil
}

// write makes the lists, of repeats in order. Units that stay, and of which there are copies, may come more than once.
func (m *merger) write(ctx context.Context, repeats iter.Seq2[repeat, error], stay []uint64) (err error) {
	ids, err := m.ids(ctx, stay)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ids.close()) }()
	pull, stop := iter.Pull2(repeats)
	defer stop()
	r, err, more := pull()
	for k, f := range m.files {
		s, _ := stem(f.Name)
		if err := m.Out.Write(ctx, removedName(s)+removedEnding, func(w io.Writer) error {
			list, err2 := newListWriter(w, header{removedList, m.merged, f.Name, f.Size})
			if err2 != nil {
				return err2
			}
			for ; err == nil && more && r.unit < m.starts[k+1]; r, err, more = pull() {
				id := []byte(nil)
				if !m.parts() {
					if id, err = ids.of(r.first); err != nil {
						return err
					}
				}
				if err := list.add([]uint64{r.unit - m.starts[k]}, string(id)); err != nil {
					return err
				}
			}
			if err != nil {
				return err
			}
			return list.close()
		}); err != nil {
			return err
		}
	}
	return err
}

// ids are those of the documents that stay.
func (m *merger) ids(ctx context.Context, stay []uint64) (ids *some, err error) {
	slices.Sort(stay)
	ids, err = newSome(m.Temp, "ids", slices.Compact(stay))
	if err != nil || len(stay) == 0 {
		return ids, err
	}
	left := ids.units
	err = m.keys(ctx, func(unit uint64, e entry) error {
		if len(left) == 0 || unit != left[0] {
			return nil
		}
		left = left[1:]
		return ids.add([]byte(e.id))
	})
	if err == nil {
		err = ids.read()
	}
	if err != nil {
		return nil, errors.Join(err, ids.close())
	}
	return ids, nil
}

// Some are pieces of bytes of some units.
type some struct {
	units []uint64 // sorted
	*spool
}

func newSome(dir vfs.FS, name string, units []uint64) (*some, error) {
	s, err := newSpool(dir, name)
	return &some{units, s}, err
}

func (s *some) of(unit uint64) ([]byte, error) {
	i, ok := slices.BinarySearch(s.units, unit)
	if !ok {
		return nil, fmt.Errorf("nothing is known of unit %d", unit)
	}
	return s.piece(i)
}
