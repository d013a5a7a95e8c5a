package crawl

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

const (
	maxLinks = 10_000  // of a page
	maxToken = 1 << 20 // bytes of one tag, which the parser holds in memory
)

// A page is what a crawler needs of an HTML document.
type page struct {
	links     []string // references as written, in order
	lists     []string // of feeds
	canonical string
	base      string
	directives
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
			name = strings.ToLower(strings.TrimSpace(name))
			if strings.HasPrefix(name, "unavailable_after") || strings.HasPrefix(name, "max-") {
				continue
			}
			if name != strings.ToLower(agent) {
				continue
			}
			v = rest
		}
		d.add(v)
	}
}

// parse reads a document as a stream of tags: it builds no tree, so depth and nesting cost nothing.
func parse(body []byte, agent string) *page {
	p := &page{}
	z := html.NewTokenizer(bytes.NewReader(body))
	z.SetMaxBuf(maxToken)
	for len(p.links) < maxLinks {
		switch z.Next() {
		case html.ErrorToken:
			return p
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			if more {
				p.tag(atom.Lookup(name), z, agent)
			}
		}
	}
	return p
}

// tag reads one tag with attributes.
func (p *page) tag(tag atom.Atom, z *html.Tokenizer, agent string) {
	switch tag {
	case atom.A, atom.Area, atom.Link, atom.Meta, atom.Base, atom.Iframe, atom.Frame:
	default:
		return
	}
	var href, src, rel, kind, name, content, equiv string
	for range 64 { // attributes; nobody means more
		key, value, more := z.TagAttr()
		switch string(key) {
		case "href":
			href = string(value)
		case "src":
			src = string(value)
		case "rel":
			rel = strings.ToLower(string(value))
		case "type":
			kind = strings.ToLower(string(value))
		case "name":
			name = strings.ToLower(string(value))
		case "content":
			content = string(value)
		case "http-equiv":
			equiv = strings.ToLower(string(value))
		}
		if !more {
			break
		}
	}
	switch tag {
	case atom.A, atom.Area:
		if href != "" && !hasWord(rel, "nofollow") {
			p.links = append(p.links, href)
		}
	case atom.Iframe, atom.Frame:
		if src != "" {
			p.links = append(p.links, src)
		}
	case atom.Base:
		if p.base == "" {
			p.base = href
		}
	case atom.Link:
		p.link(href, rel, kind)
	case atom.Meta:
		if name == "robots" || name == strings.ToLower(agent) {
			p.add(content)
		}
		if _, target, ok := strings.Cut(content, ";"); ok && equiv == "refresh" {
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
			p.canonical = href
		}
	case hasWord(rel, "next"), hasWord(rel, "prev"):
		p.links = append(p.links, href)
	case hasWord(rel, "alternate") && (strings.Contains(kind, "rss") || strings.Contains(kind, "atom")):
		p.lists = append(p.lists, href)
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

// baseURL is what the page's references are relative to.
func (p *page) baseURL(at *url.URL) *url.URL {
	if p.base != "" {
		if u, ok := Normalize(at, p.base); ok {
			return u
		}
	}
	return at
}
