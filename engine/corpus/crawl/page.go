package crawl

import (
	"encoding/binary"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html/atom"
	"golang.org/x/net/html/charset"
)

const (
	maxLinks    = 50_000   // of a page
	minLinkText = 64 << 10 // bytes of a page's URLs, at least
	linkFactor  = 8        // and so many more for each byte of the page: a long base makes them long
	charsetSpan = 1024     // bytes in which a document may name its encoding
)

// A page is what a crawler needs of an HTML document.
type page struct {
	links     []string // references as written, in order
	lists     []string // of feeds
	canonical string
	base      string
	directives
	size  int                          // of the document
	query func(string) (string, error) // what encodes a query as the document is; nil is UTF-8
}

// directives are what a page says about itself to crawlers, in its header or a meta element.
type directives struct{ noStore, noFollow bool }

// add reads directives as in `noindex, nofollow`.
func (d *directives) add(content string) {
	for word := range strings.SplitSeq(strings.ToLower(content), ",") {
		switch strings.TrimSpace(word) {
		case "noindex", "noarchive", "noai":
			d.noStore = true
		case "nofollow":
			d.noFollow = true
		case "none":
			d.noStore, d.noFollow = true, true
		}
	}
}

// addHeader reads X-Robots-Tag, whose values may begin with the name of a crawler.
func (d *directives) addHeader(h http.Header, agent string) {
	for _, v := range h.Values("X-Robots-Tag") {
		if name, rest, ok := strings.Cut(v, ":"); ok && !strings.Contains(name, ",") {
			switch name = strings.ToLower(strings.TrimSpace(name)); {
			case name == strings.ToLower(agent):
				v = rest
			case !strings.HasPrefix(name, "unavailable_after") && !strings.HasPrefix(name, "max-"): // which are directives
				continue
			}
		}
		d.add(v)
	}
}

// parse reads the tags of a document: it builds no tree, so depth and nesting cost nothing.
func parse(body []byte, contentType, agent string) *page {
	p := &page{size: len(body)}
	scan := scanner{doc: p.decode(body, contentType)}
	for len(p.links) < maxLinks {
		t, ok := scan.next()
		if !ok {
			break
		}
		p.tag(t, agent)
	}
	return p
}

// decode gives a document in UTF-8. Its encoding is what a byte order mark, the header, or a meta element says.
func (p *page) decode(body []byte, contentType string) []byte {
	e, name, _ := charset.DetermineEncoding(body[:min(len(body), charsetSpan)], contentType)
	if name == "utf-8" || !strings.HasPrefix(name, "utf-16") && !strings.HasPrefix(name, "iso-2022") && isASCII(body) {
		return body
	}
	decoded, err := e.NewDecoder().Bytes(body)
	if err != nil { // what cannot be decoded has links in ASCII, if any
		return body
	}
	if !strings.HasPrefix(name, "utf-16") {
		p.query = e.NewEncoder().String
	}
	return decoded
}

func isASCII(b []byte) bool {
	for ; len(b) >= 8; b = b[8:] {
		if binary.LittleEndian.Uint64(b)&0x8080808080808080 != 0 {
			return false
		}
	}
	return !slices.ContainsFunc(b, func(c byte) bool { return c >= 0x80 })
}

// ref is a reference as its document means it: the path in UTF-8, the query in the encoding of the document, as browsers send
// them.
func (p *page) ref(s string) string {
	at := strings.IndexByte(s, '?')
	if p.query == nil || at < 0 || isASCII([]byte(s[at:])) {
		return s
	}
	query, _, _ := strings.Cut(s[at:], "#")
	if encoded, err := p.query(query); err == nil {
		return s[:at] + encoded
	}
	return s
}

// tag reads one tag.
func (p *page) tag(t tag, agent string) {
	switch t.atom {
	case atom.A, atom.Area, atom.Link, atom.Meta, atom.Base, atom.Iframe, atom.Frame:
	default:
		return
	}
	values := t.values()
	href, rel, content := values[attrHref], strings.ToLower(values[attrRel]), values[attrContent]
	switch t.atom {
	case atom.A, atom.Area:
		if href != "" && !hasWord(rel, "nofollow") {
			p.links = append(p.links, p.ref(href))
		}
	case atom.Iframe, atom.Frame:
		if src := values[attrSrc]; src != "" {
			p.links = append(p.links, p.ref(src))
		}
	case atom.Base:
		if p.base == "" {
			p.base = href
		}
	case atom.Link:
		p.link(href, rel, strings.ToLower(values[attrType]))
	case atom.Meta:
		if name := values[attrName]; strings.EqualFold(name, "robots") || strings.EqualFold(name, agent) {
			p.add(content)
		}
		if _, target, ok := strings.Cut(content, ";"); ok && strings.EqualFold(values[attrEquiv], "refresh") {
			if key, to, ok := strings.Cut(strings.TrimSpace(target), "="); ok && strings.EqualFold(strings.TrimSpace(key), "url") {
				p.links = append(p.links, strings.Trim(strings.TrimSpace(to), `'"`))
			}
		}
	}
}

func (p *page) link(href, rel, kind string) {
	switch {
	case href == "":
	case hasWord(rel, "canonical"):
		if p.canonical == "" {
			p.canonical = p.ref(href)
		}
	case hasWord(rel, "next"), hasWord(rel, "prev"):
		p.links = append(p.links, p.ref(href))
	case hasWord(rel, "alternate") && (strings.Contains(kind, "rss") || strings.Contains(kind, "atom")):
		p.lists = append(p.lists, p.ref(href))
	}
}

func hasWord(list, word string) bool {
	if list == "" {
		return false
	}
	for w := range strings.FieldsSeq(list) {
		if w == word {
			return true
		}
	}
	return false
}

// found are the links of a page at a URL, whose own link is from. Feeds count on the host of the page only, for they are never
// out of scope.
func (p *page) found(at *url.URL, from link, feeds bool) (links []link) {
	base := at
	if p.base != "" {
		if u, ok := Normalize(at, p.base); ok {
			base = u
		}
	}
	left := minLinkText + linkFactor*p.size
	if p.canonical != "" { // the same page, so as deep as this one
		links = appendLinks(links, base, []string{p.canonical}, link{depth: from.depth}, &left)
	}
	links = appendLinks(links, base, p.links, link{depth: from.depth + 1}, &left)
	if feeds {
		links = append(links, onHost(at.Host, appendLinks(nil, base, p.lists, link{depth: from.depth + 1, list: true}, &left))...)
	}
	return links
}

// appendLinks appends a link like the one given for each reference, relative to base, as far as left bytes of URLs go.
func appendLinks(links []link, base *url.URL, refs []string, like link, left *int) []link {
	for _, ref := range refs {
		u, ok := Normalize(base, ref)
		if !ok {
			continue
		}
		like.url = u.String()
		if *left -= len(like.url); *left < 0 {
			break
		}
		links = append(links, like)
	}
	return links
}

// onHost are those of some links that lead to a host.
func onHost(host string, links []link) []link {
	return slices.DeleteFunc(links, func(l link) bool { return split(l.url).host != host })
}
