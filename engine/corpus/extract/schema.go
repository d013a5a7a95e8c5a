package extract

import (
	"encoding/json"
	"regexp"
	"strings"

	"golang.org/x/net/html"
)

// An Item is a thing that a page describes in the vocabulary of schema.org, as JSON-LD or as microdata.
type Item struct {
	Type       string // without the address of the vocabulary
	Properties []Property
}

// A Property is a text, as Markdown writes it, or another item.
type Property struct {
	Name string
	Text string
	Item *Item // nil for a text
}

// Text is the first text of a property of any of the given names.
func (it *Item) Text(names ...string) string {
	for _, name := range names {
		for _, p := range it.Properties {
			if p.Name != name {
				continue
			}
			if p.Item != nil {
				return p.Item.Text("name", "text")
			}
			if p.Text != "" {
				return p.Text
			}
		}
	}
	return ""
}

// Items are the items of the properties of the given names.
func (it *Item) Items(names ...string) (items []*Item) {
	for _, p := range it.Properties {
		for _, name := range names {
			if p.Name == name && p.Item != nil {
				items = append(items, p.Item)
			}
		}
	}
	return items
}

// described are the properties that are read.
var described = map[string]bool{"@graph": true, "mainEntity": true, "name": true, "headline": true, "text": true, "articleBody": true, "author": true,
	"acceptedAnswer": true, "suggestedAnswer": true, "upvoteCount": true, "comment": true, "itemListElement": true, "item": true, "hasPart": true}

// Limits of the items of a page. What is beyond is left out.
const (
	maxItems     = 20_000
	maxItemDepth = 16
)

// Items reads the things that the page describes: its JSON-LD, then its microdata.
func (g *Page) Items() (items []Item) {
	r := itemReader{left: maxItems, budget: maxText, nodes: 4 * maxNodes}
	for _, s := range g.p.data {
		if len(s) > maxLinked {
			continue
		}
		var v any
		if json.Unmarshal([]byte(s), &v) != nil && json.Unmarshal([]byte(oneLineStrings(s)), &v) != nil {
			continue
		}
		for _, property := range r.values("", v, 0) {
			if property.Item != nil {
				items = append(items, *property.Item)
			}
		}
	}
	return append(items, r.microdata(g.p)...)
}

// oneLineStrings replaces control characters, which JSON forbids within strings and pages have there all the same.
func oneLineStrings(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, s)
}

// An itemReader counts what it may still read.
type itemReader struct {
	left   int // items
	budget int // bytes of text
	nodes  int // of elements whose text is read: those of properties within properties count again
}

// values makes properties of a JSON value: several of a list.
func (r *itemReader) values(name string, v any, depth int) (out []Property) {
	if depth > maxItemDepth || r.left <= 0 {
		return nil
	}
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			out = append(out, r.values(name, e, depth+1)...)
		}
	case map[string]any:
		if s, ok := v["@value"]; ok {
			return r.values(name, s, depth+1)
		}
		r.left--
		it := &Item{Type: kindName(text(v["@type"]))}
		for _, key := range []string{"@graph", "mainEntity", "hasPart", "itemListElement", "item", "name", "headline", "text", "articleBody", "author", "upvoteCount",
			"acceptedAnswer", "suggestedAnswer", "comment"} { // in this order: that of a map is none
			if e, ok := v[key]; ok {
				it.Properties = append(it.Properties, r.values(key, e, depth+1)...)
			}
		}
		out = append(out, Property{Name: name, Item: it})
	case string:
		if s := r.text(v); s != "" {
			out = append(out, Property{Name: name, Text: s})
		}
	case float64:
		b, err := json.Marshal(v)
		if err == nil {
			out = append(out, Property{Name: name, Text: string(b)})
		}
	}
	return out
}

var markupRE = regexp.MustCompile(`(?i)</?(p|br|div|a|ul|ol|li|pre|code|b|strong|em|i|h[1-6]|span|blockquote|table)(\s[^<>]*)?/?>`)

// text reads a string, which in practice is plain text, HTML, or HTML with its angle brackets escaped.
func (r *itemReader) text(s string) string {
	s = clip(s, max(r.budget, 0))
	r.budget -= len(s)
	if strings.Contains(s, "&lt;") && !strings.Contains(s, "<") {
		s = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&", "&quot;", `"`).Replace(s)
	}
	if markupRE.MatchString(s) {
		return Fragment(s)
	}
	if strings.Contains(s, "&") {
		s = html.UnescapeString(s)
	}
	return spacesRE.ReplaceAllString(plain(s), " ")
}

// spacesRE matches white space that only lays out the source of a page.
var spacesRE = regexp.MustCompile(`[ \t\x{a0}]{2,}`)

func kindName(s string) string { return s[strings.LastIndexAny(s, "/#")+1:] }

// microdata reads elements with itemtype and, within them, those with itemprop.
func (r *itemReader) microdata(p *page) []Item {
	type open struct {
		end  int32
		item *Item
	}
	var stack []open
	var top []*Item
	for i := int32(1); int(i) < len(p.nodes); i++ {
		for len(stack) > 0 && stack[len(stack)-1].end <= i {
			stack = stack[:len(stack)-1]
		}
		x := &p.nodes[i]
		if x.isText() {
			continue
		}
		kind, names := p.get(i, "itemtype"), p.get(i, "itemprop")
		if kind != "" || p.has(i, "itemscope") {
			if r.left--; r.left < 0 {
				break
			}
			it := &Item{Type: kindName(kind)}
			if len(stack) > 0 && names != "" {
				up := stack[len(stack)-1].item
				for _, name := range firstFields(names, 4) {
					if described[name] {
						up.Properties = append(up.Properties, Property{Name: name, Item: it})
						break // a thing that is there twice on each of many levels would be there without end
					}
				}
			} else if len(stack) > 0 { // an item in another without a name: forums leave it out
				up := stack[len(stack)-1].item
				up.Properties = append(up.Properties, Property{Name: "hasPart", Item: it})
			} else {
				top = append(top, it)
			}
			stack = append(stack, open{x.end, it})
			continue
		}
		if names == "" || len(stack) == 0 {
			continue
		}
		for _, name := range firstFields(names, 4) {
			if !described[name] {
				continue
			}
			s := oneLine(clip(p.get(i, "content"), 1<<16))
			if r.nodes -= int(x.end - i); s == "" && r.nodes >= 0 {
				w := &writer{max: max(r.budget, 0)}
				p.render(w, i)
				s = strings.TrimSpace(w.b.String())
				r.budget -= len(s)
			}
			up := stack[len(stack)-1].item
			up.Properties = append(up.Properties, Property{Name: name, Text: s})
		}
	}
	items := make([]Item, len(top))
	for k, it := range top {
		items[k] = *it
	}
	return items
}

func firstFields(s string, n int) []string {
	f := strings.Fields(clip(s, 200))
	return f[:min(len(f), n)]
}
