package pdf

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// vocabulary counts the words of a document, and the halves of those that a line end cuts.
func vocabulary(sheets []sheet) map[string]int {
	words := map[string]int{}
	for _, s := range sheets {
		for _, p := range s.pieces {
			rest := strings.ToLower(p.text)
			for len(rest) > 0 && len(words) < maxWords {
				n := wordLength(rest)
				if n == 0 {
					_, n = utf8.DecodeRuneInString(rest)
				} else {
					words[strings.TrimRight(rest[:n], "-")]++
				}
				rest = rest[n:]
			}
		}
	}
	return words
}

const maxWords = 1 << 20

// wordLength is how many bytes of a text's beginning are letters and hyphens between or behind them.
func wordLength(s string) int {
	for k, r := range s {
		if !(r >= 'a' && r <= 'z') && !unicode.IsLetter(r) && !unicode.IsMark(r) && (r != '-' || k == 0) {
			return k
		}
	}
	return len(s)
}

// join puts a line behind a paragraph. A hyphen at the end goes if the word without it is likely one.
func (w *writing) join(text []byte, next string) []byte {
	if len(text) == 0 || next == "" {
		return append(text, next...)
	}
	last, n := utf8.DecodeLastRune(text)
	if last == '-' || last == '‐' {
		before, _ := utf8.DecodeLastRune(text[:len(text)-n])
		after, _ := utf8.DecodeRuneInString(next)
		switch {
		case unicode.IsLetter(before) && unicode.IsLower(after) && w.oneWord(text[:len(text)-n], next):
			return append(text[:len(text)-n], next...)
		case (unicode.IsLetter(before) || unicode.IsDigit(before)) && (unicode.IsLetter(after) || unicode.IsDigit(after)):
			return append(text, next...)
		}
	}
	if isIdeograph(next) && isIdeograph(string(last)) {
		return append(text, next...)
	}
	return append(append(text, ' '), next...)
}

// oneWord tells whether what stands around a hyphen at the end of a line is one word: the document has it elsewhere, or has
// neither it with its hyphen nor both of its halves.
func (w *writing) oneWord(before []byte, next string) bool {
	tail := before[max(0, len(before)-60):]
	a := strings.ToLower(string(tail[lastWord(tail):]))
	b, _, _ := strings.Cut(strings.ToLower(next[:wordLength(next)]), "-")
	switch {
	case w.words[a+b] > 0:
		return true
	case w.words[a+"-"+b] > 0 || strings.Contains(a, "-"):
		return false
	}
	return !(w.words[a] > 1 && w.words[b] > 1 && utf8.RuneCountInString(a) > 2 && utf8.RuneCountInString(b) > 2)
}

func lastWord(b []byte) int {
	k := len(b)
	for k > 0 {
		r, n := utf8.DecodeLastRune(b[:k])
		if !unicode.IsLetter(r) && !unicode.IsMark(r) && r != '-' {
			break
		}
		k -= n
	}
	return k
}
