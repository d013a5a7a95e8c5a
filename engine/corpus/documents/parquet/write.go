package parquet

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"github.com/klauspost/compress/zstd"
)

// Sizes of what is written: a group is held in memory, compressed, until it is full.
const (
	groupBytes = 64 << 20 // of values
	groupRows  = 1 << 20
	pageBytes  = 1 << 20
)

// A Column is described when a file is begun.
type Column struct {
	Name     string
	Optional bool // an empty string is no value
}

// A Writer writes a file.
type Writer struct {
	out     io.Writer
	offset  int64
	zstd    *zstd.Encoder
	columns []pages
	rows    int64 // of the group that is being filled
	bytes   int   // of its values
	total   int64
	groups  []written
}

// pages are the values of a column in the group that is being filled.
type pages struct {
	Column
	values       []byte // of the page that is being filled
	levels       []byte // its runs
	present      bool   // of the run that is not in levels yet
	run          uint64
	count        int64  // values of the page, absent ones too
	done         []byte // pages
	uncompressed int64  // their size if they were not
}

// A written is what the footer says of a group.
type written struct {
	rows   int64
	bytes  int64
	chunks []writtenChunk
}

type writtenChunk struct{ offset, compressed, uncompressed int64 }

// NewWriter begins a file.
func NewWriter(w io.Writer, columns ...Column) (*Writer, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, err
	}
	p := &Writer{out: w, zstd: z}
	for _, c := range columns {
		p.columns = append(p.columns, pages{Column: c})
	}
	return p, p.emit([]byte(magic))
}

func (w *Writer) emit(b []byte) error {
	n, err := w.out.Write(b)
	w.offset += int64(n)
	return err
}

// Write appends a row, one value a column.
func (w *Writer) Write(row []string) error {
	if len(row) != len(w.columns) {
		return fmt.Errorf("a row of %d values for %d columns", len(row), len(w.columns))
	}
	size := 0
	for i, v := range row {
		if len(v) > MaxValue {
			return fmt.Errorf("column %s: a string of %d bytes; at most %d are read again", w.columns[i].Name, len(v), MaxValue)
		}
		size += len(v)
	}
	if w.rows > 0 && (w.bytes+size > groupBytes || w.rows == groupRows) {
		if err := w.flush(); err != nil {
			return err
		}
	}
	for i, v := range row {
		p := &w.columns[i]
		if p.count > 0 && len(p.values)+4+len(v) > pageBytes {
			w.page(p)
		}
		p.add(v)
	}
	w.rows++
	w.bytes += size
	return nil
}

func (p *pages) add(v string) {
	p.count++
	present := !p.Optional || v != ""
	if present != p.present {
		p.endRun()
		p.present = present
	}
	p.run++
	if present {
		p.values = binary.LittleEndian.AppendUint32(p.values, uint32(len(v)))
		p.values = append(p.values, v...)
	}
}

// endRun writes how many values in a row are there, or are not.
func (p *pages) endRun() {
	if p.run == 0 {
		return
	}
	level := byte(0)
	if p.present {
		level = 1
	}
	p.levels = append(binary.AppendUvarint(p.levels, p.run<<1), level)
	p.run = 0
}

// page ends the page that is being filled.
func (w *Writer) page(p *pages) {
	if p.count == 0 {
		return
	}
	p.endRun()
	plain := p.values
	if p.Optional {
		plain = binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(p.levels)+len(p.values)), uint32(len(p.levels)))
		plain = append(append(plain, p.levels...), p.values...)
	}
	compressed := w.zstd.EncodeAll(plain, nil)
	var t thriftWriter
	t.begin()
	t.i32(1, pageData)
	t.i32(2, int64(len(plain)))
	t.i32(3, int64(len(compressed)))
	t.i32(4, int64(int32(crc32.ChecksumIEEE(compressed))))
	t.structure(5)
	t.i32(1, p.count)
	t.i32(2, encodingPlain)
	t.i32(3, encodingRLE)
	t.i32(4, encodingRLE)
	t.end()
	t.end()
	p.done = append(append(p.done, t.b...), compressed...)
	p.uncompressed += int64(len(t.b) + len(plain))
	p.values, p.levels, p.present, p.count = p.values[:0], p.levels[:0], false, 0
}

// flush ends the group that is being filled.
func (w *Writer) flush() error {
	if w.rows == 0 {
		return nil
	}
	g := written{rows: w.rows}
	for i := range w.columns {
		p := &w.columns[i]
		w.page(p)
		g.chunks = append(g.chunks, writtenChunk{w.offset, int64(len(p.done)), p.uncompressed})
		g.bytes += p.uncompressed
		if err := w.emit(p.done); err != nil {
			return err
		}
		p.done, p.uncompressed = p.done[:0], 0
	}
	w.groups = append(w.groups, g)
	w.total += w.rows
	w.rows, w.bytes = 0, 0
	return nil
}

// Close ends the file; it does not close what it is written to.
func (w *Writer) Close() error {
	if err := w.flush(); err != nil {
		return err
	}
	footer := w.footer()
	if len(footer) > math.MaxInt32 {
		return fmt.Errorf("a footer of %d bytes: split the file", len(footer))
	}
	footer = binary.LittleEndian.AppendUint32(footer, uint32(len(footer)))
	return w.emit(append(footer, magic...))
}

func (w *Writer) footer() []byte {
	var t thriftWriter
	t.begin()
	t.i32(1, 1) // version
	t.list(2, 1+len(w.columns), thriftStruct)
	t.begin()
	t.string(4, "schema")
	t.i32(5, int64(len(w.columns)))
	t.end()
	for _, c := range w.columns {
		t.begin()
		t.i32(1, typeByteArray)
		repetition := int64(repetitionRequired)
		if c.Optional {
			repetition = repetitionOptional
		}
		t.i32(3, repetition)
		t.string(4, c.Name)
		t.i32(6, convertedUTF8)
		t.structure(10) // the logical type, of which STRING is the first
		t.structure(1)
		t.end()
		t.end()
		t.end()
	}
	t.i64(3, w.total)
	t.list(4, len(w.groups), thriftStruct)
	for _, g := range w.groups {
		w.group(&t, g)
	}
	t.string(6, "forja")
	t.end()
	return t.b
}

func (w *Writer) group(t *thriftWriter, g written) {
	t.begin()
	t.list(1, len(g.chunks), thriftStruct)
	for i, c := range g.chunks {
		t.begin()
		t.i64(2, 0) // which writers are told to leave
		t.structure(3)
		t.i32(1, typeByteArray)
		t.list(2, 2, thriftI32)
		t.int(encodingPlain)
		t.int(encodingRLE)
		t.list(3, 1, thriftBinary)
		t.text(w.columns[i].Name)
		t.i32(4, codecZstd)
		t.i64(5, g.rows)
		t.i64(6, c.uncompressed)
		t.i64(7, c.compressed)
		t.i64(9, c.offset)
		t.end()
		t.end()
	}
	t.i64(2, g.bytes)
	t.i64(3, g.rows)
	t.end()
}
