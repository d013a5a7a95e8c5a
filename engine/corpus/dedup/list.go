package dedup

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"unicode/utf8"

	"github.com/zeebo/xxh3"
)

// A list is a file of what one step of a [Job] tells another about one input: docs/formats.md describes it.
const (
	listMagic   = "FORJALST"
	listVersion = 1
	maxName     = 4096 // bytes of an input's name
	maxID       = 1024 // of a document's id: longer ones are cut
	maxNumbers  = 4096 // of an entry
)

// endOfList stands where the number of numbers of an entry would.
const endOfList = 0xffff

// A listKind is what the entries of a list mean.
type listKind uint32

const (
	keysList    listKind = 1 // of each unit: its keys or its hash, and the document's id if units are documents
	removedList listKind = 2 // of each unit that goes: its number in the file, and the id of the document that stays
)

// A header says what a list is of.
type header struct {
	kind     listKind
	settings string // 16 hex digits
	input    string
	size     int64 // of the input
}

// An entry is some numbers and, where units are documents, an id.
type entry struct {
	numbers []uint64
	id      string
}

// A listWriter writes a list.
type listWriter struct {
	out   *bufio.Writer
	hash  *xxh3.Hasher
	b     []byte
	count uint64
}

func newListWriter(w io.Writer, h header) (*listWriter, error) {
	settings, err := hex.DecodeString(h.settings)
	if err != nil || len(settings) != 8 || len(h.input) > maxName {
		return nil, fmt.Errorf("a list of %.100q for settings %q: want a name of at most %d bytes and 16 hex digits", h.input, h.settings, maxName)
	}
	l := &listWriter{out: bufio.NewWriterSize(w, 1<<16), hash: xxh3.New()}
	l.b = append(l.b, listMagic...)
	l.b = binary.LittleEndian.AppendUint32(l.b, listVersion)
	l.b = binary.LittleEndian.AppendUint32(l.b, uint32(h.kind))
	l.b = append(l.b, settings...)
	l.b = binary.LittleEndian.AppendUint64(l.b, uint64(h.size))
	l.b = binary.LittleEndian.AppendUint32(l.b, uint32(len(h.input)))
	l.b = append(l.b, h.input...)
	return l, l.flush()
}

func (l *listWriter) flush() error {
	_, _ = l.hash.Write(l.b) // never fails
	_, err := l.out.Write(l.b)
	l.b = l.b[:0]
	return err
}

func (l *listWriter) add(numbers []uint64, id string) error {
	if len(numbers) > maxNumbers {
		return fmt.Errorf("an entry of %d numbers: at most %d", len(numbers), maxNumbers)
	}
	if len(id) > maxID {
		n := maxID
		for n > maxID-utf8.UTFMax && !utf8.RuneStart(id[n]) {
			n--
		}
		id = id[:n]
	}
	l.b = binary.LittleEndian.AppendUint16(l.b, uint16(len(numbers)))
	l.b = binary.LittleEndian.AppendUint16(l.b, uint16(len(id)))
	for _, n := range numbers {
		l.b = binary.LittleEndian.AppendUint64(l.b, n)
	}
	l.b = append(l.b, id...)
	l.count++
	return l.flush()
}

// close ends the list.
func (l *listWriter) close() error {
	l.b = binary.LittleEndian.AppendUint16(l.b, endOfList)
	l.b = binary.LittleEndian.AppendUint64(l.b, l.count)
	if err := l.flush(); err != nil {
		return err
	}
	if _, err := l.out.Write(binary.LittleEndian.AppendUint64(nil, l.hash.Sum64())); err != nil {
		return err
	}
	return l.out.Flush()
}

// A listReader reads a list.
type listReader struct {
	header header
	in     *bufio.Reader
	hash   *xxh3.Hasher
	b      []byte
}

// openList reads the header.
func openList(r io.Reader) (*listReader, error) {
	l := &listReader{in: bufio.NewReaderSize(r, 1<<16), hash: xxh3.New()}
	const fixed = 36
	b, err := l.take(fixed)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if string(b[:8]) != listMagic {
		return nil, errors.New("no list of keys: it begins otherwise")
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != listVersion {
		return nil, fmt.Errorf("version %d of a list of keys: this program reads version %d", v, listVersion)
	}
	l.header = header{kind: listKind(binary.LittleEndian.Uint32(b[12:])), settings: hex.EncodeToString(b[16:24]), size: int64(binary.LittleEndian.Uint64(b[24:]))}
	n := binary.LittleEndian.Uint32(b[32:])
	if n > maxName || l.header.size < 0 {
		return nil, fmt.Errorf("a list of an input of %d bytes with a name of %d: at most %d", l.header.size, n, maxName)
	}
	if b, err = l.take(int(n)); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	l.header.input = string(b)
	return l, nil
}

// take reads and hashes n bytes, at most some 100 KB, which are valid until the next call.
func (l *listReader) take(n int) ([]byte, error) {
	if cap(l.b) < n {
		l.b = make([]byte, n)
	}
	b := l.b[:n]
	if _, err := io.ReadFull(l.in, b); errors.Is(err, io.EOF) && n > 0 {
		return nil, io.ErrUnexpectedEOF
	} else if err != nil {
		return nil, err
	}
	_, _ = l.hash.Write(b) // never fails
	return b, nil
}

// entries yields the entries; their numbers are valid until the next. Only after the last one is it known that all were as
// they were written. The first error ends it.
func (l *listReader) entries() iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		var e entry
		for count := uint64(0); ; count++ {
			more, err := l.next(&e, count)
			if err != nil {
				yield(entry{}, fmt.Errorf("entry %d: %w", count, err))
				return
			}
			if !more || !yield(e, nil) {
				return
			}
		}
	}
}

func (l *listReader) next(e *entry, count uint64) (more bool, err error) {
	b, err := l.take(2)
	if err != nil {
		return false, err
	}
	numbers := int(binary.LittleEndian.Uint16(b))
	if numbers == endOfList {
		return false, l.end(count)
	}
	if numbers > maxNumbers {
		return false, fmt.Errorf("%d numbers: at most %d", numbers, maxNumbers)
	}
	if b, err = l.take(2); err != nil {
		return false, err
	}
	id := int(binary.LittleEndian.Uint16(b))
	if id > maxID {
		return false, fmt.Errorf("an id of %d bytes: at most %d", id, maxID)
	}
	if b, err = l.take(numbers*8 + id); err != nil {
		return false, err
	}
	e.numbers = e.numbers[:0]
	for i := range numbers {
		e.numbers = append(e.numbers, binary.LittleEndian.Uint64(b[i*8:]))
	}
	e.id = string(b[numbers*8:])
	return true, nil
}

// end checks what follows the last entry.
func (l *listReader) end(count uint64) error {
	b, err := l.take(8)
	if err != nil {
		return err
	}
	if n := binary.LittleEndian.Uint64(b); n != count {
		return fmt.Errorf("damaged: %d entries, not %d", count, n)
	}
	sum := l.hash.Sum64()
	if b, err = l.take(8); err != nil {
		return err
	}
	if binary.LittleEndian.Uint64(b) != sum {
		return errors.New("damaged: the checksum is another")
	}
	if _, err := l.in.ReadByte(); !errors.Is(err, io.EOF) {
		return errors.Join(errors.New("something follows the end"), err)
	}
	return nil
}
