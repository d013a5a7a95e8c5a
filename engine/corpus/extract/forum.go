package extract

import (
	"regexp"
	"strings"

	"golang.org/x/net/html/atom"
)

// A discussion is a page's messages, in order.
type discussion struct {
	posts    []int32
	covered  int32 // characters in the messages
	comments bool  // the messages are called comments or replies: they may stand below an article
	answers  bool  // what they answer, by their name, is not among them
}

// discussion finds the repeated element that holds the messages of a forum or a comment thread: the name that says message and
// whose elements, two or more, hold the most text. Elements around single messages lose to it because they hold less
// text, those around all messages because there is one of them.
func (p *page) discussion() (best discussion) {
	type group struct {
		at      []int32
		covered int32
		end     int32
	}
	groups := map[string]*group{}
	var order []string
	var keys []string
	for i := int32(1); int(i) < len(p.nodes); i++ {
		x := &p.nodes[i]
		if p.out[i] {
			i = x.end - 1
			continue
		}
		if p.hint[i]&hintPost == 0 || p.chars[i] == 0 {
			continue
		}
		switch x.tag {
		case atom.Body, atom.Html, atom.Main, atom.A, atom.Span, atom.Form, atom.P, atom.Button, atom.H1, atom.H2, atom.H3, atom.Ul:
			continue
		}
		keys = postKeys(keys[:0], p.get(i, "class"))
		keys = postKeys(keys, p.get(i, "id"))
		keys = postKeys(keys, x.name)
		for _, k := range keys {
			g := groups[k]
			if g == nil {
				if len(groups) >= 256 {
					continue
				}
				g = &group{}
				groups[k] = g
				order = append(order, k)
			}
			if n := len(g.at); n > 0 && g.at[n-1] == i {
				continue
			}
			g.at = append(g.at, i)
			if i >= g.end {
				g.covered += p.chars[i]
				g.end = x.end
			}
		}
	}
	for _, k := range order {
		g := groups[k]
		if len(g.at) < 2 || g.covered <= best.covered {
			continue
		}
		if p.teasers(g.at) {
			continue
		}
		best = discussion{posts: g.at, covered: g.covered, comments: strings.Contains(k, "comment") || strings.Contains(k, "comtr") || strings.Contains(k, "repl")}
		best.answers = best.comments || strings.Contains(k, "answer")
	}
	return best
}

// postKeys appends the names that say message, without the numbers that make them unique.
func postKeys(keys []string, names string) []string {
	for _, name := range strings.Fields(names) {
		if len(keys) >= 8 {
			break
		}
		if hints(name)&hintPost != 0 {
			keys = append(keys, strings.ToLower(strings.Trim(name, "0123456789")))
		}
	}
	return keys
}

// teasers reports whether most of the elements have a heading that is a link: entries of a list of articles.
func (p *page) teasers(at []int32) bool {
	n := 0
	for _, i := range at {
		for k := i; k < min(p.nodes[i].end, i+60); k++ {
			if t := p.nodes[k].tag; (t == atom.H1 || t == atom.H2 || t == atom.H3 || t == atom.H4) && !p.out[k] && p.link[k] >= 20 && p.leadsAway(k) {
				n++
				break
			}
		}
	}
	return 2*n > len(at)
}

// leadsAway reports whether a heading's link leads to another page, and not to a message by its anchor.
func (p *page) leadsAway(heading int32) bool {
	for k := max(heading-1, 0); k < p.nodes[heading].end; k++ {
		if p.nodes[k].tag == atom.A {
			return !strings.Contains(p.get(k, "href"), "#")
		}
	}
	return false
}

// timeRE matches when something was written: 3 May 2024, May 3, 2024, 2024-05-03, 03.05.2024, 12:30, 5 hours ago.
var timeRE = regexp.MustCompile(`(?i)\b(\d{1,2}(\.|st|nd|rd|th)? \p{L}{3,9}\.?,? \d{4}|\p{L}{3,9}\.? \d{1,2}(st|nd|rd|th)?,? \d{4}|\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|\d{1,2}:\d{2}|\d+ ?(sec|min|h|hour|day|week|month|year)\w* ago)\b`)

// signed reports whether most messages name an author or a date, in elements that are named so or, if written is true, in any:
// what sets a discussion apart from repeated parts of an article.
func (p *page) signed(posts []int32, written bool) bool {
	n := 0
	for _, post := range posts {
		if p.has(post, "data-author") || p.has(post, "author") {
			n++
			continue
		}
		for i := post + 1; i < min(p.nodes[post].end, post+400); i++ {
			if p.out[i] || p.chars[i] == 0 || p.chars[i] > 300 {
				continue
			}
			if x := &p.nodes[i]; p.hint[i]&(hintAuthor|hintDate|hintProfile) != 0 || x.tag == atom.Time || written && x.isText() && p.chars[i] < 40 && timeRE.MatchString(x.text) {
				n++
				break
			}
		}
	}
	return 2*n > len(posts)
}

