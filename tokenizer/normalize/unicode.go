package normalize

import (
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"forja/tokenizer/internal/ucd"
)

// The Unicode normalization forms, as Hugging Face tokenizers has them: at
// Unicode 9, so that newer characters are not decomposed and newer marks stay
// where they are; and no sequence of marks is too long.
var (
	NFC  = Form{norm.NFC}
	NFD  = Form{norm.NFD}
	NFKC = Form{norm.NFKC}
	NFKD = Form{norm.NFKD}
)

// A Form is a Unicode normalization form.
type Form struct{ form norm.Form }

// Name is NFC, NFD, NFKC or NFKD.
func (f Form) Name() string {
	return map[norm.Form]string{norm.NFC: "NFC", norm.NFD: "NFD", norm.NFKC: "NFKC", norm.NFKD: "NFKD"}[f.form]
}

// longSegment is how many characters without a boundary between them x/text
// normalizes by the letter; in longer ones it inserts joiners.
const longSegment = 25

// Normalize implements Normalizer.
func (f Form) Normalize(t Text) Text {
	if f.form.QuickSpanString(t.S) == len(t.S) {
		return t
	}
	e := t.Edit()
	for s := e.Rest(); len(s) > 0; s = e.Rest() {
		n, characters, plain := f.segment(s)
		switch {
		case characters == 1 && s[0] < utf8.RuneSelf:
			e.Keep(n)
		case plain && characters <= longSegment:
			e.Replace(n, f.form.String(s[:n]))
		default:
			e.Replace(n, f.slow(s[:n]))
		}
	}
	return e.Done()
}

// segment is the length of the first part of s that does not interact with the
// rest, its number of characters, and whether x/text may normalize it.
func (f Form) segment(s string) (n, characters int, plain bool) {
	plain = true
	for n < len(s) {
		if s[n] < utf8.RuneSelf {
			if n > 0 {
				return n, characters, plain
			}
			n, characters = 1, 1
			continue
		}
		r, size := utf8.DecodeRuneInString(s[n:])
		if n > 0 && f.form.PropertiesString(s[n:]).BoundaryBefore() {
			return n, characters, plain
		}
		plain = plain && !ucd.Contains(ucd.OldDecomposed, r) && !ucd.Contains(ucd.OldCombining, r)
		n += size
		characters++
	}
	return n, characters, plain
}

// slow normalizes by the definition (Unicode Standard Annex 15).
func (f Form) slow(s string) string {
	type ranked struct {
		r   rune
		ccc uint8
	}
	var all []ranked
	for i, r := range s {
		_, size := utf8.DecodeRuneInString(s[i:])
		d := f.form.PropertiesString(s[i:]).Decomposition()
		switch {
		case r == utf8.RuneError && size == 1:
			return s // invalid bytes are left alone
		case d == nil || ucd.Contains(ucd.OldDecomposed, r):
			d = []byte(norm.NFD.String(s[i : i+size])) // Hangul, which no table lists
			if ucd.Contains(ucd.OldDecomposed, r) {
				d = []byte(s[i : i+size])
			}
		}
		for _, c := range string(d) {
			ccc := norm.NFD.PropertiesString(string(c)).CCC()
			if ucd.Contains(ucd.OldCombining, c) {
				ccc = 0
			}
			all = append(all, ranked{c, ccc})
		}
	}
	for i := 0; i < len(all); i++ {
		end := i
		for end < len(all) && all[end].ccc != 0 {
			end++
		}
		if end > i {
			slices.SortStableFunc(all[i:end], func(a, b ranked) int { return int(a.ccc) - int(b.ccc) })
			i = end - 1
		}
	}
	out := make([]rune, 0, len(all))
	compose := f.form == norm.NFC || f.form == norm.NFKC
	starter, last := -1, -1 // the last starter in out; the class of what stands behind it
	for _, c := range all {
		if compose && starter >= 0 && (last < int(c.ccc) || last == 0 && starter == len(out)-1) {
			if both := []rune(norm.NFC.String(string([]rune{out[starter], c.r}))); len(both) == 1 && !ucd.Contains(ucd.OldDecomposed, both[0]) {
				out[starter] = both[0]
				continue
			}
		}
		if c.ccc == 0 {
			starter = len(out)
		}
		last = int(c.ccc)
		out = append(out, c.r)
	}
	return string(out)
}

// StripAccents removes combining marks.
type StripAccents struct{}

// Normalize implements Normalizer.
func (StripAccents) Normalize(t Text) Text {
	return mapped(t, func(r rune) (rune, string) {
		// The two signs were marks in the tables of Hugging Face's crate.
		if r >= 0x300 && (unicode.Is(unicode.M, r) || r == 0x1cf2 || r == 0x1cf3) && !ucd.Contains(ucd.OldCombining, r) {
			return instead, ""
		}
		return r, ""
	})
}
