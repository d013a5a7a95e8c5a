package extract

import (
	"regexp"
	"strings"
)

// A Page is a parsed and cleaned HTML page for packages that need its parts rather than its text. Its methods change what later
// ones see: each is to be called at most once, in the order in which they stand here. A Page is not safe for concurrent use.
type Page struct {
	Result // what the page says about itself; Text is empty

	p      *page
	root   int32
	before []int32 // characters of content before each node
	linked map[string]string
}

// Format tells a document's format, by the header, the name and the first bytes: html, epub, mbox, markdown, text, or nothing.
func Format(src Source, data []byte) string { return format(src, data) }

// Decode turns text into UTF-8.
func Decode(data []byte, contentType string) string {
	return plain(string(decode(data, contentType)))
}

// Open reads an HTML page.
func Open(raw []byte, contentType string) *Page {
	p, r := open(raw, contentType)
	return newPage(p, r)
}

// Chapters calls visit with each chapter of an EPUB until it returns false.
func Chapters(data []byte, visit func(*Page) bool) (Result, error) {
	return chapters(data, func(p *page) bool { return visit(newPage(p, Result{})) })
}

// Fragment is the text of a piece of HTML.
func Fragment(html string) string {
	p := measure(parse([]byte(html)))
	p.clean()
	w := &writer{max: maxText}
	p.render(w, 0)
	return strings.TrimSpace(w.b.String())
}

func newPage(p *page, r Result) *Page {
	g := &Page{Result: r, p: p, linked: map[string]string{}}
	// A question that unfolds its answer controls an element that is hidden until then, which is no reason to leave it out.
	controlled := map[string]bool{}
	for i := int32(1); int(i) < len(p.nodes); i++ {
		if p.nodes[i].isText() {
			continue
		}
		if id := p.get(i, "aria-controls"); id != "" && p.asks(i) {
			controlled[id] = true
		}
		if href := p.get(i, "href"); len(href) > 1 && href[0] == '#' && p.asks(i) {
			controlled[href[1:]] = true
			g.linked[href[1:]] = p.plain(i, maxHeading)
		}
	}
	again := false
	for i := int32(1); int(i) < len(p.nodes); i++ {
		if p.out[i] && (controlled[p.get(i, "id")] || unfoldedRE.MatchString(p.get(i, "class"))) {
			p.out[i] = false
			again = true
		}
	}
	if again {
		p.count()
	}
	return g
}

var unfoldedRE = regexp.MustCompile(`(?i)(accordion|collaps|toggle|faq)[\w-]*?(content|body|panel|answer|inner)`)

// asks reports whether an element's text is short and ends in a question mark.
func (p *page) asks(i int32) bool {
	return p.chars[i] < maxHeading && strings.HasSuffix(p.plain(i, maxHeading), "?")
}
