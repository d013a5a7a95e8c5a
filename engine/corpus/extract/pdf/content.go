package pdf

import (
	"math"
	"regexp"
	"slices"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/ledongthuc/pdf"
)

// A matrix is the first two columns of a transformation of the plane, by rows: a point (x, y) goes to (ax+cy+e, bx+dy+f).
type matrix struct{ a, b, c, d, e, f float64 }

var identity = matrix{a: 1, d: 1}

// times returns the transformation that does m first, then n.
func (m matrix) times(n matrix) matrix {
	return matrix{m.a*n.a + m.b*n.c, m.a*n.b + m.b*n.d, m.c*n.a + m.d*n.c, m.c*n.b + m.d*n.d, m.e*n.a + m.f*n.c + n.e, m.e*n.b + m.f*n.d + n.f}
}

func (m matrix) apply(x, y float64) (float64, float64) {
	return m.a*x + m.c*y + m.e, m.b*x + m.d*y + m.f
}

// A glyph is a drawn character, in a frame that is turned so that its line runs to the right.
type glyph struct {
	x, end, y, size float64 // from where to where on the line, the line's height, in points
	text            string  // empty: part of the one before
	turn            uint8   // quarter turns, against the clock, of the line on the page
	mono            bool
	unknown         bool // nobody says what it is
	artifact        bool // marked as no part of the text: a running header, a page number
}

// A graphicsState is what q saves and Q restores.
type graphicsState struct {
	ctm                                       matrix
	font                                      *font
	size, charSpace, wordSpace, leading, rise float64
	stretch                                   float64
}

// A mark is an open piece of marked content.
type mark struct {
	artifact bool
	actual   *string // what its glyphs stand for; empty when the first has said it
}

// A machine runs the programs of one page and collects its glyphs.
type machine struct {
	d      *file
	glyphs []glyph
	ops    int      // that may still be run
	forms  int      // that may still be drawn
	inside []string // the forms that are being drawn
	box    [4]float64
}

const (
	maxSaved = 512
	maxMarks = 512
)

// page runs a page's program. Of a damaged one it returns what was drawn before the damage.
func (d *file) page(v pdf.Value) (s sheet, err error) {
	m := &machine{d: d, ops: maxOps, forms: maxForms}
	defer func() { s = newSheet(m.glyphs, m.box) }()
	defer recovered(&err)
	m.box = boxOf(v)
	var program []byte
	switch c := v.Key("Contents"); c.Kind() {
	case pdf.Stream:
		program = d.data(c, maxStream)
	case pdf.Array:
		for k := range min(c.Len(), 10_000) {
			program = append(program, d.data(c.Index(k), maxStream-len(program))...)
			program = append(program, '\n')
		}
	}
	m.run(program, inherited(v, "Resources"), graphicsState{ctm: identity, stretch: 1}, 0)
	return s, nil
}

func inherited(v pdf.Value, key string) pdf.Value {
	for range maxPageDepth {
		if x := v.Key(key); x.Kind() != pdf.Null {
			return x
		}
		if v = v.Key("Parent"); v.Kind() != pdf.Dict {
			break
		}
	}
	return pdf.Value{}
}

// boxOf is what of a page is seen: left, bottom, right, top.
func boxOf(v pdf.Value) (box [4]float64) {
	b := inherited(v, "CropBox")
	if b.Len() < 4 {
		b = inherited(v, "MediaBox")
	}
	for k := range box {
		box[k] = b.Index(k).Float64()
	}
	box[0], box[2] = min(box[0], box[2]), max(box[0], box[2])
	box[1], box[3] = min(box[1], box[3]), max(box[1], box[3])
	if box[2]-box[0] < 1 || box[3]-box[1] < 1 {
		return [4]float64{-1e9, -1e9, 1e9, 1e9}
	}
	return box
}

