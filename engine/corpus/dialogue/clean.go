package dialogue

import (
	"regexp"
	"strings"
	"unicode"
)

var (
	// A greeting, alone or before the text, to at most four words of name.
	greetingRE = regexp.MustCompile(`(?i)^(hi|hiya|hello|hey|howdy|greetings|dear|good (morning|day|afternoon|evening)|g'day|hi there|hello there|welcome|olá|ola|oi|bom dia|boa tarde|boa noite|caros?|prezados?|pessoal|galera|hola|hallo|bonjour)( +(there|all|everyone|everybody|guys|folks|list|forum|again|a todos|pessoal|gente|galera|[@\p{Lu}][\p{L}\p{N}_.'-]*)){0,4} *([,!.:–—]+|-+\s|\n|$)\s*`)

	// Polite words that end a message.
	closingRE = regexp.MustCompile(`(?i)^(kind |best |warm |with |many )*(regards|wishes|cheers|thanks|thank you|thx|ty|tia|sincerely|yours( truly)?|hth|hope (this|that|it) helps?|bye|peace|atenciosamente|att|abraços?|abs|grato|grata|obrigad[oa]s?|valeu|saludos|gracias|best|later)\b[^.?]{0,40}[.,!?)~*: -]*$`)

	mentionRE = regexp.MustCompile(`^(@[\p{L}\p{N}_.\-]{2,40}[,:]?\s+)+`)

	// Lines that forums and mail programs add to messages.
	addedRE = regexp.MustCompile(`(?i)^(click to (expand|enlarge)\.*|sent from (my|mail|yahoo|outlook)\b.{0,60}|enviado (do|de) meu.{0,60}|(last )?edited (by|on|at)\b.{0,80}|last edited.{0,80}|this (post|message|thread) (was|has been) (edited|last|modified|moved|deleted).{0,80}|.{1,60}\b(said|wrote|disse|escreveu|a dit|schrieb)( *↑| on .{0,60})?:?\s*[:↑]|originally posted by\b.{0,80}|quote:?|reply|like|report|share|attachments?:?|(view|see) (original|attachment).{0,40}|jump to (bottom|top)|code:?( select all)?|#\d+|\d+ (likes?|replies|points?|upvotes?)|spoiler:?.{0,30}|solution(:| accepted)?|best answer|accepted answer)$`)

	saysNothingRE = regexp.MustCompile(`(?i)^\W*(thanks?|thank you|thx|ty\b|cheers|obrigad|valeu|same (here|problem|issue|question|thing|boat)|me too|\+ ?1|bump|up\b|following|subscrib|i (also )?(have|had|got|am having|'m having) (the |this )?(exact )?(same|similar)|i('d| would) (also )?(like|love) to know|any(one|body| updates?| news| luck| solution| ideas)\b|did you (ever )?(find|solve|figure|get|manage)|never ?mind|solved|resolved|fixed|resolvido|welcome to|great (question|post|answer|thread)|good (question|luck|point)|congrat|lol|haha|\[?(deleted|removed|apagado|removido)|this (post|comment|message|answer|thread|question) (has been|was|is|may) (deleted|removed|hidden|closed|flagged|moved|now)|deleted by|see above|as above|no comment|moved to|closing this|please (see|read|use) the (faq|search|rules|forum))`)
	thanksRE      = regexp.MustCompile(`(?i)\b(thanks|thank you|thx|worked|works (now|fine|great|perfectly)|solved|fixed (it|that|the)|that (did|was) (it|the)|obrigad[oa]|funcionou|resolvido|resolveu|valeu)\b`)
)

// besideRE matches how replies begin that agree, chat, tell of the same trouble, or own that they do not know.
var besideRE = regexp.MustCompile(`(?i)^\W*(i have (the |a |had )?(similar|same)|i('m| am) (also|having|seeing|in the same)|i (also|too) (have|had|am|get|see)|(same|similar) (here|thing|problem|issue|as|thoughts)|i (totally |completely |fully |strongly )?agree|agreed|ditto|exactly|indeed|this[.!]|totally|lol|haha|nice|wow|interesting|awesome|cool|great (post|question|thread|idea|topic|stuff)|good (question|point|idea|luck)|me too|no (idea|clue)|(sorry,? )?i (don't|do not|dunno|have no|wouldn't) (know|idea|clue)|not sure|thanks|thank you|ahh?\b|hmm+|tbh|yeah,? (same|me too|i have)|concordo|também (tenho|estou|acho)|mesmo problema|não (sei|faço ideia)|obrigad)`)

