package warc

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
)

// A Draft is a record to be written. Type, Date and Block are needed; a URI, too, but for warcinfo.
type Draft struct {
	Type        string
	ID          string // a URI; made from the rest if empty
	Date        time.Time
	URI         string
	ContentType string
	Truncated   string // such as [TruncatedLength]
	Extra       Header // more fields, such as WARC-Concurrent-To
	Head        []byte // what stands in front of Block in the block: the header of an HTTP message
	Block       []byte
	Payload     string // [Digest] of the payload, such as the body of an HTTP message; "" for none

	digest string // of the block, once it was needed
}

// Identify gives the draft an ID if it has none: a version 8 UUID made from its content, so that equal runs write
// equal files. The date is part of it.
func (d *Draft) Identify() string {
	if d.ID == "" {
		u := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%d\n%s", d.Type, d.URI, d.Date.UnixNano(), d.blockDigest()))
		u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
		d.ID = fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:16])
	}
	return d.ID
}

func (d *Draft) blockDigest() string {
	if d.digest == "" {
		d.digest = Digest(d.Head, d.Block)
	}
	return d.digest
}

// dateLayout has microseconds, which WARC 1.1 allows.
const dateLayout = "2006-01-02T15:04:05.000000Z"

// Info is a warcinfo record, which says who wrote a file and how.
func Info(date time.Time, fields Header) Draft {
	var b bytes.Buffer
	for _, f := range fields {
		fmt.Fprintf(&b, "%s: %s\r\n", f.Name, oneLine(f.Value))
	}
	return Draft{Type: TypeInfo, Date: date, ContentType: "application/warc-fields", Block: b.Bytes()}
}

// Conversion is a conversion record: the text of a page, as in Common Crawl's WET files.
func Conversion(date time.Time, uri, from string, text []byte) Draft {
	return Draft{Type: TypeConversion, Date: date, URI: uri, ContentType: "text/plain", Block: text, Payload: Digest(text),
		Extra: Header{{"WARC-Refers-To", "<" + from + ">"}}}
}

// Revisit is a revisit record: what was captured at uri is what the record at was and when has. The block is the HTTP
// header, or less. The digest is the payload's, if known.
func Revisit(date time.Time, uri, profile, was string, when time.Time, digest string, block []byte) Draft {
	return Draft{Type: TypeRevisit, Date: date, URI: uri, ContentType: "application/http;msgtype=response", Block: block, Payload: digest,
		Extra: Header{{"WARC-Profile", profile}, {"WARC-Refers-To-Target-URI", was}, {"WARC-Refers-To-Date", when.UTC().Format(dateLayout)}}}
}

// Encoder turns drafts into bytes. The zero value writes them plain; it is safe for concurrent use.
type Encoder struct {
	Gzip  bool // each record is a gzip member of its own
	Level int  // of gzip: 1 is fast, 9 is small; 0 is 1

	packers sync.Pool
}

// A packer writes gzip behind what it is given.
type packer struct {
	zip    *gzip.Writer
	out    []byte
	header []byte
}

func (p *packer) Write(b []byte) (int, error) {
	p.out = append(p.out, b...)
	return len(b), nil
}

// Append appends a record to dst.
func (e *Encoder) Append(dst []byte, d *Draft) []byte {
	if !e.Gzip {
		dst = appendHeader(dst, d)
		dst = append(append(dst, d.Head...), d.Block...)
		return append(dst, recordEnd...)
	}
	p, _ := e.packers.Get().(*packer)
	if p == nil {
		p = &packer{}
		p.zip, _ = gzip.NewWriterLevel(p, min(max(e.Level, 1), 9)) // the level is valid
	} else {
		p.zip.Reset(p)
	}
	p.out, p.header = dst, appendHeader(p.header[:0], d)
	for _, part := range [][]byte{p.header, d.Head, d.Block, []byte(recordEnd)} {
		p.zip.Write(part) // to memory, which does not fail
	}
	p.zip.Close()
	dst, p.out = p.out, nil
	e.packers.Put(p)
	return dst
}

// recordEnd stands behind every block.
const recordEnd = "\r\n\r\n"

// appendHeader appends a record's header and the empty line behind it.
func appendHeader(dst []byte, d *Draft) []byte {
	b := bytes.NewBuffer(dst)
	field := func(name, value string) {
		if value != "" {
			b.WriteString(name)
			b.WriteString(": ")
			b.WriteString(oneLine(value))
			b.WriteString("\r\n")
		}
	}
	b.WriteString("WARC/1.1\r\n")
	field("WARC-Type", d.Type)
	field("WARC-Record-ID", "<"+d.Identify()+">")
	field("WARC-Date", d.Date.UTC().Format(dateLayout))
	field("WARC-Target-URI", d.URI)
	for _, f := range d.Extra {
		field(f.Name, f.Value)
	}
	field("WARC-Truncated", d.Truncated)
	field("WARC-Block-Digest", d.blockDigest())
	field("WARC-Payload-Digest", d.Payload)
	field("Content-Type", d.ContentType)
	fmt.Fprintf(b, "Content-Length: %d\r\n\r\n", len(d.Head)+len(d.Block))
	return b.Bytes()
}

// oneLine keeps a value from ending its line.
func oneLine(s string) string {
	if strings.ContainsAny(s, "\r\n") {
		s = strings.NewReplacer("\r", " ", "\n", " ").Replace(s)
	}
	return s
}