// lift replaces every message by its parent, if each parent has one message alone.
func (p *page) lift(d *discussion) bool {
	up := make([]int32, len(d.posts))
	covered := int32(0)
	for k, i := range d.posts {
		up[k] = p.nodes[i].parent
		if up[k] <= p.body || k > 0 && p.nodes[up[k-1]].end > up[k] {
			return false
		}
		covered += p.chars[up[k]]
	}
	d.posts, d.covered = up, covered
	return true
}

// forum writes the messages if the page is a discussion: author, date, text, one after the other.
func (p *page) forum(w *writer) bool {
	d, isPost := p.thread()
	if len(d.posts) == 0 {
		return false
	}
	if d.answers {
		p.opening(w, d.posts[0])
	}
	for _, i := range d.posts {
		p.message(w, i, isPost)
	}
	return true
}

// thread is the discussion that the page consists of, or none, and whether a node is one of its messages.
func (p *page) thread() (discussion, map[int32]bool) {
	d := p.discussion()
	if len(d.posts) == 0 {
		return d, nil
	}
	alone := d
	for range 4 { // who wrote a message may stand beside it, in an element around both
		if p.signed(d.posts, false) || !p.lift(&d) {
			break
		}
	}
	if !p.signed(d.posts, false) {
		if d = alone; !p.signed(d.posts, true) {
			return discussion{}, nil
		}
	}
	first := d.posts[0]
	share := float64(d.covered) / float64(max(p.chars[p.body], 1))
	if d.comments && share < 0.85 && p.articleAbove(first) {
		for _, i := range d.posts { // readers' comments are not the article
			p.out[i] = true
		}
		p.count()
		return discussion{}, nil
	}
	if share < 0.5 {
		return discussion{}, nil
	}
	isPost := make(map[int32]bool, len(d.posts))
	for _, i := range d.posts {
		isPost[i] = true
	}
	return d, isPost
}

// articleAbove reports whether an article of some length stands before the first message.
func (p *page) articleAbove(first int32) bool {
	n := int32(0)
	for i := int32(1); i < first; i++ {
		if p.nodes[i].end <= first {
			if p.out[i] {
				i = p.nodes[i].end - 1
				continue
			}
			n += p.prose[i]
			i = p.nodes[i].end - 1
		}
	}
	return n > 1000
}

// opening writes the running text before the first message: the question of a thread whose answers alone are called messages.
func (p *page) opening(w *writer, first int32) {
	for i := int32(1); i < first; i++ {
		if p.nodes[i].end > first {
			continue
		}
		if !p.out[i] && p.prose[i] >= 150 && p.prose[i]*2 > p.chars[i] {
			p.render(w, i)
		}
		i = p.nodes[i].end - 1
	}
}

// message writes one message of a discussion.
func (p *page) message(w *writer, post int32, isPost map[int32]bool) {
	author, date, body := p.parts(post, isPost)
	head := author
	if date != "" {
		if head != "" {
			head += "\n"
		}
		head += date
	}
	if head != "" {
		w.newline(2)
		w.flush()
		w.b.WriteString(head)
	}
	p.renderMessage(w, body, isPost)
}

// renderMessage writes the text of a message, without the messages within.
func (p *page) renderMessage(w *writer, body int32, isPost map[int32]bool) {
	var nested []int32
	for i := body + 1; i < p.nodes[body].end; i++ {
		if isPost[i] && !p.out[i] {
			p.out[i] = true
			nested = append(nested, i)
			i = p.nodes[i].end - 1
		}
	}
	p.render(w, body)
	for _, i := range nested {
		p.out[i] = false
	}
}

