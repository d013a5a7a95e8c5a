package robots

import "strings"

// A pattern is a path prefix in which * is any run of bytes and $ at the end the end of the path.
type pattern struct {
	text   string   // as written
	parts  []string // between the wildcards; the first stands at the start
	anchor bool     // it ended in $
	length int      // in bytes, as written and escaped: the longer rule wins
}

func newPattern(text string) pattern {
	value := escape(text)
	p := pattern{text: text, length: len(value)}
	value, p.anchor = strings.CutSuffix(value, "$")
	p.parts = strings.Split(value, "*")
	return p
}

// match takes every part at its first chance, which is never worse than a later one, so time is linear.
func (p pattern) match(path string) bool {
	path, ok := strings.CutPrefix(path, p.parts[0])
	if !ok {
		return false
	}
	rest := p.parts[1:]
	if p.anchor {
		if len(rest) == 0 {
			return path == ""
		}
		last := rest[len(rest)-1]
		if path, ok = strings.CutSuffix(path, last); !ok {
			return false
		}
		rest = rest[:len(rest)-1]
	}
	for _, part := range rest {
		at := strings.Index(path, part)
		if at < 0 {
			return false
		}
		path = path[at+len(part):]
	}
	return true
}

const hexDigits = "0123456789ABCDEF"

// escape writes bytes outside ASCII as %XX, and escapes in upper case.
func escape(s string) string {
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		if c := s[i]; c < 0x80 {
			b = append(b, c)
		} else {
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return upperEscapes(string(b))
}

// upperEscapes writes %xx as %XX.
func upperEscapes(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' && isHex(b[i+1]) && isHex(b[i+2]) {
			b[i+1], b[i+2] = upper(b[i+1]), upper(b[i+2])
			i += 2
		}
	}
	return string(b)
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }

func upper(c byte) byte {
	if c >= 'a' {
		return c - 0x20
	}
	return c
}

// pathOf is path, parameters and query of a URL, which may lack its scheme; "/" if it has none. It takes the URL as it
// is: a parser would change escapes.
func pathOf(url string) string {
	url, _, _ = strings.Cut(url, "#")
	url = strings.TrimPrefix(url, "//")
	if end := strings.Index(url, "://"); end >= 0 && end < first(url) {
		url = url[end+3:]
	}
	start := first(url)
	if start == len(url) {
		return "/"
	}
	if url = url[start:]; url[0] != '/' {
		return "/" + url
	}
	return url
}

// first is where the path, the parameters or the query start.
func first(url string) int {
	if i := strings.IndexAny(url, "/?;"); i >= 0 {
		return i
	}
	return len(url)
}
