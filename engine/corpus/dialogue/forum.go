package dialogue

import (
	"regexp"
	"strings"

	"forja/engine/corpus/extract"
)

// titleOf is a page's title without the name of its site.
func titleOf(p *extract.Page) string {
	title := p.Title
	for _, mark := range []string{" | ", " :: ", " — ", " – ", " - ", " • ", " · "} {
		if k := strings.LastIndex(title, mark); k >= 15 {
			title = title[:k]
		}
	}
	for _, tag := range []string{"[solved]", "[resolved]", "[resolvido]", "(solved)", "solved:", "re:", "topic:", "question:", "question -"} {
		if rest, ok := cutPrefixFold(title, tag); ok {
			title = strings.TrimSpace(rest)
		}
	}
	return title
}

// thread takes a forum's thread: the first message, if it asks, and the message that answers it. That is the one that is marked, or
// has most votes, or that the asker thanks for, or else the first of substance, by another author, near the question, about the
// same things, and no question itself. Where asker and answerer go on alone, so does the conversation.
func (f *finder) thread(title string, posts []extract.Post) {
	posts = merge(posts)
	if len(posts) == 0 || len(posts) == 1 && endsRE.MatchString(title) {
		return
	}
	var names []string
	for _, p := range posts {
		if len(names) < 200 && len(p.Author) >= 2 {
			names = append(names, p.Author)
		}
	}
	for k := range posts {
		posts[k].Text = message(indented(posts[k].Text), names)
	}
	asker := posts[0].Author
	ask, rest := joinTitle(title, withoutTitle(title, posts[0].Text)), posts[1:]
	asked := opens(title, posts[0].Text)
	if posts[0].Opening { // above replies may stand an article, whose questions are nobody's to answer
		asked = opens(title, "") || helpRE.MatchString(prose(posts[0].Text))
	}
	if !asked || gatheringRE.MatchString(title) {
		f.dropped[noQuestion]++
		return
	}
	if len(ask) > f.MaxQuestion {
		f.dropped[longQuestion]++
		return
	}
	at, marked := f.answer(ask, asker, rest)
	if at < 0 {
		f.dropped[noAnswer]++
		return
	}
	turns := []string{ask, rest[at].Text}
	if !marked || at == 0 {
		turns = append(turns, f.goesOn(rest, at, asker)...)
	}
	f.keep(Forum, turns...)
}

// gatheringRE matches the titles of threads where people meet.
var gatheringRE = regexp.MustCompile(`(?i)\b(official|mega|daily|weekly|monthly|general|discussion|introduc\w+|chat|match|off.?topic)[ -]?(thread|discussion)|introduce yourself|apresente-se|tópico oficial`)

// merge joins messages in a row of the same author.
func merge(posts []extract.Post) (out []extract.Post) {
	for _, p := range posts {
		if n := len(out); n > 0 && p.Author != "" && p.Author == out[n-1].Author && !p.Accepted && !out[n-1].Accepted && p.Votes == 0 && out[n-1].Votes == 0 {
			out[n-1].Text += "\n\n" + p.Text
			continue
		}
		out = append(out, p)
	}
	return out
}

// withoutTitle is a text without the title as its first line.
func withoutTitle(title, text string) string {
	if rest, ok := cutPrefixFold(text, title); ok && strings.HasPrefix(rest, "\n") {
		return title + "\n\n" + strings.TrimSpace(rest)
	}
	return text
}

// answer finds the reply that answers, or -1, and reports whether somebody marked it.
func (f *finder) answer(ask, asker string, replies []extract.Post) (at int, marked bool) {
	best, most := -1, 0
	for k, p := range replies {
		if p.Author != "" && p.Author == asker && !p.Accepted || letters(p.Text) < f.MinAnswer || len(p.Text) > f.MaxAnswer || saysNothing(p.Text) {
			continue
		}
		if p.Accepted {
			return k, true
		}
		if p.Votes > most {
			best, most = k, p.Votes
		}
	}
	if most >= f.MinVotes && best >= 0 && !asksBack(replies[best].Text) {
		return best, true
	}
	for k := 1; k < len(replies); k++ { // thanks come right after what helped
		if asker != "" && replies[k].Author == asker && grateful(replies[k].Text) && f.answers(ask, asker, replies[k-1]) {
			return k - 1, false
		}
	}
	others := 0
	for k, p := range replies {
		if asker == "" || p.Author == "" { // the asker may be the one who speaks
			break
		}
		if p.Author == asker {
			continue
		}
		if f.answers(ask, asker, p) {
			return k, false
		}
		if others++; others > f.MaxBefore {
			break
		}
	}
	return -1, false
}

// answers reports whether an unmarked reply has what an answer has.
func (f *finder) answers(ask, asker string, p extract.Post) bool {
	return len(p.Text) <= f.MaxAnswer && (p.Author == "" || p.Author != asker) && letters(prose(p.Text)) >= f.MinReply && !saysNothing(p.Text) && !onlyLinks(p.Text) && !asksBack(p.Text) && !besideRE.MatchString(p.Text) && !helpless(p.Text) &&
		shared(ask, p.Text) >= f.MinShared
}

// goesOn are the turns after an answer while nobody else speaks: the asker asks on, the same author answers.
func (f *finder) goesOn(replies []extract.Post, at int, asker string) (turns []string) {
	answerer := replies[at].Author
	if asker == "" || answerer == "" {
		return nil
	}
	for k := at + 1; k+1 < len(replies) && len(turns)+4 <= f.MaxTurns; k += 2 {
		more, reply := replies[k], replies[k+1]
		if more.Author != asker || reply.Author != answerer || !asks(more.Text) || letters(more.Text) < f.MinAnswer ||
			letters(reply.Text) < f.MinAnswer || saysNothing(reply.Text) || onlyLinks(reply.Text) || asksBack(reply.Text) {
			break
		}
		turns = append(turns, more.Text, reply.Text)
	}
	return turns
}
