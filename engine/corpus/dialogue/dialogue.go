// Package dialogue finds questions with their answers in web pages, books and mailboxes, as conversations to train an assistant
// with: in what pages declare of themselves (schema.org), in FAQs and documentation whose headings ask, in forum threads, and in
// mailing lists.
//
// The web says "question" in many ways and "answer" in none that can be trusted, so every source has its own rules for who
// answers whom, and one set of rules then judges all: length, language, and answers that are none. A pair that is doubtful
// is left out, for a model learns an assistant's manners from few conversations, and bad ones are worse than none.
//
// Deliberately absent: a learned judge, rules for single sites, rewriting by a model, and decontamination, which is filter's.
package dialogue

import (
	"fmt"
	"slices"
	"strings"

	"forja/engine/corpus/extract"
	"forja/engine/corpus/filter"
	"forja/engine/corpus/lang"
	"forja/engine/data/chat"
)

// Kinds of sources.
const (
	Declared = "qa"    // what a page declares: schema.org's questions with answers
	FAQ      = "faq"   // headings that ask, with the text below
	Forum    = "forum" // threads
	Mail     = "mail"  // mailing lists
)

// A Conversation begins with a question, ends with an answer, and is a line of the data sets that instruction tuning reads.
type Conversation struct {
	Messages []chat.Message `json:"messages"`
	ID       string         `json:"id,omitempty"` // of the document
	URL      string         `json:"url,omitempty"`
	Type     string         `json:"type"` // one of the kinds above
	License  string         `json:"license,omitempty"`
	Lang     string         `json:"lang,omitempty"`
	Source   string         `json:"source,omitempty"`
}

// A Drop is how many questions were left out for a reason.
type Drop struct {
	Reason    string `json:"reason"`
	Questions int    `json:"questions"`
}

// Found is what a document gave.
type Found struct {
	Conversations []Conversation
	Dropped       []Drop // by reason, in the order of reasons
}

// maxConversations bounds what is taken from one document.
const maxConversations = 50_000

// Read finds the conversations of a document of any format that extract knows.
func Read(c Config, src extract.Source, data []byte) (Found, error) {
	if len(data) > extract.MaxInput {
		return Found{}, fmt.Errorf("%d bytes or more: a document may have %d", len(data), extract.MaxInput)
	}
	f := &finder{Config: c, asked: map[string]bool{}, dropped: map[string]int{}, url: src.URL}
	switch extract.Format(src, data) {
	case "html":
		f.page(extract.Open(data, src.ContentType))
	case "epub":
		book, err := extract.Chapters(data, func(p *extract.Page) bool {
			f.sections(p)
			return len(f.found) < maxConversations
		})
		if err != nil {
			return Found{}, err
		}
		for k := range f.found {
			f.found[k].License = book.License
		}
	case "mbox":
		f.mailbox(data)
	case "markdown":
		f.markdown(extract.Decode(data, src.ContentType), true)
	case "text":
		f.markdown(extract.Decode(data, src.ContentType), false)
	default:
		return Found{}, extract.ErrFormat
	}
	out := Found{Conversations: f.found}
	for _, reason := range reasons {
		if n := f.dropped[reason]; n > 0 {
			out.Dropped = append(out.Dropped, Drop{reason, n})
		}
	}
	return out, nil
}

// A finder collects the conversations of one document.
type finder struct {
	Config
	url     string
	license string
	asked   map[string]bool // questions there are already: pages say them in the table of contents, for narrow screens, and in data
	found   []Conversation
	dropped map[string]int
}

// page finds the conversations of an HTML page. What it declares comes first, since nothing has to be guessed there.
func (f *finder) page(p *extract.Page) {
	f.license = p.License
	d := f.declared(p.Items())
	if d.asks && d.taken > 0 {
		return // the same thread stands below, in the page's own markup
	}
	title, posts := titleOf(p), p.Thread()
	if len(posts) < 2 && len(d.posts) > 1 { // the markup shows a thread better, if it can be read: data often has its first messages only
		title, posts = d.title, d.posts
	}
	switch {
	case len(posts) > 0:
		f.thread(title, posts)
	case !d.asks: // below the question of such a page stands what was no answer
		f.sections(p)
	}
}

// keep takes a conversation if nothing speaks against it. Messages are question, answer, question, and so on.
func (f *finder) keep(kind string, turns ...string) bool {
	if len(f.found) >= maxConversations {
		return false
	}
	c := Conversation{Type: kind, URL: f.url, License: f.license}
	reason := f.judge(turns, &c.Lang)
	if reason != "" {
		f.dropped[reason]++
		return false
	}
	key := strings.Join(words(turns[0]), " ") // the question without what differs between its appearances
	if f.asked[key] {
		return false
	}
	f.asked[key] = true
	for k, s := range turns {
		role := chat.User
		if k%2 == 1 {
			role = chat.Assistant
		}
		if f.Redact {
			s, _ = filter.Redact(s)
		}
		c.Messages = append(c.Messages, chat.Message{Role: role, Content: s})
	}
	f.found = append(f.found, c)
	return true
}

// judge says why a conversation is not fit, or "", and tells its language.
func (f *finder) judge(turns []string, language *string) string {
	for k, s := range turns {
		n := letters(s)
		question := k%2 == 0
		switch {
		case question && n < f.MinQuestion:
			return shortQuestion
		case question && len(s) > f.MaxQuestion:
			return longQuestion
		case !question && n < f.MinAnswer:
			return shortAnswer
		case !question && len(s) > f.MaxAnswer:
			return longAnswer
		case !question && saysNothing(s):
			return emptyAnswer
		case !question && onlyLinks(s):
			return linkAnswer
		}
	}
	// Of most short questions the language cannot be told: they pass.
	question, answer := lang.Default().Detect(prose(turns[0])), lang.Default().Detect(prose(turns[1]))
	if question.Score >= f.MinLanguage && answer.Score >= f.MinLanguage && question.Lang != answer.Lang {
		return otherLanguage
	}
	all := lang.Default().Detect(prose(strings.Join(turns, "\n\n")))
	if all.Score >= f.MinLanguage {
		*language = all.Lang
	}
	if len(f.Languages) > 0 && !slices.Contains(f.Languages, *language) {
		return unwantedLanguage
	}
	return ""
}
