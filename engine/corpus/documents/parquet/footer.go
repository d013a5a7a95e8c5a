package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

const magic = "PAR1"

// maxFooter bounds what is read to know a file: Common Crawl's largest have some megabytes of it.
const maxFooter = 256 << 20

// maxNodes bounds the nodes of a schema, the groups, and the columns of all groups together: each can be a byte of the footer, and is
// much larger in memory.
const maxNodes = 2 << 20

// freeRows are how many rows a file may have whatever its size; beyond them, eight for each of its bytes: a few bytes can claim
// billions of empty ones, and a text has a bit at least.
const freeRows = 16 << 20

// Numbers of the format.
const (
	typeByteArray = 6

	repetitionRequired = 0
	repetitionOptional = 1

	convertedNone = -1
	convertedUTF8 = 0
	convertedEnum = 4
	convertedJSON = 19

	codecZstd = 6

	encodingPlain           = 0
	encodingPlainDictionary = 2
	encodingRLE             = 3
	encodingDeltaLength     = 6
	encodingDeltaByteArray  = 7
	encodingRLEDictionary   = 8

	pageData       = 0
	pageIndex      = 1
	pageDictionary = 2
	pageDataV2     = 3
)

// A leaf is a column as the schema has it.
type leaf struct {
	name     string
	text     bool // one string a row, at the top
	optional bool
}

// A group is some rows, column by column.
type group struct {
	rows   int64
	chunks []chunk // one a leaf
}

// A chunk is the values of a column in a group.
type chunk struct {
	codec                  int64
	values                 int64
	size                   int64
	data, dictionary       int64 // offsets; dictionary is 0 if there is none, or nobody says
	elsewhere, hasMetaData bool
}

// start is where the pages begin.
func (c *chunk) start() int64 {
	if c.dictionary > 0 && c.dictionary < c.data {
		return c.dictionary
	}
	return c.data
}

// readFooter reads what stands at the end of a file.
func readFooter(at io.ReaderAt, size int64) (leaves []leaf, groups []group, err error) {
	var tail [8]byte
	if size < int64(len(magic)+len(tail)) {
		return nil, nil, fmt.Errorf("no Parquet file: only %d bytes", size)
	}
	if err := readAt(at, tail[:], size-8); err != nil {
		return nil, nil, err
	}
	switch string(tail[4:]) {
	case magic:
	case "PARE":
		return nil, nil, errors.New("the file is encrypted")
	default:
		return nil, nil, fmt.Errorf("no Parquet file, or cut short: ends in %q", tail[4:])
	}
	n := int64(binary.LittleEndian.Uint32(tail[:4]))
	if n > size-12 || n > maxFooter {
		return nil, nil, fmt.Errorf("a footer of %d bytes in a file of %d; at most %d are read", n, size, maxFooter)
	}
	b := make([]byte, n)
	if err := readAt(at, b, size-8-n); err != nil {
		return nil, nil, err
	}
	r, total := &thriftReader{b: b}, int64(-1)
	r.fields(func(id int64, kind byte) {
		switch {
		case id == 3 && kind == thriftI64:
			total = r.int()
		case id == 2 && kind == thriftList:
			leaves = r.schema()
		case id == 4 && kind == thriftList:
			r.list(func(byte) { groups = append(groups, r.group()) })
		case id == 8:
			r.fail(errors.New("the file is encrypted"))
		default:
			r.skip(kind)
		}
	})
	if r.err != nil {
		return nil, nil, fmt.Errorf("footer: %w", r.err)
	}
	if r.at != len(b) {
		return nil, nil, fmt.Errorf("footer: %d bytes too many: signed, or damaged", len(b)-r.at)
	}
	if total > freeRows && total/8 > size {
		return nil, nil, fmt.Errorf("%d rows in a file of %d bytes, which are no texts", total, size)
	}
	for i, g := range groups {
		if g.rows < 0 || len(g.chunks) != len(leaves) {
			return nil, nil, fmt.Errorf("footer: group %d has %d rows and %d columns, not %d", i, g.rows, len(g.chunks), len(leaves))
		}
		if total -= g.rows; total < 0 {
			break
		}
	}
	if total != 0 {
		return nil, nil, fmt.Errorf("footer: %w: the groups do not have as many rows as the file", errDamaged)
	}
	return leaves, groups, nil
}

// readAt fills b from an offset.
func readAt(at io.ReaderAt, b []byte, off int64) error {
	if n, err := at.ReadAt(b, off); n < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	return nil
}

// schema reads the tree of columns, which stands in preorder, and gives its leaves.
func (r *thriftReader) schema() (leaves []leaf) {
	first := true
	var open []int64 // children still to come, of each node on the path
	r.list(func(byte) {
		r.countNode()
		l, kind, children := r.element()
		if first {
			first, open = false, []int64{children}
			return
		}
		for len(open) > 0 && open[len(open)-1] == 0 {
			open = open[:len(open)-1]
		}
		if len(open) == 0 || children < 0 || len(open) > maxDepth {
			r.fail(errors.New("the schema is no tree"))
			return
		}
		open[len(open)-1]--
		if children > 0 {
			open = append(open, children)
			return
		}
		l.text = l.text && kind == typeByteArray && len(open) == 1
		leaves = append(leaves, l)
	})
	return leaves
}