// parts finds who wrote a message, when, and the element with its text.
func (p *page) parts(post int32, isPost map[int32]bool) (author, date string, body int32) {
	body, weight := int32(-1), int32(0)
	end := p.nodes[post].end
	var strong bool
	profile := int32(-1)
	for i := post + 1; i < end; i++ {
		x := &p.nodes[i]
		if p.out[i] || isPost[i] {
			i = x.end - 1
			continue
		}
		if x.isText() {
			continue
		}
		h := p.hint[i]
		if (h&hintQuote != 0 && x.tag != atom.Span || x.tag == atom.Blockquote) && p.chars[i]*10 < 9*p.chars[post] && p.repeats(i) {
			p.out[i] = true
			i = x.end - 1
			continue
		}
		if h&hintSignature != 0 && p.chars[i]*2 < p.chars[post] {
			p.out[i] = true
			i = x.end - 1
			continue
		}
		if author == "" && h&hintAuthor != 0 && h&hintBody == 0 && p.chars[i] > 0 && p.chars[i] <= 40 {
			author = p.plain(i, 80)
		}
		if profile < 0 && h&(hintAuthor|hintProfile) != 0 && h&hintBody == 0 && p.chars[i] > 0 {
			profile = i
		}
		if date == "" && (x.tag == atom.Time || h&hintDate != 0) && p.chars[i] > 0 && p.chars[i] <= 40 {
			date = p.plain(i, 80)
		}
		if h&hintBody != 0 && h&hintProfile == 0 && p.chars[i] > 0 {
			s := p.strongBody(i)
			c := p.chars[i]
			if s && !strong || s == strong && (c > weight || body >= 0 && p.under(i, body) && 10*int64(c) >= 8*int64(weight)) {
				body, weight, strong = i, c, s
			}
		}
	}
	if a := p.get(post, "data-author"); a != "" {
		author = oneLine(a)
	} else if a := p.get(post, "author"); a != "" {
		author = oneLine(a)
	}
	if author == "" && profile >= 0 { // the name is the first link of what tells about the author
		for i := profile; i < p.nodes[profile].end; i++ {
			if p.nodes[i].tag == atom.A && p.chars[i] > 0 && p.chars[i] <= 40 && !p.out[i] {
				author = p.plain(i, 80)
				break
			}
		}
	}
	hide := func(f func(i int32) bool) {
		for i := post + 1; i < end; i++ {
			if p.out[i] {
				i = p.nodes[i].end - 1
			} else if f(i) {
				p.out[i] = true
				i = p.nodes[i].end - 1
			}
		}
	}
	least := int32(2)
	if strong {
		least = 5
	}
	if body < 0 || least*p.prose[body] < p.prose[post] && !p.holds(post, isPost) { // the name misleads: the text stands elsewhere
		body = post
		hide(func(i int32) bool {
			x := &p.nodes[i]
			return !x.isText() && !isPost[i] && (p.hint[i]&(hintAuthor|hintDate|hintProfile) != 0 && p.prose[i] == 0)
		})
	}
	return author, date, body
}

// minSaid is the fewest letters of a text by which it is known again.
const minSaid = 25

// repeats reports whether most of what an element says was said on the page before it.
func (p *page) repeats(i int32) bool {
	old, all := 0, 0
	for k := i; k < p.nodes[i].end; k++ {
		if x := &p.nodes[k]; x.isText() && p.chars[k] >= minSaid {
			all++
			if at, ok := p.said()[oneLine(x.text)]; ok && at < i {
				old++
			}
		}
	}
	return 2*old >= all
}

// said are the texts of the page of some length, each with its first place.
func (p *page) said() map[string]int32 {
	if p.first == nil {
		p.first = map[string]int32{}
		for k := range p.nodes {
			if x := &p.nodes[k]; x.isText() && p.chars[k] >= minSaid {
				s := oneLine(x.text)
				if _, ok := p.first[s]; !ok {
					p.first[s] = int32(k)
				}
			}
		}
	}
	return p.first
}

// holds reports whether a message holds others.
func (p *page) holds(post int32, isPost map[int32]bool) bool {
	for i := post + 1; i < p.nodes[post].end; i++ {
		if isPost[i] && !p.out[i] {
			return true
		}
	}
	return false
}

var bodyNames = []string{"bbwrapper", "cooked", "postbody", "post_body", "post-body", "messagebody", "message-body", "commtext", "usertext",
	"postcontent", "post_content", "post-content", "messagecontent", "message-content", "post_message", "postmessage", "commentbody",
	"comment-body", "comment_body", "commentcontent", "comment-content", "commenttext", "comment-text", "entry-content", "s-prose", "post_text", "posttext",
	"richtext", "reply-content", "articlebody", "itemprop-text", "post__content", "comment__content", "message__content"}

// strongBody reports whether an element is by its name the text of a message and nothing else.
func (p *page) strongBody(i int32) bool {
	if v := p.get(i, "itemprop"); v == "text" || v == "articleBody" {
		return true
	}
	names := strings.ToLower(p.get(i, "class") + " " + p.get(i, "id"))
	for _, n := range bodyNames {
		if strings.Contains(names, n) {
			return true
		}
	}
	return false
}
