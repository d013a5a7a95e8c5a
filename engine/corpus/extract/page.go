package extract

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html/atom"
)

// minProse is the number of letters outside links from which a block reads as running text and not as a label.
const minProse = 50

// maxNameParts is the number of hyphens from which on an id is the words of a heading, such as how-do-i-share-variables, and says
// nothing about the element's purpose.
const maxNameParts = 4

// A page is a tree with what each element measures. Counts are of characters that are not white space, over the subtree.
type page struct {
	*tree
	hint  []hint
	chars []int32
	link  []int32 // within links
	prose []int32 // in blocks that read as running text
	out   []bool  // left out, with all descendants
	block []int32 // nearest block element above a text, or the element itself
	inA   []bool
	body  int32

	first   map[string]int32
	product bool // the page says that it sells something
}

func measure(t *tree) *page {
	n := len(t.nodes)
	p := &page{tree: t, hint: make([]hint, n), chars: make([]int32, n), link: make([]int32, n), prose: make([]int32, n),
		out: make([]bool, n), block: make([]int32, n), inA: make([]bool, n)}
	seen := map[string]hint{}
	for i := int32(1); int(i) < n; i++ {
		x := &t.nodes[i]
		p.inA[i] = p.inA[x.parent] || x.tag == atom.A
		p.block[i] = p.block[x.parent]
		if x.isText() {
			continue
		}
		if isBlock[x.tag] || x.tag == 0 {
			p.block[i] = i
		}
		if x.tag == atom.Body && p.body == 0 {
			p.body = i
		}
		var h hint
		for _, a := range t.attrs[x.attr : x.attr+x.attrs] {
			switch a.key {
			case "class", "id", "itemprop", "role", "data-testid":
				if a.key == "id" && strings.Count(a.val, "-") >= maxNameParts {
					continue
				}
				v, ok := seen[a.val]
				if !ok {
					v = hints(a.val)
					seen[a.val] = v
				}
				h |= v
			}
		}
		if x.name != "" {
			h |= hints(x.name)
		}
		p.hint[i] = h
	}
	p.count()
	if p.chars[p.body]*2 < p.chars[0] { // text before or after a body that ended early
		p.body = 0
	}
	return p
}

// count measures what is not left out.
func (p *page) count() {
	clear(p.chars)
	clear(p.link)
	clear(p.prose)
	own := make([]int32, len(p.nodes))     // characters outside links of a block itself, not of blocks within
	ownLink := make([]int32, len(p.nodes)) // the same within links
	for i := int32(1); int(i) < len(p.nodes); i++ {
		x := &p.nodes[i]
		if p.out[i] {
			i = x.end - 1
			continue
		}
		if !x.isText() {
			continue
		}
		c := int32(letters(x.text))
		p.chars[i] = c
		if p.inA[i] {
			p.link[i] = c
			ownLink[p.block[i]] += c
		} else {
			own[p.block[i]] += c
		}
	}
	for i := int32(len(p.nodes)) - 1; i > 0; i-- {
		if own[i] >= minProse && ownLink[i] < own[i] {
			p.prose[i] += own[i] + ownLink[i]
		}
		up := p.nodes[i].parent
		p.chars[up] += p.chars[i]
		p.link[up] += p.link[i]
		p.prose[up] += p.prose[i]
	}
}

// letters counts characters that are not white space; those of Chinese, Japanese and Korean, which say as much as several
// letters of an alphabet, count thrice.
func letters(s string) (n int) {
	for k := 0; k < len(s); k++ {
		if c := s[k]; c > ' ' && utf8.RuneStart(c) {
			n++
			if 0xe3 <= c && c <= 0xed {
				n += 2
			}
		}
	}
	return n
}

// linkShare is the part of an element's text that lies in links.
func (p *page) linkShare(i int32) float64 {
	if p.chars[i] == 0 {
		return 0
	}
	return float64(p.link[i]) / float64(p.chars[i])
}

// children calls f for each child that is not left out.
func (p *page) children(i int32, f func(c int32)) {
	for c := i + 1; c < p.nodes[i].end; c = p.nodes[c].end {
		if !p.out[c] {
			f(c)
		}
	}
}

// plain is the text of an element on one line, at most max bytes.
func (p *page) plain(i int32, max int) string {
	var b strings.Builder
	for k := i; k < p.nodes[i].end && b.Len() < max; k++ {
		if x := &p.nodes[k]; x.isText() {
			b.WriteString(x.text)
		} else if isBlock[x.tag] || x.tag == atom.Br {
			b.WriteByte(' ')
		}
	}
	return clip(oneLine(b.String()), max)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// clip cuts s to at most max bytes, between characters.
func clip(s string, max int) string {
	if len(s) <= max {
		return s
	}
	for max > 0 && !utf8.RuneStart(s[max]) {
		max--
	}
	return s[:max]
}