// element reads a node of the schema; text is only what its annotations say.
func (r *thriftReader) element() (l leaf, kind, children int64) {
	repetition, converted := int64(repetitionRequired), int64(convertedNone)
	kind = -1
	r.fields(func(id int64, k byte) {
		switch {
		case id == 1 && k == thriftI32:
			kind = r.int()
		case id == 3 && k == thriftI32:
			repetition = r.int()
		case id == 4 && k == thriftBinary:
			l.name = string(r.bytes())
		case id == 5 && k == thriftI32:
			children = r.int()
		case id == 6 && k == thriftI32:
			converted = r.int()
		default:
			r.skip(k)
		}
	})
	l.optional = repetition == repetitionOptional
	l.text = repetition == repetitionRequired || repetition == repetitionOptional
	switch converted {
	case convertedNone, convertedUTF8, convertedEnum, convertedJSON:
	default: // such as a decimal number
		l.text = false
	}
	return l, kind, children
}

func (r *thriftReader) countNode() {
	if r.nodes++; r.nodes > maxNodes {
		r.fail(fmt.Errorf("more than %d columns and groups", maxNodes))
	}
}

func (r *thriftReader) group() (g group) {
	r.countNode()
	r.fields(func(id int64, kind byte) {
		switch {
		case id == 1 && kind == thriftList:
			r.list(func(byte) { g.chunks = append(g.chunks, r.chunk()) })
		case id == 3 && kind == thriftI64:
			g.rows = r.int()
		default:
			r.skip(kind)
		}
	})
	return g
}

func (r *thriftReader) chunk() (c chunk) {
	r.countNode()
	r.fields(func(id int64, kind byte) {
		switch {
		case id == 1 && kind == thriftBinary:
			c.elsewhere = len(r.bytes()) > 0
		case id == 3 && kind == thriftStruct:
			c.hasMetaData = true
			r.fields(func(id int64, kind byte) {
				number := kind == thriftI32 || kind == thriftI64
				switch {
				case id == 4 && number:
					c.codec = r.int()
				case id == 5 && number:
					c.values = r.int()
				case id == 7 && number:
					c.size = r.int()
				case id == 9 && number:
					c.data = r.int()
				case id == 11 && number:
					c.dictionary = r.int()
				default:
					r.skip(kind)
				}
			})
		default:
			r.skip(kind)
		}
	})
	return c
}

// A pageHeader stands before each page.
type pageHeader struct {
	kind                     int64
	uncompressed, compressed int64
	crc                      int64
	hasCRC                   bool
	values                   int64
	encoding                 int64
	levels                   int64 // the encoding of definition levels of a page of version 1
	definition, repetition   int64 // bytes of levels of a page of version 2
	plain                    bool  // the values of a page of version 2 are not compressed
}

func (r *thriftReader) pageHeader() (h pageHeader) {
	r.fields(func(id int64, kind byte) {
		switch {
		case id == 1 && kind == thriftI32:
			h.kind = r.int()
		case id == 2 && kind == thriftI32:
			h.uncompressed = r.int()
		case id == 3 && kind == thriftI32:
			h.compressed = r.int()
		case id == 4 && kind == thriftI32:
			h.crc, h.hasCRC = r.int(), true
		case (id == 5 || id == 7 || id == 8) && kind == thriftStruct:
			r.valuesHeader(id, &h)
		default:
			r.skip(kind)
		}
	})
	for _, n := range []int64{h.uncompressed, h.compressed, h.values, h.definition, h.repetition} {
		if n < 0 || n > math.MaxInt32 {
			r.fail(errors.New("a size that is none"))
		}
	}
	return h
}

// valuesHeader reads the part of a page's header that depends on its kind, which of is the field of.
func (r *thriftReader) valuesHeader(of int64, h *pageHeader) {
	const data, dataV2 = 5, 8
	encoding := int64(2)
	if of == dataV2 {
		encoding = 4
	}
	r.fields(func(id int64, kind byte) {
		switch {
		case id == 1 && kind == thriftI32:
			h.values = r.int()
		case id == encoding && kind == thriftI32:
			h.encoding = r.int()
		case of == data && id == 3 && kind == thriftI32:
			h.levels = r.int()
		case of == dataV2 && id == 5 && kind == thriftI32:
			h.definition = r.int()
		case of == dataV2 && id == 6 && kind == thriftI32:
			h.repetition = r.int()
		case of == dataV2 && id == 7:
			h.plain = kind == thriftFalse
		default:
			r.skip(kind)
		}
	})
}
