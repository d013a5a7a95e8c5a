package pdf

import (
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
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
		if b.Len()+len(x.text) > maxText {
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

// region adds the lines of a part of a page.
func (w *writing) region(lines []line) {
	left, right, leading := frame(lines)
	for k, l := range lines {
		kind := prose
		switch {
		case l.mono && !w.typed:
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
			w.code(last, lines, k, left, leading)
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
			how = meet(lines[k-1], l, lines[k+1:], last, left, right, leading)
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

// frame measures lines: where most begin and end, and the step from one to the next.
func frame(lines []line) (left, right, leading float64) {
	var xs, ends, steps []float64
	for k, l := range lines {
		xs, ends = append(xs, l.x), append(ends, l.end)
		if k > 0 {
			if d := lines[k-1].y - l.y; d > 0.5*l.size && d < 2.5*l.size {
				steps = append(steps, d)
			}
		}
	}
	for _, s := range [][]float64{xs, ends, steps} {
		slices.Sort(s)
	}
	if len(lines) == 0 {
		return 0, 0, 0
	}
	left, right, leading = xs[0], ends[len(ends)*9/10], 1.2*lines[0].size
	if len(steps) > 0 {
		leading = steps[len(steps)/3] // within paragraphs it is less than between them
	}
	return left, right, leading
}

// How two lines meet.
type meeting uint8

const (
	apart meeting = iota // a new paragraph
	below                // a new line
	together
)

func meet(before, l line, rest []line, last *block, left, right, leading float64) meeting {
	em := l.size
	step := before.y - l.y
	switch {
	case step > 1.3*max(leading, 0.9*em) || step < 0:
		return apart
	case max(l.size, before.size) > 1.12*min(l.size, before.size):
		return apart
	case l.label:
		return apart
	}
	early := before.end+0.3*em+l.first < right-0.5*em && !cutsWord(last.text) // the first word would have fitted
	ended := endsSentence(last.text)
	indent := l.x - before.x
	switch {
	case indent > 0.8*em && !before.label && (len(rest) == 0 || rest[0].x < l.x-0.5*em) && (early || ended):
		return apart
	case indent < -0.8*em && early && ended:
		return apart
	case early && ended:
		return apart
	case early:
		if r, _ := utf8.DecodeRuneInString(l.cells[0].text); !unicode.IsLower(r) && before.end < left+0.75*(right-left) {
			return below
		}
	}
	return together
}

// cutsWord tells whether text ends with a hyphen behind a word.
func cutsWord(b []byte) bool {
	r, n := utf8.DecodeLastRune(b)
	before, _ := utf8.DecodeLastRune(b[:len(b)-n])
	return (r == '-' || r == '‐') && (unicode.IsLetter(before) || unicode.IsDigit(before))
}

func endsSentence(b []byte) bool {
	r, n := utf8.DecodeLastRune(b)
	if strings.ContainsRune(`"'”’»)]`, r) {
		r, _ = utf8.DecodeLastRune(b[:len(b)-n])
	}
	return strings.ContainsRune(".:!?…。！？．", r)
}

// goesOn tells whether the first line of a part of a page goes on with the paragraph that the part before ends with.
func goesOn(last *block, l line, text string) bool {
	if len(last.text) == 0 || l.label || endsSentence(last.text) || max(l.size, last.size) > 1.12*min(l.size, last.size) {
		return false
	}
	r, _ := utf8.DecodeRuneInString(text)
	return unicode.IsLower(r) || isIdeograph(text) && len(last.text) > 60
}

// code adds a line of code, with its indentation.
func (w *writing) code(last *block, lines []line, k int, left, leading float64) {
	l := lines[k]
	width := letterWidth(piece{text: l.cells[0].text, x: l.cells[0].x, end: l.cells[0].end, size: l.size})
	var b []byte
	fresh := last == nil || k == 0
	if !fresh {
		step := lines[k-1].y - l.y
		switch {
		case step > 4*max(leading, l.size):
			fresh = true
		case step > 1.8*max(leading, l.size):
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

var wordRE = regexp.MustCompile(`[\p{L}\p{M}]+(?:[-‐][\p{L}\p{M}]+)*`)

// vocabulary counts the words of a document, and the halves of those that a line end cuts.
func vocabulary(sheets []sheet) map[string]int {
	words := map[string]int{}
	for _, s := range sheets {
		for _, p := range s.pieces {
			if len(words) > 1<<20 {
				return words
			}
			for _, w := range wordRE.FindAllString(p.text, -1) {
				words[strings.ToLower(w)]++
			}
		}
	}
	return words
}

// join puts a line behind a paragraph. A hyphen at the end goes if the word without it is likely one.
func (w *writing) join(text []byte, next string) []byte {
	if len(text) == 0 || next == "" {
		return append(text, next...)
	}
	last, n := utf8.DecodeLastRune(text)
	if last == '-' || last == '‐' {
		before, _ := utf8.DecodeLastRune(text[:len(text)-n])
		after, _ := utf8.DecodeRuneInString(next)
		switch {
		case unicode.IsLetter(before) && unicode.IsLower(after) && w.oneWord(text[:len(text)-n], next):
			return append(text[:len(text)-n], next...)
		case (unicode.IsLetter(before) || unicode.IsDigit(before)) && (unicode.IsLetter(after) || unicode.IsDigit(after)):
			return append(text, next...)
		}
	}
	if isIdeograph(next) && isIdeograph(string(last)) {
		return append(text, next...)
	}
	return append(append(text, ' '), next...)
}

// oneWord tells whether what stands around a hyphen at the end of a line is one word: the document has it elsewhere, or has
// neither it with its hyphen nor both of its halves.
func (w *writing) oneWord(before []byte, next string) bool {
	tail := before[max(0, len(before)-60):]
	a := strings.ToLower(string(tail[lastWord(tail):]))
	b := strings.ToLower(wordRE.FindString(next[:min(len(next), 60)]))
	b, _, _ = strings.Cut(b, "-")
	switch {
	case w.words[a+b] > 0:
		return true
	case w.words[a+"-"+b] > 0 || strings.Contains(a, "-"):
		return false
	}
	return !(w.words[a] > 1 && w.words[b] > 1 && utf8.RuneCountInString(a) > 2 && utf8.RuneCountInString(b) > 2)
}

func lastWord(b []byte) int {
	k := len(b)
	for k > 0 {
		r, n := utf8.DecodeLastRune(b[:k])
		if !unicode.IsLetter(r) && !unicode.IsMark(r) && r != '-' {
			break
		}
		k -= n
	}
	return k
}
