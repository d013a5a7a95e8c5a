package pdf

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/ledongthuc/pdf"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// maxWidths bounds the widths that a font lists.
const maxWidths = 1 << 17

// A font says what the bytes of a string stand for, and how wide they are.
type font struct {
	wide     bool // codes of several bytes
	vertical bool
	mono     bool
	scale    float64 // of widths, to units of the font's size

	names  [256]string // of a simple font's glyphs by its differences
	glyphs map[string]string
	base   [256]rune
	widths [256]float64

	encoding  *charMap // of a wide font; nil where codes are two bytes, the glyph's number
	toUnicode *charMap
	charset   encoding.Encoding // of codes, where the encoding's name tells it
	utf16     bool              // codes are UTF-16
	byCID     map[uint32]float64
	usual     float64 // width of the glyphs that byCID does not have

	seen map[uint32]glyphShape
}

// A glyphShape is what one code draws: text is empty where nobody knows.
type glyphShape struct {
	text  string
	width float64
}

var monoName = regexp.MustCompile(`(?i)mono|courier|typewriter|consol|cmtt|cmsltt|cmitt|lmtt|lmmono|ectt|sftt|inconsolata|menlo|txtt|pcr[rb]|fixed`)

// loadFont reads a font dictionary.
func (d *file) loadFont(v pdf.Value) *font {
	f := &font{scale: 1.0 / 1000, seen: map[uint32]glyphShape{}}
	called := v.Key("BaseFont").Name()
	f.mono = monoName.MatchString(called)
	if m := v.Key("ToUnicode"); m.Kind() == pdf.Stream {
		f.toUnicode = readCharMap(d.data(m, maxMapBytes))
	}
	if v.Key("Subtype").Name() == "Type0" {
		f.wide = true
		d.loadWide(f, v)
	} else {
		d.loadSimple(f, v)
	}
	return f
}

func (d *file) loadSimple(f *font, v pdf.Value) {
	descriptor := v.Key("FontDescriptor")
	kind := v.Key("Subtype").Name()
	if kind == "Type3" {
		if a := v.Key("FontMatrix").Index(0).Float64(); a > 0 {
			f.scale = a
		}
	}
	enc := v.Key("Encoding")
	base := enc.Name()
	if enc.Kind() == pdf.Dict {
		base = enc.Key("BaseEncoding").Name()
	}
	if base == "" && kind == "TrueType" {
		base = "WinAnsiEncoding"
	}
	f.base = baseEncoding(base)
	if program := descriptor.Key("FontFile"); base == "" && program.Kind() == pdf.Stream {
		f.builtIn(d.data(program, maxMapBytes))
	}
	code := 0
	differences := enc.Key("Differences")
	for k := range min(differences.Len(), 1024) {
		x := differences.Index(k)
		switch {
		case x.Kind() == pdf.Integer:
			code = int(x.Int64())
		case x.Kind() == pdf.Name:
			if code >= 0 && code < 256 {
				f.names[code] = x.Name()
			}
			code++
		}
	}
	var names []string
	for _, n := range f.names {
		if n != "" {
			names = append(names, n)
		}
	}
	f.glyphs = glyphNames(names)
	if kind == "Type3" {
		for _, n := range names {
			if f.glyphs[n] == "" || systematic(n) == "" && numbered(n) != "" {
				f.glyphs[n] = numbered(n)
			}
		}
	}
	first := int(v.Key("FirstChar").Int64())
	widths := v.Key("Widths")
	missing := descriptor.Key("MissingWidth").Float64()
	for c := range f.widths {
		switch k := c - first; {
		case widths.Len() == 0:
			f.widths[c] = usualWidth(c, v.Key("BaseFont").Name(), f.mono)
		case k >= 0 && k < widths.Len():
			f.widths[c] = widths.Index(k).Float64()
		default:
			f.widths[c] = missing
		}
	}
}

var builtInCode = regexp.MustCompile(`dup\s+(\d{1,3})\s*/(\S{1,40})\s+put`)

// builtIn reads the encoding in a Type 1 font's program, which its first part has in clear.
func (f *font) builtIn(program []byte) {
	for _, m := range builtInCode.FindAllSubmatch(program[:min(len(program), 1<<16)], 512) {
		if c, err := strconv.Atoi(string(m[1])); err == nil && c < 256 {
			f.names[c] = string(m[2])
		}
	}
}

func (d *file) loadWide(f *font, v pdf.Value) {
	below := v.Key("DescendantFonts").Index(0)
	enc := v.Key("Encoding")
	called := enc.Name()
	if enc.Kind() == pdf.Stream {
		f.encoding = readCharMap(d.data(enc, maxMapBytes))
		called = enc.Key("CMapName").Name()
		f.vertical = enc.Key("WMode").Int64() == 1
	}
	f.vertical = f.vertical || strings.HasSuffix(called, "-V")
	f.charset = charsetOf(called)
	f.utf16 = strings.Contains(called, "-UCS2-") || strings.Contains(called, "-UTF16-")
	f.usual = 1000
	if w := below.Key("DW"); w.Kind() != pdf.Null {
		f.usual = w.Float64()
	}
	f.byCID = map[uint32]float64{}
	w := below.Key("W")
	for k := 0; k+1 < w.Len() && len(f.byCID) < maxWidths; {
		first := uint32(max(w.Index(k).Int64(), 0))
		if each := w.Index(k + 1); each.Kind() == pdf.Array {
			for j := range min(each.Len(), maxWidths) {
				f.byCID[first+uint32(j)] = each.Index(j).Float64()
			}
			k += 2
			continue
		}
		last, width := uint32(max(w.Index(k+1).Int64(), 0)), w.Index(k+2).Float64()
		for c := first; c <= last && len(f.byCID) < maxWidths && c-first < maxWidths; c++ {
			f.byCID[c] = width
		}
		k += 3
	}
}

