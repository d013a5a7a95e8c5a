package warc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"
)

// A Page is what an archive holds of one URL: the body of a response of status 200, a resource, or, in a WET file, text.
type Page struct {
	ID          string // of the record
	URL         string
	Date        time.Time
	ContentType string
	Truncated   string // why the body is not whole, or ""
	Body        []byte // without transfer and content encoding
}

// Pages yields the pages of an archive in their order. A page that is larger than limit, unpacked, is cut, and
// says so. One that makes no sense is passed over if the records behind it can be read; the first other error ends it.
func Pages(r io.Reader, limit int64) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		in, err := NewReader(r)
		if err != nil {
			yield(Page{}, err)
			return
		}
		defer in.Close()
		for {
			record, err := in.Next()
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(Page{}, err)
				return
			}
			p, err := pageOf(record, limit)
			if err != nil {
				continue // if the file is broken, Next will say so
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

var errNoPage = errors.New("not a page")

func pageOf(r *Record, limit int64) (p Page, err error) {
	p = Page{ID: r.ID(), URL: r.URI(), Truncated: r.Truncated(), ContentType: r.Get("Content-Type")}
	if p.Date, err = r.Date(); err != nil {
		return p, err
	}
	body := io.NopCloser(r.Block)
	switch r.Type() {
	case TypeConversion, TypeResource:
	case TypeResponse:
		response, err := r.Response()
		if err != nil {
			return p, err
		}
		if response.StatusCode != http.StatusOK {
			return p, errNoPage
		}
		p.ContentType = response.Header.Get("Content-Type")
		packed := bufio.NewReader(response.Body)
		if body, err = DecodeContent(packed, encodings(packed, response.Header)); err != nil {
			return p, err
		}
	default:
		return p, errNoPage
	}
	defer body.Close()
	p.Body, err = io.ReadAll(io.LimitReader(body, limit+1))
	switch {
	case int64(len(p.Body)) > limit:
		p.Body, p.Truncated = p.Body[:limit], TruncatedLength
	case err == nil || p.Truncated != "":
	case errors.Is(err, ErrDigest):
		return p, fmt.Errorf("record %s: %w", p.ID, err)
	default: // it breaks off, or its encoding does
		p.Truncated = TruncatedDisconnect
	}
	return p, nil
}

// encodings are the content encodings of a body: those that its header names, unless it is not in gzip at all. Some crawlers
// wrote decoded bodies behind headers that still name the encoding.
func encodings(body *bufio.Reader, h http.Header) []string {
	names := h.Values("Content-Encoding")
	if len(names) == 1 && strings.HasSuffix(strings.ToLower(names[0]), "gzip") {
		if start, _ := body.Peek(2); !bytes.Equal(start, []byte{0x1f, 0x8b}) {
			return nil
		}
	}
	return names
}
