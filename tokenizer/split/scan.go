package split

import "unicode/utf8"

// nextGPT2 is gpt2Regexp.
func nextGPT2(text string) int {
	if text[0] == '\'' {
		if n := contraction(text); n > 0 {
			return n
		}
	}
	at := 0
	if text[0] == ' ' && len(text) > 1 {
		at = 1
	}
	class, size := classAt(text, at)
	switch {
	case class&letter != 0:
		return run(text, at+size, letter, letter)
	case class&number != 0:
		return run(text, at+size, number, number)
	case class&space == 0:
		return run(text, at+size, letter|number|space, 0)
	}
	return spaces(text)
}

// nextFolded is foldedHead, a number of at most digits digits, foldedTail.
func nextFolded(text string, digits int) int {
	if text[0] == '\'' {
		if n := foldedContraction(text); n > 0 {
			return n
		}
	}
	class, size := classAt(text, 0)
	if class&letter != 0 {
		return run(text, size, letter, letter)
	}
	if class&number != 0 {
		return numberOf(text, size, digits)
	}
	// Any other character but a line break goes with the letters after it.
	var after uint8
	if size < len(text) {
		after, _ = classAt(text, size)
	}
	if class&newline == 0 && after&letter != 0 {
		return run(text, size, letter, letter)
	}
	// Punctuation, after at most one blank and with the line breaks behind it.
	if class&space == 0 || text[0] == ' ' && size < len(text) && after&(letter|number|space) == 0 {
		end := run(text, size, letter|number|space, 0)
		return run(text, end, newline, newline)
	}
	return spacesByLine(text)
}

// numberOf is the end of a number of at most digits digits, the first of which
// ends at end.
func numberOf(text string, end, digits int) int {
	for n := 1; n < digits && end < len(text); n++ {
		class, size := classAt(text, end)
		if class&number == 0 {
			break
		}
		end += size
	}
	return end
}

// spaces is \s+(?!\S)|\s+ at the start of a run of white space: the whole run
// at the end of the text, else all of it but the last character, which goes
// with the word after it if it can.
func spaces(text string) int {
	end, last := 0, 0
	for end < len(text) {
		class, size := classAt(text, end)
		if class&space == 0 {
			break
		}
		last = end
		end += size
	}
	if end == len(text) || last == 0 {
		return end
	}
	return last
}

// spacesByLine is \s*[\r\n]+|\s+(?!\S)|\s+ at the start of a run of white
// space: up to the last line break of the run if there is one, else spaces.
func spacesByLine(text string) int {
	end, last, line := 0, 0, 0
	for end < len(text) {
		class, size := classAt(text, end)
		if class&space == 0 {
			break
		}
		last = end
		end += size
		if class&newline != 0 {
			line = end
		}
	}
	switch {
	case line > 0:
		return line
	case end == len(text) || last == 0:
		return end
	}
	return last
}

// contraction is the length of 's|'t|'re|'ve|'m|'ll|'d at the start of text,
// which starts with an apostrophe, or 0.
func contraction(text string) int {
	if len(text) > 1 {
		switch text[1] {
		case 's', 't', 'm', 'd':
			return 2
		}
	}
	if len(text) > 2 {
		switch text[1:3] {
		case "re", "ve", "ll":
			return 3
		}
	}
	return 0
}

// foldedContraction is contraction in any case. Besides S, the fold of s
// contains the long s, U+017F.
func foldedContraction(text string) int {
	const toLower = 'a' - 'A'
	if len(text) > 1 {
		switch text[1] | toLower {
		case 's', 't', 'm', 'd':
			return 2
		}
	}
	if len(text) > 2 {
		switch first, second := text[1]|toLower, text[2]|toLower; {
		case (first == 'r' || first == 'v') && second == 'e', first == 'l' && second == 'l':
			return 3
		case text[1:3] == "ſ":
			return 3
		}
	}
	return 0
}

// run returns the end of the longest run from at of characters whose class
// masked by mask is want.
func run(text string, at int, mask, want uint8) int {
	for at < len(text) {
		if b := text[at]; b < utf8.RuneSelf {
			if asciiClass[b]&mask != want {
				return at
			}
			at++
			continue
		}
		class, size := classAt(text, at)
		if class&mask != want {
			return at
		}
		at += size
	}
	return at
}
