package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// AppendIDs implements Model.
func (b *CharBPE) AppendIDs(dst []int32, ends *[]int, piece string) []int32 {
	w := b.workspaces.Get().(*workspace)
	e := charEncoding{CharBPE: b, w: w, ids: dst, ends: ends}
	if b.config.WholeWords {
		if id, ok := b.ids[piece]; ok && !b.hidden(id) {
			e.add(id, len(piece))
			piece = ""
		}
	}
	for piece != "" {
		n := len(piece)
		if b.user != nil {
			var id int32
			if n, id = b.user.Longest(piece); n > 0 {
				e.add(id, n)
				piece = piece[n:]
				continue
			}
			for n = characterLen(piece); n < len(piece); n += characterLen(piece[n:]) {
				if size, _ := b.user.Longest(piece[n:]); size > 0 {
					break
				}
			}
		}
		e.part(piece[:n])
		piece = piece[n:]
	}
	b.workspaces.Put(w)
	return e.ids
}

// characterLen is the length of the first character; an invalid byte is one.
func characterLen(s string) int {
	if s[0] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRuneInString(s)
	return n
}

// symbol is what a character starts as.
func (b *CharBPE) symbol(r rune) int32 {
	if id, ok := b.symbols[r]; ok {
		return id
	}
	return int32(len(b.config.Tokens) + virtualUnknown)
}

// charEncoding is one call at work.
type charEncoding struct {
	*CharBPE
	w       *workspace
	ids     []int32
	ends    *[]int
	at      int  // where in the piece the ids end
	unknown bool // the last id is that of unknown characters
}

func (e *charEncoding) add(id int32, n int) {
	e.unknown = false
	e.at += n
	e.ids = append(e.ids, id)
	if e.ends != nil {
		*e.ends = append(*e.ends, e.at)
	}
}

// part encodes text without user-defined tokens, word by word where words
// merge on their own.
func (e *charEncoding) part(text string) {
	for text != "" && e.cut != "" {
		n := len(text)
		skip := 0
		for strings.HasPrefix(text[skip:], e.cut) {
			skip += len(e.cut)
		}
		if at := strings.Index(text[skip:], e.cut); at >= 0 {
			n = skip + at
		}
		e.word(text[:n])
		text = text[n:]
	}
	for text != "" {
		n := min(len(text), maxWord)
		e.word(text[:n])
		text = text[n:]
	}
}

// word encodes a word, which the cache may know.
func (e *charEncoding) word(word string) {
	cached := len(word) <= maxCachedWord && e.config.Prefix == "" && e.config.Suffix == ""
	var key wordKey
	if cached {
		key = keyOf(word)
		if symbols, ok := e.w.cache.find(key, word); ok {
			e.symbols(word, symbols)
			return
		}
	}
	e.w.ids = e.start(e.w.ids[:0], word)
	e.w.ids = e.mergeSymbols(e.w, e.w.ids)
	if cached {
		e.w.cache.add(key, word, e.w.ids)
	}
	e.symbols(word, e.w.ids)
}

// start appends the symbols that the characters of a word start as.
func (e *charEncoding) start(dst []int32, word string) []int32 {
	c := &e.config
	affixes := c.Prefix != "" || c.Suffix != ""
	for at := 0; at < len(word); {
		n := characterLen(word[at:])
		var id int32
		switch {
		case affixes:
			id = e.affixed(word, at, n)
		case n == 1 && word[at] < utf8.RuneSelf:
			id = e.ascii[word[at]]
		default:
			r, _ := utf8.DecodeRuneInString(word[at:])
			id = e.CharBPE.symbol(r)
		}
		if int(id) == len(c.Tokens)+virtualUnknown && c.ByteFallback && c.Scores == nil {
			for i := range n {
				dst = append(dst, int32(len(c.Tokens))+int32(word[at+i]))
			}
		} else {
			dst = append(dst, id)
		}
		at += n
	}
	return dst
}

// affixed is the symbol of a character as it stands in a word.
func (e *charEncoding) affixed(word string, at, n int) int32 {
	text := word[at : at+n]
	if at > 0 {
		text = e.config.Prefix + text
	}
	if at+n == len(word) {
		text += e.config.Suffix
	}
	if id, ok := e.CharBPE.ids[text]; ok && !e.hidden(id) {
		return id
	}
	return int32(len(e.config.Tokens) + virtualUnknown)
}

// symbols adds the ids of what a word was merged into.
func (e *charEncoding) symbols(word string, symbols []int32) {
	c := &e.config
	vocab := int32(len(c.Tokens))
	at := 0
	for i, s := range symbols {
		switch {
		case s < vocab:
			n := len(c.Tokens[s])
			if at > 0 {
				n -= len(c.Prefix)
			}
			if i == len(symbols)-1 {
				n = len(word) - at // without the suffix
			}
			e.add(s, n)
			at += n
		case s < vocab+virtualBytes:
			e.add(e.bytes[s-vocab], 1)
			at++
		default:
			n := characterLen(word[at:])
			e.outside(word[at : at+n])
			at += n
		}
	}
}

// outside adds a character that is no token.
func (e *charEncoding) outside(character string) {
	c := &e.config
	switch {
	case c.ByteFallback:
		for i := range len(character) {
			e.add(e.bytes[character[i]], 1)
		}
	case c.Unknown < 0:
		e.at += len(character)
	case e.unknown && c.FuseUnknown:
		e.at += len(character)
		if e.ends != nil {
			(*e.ends)[len(*e.ends)-1] = e.at
		}
	default:
		e.add(c.Unknown, len(character))
		e.unknown = true
	}
}
