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
	header, err := mendHeader(bufio.NewReader(&io.LimitedReader{R: r.Block, N: maxHTTPHeader}))
	if err != nil {
		return nil, fmt.Errorf("record %s: HTTP response: %w", r.ID(), err)
	}
	in := bufio.NewReader(io.MultiReader(header, r.Block))
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		return nil, fmt.Errorf("record %s: HTTP response: %w", r.ID(), err)
	}
	if len(response.TransferEncoding) > 0 && !startsChunk(in) {
		response.TransferEncoding, response.Body = nil, io.NopCloser(in)
	}
	if strings.EqualFold(response.Header.Get("Content-Encoding"), "identity") {
		response.Header.Del("Content-Encoding")
	}
	return response, nil
}

// mendHeader reads a header and gives it back, with what was read behind it, without the lines that are none: archives hold what
// servers sent, and Go's parser refuses all of a header for one of them.
func mendHeader(in *bufio.Reader) (io.Reader, error) {
	var b bytes.Buffer
	sizes := 0
	for first, kept := true, true; ; first = false {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("header: %w", io.ErrUnexpectedEOF)
		}
		text := strings.TrimRight(line, "\r\n")
		name, value, colon := strings.Cut(text, ":")
		value = strings.TrimSpace(value)
		switch {
		case first:
			version, status, _ := strings.Cut(text, " ")
			if !strings.HasPrefix(version, "HTTP/") {
				return nil, fmt.Errorf("it starts with %.20q", text)
			}
			if version != "HTTP/1.0" {
				version = "HTTP/1.1" // of which the others are a notation here
			}
			text = version + " " + status
		case text == "":
			b.WriteString("\r\n")
			rest, _ := in.Peek(in.Buffered())
			return io.MultiReader(&b, bytes.NewReader(rest)), nil
		case text[0] == ' ' || text[0] == '\t': // more of the line above
		case !colon || !isToken(name):
			kept = false
			continue
		case strings.EqualFold(name, "Content-Length"):
			_, err := strconv.ParseUint(value, 10, 63)
			if kept = err == nil && sizes == 0; kept {
				sizes++
			}
		case strings.EqualFold(name, "Transfer-Encoding"):
			kept = strings.EqualFold(value, "chunked")
		default:
			kept = true
		}
		if kept {
			b.WriteString(text + "\r\n")
		}
	}
}

// isToken reports whether a name is one that HTTP allows.
func isToken(name string) bool {
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return name != ""
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
