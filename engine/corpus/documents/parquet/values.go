package parquet

import (
	"encoding/binary"
	"fmt"
	"math"
)

// The encodings of strings: https://github.com/apache/parquet-format/blob/master/Encodings.md
// Each gives its values one at a time, so that what a page claims to hold costs nothing before it is there.

// plain is strings with their lengths before them.
func plain(b []byte) func() ([]byte, error) {
	return func() ([]byte, error) {
		if len(b) < 4 {
			return nil, errShort
		}
		n := binary.LittleEndian.Uint32(b)
		if uint64(n) > uint64(len(b)-4) {
			return nil, errShort
		}
		v := b[4 : 4+n : 4+n]
		b = b[4+n:]
		return v, nil
	}
}

// A dictionary is plain strings that are found by their number. It takes no more memory than they do, however short they are.
type dictionary struct {
	b  []byte
	at []uint32 // where each begins in b
}

func newDictionary(b []byte, count int64) (d dictionary, err error) {
	d = dictionary{b, make([]uint32, 0, min(count, int64(len(b)/4)))}
	next, at := plain(b), 0
	for range count {
		v, err := next()
		if err != nil {
			return d, err
		}
		d.at = append(d.at, uint32(at)) // pages are smaller than 4 GiB
		at += 4 + len(v)
	}
	return d, nil
}

func (d dictionary) value(i uint32) ([]byte, error) {
	if uint64(i) >= uint64(len(d.at)) {
		return nil, fmt.Errorf("%w: string %d of a dictionary of %d", errDamaged, i, len(d.at))
	}
	return plain(d.b[d.at[i]:])()
}

// indexed is numbers of strings in a dictionary.
func indexed(d dictionary, b []byte) (func() ([]byte, error), error) {
	if len(b) == 0 { // no value is there
		return func() ([]byte, error) { return nil, errShort }, nil
	}
	width := int(b[0])
	if width > 32 {
		return nil, fmt.Errorf("%w: indices of %d bits", errDamaged, width)
	}
	indices := hybrid{b: b[1:], width: width}
	return func() ([]byte, error) {
		i, err := indices.next()
		if err != nil {
			return nil, err
		}
		return d.value(i)
	}, nil
}

// A hybrid is numbers of width bits, in runs of equal ones and in packs of eight.
type hybrid struct {
	b      []byte
	width  int
	value  uint32 // of a run
	run    uint64 // left in it
	packed uint64 // left in the packs
	bit    int    // where the next of them begins in b
}

func (h *hybrid) next() (uint32, error) {
	for h.run == 0 && h.packed == 0 {
		h.b, h.bit = h.b[min((h.bit+7)/8, len(h.b)):], 0
		header, n := binary.Uvarint(h.b)
		if n <= 0 {
			return 0, errShort
		}
		h.b = h.b[n:]
		if header&1 == 1 {
			// Only what is there: the last pack may be cut.
			if h.packed = header >> 1; h.packed > uint64(len(h.b)) && h.width > 0 {
				h.packed = uint64(len(h.b))
			}
			h.packed = min(h.packed, 1<<40) * 8
			continue
		}
		size := (h.width + 7) / 8
		if len(h.b) < size {
			return 0, errShort
		}
		h.value = 0
		for i := range size {
			h.value |= uint32(h.b[i]) << (8 * i)
		}
		h.b, h.run = h.b[size:], header>>1
	}
	if h.run > 0 {
		h.run--
		return h.value, nil
	}
	h.packed--
	v, ok := unpack(h.b, h.bit, h.width)
	if !ok {
		return 0, errShort
	}
	h.bit += h.width
	return uint32(v), nil
}

// unpack reads a number of width bits, at most 64, from a bit on.
func unpack(b []byte, bit, width int) (v uint64, ok bool) {
	if bit+width > 8*len(b) {
		return 0, false
	}
	for got := 0; got < width; {
		take := min(8-bit%8, width-got)
		v |= uint64(b[bit/8]>>(bit%8)&(1<<take-1)) << got
		bit, got = bit+take, got+take
	}
	return v, true
}

// maxDeltas bounds the strings of a page whose lengths stand together, since a few bytes can mean millions of equal ones.
const maxDeltas = 16 << 20

// deltas reads lengths of which only the differences are stored, and gives what follows them. There are at most most of them.
func deltas(b []byte, most int64) (lengths []int32, rest []byte, err error) {
	r := &thriftReader{b: b} // has the same numbers of variable length
	block, minis, count, value := r.uvarint(), r.uvarint(), r.uvarint(), r.int()
	if r.err != nil {
		return nil, nil, r.err
	}
	if count > uint64(min(most, maxDeltas)) || minis == 0 || block == 0 || block > 1<<16 || block%minis != 0 || block/minis%8 != 0 {
		return nil, nil, fmt.Errorf("%w: %d lengths in %d parts of blocks of %d", errDamaged, count, minis, block)
	}
	per := int(block / minis)
	add := func() {
		if value < 0 || value > math.MaxInt32 {
			r.fail(fmt.Errorf("%w: a length of %d", errDamaged, value))
		}
		lengths = append(lengths, int32(value))
	}
	if count > 0 {
		add()
	}
	for uint64(len(lengths)) < count {
		least := r.int()
		widths := r.take(minis)
		for _, width := range widths {
			if uint64(len(lengths)) == count {
				break
			}
			if width > 64 {
				return nil, nil, fmt.Errorf("%w: differences of %d bits", errDamaged, width)
			}
			packed := r.take(uint64(int(width) * per / 8))
			for i := 0; i < per && uint64(len(lengths)) < count && r.err == nil; i++ {
				d, _ := unpack(packed, i*int(width), int(width)) // all of it is there
				value += least + int64(d)
				add()
			}
		}
		if r.err != nil {
			return nil, nil, r.err
		}
	}
	return lengths, b[r.at:], r.err
}

// deltaLength is the lengths of all strings, and then the strings.
func deltaLength(b []byte, most int64) (func() ([]byte, error), error) {
	lengths, b, err := deltas(b, most)
	if err != nil {
		return nil, err
	}
	return func() ([]byte, error) {
		if len(lengths) == 0 || int(lengths[0]) > len(b) {
			return nil, errShort
		}
		n := lengths[0]
		v := b[:n:n]
		lengths, b = lengths[1:], b[n:]
		return v, nil
	}, nil
}

// deltaByteArray is strings without what they have in common with the one before.
func deltaByteArray(b []byte, most int64) (func() ([]byte, error), error) {
	prefixes, b, err := deltas(b, most)
	if err != nil {
		return nil, err
	}
	suffixes, err := deltaLength(b, most)
	if err != nil {
		return nil, err
	}
	var last []byte
	return func() ([]byte, error) {
		suffix, err := suffixes()
		if err != nil {
			return nil, err
		}
		if len(prefixes) == 0 || int(prefixes[0]) > len(last) {
			return nil, errShort
		}
		if int(prefixes[0])+len(suffix) > MaxValue {
			return nil, fmt.Errorf("a string of more than %d bytes", MaxValue)
		}
		last = append(last[:prefixes[0]], suffix...)
		prefixes = prefixes[1:]
		return last, nil
	}, nil
}
