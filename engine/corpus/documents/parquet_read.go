package documents

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/parquet-go/parquet-go"

	"forja/engine/corpus"
)

// readParquet yields the rows of a Parquet file as documents.
func readParquet(r io.Reader) iter.Seq2[corpus.Document, error] {
	return func(yield func(corpus.Document, error) bool) {
		at, size, finish, err := random(r)
		if err != nil {
			yield(corpus.Document{}, err)
			return
		}
		defer finish()
		rows, err := openParquet(at, size)
		if err != nil {
			yield(corpus.Document{}, fmt.Errorf("parquet: %w", err))
			return
		}
		for n := int64(0); ; n++ {
			d, err := rows.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				err = fmt.Errorf("parquet: row %d: %w", n, err)
			}
			if !yield(d, err) || err != nil {
				return
			}
		}
	}
}

// random gives random access to what r reads, over a temporary file if need be.
func random(r io.Reader) (at io.ReaderAt, size int64, finish func(), err error) {
	switch r := r.(type) {
	case interface {
		io.ReaderAt
		Size() int64
	}:
		return r, r.Size(), func() {}, nil
	case *os.File:
		if info, err := r.Stat(); err == nil && info.Mode().IsRegular() {
			return r, info.Size(), func() {}, nil
		}
	}
	f, err := os.CreateTemp("", "forja-*.parquet")
	if err != nil {
		return nil, 0, nil, fmt.Errorf("room for a copy of the file: %w", err)
	}
	finish = func() { _, _ = f.Close(), os.Remove(f.Name()) }
	if size, err = io.Copy(f, r); err != nil {
		finish()
		return nil, 0, nil, fmt.Errorf("copy to %s: %w", f.Name(), err)
	}
	return f, size, finish, nil
}

type parquetRows struct {
	in   *parquet.GenericReader[row]
	rows [1]row
}

func openParquet(at io.ReaderAt, size int64) (p *parquetRows, err error) {
	defer func() {
		if x := recover(); x != nil {
			err = fmt.Errorf("damaged: %v", x)
		}
	}()
	f, err := parquet.OpenFile(at, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, err
	}
	return &parquetRows{in: parquet.NewGenericReader[row](f)}, nil
}

func (p *parquetRows) next() (d corpus.Document, err error) {
	defer func() {
		if x := recover(); x != nil {
			err = fmt.Errorf("damaged: %v", x)
		}
	}()
	n, err := p.in.Read(p.rows[:])
	if n == 0 {
		return d, err
	}
	r := p.rows[0]
	return corpus.Document{ID: r.ID, URL: r.URL, Text: r.Text, Title: r.Title, Lang: r.Lang, Type: r.Type, Date: r.Date,
		License: r.License, Source: r.Source, SHA256: r.SHA256}, nil
}
