package warc

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Bounds of what a file may ask for.
const (
	maxHeader     = 1 << 20   // bytes of a record's header
	maxFields     = 1000      // of a record's header
	maxWindow     = 128 << 20 // bytes that zstd may look back
	maxDictionary = 16 << 20  // bytes of a zstd dictionary
	maxGap        = 1 << 16   // empty lines between records, in bytes
)

// Reader reads records one after the other.
type Reader struct {
	in    *bufio.Reader
	zstd  *zstd.Decoder
	block *block // of the record that Next returned
	err   error
}

// Record is a record that is being read.
type Record struct {
	Header
	Version string    // "1.1", "1.0"
	Length  int64     // of the block
	Block   io.Reader // valid until the next call of Next; [ErrDigest] at its end if it is not what was written
}

// NewReader reads a WARC file, plain, in gzip or in zstd, as its first bytes tell. An empty file has no records.
func NewReader(r io.Reader) (*Reader, error) {
	in := bufio.NewReaderSize(r, 1<<16)
	magic, err := in.Peek(4)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("read WARC: %w", err)
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("read WARC: %w", err)
		}
		return &Reader{in: bufio.NewReaderSize(z, 1<<16)}, nil
	case len(magic) == 4 && (binary.LittleEndian.Uint32(magic) == frameMagic || binary.LittleEndian.Uint32(magic)&^15 == skippableMagic):
		dictionary, err := readDictionary(in)
		if err != nil {
			return nil, fmt.Errorf("read WARC: %w", err)
		}
		o := []zstd.DOption{zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true)}
		if dictionary != nil {
			o = append(o, zstd.WithDecoderDicts(dictionary))
		}
		z, err := zstd.NewReader(in, o...)
		if err != nil {
			return nil, fmt.Errorf("read WARC: %w", err)
		}
		return &Reader{in: bufio.NewReaderSize(z, 1<<16), zstd: z}, nil
	}
	return &Reader{in: in}, nil
}

const (
	frameMagic      = 0xfd2fb528
	skippableMagic  = 0x184d2a50
	dictionaryMagic = 0x184d2a5d // the skippable frame in which the WARC-zstd convention puts a dictionary
)

// readDictionary reads the dictionary that may stand before the first record, itself plain or compressed.
func readDictionary(in *bufio.Reader) ([]byte, error) {
	head, err := in.Peek(8)
	if err != nil || binary.LittleEndian.Uint32(head) != dictionaryMagic {
		return nil, nil
	}
	size := binary.LittleEndian.Uint32(head[4:])
	if size > maxDictionary {
		return nil, fmt.Errorf("%w: zstd dictionary of %d bytes, at most %d", ErrFormat, size, maxDictionary)
	}
	if _, err := in.Discard(8); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(in, int64(size)))
	if err != nil {
		return nil, err
	}
	if len(b) != int(size) {
		return nil, fmt.Errorf("zstd dictionary: %w", io.ErrUnexpectedEOF)
	}
	if len(b) < 4 || binary.LittleEndian.Uint32(b) != frameMagic {
		return b, nil
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxDictionary), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	if b, err = z.DecodeAll(b, nil); err != nil {
		return nil, fmt.Errorf("zstd dictionary: %w", err)
	}
	return b, nil
}

// Close releases the decompressor, not the underlying reader.
func (r *Reader) Close() {
	if r.zstd != nil {
		r.zstd.Close()
	}
	if r.err == nil {
		r.err = errors.New("read WARC: the reader is closed")
	}
}

// Next returns the next record, skipping what is unread of the last one. At the end of the file the error is [io.EOF];
// after any error the reader is done.
func (r *Reader) Next() (*Record, error) {
	if r.err != nil {
		return nil, r.err
	}
	record, err := r.next()
	if err != nil {
		if err != io.EOF {
			err = fmt.Errorf("read WARC: %w", err)
		}
		r.err = err
		return nil, err
	}
	return record, nil
}

func (r *Reader) next() (*Record, error) {
	if r.block != nil {
		if _, err := io.Copy(io.Discard, r.block); err != nil && !errors.Is(err, ErrDigest) {
			return nil, err
		}
	}
	if err := r.skipGap(); err != nil {
		return nil, err
	}
	const magic = "WARC/"
	if start, err := r.in.Peek(len(magic)); string(start) != magic {
		if err == nil || err == io.EOF {
			err = fmt.Errorf("%w: it starts with %q, not with %s", ErrFormat, start, magic)
		}
		return nil, err
	}
	record := &Record{}
	left := maxHeader
	line, err := r.line(&left)
	if err != nil {
		return nil, err
	}
	version := line[len(magic):]
	record.Version = strings.TrimSpace(version)
	for {
		if line, err = r.line(&left); err != nil {
			return nil, err
		}
		if line == "" {
			break
		}
		if n := len(record.Header); (line[0] == ' ' || line[0] == '\t') && n > 0 { // continues the line above
			record.Header[n-1].Value += " " + strings.TrimSpace(line)
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("%w: header line %.40q has no colon", ErrFormat, line)
		}
		if len(record.Header) == maxFields {
			return nil, fmt.Errorf("%w: header of more than %d fields", ErrFormat, maxFields)
		}
		record.Header = append(record.Header, Field{strings.TrimSpace(name), strings.TrimSpace(value)})
	}
	if record.Length, err = record.length(); err != nil {
		return nil, err
	}
	r.block = &block{in: r.in, left: record.Length, sum: newCheck(record.Get("WARC-Block-Digest"))}
	record.Block = r.block
	return record, nil
}

// skipGap skips the empty lines between records.
func (r *Reader) skipGap() error {
	for range maxGap {
		c, err := r.in.ReadByte()
		if err != nil {
			return err
		}
		if c != '\r' && c != '\n' {
			return r.in.UnreadByte()
		}
	}
	return fmt.Errorf("%w: more than %d empty bytes between records", ErrFormat, maxGap)
}

// line reads a line of a header, without its end. left is what the header may still take.
func (r *Reader) line(left *int) (string, error) {
	var line []byte
	for {
		part, err := r.in.ReadSlice('\n')
		if *left -= len(part); *left < 0 {
			return "", fmt.Errorf("%w: header of more than %d bytes", ErrFormat, maxHeader)
		}
		line = append(line, part...)
		switch err {
		case nil:
			line = bytes.TrimSuffix(line[:len(line)-1], []byte{'\r'})
			return strings.ToValidUTF8(string(line), "\ufffd"), nil
		case bufio.ErrBufferFull:
		case io.EOF:
			return "", fmt.Errorf("header of a record: %w", io.ErrUnexpectedEOF)
		default:
			return "", err
		}
	}
}

// A block is what is left of a record's content.
type block struct {
	in   io.Reader
	left int64
	sum  *check
}

func (b *block) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, b.sum.end()
	}
	n, err := b.in.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	b.sum.add(p[:n])
	if err == io.EOF && b.left > 0 {
		err = fmt.Errorf("block of a record: %w, %d bytes before its end", io.ErrUnexpectedEOF, b.left)
	} else if err == io.EOF {
		err = nil
	}
	return n, err
}
