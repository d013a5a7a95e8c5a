package pdf

import (
	"math"
	"strings"
)

// A block is a paragraph, a table, or code.
type block struct {
	kind blockKind
	text []byte
	size float64
	page int
}

type blockKind uint8

const (
	prose blockKind = iota
	table           // one line per row
	code
)

// A writing joins lines into blocks.
type writing struct {
	blocks []block
	words  map[string]int // of the whole document, to tell hyphens
	typed  bool           // all of the document is in letters of one width: they say nothing
	page   int
}

// flow makes text of pages, and finds the headline: the largest text of the first page, if it is larger than most.
func flow(sheets []sheet) (text, headline string) {
	w := &writing{words: vocabulary(sheets)}
	mono, all := 0, 0
	for _, s := range sheets {
		for _, p := range s.pieces {
			mono, all = mono+p.mono, all+p.letters
		}
	}
	w.typed = mono*5 > all*3
	for k, s := range sheets {
		w.page = k
		from := 0
		for _, to := range s.turns {
			for _, rows := range regions(s.pieces[from:to]) {
				w.region(linesOf(rows))
			}
			from = to
		}
	}
	var b strings.Builder
	for _, x := range w.blocks {
		if len(x.text) == 0 {
			continue
		}
		if b.Len()+len(x.text)+16 > maxText { // with fences
			break
		}
		if b.Len() > 0 {
			b.WriteString("\n\n")
		}
		if x.kind == code {
			b.WriteString("```\n")
		}
		b.Write(x.text)
		if x.kind == code {
			b.WriteString("\n```")
		}
	}
	largest := 1.15 * usualSize(sheets)
	for _, x := range w.blocks {
		if x.page == 0 && x.kind == prose && x.size > largest && len(x.text) >= 4 && len(x.text) <= 300 {
			largest, headline = x.size, clean(string(x.text))
		}
	}
	return b.String(), headline
}

// usualSize is the size of most letters.
func usualSize(sheets []sheet) float64 {
	letters := map[int]int{} // by size in tenths of a point
	for _, s := range sheets {
		for _, p := range s.pieces {
			letters[int(math.Round(p.size*10))] += p.letters
		}
	}
	usual, most := 0, 0
	for s, n := range letters {
		if n > most || n == most && s < usual {
			usual, most = s, n
		}
	}
	return float64(usual) / 10
}

// region adds the lines of a part of a page.
func (w *writing) region(lines []line) {
	f := frameOf(lines)
	for k, l := range lines {
		kind := prose
		switch {
		case !w.typed && f.isCode(lines, k):
			kind = code
		case l.leads || k > 0 && tableRow(l, lines[k-1]) || k+1 < len(lines) && tableRow(l, lines[k+1]):
			kind = table
		}
		var last *block
		if n := len(w.blocks); n > 0 && w.blocks[n-1].kind == kind {
			last = &w.blocks[n-1]
		}
		switch kind {
		case code:
			w.code(last, lines, k, f)
			continue
		case table:
			text := l.joined(" | ")
			if l.leads {
				text = l.joined(" ")
			}
			if last == nil || k > 0 && lines[k-1].y-l.y > 2.5*l.size {
				w.begin(kind, l.size, text)
			} else {
				last.text = append(append(last.text, '\n'), text...)
			}
			continue
		}
		text := l.joined(" ")
		how := apart
		switch {
		case last == nil:
		case k > 0:
			how = f.meet(lines[k-1], l, lines[k+1:], last)
		case goesOn(last, l, text):
			how = together
		}
		switch how {
		case apart:
			w.begin(prose, l.size, text)
		case below:
			last.text = append(append(last.text, '\n'), text...)
		case together:
			last.text = w.join(last.text, text)
		}
	}
}

func (l *line) joined(between string) string {
	var b strings.Builder
	for k, c := range l.cells {
		if k > 0 {
			b.WriteString(between)
		}
		b.WriteString(strings.TrimSpace(c.text))
	}
	return b.String()
}

func (w *writing) begin(kind blockKind, size float64, text string) {
	w.blocks = append(w.blocks, block{kind: kind, text: []byte(text), size: size, page: w.page})
}

// code adds a line of code, with its indentation.
func (w *writing) code(last *block, lines []line, k int, f frame) {
	l := lines[k]
	width := letterWidth(piece{text: l.cells[0].text, x: l.cells[0].x, end: l.cells[0].end, size: l.size})
	var b []byte
	fresh := last == nil || k == 0
	if !fresh {
		switch step := lines[k-1].y - l.y; {
		case step > 5*l.size:
			fresh = true
		case f.far(lines[k-1], l) && step > 1.8*l.size:
			b = append(b, "\n\n"...)
		default:
			b = append(b, '\n')
		}
	}
	from := l.x
	for j := k; j >= 0 && lines[j].mono; j-- { // the block's own left edge
		from = min(from, lines[j].x)
	}
	for j := k; j < len(lines) && lines[j].mono; j++ {
		from = min(from, lines[j].x)
	}
	at := from
	for _, c := range l.cells {
		n := int(math.Round((c.x - at) / width))
		if n < 1 && at != from {
			n = 1
		}
		b = append(b, strings.Repeat(" ", max(0, min(n, 200)))...)
		b = append(b, c.text...)
		at = c.end
	}
	if fresh {
		w.begin(code, l.size, string(b))
		return
	}
	last.text = append(last.text, b...)
}
