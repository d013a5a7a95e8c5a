package split

import "unicode/utf8"

// settleMargin is more than any scanner looks beyond the end of a run: a
// contraction, or a blank and the character after it.
const settleMargin = 16

// Settled returns a length such that all pre-tokens of text that end at or
// before it stay as they are, whatever text is continued with. Only a pattern
// that Scans has it. It may be 0 where text ends in a long run of letters.
func (p *Pattern) Settled(text string) int {
	at := len(text) - settleMargin
	if at <= 0 {
		return 0
	}
	for at > 0 && !utf8.RuneStart(text[at]) {
		at--
	}
	// A scanner looks at most to the end of the run of white space behind the
	// run of letters and marks that it is in.
	at = backOver(text, at, space)
	return backOver(text, at, letter|mark)
}

// backOver returns the start of the run of characters of some classes that
// ends at a place.
func backOver(text string, at int, classes uint8) int {
	for at > 0 {
		_, size := utf8.DecodeLastRuneInString(text[:at])
		class, _ := classAt(text, at-size)
		if class&classes == 0 {
			break
		}
		at -= size
	}
	return at
}
