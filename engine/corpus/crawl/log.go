package crawl

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"time"

	"forja/engine/corpus/warc"
	"forja/engine/vfs"
)

// LogName is the file in a crawl's directory that holds its state.
const LogName = "crawl.log"

// The log is the crawl's memory: one file that only grows, of records
//
//	length uint32 | CRC-32C of the payload uint32 | payload
//
// little-endian. A payload is a kind and fields; numbers are varints, strings have their length in front:
//
//	L  found links: the number of the page that holds them, or none, and the links
//	P  a page that is done: its number, what came of it, and where its records stand in the archive
//	H  which share of a crawl this is, if not the whole: its index, and of how many
//	S  everything before is on the disk, in the archive too
//
// The n-th link of the log is page number n. A record counts if all before it count and its sum is right, and, for pages
// behind the last S, if the archive holds their bytes. What a power loss leaves behind the last record that counts is cut off; damage
// before it is refused.
const (
	maxRecord = 4 << 20
	kindLinks = 'L'
	kindPage  = 'P'
	kindShare = 'H'
	kindSync  = 'S'
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A link is a URL to be fetched.
type link struct {
	url     string
	depth   int  // links from a seed
	hops    int  // redirects, or levels of sitemap indices, on the way
	seed    bool // its host is in scope
	list    bool // a sitemap or feed: read for its links, not archived
	foreign bool // it belongs to another share of the crawl
}

// none is the number of no page: what holds a seed.
const none = 1<<32 - 1

// maxDone bounds the P record of a page: validators are cut.
const (
	maxValidator = 1000
	maxDone      = 2*maxValidator + 300
)

// A done is what came of a page.
type done struct {
	page    uint32
	outcome outcome
	status  int
	date    time.Time
	at      warc.Position
	size    int64  // of its records in the archive; 0 for none
	sum     uint32 // CRC-32C of them
	digest  string // of the payload
	validators
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendLink appends a link.
func appendLink(b []byte, l link) []byte {
	flags := byte(0)
	if l.seed {
		flags |= 1
	}
	if l.list {
		flags |= 2
	}
	if l.foreign {
		flags |= 4
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(l.depth))
	b = binary.AppendUvarint(b, uint64(l.hops))
	return appendString(b, l.url)
}

func appendDone(b []byte, d done) []byte {
	b = append(b, kindPage)
	for _, v := range []uint64{uint64(d.page), uint64(d.outcome), uint64(d.status), uint64(d.date.UnixMicro()), uint64(d.at.File), uint64(d.at.Offset),
		uint64(d.size), uint64(d.sum)} {
		b = binary.AppendUvarint(b, v)
	}
	for _, s := range []string{d.digest, d.etag, d.modified} {
		b = appendString(b, s)
	}
	return b
}

// frame appends a record with the payload that write appends.
func frame(b []byte, write func([]byte) []byte) []byte {
	start := len(b)
	b = write(append(b, make([]byte, 8)...))
	payload := b[start+8:]
	binary.LittleEndian.PutUint32(b[start:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(b[start+4:], crc32.Checksum(payload, castagnoli))
	return b
}

// A cursor takes a payload apart. After the first error everything is zero.
type cursor struct {
	b   []byte
	pos int
	err error
}

var errRecord = errors.New("malformed record")

func (c *cursor) number() uint64 {
	v, n := binary.Uvarint(c.b[c.pos:])
	if n <= 0 || c.err != nil {
		c.err = errRecord
		return 0
	}
	c.pos += n
	return v
}

func (c *cursor) byte() byte {
	if c.err != nil || c.pos >= len(c.b) {
		c.err = errRecord
		return 0
	}
	c.pos++
	return c.b[c.pos-1]
}

func (c *cursor) string() string {
	n := c.number()
	if c.err != nil || n > uint64(len(c.b)-c.pos) {
		c.err = errRecord
		return ""
	}
	c.pos += int(n)
	return string(c.b[c.pos-int(n) : c.pos])
}

func (c *cursor) link() link {
	flags := c.byte()
	return link{seed: flags&1 != 0, list: flags&2 != 0, foreign: flags&4 != 0, depth: int(c.number() & (1<<31 - 1)), hops: int(c.number() & (1<<31 - 1)), url: c.string()}
}

// links reads an L record from behind its kind.
func (c *cursor) links() (links []link) {
	c.number()
	for c.err == nil && c.pos < len(c.b) {
		if l := c.link(); c.err == nil {
			links = append(links, l)
		}
	}
	return links
}

func (c *cursor) done() done {
	d := done{page: uint32(c.number()), outcome: outcome(c.number()), status: int(c.number() & (1<<16 - 1)), date: time.UnixMicro(int64(c.number())).UTC()}
	d.at.File, d.at.Offset = int(c.number()&(1<<31-1)), int64(c.number()&(1<<62-1))
	d.size, d.sum = int64(c.number()&(1<<62-1)), uint32(c.number())
	d.digest, d.etag, d.modified = c.string(), c.string(), c.string()
	return d
}

// scan reads records up to the first that is incomplete or damaged, or lies behind limit (negative is none), and says
// where those end that count. visit gets the kind, the offset of the payload and a cursor behind the kind.
func scan(r vfs.Reader, limit int64, visit func(kind byte, offset int64, c *cursor) error) (end int64, err error) {
	in := bufio.NewReaderSize(r, 1<<18)
	var head [8]byte
	var payload []byte
	for limit < 0 || end < limit {
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return end, unlessEnd(err)
		}
		size := binary.LittleEndian.Uint32(head[:])
		if size == 0 || size > maxRecord {
			return end, nil
		}
		if cap(payload) < int(size) {
			payload = make([]byte, size)
		}
		payload = payload[:size]
		if _, err := io.ReadFull(in, payload); err != nil {
			return end, unlessEnd(err)
		}
		if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
			return end, nil
		}
		c := &cursor{b: payload, pos: 1}
		if err := visit(payload[0], end+8, c); err != nil {
			return end, err
		}
		if c.err != nil {
			return end, nil
		}
		end += 8 + int64(size)
	}
	return end, nil
}

func unlessEnd(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil
	}
	return fmt.Errorf("read %s: %w", LogName, err)
}

// recoverLog finds where the records end that count, and where the archive's do.
func recoverLog(fsys vfs.FS, archive warc.ArchiveOptions) (end int64, at warc.Position, err error) {
	r, err := fsys.Open(LogName)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, at, nil
	} else if err != nil {
		return 0, at, err
	}
	defer r.Close()
	type tail struct {
		start int64 // of the record
		done
	}
	var unsure []tail // since the last S
	end, err = scan(r, -1, func(kind byte, offset int64, c *cursor) error {
		switch kind {
		case kindPage:
			d := c.done()
			if c.err == nil && d.size > 0 {
				unsure = append(unsure, tail{offset - 8, d})
			}
		case kindSync:
			if len(unsure) > 0 {
				at = behind(unsure[len(unsure)-1].done)
			}
			unsure = unsure[:0]
		}
		return nil
	})
	if err != nil {
		return 0, at, err
	}
	// Where the power failed in the middle of a sync, one S may stand behind what is lost. A second is written only when all before the
	// first is safe.
	if n, err := syncsBehind(r, end); err != nil {
		return 0, at, err
	} else if n > 1 {
		return 0, at, fmt.Errorf("%s is damaged at byte %d, in what was safe: bring it back from a copy, or begin anew elsewhere; the archive is untouched",
			fsys.Path(LogName), end)
	}
	for _, t := range unsure {
		if !archived(fsys, archive, t.done) {
			return t.start, at, nil
		}
		at = behind(t.done)
	}
	return end, at, nil
}

// syncsBehind counts the S records behind a place.
func syncsBehind(r vfs.Reader, at int64) (n int, err error) {
	in, mark := io.NewSectionReader(r, at, r.Size()-at), syncRecord()
	buffer, kept := make([]byte, 1<<18), 0
	for {
		got, err := io.ReadFull(in, buffer[kept:])
		b := buffer[:kept+got]
		n += bytes.Count(b, mark)
		if err != nil {
			return n, unlessEnd(err)
		}
		kept = copy(buffer, b[len(b)-len(mark)+1:])
	}
}

func syncRecord() []byte { return frame(nil, func(b []byte) []byte { return append(b, kindSync) }) }

func behind(d done) warc.Position {
	return warc.Position{File: d.at.File, Offset: d.at.Offset + d.size}
}

// archived reports whether the archive holds a page's records.
func archived(fsys vfs.FS, o warc.ArchiveOptions, d done) bool {
	r, err := fsys.Open(o.Name(d.at.File))
	if err != nil {
		return false
	}
	defer r.Close()
	sum := crc32.New(castagnoli)
	n, err := io.Copy(sum, io.NewSectionReader(r, d.at.Offset, d.size))
	return err == nil && n == d.size && sum.Sum32() == d.sum
}
