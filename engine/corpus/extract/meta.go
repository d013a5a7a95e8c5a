package extract

import (
	"encoding/json"
	"regexp"
	"strings"

	"golang.org/x/net/html/atom"
)

// metadata reads what the page says about itself: meta elements, schema.org data, and the markup of its body.
func (p *page) metadata() (r Result) {
	m := map[string]string{}
	put := func(k, v string) {
		if v = oneLine(clip(v, 2000)); v != "" && m[k] == "" {
			m[k] = v
		}
	}
	for _, i := range p.meta {
		switch p.nodes[i].tag {
		case atom.Html:
			put("lang", p.get(i, "lang"))
			put("lang", p.get(i, "xml:lang"))
		case atom.Meta:
			for _, key := range []string{"name", "property", "itemprop", "http-equiv"} {
				if k := p.get(i, key); k != "" {
					put(strings.ToLower(k), p.get(i, "content"))
				}
			}
		case atom.Link:
			if strings.EqualFold(p.get(i, "rel"), "license") {
				put("license", p.get(i, "href"))
			}
		}
	}
	d := p.linked()
	var heading, byline, date, license string
	for i := int32(1); int(i) < len(p.nodes); i++ {
		x := &p.nodes[i]
		switch {
		case x.isText():
		case x.tag == atom.H1 && heading == "":
			heading = p.plain(i, 400)
		case x.tag == atom.Time && date == "":
			date = day(p.get(i, "datetime"))
		case x.tag == atom.A:
			href, rel := p.get(i, "href"), p.get(i, "rel")
			if len(r.Links) < maxLinks && len(href) <= 4000 && href != "" && href[0] != '#' {
				r.Links = append(r.Links, href)
			}
			if license == "" && (rel == "license" || strings.Contains(href, "creativecommons.org/")) {
				license = licenseName(href)
			}
			if byline == "" && rel == "author" && p.chars[i] <= 80 {
				byline = p.plain(i, 100)
			}
		}
		if byline == "" && !x.isText() && p.get(i, "itemprop") == "author" && p.chars[i] <= 80 {
			byline = p.plain(i, 100)
		}
	}
	r.Title = first(m["og:title"], d["headline"], m["twitter:title"], m["dc.title"], p.title, heading)
	if heading != "" && strings.Contains(r.Title, heading) { // the site's name stands beside it
		r.Title = heading
	}
	r.Author = first(m["author"], m["article:author"], m["dc.creator"], d["author"], byline)
	if strings.Contains(r.Author, "://") {
		r.Author = first(d["author"], byline)
	}
	r.Date = first(day(m["article:published_time"]), day(d["datePublished"]), day(m["datepublished"]), day(m["date"]), day(m["dc.date"]),
		day(m["dc.date.issued"]), day(m["citation_publication_date"]), date)
	r.Lang = language(first(m["lang"], m["content-language"], m["og:locale"], d["inLanguage"]))
	r.License = first(licenseName(m["license"]), licenseName(d["license"]), license, licenseName(m["dc.rights"]))
	r.Type = p.declared(m, d)
	r.body = d["articleBody"]
	return r
}

// declared is the type of page that the author declares, or empty.
func (p *page) declared(m, d map[string]string) string {
	generator := strings.ToLower(m["generator"])
	for _, g := range []string{"sphinx", "docusaurus", "mkdocs", "gitbook", "rustdoc", "vitepress", "doxygen", "javadoc", "docbook",
		"asciidoctor", "antora", "mdbook", "readme.io", "nextra", "docutils", "makeinfo", "texi2html", "latex2html"} {
		if strings.Contains(generator, g) {
			return Documentation
		}
	}
	switch t := m["og:type"]; {
	case strings.HasPrefix(t, "product") || strings.HasPrefix(t, "og:product"):
		return Product
	case d["type"] != "":
		return d["type"]
	case t == "article":
		return Article
	}
	return ""
}

// Limits of metadata.
const (
	maxLinks  = 20_000
	maxLinked = 2 << 20 // bytes of one schema.org script
)

