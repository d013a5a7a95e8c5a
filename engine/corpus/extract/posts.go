package extract

import (
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/net/html/atom"
)

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
