package pretokenize

import (
	"fmt"
	"iter"
	"strings"
	"unicode/utf8"

	"forja/tokenizer/normalize"
	"forja/tokenizer/split"
)

// A Behavior says what becomes of a delimiter.
type Behavior string

// The behaviors, as Hugging Face names them.
const (
	Isolated           Behavior = "Isolated"           // a piece of its own
	Removed            Behavior = "Removed"            // gone
	MergedWithPrevious Behavior = "MergedWithPrevious" // the end of the piece before it
	MergedWithNext     Behavior = "MergedWithNext"     // the start of the piece behind it
	Contiguous         Behavior = "Contiguous"         // one piece with delimiters next to it
)

// ParseBehavior finds a behavior by its name.
func ParseBehavior(name string) (Behavior, error) {
	switch b := Behavior(name); b {
	case Isolated, Removed, MergedWithPrevious, MergedWithNext, Contiguous:
		return b, nil
	}
	return "", fmt.Errorf("unknown split behavior %q", name)
}

// Split cuts at the matches of an expression or at a literal string.
type Split struct {
	Pattern  *split.Pattern // nil: Literal
	Literal  string
	Behavior Behavior
	Invert   bool // the delimiters are what does not match
}

// Append implements PreTokenizer.
func (p Split) Append(dst []normalize.Text, t normalize.Text) []normalize.Text {
	cuts := literals(t.S, p.Literal)
	if p.Pattern != nil {
		cuts = p.Pattern.Cuts(t.S)
	}
	if p.Invert {
		all := cuts
		cuts = func(yield func(int, bool) bool) {
			for end, match := range all {
				if !yield(end, !match) {
					return
				}
			}
		}
	}
	return appendCuts(dst, t, p.Behavior, cuts)
}

// characters cuts s into the characters that are delimiters and the runs
// between them.
func characters(s string, isDelimiter func(rune) bool) iter.Seq2[int, bool] {
	return func(yield func(int, bool) bool) {
		last := 0
		for at := 0; at < len(s); {
			r, size := utf8.DecodeRuneInString(s[at:])
			if isDelimiter(r) {
				if at > last && !yield(at, false) || !yield(at+size, true) {
					return
				}
				last = at + size
			}
			at += size
		}
		if last < len(s) {
			yield(len(s), false)
		}
	}
}

// literals cuts s at a literal string; an empty one is nowhere.
func literals(s, literal string) iter.Seq2[int, bool] {
	return func(yield func(int, bool) bool) {
		at := 0
		for literal != "" {
			i := strings.Index(s[at:], literal)
			if i < 0 {
				break
			}
			if i > 0 && !yield(at+i, false) || !yield(at+i+len(literal), true) {
				return
			}
			at += i + len(literal)
		}
		if at < len(s) {
			yield(len(s), false)
		}
	}
}

// appendCuts appends the pieces between cuts, delimiters treated as told.
func appendCuts(dst []normalize.Text, t normalize.Text, behavior Behavior, cuts iter.Seq2[int, bool]) []normalize.Text {
	start := 0      // of the piece at work
	at := 0         // of the cut at work
	before := false // the last cut was a delimiter
	flush := func(end int) {
		if start < end {
			dst = append(dst, t.Sub(start, end))
		}
		start = end
	}
	for end, delimiter := range cuts {
		switch behavior {
		case Removed:
			if delimiter {
				flush(at)
				start = end
			} else {
				flush(at)
			}
		case MergedWithPrevious:
			if !delimiter || before {
				flush(at)
			}
		case MergedWithNext:
			if !before || delimiter {
				flush(at)
			}
		case Contiguous:
			if delimiter != before {
				flush(at)
			}
		default:
			flush(at)
		}
		at, before = end, delimiter
	}
	flush(at)
	return dst
}
