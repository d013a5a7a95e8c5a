package extract

import (
	"regexp"
	"strings"

	"golang.org/x/net/html/atom"
)

// A Heading is what may stand above a part of the content.
type Heading struct {
	Level int // 1 to 6 as in HTML; then Term, and Bold
	Text  string
	Link  bool // to another page

	begin, end int32 // of the heading
	until      int32 // end of the innermost element that has text after it
}

// Ranks below those of HTML's headings.
const (
	Term = 7 // of a definition list, what unfolds a part, or what a question in the table of contents leads to
	Bold = 8 // a question in bold type that begins a block
)

const (
	maxHeading  = 300 // characters
	maxHeadings = 20_000
)

var unfoldingRE = regexp.MustCompile(`(?i)(accordion|collaps|toggle|expand|faq)[\w-]*?(title|head|button|btn|trigger|label|question|toggle|control|link)|(^|[\s_-])question([\s_-]|$)`)

// Headings finds the headings of the content.
func (g *Page) Headings() []Heading {
	p := g.p
	g.root = p.root(g.Type)
	p.aside(g.root)
	p.trim(g.root)
	g.before = make([]int32, len(p.nodes)+1)
	skip := int32(0)
	for i := range p.nodes {
		g.before[i+1] = g.before[i]
		if p.out[i] {
			skip = max(skip, p.nodes[i].end)
		}
		if int32(i) >= skip && p.nodes[i].isText() {
			g.before[i+1] += int32(letters(p.nodes[i].text))
		}
	}
	var all []Heading
	for i := g.root + 1; i < p.nodes[g.root].end && len(all) < maxHeadings; i++ {
		x := &p.nodes[i]
		if p.out[i] && x.tag != atom.Button && !p.has(i, "aria-controls") {
			i = x.end - 1
			continue
		}
		if x.isText() || x.tag == atom.Body {
			continue
		}
		level := p.headingLevel(i)
		if level == 0 {
			if id := p.get(i, "id") + p.get(i, "name"); id != "" && g.linked[id] != "" {
				if b := p.same(i, g.linked[id]); b >= 0 {
					i, x, level = b, &p.nodes[b], Term
				}
			}
		}
		if level == 0 || level == Bold && !p.asks(i) {
			continue
		}
		text := p.headingText(i)
		if text == "" || len(text) > maxHeading {
			continue
		}
		h := Heading{Level: level, Text: text, Link: p.link[i]*2 > p.chars[i] && p.leadsAway(i), begin: i, end: x.end, until: p.nodes[g.root].end}
		for up := x.parent; up > g.root; up = p.nodes[up].parent {
			if g.before[p.nodes[up].end]-g.before[h.end] >= 20 {
				h.until = p.nodes[up].end
				break
			}
		}
		all = append(all, h)
		i = x.end - 1
	}
	return all
}

// headingLevel is the rank of an element as a heading, 0 if it is none.
func (p *page) headingLevel(i int32) int {
	x := &p.nodes[i]
	switch {
	case isHeading[x.tag]:
		return level(x.tag)
	case x.tag == atom.Dt, x.tag == atom.Summary:
		return Term
	case x.tag == atom.B, x.tag == atom.Strong:
		if b := p.block[x.parent]; p.begins(b, i) {
			return Bold
		}
	case p.chars[i] < maxHeading && (p.has(i, "aria-controls") || unfoldingRE.MatchString(clip(p.get(i, "class"), 400))):
		for k := i + 1; k < x.end; k++ {
			if isHeading[p.nodes[k].tag] {
				return 0
			}
		}
		return Term
	}
	return 0
}

// same finds the element with exactly the given text that holds an anchor or follows it. A real heading there is found without.
func (p *page) same(anchor int32, want string) int32 {
	want = squeeze(want)
	for _, i := range []int32{anchor, p.block[anchor], p.nodes[anchor].end} {
		for k := i; k > 0 && int(k) < len(p.nodes) && k < i+4; k++ {
			if isHeading[p.nodes[k].tag] {
				return -1
			}
			if !p.nodes[k].isText() && p.chars[k] < maxHeading && strings.HasSuffix(want, squeeze(p.plain(k, 2*maxHeading))) && p.chars[k] > 0 {
				return k
			}
		}
	}
	return -1
}

// headingText is a heading without the mark that links to it.
func (p *page) headingText(i int32) string {
	var b strings.Builder
	for k := i; k < p.nodes[i].end && b.Len() <= 2*maxHeading; k++ {
		x := &p.nodes[k]
		if p.out[k] && k > i || x.tag == atom.A && p.chars[k] <= 1 {
			k = x.end - 1
		} else if x.isText() {
			b.WriteString(x.text)
		} else if isBlock[x.tag] || x.tag == atom.Br {
			b.WriteByte(' ')
		}
	}
	return strings.TrimSpace(strings.Trim(oneLine(b.String()), "¶#§"))
}

// Below is the text after heading k of those that Headings gave, up to the next of which ends says so, and not beyond the element
// that the heading titles.
func (g *Page) Below(headings []Heading, k int, ends func(next int) bool) string {
	h := headings[k]
	to := h.until
	for next := k + 1; next < len(headings) && headings[next].begin < to; next++ {
		if ends(next) {
			to = headings[next].begin
		}
	}
	w := &writer{max: maxBelow}
	g.p.renderRange(w, h.end, to)
	return strings.TrimSpace(w.b.String())
}

// maxBelow bounds the text below a heading: no answer is as long.
const maxBelow = 1 << 16
