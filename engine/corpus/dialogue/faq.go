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

// sections finds the questions among the headings of a page, with the text below.
func (f *finder) sections(p *extract.Page) {
	headings := p.Headings()
	all := make([]section, len(headings))
	for k, h := range headings {
		all[k] = section{h.Level, h.Text, h.Link, func(ends func(int) bool) string { return indented(p.Below(headings, k, ends)) }}
	}
	f.questions(all, faqRE.MatchString(p.Title))
}

// questions pairs headings that ask with the text up to the next heading of the same rank or above, or to the next that asks. Other
// headings below a question are parts of its answer. named says that all of it is an FAQ by its title: there more
// headings are questions.
func (f *finder) questions(all []section, named bool) {
	texts := make([]string, len(all))
	ask := make([]bool, len(all))
	for _, s := range all {
		named = named || s.level == 1 && faqRE.MatchString(s.text)
	}
	for k, s := range all {
		texts[k], ask[k] = question(s.text, named)
	}
	if f.Statements && named {
		f.statements(all, texts, ask)
	}
	type pair struct{ question, answer string }
	var pairs []pair
	talk := 0
	for k, s := range all {
		if !ask[k] || s.link || !named && wordCount(texts[k]) < 3 || faqRE.MatchString(texts[k]) {
			continue
		}
		answer := s.answer(func(next int) bool { return all[next].level <= s.level || ask[next] })
		answer = tidyAnswer(answerMarkRE.ReplaceAllString(strings.TrimSpace(answer), ""))
		switch {
		case answer == "":
			f.dropped[noAnswer]++
		case !named && interviews(texts[k], answer):
			f.dropped[interview]++
			talk++
		default:
			pairs = append(pairs, pair{texts[k], answer})
		}
	}
	if talk >= 2 && talk*5 >= talk+len(pairs) { // the rest of a talk
		f.dropped[interview] += len(pairs)
		return
	}
	for _, p := range pairs {
		f.keep(FAQ, p.question, p.answer)
	}
}

// answerMarkRE matches what says that an answer begins.
var answerMarkRE = regexp.MustCompile(`^(- )?(\*\*)?(A|R|Ans(wer)?|Resposta|Answer|Respuesta)(\*\*)?[.:](\*\*)?\s+`)

// leftoverRE matches lines of pages around an answer.
var leftoverRE = regexp.MustCompile(`(?im)^\W*((back|go|return) to (the )?(top|contents|index)( of (the )?page)?|top( of page)?|(prev(ious)?|next|up|home|contents?|index|anterior|próximo|topo|voltar( ao topo)?)([ |]+(prev(ious)?|next|up|home|contents?|index|anterior|próximo|topo))*|permalink|edit this page|zurück (zum|nach|zur) .{1,30}|(also read|read also|leia também|veja também|lesen sie auch): .{1,150}|show (more|less)|read more|share)\W*$`)

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
