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

// precisions are how exact WARC 1.1 lets a date be: all that W3C's date and time formats know.
var precisions = []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", time.DateOnly, "2006-01", "2006"}

// Date is when the record was captured, or when the time began of which it says so.
func (h Header) Date() (time.Time, error) {
	s := h.Get("WARC-Date")
	for _, layout := range precisions {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%w: WARC-Date %.40q is no date such as 2026-01-02T03:04:05Z", ErrFormat, s)
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