// helplessRE matches short replies of those who cannot help, or for whom all is well.
var helplessRE = regexp.MustCompile(`(?i)\b(can('t|not) (really |actually )?help|no (idea|clue)\b|(don't|do not) (really )?know (how|why|about|what|if|whether)|(haven't|never|don't think i've|not) (ever )?tried|works? (fine |well |ok |great |perfectly )?(for me|here)\b|(can't|cannot|couldn't) reproduce|didn't give any|never had (this|that|any)|não (sei|faço ideia)|nunca (tentei|usei))`)

// helpless reports whether a reply is of somebody who cannot help.
func helpless(s string) bool { return letters(s) < 300 && helplessRE.MatchString(s) }

// saysNothing reports whether an answer is thanks, agreement, a notice of deletion, or the like. A long text may begin so and go on
// to say something.
func saysNothing(s string) bool { return letters(s) < 160 && saysNothingRE.MatchString(s) }

// onlyLinks reports whether hardly anything is said beside addresses.
func onlyLinks(s string) bool {
	return addressRE.MatchString(s) && letters(addressRE.ReplaceAllString(s, "")) < 60
}

// grateful reports whether the asker's reply says that the message before it helped.
func grateful(s string) bool { return thanksRE.MatchString(prose(s)) && !asks(s) }

// maxMessage is the most bytes of a message that is cleaned: a longer one is neither a question nor an answer.
const maxMessage = 1 << 16

// message is the text of a forum's message or a letter without greeting, farewell, signature, and what programs add. names are those
// who take part: they are addressed at the start and sign at the end.
func message(s string, names []string) string {
	if len(s) > maxMessage {
		return s
	}
	var kept []string
	code := false
	at := 0 // end of the line
	for line := range strings.Lines(s) {
		at += len(line)
		line = strings.TrimRightFunc(line, unicode.IsSpace)
		bare := strings.TrimSpace(line)
		if strings.HasPrefix(bare, "```") {
			code = !code
		}
		if !code && (len(bare) < 120 && addedRE.MatchString(bare) || datedRE.MatchString(bare)) {
			continue
		}
		if !code && (bare == "--" || bare == "- --" || len(kept) > 0 && (bare == "---" && shortLines(s[at:]) || ruleRE.MatchString(bare) && footer(s[at:]))) {
			break
		}
		if line == "" && len(kept) > 0 && kept[len(kept)-1] == "" {
			continue
		}
		kept = append(kept, line)
	}
	kept = farewell(kept, names)
	s = strings.TrimSpace(strings.Join(kept, "\n"))
	for range 3 { // Hello all, / @bob: / Bob,
		before := len(s)
		s = mentionRE.ReplaceAllString(s, "")
		s = greetingRE.ReplaceAllString(s, "")
		for _, name := range names {
			if rest, ok := cutPrefixFold(s, name); ok && len(name) >= 3 && rest != "" && strings.ContainsRune(",:–-!\n", rune(rest[0])) {
				s = strings.TrimLeft(rest, ",:–-! \n")
			}
		}
		if s = strings.TrimSpace(s); len(s) == before {
			break
		}
	}
	s = repliedRE.ReplaceAllString(s, "")
	if strings.Count(s, "```")%2 == 1 { // what was cut off closed the code
		s += "\n```"
	}
	return s
}

// repliedRE matches the title that forums repeat above a reply.
var repliedRE = regexp.MustCompile(`^(?i)re: [^\n]{3,120}\n+`)

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
		return s[len(prefix):], true
	}
	return s, false
}

// datedRE matches a line that is a date and nothing else.
var datedRE = regexp.MustCompile(`(?i)^\W{0,3}((mon|tue|wed|thu|fri|sat|sun)\w*,? +)?((jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\w* +\d{1,2},? +\d{4}|\d{1,2}\.? +(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\w*,? +\d{4}|\d{4}-\d\d-\d\d)[, at]*(\d{1,2}:\d\d(:\d\d)?( ?[ap]m)?)?\W*$`)

