package extract

import (
	"strings"

	"golang.org/x/net/html/atom"
)

// root finds the element that holds the content: from the body down, as long as one child has most of the running text.
func (p *page) root(kind string) int32 {
	at := p.body
	weight := p.prose
	if p.prose[at] < 500 {
		weight = p.chars
	}
	total := weight[at]
	for i := at; i < p.nodes[at].end; i++ { // what the author calls main
		if p.out[i] {
			i = p.nodes[i].end - 1
			continue
		}
		share := float64(weight[i]) / float64(max(total, 1))
		switch tag := p.nodes[i].tag; {
		case share <= 0.5:
			i = p.nodes[i].end - 1
		case tag == atom.Main, tag == atom.Article, p.get(i, "role") == "main", p.get(i, "itemprop") == "articleBody",
			share > 0.7 && kind == Article && p.articleBody(i):
			at = i
		}
	}
	total = weight[at]
	for {
		next := int32(-1)
		p.children(at, func(c int32) {
			if float64(weight[c]) >= float64(total)*0.7 && !isPart[p.nodes[c].tag] {
				next = c
			}
		})
		if next < 0 || p.nodes[next].isText() || p.parallel(at, next) {
			return at
		}
		at = next
	}
}

// isPart holds elements that are parts of a text and never the whole.
var isPart = set(atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.P, atom.Pre)

// articleBody reports whether an element is by its name the text of an article.
func (p *page) articleBody(i int32) bool {
	names := strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(clip(p.get(i, "class")+" "+p.get(i, "id"), 400)))
	for _, n := range []string{"articlebody", "entrycontent", "postcontent", "articlecontent", "articletext", "storybody", "postbody"} {
		if strings.Contains(names, n) {
			return true
		}
	}
	return false
}

// parallel reports whether running text stands beside the child that has most of it, in elements of the same make: sections of one text.
func (p *page) parallel(at, child int32) (yes bool) {
	x := &p.nodes[child]
	class := p.get(child, "class")
	p.children(at, func(c int32) {
		if p.nodes[c].tag == atom.P && p.prose[c] > 100 && p.link[c]*3 < p.chars[c] {
			yes = true
		}
		if c != child && p.nodes[c].tag == x.tag && p.prose[c] > 0 && (x.tag == atom.Section || class != "" && p.get(c, "class") == class) {
			yes = true
		}
	})
	return yes
}

// trim leaves out, under root, the blocks that are mostly links.
func (p *page) trim(root int32) {
	inFlow := p.flow(root)
	for i := root + 1; i < p.nodes[root].end; i++ {
		x := &p.nodes[i]
		if p.out[i] {
			i = x.end - 1
			continue
		}
		if inFlow[i] {
			continue
		}
		switch x.tag {
		case atom.Ul, atom.Ol, atom.Div, atom.Section, atom.P, atom.Table, atom.Form, atom.Figure:
		default:
			continue
		}
		if p.chars[i] > 0 && p.linkShare(i) > 0.75 && float64(p.prose[i]) < 0.5*float64(p.chars[i]) {
			p.out[i] = true
			i = x.end - 1
		}
	}
}

// near is how many blocks may stand between a block of links and the running text before and after it.
const near = 3

// flow marks the blocks that running text of the same parent precedes and follows closely: a list of links within an
// article, not one beside it.
func (p *page) flow(root int32) []bool {
	mark := make([]bool, len(p.nodes))
	waiting := map[int32][]int32{} // by parent: the blocks since its last one of running text; no entry before the first
	for i := root + 1; i < p.nodes[root].end; i++ {
		x := &p.nodes[i]
		if p.out[i] {
			i = x.end - 1
			continue
		}
		if x.isText() || p.chars[i] == 0 || !isBlock[x.tag] {
			continue
		}
		since, ok := waiting[x.parent]
		switch {
		case p.prose[i]*2 > p.chars[i]:
			if len(since) <= near {
				for _, j := range since {
					mark[j] = true
				}
			}
			waiting[x.parent] = since[:0]
		case ok && len(since) <= near:
			waiting[x.parent] = append(since, i)
		}
	}
	return mark
}
