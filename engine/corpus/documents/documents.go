// Package documents reads and writes files of documents: lines of JSON, plain or compressed, and Parquet.
//
// Lines of JSON are what Unix tools read, Parquet is what published corpora such as FineWeb are made of and what data
// frames read. Which one a file is, its name's ending says. The same documents give the same bytes.
//
// Deliberately absent: guessing a format from a file's bytes, and the metadata of foreign files beyond [corpus.Document].
package documents

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"forja/engine/corpus"
)

// Default is the ending of files that nobody asked to be otherwise.
const Default = ".jsonl.gz"

var endings = []string{Default, ".jsonl.zst", ".jsonl", ".parquet"}

// Endings are those that a name of a file of documents can have.
func Endings() []string { return slices.Clone(endings) }

// Stem cuts the ending off a name; ok is false where it is none of ours, or nothing is left.
func Stem(name string) (stem string, ok bool) {
	for _, e := range endings {
		if stem, ok := strings.CutSuffix(name, e); ok && stem != "" && !strings.HasSuffix(stem, "/") {
			return stem, true
		}
	}
	return name, false
}

func errEnding(what string) error {
	return fmt.Errorf("%s is no file of documents: its name must end in one of %s", what, strings.Join(endings, " "))
}

// Read yields the documents of a file by the ending of its name. Texts are valid UTF-8. The first error, which names the line or
// the row, ends it. A Parquet file is copied to a temporary one, unless r is an [io.ReaderAt] with a Size, or an [os.File].
func Read(name string, r io.Reader) iter.Seq2[corpus.Document, error] {
	stem, ok := Stem(name)
	if !ok {
		return failed(errEnding(name))
	}
	switch ending := name[len(stem):]; ending {
	case ".parquet":
		return readParquet(r)
	default:
		return readLines(ending, r)
	}
}

func failed(err error) iter.Seq2[corpus.Document, error] {
	return func(yield func(corpus.Document, error) bool) { yield(corpus.Document{}, err) }
}

// maxWindow bounds what the decompression of zstd remembers; zstd itself wants an option to make more.
const maxWindow = 128 << 20

func readLines(name string, r io.Reader) iter.Seq2[corpus.Document, error] {
	return func(yield func(corpus.Document, error) bool) {
		lines, err := Decompress(name, r)
		if err != nil {
			yield(corpus.Document{}, err)
			return
		}
		defer lines.Close()
		corpus.Read(lines)(yield)
	}
}

// Decompress unpacks what a file holds whose name ends in .gz or .zst; any other is given as it is. Close does not close r.
func Decompress(name string, r io.Reader) (io.ReadCloser, error) {
	switch path.Ext(name) {
	case ".zst":
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow),
			zstd.WithDecodeBuffersBelow(0)) // else small buffers are decompressed at once, whatever comes of it
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		return d.IOReadCloser(), nil
	case ".gz":
		d, err := gzip.NewReader(bufio.NewReaderSize(r, 1<<16))
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		return d, nil
	}
	return io.NopCloser(r), nil
}

// A Writer writes documents to a file.
type Writer struct {
	write func(corpus.Document) error
	close func() error
	n     int
	err   error // the first; the file is lost
}

// Create writes documents in the format of an ending.
func Create(w io.Writer, ending string) (*Writer, error) {
	switch ending {
	case ".jsonl":
		buffered := bufio.NewWriterSize(w, 1<<16)
		return &Writer{write: lines(buffered), close: buffered.Flush}, nil
	case ".jsonl.gz":
		z := gzip.NewWriter(w)
		return &Writer{write: lines(z), close: z.Close}, nil
	case ".jsonl.zst":
		z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		return &Writer{write: lines(z), close: z.Close}, nil
	case ".parquet":
		p, err := newParquetWriter(w)
		if err != nil {
			return nil, err
		}
		return &Writer{write: p.write, close: p.out.Close}, nil
	}
	return nil, errEnding(ending)
}

// lines writes documents that can be read again.
func lines(w io.Writer) func(corpus.Document) error {
	bounded := &lineWriter{w: w}
	return func(d corpus.Document) error { return corpus.Write(bounded, d) }
}

// A lineWriter refuses lines that are longer than is read. Each Write is a line.
type lineWriter struct{ w io.Writer }

func (l *lineWriter) Write(line []byte) (int, error) {
	if len(line) > corpus.MaxLine {
		return 0, errTooLong
	}
	return l.w.Write(line)
}

var errTooLong = fmt.Errorf("longer than %d bytes: split it", corpus.MaxLine)

// Write appends a document. After an error the file is lost.
func (w *Writer) Write(d corpus.Document) error {
	if w.err != nil {
		return w.err
	}
	if err := w.write(d); err != nil {
		w.err = fmt.Errorf("document %d, %q: %w", w.n, d.ID, err)
		return w.err
	}
	w.n++
	return nil
}

// Close finishes the file, but does not close what it is written to.
func (w *Writer) Close() error {
	if w.err != nil {
		return w.err
	}
	w.err = fmt.Errorf("write after close")
	return w.close()
}
