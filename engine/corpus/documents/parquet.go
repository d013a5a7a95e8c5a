package documents

import (
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"unicode/utf8"

	"forja/engine/corpus"
	"forja/engine/corpus/documents/parquet"
)

// fields are the columns of Parquet, and where their values stand in a document.
var fields = []struct {
	parquet.Column
	of func(*corpus.Document) *string
}{
	{parquet.Column{Name: "id"}, func(d *corpus.Document) *string { return &d.ID }},
	{parquet.Column{Name: "url", Optional: true}, func(d *corpus.Document) *string { return &d.URL }},
	{parquet.Column{Name: "text"}, func(d *corpus.Document) *string { return &d.Text }},
	{parquet.Column{Name: "title", Optional: true}, func(d *corpus.Document) *string { return &d.Title }},
	{parquet.Column{Name: "lang", Optional: true}, func(d *corpus.Document) *string { return &d.Lang }},
	{parquet.Column{Name: "type", Optional: true}, func(d *corpus.Document) *string { return &d.Type }},
	{parquet.Column{Name: "date", Optional: true}, func(d *corpus.Document) *string { return &d.Date }},
	{parquet.Column{Name: "license", Optional: true}, func(d *corpus.Document) *string { return &d.License }},
	{parquet.Column{Name: "source", Optional: true}, func(d *corpus.Document) *string { return &d.Source }},
	{parquet.Column{Name: "sha256", Optional: true}, func(d *corpus.Document) *string { return &d.SHA256 }},
}

// others are names that published corpora give to fields.
var others = map[string]string{"lang": "language"}

// readParquet yields the rows of a file that has a column text. Of its other columns, those of strings that are named as a
// document's fields are read.
func readParquet(r io.Reader) iter.Seq2[corpus.Document, error] {
	return func(yield func(corpus.Document, error) bool) {
		fail := func(err error) { yield(corpus.Document{}, fmt.Errorf("parquet: %w", err)) }
		at, size, finish, err := random(r)
		if err != nil {
			fail(err)
			return
		}
		defer finish()
		f, err := parquet.Open(at, size)
		if err != nil {
			fail(err)
			return
		}
		has := f.Columns()
		if !slices.Contains(has, "text") {
			fail(fmt.Errorf("no column text of strings, only %q: rename the one that has the texts", has))
			return
		}
		var names []string
		var of []func(*corpus.Document) *string
		for _, field := range fields {
			for _, name := range []string{field.Name, others[field.Name]} {
				if name != "" && slices.Contains(has, name) {
					names, of = append(names, name), append(of, field.of)
					break
				}
			}
		}
		for row, err := range f.Rows(names...) {
			if err != nil {
				fail(err)
				return
			}
			var d corpus.Document
			for i, v := range row {
				*of[i](&d) = valid(string(v))
			}
			if !yield(d, nil) {
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
		return nil, 0, nil, fmt.Errorf("copy to %s, since Parquet is read from its end: %w", f.Name(), err)
	}
	return f, size, finish, nil
}

// A parquetWriter writes documents as rows.
type parquetWriter struct {
	out *parquet.Writer
	row []string
}

func newParquetWriter(w io.Writer) (*parquetWriter, error) {
	var columns []parquet.Column
	for _, field := range fields {
		columns = append(columns, field.Column)
	}
	out, err := parquet.NewWriter(w, columns...)
	return &parquetWriter{out: out}, err
}

func (p *parquetWriter) write(d corpus.Document) error {
	p.row = p.row[:0]
	size := 0
	for _, field := range fields {
		v := valid(*field.of(&d))
		p.row = append(p.row, v)
		size += len(v)
	}
	if size > corpus.MaxLine {
		return errTooLong
	}
	return p.out.Write(p.row)
}

// valid is s as JSON would have it, which is UTF-8.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}
