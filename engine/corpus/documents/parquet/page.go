package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// MaxValue bounds one string.
const MaxValue = 64 << 20

var errDamaged = errors.New("damaged")

// A column gives the values of a chunk, a page at a time.
type column struct {
	at         io.ReaderAt
	leaf       leaf
	codec      int64
	offset     int64 // of the next page
	end        int64
	dictionary dictionary
	left       int64                  // values left in the page, absent ones too
	present    hybrid                 // says which are there, if the column is optional
	next       func() ([]byte, error) // gives the next that is there; valid until the one after it
}

func newColumn(at io.ReaderAt, size int64, l leaf, c chunk) (*column, error) {
	start := c.start()
	switch {
	case !c.hasMetaData:
		return nil, errors.New("encrypted, or without metadata")
	case c.elsewhere:
		return nil, errors.New("the values are in another file")
	case start < int64(len(magic)) || c.size < 0 || start > size || c.size > size-start:
		return nil, fmt.Errorf("%d bytes at %d of a file of %d", c.size, start, size)
	}
	return &column{at: at, leaf: l, codec: c.codec, offset: start, end: start + c.size}, nil
}

// value gives the value of the next row, nil if it has none.
func (c *column) value() ([]byte, error) {
	for c.left == 0 {
		if err := c.page(); err != nil {
			return nil, err
		}
	}
	c.left--
	if c.leaf.optional {
		if level, err := c.present.next(); err != nil || level == 0 {
			return nil, err
		}
	}
	v, err := c.next()
	if err == nil && len(v) > MaxValue {
		err = fmt.Errorf("a string of %d bytes; at most %d are read", len(v), MaxValue)
	}
	return v, err
}

// header reads the header of the page that is next, which is short but for the statistics that some writers put there.
func (c *column) header() (h pageHeader, err error) {
	const most = 16 << 20
	for n := int64(4 << 10); ; n *= 16 {
		b := make([]byte, min(n, c.end-c.offset, most))
		if err := readAt(c.at, b, c.offset); err != nil {
			return h, err
		}
		r := &thriftReader{b: b}
		h = r.pageHeader()
		if r.err == nil {
			c.offset += int64(r.at)
			return h, nil
		}
		if !errors.Is(r.err, errShort) || int64(len(b)) < n {
			return h, fmt.Errorf("header of a page at %d: %w", c.offset, r.err)
		}
	}
}

// page reads the next page.
func (c *column) page() error {
	if c.offset >= c.end {
		return fmt.Errorf("%w: fewer values than rows", errDamaged)
	}
	h, err := c.header()
	if err != nil {
		return err
	}
	if h.compressed > c.end-c.offset || h.compressed > maxPage {
		return fmt.Errorf("%w: a page of %d bytes at %d", errDamaged, h.compressed, c.offset)
	}
	b := make([]byte, h.compressed)
	if err := readAt(c.at, b, c.offset); err != nil {
		return err
	}
	if h.hasCRC && crc32.ChecksumIEEE(b) != uint32(h.crc) {
		return fmt.Errorf("%w: wrong checksum of the page at %d", errDamaged, c.offset)
	}
	offset := c.offset
	c.offset += h.compressed
	switch h.kind {
	case pageData:
		err = c.dataPage(h, b)
	case pageDataV2:
		err = c.dataPageV2(h, b)
	case pageDictionary:
		err = c.dictionaryPage(h, b)
	case pageIndex:
	default:
		err = fmt.Errorf("a page of unknown kind %d", h.kind)
	}
	if err != nil {
		return fmt.Errorf("page at %d: %w", offset, err)
	}
	return nil
}

func (c *column) dictionaryPage(h pageHeader, b []byte) error {
	if h.encoding != encodingPlain && h.encoding != encodingPlainDictionary {
		return fmt.Errorf("a dictionary of unknown encoding %d", h.encoding)
	}
	b, err := decompress(c.codec, b, int(h.uncompressed))
	if err != nil {
		return err
	}
	c.dictionary, err = newDictionary(b, h.values)
	return err
}

func (c *column) dataPage(h pageHeader, b []byte) error {
	b, err := decompress(c.codec, b, int(h.uncompressed))
	if err != nil {
		return err
	}
	if c.leaf.optional {
		if h.levels != encodingRLE {
			return fmt.Errorf("levels of unknown encoding %d", h.levels)
		}
		if len(b) < 4 || uint64(binary.LittleEndian.Uint32(b)) > uint64(len(b)-4) {
			return errShort
		}
		n := 4 + int(binary.LittleEndian.Uint32(b))
		c.present = hybrid{b: b[4:n], width: 1}
		b = b[n:]
	}
	return c.values(h, b)
}

func (c *column) dataPageV2(h pageHeader, b []byte) error {
	levels := h.repetition + h.definition
	if levels > int64(len(b)) || levels > h.uncompressed {
		return errShort
	}
	c.present = hybrid{b: b[h.repetition:levels], width: 1}
	b = b[levels:]
	if !h.plain {
		var err error
		if b, err = decompress(c.codec, b, int(h.uncompressed-levels)); err != nil {
			return err
		}
	}
	return c.values(h, b)
}

// values makes ready to give the values of a page.
func (c *column) values(h pageHeader, b []byte) (err error) {
	c.left = h.values
	switch h.encoding {
	case encodingPlain:
		c.next = plain(b)
	case encodingPlainDictionary, encodingRLEDictionary:
		c.next, err = indexed(c.dictionary, b)
	case encodingDeltaLength:
		c.next, err = deltaLength(b, h.values)
	case encodingDeltaByteArray:
		c.next, err = deltaByteArray(b, h.values)
	default:
		err = fmt.Errorf("strings of unknown encoding %d", h.encoding)
	}
	return err
}
