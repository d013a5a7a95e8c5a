package recipe

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// An Error is a recipe (or flag) that cannot be accepted. Nothing has been started. Its text is complete:
//
//	tiny.yaml:14:3: unknown key "learning_rat" in optim
//	     14 |   learning_rat: 6e-4
//	        |   ^^^^^^^^^^^^ did you mean "learning_rate"?
//	   optim accepts: betas, clip, decay, …
type Error struct {
	File    string   // the recipe's name, or the flag ("--optim.learning_rate")
	Line    int      // 1-based; 0 when the error has no place in a file
	Column  int      // 1-based, in characters
	Key     string   // dotted key, where one is known
	Message string   // what is wrong
	Source  string   // the offending line, control characters blanked
	Width   int      // characters to underline
	Hint    string   // stands beside the caret
	Advice  []string // what to do, one line each
}

// Kind names the class of the error for exit codes: a recipe error is a usage error.
func (e *Error) Kind() string { return "config" }

// Error returns the whole message, several lines long where there is a source line or advice.
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
		}
		b.WriteString(": ")
	}
	b.WriteString(e.Message)
	switch {
	case e.Line > 0 && e.Source != "":
		fmt.Fprintf(&b, "\n  %5d | %s\n        | %s%s", e.Line, e.Source, strings.Repeat(" ", max(0, e.Column-1)),
			strings.Repeat("^", max(1, e.Width)))
		if e.Hint != "" {
			b.WriteString(" " + e.Hint)
		}
	case e.Hint != "":
		b.WriteString("\n   " + e.Hint)
	}
	for _, line := range e.Advice {
		b.WriteString("\n   " + line)
	}
	return b.String()
}

// advise adds lines of advice and returns e.
func (e *Error) advise(lines ...string) *Error {
	e.Advice = append(e.Advice, lines...)
	return e
}

// hint sets the words beside the caret and returns e.
func (e *Error) hint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// A place is where a key or value was written: in a file, or on the command line (line 0).
type place struct {
	file   string
	line   int
	column int
	width  int
	source string
}

// errorf returns an Error at p.
func (p place) errorf(key, format string, args ...any) *Error {
	return &Error{File: p.file, Line: p.line, Column: p.column, Width: p.width, Source: p.source, Key: key,
		Message: fmt.Sprintf(format, args...)}
}

// A source is the text of a recipe, for quoting its lines.
type source struct {
	name  string
	lines []string
}

// at returns the place of width characters at line and column (1-based), kept inside the text.
func (s *source) at(line, column, width int) place {
	p := place{file: s.name, line: min(max(line, 1), max(len(s.lines), 1)), column: max(column, 1)}
	text := ""
	if p.line <= len(s.lines) {
		text = s.lines[p.line-1]
	}
	p.source = printable(text)
	count := utf8.RuneCountInString(p.source)
	p.column = min(p.column, count+1)
	p.width = max(1, min(width, count-p.column+1))
	return p
}

// printable replaces every character that would move the cursor, so that columns line up and a hostile file cannot
// drive the terminal. Long lines are cut.
func printable(s string) string {
	const longest = 160
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n == longest {
			break
		}
		n++
		switch {
		case r == '\t':
			b.WriteByte(' ')
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteRune('\uFFFD')
		}
	}
	return b.String()
}

// quoted returns s in quotes with control characters escaped, cut to a readable length.
func quoted(s string) string {
	if utf8.RuneCountInString(s) > 60 {
		s = string([]rune(s)[:57]) + "…"
	}
	return fmt.Sprintf("%q", s)
}
