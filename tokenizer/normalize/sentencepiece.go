package normalize

import (
	"strings"
	"unicode/utf8"
)

// Meta is U+2581, the character that stands for a blank in the pieces of
// SentencePiece.
const Meta = "\u2581"

// SentencePiece is the normalizer of SentencePiece (normalizer.cc): the rules
// of a Charsmap at the longest match, then what its spec says of blanks.
type SentencePiece struct {
	Map         *Charsmap // nil: no rules
	Prefix      bool      // add_dummy_prefix: a blank before the text
	Suffix      bool      // treat_whitespace_as_suffix: a blank behind it instead
	RemoveExtra bool      // remove_extra_whitespaces: none at the ends, no two together
	Escape      bool      // escape_whitespaces: blanks become Meta

	Name string // of the rules, for files

	// Verbatim finds the user-defined symbol at the start of a text, which no
	// rule touches: its length, or 0. It may be nil.
	Verbatim func(s string) int
}

// Normalize implements Normalizer.
func (n SentencePiece) Normalize(t Text) Text {
	if !t.Track {
		t.S = n.rewrite(t.S)
		return t
	}
	e := t.Edit()
	if n.RemoveExtra {
		for e.Rest() != "" {
			size, with := n.next(e.Rest())
			if with != " " {
				break
			}
			e.Replace(size, "")
		}
	}
	if e.Rest() == "" {
		return e.Done()
	}
	blank := " "
	if n.Escape {
		blank = Meta
	}
	if n.Prefix && !n.Suffix {
		e.Replace(0, blank)
	}
	afterBlank := n.RemoveExtra
	for e.Rest() != "" {
		size, with := n.next(e.Rest())
		if afterBlank {
			with = strings.TrimLeft(with, " ")
		}
		if with != "" {
			afterBlank = n.RemoveExtra && with[len(with)-1] == ' '
		}
		if n.Escape && strings.IndexByte(with, ' ') >= 0 {
			with = strings.ReplaceAll(with, " ", Meta)
		}
		e.Replace(size, with)
	}
	t = e.Done()
	if n.RemoveExtra {
		end := len(t.S)
		for strings.HasSuffix(t.S[:end], blank) {
			end -= len(blank)
		}
		first := t.First
		t = t.Sub(0, end)
		t.First = first
	}
	if n.Prefix && n.Suffix {
		e := t.Edit()
		e.Keep(len(t.S))
		e.Replace(0, blank)
		t = e.Done()
	}
	return t
}

// rewrite is Normalize without account of places.
func (n SentencePiece) rewrite(s string) string {
	if n.RemoveExtra {
		for s != "" {
			size, with := n.next(s)
			if with != " " {
				break
			}
			s = s[size:]
		}
	}
	if s == "" {
		return s
	}
	blank := " "
	if n.Escape {
		blank = Meta
	}
	out := make([]byte, 0, len(s)+len(s)/2+8)
	if n.Prefix && !n.Suffix {
		out = append(out, blank...)
	}
	afterBlank := n.RemoveExtra
	for s != "" {
		// Most text is ASCII that no rule touches.
		if b := s[0]; n.Verbatim == nil && b < utf8.RuneSelf && (len(s) == 1 || s[1] < utf8.RuneSelf) && (n.Map == nil || n.Map.plain[b]) {
			s = s[1:]
			switch {
			case b != ' ':
				out = append(out, b)
				afterBlank = false
			case !afterBlank:
				out = append(out, blank...)
				afterBlank = n.RemoveExtra
			}
			continue
		}
		size, with := n.next(s)
		s = s[size:]
		if afterBlank {
			with = strings.TrimLeft(with, " ")
		}
		if with == "" {
			continue
		}
		afterBlank = n.RemoveExtra && with[len(with)-1] == ' '
		for i := range len(with) {
			if with[i] == ' ' {
				out = append(out, blank...)
			} else {
				out = append(out, with[i])
			}
		}
	}
	if n.RemoveExtra {
		for strings.HasSuffix(string(out[max(0, len(out)-len(blank)):]), blank) {
			out = out[:len(out)-len(blank)]
		}
	}
	if n.Prefix && n.Suffix {
		out = append(out, blank...)
	}
	return string(out)
}

// next returns the length of the first thing that a rule replaces, or of the
// first character, and what replaces it.
func (n SentencePiece) next(s string) (size int, with string) {
	if n.Verbatim != nil {
		if size := n.Verbatim(s); size > 0 {
			return size, s[:size]
		}
	}
	if n.Map != nil {
		if size, with := n.Map.find(s, longest); size > 0 {
			return size, with
		}
	}
	if s[0] < utf8.RuneSelf {
		return 1, s[:1]
	}
	r, size := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && size == 1 {
		return 1, "\ufffd"
	}
	return size, s[:size]
}