// run runs a program: that of a page, or of a form in it.
func (m *machine) run(program []byte, resources pdf.Value, g graphicsState, depth int) {
	l := lexer{b: program}
	fonts := m.d.fontsOf(resources)
	var saved []graphicsState
	var marks []mark
	text, line := identity, identity
	var args [6]token
	n := 0
	num := func(k int) float64 {
		if k < n {
			return args[k].num
		}
		return 0
	}
	six := func() matrix { return matrix{num(0), num(1), num(2), num(3), num(4), num(5)} }
	move := func(x, y float64) {
		line = matrix{1, 0, 0, 1, x, y}.times(line)
		text = line
	}
	show := func(s []byte) { text = m.show(s, &g, text, marks) }
	for {
		t := l.next()
		if t.kind == endOfProgram {
			return
		}
		if t.kind != anOperator {
			if n == len(args) {
				copy(args[:], args[1:])
				n--
			}
			args[n] = t
			n++
			continue
		}
		if m.ops--; m.ops < 0 {
			return
		}
		switch string(t.str) {
		case "q":
			if len(saved) < maxSaved {
				saved = append(saved, g)
			}
		case "Q":
			if k := len(saved) - 1; k >= 0 {
				g, saved = saved[k], saved[:k]
			}
		case "cm":
			g.ctm = six().times(g.ctm)
		case "BT":
			text, line = identity, identity
		case "Tf":
			if n >= 2 {
				g.font, g.size = fonts.get(string(args[n-2].str)), args[n-1].num
			}
		case "Tc":
			g.charSpace = num(0)
		case "Tw":
			g.wordSpace = num(0)
		case "Tz":
			g.stretch = num(0) / 100
		case "TL":
			g.leading = num(0)
		case "Ts":
			g.rise = num(0)
		case "Td":
			move(num(0), num(1))
		case "TD":
			g.leading = -num(1)
			move(num(0), num(1))
		case "Tm":
			line = six()
			text = line
		case "T*":
			move(0, -g.leading)
		case "Tj":
			if n > 0 {
				show(args[n-1].str)
			}
		case "'":
			move(0, -g.leading)
			if n > 0 {
				show(args[n-1].str)
			}
		case "\"":
			g.wordSpace, g.charSpace = num(0), num(1)
			move(0, -g.leading)
			if n > 0 {
				show(args[n-1].str)
			}
		case "TJ":
			if n > 0 {
				for _, part := range args[n-1].list {
					switch {
					case part.kind == aText:
						show(part.str)
					case g.font != nil && g.font.vertical:
						text = matrix{1, 0, 0, 1, 0, -part.num / 1000 * g.size}.times(text)
					default:
						text = matrix{1, 0, 0, 1, -part.num / 1000 * g.size * g.stretch, 0}.times(text)
					}
				}
			}
		case "Do":
			if n > 0 {
				m.draw(string(args[n-1].str), resources, g, depth)
			}
		case "ID":
			l.skipImage()
		case "BMC", "BDC":
			var k mark
			if n > 0 && len(marks) > 0 {
				k = marks[len(marks)-1] // marks hold for what is in them
			}
			if n > 0 && string(args[0].str) == "Artifact" {
				k.artifact = true
			}
			if n > 1 {
				if s, ok := actualText(args[1], resources); ok {
					k.actual = &s
				}
			}
			if len(marks) < maxMarks {
				marks = append(marks, k)
			}
		case "EMC":
			marks = marks[:max(len(marks)-1, 0)]
		}
		n = 0
	}
}

func actualText(properties token, resources pdf.Value) (string, bool) {
	if properties.kind == aName {
		v := resources.Key("Properties").Key(string(properties.str)).Key("ActualText")
		return decodeText([]byte(v.RawString())), v.Kind() == pdf.String
	}
	for k, t := range properties.list {
		if t.kind == aName && string(t.str) == "ActualText" && k+1 < len(properties.list) && properties.list[k+1].kind == aText {
			return decodeText(properties.list[k+1].str), true
		}
	}
	return "", false
}

// decodeText reads a text string: UTF-16 or UTF-8 with their marks, else one byte a letter.
func decodeText(b []byte) string {
	switch {
	case len(b) >= 2 && b[0] == 0xfe && b[1] == 0xff:
		u := make([]uint16, 0, len(b)/2)
		for k := 2; k+1 < len(b); k += 2 {
			u = append(u, uint16(b[k])<<8|uint16(b[k+1]))
		}
		return string(utf16.Decode(u))
	case len(b) >= 3 && b[0] == 0xef && b[1] == 0xbb && b[2] == 0xbf && utf8.Valid(b[3:]):
		return string(b[3:])
	}
	r := make([]rune, 0, len(b))
	for _, c := range b {
		if x := documentEncoding[c]; x != 0 {
			r = append(r, x)
		}
	}
	return string(r)
}

// documentEncoding is PDFDocEncoding (ISO 32000-1, annex D), near enough to Latin 1.
var documentEncoding = func() (table [256]rune) {
	for c := range table {
		if c >= ' ' && c != 0x7f || c == '\n' || c == '\t' {
			table[c] = rune(c)
		}
	}
	k := 0x80
	for _, r := range "•†‡…—–ƒ⁄‹›−‰„“”‘’‚™ﬁﬂŁŒŠŸŽıłœšž" {
		table[k] = r
		k++
	}
	table[0x9f], table[0xa0], table[0xad] = 0, '€', 0
	return table
}()

// draw runs the form of a name, if it is one.
func (m *machine) draw(called string, resources pdf.Value, g graphicsState, depth int) {
	if m.forms--; m.forms < 0 || depth >= maxFormDepth {
		return
	}
	form := resources.Key("XObject").Key(called)
	which := form.String() // which says where it is in the file
	if form.Key("Subtype").Name() != "Form" || slices.Contains(m.inside, which) {
		return
	}
	m.inside = append(m.inside, which)
	defer func() { m.inside = m.inside[:len(m.inside)-1] }()
	if a := form.Key("Matrix"); a.Len() == 6 {
		at := func(k int) float64 { return a.Index(k).Float64() }
		g.ctm = matrix{at(0), at(1), at(2), at(3), at(4), at(5)}.times(g.ctm)
	}
	own := form.Key("Resources")
	if own.Kind() != pdf.Dict {
		own = resources
	}
	m.run(m.d.data(form, maxStream), own, g, depth+1)
}

