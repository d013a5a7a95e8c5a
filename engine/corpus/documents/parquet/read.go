// Package parquet reads and writes columns of strings in files of Apache Parquet, and nothing else of it.
//
// Published corpora are Parquet files, of any writer: the reader knows every encoding and compression that strings have there
// (but LZO and the LZ4 of old Hadoop). It is made for files of strangers: nothing is allocated because a file says so, and one
// page a column is in memory. The writer makes plain pages, compressed with zstd, which every reader knows.
//
// A general library would be six megabytes of program, and trusts what it reads.
//
// Deliberately absent: other types, lists and nesting, encryption, statistics, indexes, Bloom filters, dictionaries when writing,
// and reading from the middle.
package parquet

import (
	"fmt"
	"io"
	"iter"
	"slices"
)

// A File is an open Parquet file.
type File struct {
	at     io.ReaderAt
	size   int64
	leaves []leaf
	groups []group
}

// Open reads the footer of a file of size bytes.
func Open(at io.ReaderAt, size int64) (*File, error) {
	leaves, groups, err := readFooter(at, size)
	if err != nil {
		return nil, err
	}
	return &File{at, size, leaves, groups}, nil
}

// Columns names the columns of strings, those that have one value a row or none.
func (f *File) Columns() (names []string) {
	for _, l := range f.leaves {
		if l.text {
			names = append(names, l.name)
		}
	}
	return names
}

// Rows yields all rows of some columns of strings, as bytes that are valid until the next row; nil is where there is no value. The
// first error ends it.
func (f *File) Rows(names ...string) iter.Seq2[[][]byte, error] {
	return func(yield func([][]byte, error) bool) {
		row, columns := make([][]byte, len(names)), make([]*column, len(names))
		for i, g := range f.groups {
			if err := f.open(columns, names, g); err != nil {
				yield(nil, fmt.Errorf("group %d: %w", i, err))
				return
			}
			for k := range g.rows {
				for j, c := range columns {
					v, err := c.value()
					if err != nil {
						yield(nil, fmt.Errorf("group %d, row %d, column %s: %w", i, k, names[j], err))
						return
					}
					row[j] = v
				}
				if !yield(row, nil) {
					return
				}
			}
		}
	}
}

// open begins to read some columns of a group.
func (f *File) open(columns []*column, names []string, g group) (err error) {
	for j, name := range names {
		k := slices.IndexFunc(f.leaves, func(l leaf) bool { return l.text && l.name == name })
		if k < 0 {
			return fmt.Errorf("no column %s of strings", name)
		}
		if g.chunks[k].values != g.rows {
			return fmt.Errorf("column %s: %w: %d values for %d rows", name, errDamaged, g.chunks[k].values, g.rows)
		}
		if columns[j], err = newColumn(f.at, f.size, f.leaves[k], g.chunks[k]); err != nil {
			return fmt.Errorf("column %s: %w", name, err)
		}
	}
	return nil
}
