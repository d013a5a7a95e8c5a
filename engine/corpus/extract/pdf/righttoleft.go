package pdf

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// isRightToLeft tells whether a letter is of Hebrew, Arabic, or a script that is written like them.
func isRightToLeft(r rune) bool {
	return r >= 0x590 && r <= 0x8ff && unicode.IsLetter(r) || r >= 0xfb1d && r <= 0xfdff || r >= 0xfe70 && r <= 0xfefc
}

// toReadingOrder turns pieces, whose letters stand as they are seen from left to right, into the order in which they are read. Of a page
// that is mostly written from right to left it mirrors the places as well, so that what comes first stands left.
func toReadingOrder(pieces []piece) {
	right, all := 0, 0
	for _, p := range pieces {
		all += p.letters
		if strings.ContainsFunc(p.text, isRightToLeft) {
			right += p.letters
		}
	}
	if right == 0 {
		return
	}
	mirror := 2*right > all
	for k := range pieces {
		p := &pieces[k]
		p.text = readingOrder(p.text)
		if mirror {
			p.x, p.end = -p.end, -p.x
			p.spaced[0], p.spaced[1] = p.spaced[1], p.spaced[0]
			word, _, _ := strings.Cut(p.text, " ")
			p.first = (p.end - p.x) * float64(len(word)) / float64(len(p.text))
		}
	}
}

// direction is of a letter: 1 to the right, -1 to the left, 0 neither.
func direction(r rune) int {
	switch {
	case isRightToLeft(r):
		return -1
	case unicode.IsLetter(r) || unicode.IsDigit(r):
		return 1
	}
	return 0
}

var mirrored = strings.NewReplacer("(", ")", ")", "(", "[", "]", "]", "[", "{", "}", "}", "{", "«", "»", "»", "«", "<", ">", ">", "<")

// readingOrder turns a line as it is seen from left to right into the order in which it is read: runs of letters that are written to the
// left are reversed, and so is the order of runs where most letters are such. It is the bidirectional algorithm (Unicode Annex 9)
// for one level of embedding, backwards.
func readingOrder(s string) string {
	if !strings.ContainsFunc(s, isRightToLeft) {
		return s
	}
	var clusters []string // letters with their marks
	var dirs []int
	left, right := 0, 0
	for _, r := range s {
		if unicode.IsMark(r) && len(clusters) > 0 {
			clusters[len(clusters)-1] += string(r)
			continue
		}
		d := direction(r)
		if d < 0 {
			left++
		} else if unicode.IsLetter(r) {
			right++
		}
		clusters, dirs = append(clusters, string(r)), append(dirs, d)
	}
	base := 1
	if left >= right {
		base = -1
	}
	for k := 0; k < len(dirs); { // what has no direction has that of both sides, or the line's
		if dirs[k] != 0 {
			k++
			continue
		}
		end := k
		for end < len(dirs) && dirs[end] == 0 {
			end++
		}
		d := base
		if k > 0 && end < len(dirs) && dirs[k-1] == dirs[end] {
			d = dirs[end]
		}
		for ; k < end; k++ {
			dirs[k] = d
		}
	}
	var runs []string
	for k := 0; k < len(dirs); {
		end := k
		for end < len(dirs) && dirs[end] == dirs[k] {
			end++
		}
		var b strings.Builder
		if dirs[k] > 0 {
			b.WriteString(strings.Join(clusters[k:end], ""))
		} else {
			for j := end - 1; j >= k; j-- {
				b.WriteString(mirrored.Replace(clusters[j]))
			}
		}
		runs = append(runs, b.String())
		k = end
	}
	var b strings.Builder
	for k := range runs {
		if base < 0 {
			k = len(runs) - 1 - k
		}
		b.WriteString(runs[k])
	}
	return plainForms(b.String())
}

// plainForms writes letters for the forms that they take between others, and for their ligatures.
func plainForms(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r >= 0xfb1d && r <= 0xfdff || r >= 0xfe70 && r <= 0xfefc {
			b.WriteString(norm.NFKC.String(string(r)))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func reversed(s string) string {
	r := []rune(s)
	for i, j := 0, len(r)-1; i < j; i, j = i+1, j-1 {
		r[i], r[j] = r[j], r[i]
	}
	return string(r)
}
