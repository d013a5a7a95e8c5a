package extract

import (
	"strings"

	"golang.org/x/net/html/atom"
)

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
	if body < 0 || least*p.prose[body] < p.prose[post] { // the name misleads: the text stands elsewhere
		body = post
		hide(func(i int32) bool {
			x := &p.nodes[i]
			return !x.isText() && !isPost[i] && (x.tag == atom.Time || p.hint[i]&(hintAuthor|hintDate|hintProfile) != 0) && p.prose[i] == 0
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
