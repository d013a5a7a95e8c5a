package extract

import (
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/net/html/atom"
)

// A Page is a parsed and cleaned HTML page for packages that need its parts rather than its text. Its methods change what later
// ones see: each is to be called at most once, in the order in which they stand here. A Page is not safe for concurrent use.
type Page struct {
	Result // what the page says about itself; Text is empty

	p      *page
	root   int32
	before []int32 // characters of content before each node
	linked map[string]string
}

// Format tells a document's format, by the header, the name and the first bytes: html, epub, mbox, markdown, text, or nothing.
func Format(src Source, data []byte) string { return format(src, data) }

// Decode turns text into UTF-8.
func Decode(data []byte, contentType string) string {
	return plain(string(decode(data, contentType)))
}

// Open reads an HTML page.
func Open(raw []byte, contentType string) *Page {
	p, r := open(raw, contentType)
	return newPage(p, r)
}

// Chapters calls visit with each chapter of an EPUB until it returns false.
func Chapters(data []byte, visit func(*Page) bool) (Result, error) {
	return chapters(data, func(p *page) bool { return visit(newPage(p, Result{})) })
}

// Fragment is the text of a piece of HTML.
func Fragment(html string) string {
	p := measure(parse([]byte(html)))
	p.clean()
	w := &writer{max: maxText}
	p.render(w, 0)
	return strings.TrimSpace(w.b.String())
}

func newPage(p *page, r Result) *Page {
	g := &Page{Result: r, p: p, linked: map[string]string{}}
	// A question that unfolds its answer controls an element that is hidden until then, which is no reason to leave it out.
	controlled := map[string]bool{}
	for i := int32(1); int(i) < len(p.nodes); i++ {
		if p.nodes[i].isText() {
			continue
		}
		if id := p.get(i, "aria-controls"); id != "" && p.asks(i) {
			controlled[id] = true
		}
		if href := p.get(i, "href"); len(href) > 1 && href[0] == '#' && p.asks(i) {
			controlled[href[1:]] = true
			g.linked[href[1:]] = p.plain(i, maxHeading)
		}
	}
	again := false
	for i := int32(1); int(i) < len(p.nodes); i++ {
		if p.out[i] && (controlled[p.get(i, "id")] || unfoldedRE.MatchString(p.get(i, "class"))) {
			p.out[i] = false
			again = true
		}
	}
	if again {
		p.count()
	}
	return g
}

var unfoldedRE = regexp.MustCompile(`(?i)(accordion|collaps|toggle|faq)[\w-]*?(content|body|panel|answer|inner)`)

// asks reports whether an element's text is short and ends in a question mark.
func (p *page) asks(i int32) bool {
	return p.chars[i] < maxHeading && strings.HasSuffix(p.plain(i, maxHeading), "?")
}

// A Post is one message of a discussion.
type Post struct {
	Author, Date string
	Text         string // without quotations of the messages before
	Votes        int    // 0 also if the page shows none
	Accepted     bool   // marked as the answer
	Opening      bool   // text above the messages that are called answers or replies: the question
}

// Limits of a discussion.
const (
	maxPosts   = 5000
	maxQuotes  = 2000    // quotations that are looked up
	maxEarlier = 1 << 20 // bytes of the messages that they are looked up in
)

// Thread is the discussion that the page consists of, in order, or nothing.
func (g *Page) Thread() []Post {
	p := g.p
	d, isPost := p.thread()
	if len(d.posts) == 0 {
		return nil
	}
	var posts []Post
	var earlier strings.Builder // letters of the messages so far
	budget := maxText
	write := func(render func(w *writer)) string {
		w := &writer{max: budget}
		render(w)
		budget -= w.b.Len()
		s := strings.TrimSpace(w.b.String())
		if earlier.Len() < maxEarlier {
			earlier.WriteString(squeeze(s))
		}
		return s
	}
	if d.answers {
		if s := write(func(w *writer) { p.opening(w, d.posts[0]) }); s != "" {
			posts = append(posts, Post{Text: s, Opening: true, Author: g.Author, Date: g.Date})
		}
	}
	accepted, quotes := 0, maxQuotes
	for _, i := range d.posts[:min(len(d.posts), maxPosts)] {
		author, date, body := p.parts(i, isPost)
		p.hideQuotes(body, earlier.String(), &quotes)
		post := Post{Author: author, Date: date, Votes: p.votes(i, isPost), Accepted: p.accepted(i, isPost)}
		post.Text = write(func(w *writer) { p.renderMessage(w, body, isPost) })
		if post.Accepted {
			accepted++
		}
		if post.Text != "" && budget > 0 {
			posts = append(posts, post)
		}
	}
	if accepted*2 > len(posts) { // a name that all messages bear marks none
		for k := range posts {
			posts[k].Accepted = false
		}
	}
	return posts
}

