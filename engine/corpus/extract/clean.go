package extract

import (
	"strings"

	"golang.org/x/net/html/atom"
)

// never holds elements without readable text.
var never = set(atom.Select, atom.Input, atom.Textarea, atom.Object, atom.Canvas, atom.Noscript, atom.Template, atom.Datalist,
	atom.Option, atom.Audio, atom.Video, atom.Map, atom.Head, atom.Meter, atom.Progress)

// clean leaves out what no kind of page has as content: navigation, forms, banners, sharing, hidden parts. A part that holds a
// large share of the page's running text stays whatever its name.
func (p *page) clean() {
	total := p.prose[0]
	for i := int32(1); int(i) < len(p.nodes); i++ {
		x := &p.nodes[i]
		if x.isText() {
			continue
		}
		if p.chrome(i, total) {
			p.out[i] = true
			i = x.end - 1
		}
	}
	p.count()
}

func (p *page) chrome(i, total int32) bool {
	x := &p.nodes[i]
	if never[x.tag] {
		return x.tag != atom.Head || p.chars[i]*4 < p.chars[0]
	}
	if x.tag == atom.Body || x.tag == atom.Html || x.tag == atom.Main || i == 0 || isHeading[x.tag] {
		return false
	}
	share := 0.0
	if total > 0 {
		share = float64(p.prose[i]) / float64(total)
	}
	if total < 500 { // hardly any running text: all text counts
		share = float64(p.chars[i]) / float64(max(p.chars[0], 1))
	}
	size := float64(p.chars[i]) / float64(max(p.chars[0], 1))
	if (p.has(i, "hidden") || p.hidden(i)) && !strings.HasPrefix(p.get(i, "id"), "S:") { // S: marks what React streams late
		return share < 0.3
	}
	switch p.get(i, "role") {
	case "navigation", "banner", "contentinfo", "search", "menu", "menubar", "toolbar", "dialog", "alertdialog", "tablist", "complementary":
		return share < 0.3
	case "main", "article":
		return false
	}
	switch x.tag {
	case atom.A:
		if p.mark(i) {
			return true
		}
	case atom.Figcaption:
		return p.chars[i] < 250
	case atom.Nav, atom.Dialog:
		return share < 0.3
	case atom.Footer:
		return share < 0.2 && p.hint[i]&hintPost == 0 // WordPress names a comment's author in its footer
	case atom.Aside:
		return share < 0.25
	case atom.Form:
		return share < 0.05 && size < 0.1 && p.fillable(i)
	case atom.Button:
		return !isHeading[p.nodes[x.parent].tag]
	case atom.Label:
		return p.chars[i] < 40
	case atom.Article, atom.P, atom.Pre, atom.Code, atom.Table, atom.Td, atom.Tr, atom.Tbody, atom.Strong, atom.B, atom.Em, atom.I:
		return false
	}
	h := p.hint[i]
	switch {
	case h&hintHidden != 0 && p.prose[i] == 0:
		return true
	case p.product && h&hintReview != 0:
		return size < 0.9
	case h&hintCaption != 0 && p.chars[i] < 250:
		return true
	case h&hintChrome != 0:
		return share < 0.2 && size < 0.5
	}
	return false
}

var isHeading = set(atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6)

// mark reports whether a link is the sign behind a heading or a definition that only points back to it, as those of Sphinx are.
func (p *page) mark(i int32) bool {
	up := p.nodes[i].parent
	if p.chars[i] > 2 || !strings.Contains(p.get(i, "href"), "#") || !isHeading[p.nodes[up].tag] && p.nodes[up].tag != atom.Dt {
		return false
	}
	var b strings.Builder
	for k := i; k < p.nodes[i].end; k++ {
		b.WriteString(strings.TrimSpace(p.nodes[k].text))
	}
	switch b.String() {
	case "¶", "#", "§", "🔗", "⚓", "\uf0c1": // the last is Font Awesome's chain
		return true
	}
	return false
}

// fillable reports whether a form has a field to write into.
func (p *page) fillable(form int32) bool {
	for k := form; k < p.nodes[form].end; k++ {
		if p.nodes[k].tag == atom.Input {
			switch p.get(k, "type") {
			case "", "text", "email", "search", "tel", "password", "url":
				return true
			}
		}
	}
	return false
}

// hidden reports whether an element's own style hides it.
func (p *page) hidden(i int32) bool {
	s := p.get(i, "style")
	if s == "" {
		return false
	}
	s = strings.ReplaceAll(strings.ToLower(clip(s, 400)), " ", "")
	return strings.Contains(s, "display:none") || strings.Contains(s, "visibility:hidden")
}
