package extract

import (
	"regexp"

	"golang.org/x/net/html/atom"
)

// besideRE matches the headings of what stands below or beside a text and is about other texts, or asks the reader for something.
var besideRE = regexp.MustCompile(`(?i)^\W*(` +
	`(related|similar|recommended|trending|popular|latest|recent|featured|more|other|top) (\w+ ){0,2}(articles?|posts?|stories|story|products?|items?|news|content|reading|reads|topics?|discussions?|threads?|questions|videos?|blogs?|pages?|links|guides|resources|searches|collections)` +
	`|related|recommended( for you)?|similar threads|trending( now)?|most (read|popular|viewed)|recently viewed|read (next|more)|up next|what to read next|keep reading|continue reading` +
	`|you (may|might) (also|be) (like|interested|enjoy)|you('|’)?ll (also )?(love|like)|customers (who|also)|people also|frequently bought|also (bought|viewed)|pairs well|complete the look|more (from|like|in|on|by) ` +
	`|share (this|on|via)|follow us|subscribe|sign up|newsletter|stay (in touch|connected|up to date)|join (our|the) (newsletter|mailing|community)|get (the|our) (latest|newsletter)` +
	`|leave a (reply|comment|response)|post a comment|add (a )?(new )?comment|about the authors?$|tags?:?$|categories:?$|comments?( \(\d+\))?$|\d+ (comments|responses|thoughts on)` +
	`|(artigos|posts|produtos|notícias|conteúdos?|matérias|artículos|productos|noticias) (relacionad|recomendad|similares|mais lid|más leíd)|(veja|leia|confira) também|você também pode|mais lidas|compartilhe|deixe (um|seu) coment` +
	`|te puede interesar|también te puede|lee también|compartir|deja (un|tu) comentario|articles (similaires|liés)|à lire aussi|partager|laisser un commentaire` +
	`|(ähnliche|verwandte|empfohlene|weitere) (artikel|beiträge|produkte|themen)|das könnte|mehr (von|zum)|(jetzt |beitrag |artikel )?teilen|auch interessant|lesen sie auch|schlagw(ort|orte|örter):?$` +
	`|(schreibe?n? (sie )?einen |hinterlasse einen )?kommentare?( verfassen| schreiben| \(\d+\))?:?$|(sobre|acerca de)l? (o |el )?autora?:?$|über (den autor|die autorin):?$|à propos de l('|’)auteur` +
	`)`)

// maxBeside is the largest part of the content that such a heading takes along.
const maxBeside = 0.35

// aside leaves out, under root, what headings say is about other texts: the element that a heading begins, or what follows it up to
// the next heading of its level.
func (p *page) aside(root int32) {
	most := float64(p.chars[root]) * maxBeside
	for i := root + 1; i < p.nodes[root].end; i++ {
		x := &p.nodes[i]
		if p.out[i] {
			i = x.end - 1
			continue
		}
		if x.isText() || p.chars[i] == 0 || p.chars[i] > 50 || !isBlock[x.tag] || x.tag == atom.Td || x.tag == atom.Li {
			continue
		}
		if !besideRE.MatchString(p.plain(i, 120)) {
			continue
		}
		top := i
		for up := x.parent; up != root && up > root && p.begins(up, top) && float64(p.chars[up]) < most; up = p.nodes[up].parent {
			top = up
		}
		if top != i && p.chars[top] > p.chars[i] {
			p.out[top] = true
			i = p.nodes[top].end - 1
			continue
		}
		if !isHeading[x.tag] {
			continue
		}
		p.out[top] = true
		last, end, left := p.nodes[top].end, p.nodes[p.nodes[top].parent].end, most
		for c := last; c < end; c = p.nodes[c].end {
			if left -= float64(p.chars[c]); left < 0 || isHeading[p.nodes[c].tag] && level(p.nodes[c].tag) <= level(x.tag) {
				break
			}
			last = p.nodes[c].end
		}
		for c := p.nodes[top].end; c < last; c = p.nodes[c].end {
			if left < 0 && p.prose[c]*2 > p.chars[c] && p.linkShare(c) < 0.3 {
				break // an inset: the text goes on below it
			}
			p.out[c] = true
		}
		i = last - 1
	}
}

// level is 1 for <h1> to 6 for <h6>.
func level(heading atom.Atom) int { return int(heading.String()[1] - '0') }

// begins reports whether no text stands in an element before its part at.
func (p *page) begins(up, at int32) bool {
	for c := up + 1; c < at; c = p.nodes[c].end {
		if !p.out[c] && p.chars[c] > 0 && !p.under(at, c) {
			return false
		}
		if p.under(at, c) {
			break
		}
	}
	return true
}
