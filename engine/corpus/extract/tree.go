package extract

import (
	"bytes"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Limits of a parsed page. What lies beyond them is left out, never an error: a page that hits them is hostile or broken.
const (
	maxDepth = 256     // open elements; deeper ones become children of the deepest
	maxNodes = 1 << 20 // elements and texts of a page
	maxToken = 8 << 20 // bytes of one tag, text, or comment
)

// A node is an element, or a text where tag is 0 and name is empty. Nodes lie in document order, so the descendants of node i
// are exactly the nodes i+1 ... end-1, a parent comes before its children, and no walk needs recursion.
type node struct {
	tag    atom.Atom
	name   string // of an element that is not in the HTML vocabulary
	text   string
	parent int32
	end    int32 // one past the last descendant
	attr   int32 // first attribute in tree.attrs
	attrs  int32 // number of attributes
}

func (n *node) isText() bool { return n.tag == 0 && n.name == "" }

type attr struct{ key, val string }

// A tree is a parsed page. Node 0 is a root without a tag.
type tree struct {
	nodes []node
	attrs []attr
	meta  []int32 // <meta>, <link>, <html>, <base>: elements that carry metadata only
	data  []string
	title string
}

func (t *tree) get(i int32, key string) string {
	n := &t.nodes[i]
	for _, a := range t.attrs[n.attr : n.attr+n.attrs] {
		if a.key == key {
			return a.val
		}
	}
	return ""
}

func (t *tree) has(i int32, key string) bool {
	n := &t.nodes[i]
	for _, a := range t.attrs[n.attr : n.attr+n.attrs] {
		if a.key == key {
			return true
		}
	}
	return false
}

// under reports whether i lies in the subtree of root, or is root.
func (t *tree) under(i, root int32) bool { return i >= root && i < t.nodes[root].end }

// keptAttrs are the attributes that some rule reads.
var keptAttrs = map[string]string{}

func init() {
	for _, k := range []string{"id", "class", "role", "itemprop", "itemscope", "itemtype", "hidden", "style", "href", "rel", "datetime",
		"lang", "xml:lang", "content", "name", "property", "http-equiv", "title", "data-author", "author", "alt", "data-username",
		"aria-label", "aria-controls", "slot", "type", "data-testid", "src", "start", "colspan"} {
		keptAttrs[k] = k
	}
}

// A builder makes a tree of tokens. It knows HTML's implied end tags and scopes, but not its repair of misnested formatting
// or of text between table rows: the words and their order are the same without.
type builder struct {
	tree
	open     []int32
	overflow int // start tags that the depth limit left out
	openP    int
}

// parse reads UTF-8 HTML.
func parse(page []byte) *tree {
	b := &builder{}
	b.nodes = make([]node, 1, 1024)
	b.attrs = make([]attr, 0, 1024)
	b.open = append(b.open, 0)
	b.read(page)
	for i := range b.open {
		b.nodes[b.open[i]].end = int32(len(b.nodes))
	}
	return &b.tree
}

func (b *builder) read(page []byte) {
	z := html.NewTokenizer(bytes.NewReader(page))
	z.SetMaxBuf(maxToken)
	var skip atom.Atom // inside an element whose content is left out
	inSVG := false
	for len(b.nodes) < maxNodes {
		switch z.Next() {
		case html.ErrorToken:
			return
		case html.TextToken:
			if skip != 0 {
				switch {
				case skip == atom.Title && b.title == "" && !inSVG:
					b.title = oneLine(string(z.Text()))
				case skip == atom.Script && len(b.data) < 64:
					b.data = append(b.data, string(z.Raw()))
				}
			} else if !inSVG {
				if raw := z.Text(); len(raw) > 0 {
					b.nodes = append(b.nodes, node{text: string(raw), parent: b.top(), end: int32(len(b.nodes) + 1)})
				}
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			tag := atom.Lookup(name)
			if inSVG {
				if inSVG = !breaksOut[tag]; inSVG {
					z.NextIsNotRawText() // <title/> is an empty element there
					continue
				}
			}
			switch tag {
			case atom.Svg:
				inSVG = true
				continue
			case atom.Script:
				skip = 0
				for more {
					var k, v []byte
					if k, v, more = z.TagAttr(); string(k) == "type" && string(v) == "application/ld+json" {
						skip = atom.Script
					}
				}
				if skip == 0 {
					skip = atom.Style
				}
				continue
			case atom.Style, atom.Title, atom.Textarea, atom.Iframe, atom.Noembed, atom.Noframes, atom.Noscript, atom.Xmp:
				skip = tag
				continue
			}
			b.start(z, tag, name, more)
		case html.EndTagToken:
			name, _ := z.TagName()
			tag := atom.Lookup(name)
			switch {
			case inSVG:
				inSVG = tag != atom.Svg
			case skip != 0:
				skip = 0
			default:
				b.endTag(tag, name)
			}
		}
	}
}

func (b *builder) top() int32 { return b.open[len(b.open)-1] }

func (b *builder) start(z *html.Tokenizer, tag atom.Atom, name []byte, more bool) {
	switch tag {
	case atom.Li:
		b.closeUp(isLi, listScope)
	case atom.Dd, atom.Dt:
		b.closeUp(isDef, defScope)
	case atom.Tr:
		b.closeUp(isRow, tableScope)
	case atom.Td, atom.Th:
		b.closeUp(isCell, rowScope)
	case atom.Tbody, atom.Thead, atom.Tfoot:
		b.closeUp(isRowGroup, tableScope)
	case atom.A:
		b.closeUp(isA, anyScope)
	case atom.Option, atom.Optgroup:
		b.closeUp(isOption, selectScope)
	case atom.Body:
		b.closeUp(isHead, anyScope)
	}
	if b.openP > 0 && isBlock[tag] && tag != atom.Li && tag != atom.Td && tag != atom.Th && tag != atom.Tr {
		b.closeUp(isP, anyScope)
	}
	n := node{tag: tag, parent: b.top(), attr: int32(len(b.attrs))}
	if tag == 0 {
		n.name = string(name)
	}
	for more {
		var k, v []byte
		k, v, more = z.TagAttr()
		if key, ok := keptAttrs[string(k)]; ok && len(b.attrs)-int(n.attr) < 32 {
			b.attrs = append(b.attrs, attr{key, string(v)})
		}
	}
	n.attrs = int32(len(b.attrs)) - n.attr
	i := int32(len(b.nodes))
	n.end = i + 1
	switch tag {
	case atom.Meta, atom.Link, atom.Html, atom.Base:
		b.meta = append(b.meta, i)
	}
	b.nodes = append(b.nodes, n)
	switch {
	case void[tag]:
	case (tag == atom.Html || tag == atom.Body || tag == atom.Head) && len(b.open) > 2:
		// a second <html> or <body>
	case len(b.open) >= maxDepth:
		b.overflow++
	default:
		b.open = append(b.open, i)
		if tag == atom.P {
			b.openP++
		}
	}
}

// closeUp closes the nearest open element of the wanted kind, and all within it, unless a scope element lies between.
func (b *builder) closeUp(want, scope map[atom.Atom]bool) {
	for k := len(b.open) - 1; k > 0; k-- {
		tag := b.nodes[b.open[k]].tag
		if want[tag] {
			b.pop(k)
			return
		}
		if scope[tag] {
			return
		}
	}
}

func (b *builder) pop(k int) {
	for j := len(b.open) - 1; j >= k; j-- {
		i := b.open[j]
		b.nodes[i].end = int32(len(b.nodes))
		if b.nodes[i].tag == atom.P {
			b.openP--
		}
	}
	b.open = b.open[:k]
}

func (b *builder) endTag(tag atom.Atom, name []byte) {
	if b.overflow > 0 && !void[tag] {
		b.overflow--
		return
	}
	if void[tag] || tag == atom.Html || tag == atom.Body {
		return
	}
	inTable := tag == atom.Table || tag == atom.Tr || tag == atom.Td || tag == atom.Th || tag == atom.Tbody || tag == atom.Thead || tag == atom.Tfoot
	inline := !isBlock[tag] && tag != 0 && tag != atom.Head
	for k := len(b.open) - 1; k > 0; k-- {
		n := &b.nodes[b.open[k]]
		if n.tag == tag && (tag != 0 || n.name == string(name)) {
			b.pop(k)
			return
		}
		if !inTable && (n.tag == atom.Td || n.tag == atom.Th || n.tag == atom.Table) {
			return
		}
		if inTable && tag != atom.Table && n.tag == atom.Table {
			return
		}
		if inline && tag != atom.A && isBlock[n.tag] {
			return // a stray end of formatting does not end blocks
		}
	}
}

func set(tags ...atom.Atom) map[atom.Atom]bool {
	m := make(map[atom.Atom]bool, len(tags))
	for _, t := range tags {
		m[t] = true
	}
	return m
}

var (
	void = set(atom.Area, atom.Base, atom.Br, atom.Col, atom.Embed, atom.Hr, atom.Img, atom.Input, atom.Link, atom.Meta, atom.Param,
		atom.Source, atom.Track, atom.Wbr)
	isBlock = set(atom.Address, atom.Article, atom.Aside, atom.Blockquote, atom.Body, atom.Center, atom.Details, atom.Dialog, atom.Dd,
		atom.Div, atom.Dl, atom.Dt, atom.Fieldset, atom.Figcaption, atom.Figure, atom.Footer, atom.Form, atom.H1, atom.H2, atom.H3,
		atom.H4, atom.H5, atom.H6, atom.Header, atom.Hgroup, atom.Hr, atom.Html, atom.Li, atom.Main, atom.Menu, atom.Nav, atom.Ol,
		atom.P, atom.Pre, atom.Section, atom.Summary, atom.Table, atom.Tbody, atom.Td, atom.Tfoot, atom.Th, atom.Thead, atom.Tr,
		atom.Ul, atom.Caption, atom.Legend)
	breaksOut = set(atom.Body, atom.Div, atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Ul, atom.Ol, atom.Dl,
		atom.Li, atom.Table, atom.Section, atom.Article, atom.Main, atom.Footer, atom.Nav, atom.Pre, atom.Blockquote, atom.Img)
	isLi        = set(atom.Li)
	isDef       = set(atom.Dd, atom.Dt)
	isRow       = set(atom.Tr)
	isCell      = set(atom.Td, atom.Th)
	isRowGroup  = set(atom.Tbody, atom.Thead, atom.Tfoot)
	isA         = set(atom.A)
	isP         = set(atom.P)
	isOption    = set(atom.Option)
	isHead      = set(atom.Head)
	listScope   = set(atom.Ul, atom.Ol, atom.Menu, atom.Table, atom.Td, atom.Th, atom.Section, atom.Article)
	defScope    = set(atom.Dl, atom.Table, atom.Td, atom.Th)
	tableScope  = set(atom.Table)
	rowScope    = set(atom.Tr, atom.Table)
	selectScope = set(atom.Select)
	anyScope    = set(atom.Table, atom.Td, atom.Th, atom.Caption, atom.Button, atom.Object)
)
