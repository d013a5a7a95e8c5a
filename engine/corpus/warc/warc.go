// Package warc reads and writes web archives: WARC 1.1 (ISO 28500:2017, the IIPC's warc-specifications), one gzip member
// per record. It reads older versions too, plain or in gzip or zstd, as crawlers, Common Crawl (WARC, WAT, WET) and
// wget write them.
//
// [Reader] streams: only a record's header is held in memory, and it is bounded. [Draft] is a record to be written,
// [Encoder] turns it into bytes on any number of goroutines, and [Archive] puts those into numbered files of bounded
// size, durably.
//
// Deliberately absent: CDX indices, segmented records (type continuation is read as it stands) and writing zstd.
package warc

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The record types of WARC 1.1.
const (
	TypeInfo       = "warcinfo"
	TypeResponse   = "response"
	TypeResource   = "resource"
	TypeRequest    = "request"
	TypeMetadata   = "metadata"
	TypeRevisit    = "revisit"
	TypeConversion = "conversion"
)

// Profiles of revisit records: why the payload is not there again.
const (
	ProfileSamePayload = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"
	ProfileNotModified = "http://netpreserve.org/warc/1.1/revisit/server-not-modified"
)

// Reasons of WARC-Truncated.
const (
	TruncatedLength     = "length"
	TruncatedTime       = "time"
	TruncatedDisconnect = "disconnect"
)

// ErrFormat is what errors.Is finds when bytes are no WARC file.
var ErrFormat = errors.New("not a WARC record")

// A Field is a named field of a header.
type Field struct{ Name, Value string }

// Header is the named fields of a record, in order. Names have no case.
type Header []Field

// Get returns the first field of a name, or "".
func (h Header) Get(name string) string {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// Type is the record type, such as [TypeResponse].
func (h Header) Type() string { return strings.ToLower(h.Get("WARC-Type")) }

// ID is the record's URI, without angle brackets.
func (h Header) ID() string { return bare(h.Get("WARC-Record-ID")) }

// URI is what the record is about; wget writes it in angle brackets, which are removed.
func (h Header) URI() string { return bare(h.Get("WARC-Target-URI")) }

// Truncated is why the block is incomplete, or "".
func (h Header) Truncated() string { return h.Get("WARC-Truncated") }

// Date is when the record was captured.
func (h Header) Date() (time.Time, error) {
	s := h.Get("WARC-Date")
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: WARC-Date %q is not a time of RFC 3339", ErrFormat, s)
	}
	return t, nil
}

// length is the size of the block.
func (h Header) length() (int64, error) {
	s := h.Get("Content-Length")
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%w: Content-Length %.40q of record %s is not a number of bytes", ErrFormat, s, h.ID())
	}
	return int64(n), nil
}

func bare(uri string) string {
	if len(uri) >= 2 && uri[0] == '<' && uri[len(uri)-1] == '>' {
		return uri[1 : len(uri)-1]
	}
	return uri
}
