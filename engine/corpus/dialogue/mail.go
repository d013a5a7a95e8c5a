package dialogue

import (
	"regexp"
	"strings"

	"forja/engine/corpus/extract"
)

// maxLetters bounds the messages of a mailbox that are read.
const maxLetters = 200_000

// A letter is a message of a mailing list with its place in the thread.
type letter struct {
	extract.Letter
	parent   int // -1 of a first message
	children []int
	blocks   []block
	text     string // its own words
}

// A block is a part of a letter: what it quotes, and what it says to that.
type block struct{ quoted, said string }

// mailbox takes the threads of mailing lists: a first message that asks, with the reply that the asker thanks for or else the first
// that answers; and, from replies that answer point by point, each point with what is said to it.
func (f *finder) mailbox(data []byte) {
	var all []letter
	at := map[string]int{}
	for l := range extract.Letters(data) {
		if len(all) >= maxLetters {
			break
		}
		if l.ID != "" {
			if _, twice := at[l.ID]; twice {
				continue
			}
			at[l.ID] = len(all)
		}
		all = append(all, letter{Letter: l, parent: -1})
	}
	for k := range all {
		for _, id := range all[k].Answers {
			if up, ok := at[id]; ok && up != k {
				all[k].parent = up
				all[up].children = append(all[up].children, k)
				break
			}
		}
		answered := ""
		if up := all[k].parent; up >= 0 {
			answered = all[up].Text
		}
		all[k].blocks, all[k].text = divide(all[k].Text, all[k].Author, answered)
	}
	for k := range all {
		if len(all[k].Answers) == 0 {
			f.correspondence(all, k)
		}
		if f.Interleaved {
			f.points(all, k)
		}
	}
}

// correspondence takes the conversation that begins with a letter.
func (f *finder) correspondence(all []letter, root int) {
	q := &all[root]
	if len(q.children) == 0 {
		return
	}
	if !opens(subject(q.Subject), q.text) || len(q.blocks) > 1 {
		f.dropped[noQuestion]++
		return
	}
	ask := joinTitle(subject(q.Subject), q.text)
	best := -1
	for _, k := range q.children {
		r := &all[k]
		if len(r.blocks) > 2 || !f.answers(ask, q.Author, extract.Post{Author: r.Author, Text: r.text}) { // more blocks: points
			continue
		}
		thanked := false
		for _, c := range r.children {
			thanked = thanked || all[c].Author == q.Author && grateful(all[c].text)
		}
		if best < 0 || thanked {
			best = k
		}
		if thanked {
			break
		}
	}
	if best < 0 {
		f.dropped[noAnswer]++
		return
	}
	turns := []string{ask, all[best].text}
	for at := best; len(turns)+2 <= f.MaxTurns; {
		more := child(all, at, q.Author)
		if more < 0 || !asks(all[more].text) || len(all[more].blocks) > 2 || letters(all[more].text) < f.MinAnswer {
			break
		}
		reply := child(all, more, all[best].Author)
		if reply < 0 || len(all[reply].blocks) > 2 || !f.answers(all[more].text, q.Author, extract.Post{Author: all[reply].Author, Text: all[reply].text}) {
			break
		}
		turns = append(turns, all[more].text, all[reply].text)
		at = reply
	}
	f.keep(Mail, turns...)
}

// child is the first reply of an author to a letter, or -1.
func child(all []letter, k int, author string) int {
	for _, c := range all[k].children {
		if all[c].Author == author {
			return c
		}
	}
	return -1
}

// points takes what a reply quotes and answers point by point, where the quoted words ask and can be understood alone.
func (f *finder) points(all []letter, k int) {
	said := 0
	for _, b := range all[k].blocks {
		if b.quoted != "" && b.said != "" {
			said++
		}
	}
	if said < 2 {
		return
	}
	for _, b := range all[k].blocks {
		if b.quoted == "" || letters(b.quoted) < f.MinReply/2 || !asksAtEnd(b.quoted) || goesOnRE.MatchString(b.quoted) {
			continue
		}
		if f.answers(b.quoted, "", extract.Post{Author: all[k].Author, Text: b.said}) {
			f.keep(Mail, b.quoted, b.said)
		}
	}
}

// goesOnRE matches quotations that begin within a sentence or a thought.
var goesOnRE = regexp.MustCompile(`^(\P{L}*\p{Ll}|(But|So|Or|Which|Because|OTOH|Also|Then|Well|Hmm+|Mas|Então|Ou|Também)\b)`)

// asksAtEnd reports whether the last sentence of a text asks: what is answered below stands last.
func asksAtEnd(s string) bool {
	last := ""
	for sentence := range sentences(prose(s)) {
		last = sentence
	}
	return endsRE.MatchString(last)
}

var replyRE = regexp.MustCompile(`(?i)^((re|fw|fwd|aw|res|enc|was)(\[\d+\])?:|\[[^\]]{1,40}\])\s*`)

// subject is a subject without Re: and the list's name.
func subject(s string) string {
	for range 6 {
		n := len(s)
		if s = replyRE.ReplaceAllString(strings.TrimSpace(s), ""); len(s) == n {
			break
		}
	}
	return s
}

