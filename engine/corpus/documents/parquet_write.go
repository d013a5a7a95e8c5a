package documents

import (
	"io"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"

	"forja/engine/corpus"
)

// A row is a document in Parquet; what is empty is null there, but for the text.
type row struct {
	ID      string `parquet:"id"`
	URL     string `parquet:"url,optional"`
	Text    string `parquet:"text"`
	Title   string `parquet:"title,optional"`
	Lang    string `parquet:"lang,optional"`
	Type    string `parquet:"type,optional"`
	Date    string `parquet:"date,optional"`
	License string `parquet:"license,optional"`
	Source  string `parquet:"source,optional"`
	SHA256  string `parquet:"sha256,optional"`
}

// Sizes of what is written: a group of rows is what must be held in memory, a page what readers decompress at once.
const (
	groupBytes = 64 << 20
	groupRows  = 1 << 20
	pageBytes  = 1 << 20
)

// A parquetWriter writes groups of rows of about groupBytes each.
type parquetWriter struct {
	out   *parquet.GenericWriter[row]
	rows  [1]row
	bytes int // of the group that is being filled
	count int // its rows
}

func newParquetWriter(w io.Writer) *parquetWriter {
	return &parquetWriter{out: parquet.NewGenericWriter[row](w,
		parquet.Compression(&parquet.Zstd),
		parquet.CreatedBy("forja", "1", ""), // not the build, on which bytes must not depend
		parquet.PageBufferSize(pageBytes),
		parquet.DataPageVersion(1), // which every reader knows
		parquet.DataPageStatistics(false),
		parquet.SkipPageBounds("text"), // would be whole texts
		parquet.SkipPageBounds("title"),
	)}
}

func (p *parquetWriter) write(d corpus.Document) error {
	r := row{d.ID, d.URL, d.Text, d.Title, d.Lang, d.Type, d.Date, d.License, d.Source, d.SHA256}
	size := 0
	for _, s := range []*string{&r.ID, &r.URL, &r.Text, &r.Title, &r.Lang, &r.Type, &r.Date, &r.License, &r.Source, &r.SHA256} {
		*s = valid(*s)
		size += len(*s)
	}
	if size > corpus.MaxLine {
		return errTooLong
	}
	if p.count > 0 && (p.bytes+size > groupBytes || p.count == groupRows) {
		if err := p.out.Flush(); err != nil {
			return err
		}
		p.bytes, p.count = 0, 0
	}
	p.rows[0] = r
	p.bytes += size
	p.count++
	_, err := p.out.Write(p.rows[:])
	return err
}

func (p *parquetWriter) close() error { return p.out.Close() }

// valid is s as JSON would have it, which is UTF-8.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}