// charsets are told by a part of a predefined character map's name (ISO 32000-1, table 118); the first that fits.
var charsets = []struct {
	part string
	set  encoding.Encoding
}{
	{"RKSJ", japanese.ShiftJIS}, {"KSC", korean.EUCKR}, {"GB", simplifiedchinese.GBK}, {"B5", traditionalchinese.Big5}, {"HKscs", traditionalchinese.Big5},
	{"EUC-", japanese.EUCJP},
}

// charsetOf returns the character set of a predefined character map; nil for Identity, Unicode, and unknown ones.
func charsetOf(called string) encoding.Encoding {
	for _, c := range charsets {
		if strings.Contains(called, c.part) && !strings.HasPrefix(called, "Uni") {
			return c.set
		}
	}
	return nil
}

// decode calls visit for each code of a string: what it draws, and whether it is the single byte 32, which word spacing applies to.
func (f *font) decode(s []byte, visit func(g glyphShape, space bool)) {
	if !f.wide {
		for _, c := range s {
			visit(f.shape(uint32(c), 1), c == ' ')
		}
		return
	}
	for len(s) > 0 {
		n := min(2, len(s))
		switch {
		case f.encoding != nil && len(f.encoding.lengths) > 0:
			n = f.encoding.length(s)
		case f.charset != nil && s[0] < 0x80:
			n = 1
		}
		visit(f.shape(codeOf(s[:n]), n), n == 1 && s[0] == ' ')
		s = s[n:]
	}
}

func (f *font) shape(code uint32, n int) glyphShape {
	key := code | uint32(n)<<30 // codes of three and four bytes are in no map that has one of two
	if g, ok := f.seen[key]; ok {
		return g
	}
	var g glyphShape
	if f.wide {
		cid := code
		if f.encoding != nil {
			cid = f.encoding.cid(code)
		}
		w, ok := f.byCID[cid]
		if !ok {
			w = f.usual
			if n == 1 && f.charset != nil {
				w = f.usual / 2
			}
		}
		g = glyphShape{width: w * f.scale}
	} else {
		g = glyphShape{width: f.widths[code&0xff] * f.scale}
	}
	g.text = letters(f.textOf(code, n))
	f.seen[key] = g
	return g
}

// textOf finds what a code stands for: the map to Unicode first, then the encoding.
func (f *font) textOf(code uint32, n int) string {
	if f.toUnicode != nil {
		if s := f.toUnicode.lookup(code); s != "" && known(s) {
			return s
		}
	}
	switch {
	case !f.wide:
		c := code & 0xff
		if n := f.names[c]; n != "" {
			return f.glyphs[n]
		}
		if f.base[c] != 0 {
			return string(f.base[c])
		}
	case f.utf16:
		return string(utf16.Decode([]uint16{uint16(code)}))
	case f.charset != nil:
		b := []byte{byte(code >> 24), byte(code >> 16), byte(code >> 8), byte(code)}
		if s, err := f.charset.NewDecoder().Bytes(b[4-min(n, 4):]); err == nil && known(string(s)) {
			return string(s)
		}
	}
	return ""
}

// known tells whether text says something: no controls, private letters, or replacement characters alone.
func known(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || r < ' ' && r != '\t' && r != '\n' || r >= 0xe000 && r <= 0xf8ff || r >= 0xf0000 {
			return false
		}
	}
	return true
}

// letters writes ligatures out, and white space as a space.
func letters(s string) string {
	if len(s) == 1 && s[0] > ' ' {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r >= 0xfb00 && r <= 0xfb06:
			b.WriteString([]string{"ff", "fi", "fl", "ffi", "ffl", "st", "st"}[r-0xfb00])
		case unicode.IsSpace(r):
			b.WriteByte(' ')
		case r == 0xad:
			b.WriteByte('-')
		case unicode.IsControl(r) || r == 0xfeff || r == 0x200b:
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// The widths of ASCII from the space on, for fonts that leave out theirs: only the fourteen that every reader has may.
var (
	helvetica = [...]uint16{278, 278, 355, 556, 556, 889, 667, 222, 333, 333, 389, 584, 278, 333, 278, 278,
		556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556,
		1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611,
		278, 278, 278, 469, 556, 222, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500,
		334, 260, 334, 584}
	times = [...]uint16{250, 333, 408, 500, 500, 833, 778, 333, 333, 333, 500, 564, 250, 333, 250, 278,
		500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 278, 278, 564, 564, 564, 444,
		921, 722, 667, 667, 722, 611, 556, 722, 722, 333, 389, 722, 611, 889, 722, 722, 556, 722, 667, 556, 611, 722, 722, 944, 722, 722, 611,
		333, 278, 333, 469, 500, 333, 444, 500, 444, 500, 444, 333, 500, 500, 278, 278, 500, 278, 778, 500, 500, 500, 500, 333, 389, 278, 500, 500, 722, 500, 500, 444,
		480, 200, 480, 541}
)

func usualWidth(c int, called string, mono bool) float64 {
	k := c - ' '
	switch {
	case mono:
		return 600
	case k < 0 || k >= len(times):
		return 550
	case strings.Contains(called, "Times"):
		return float64(times[k])
	}
	return float64(helvetica[k])
}