var (
	// Lines that mail programs add: of signed messages, headers that are quoted, who is quoted.
	quotedRE   = regexp.MustCompile(`^ {0,2}([A-Za-z]{0,3}>|[A-Z][a-z]{2,11}> |--\]|[|}:](\s|$))`)
	deeperRE   = regexp.MustCompile(`^\s*([A-Za-z]{0,3}>\s*){2,}`)
	wroteRE    = regexp.MustCompile(`(?i)\b(wrote|writes|write|said|says|typed|spake|schrieb|a écrit|escreveu|disse|escribió|quoth|mumbled|commented|ha scritto)\b.{0,60}:?\s*$|^(quoting|on|em|le|am|el|at|in (message|article)|begin forwarded)\b.{5,}:\s*$|@.{3,60}:\s*$|^>+ ?>* ?"+ ?.{1,60}==|[:>] *$`)
	originalRE = regexp.MustCompile(`(?i)^\W*(original message|mensagem original|forwarded message|begin forwarded (message|text)|ursprüngliche nachricht|message d'origine)\W*$|^_{20,}$|yahoo! groups sponsor|^-----begin pgp signature|^-{20,}$`)
	addedByRE  = regexp.MustCompile(`^(-----BEGIN PGP SIGNED MESSAGE-----|Hash: \w+|Version: .*|Comment: .*|(Date|From|To|Cc|Subject|Sent|Message-ID): .*|\[[\p{Lu}][\p{L}. -]{2,40}\])$`)
)

// divide parts a letter into blocks of quotation and what follows each. The first has no quotation if the letter begins with its own
// words. A line of some length that the answered letter has too is a quotation whatever marks it. Only what the letter quotes at first
// hand is kept of quotations. It also gives the letter's own words together.
func divide(text, author, answered string) (blocks []block, own string) {
	if len(text) > maxMessage { // no question and no answer is as long
		return nil, ""
	}
	answered = strings.Join(words(clip(answered, maxMessage/2)), " ")
	var quoted, said []string
	var names []string
	if author != "" {
		names = []string{author}
	}
	end := func() {
		b := block{quoted: unwrap(strings.Join(quoted, "\n")), said: message(unwrap(strings.Join(said, "\n")), names)}
		if strings.TrimSpace(b.quoted) != "" || b.said != "" {
			b.quoted = message(b.quoted, nil)
			blocks = append(blocks, b)
		}
		quoted, said = nil, nil
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\r\n")
		bare := strings.TrimSpace(line)
		if bare == "--" || bare == "- --" || originalRE.MatchString(bare) { // strings.Lines left "-- " without its space
			break
		}
		if addedByRE.MatchString(bare) {
			continue
		}
		copied := false
		if answered != "" && letters(line) >= minCopied {
			copied = strings.Contains(answered, strings.Join(words(line), " "))
		}
		if copied || quotedRE.MatchString(line) {
			if hasWords(said) {
				said = trailer(said)
				if hasWords(said) {
					end()
				}
			}
			said = nil
			if !deeperRE.MatchString(line) {
				quoted = append(quoted, strings.TrimPrefix(quotedRE.ReplaceAllString(line, ""), " "))
			}
			continue
		}
		said = append(said, line)
	}
	end()
	var parts []string
	for _, b := range blocks {
		if b.said != "" {
			parts = append(parts, b.said)
		}
	}
	return blocks, strings.Join(parts, "\n\n")
}

// minCopied is the length in letters from which on two letters do not have a line in common by accident.
const minCopied = 24

func hasWords(lines []string) bool {
	for _, l := range lines {
		if strings.TrimSpace(l) != "" {
			return true
		}
	}
	return false
}

// trailer is what is said without the words at its end that name who is quoted next: at most three lines, the last of which says so.
func trailer(lines []string) []string {
	n := len(lines)
	for n > 0 && strings.TrimSpace(lines[n-1]) == "" {
		n--
	}
	if n == 0 || !wroteRE.MatchString(strings.TrimSpace(lines[n-1])) {
		return lines
	}
	from := n - 1
	for from > 0 && n-from < 3 && strings.TrimSpace(lines[from-1]) != "" && startsRE.MatchString(lines[from-1]) {
		from--
	}
	return lines[:from]
}

// startsRE matches the first line of an attribution of several.
var startsRE = regexp.MustCompile(`(?i)^\s*(on|em|at|in|le|am|el|from|quoting|\w+day,?|.{3,40} \(?<?[\w.]+@)\b`)

// unwrap joins the lines of paragraphs that a mail program broke: those of nearly the same length, but for the last, that look like
// prose. Code, lists and verse stay as they are.
func unwrap(s string) string {
	var out []string
	for paragraph := range strings.SplitSeq(strings.Trim(s, "\n"), "\n\n") {
		paragraph = strings.Trim(paragraph, "\n")
		lines := strings.Split(paragraph, "\n")
		wrapped := len(lines) > 1
		for k, l := range lines {
			if l == "" || !plainStartRE.MatchString(l) || k < len(lines)-1 && (len(l) < 50 || len(l) > 100) {
				wrapped = false
				break
			}
		}
		if wrapped {
			paragraph = strings.Join(lines, " ")
		}
		out = append(out, paragraph)
	}
	return strings.Join(out, "\n\n")
}

var plainStartRE = regexp.MustCompile(`^[\p{L}\p{N}"'(]+[\p{L}\p{N}\p{P}]*(\s|$)`)
