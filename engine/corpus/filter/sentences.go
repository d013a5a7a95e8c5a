package filter

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// abbreviations end in a point that ends no sentence, in lower case and without the point.
var abbreviations = map[string]bool{"mr": true, "mrs": true, "ms": true, "dr": true, "prof": true, "st": true, "jr": true, "sr": true,
	"vs": true, "etc": true, "e.g": true, "i.e": true, "cf": true, "fig": true, "no": true, "vol": true, "inc": true, "ltd": true, "co": true,
	"sra": true, "dra": true, "ex": true, "p.ex": true, "pág": true, "art": true, "av": true}

// countSentences counts the sentences of a line: what stands up to terminal punctuation, with the quotes and brackets
// that close after it, before white space; and what is left after the last. Full stops of Chinese and Japanese need no
// space. A line with any character is at least one.
func countSentences(line string) (n int) {
	begin := 0 // of the sentence
	for i := 0; i < len(line); {
		at := i + indexTerminal(line[i:])
		if at == len(line) {
			break
		}
		i = at
		wide := false
		for i < len(line) {
			r, size := utf8.DecodeRuneInString(line[i:])
			if !strings.ContainsRune(".!?…。！？।؟\"'”’»)]", r) {
				break
			}
			wide = wide || r == '。' || r == '！' || r == '？'
			i += size
		}
		if i == len(line) {
			break
		}
		if r, size := utf8.DecodeRuneInString(line[i:]); !wide && !unicode.IsSpace(r) {
			i += size
			continue
		}
		if line[at] == '.' && i == at+1 && abbreviated(line[begin:at]) {
			continue
		}
		n++
		begin = i
	}
	if strings.TrimSpace(line[begin:]) != "" {
		n++
	}
	return n
}

// indexTerminal finds terminal punctuation; without any it is the text's length.
func indexTerminal(s string) int {
	for i := 0; i < len(s); i++ {
		switch b := s[i]; {
		case b == '.' || b == '!' || b == '?':
			return i
		case b >= 0xd8: // may begin one of the others
			if r, _ := utf8.DecodeRuneInString(s[i:]); strings.ContainsRune("…。！？।؟", r) {
				return i
			}
		}
	}
	return len(s)
}

// abbreviated says that the point after a text belongs to its last word: an abbreviation or an initial.
func abbreviated(text string) bool {
	w := text[strings.LastIndexAny(text, " \t(\"")+1:]
	if len(w) == 1 && w[0] >= 'A' && w[0] <= 'Z' && w != "I" {
		return true
	}
	return len(w) < 6 && abbreviations[strings.ToLower(w)]
}