// show draws a string and returns the text matrix behind it.
func (m *machine) show(s []byte, g *graphicsState, text matrix, marks []mark) matrix {
	if g.font == nil {
		return text
	}
	var k mark
	if len(marks) > 0 {
		k = marks[len(marks)-1]
	}
	page := text.times(g.ctm)
	size := math.Abs(g.size) * math.Hypot(page.c, page.d)
	turn, straight := quarter(page, g)
	var at float64
	g.font.decode(s, func(shape glyphShape, space bool) {
		from := at
		wide := shape.width*g.size + g.charSpace
		if g.font.vertical {
			wide = -g.size + g.charSpace
		}
		next := wide
		if space {
			next += g.wordSpace
		}
		var x0, y0, x1, y1 float64
		if g.font.vertical {
			at += next
			x0, y0 = page.apply(g.rise, from)
			x1, y1 = page.apply(g.rise, from+wide)
		} else {
			at += next * g.stretch
			x0, y0 = page.apply(from, g.rise)
			x1, y1 = page.apply(from+wide*g.stretch, g.rise)
		}
		if !straight || len(m.glyphs) >= maxGlyphs || x0 < m.box[0]-size || x0 > m.box[2]+size || y0 < m.box[1]-size || y0 > m.box[3]+size {
			return
		}
		c := glyph{size: size, text: shape.text, turn: turn, mono: g.font.mono, unknown: shape.text == "", artifact: k.artifact}
		if k.actual != nil {
			c.text, c.unknown = letters(*k.actual), false
			*k.actual = ""
		}
		c.x, c.y = turned(x0, y0, turn)
		c.end, _ = turned(x1, y1, turn)
		if !(math.Abs(c.x) < 1e7 && math.Abs(c.y) < 1e7 && math.Abs(c.end) < 1e7) {
			return
		}
		c.x, c.end = min(c.x, c.end), max(c.x, c.end)
		m.glyphs = append(m.glyphs, c)
	})
	if g.font.vertical {
		return matrix{1, 0, 0, 1, 0, at}.times(text)
	}
	return matrix{1, 0, 0, 1, at, 0}.times(text)
}

// quarter returns the quarter turns, against the clock, of a line on the page. What is oblique is a stamp over the page, and not read.
func quarter(page matrix, g *graphicsState) (turn uint8, straight bool) {
	dx, dy := page.a, page.b
	if g.size*g.stretch < 0 {
		dx, dy = -dx, -dy
	}
	if g.font.vertical { // lines that run down
		dx, dy = -page.c, -page.d
	}
	switch {
	case math.Abs(dy) <= math.Abs(dx)/4:
		if dx < 0 {
			return 2, true
		}
		return 0, dx > 0
	case math.Abs(dx) <= math.Abs(dy)/4:
		if dy < 0 {
			return 3, true
		}
		return 1, true
	}
	return 0, false
}

// turned turns a point of the page so that lines with so many quarter turns run to the right.
func turned(x, y float64, turn uint8) (float64, float64) {
	switch turn {
	case 1:
		return y, -x
	case 2:
		return -x, -y
	case 3:
		return -y, x
	}
	return x, y
}

// A fontTable finds the fonts of a resource dictionary.
type fontTable struct {
	d    *file
	dict pdf.Value
	refs map[string]string // where a font's object is, by its name here
	own  map[string]*font
}

var fontRefRE = regexp.MustCompile(`/(\S+) (\d+ \d+ R)`)

func (d *file) fontsOf(resources pdf.Value) *fontTable {
	return &fontTable{d: d, dict: resources.Key("Font")}
}

// get returns a font, and nil where there is none or none that can be read. A font that several pages have is read once: the
// library does not say which object a value is, but its description of the dictionary does.
func (t *fontTable) get(called string) *font {
	if t.refs == nil {
		t.refs, t.own = map[string]string{}, map[string]*font{}
		for _, m := range fontRefRE.FindAllStringSubmatch(t.dict.String(), 10_000) {
			t.refs[m[1]] = m[2]
		}
	}
	cache, key := t.own, called
	if ref, ok := t.refs[called]; ok {
		cache, key = t.d.fonts, ref
	}
	f, ok := cache[key]
	if !ok {
		f = t.load(called)
		cache[key] = f
	}
	return f
}

func (t *fontTable) load(called string) (f *font) {
	var err error
	defer func() {
		if err != nil {
			f = nil
		}
	}()
	defer recovered(&err)
	v := t.dict.Key(called)
	if v.Kind() != pdf.Dict {
		return nil
	}
	return t.d.loadFont(v)
}
