package parquet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// maxPage bounds a page, compressed or not. Writers mean them to be of a megabyte, but some look only once in a thousand rows.
const maxPage = 512 << 20

var zstdReader = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxPage))
})

var errExpands = errors.New("decompresses to another size than it says")

// decompress gives the size bytes that a page was compressed from. Whatever it says, no more than maxPage bytes are made of it.
func decompress(codec int64, b []byte, size int) (out []byte, err error) {
	if size > maxPage {
		return nil, fmt.Errorf("a page of %d bytes; at most %d are read", size, maxPage)
	}
	if size == 0 && len(b) == 0 {
		return nil, nil
	}
	switch codec {
	case 0:
		out = b
	case 1:
		n, err := snappy.DecodedLen(b)
		if err != nil || n != size || size > 64*len(b) { // no snappy compresses better than 22 to 1
			return nil, errors.Join(errExpands, err)
		}
		out, err = snappy.Decode(nil, b)
		if err != nil {
			return nil, err
		}
	case 2:
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		out, err = io.ReadAll(io.LimitReader(z, int64(size)+1))
		if err != nil {
			return nil, err
		}
	case 4:
		out, err = io.ReadAll(io.LimitReader(brotli.NewReader(bytes.NewReader(b)), int64(size)+1))
		if err != nil {
			return nil, err
		}
	case codecZstd:
		z, err := zstdReader()
		if err != nil {
			return nil, err
		}
		out, err = z.DecodeAll(b, make([]byte, 0, min(size, 64*len(b)+1024)))
		if err != nil {
			return nil, err
		}
	case 7:
		if out, err = lz4(b, size); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("compression %d is not known here: write the file with zstd, snappy or gzip", codec)
	}
	if len(out) != size {
		return nil, errExpands
	}
	return out, nil
}

var errLZ4 = errors.New("lz4: damaged")

// lz4 decompresses a block of LZ4, without a frame, of size bytes: https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md
func lz4(b []byte, size int) (out []byte, err error) {
	if size > 256*len(b)+16 { // a byte adds 255 at most
		return nil, errExpands
	}
	out = make([]byte, 0, size)
	length := func(n int) int { // with the bytes that continue it
		for n >= 15 && len(b) > 0 {
			more := b[0]
			n, b = n+int(more), b[1:]
			if more < 255 {
				break
			}
		}
		return n
	}
	for len(b) > 0 {
		token := b[0]
		b = b[1:]
		n := length(int(token >> 4))
		if n > len(b) || n > size-len(out) {
			return nil, errLZ4
		}
		out, b = append(out, b[:n]...), b[n:]
		if len(b) == 0 {
			return out, nil
		}
		if len(b) < 2 {
			return nil, errLZ4
		}
		back := int(b[0]) | int(b[1])<<8
		b = b[2:]
		n = length(int(token&15)) + 4
		if back == 0 || back > len(out) || n > size-len(out) {
			return nil, errLZ4
		}
		for ; n > 0; n -= back { // what is copied may be what was just written
			from := len(out) - back
			out = append(out, out[from:from+min(n, back)]...)
		}
	}
	return out, nil
}
