package pdf

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/ledongthuc/pdf"
)

// data unpacks a stream, up to a limit. What of a damaged stream could be unpacked is returned.
//
// The library unpacks Flate and ASCII85, and alone knows how to decrypt. Other filters and predictors are undone here.
func (d *file) data(v pdf.Value, limit int) []byte {
	if v.Kind() != pdf.Stream {
		return nil
	}
	limit = min(limit, d.room)
	b, err := d.libraryData(v, limit)
	if err != nil && len(b) == 0 {
		b = d.ownData(v, limit)
	}
	d.room -= len(b)
	return b
}

func (d *file) libraryData(v pdf.Value, limit int) (b []byte, err error) {
	defer recovered(&err)
	r := v.Reader()
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, int64(limit)))
}

// ownData unpacks a stream from the file's bytes: where they are is in the value's own description.
func (d *file) ownData(v pdf.Value, limit int) []byte {
	if d.encrypted {
		return nil
	}
	s := v.String()
	offset, err := strconv.Atoi(s[strings.LastIndexByte(s, '@')+1:])
	length := v.Key("Length").Int64()
	if err != nil || offset < 0 || offset > len(d.bytes) || length < 0 {
		return nil
	}
	b := d.bytes[offset:]
	b = b[:min(int64(len(b)), length)]
	filters, params := v.Key("Filter"), v.Key("DecodeParms")
	if filters.Kind() == pdf.Name {
		return undo(b, filters.Name(), params, limit)
	}
	for k := range min(filters.Len(), 8) {
		b = undo(b, filters.Index(k).Name(), params.Index(k), limit)
	}
	return b
}

// undo undoes one filter (ISO 32000-1, 7.4). Of pictures' filters it makes nothing.
func undo(b []byte, filter string, params pdf.Value, limit int) []byte {
	switch filter {
	case "FlateDecode", "Fl":
		z, err := zlib.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil
		}
		b, _ = io.ReadAll(io.LimitReader(z, int64(limit))) // what is whole of a damaged stream is good
		return unpredict(b, params)
	case "LZWDecode", "LZW":
		early := params.Key("EarlyChange")
		return unpredict(unLZW(b, early.Kind() == pdf.Null || early.Int64() != 0, limit), params)
	case "ASCIIHexDecode", "AHx":
		l := lexer{b: b}
		return l.hex()
	case "RunLengthDecode", "RL":
		return unRunLength(b, limit)
	}
	return nil
}

func unRunLength(b []byte, limit int) (out []byte) {
	for len(b) > 1 && b[0] != 128 && len(out) < limit {
		if n := int(b[0]); n < 128 {
			n = min(n+1, len(b)-1)
			out = append(out, b[1:1+n]...)
			b = b[1+n:]
		} else {
			out = append(out, bytes.Repeat(b[1:2], 257-n)...)
			b = b[2:]
		}
	}
	return out
}

// unLZW undoes PDF's LZW: codes of 9 to 12 bits, the high bit first; 256 begins anew, 257 ends. early: codes grow one too soon.
func unLZW(b []byte, early bool, limit int) (out []byte) {
	type entry struct{ at, n int } // in out: what a code stands for has been written before
	table := make([]entry, 258, 4096)
	grow := 0
	if early {
		grow = 1
	}
	var bits, have uint
	width := uint(9)
	last := entry{n: 0}
	for _, c := range b {
		bits, have = bits<<8|uint(c), have+8
		if have < width {
			continue
		}
		code := int(bits >> (have - width) & (1<<width - 1))
		have -= width
		from := len(out)
		switch {
		case code == 256:
			table, width, last = table[:258], 9, entry{}
			continue
		case code == 257 || len(out) >= limit:
			return out
		case code < 256:
			out = append(out, byte(code))
		case code < len(table):
			e := table[code]
			out = append(out, out[e.at:e.at+e.n]...)
		case code == len(table) && last.n > 0:
			out = append(out, out[last.at:last.at+last.n]...)
			out = append(out, out[last.at])
		default:
			return out
		}
		if last.n > 0 && len(table) < 4096 {
			table = append(table, entry{last.at, last.n + 1}) // its last byte is the first of this one, which stands right behind
		}
		last = entry{from, len(out) - from}
		switch n := len(table) + grow; {
		case n >= 2048:
			width = 12
		case n >= 1024:
			width = 11
		case n >= 512:
			width = 10
		}
	}
	return out
}

// unpredict undoes the predictors of PNG, where each row names its own, and that of TIFF for bytes.
func unpredict(b []byte, params pdf.Value) []byte {
	kind := params.Key("Predictor").Int64()
	if kind < 2 {
		return b
	}
	positive := func(key string, otherwise int64) int64 {
		if n := params.Key(key).Int64(); n > 0 {
			return min(n, 1<<20)
		}
		return otherwise
	}
	bits := positive("Colors", 1) * positive("BitsPerComponent", 8)
	pixel := int(max(1, (bits+7)/8))
	row := int((bits*positive("Columns", 1) + 7) / 8)
	if row > 1<<26 {
		return nil
	}
	if kind == 2 {
		for at := 0; at+row <= len(b); at += row {
			for k := pixel; k < row; k++ {
				b[at+k] += b[at+k-pixel]
			}
		}
		return b
	}
	out := make([]byte, 0, len(b))
	above := make([]byte, row)
	for len(b) > 1 {
		line := b[1:min(row+1, len(b))]
		for k := range line {
			var left, corner byte
			if k >= pixel {
				left, corner = line[k-pixel], above[k-pixel]
			}
			switch b[0] {
			case 1:
				line[k] += left
			case 2:
				line[k] += above[k]
			case 3:
				line[k] += byte((int(left) + int(above[k])) / 2)
			case 4:
				line[k] += paeth(left, above[k], corner)
			}
		}
		out = append(out, line...)
		copy(above, line)
		b = b[1+len(line):]
	}
	return out
}

func paeth(a, b, c byte) byte {
	p := int(a) + int(b) - int(c)
	pa, pb, pc := max(p-int(a), int(a)-p), max(p-int(b), int(b)-p), max(p-int(c), int(c)-p)
	switch {
	case pa <= pb && pa <= pc:
		return a
	case pb <= pc:
		return b
	}
	return c
}

// recovered makes an error of the library's panic, which is how it says that a file is malformed.
func recovered(err *error) {
	if x := recover(); x != nil {
		e, ok := x.(error)
		if !ok {
			e = fmt.Errorf("%v", x)
		}
		*err = errors.Join(*err, fmt.Errorf("damaged: %w", e))
	}
}
