package split

// nextCased is the expression of O200K and Tekken. Letters without case (Lm,
// Lo) and marks count both as capitals and as small letters: the first two
// alternatives are some other character or none, capitals, small letters, and a
// contraction or none, with at least one small letter in the first and one
// capital in the second.
func nextCased(text string, digits int, contractions bool) int {
	class, size := classAt(text, 0)
	end := 0
	if class&(letter|number|newline) == 0 {
		end = casedWord(text, size)
	}
	if end == 0 && class&(letter|mark) != 0 { // no character before the word
		end = casedWord(text, 0)
	}
	if end > 0 {
		if contractions && end < len(text) && text[end] == '\'' {
			end += foldedContraction(text[end:])
		}
		return end
	}
	if class&number != 0 {
		return numberOf(text, size, digits)
	}
	var after uint8
	if size < len(text) {
		after, _ = classAt(text, size)
	}
	if class&space == 0 || text[0] == ' ' && size < len(text) && after&(letter|number|space) == 0 {
		end := run(text, size, letter|number|space, 0)
		for end < len(text) && (text[end] == '\r' || text[end] == '\n' || text[end] == '/') {
			end++
		}
		return end
	}
	return spacesByLine(text)
}

// casedWord returns the end of the capitals and small letters at text[start:],
// 0 if there is neither. A mark at text[0] that is not the start of the word
// shows that the caller tries to place it before the word: a run of capitals
// alone then is no match yet, since the expression first tries the mark as the
// small letter.
func casedWord(text string, start int) int {
	at, both := start, 0 // both: the end of the last caseless character among the capitals
	for at < len(text) {
		class, size := classAt(text, at)
		if class&(letter|mark) == 0 || class&lower != 0 {
			break
		}
		at += size
		if class&upper == 0 {
			both = at
		}
	}
	if end := smallLetters(text, at); end > at {
		return end
	}
	switch {
	case both > 0:
		return both
	case start > 0 && isMark(text):
		return 0
	case at > start:
		return at
	}
	return 0
}

// smallLetters returns the end of the run of small or caseless letters and
// marks at a place.
func smallLetters(text string, at int) int {
	for at < len(text) {
		class, size := classAt(text, at)
		if class&(letter|mark) == 0 || class&upper != 0 {
			break
		}
		at += size
	}
	return at
}

func isMark(text string) bool {
	class, _ := classAt(text, 0)
	return class&mark != 0
}
