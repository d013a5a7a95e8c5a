package extract

import (
	"strings"
	"unicode"
)

// plain is text with line ends of one kind, without control characters, white space at the ends of lines, and more than one
// empty line in a row.
func plain(s string) string {
	s = strings.ReplaceAll(clip(s, maxText), "\r\n", "\n")
	s = strings.ReplaceAll(s, "\r", "\n")
	var b strings.Builder
	b.Grow(len(s))
	empty := 0
	for line := range strings.Lines(s) {
		line = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) && r != '\t' || r == '\ufeff' {
				return -1
			}
			return r
		}, line)
		line = strings.TrimRightFunc(line, unicode.IsSpace)
		if line == "" {
			empty++
			continue
		}
		if b.Len() > 0 {
			b.WriteString(strings.Repeat("\n", min(empty, 1)+1))
		}
		empty = 0
		b.WriteString(line)
	}
	return b.String()
}

// Markdown takes the front matter off and keeps the rest as it is written.
func Markdown(b []byte) Result {
	s := strings.ReplaceAll(string(b), "\r\n", "\n")
	r := Result{Type: Text}
	if rest, ok := strings.CutPrefix(s, "---\n"); ok {
		if front, body, ok := strings.Cut(rest, "\n---\n"); ok && len(front) < 1<<16 {
			s = body
			for line := range strings.Lines(front) {
				k, v, _ := strings.Cut(line, ":")
				v = strings.Trim(strings.TrimSpace(v), `"'`)
				switch strings.ToLower(k) {
				case "title":
					r.Title = v
				case "author":
					r.Author = v
				case "date":
					r.Date = day(v)
				case "lang", "language":
					r.Lang = language(v)
				case "license", "licence":
					r.License = licenseName(v)
				}
			}
		}
	}
	r.Text = plain(s)
	for line := range strings.Lines(clip(r.Text, 1<<16)) {
		if h, ok := strings.CutPrefix(line, "# "); ok && r.Title == "" {
			r.Title = oneLine(h)
		}
		if strings.HasPrefix(line, "```") {
			r.Type = Documentation
		}
	}
	return r
}
