package normalize

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"forja/tokenizer/internal/ucd"
)

// Bert is the normalizer of BERT (Devlin et al. 2018, tokenization.py), in the
// order of its rules, with the tables of Hugging Face tokenizers.
type Bert struct {
	CleanText    bool // control characters go, white space becomes a blank
	Chinese      bool // blanks around CJK ideographs
	StripAccents bool // decompose, then remove nonspacing marks
	Lowercase    bool
}

// Normalize implements Normalizer.
func (n Bert) Normalize(t Text) Text {
	if isPlain(t.S) { // the common case, in one pass
		if n.Lowercase && strings.IndexFunc(t.S, func(r rune) bool { return 'A' <= r && r <= 'Z' }) >= 0 {
			return Lowercase{}.Normalize(t)
		}
		return t
	}
	if n.CleanText {
		t = mapped(t, cleaned)
	}
	if n.Chinese {
		t = mapped(t, func(r rune) (rune, string) {
			if isIdeograph(r) {
				return instead, " " + string(r) + " "
			}
			return r, ""
		})
	}
	if n.StripAccents {
		t = mapped(NFD.Normalize(t), func(r rune) (rune, string) {
			if r >= 0x300 && (unicode.Is(unicode.Mn, r) && !ucd.Contains(ucd.OldMarks, r) || r == 0x1734) {
				return instead, ""
			}
			return r, ""
		})
	}
	if n.Lowercase {
		t = Lowercase{}.Normalize(t)
	}
	return t
}

// isPlain reports whether s is printable ASCII, which only Lowercase changes.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

func cleaned(r rune) (rune, string) {
	switch {
	case r == '\t' || r == '\n' || r == '\r':
		return ' ', ""
	case r == 0 || r == utf8.RuneError, unicode.Is(unicode.Cc, r), unicode.Is(unicode.Co, r), unicode.Is(unicode.Cf, r) && !ucd.Contains(ucd.OldFormat, r):
		return instead, ""
	case r > ' ' && unicode.IsSpace(r):
		return ' ', ""
	}
	return r, ""
}

// isIdeograph is the test of BERT, which means the blocks of its day.
func isIdeograph(r rune) bool {
	if r < 0x3400 {
		return false
	}
	return r <= 0x4dbf || 0x4e00 <= r && r <= 0x9fff || 0xf900 <= r && r <= 0xfaff || 0x20000 <= r && r <= 0x2a6df ||
		0x2a700 <= r && r <= 0x2b81f || 0x2b920 <= r && r <= 0x2ceaf || 0x2f800 <= r && r <= 0x2fa1f
}
