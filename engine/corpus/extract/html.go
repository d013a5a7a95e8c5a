package extract

import (
	"bytes"
	"strings"

	"golang.org/x/net/html/atom"
)

// open parses a page, reads what it says about itself, and leaves out what no kind of page has as content.
func open(raw []byte, contentType string) (*page, Result) {
	source := decode(raw, contentType)
	p := measure(parse(source))
	if p.chars[0] < 400 && bytes.Contains(source, []byte("<noscript")) { // a page for scripts, with another for readers without
		source = bytes.ReplaceAll(source, []byte("<noscript"), []byte("<x-noscript"))
		source = bytes.ReplaceAll(source, []byte("</noscript"), []byte("</x-noscript"))
		if q := measure(parse(source)); q.chars[0] > 2*p.chars[0] {
			p = q
		}
	}
	r := p.metadata()
	prose := p.prose[0]
	p.product = r.Type == Product
	p.clean()
	if prose > 1000 && p.chars[0] < 200 { // names that mislead: all is better than nothing
		clear(p.out)
		p.count()
	}
	return p, r
}

// HTML extracts a page. contentType is the header that the page came with, or empty.
func HTML(raw []byte, contentType string) Result {
	p, r := open(raw, contentType)
	w := &writer{max: maxText}
	if p.forum(w) {
		r.Type = Forum
		r.Text = strings.TrimSpace(w.b.String())
		return r
	}
	root := p.root(r.Type)
	list := r.Type != Product && p.prose[root]*4 < p.chars[root] && p.link[root]*3 > p.chars[root]
	if !list {
		p.aside(root)
		p.trim(root)
	}
	if !list {
		for _, i := range p.lede(root) {
			p.render(w, i)
		}
	}
	p.render(w, root)
	r.Text = strings.TrimSpace(w.b.String())
	if r.Type == "" || r.Type == Forum {
		r.Type = Article
		if list {
			r.Type = List
		} else if p.code(root) {
			r.Type = Documentation
		}
	}
	if r.Type != Documentation && !p.code(root) {
		r.Text = once(r.Text)
	}
	if len(r.body) > 500 && len(r.body) > 2*len(r.Text) { // a page whose scripts bring the text
		r.Text = plain(r.body)
	}
	return r
}

// code reports whether the content shows code as documentation does.
func (p *page) code(root int32) bool {
	n := 0
	for i := root; i < p.nodes[root].end; i++ {
		if p.out[i] {
			i = p.nodes[i].end - 1
		} else if t := p.nodes[i].tag; t == atom.Pre || t == atom.Code || t == atom.Kbd || t == atom.Samp {
			n++
		}
	}
	return n >= 3
}

// once leaves out lines of some length that were there before: pages repeat parts for narrow screens. A line that is repeated
// at once is meant so.
func once(text string) string {
	seen := map[string]bool{}
	var b strings.Builder
	last := ""
	for line := range strings.Lines(text) {
		if k := strings.TrimSpace(line); len(k) >= 30 {
			if seen[k] && k != last {
				continue
			}
			seen[k] = true
			last = k
		}
		b.WriteString(line)
	}
	return strings.TrimSpace(b.String())
}
