package tokenizer

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"forja/tokenizer/normalize"
)

// newCounter counts words of sentences: from one blank to before the next. A
// word is spelled with U+2581 at its start, or as it stands in the text: with a
// blank, or with nothing where the text starts.
func (t *sentencePieceTrainer) newCounter() counter {
	rules := t.options.Rules
	blank := normalize.Meta
	line := func(s string) string { return rules.Normalize(normalize.Of(s, false)).S }
	if rules.Map == nil && !t.options.Blanks { // nothing but blanks changes: no need to write it anew
		blank = " "
		line = func(s string) string {
			if rules.RemoveExtra {
				return strings.Trim(s, " ")
			}
			return s
		}
	}
	return func(table *wordTable, text string) {
		for text != "" {
			var sentence string
			sentence, text, _ = strings.Cut(text, "\n")
			for s := line(sentence); s != ""; {
				skip := 1
				for t.options.Blanks && strings.HasPrefix(s[skip-1:], blank) { // several belong together
					skip += len(blank)
				}
				n := len(s)
				if at := strings.Index(s[skip:], blank); at >= 0 {
					n = skip + at
				}
				if word := s[:n]; !rules.RemoveExtra || word != blank {
					table.add(hashWord(word), word, 1)
				}
				s = s[n:]
			}
		}
	}
}

// A charInfo is what is to be known of a character that becomes a piece.
type charInfo struct {
	id     int32
	script int
}

const metaRune = '\u2581'

// cut counts the parts of words that no piece crosses the borders of.
func (t *sentencePieceTrainer) cut(words *wordTable) *wordTable {
	segments := newWordTable()
	for i := range words.slots {
		s := &words.slots[i]
		if s.count == 0 {
			continue
		}
		word := t.spelling(words.word(s))
		start := 0
		flush := func(end int) {
			if start < end {
				segments.add(hashWord(word[start:end]), word[start:end], s.count)
			}
			start = end
		}
		var before rune // of the segment; 0: none
		script := anyScript
		for at, r := range word {
			info, ok := t.infos[r]
			if !ok { // no piece has it
				flush(at)
				_, n := utf8.DecodeRuneInString(word[at:])
				start = at + n
				before, script = 0, anyScript
				continue
			}
			if before != 0 && t.apart(before, script, r, info.script, word[at:]) {
				flush(at)
				script = anyScript
			}
			before = r
			if r != metaRune {
				script = info.script
			}
		}
		flush(len(word))
	}
	return segments
}

// apart reports whether no piece may have both of two neighbours.
func (t *sentencePieceTrainer) apart(before rune, beforeScript int, r rune, script int, rest string) bool {
	digit := func(r rune) bool { return '0' <= r && r <= '9' }
	switch {
	case r == metaRune: // starts a piece, unless all of it are blanks
		lone := strings.HasPrefix(strings.TrimPrefix(rest, normalize.Meta), normalize.Meta) || rest == normalize.Meta
		return !(t.options.Blanks && before == metaRune && lone)
	case t.options.SplitDigits && (digit(before) || digit(r)):
		return true
	}
	return beforeScript != anyScript && script != beforeScript
}

// anyScript goes with every script.
const anyScript = -1

var scriptTables = func() (tables []*unicode.RangeTable) {
	var names []string
	for name := range unicode.Scripts {
		if name != "Common" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		tables = append(tables, unicode.Scripts[name])
	}
	return tables
}()

// scriptOf is a number for the script of a character, one for all of Japanese
// and one for what has none.
func scriptOf(r rune) int {
	if r == 0x30fc || unicode.In(r, unicode.Hiragana, unicode.Katakana) {
		r = '\u4e00'
	}
	for i, table := range scriptTables {
		if unicode.Is(table, r) {
			return i
		}
	}
	return len(scriptTables)
}