// linked reads schema.org data (JSON-LD), a few properties of the things a page is about. Values within lists and nested
// objects are walked with a stack.
func (p *page) linked() map[string]string {
	d := map[string]string{}
	for _, s := range p.data {
		if len(s) > maxLinked {
			continue
		}
		var v any
		if json.Unmarshal([]byte(s), &v) != nil {
			continue
		}
		for stack := []any{v}; len(stack) > 0; {
			v := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			switch v := v.(type) {
			case []any:
				for k := len(v) - 1; k >= 0; k-- {
					stack = append(stack, v[k])
				}
			case map[string]any:
				for _, key := range []string{"itemListElement", "mainEntity", "@graph"} {
					if c, ok := v[key]; ok {
						stack = append(stack, c)
					}
				}
				thing(v, d)
			}
		}
	}
	return d
}

func thing(v map[string]any, d map[string]string) {
	kind := text(v["@type"])
	var as string
	switch kind {
	case "Article", "NewsArticle", "BlogPosting", "Report", "ScholarlyArticle", "OpinionNewsArticle", "AnalysisNewsArticle":
		as = Article
	case "TechArticle", "APIReference":
		as = Documentation
	case "Product", "ProductGroup":
		as = Product
	case "DiscussionForumPosting", "QAPage":
		as = Forum
	case "CollectionPage":
		as = List
	case "WebPage", "CreativeWork", "Question", "Book":
	default:
		return
	}
	put := func(k, s string) {
		if s = oneLine(clip(s, 400)); s != "" && d[k] == "" {
			d[k] = s
		}
	}
	put("type", as)
	put("license", text(v["license"]))
	put("inLanguage", text(v["inLanguage"]))
	put("datePublished", text(v["datePublished"]))
	if as == Article || as == Documentation || as == Forum {
		put("headline", text(v["headline"]))
		put("author", text(v["author"]))
		if b, ok := v["articleBody"].(string); ok && d["articleBody"] == "" {
			d["articleBody"] = b
		}
	}
}

// text is a property's value as a string: of a list its first, of an object its name.
func text(v any) string {
	for range 4 {
		switch x := v.(type) {
		case string:
			return x
		case []any:
			if len(x) == 0 {
				return ""
			}
			v = x[0]
		case map[string]any:
			if v = x["name"]; v == nil {
				v = x["url"]
			}
		default:
			return ""
		}
	}
	return ""
}

func first(ss ...string) string {
	for _, s := range ss {
		if s != "" {
			return s
		}
	}
	return ""
}

var dayRE = regexp.MustCompile(`^\s*([12][0-9]{3})[-/.]([01]?[0-9])[-/.]([0-3]?[0-9])(?:[^0-9]|$)`)

// day is the date in an ISO 8601 time, as YYYY-MM-DD, or empty.
func day(s string) string {
	m := dayRE.FindStringSubmatch(clip(s, 40))
	if m == nil {
		return ""
	}
	two := func(s string) string { return ("0" + s)[len(s)-1:] }
	return m[1] + "-" + two(m[2]) + "-" + two(m[3])
}

var langRE = regexp.MustCompile(`^([A-Za-z]{2,3})(?:[-_]([A-Za-z]{4}))?(?:[-_]([A-Za-z]{2}))?(?:[-_.,; ]|$)`)

// language is a declared language as BCP 47 writes it (pt-BR), or empty.
func language(s string) string {
	m := langRE.FindStringSubmatch(strings.TrimSpace(clip(s, 40)))
	if m == nil {
		return ""
	}
	out := strings.ToLower(m[1])
	if m[2] != "" {
		out += "-" + strings.ToUpper(m[2][:1]) + strings.ToLower(m[2][1:])
	}
	if m[3] != "" {
		out += "-" + strings.ToUpper(m[3])
	}
	return out
}

var ccRE = regexp.MustCompile(`creativecommons\.org/(licenses|publicdomain)/([a-z-]+)/?([0-9.]*)`)

// licenseName is the SPDX name of a Creative Commons licence, else the hint as it stands, shortened.
func licenseName(s string) string {
	if m := ccRE.FindStringSubmatch(strings.ToLower(clip(s, 2000))); m != nil {
		version := strings.Trim(m[3], ".")
		switch {
		case m[2] == "zero":
			return "CC0-1.0"
		case m[1] == "publicdomain":
			return "public-domain"
		case version == "":
			return "CC-" + strings.ToUpper(m[2])
		}
		return "CC-" + strings.ToUpper(m[2]) + "-" + version
	}
	return oneLine(clip(s, 200))
}
