package warc

import (
	"bufio"
	"fmt"
	"io"
	"mime"
	"net/http"
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
	if strings.EqualFold(response.Header.Get("Content-Encoding"), "identity") {
		response.Header.Del("Content-Encoding")
	}
	return response, nil
}