// squeeze keeps letters and digits, in lower case: what a quotation has in common with its original however it is laid out.
func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r > 127 {
			return r
		}
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return -1
	}, s)
}

var quoteRE = regexp.MustCompile(`(?i)(^|[\s_-])(bb|bbcode|bbcodeblock--)?_?(quote|quoted|quoteheader|quotecontainer|quotetitle|quotebox|quote_?block|blockquote_head|gmail_quote|ipsquote)([\s_-]|$)`)

// hideQuotes leaves out, within a message, what it quotes: elements named so, and block quotations of earlier messages. Others,
// such as from a manual, stay. left is how many may still be looked up in the earlier messages.
func (p *page) hideQuotes(body int32, earlier string, left *int) {
	for i := body + 1; i < p.nodes[body].end; i++ {
		x := &p.nodes[i]
		if p.out[i] {
			i = x.end - 1
			continue
		}
		if x.isText() {
			continue
		}
		quote := quoteRE.MatchString(p.get(i, "class"))
		if !quote && x.tag == atom.Blockquote && *left > 0 {
			*left--
			s := squeeze(p.plain(i, 400))
			start := min(len(s), 24) // the beginning may say who is quoted
			quote = p.has(i, "cite") || len(s) >= 30 && strings.Contains(earlier, s[start:min(len(s), start+60)])
		}
		if quote && p.chars[i] < p.chars[body] {
			p.out[i] = true
			i = x.end - 1
		}
	}
}

var votesRE = regexp.MustCompile(`^([+-]?\d{1,7})( ?(points?|votes?|upvotes?|likes?|pontos?|votos?))?$`)

// votes is the number that an element of a message shows as such.
func (p *page) votes(post int32, isPost map[int32]bool) int {
	for i := post; i < p.nodes[post].end; i++ {
		if p.nodes[i].isText() {
			continue
		}
		if i > post && isPost[i] {
			i = p.nodes[i].end - 1
			continue
		}
		named := p.get(i, "itemprop") == "upvoteCount"
		if !named {
			for name := range strings.FieldsFuncSeq(strings.ToLower(clip(p.get(i, "class"), 200)), func(r rune) bool { return r == ' ' || r == '-' || r == '_' }) {
				switch name {
				case "vote", "votes", "score", "upvotes", "points", "likes":
					named = true
				}
			}
		}
		if !named {
			continue
		}
		for _, s := range []string{p.get(i, "content"), p.plain(i, 40)} {
			if m := votesRE.FindStringSubmatch(strings.ReplaceAll(s, ",", "")); m != nil {
				n, _ := strconv.Atoi(m[1]) // of at most seven digits
				return n
			}
		}
	}
	return 0
}

var acceptedRE = regexp.MustCompile(`(?i)(^|[\s_-])((js|is|has|marked|lia-message)[_-](accepted|solution|solved|best)|(accepted|best|chosen|correct)[_-]?(answer|solution|reply|response|post)|(answer|message|post|reply)[_-]+(accepted|solution|best|solved))([\s_-]|$)`)

// accepted reports whether a message is marked as the answer.
func (p *page) accepted(post int32, isPost map[int32]bool) bool {
	for i := post; i < p.nodes[post].end; i++ {
		if p.nodes[i].isText() {
			continue
		}
		if i > post && isPost[i] || p.hint[i]&hintHidden != 0 || p.hidden(i) || p.has(i, "hidden") {
			i = p.nodes[i].end - 1
			continue
		}
		if p.get(i, "itemprop") == "acceptedAnswer" || acceptedRE.MatchString(clip(p.get(i, "class"), 400)) {
			return true
		}
	}
	up := p.nodes[post].parent
	return p.get(up, "itemprop") == "acceptedAnswer"
}

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
