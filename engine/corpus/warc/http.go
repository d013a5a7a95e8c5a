package warc

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// maxHTTPHeader bounds the header of an archived HTTP message.
const maxHTTPHeader = 1 << 20

// Response takes the HTTP response in a record apart; its body comes without transfer encoding but with the content
// encoding that the header names. Only response and revisit records have one.
func (r *Record) Response() (*http.Response, error) {
	if kind, _, _ := mime.ParseMediaType(r.Get("Content-Type")); kind != "application/http" || r.Type() == TypeRequest {
		return nil, fmt.Errorf("record %s: no HTTP response in it, but %q", r.ID(), r.Get("Content-Type"))
	}
	head := &io.LimitedReader{R: r.Block, N: maxHTTPHeader}
	in := bufio.NewReader(head)
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		return nil, fmt.Errorf("record %s: HTTP response: %w", r.ID(), err)
	}
	head.N = r.Length // the bound was the header's; the block ends by itself
	if len(response.TransferEncoding) > 0 && !startsChunk(in) {
		response.TransferEncoding, response.Body = nil, io.NopCloser(in)
	}
	if strings.EqualFold(response.Header.Get("Content-Encoding"), "identity") {
		response.Header.Del("Content-Encoding")
	}
	return response, nil
}

// startsChunk reports whether a body begins with the size of a chunk. Some crawlers wrote bodies without the transfer encoding
// that their headers name.
func startsChunk(in *bufio.Reader) bool {
	start, err := in.Peek(64)
	line, _, whole := bytes.Cut(start, []byte{'\n'})
	line, _, extended := bytes.Cut(line, []byte{';'})
	if err == nil && !whole && !extended {
		return false
	}
	_, err = strconv.ParseUint(string(bytes.TrimSpace(line)), 16, 64)
	return err == nil || len(start) == 0
}