// indented takes the white space off the start of the lines of what came of HTML, where it means nothing but in code and lists.
func indented(s string) string {
	var b strings.Builder
	code := false
	for line := range strings.Lines(s) {
		bare := strings.TrimLeft(line, " \t")
		if strings.HasPrefix(bare, "```") {
			code = !code
		}
		if !code && !listItemRE.MatchString(bare) {
			line = bare
			if bare == "" {
				line = "\n"
			}
		}
		b.WriteString(line)
	}
	return fenceRE.ReplaceAllStringFunc(b.String(), func(block string) string { // no empty lines at the ends of code
		head, body, _ := strings.Cut(block, "\n")
		body = strings.TrimRight(strings.TrimSuffix(body, "```"), " \t\n")
		for {
			first, rest, ok := strings.Cut(body, "\n")
			if !ok || strings.TrimSpace(first) != "" {
				break
			}
			body = rest
		}
		return head + "\n" + body + "\n```"
	})
}

var (
	listItemRE = regexp.MustCompile(`^([-*•]|\d+[.)]) `)
	fenceRE    = regexp.MustCompile("(?s)```[^\n`]*\n.*?```")
)

var (
	ruleRE = regexp.MustCompile(`^[-_=*~]{4,}$`)
	listRE = regexp.MustCompile(`(?i)mailing list|unsubscribe|mailman/listinfo|sponsored by|sf\.net email|@lists?\.|list-|confidential|intended recipient|computer virus|mimesweeper`)
)

// shortLines reports whether a text is a few short lines and no more: who wrote what stands above, and where to find them.
func shortLines(rest string) bool {
	if rest = strings.TrimSpace(clip(rest, 1000)); rest == "" || strings.Count(rest, "\n") > 8 {
		return false
	}
	for l := range strings.Lines(rest) {
		if len(l) > 60 {
			return false
		}
	}
	return true
}

// footer reports whether a text is the footer of a mailing list: no more than a few lines.
func footer(rest string) bool { return len(rest) < 1200 && listRE.MatchString(rest) }

func clip(s string, most int) string { return s[:min(len(s), most)] }

// farewell leaves out polite words and names at the end of a message.
func farewell(lines []string, names []string) []string {
	for range 8 {
		n := len(lines)
		if n == 0 {
			break
		}
		last := strings.TrimSpace(lines[n-1])
		blank := n > 1 && strings.TrimSpace(lines[n-2]) == ""
		if k := paragraph(lines); k > 0 && signs(strings.TrimSpace(lines[k]), names) {
			lines = lines[:k]
			continue
		}
		if last == "" || footerRE.MatchString(last) || blank && initialsRE.MatchString(last) || closingRE.MatchString(last) || signs(last, names) && (n == 1 || n > 1 && (strings.TrimSpace(lines[n-2]) == "" || closingRE.MatchString(strings.TrimSpace(lines[n-2])))) {
			lines = lines[:n-1]
			continue
		}
		// words of farewell, with a name or a title in at most two short lines below
		cut := false
		for k := n - 2; k >= max(n-4, 1); k-- {
			if len(lines[k+1]) > 40 || strings.HasPrefix(lines[k+1], "```") {
				break
			}
			if closingRE.MatchString(strings.TrimSpace(lines[k])) {
				lines = lines[:k]
				cut = true
				break
			}
		}
		if !cut {
			break
		}
	}
	return lines
}

// paragraph is the line where the last paragraph begins, if that is a few short lines, or 0.
func paragraph(lines []string) int {
	for k := len(lines) - 1; k > 0 && len(lines)-k <= 6 && len(lines[k]) <= 60; k-- {
		if strings.TrimSpace(lines[k-1]) == "" {
			return k
		}
	}
	return 0
}

var (
	footerRE   = regexp.MustCompile(`^<?https?://\S+/(listinfo|lists|mailman)\S*>?$`) // of a mailing list
	initialsRE = regexp.MustCompile(`^[-–~/ ]{0,3}[\p{L}]{1,12}[.]?$`)                // a word alone in the last line
)

// signs reports whether a line is one of the names, or its first or last word, with little more.
func signs(line string, names []string) bool {
	bare := strings.Trim(line, "-–—~*_ .,/")
	if bare == "" || len(bare) > 40 || wordCount(bare) > 3 {
		return false
	}
	for _, name := range names {
		parts := append(strings.Fields(name), name)
		for _, part := range parts {
			if len(part) >= 2 && strings.EqualFold(bare, part) {
				return true
			}
		}
	}
	return strings.HasPrefix(line, "-") && wordCount(bare) <= 2 && unicode.IsUpper([]rune(bare)[0])
}
