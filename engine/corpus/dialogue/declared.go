package dialogue

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"forja/engine/corpus/extract"
)

// A declaration is what a page says of itself in schema.org's vocabulary.
type declaration struct {
	taken int            // questions
	asks  bool           // whether it is a page of one question
	title string         // of a posting with comments
	posts []extract.Post // and its messages
}

// declared takes the questions that a page declares.
func (f *finder) declared(items []extract.Item) (d declaration) {
	var visit func(it *extract.Item, inFAQ bool, depth int)
	visit = func(it *extract.Item, inFAQ bool, depth int) {
		if depth > 32 {
			return
		}
		switch it.Type {
		case "Question":
			if f.declaredQuestion(it, inFAQ) {
				d.taken++
			}
			return // the questions within answers are none of the page's
		case "DiscussionForumPosting", "SocialMediaPosting":
			if all := declaredThread(it); len(all) > len(d.posts) {
				d.title, d.posts = it.Text("headline", "name"), all
			}
			return
		case "QAPage":
			d.asks = true
		case "FAQPage":
			inFAQ = true
		}
		for k := range it.Properties {
			if in := it.Properties[k].Item; in != nil {
				visit(in, inFAQ, depth+1)
			}
		}
	}
	for k := range items {
		visit(&items[k], false, 0)
	}
	return d
}

// declaredQuestion takes a question with its accepted answer, or else the one with most votes, the first of equals. In an FAQ the
// name is the question; where readers ask, the name is a title and the text may say more.
func (f *finder) declaredQuestion(q *extract.Item, inFAQ bool) bool {
	title, text := oneParagraph(q.Text("name", "headline")), q.Text("text", "articleBody")
	ask := title
	if inFAQ && title == "" {
		ask = text
	}
	answers := q.Items("acceptedAnswer")
	if len(answers) == 0 {
		answers = q.Items("suggestedAnswer")
		slices.SortStableFunc(answers, func(a, b *extract.Item) int { return cmp.Compare(votes(b), votes(a)) })
		if len(answers) > 0 && !inFAQ && votes(answers[0]) < f.MinVotes {
			f.dropped[noAnswer]++
			return false
		}
	}
	if title == "" && text == "" || len(answers) == 0 {
		f.dropped[noAnswer]++
		return false
	}
	answer := answers[0].Text("text", "articleBody", "name")
	if !inFAQ {
		names := []string{q.Text("author"), answers[0].Text("author")}
		ask, answer = joinTitle(title, message(indented(text), names)), message(indented(answer), names)
	} else {
		ask, _ = question(ask, true)
		answer = tidyAnswer(indented(answerMarkRE.ReplaceAllString(answer, "")))
	}
	if cutOffRE.MatchString(answer) { // data for search engines are often the beginning only
		f.dropped[cutOff]++
		return false
	}
	if !inFAQ && !asks(ask) && !strictRE.MatchString(ask) {
		f.dropped[noQuestion]++
		return false
	}
	return f.keep(Declared, ask, answer)
}

var cutOffRE = regexp.MustCompile(`(?i)(…|\.\.\.)\W*((read|more|mehr|weiter|leia|ler|ver|leer|continue|lire)\b[^.!?]{0,25})?$`)

func votes(it *extract.Item) int {
	n, _ := strconv.Atoi(strings.TrimSpace(it.Text("upvoteCount"))) // what is no number is none
	return n
}

// declaredThread are the messages of a posting and its comments.
func declaredThread(it *extract.Item) []extract.Post {
	// Data often has the first words of a message only.
	posts := []extract.Post{{Author: it.Text("author"), Text: it.Text("text", "articleBody")}}
	for _, c := range it.Items("comment") {
		posts = append(posts, extract.Post{Author: c.Text("author"), Text: c.Text("text", "articleBody"), Votes: votes(c)})
	}
	return slices.DeleteFunc(posts, func(p extract.Post) bool { return p.Text == "" || cutOffRE.MatchString(p.Text) })
}

func oneParagraph(s string) string { return strings.Join(strings.Fields(s), " ") }

// joinTitle puts a title above a text that does not say it.
func joinTitle(title, text string) string {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return title
	case title == "" || strings.Contains(strings.Join(words(text), " "), strings.Join(words(title), " ")):
		return text
	}
	return title + "\n\n" + text
}
