package pdf

import (
	"slices"
	"strings"
	"unicode/utf16"
)

// Limits of a character map; what is beyond is left out.
const (
	maxMapEntries = 1 << 17
	maxMapText    = 64 // UTF-16 units that one code stands for
)

// A span maps the codes from lo to hi, of n bytes, to cid, cid+1, ... or to text, whose last letter counts up.
type span struct {
	lo, hi uint32
	n      uint8
	cid    uint32
	text   []uint16
}

// A charMap is a CMap (Adobe Technical Note 5014): how long codes are, and what each stands for.
type charMap struct {
	lengths []span // the code space
	chars   map[uint32]string
	ranges  []span // of text
	cids    []span // sorted by lo
}

func codeOf(b []byte) (c uint32) {
	for _, x := range b[:min(len(b), 4)] {
		c = c<<8 | uint32(x)
	}
	return c
}

func units(b []byte) []uint16 {
	if len(b) == 1 {
		return []uint16{uint16(b[0])}
	}
	u := make([]uint16, 0, min(len(b)/2, maxMapText))
	for k := 0; k+1 < len(b) && len(u) < maxMapText; k += 2 {
		u = append(u, uint16(b[k])<<8|uint16(b[k+1]))
	}
	return u
}

// readCharMap reads a character map's program.
func readCharMap(program []byte) *charMap {
	m := &charMap{chars: map[uint32]string{}}
	l := lexer{b: program}
	var args []token // copies
	keep := func(t token) {
		t.str = slices.Clone(t.str)
		t.list = slices.Clone(t.list)
		for k := range t.list {
			t.list[k].str = slices.Clone(t.list[k].str)
		}
		args = append(args, t)
	}
	left := maxMapEntries
	for {
		t := l.next()
		if t.kind == endOfProgram {
			break
		}
		if t.kind != anOperator {
			if len(args) < 3*maxList {
				keep(t)
			}
			continue
		}
		switch string(t.str) {
		case "endcodespacerange":
			for k := 0; k+1 < len(args); k += 2 {
				if n := len(args[k].str); n >= 1 && n <= 4 && len(m.lengths) < 100 {
					m.lengths = append(m.lengths, span{lo: codeOf(args[k].str), hi: codeOf(args[k+1].str), n: uint8(n)})
				}
			}
		case "endbfchar":
			for k := 0; k+1 < len(args) && left > 0; k += 2 {
				left--
				m.chars[codeOf(args[k].str)] = decodeUnits(units(args[k+1].str))
			}
		case "endbfrange":
			for k := 0; k+2 < len(args) && left > 0; k += 3 {
				left--
				lo, hi := codeOf(args[k].str), codeOf(args[k+1].str)
				if args[k+2].kind == aList {
					for j, t := range args[k+2].list {
						if left--; left < 0 || uint64(lo)+uint64(j) > uint64(hi) {
							break
						}
						m.chars[lo+uint32(j)] = decodeUnits(units(t.str))
					}
					continue
				}
				if u := units(args[k+2].str); len(u) > 0 && lo <= hi {
					m.ranges = append(m.ranges, span{lo: lo, hi: hi, text: u})
				}
			}
		case "endcidchar":
			for k := 0; k+1 < len(args) && left > 0; k += 2 {
				left--
				c := codeOf(args[k].str)
				m.cids = append(m.cids, span{lo: c, hi: c, cid: uint32(max(args[k+1].num, 0))})
			}
		case "endcidrange":
			for k := 0; k+2 < len(args) && left > 0; k += 3 {
				left--
				m.cids = append(m.cids, span{lo: codeOf(args[k].str), hi: codeOf(args[k+1].str), cid: uint32(max(args[k+2].num, 0))})
			}
		}
		args = args[:0]
	}
	byLow := func(a, b span) int { return int(int64(a.lo) - int64(b.lo)) }
	slices.SortStableFunc(m.cids, byLow)
	slices.SortStableFunc(m.ranges, byLow)
	return m
}

func decodeUnits(u []uint16) string { return strings.TrimRight(string(utf16.Decode(u)), "\x00") }

// find returns the last range that begins at or before a code, if it has it.
func find(ranges []span, code uint32) (span, bool) {
	k, exact := slices.BinarySearchFunc(ranges, code, func(s span, c uint32) int { return int(int64(s.lo) - int64(c)) })
	if !exact {
		k--
	}
	if k < 0 || code > ranges[k].hi {
		return span{}, false
	}
	return ranges[k], true
}

// lookup returns the text that a code stands for.
func (m *charMap) lookup(code uint32) string {
	if s, ok := m.chars[code]; ok {
		return s
	}
	if r, ok := find(m.ranges, code); ok {
		u := slices.Clone(r.text)
		u[len(u)-1] += uint16(code - r.lo)
		s := decodeUnits(u)
		m.chars[code] = s
		return s
	}
	return ""
}

// cid returns the number of the glyph that a code chooses.
func (m *charMap) cid(code uint32) uint32 {
	if r, ok := find(m.cids, code); ok {
		return r.cid + code - r.lo
	}
	return 0
}

// length returns how many bytes the next code has.
func (m *charMap) length(s []byte) int {
	for n := 1; n <= 4 && n <= len(s); n++ {
		c := codeOf(s[:n])
		for _, r := range m.lengths {
			if int(r.n) == n && inSpace(c, r) {
				return n
			}
		}
	}
	for _, r := range m.lengths {
		return min(int(r.n), len(s))
	}
	return min(2, len(s))
}

// inSpace tests each byte by itself: a code space is a box, not an interval.
func inSpace(c uint32, r span) bool {
	for k := 0; k < int(r.n); k++ {
		x := c >> (8 * k) & 0xff
		if x < r.lo>>(8*k)&0xff || x > r.hi>>(8*k)&0xff {
			return false
		}
	}
	return true
}
