package pdf

import (
	"math"
	"regexp"
	"strings"
	"unicode/utf8"
)

// A line is a row as it is read.
type line struct {
	cells           []cell
	x, end, y, size float64
	first           float64 // width of the first word
	mono, label     bool
	leads           bool // by dots to a page number
}

type cell struct {
	text   string
	x, end float64
}

// cellGap is how far apart, in sizes of the font, the cells of a table are.
const cellGap = 1.5

var (
	labelRE  = regexp.MustCompile(`^(?:[•▪◦‣·●○■□❖➢➤✓∙*–—-]|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,4})[.)]|\[\d{1,3}\])$`)
	bulletRE = regexp.MustCompile(`^[•▪◦‣·●○■□❖➢➤∙]\s*`)
	leaderRE = regexp.MustCompile(`(?:\s*\.){4,}\s*`)
)

func linesOf(rows []row) (lines []line) {
	for _, r := range rows {
		l := line{x: r.x, end: r.end, y: r.y, size: r.size, first: r.pieces[0].first}
		mono, letters := 0, 0
		at := 0.0
		for k, p := range r.pieces {
			mono, letters = mono+p.mono, letters+p.letters
			text := leaderRE.ReplaceAllString(p.text, " ")
			l.leads = l.leads || text != p.text
			n := len(l.cells) - 1
			gap := p.x - at
			at = p.end
			switch {
			case k == 0 || gap > cellGap*r.size && !(n == 0 && labelRE.MatchString(l.cells[0].text)):
				l.cells = append(l.cells, cell{text, p.x, p.end})
			case p.isMono() && n >= 0 && p.letters > 0:
				c := &l.cells[n]
				c.text += strings.Repeat(" ", max(1, int(math.Round(gap/letterWidth(p))))) + text
				c.end = p.end
			default:
				c := &l.cells[n]
				if gap > wordGap*p.size || gap < -backGap*p.size || p.spaced[0] || r.pieces[k-1].spaced[1] {
					c.text += " "
				}
				c.text += text
				c.end = p.end
			}
		}
		l.mono = mono*5 >= letters*4
		head, _, more := strings.Cut(l.cells[0].text, " ")
		l.label = more && labelRE.MatchString(head)
		if l.label && bulletRE.MatchString(head) {
			l.mono = false
		}
		if !l.mono {
			l.cells[0].text = bulletRE.ReplaceAllString(l.cells[0].text, "- ")
		}
		lines = append(lines, l)
	}
	return lines
}

// letterWidth is the width of a letter of a piece in letters of one width.
func letterWidth(p piece) float64 {
	if n := utf8.RuneCountInString(p.text); n > 0 && p.end > p.x {
		return (p.end - p.x) / float64(n)
	}
	return 0.6 * p.size
}

// tableRow tells whether a line and one beside it have cells that stand below one another.
func tableRow(a, b line) bool {
	if len(a.cells) < 2 || len(b.cells) < 2 || math.Abs(a.y-b.y) > 3*a.size {
		return false
	}
	for _, p := range a.cells[1:] {
		for _, q := range b.cells[1:] {
			if math.Abs(p.x-q.x) < 0.5*a.size || math.Abs(p.end-q.end) < 0.5*a.size {
				return true
			}
		}
	}
	return false
}
