package pdf

import (
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A frame is the measures of a part of a page.
type frame struct {
	left, right float64         // where lines begin, and where most that are full end
	steps       map[int]float64 // from one line to the next, by the size of their letters in half points
}

func frameOf(lines []line) frame {
	f := frame{steps: map[int]float64{}}
	if len(lines) == 0 {
		return f
	}
	var ends []float64
	steps := map[int][]float64{}
	f.left = math.Inf(1)
	for k, l := range lines {
		f.left = min(f.left, l.x)
		ends = append(ends, l.end)
		if k == 0 || sizeKey(l.size) != sizeKey(lines[k-1].size) {
			continue
		}
		if d := lines[k-1].y - l.y; d > 0.5*l.size && d < 2.5*l.size {
			steps[sizeKey(l.size)] = append(steps[sizeKey(l.size)], d)
		}
	}
	slices.Sort(ends)
	f.right = ends[len(ends)*9/10]
	for size, s := range steps {
		slices.Sort(s)
		f.steps[size] = s[len(s)/3] // within paragraphs it is less than between them
	}
	return f
}

func sizeKey(size float64) int { return int(math.Round(2 * size)) }

// far tells whether two lines are farther apart than those of a paragraph.
func (f *frame) far(before, l line) bool {
	leading, ok := f.steps[sizeKey(l.size)]
	if !ok {
		leading = 1.2 * l.size
	}
	step := before.y - l.y
	return step < 0 || step > 1.3*max(leading, 0.9*l.size)
}

var addressRE = regexp.MustCompile(`^\S+(?:@|://)\S+$`)

// isCode tells whether a line is one of a program: in letters of one width, but no address by itself, nor one or two lines that
// such words fill in the middle of a paragraph.
func (f *frame) isCode(lines []line, k int) bool {
	if !lines[k].mono {
		return false
	}
	from, to := k, k+1
	for from > 0 && lines[from-1].mono {
		from--
	}
	for to < len(lines) && lines[to].mono {
		to++
	}
	if to-from == 1 && addressRE.MatchString(lines[k].joined(" ")) {
		return false
	}
	if to-from > 2 || from == 0 || to == len(lines) || f.far(lines[from-1], lines[from]) || f.far(lines[to-1], lines[to]) {
		return true
	}
	return endsSentence([]byte(lines[from-1].joined(" ")))
}

// How two lines meet.
type meeting uint8

const (
	apart meeting = iota // a new paragraph
	below                // a new line
	together
)

func (f *frame) meet(before, l line, rest []line, last *block) meeting {
	em := l.size
	switch {
	case f.far(before, l):
		return apart
	case max(l.size, before.size) > 1.12*min(l.size, before.size):
		return apart
	case l.label:
		return apart
	}
	early := before.end+0.3*em+l.first < f.right-0.5*em && !cutsWord(last.text) // the first word would have fitted
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
		if r, _ := utf8.DecodeRuneInString(l.cells[0].text); !unicode.IsLower(r) && before.end < f.left+0.75*(f.right-f.left) {
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
