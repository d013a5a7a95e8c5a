package extract

import (
	"bytes"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
)

// decode turns a page into UTF-8. A byte order mark decides, then the header, then the page's own meta element; a page
// that is valid UTF-8 beyond ASCII is UTF-8 whatever it claims, since other encodings practically never are by accident.
func decode(page []byte, contentType string) []byte {
	if b, ok := bytes.CutPrefix(page, []byte("\xef\xbb\xbf")); ok {
		return bytes.ToValidUTF8(b, []byte("\ufffd"))
	}
	mark := bytes.HasPrefix(page, []byte("\xff\xfe")) || bytes.HasPrefix(page, []byte("\xfe\xff"))
	if !mark && utf8.Valid(page) && bytes.IndexByte(page, 0x1b) < 0 {
		return page
	}
	e, name, _ := charset.DetermineEncoding(page[:min(len(page), 1024)], contentType)
	if name == "utf-8" {
		return bytes.ToValidUTF8(page, []byte("\ufffd"))
	}
	out, err := e.NewDecoder().Bytes(page)
	if err != nil {
		return bytes.ToValidUTF8(page, []byte("\ufffd"))
	}
	return out
}
