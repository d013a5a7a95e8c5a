package dialogue

import (
	"regexp"
	"strings"

	"forja/engine/corpus/extract"
)

// A section is a heading with what stands below, whether of HTML or of Markdown.
type section struct {
	level  int
	text   string
	link   bool // the heading leads to another page: a list of questions, without the answers
	answer func(ends func(next int) bool) string
}

// sections finds the questions among the headings of a page, with the text below. faq says that the page calls itself one.
func (f *finder) sections(p *extract.Page, faq bool) {
	if faqRE.MatchString(p.Title) {
		faq = true
	}
	headings := p.Headings()
	all := make([]section, len(headings))
	for k, h := range headings {
		all[k] = section{h.Level, h.Text, h.Link, func(ends func(int) bool) string { return p.Below(headings, k, ends) }}
	}
	f.questions(all, faq)
}

// questions pairs headings that ask with the text up to the next heading of the same rank or above, or to the next that asks. Other
// headings below a question are parts of its answer.
func (f *finder) questions(all []section, faq bool) {
	texts := make([]string, len(all))
	ask := make([]bool, len(all))
	find := func() (n int) {
		for k, s := range all {
			if texts[k], ask[k] = question(s.text, faq); ask[k] {
				n++
			}
			if s.level <= 2 && faqRE.MatchString(s.text) {
				faq = true
			}
		}
		return n
	}
	before := faq
	n := find()
	named := faq
	if n >= 3 && n*2 >= len(all) { // most headings ask: an FAQ by any name
		faq = true
	}
	if faq && !before {
		find()
	}
	if f.Statements && named { // where only most headings ask, the others are an article's
		f.statements(all, texts, ask)
	}
	for k, s := range all {
		if !ask[k] || s.link {
			continue
		}
		answer := s.answer(func(next int) bool { return all[next].level <= s.level || ask[next] })
		answer = answerMarkRE.ReplaceAllString(strings.TrimSpace(answer), "")
		if answer == "" {
			f.dropped[noAnswer]++
			continue
		}
		f.keep(FAQ, texts[k], tidyAnswer(indented(answer)))
	}
}

// answerMarkRE matches what says that an answer begins.
var answerMarkRE = regexp.MustCompile(`^(- )?(\*\*)?(A|R|Ans(wer)?|Resposta|Answer|Respuesta)(\*\*)?[.:](\*\*)?\s+`)

// leftoverRE matches lines of pages around an answer.
var leftoverRE = regexp.MustCompile(`(?im)^\W*((back|go|return) to (the )?(top|contents|index)( of (the )?page)?|top( of page)?|(prev(ious)?|next|up|home|contents?|index|anterior|próximo|topo|voltar( ao topo)?)([ |]+(prev(ious)?|next|up|home|contents?|index|anterior|próximo|topo))*|permalink|edit this page|show (more|less)|read more|share)\W*$`)

func tidyAnswer(s string) string {
	s = leftoverRE.ReplaceAllString(s, "")
	for strings.Contains(s, "\n\n\n") {
		s = strings.ReplaceAll(s, "\n\n\n", "\n\n")
	}
	return strings.TrimSpace(s)
}

// statements marks headings of an FAQ that do not ask as questions if they stand where questions do: most entries of their rank
// ask, and they are longer than a title.
func (f *finder) statements(all []section, texts []string, ask []bool) {
	var of, asking [16]int
	for k, s := range all {
		of[s.level&15]++
		if ask[k] {
			asking[s.level&15]++
		}
	}
	for k, s := range all {
		if !ask[k] && asking[s.level&15] >= 3 && asking[s.level&15]*2 > of[s.level&15] && statement(texts[k]) {
			ask[k] = true
		}
	}
}
