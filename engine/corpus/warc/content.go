package warc

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// maxEncodings is how many content encodings a body may have, one in the other.
const maxEncodings = 2

// maxZstdWindow is what RFC 9659 lets a content encoding ask for.
const maxZstdWindow = 8 << 20

// DecodeContent undoes the values of Content-Encoding. It streams; the caller bounds what comes out. No bytes are none in any encoding.
func DecodeContent(r io.Reader, encodings []string) (io.ReadCloser, error) {
	var list []string
	for e := range strings.SplitSeq(strings.ToLower(strings.Join(encodings, ",")), ",") {
		if e = strings.TrimSpace(e); e != "" && e != "identity" {
			list = append(list, e)
		}
	}
	if len(list) > maxEncodings {
		return nil, fmt.Errorf("body with %d content encodings, at most %d", len(list), maxEncodings)
	}
	if len(list) > 0 {
		in := bufio.NewReader(r)
		if _, err := in.Peek(1); err == io.EOF {
			return io.NopCloser(in), nil
		}
		r = in
	}
	closed := io.NopCloser(r)
	for i := len(list) - 1; i >= 0; i-- {
		next, err := decodeOne(closed, list[i])
		if err != nil {
			closed.Close()
			return nil, fmt.Errorf("body in %s: %w", list[i], err)
		}
		closed = next
	}
	return closed, nil
}

func decodeOne(r io.Reader, encoding string) (io.ReadCloser, error) {
	switch encoding {
	case "gzip", "x-gzip":
		return gzip.NewReader(r)
	case "br":
		return io.NopCloser(brotli.NewReader(r)), nil
	case "zstd":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	case "deflate": // RFC 9110 means zlib; some servers send the bare stream
		in := bufio.NewReader(r)
		if head, err := in.Peek(2); err == nil && head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
			return zlib.NewReader(in)
		}
		return flate.NewReader(in), nil
	}
	return nil, fmt.Errorf("unknown content encoding %.40q", encoding)
}
