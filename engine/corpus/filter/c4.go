package filter

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"forja/engine/recipe"
)

const c4Filter = "c4"

// What C4 looks for, in lower case.
const (
	loremIpsum = "lorem ipsum"
	javaScript = "javascript"
)

var policies = []string{"terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies"}

// lineRules drops the lines that C4 drops and leaves the others in c.out, joined by line feeds.
func (c *Checker) lineRules(text string) {
	rules := &c.config.C4
	c.lower = appendLower(c.lower[:0], text)
	lower := view(c.lower)
	// Most texts have none of these, and then no line needs to be searched.
	lorem := rules.LoremIpsum && strings.Contains(lower, loremIpsum)
	script := rules.JavaScript && strings.Contains(lower, javaScript)
	curly := rules.CurlyBracket && strings.Contains(text, "{")
	policy := rules.PolicyRule && containsAny(lower, policies)
	cite := rules.Citations && strings.Contains(text, "[")

	c.out = c.out[:0]
	kept, sentences, lorems, curlies := 0, 0, 0, 0
	for rest := text; rest != "" && (lorems+curlies == 0 || c.each != nil); {
		var line string
		line, rest = cut(rest)
		line = strings.TrimSpace(line)
		if badWords(rules, line) {
			continue
		}
		begin := len(c.out)
		if kept > 0 {
			c.out = append(c.out, '\n')
		}
		at := len(c.out)
		if cite {
			c.out = appendCited(c.out, line)
		} else {
			c.out = append(c.out, line...)
		}
		line = view(c.out[at:])
		c.lower = c.lower[:0]
		if lorem || script || policy {
			c.lower = appendLower(c.lower, line)
		}
		lower := view(c.lower)
		switch {
		case rules.TerminalPunctuation && (!strings.ContainsAny(last(line), `.?!"'`) || strings.HasSuffix(line, "...")):
		case lorem && strings.Contains(lower, loremIpsum):
			lorems++
		case script && strings.Contains(lower, javaScript):
		case curly && strings.Contains(line, "{"):
			curlies++
		case policy && containsAny(lower, policies):
		default:
			kept++
			sentences += countSentences(line)
			continue
		}
		c.out = c.out[:begin]
	}
	if c.none(c4Filter, "lorem_ipsum", lorems) && c.none(c4Filter, "curly_bracket", curlies) {
		c.least(c4Filter, "too_few_sentences", float64(sentences), float64(rules.MinSentences))
	}
}

// badWords says that a line has too few words or one that is too long.
func badWords(rules *recipe.C4, line string) bool {
	short := rules.MaxWordLength <= 0 || len(line) <= rules.MaxWordLength // no word can be too long
	words, length := 0, 0
	for i := 0; i < len(line); {
		c, n := class(line, i)
		if i += n; c == space {
			length = 0
			continue
		}
		if length++; length == 1 {
			if words++; short && words >= rules.MinLineWords {
				return false
			}
		}
		if rules.MaxWordLength > 0 && length > rules.MaxWordLength {
			return true
		}
	}
	return words < rules.MinLineWords
}

// appendCited appends a line without [12], [], [edit] and [citation needed].
func appendCited(dst []byte, line string) []byte {
	for {
		i := strings.IndexByte(line, '[')
		if i < 0 {
			return append(dst, line...)
		}
		dst = append(dst, line[:i]...)
		line = line[i:]
		end := strings.IndexByte(line, ']')
		if end > 0 && citation(line[1:end]) {
			line = line[end+1:]
			continue
		}
		dst = append(dst, '[')
		line = line[1:]
	}
}

func citation(s string) bool {
	if s == "edit" || s == "citation needed" {
		return true
	}
	for _, r := range s {
		if !unicode.IsDigit(r) {
			return false
		}
	}
	return true
}

func last(s string) string {
	if s == "" {
		return ""
	}
	_, n := utf8.DecodeLastRuneInString(s)
	return s[len(s)-n:]
}

func containsAny(s string, list []string) bool {
	for _, p := range list {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}

// appendLower appends a text with its ASCII letters in lower case.
func appendLower(dst []byte, s string) []byte {
	at := len(dst)
	dst = append(dst, s...)
	for i, b := range dst[at:] {
		if b-'A' < 26 {
			dst[at+i] = b + 'a' - 'A'
		}
	}
	return dst
}
