package pdf

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A piece is text on one baseline without a wide gap.
type piece struct {
	x, end, y, size float64
	text            string
	first           float64 // width of its first word
	letters         int
	mono            int     // letters of one width
	spaced          [2]bool // a space is drawn before it, behind it
}

func (p *piece) isMono() bool { return p.mono*5 >= p.letters*4 }

// A sheet is a page's pieces, by the turn of their lines, the most used first; within a turn as they were drawn.
type sheet struct {
	pieces         []piece
	turns          []int   // where in pieces each turn ends
	known, unknown int     // letters
	low, high      float64 // the page's edges, as the lines of the first turn stand
}

func newSheet(glyphs []glyph, box [4]float64) (s sheet) {
	var count [4]int
	text := 0
	for _, g := range glyphs {
		count[g.turn]++
		if !g.artifact {
			text++
		}
		if g.unknown {
			s.unknown++
		} else {
			s.known++
		}
	}
	order := []uint8{0, 1, 2, 3}
	slices.SortStableFunc(order, func(a, b uint8) int { return cmp.Compare(count[b], count[a]) })
	_, s.low = turned(box[0], box[1], order[0])
	_, s.high = turned(box[2], box[3], order[0])
	s.low, s.high = min(s.low, s.high), max(s.low, s.high)
	var b builder
	for _, turn := range order {
		for _, g := range glyphs {
			if g.turn == turn && !(g.artifact && text > 0) {
				b.add(g)
			}
		}
		b.end()
		if len(b.pieces) > len(s.pieces) {
			toReadingOrder(b.pieces[len(s.pieces):])
			s.pieces = b.pieces
			s.turns = append(s.turns, len(s.pieces))
		}
	}
	return s
}

// A builder joins glyphs that are drawn one after the other into pieces.
type builder struct {
	pieces  []piece
	line    []glyph
	y, size float64 // of the largest glyph in line
	last    float64 // where it ends
	spaced  bool    // a space was drawn before line
}

// Gaps and steps, in sizes of the font. A space is a quarter to a third of it and justified lines seldom shrink it by more than half;
// kerning moves letters by less than an eighth.
const (
	wordGap     = 0.14
	wordGapWide = 0.4 // between ideographs, which stand in squares that they do not fill
	pieceGap    = 1.0
	backGap     = 0.6
)

func (b *builder) add(g glyph) {
	if g.size <= 0.1 {
		return
	}
	if len(b.line) > 0 && !b.continues(g) {
		b.end()
	}
	if len(b.line) == 0 {
		if strings.TrimSpace(g.text) == "" {
			b.spaced = g.text != ""
			return
		}
		b.y, b.size = g.y, g.size
	}
	if g.size > b.size*1.05 && strings.TrimSpace(g.text) != "" {
		b.y, b.size = g.y, g.size
	}
	b.line = append(b.line, g)
	b.last = g.end
}

func (b *builder) continues(g glyph) bool {
	large := max(g.size, b.size)
	gap := g.x - b.last
	if gap > pieceGap*large || gap < -backGap*large {
		return false
	}
	step := math.Abs(g.y - b.y)
	if min(g.size, b.size) > 0.85*large {
		return step < 0.2*large || step < 0.35*large && math.Abs(gap) < 0.3*large || step < 0.5*large && isAccent(g.text)
	}
	return step < 0.6*large // raised and lowered
}

// end makes a piece of the line.
func (b *builder) end() {
	line := b.line
	spaced := b.spaced
	b.line, b.spaced = b.line[:0], false
	if len(line) == 0 {
		return
	}
	p := piece{x: line[0].x, y: b.y, size: b.size, spaced: [2]bool{spaced}}
	gap := wordGapOf(line)
	var s []byte
	last := 0      // where the last letter begins in s
	var at float64 // where it ends
	var from float64
	spaces := 0
	for _, g := range line {
		t := strings.TrimSpace(g.text)
		if t == "" {
			if g.text != "" || g.unknown && len(s) > 0 && g.x-at > gap*g.size {
				spaces++
			}
			if g.text == "" { // not known, or part of the one before
				at = max(at, g.end)
			}
			continue
		}
		if len(t) > 1 && strings.ContainsFunc(t, isRightToLeft) {
			t = reversed(t) // as if its letters stood one after the other
		}
		if len(s) > 0 {
			need := gap
			if isIdeograph(t) && isIdeograph(string(s[last:])) {
				need = wordGapWide
			}
			switch {
			case spaces > 0 && g.mono && p.isMono():
				s = append(s, strings.Repeat(" ", spaces)...)
			case spaces > 0 || g.x-at > need*g.size:
				s = append(s, ' ')
			case overlaps(from, at, g):
				if joined, ok := accented(string(s[last:]), t); ok {
					s = append(s[:last], joined...)
					at = max(at, g.end)
					continue
				}
			}
			if p.first == 0 && s[len(s)-1] == ' ' {
				p.first = at - p.x
			}
		}
		spaces = 0
		last, from, at = len(s), g.x, g.end
		s = append(s, t...)
		p.letters++
		if g.mono {
			p.mono++
		}
	}
	p.spaced[1] = spaces > 0
	if p.end = at; p.first == 0 {
		p.first = p.end - p.x
	}
	p.text = norm.NFC.String(strings.ToValidUTF8(string(s), ""))
	if p.text != "" {
		b.pieces = append(b.pieces, p)
	}
}

// wordGapOf finds from which gap on words are apart: in a line that is drawn with wide tracking and without spaces, from where
// gaps are clearly wider than most.
func wordGapOf(line []glyph) float64 {
	var gaps []float64
	for k := 1; k < len(line); k++ {
		if strings.TrimSpace(line[k].text) == "" {
			return wordGap
		}
		if line[k].text != "." && line[k-1].text != "." { // dots lead to page numbers
			gaps = append(gaps, (line[k].x-line[k-1].end)/line[k].size)
		}
	}
	if len(gaps) < 5 {
		return wordGap
	}
	slices.Sort(gaps)
	if gaps[len(gaps)/4] > wordGap {
		return 1.7 * gaps[len(gaps)/2]
	}
	return wordGap
}

// overlaps tells whether a glyph stands over the one before it, as accents do.
func overlaps(from, at float64, g glyph) bool {
	return min(at, g.end)-max(from, g.x) > 0.5*min(at-from, g.end-g.x)
}

var accents = map[rune]rune{'´': 0x301, '`': 0x300, 'ˆ': 0x302, '^': 0x302, '˜': 0x303, '~': 0x303, '¨': 0x308, '¸': 0x327, 'ˇ': 0x30c, '˘': 0x306,
	'˙': 0x307, '˚': 0x30a, '˝': 0x30b, '¯': 0x304, '˛': 0x328}

func isAccent(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n == len(s) && accents[r] != 0
}

// accented puts an accent and a letter that are drawn over one another together.
func accented(a, b string) (string, bool) {
	if isAccent(b) {
		a, b = b, a
	}
	letter, n := utf8.DecodeRuneInString(b)
	if !isAccent(a) || n != len(b) || !unicode.IsLetter(letter) {
		return "", false
	}
	switch letter {
	case 'ı':
		letter = 'i'
	case 'ȷ':
		letter = 'j'
	}
	r, _ := utf8.DecodeRuneInString(a)
	return norm.NFC.String(string(letter) + string(accents[r])), true
}

// isIdeograph tells whether text is of a script that is written without spaces between words.
func isIdeograph(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return r >= 0x2e80 && (unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) || r >= 0x3000 && r <= 0x303f || r >= 0xff00 && r <= 0xffef)
}
