package filter

import (
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

const finewebFilter = "fineweb"

// lineShares applies FineWeb's own rules.
func (c *Checker) lineShares(text string) {
	limits := &c.config.FineWeb
	newlines := strings.Count(text, "\n")
	lines, punctuated, short, dup := 0, 0, 0, 0
	c.seen.reset(newlines + 1)
	for rest, more := text, true; more; {
		var line string
		line, rest, more = strings.Cut(rest, "\n")
		if strings.TrimSpace(line) == "" {
			continue
		}
		lines++
		if terminal(line) {
			punctuated++
		}
		chars := utf8.RuneCountInString(line)
		if chars <= limits.ShortLine {
			short++
		}
		if !c.seen.add(hash(line)) {
			dup += chars
		}
	}
	enough := math.MaxInt // words, after which it does not matter how many there are
	if c.each == nil && limits.MaxNewlines > 0 {
		enough = int(min(1e9, float64(newlines)/limits.MaxNewlines)) + 1
	}
	if lines == 0 {
		c.least(finewebFilter, "empty", 0, 1)
		return
	}
	_ = c.least(finewebFilter, "line_punct_ratio", float64(punctuated)/float64(lines), limits.MinPunctuated) &&
		c.most(finewebFilter, "short_line_ratio", float64(short)/float64(lines), limits.MaxShort) &&
		c.most(finewebFilter, "char_dup_ratio", float64(dup)/float64(utf8.RuneCountInString(text)-newlines), limits.MaxDupChars) &&
		c.most(finewebFilter, "list_ratio", float64(newlines)/float64(max(1, countWords(text, enough))), limits.MaxNewlines)
}

// terminal says that a line ends in terminal punctuation: a quote, or what Unicode calls a sentence terminal.
func terminal(line string) bool {
	switch b := line[len(line)-1]; {
	case b == '.' || b == '!' || b == '?' || b == '"' || b == '\'':
		return true
	case b < utf8.RuneSelf:
		return false
	}
	r, _ := utf8.DecodeLastRuneInString(line)
	return unicode.Is(unicode.STerm, r)
}
