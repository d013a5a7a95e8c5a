package crawl

import (
	"bytes"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// A scanner finds the start tags of an HTML document as its standard's tokenizer does, but looks at nothing else for longer than it
// takes to pass over it. Unlike a browser's it looks into noscript, for a crawler runs no scripts.
type scanner struct {
	doc []byte
	pos int
}

// A tag is a start tag.
type tag struct {
	atom  atom.Atom // 0 for names that HTML does not know
	text  []byte    // from < to >
	attrs []byte    // what stands between the name and >
}

// next returns the next start tag; ok is false at the end.
func (s *scanner) next() (t tag, ok bool) {
	for {
		at := bytes.IndexByte(s.doc[s.pos:], '<')
		if at < 0 || s.pos+at+2 > len(s.doc)-1 {
			return t, false
		}
		start := s.pos + at
		s.pos = start + 1
		switch c := s.doc[s.pos]; {
		case isLetter(c):
			name := s.name()
			attrs := s.pos
			if !s.endTag() {
				return t, false
			}
			t = tag{lookup(name), s.doc[start:s.pos], s.doc[attrs : s.pos-1]}
			s.skipRawText(t.atom)
			return t, true
		case c == '/' && isLetter(s.doc[s.pos+1]):
			s.pos++
			s.name()
			if !s.endTag() {
				return t, false
			}
		case c == '!' && bytes.HasPrefix(s.doc[s.pos:], []byte("!--")):
			s.skipComment()
		case c == '/', c == '!', c == '?':
			s.skipPast('>')
		}
	}
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' }

// skipPast goes behind the next c, or to the end.
func (s *scanner) skipPast(c byte) {
	if at := bytes.IndexByte(s.doc[s.pos:], c); at >= 0 {
		s.pos += at + 1
	} else {
		s.pos = len(s.doc)
	}
}

// name reads the name of a tag.
func (s *scanner) name() []byte {
	start := s.pos
	for s.pos < len(s.doc) && !isSpace(s.doc[s.pos]) && s.doc[s.pos] != '/' && s.doc[s.pos] != '>' {
		s.pos++
	}
	return s.doc[start:s.pos]
}

// lookup finds a name whatever its case.
func lookup(name []byte) atom.Atom {
	var lower [16]byte // plaintext is the longest that matters
	if len(name) > len(lower) {
		return 0
	}
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		lower[i] = c
	}
	return atom.Lookup(lower[:len(name)])
}

// endTag goes from behind a tag's name to behind its >. It is false if the document ends before.
func (s *scanner) endTag() bool {
	end := bytes.IndexByte(s.doc[s.pos:], '>')
	if end < 0 {
		return false
	}
	if inside := s.doc[s.pos : s.pos+end]; bytes.IndexByte(inside, '"') < 0 && bytes.IndexByte(inside, '\'') < 0 {
		s.pos += end + 1
		return true
	}
	a := attributes{rest: s.doc[s.pos:]}
	for a.next() {
	}
	if s.pos = len(s.doc) - len(a.rest); len(a.rest) == 0 {
		return false
	}
	s.pos++
	return true
}

// skipComment goes behind a comment, from its !--.
func (s *scanner) skipComment() {
	start := s.pos + len("!--")
	dashes := 0 // at its start
	for start+dashes < len(s.doc) && s.doc[start+dashes] == '-' {
		dashes++
	}
	for s.pos = start; s.pos < len(s.doc); {
		s.skipPast('>')
		if s.doc[s.pos-1] != '>' {
			return
		}
		text := s.doc[start : s.pos-1]
		if len(text) <= dashes || bytes.HasSuffix(text, []byte("--")) || bytes.HasSuffix(text, []byte("--!")) {
			return
		}
	}
}

// skipRawText goes to the end of an element in which nothing is a tag.
func (s *scanner) skipRawText(element atom.Atom) {
	switch element {
	case atom.Plaintext:
		s.pos = len(s.doc)
	case atom.Script:
		s.skipScript()
	case atom.Iframe, atom.Noembed, atom.Noframes, atom.Style, atom.Textarea, atom.Title, atom.Xmp:
		name := "/" + element.String()
		for s.pos < len(s.doc) && !(s.doc[s.pos] == '<' && s.tagAt(s.pos+1, name)) {
			s.pos++
			if at := bytes.IndexByte(s.doc[s.pos:], '<'); at >= 0 {
				s.pos += at
			} else {
				s.pos = len(s.doc)
			}
		}
	}
}

// tagAt reports whether a name in lower case, and what can follow a name, stands at a position.
func (s *scanner) tagAt(at int, name string) bool {
	end := at + len(name)
	if end >= len(s.doc) || !isSpace(s.doc[end]) && s.doc[end] != '/' && s.doc[end] != '>' {
		return false
	}
	for i := range len(name) {
		c := s.doc[at+i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != name[i] {
			return false
		}
	}
	return true
}

// skipScript goes to the end tag of a script. In a comment of old style a script within the script has an end tag of its own.
func (s *scanner) skipScript() {
	comment, inner := false, false
	for ; s.pos < len(s.doc); s.pos++ {
		switch s.doc[s.pos] {
		case '<':
			switch {
			case s.tagAt(s.pos+1, "/script"):
				if !inner {
					return
				}
				inner = false
			case !comment && bytes.HasPrefix(s.doc[s.pos:], []byte("<!--")):
				comment = true
				s.pos++ // the dashes may be those of -->
			case comment && s.tagAt(s.pos+1, "script"):
				inner = true
			}
		case '>':
			if comment && bytes.HasSuffix(s.doc[:s.pos], []byte("--")) {
				comment, inner = false, false
			}
		}
	}
}

// attributes reads the attributes of a tag, up to its > or the end.
type attributes struct {
	rest       []byte
	key, value []byte
}

// next reads an attribute, whose key may be empty: then it is none.
func (a *attributes) next() bool {
	if a.space(); len(a.rest) == 0 || a.rest[0] == '>' {
		return false
	}
	end := 0
	for end < len(a.rest) && !isSpace(a.rest[end]) && a.rest[end] != '/' && a.rest[end] != '>' && (a.rest[end] != '=' || end == 0) {
		end++
	}
	a.key, a.value, a.rest = a.rest[:end], nil, a.rest[end:]
	a.space()
	switch {
	case len(a.rest) == 0:
	case a.rest[0] == '/':
		a.rest = a.rest[1:]
	case a.rest[0] == '=':
		a.rest = a.rest[1:]
		a.space()
		a.readValue()
	}
	return true
}

func (a *attributes) space() {
	for len(a.rest) > 0 && isSpace(a.rest[0]) {
		a.rest = a.rest[1:]
	}
}

func (a *attributes) readValue() {
	if len(a.rest) == 0 || a.rest[0] == '>' {
		return
	}
	if quote := a.rest[0]; quote == '"' || quote == '\'' {
		end := bytes.IndexByte(a.rest[1:], quote)
		if end < 0 {
			a.value, a.rest = a.rest[1:], nil
			return
		}
		a.value, a.rest = a.rest[1:1+end], a.rest[2+end:]
		return
	}
	end := 0
	for end < len(a.rest) && !isSpace(a.rest[end]) && a.rest[end] != '>' {
		end++
	}
	a.value, a.rest = a.rest[:end], a.rest[end:]
}

// The attributes that a crawler reads.
const (
	attrHref = iota
	attrSrc
	attrRel
	attrType
	attrName
	attrContent
	attrEquiv
	attrCount
)

var attributeNames = [attrCount]string{"href", "src", "rel", "type", "name", "content", "http-equiv"}

// values are the values of those attributes of a tag; of twins, the first.
func (t tag) values() (values [attrCount]string) {
	var seen [attrCount]bool
	note := func(key, value []byte) {
		for i, name := range attributeNames {
			if !seen[i] && len(key) == len(name) && bytes.EqualFold(key, []byte(name)) {
				seen[i], values[i] = true, string(value)
			}
		}
	}
	if bytes.ContainsAny(t.attrs, "&\r\x00") { // what is to be decoded goes the long way
		z := html.NewTokenizer(bytes.NewReader(t.text))
		z.Next()
		for _, more := z.TagName(); more; {
			var key, value []byte
			key, value, more = z.TagAttr()
			note(key, value)
		}
		return values
	}
	for a := (attributes{rest: t.attrs}); a.next(); {
		note(a.key, a.value)
	}
	return values
}
