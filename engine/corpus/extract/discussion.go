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
