package dialogue

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Words that begin a question: in a heading without a question mark the strict ones make it one anywhere, the others in an FAQ
// only, where "Can I sell it" stands beside the like. "What's new", "When to use" and their like title chapters.
var (
	strictRE = regexp.MustCompile(`(?i)^(how (to|do|does|can|should|is|are|did|many|much|long)\b|what (is|are|does|do|should|can|was|were|if)\b|why (is|are|do|does|did|should|can|can't|don't|doesn't|not)\b` +
		`|como (faço|fazer|posso|usar|instalar|criar|funciona|configurar|saber|obter|eu)\b|o que (é|são|significa|fazer|faz|há)(\P{L}|$)|por que\b|porque (é|são|não|o|a|os|as)(\P{L}|$)|qual é(\P{L}|$)|quais são\b)`)
	looseRE = regexp.MustCompile(`(?i)^(how|what|why|when|where|which|who|whose|can|could|does|do|did|is|are|was|will|would|should|may|am|has|have|isn't|doesn't|don't|can't` +
		`|como|o que|o quê|por que|por quê|porque|quando|onde|qual|quais|quem|quanto|quantos|quantas|posso|pode|podem|é|são|existe|existem|há|devo|preciso|tenho|para que)(\P{L}|$)`)
	endsRE = regexp.MustCompile(`[?？؟][)\]"'”’»*_. ]*$`)

	// Numbers and marks before a question.
	numberRE = regexp.MustCompile(`^(\(?(\d+|[A-Za-z])([.\-]\d+)*[.):]+|\d+([.\-]\d+)+|(?i:section|question|pergunta|questão|faq)\s*[A-Z]?\d*(\.\d+)*\s*[-:.)]+|(?i:step|tip|part|passo|dica|parte) ?\d+\s*[-:.)]+|(?i:q|p)\d*\s*[.:)\-]+|[A-Z]\.\d+(\.\d+)*|[-–—•*#>]+)\s+`)

	tightRE = regexp.MustCompile(`^\d{1,3}[.)]\pL`) // 09.What is it?

	// What pages ask their readers.
	callRE = regexp.MustCompile(`(?i)^(ready to|need |do you (have|want|like|need|know|prefer|feel|ever|think|enjoy|own|suffer|struggle)|are you (ready|looking|interested|a|an|new|in|having|tired|planning|one of)|have you (ever|been|got|tried|considered)|how (i|we) |(it|this|that) works|how (it|this) works|(was|is|did) (this|that|you find) .*(help|useful|answer|looking)|(still )?have (a |any |more )?(question|feedback|comment)|(any |more )?questions\?|got (a )?question|want to (learn|know|read|see|help|contribute|try|join)|looking for|forgot|not a member|new here|new to|already (have|a)|don't have an account|do you (like|have (a|any) (question|comment|suggestion))|interested in|found a (bug|problem|mistake)|can't find|what do you think|who('s| is) online|what's next|que tal|precisa de ajuda|esqueceu|ainda tem dúvidas|gostou|não encontrou|foi útil|esta (página|informação)|tem alguma|möchten sie|wie bewerten sie|hat (dir|ihnen|euch) |war (der|dieser|die|diese) (artikel|beitrag|seite|antwort)|haben sie (noch |weitere )?fragen|noch fragen)`)

	// What an FAQ may be asked as well: Do you have a phone number?
	doYouRE = regexp.MustCompile(`(?i)^do you (have|want|know) .*\?`)

	faqRE = regexp.MustCompile(`(?i)faqs?\d?\b|frequently[ -]asked|common questions|questions (and|&) answers|\bq ?& ?a\b|perguntas (mais )?(frequentes|comuns)|dúvidas (mais )?(frequentes|comuns)|perguntas e respostas|preguntas frecuentes|foire aux questions|häufig gestellte|häufige fragen|domande frequenti|veelgestelde vragen`)
)

// question is a heading without its number, and whether it asks: in an FAQ more do.
func question(heading string, faq bool) (string, bool) {
	s := strings.TrimLeft(heading, "—–-•:* ")
	for range 3 {
		s = s[len(numberRE.FindString(s)):]
		if m := tightRE.FindString(s); m != "" {
			s = s[len(m)-1:]
		}
	}
	asks := endsRE.MatchString(s) || strictRE.MatchString(s) || faq && looseRE.MatchString(s) && wordCount(s) >= 4
	if wordCount(s) < 2 || callRE.MatchString(s) && !(faq && doYouRE.MatchString(s)) {
		return s, false
	}
	return s, asks
}

// statement reports whether a heading that does not ask may be an entry of an FAQ all the same: a claim or a complaint, and not the
// title of a chapter.
func statement(s string) bool {
	return wordCount(s) >= 4 && !callRE.MatchString(s) && !chapterRE.MatchString(s)
}

var chapterRE = regexp.MustCompile(`(?i)^(about|table of|contents|introduction|appendix|chapter|section|part|further|see also|related|copyright|license|authors?|credits|acknowledg|index|general|miscellan|references|changes|history|sobre|índice|sumário|introdução|apêndice|capítulo|seção|parte|autores|licença|referências)\b|questions|perguntas|dúvidas`)

// Who is asked in person, and who answers so.
var (
	addressedRE = regexp.MustCompile(`(?i)(^|\P{L})(you|your|yours|du|dich|dir|dein\p{L}*|ihr|euch|ihnen|ihrer?|sie|você|vocês|seus?|suas?|tu|teu|tua|usted|ustedes|vous|votre)(\P{L}|$)`)
	firstRE     = regexp.MustCompile(`(^|\P{L})(I|I'm|I’m|I've|I’ve|I'd|my|My|me|ich|Ich|mein\p{L}*|Mein\p{L}*|mich|Mich|mir|Mir|eu|Eu|meus?|Meus?|minhas?|Minhas?|je|Je|mon|yo|Yo|mi)(\P{L}|$)`)
	speakerRE   = regexp.MustCompile(`^(\p{Lu}[\p{L}.'’-]+ ){0,3}\p{Lu}[\p{L}.'’-]+ ?: `)
)

// interviews reports whether a question and its answer are of a talk with a person: they speak of themselves.
func interviews(question, answer string) bool {
	start := clip(answer, 400)
	return addressedRE.MatchString(question) && firstRE.MatchString(start) || speakerRE.MatchString(start)
}

// Ways to ask without a question mark.
var requestRE = regexp.MustCompile(`(?i)\b(how (do|can|should|would|to)|(does|has|is) any(one|body)|any (ideas?|help|advice|suggestions?|thoughts|pointers|recommendations?|tips|hints)|(please|pls|can (some|any)(one|body)|could (some|any)(one|body)) .{0,20}help|help (me|needed|please|wanted)|i('m| am) (trying|looking|wondering|stuck|having (a |some )?(trouble|problem|issue|difficult))|i (can't|cannot|couldn't|don't know|would like to know|want to know|need help|wonder)|what('s| is) the (best|right|correct)|alguém|como (faço|posso|eu|fazer|resolver|resolvo)|(alguma|qualquer) (ideia|sugestão|dica|ajuda)|não (consigo|sei|funciona)|(preciso|queria|gostaria) (de )?(ajuda|saber)|me ajud|dúvida)\b`)

// asks reports whether a message asks for something.
func asks(s string) bool {
	s = prose(s)
	if requestRE.MatchString(s) {
		return true
	}
	for sentence := range sentences(s) {
		if isAsked(sentence) {
			return true
		}
	}
	return false
}

func isAsked(sentence string) bool { return endsRE.MatchString(sentence) && wordCount(sentence) >= 3 }

// opens reports whether a message is there to ask: its title asks, or it begs for help, or asks in its last part. Opinions and news
// have questions too, but on the way.
func opens(title, s string) bool {
	if endsRE.MatchString(title) || strictRE.MatchString(title) || helpRE.MatchString(title) || pleaRE.MatchString(title) {
		return true
	}
	s = prose(s)
	if helpRE.MatchString(s) {
		return true
	}
	at := 0
	for sentence := range sentences(s) {
		at += len(sentence) + 1
		if at*5 >= len(s)*3 && isAsked(sentence) && !tagRE.MatchString(sentence) {
			return true
		}
	}
	return false
}

var (
	helpRE = regexp.MustCompile(`(?i)\b(any(one|body) (know|have|else|here|got|help|tell|point|seen|tried|using|used)|any (ideas?|help|advice|suggestions?|pointers|recommendations?|tips|hints)\b|how (do|can|should|would) (i|you|we|one)\b|(is|was) there (a|any|some) way|i('m| am) (wondering|looking for|stuck)|i (would|'d) like to know|i need (some )?(help|advice)|help (would|will) be|(alguma|qualquer) (ideia|sugestão|dica|ajuda)|alguém (sabe|pode|conhece|tem|aí|já)|como (faço|posso|resolvo)|preciso de ajuda|gostaria de saber)\b`)
	pleaRE = regexp.MustCompile(`(?i)\bhelp (me|us|needed|please|wanted|with)\b|\bplease help|\b(preciso de )?ajuda\b|socorro`)
	tagRE  = regexp.MustCompile(`(?i)\b(right|huh|eh|no|isn't it|don't you think|you know|né|não é|ok|okay|why not|so what|who cares|who knows)\s*[?)]+$`) // asks for agreement only
)

// asksBack reports whether a reply asks instead of answering: its last words, or most of its sentences.
func asksBack(s string) bool {
	all, open := 0, 0
	last := ""
	for sentence := range sentences(prose(s)) {
		if wordCount(sentence) < 2 {
			continue
		}
		all++
		if last = sentence; endsRE.MatchString(last) {
			open++
		}
	}
	return open*2 >= all || endsRE.MatchString(last) && !tagRE.MatchString(last) || helpRE.MatchString(last)
}

// sentences yields the parts of a text that end in terminal punctuation or at the end of a paragraph.
func sentences(s string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		start := 0
		for i, r := range s {
			end := false
			size := utf8.RuneLen(r)
			switch r {
			case '.', '!', '?', '？', '。', '！', '؟':
				rest := s[i+size:]
				end = rest == "" || rest[0] == ' ' || rest[0] == '\n' || r > 0x7f
			case '\n':
				end = strings.HasPrefix(s[i+1:], "\n")
			}
			if end {
				if part := strings.TrimSpace(s[start : i+size]); part != "" && !yield(part) {
					return
				}
				start = i + size
			}
		}
		if part := strings.TrimSpace(s[start:]); part != "" {
			yield(part)
		}
	}
}

// prose is a text without code between fences, quoted lines and addresses.
func prose(s string) string {
	var b strings.Builder
	code := false
	for line := range strings.Lines(s) {
		switch {
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			code = !code
		case code || strings.HasPrefix(line, ">"):
		default:
			b.WriteString(addressRE.ReplaceAllString(line, " "))
		}
	}
	return strings.TrimSpace(b.String())
}

var addressRE = regexp.MustCompile(`<?\b(https?|ftp)://[^\s<>]*>?|\bwww\.[^\s<>]+`)

// letters counts letters and digits.
func letters(s string) (n int) {
	for _, r := range s {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			n++
			if 0x3000 <= r && r < 0xe000 { // of Chinese, Japanese and Korean, which say as much as several of an alphabet
				n += 2
			}
		}
	}
	return n
}

func wordCount(s string) int {
	n, dense := len(strings.Fields(s)), 0
	for _, r := range s {
		if 0x3000 <= r && r < 0xe000 {
			dense++
		}
	}
	return n + dense/2 // writing without spaces
}

// words are the words of a text in lower case.
func words(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// shared counts the words, but for the frequent ones, that two texts have in common. Endings do not count: words with the same four
// letters at the beginning are one.
func shared(a, b string) (n int) {
	stem := func(w string) string {
		r := []rune(w)
		return string(r[:min(len(r), 4)])
	}
	in := map[string]bool{}
	for _, w := range words(prose(a)) {
		if utf8.RuneCountInString(w) >= 3 && !frequent[w] {
			in[stem(w)] = true
		}
	}
	for _, w := range words(b) {
		if s := stem(w); utf8.RuneCountInString(w) >= 3 && in[s] {
			delete(in, s)
			n++
		}
	}
	return n
}

var frequent = map[string]bool{}

func init() {
	for _, w := range strings.Fields(`about after again also anyone because been before being both cannot could does doesn doing done each else even every
		from getting going have having help here into just know like looking make many maybe more most much need only other over please really
		same should since some something still such sure take than thank thanks that their them then there these they thing things think this those
		through trying until used using very want well were what when where which while will with without work would your
		alguém algum alguma ainda assim cada coisa como depois desde deve dessa desse esta este essa esse estou está fazer isso isto mais mesmo
		all and any are but can did does don for get got had has her him his how its let may new not now off one our out own say see she too two
		use via was way who why yes yet you also ever ill isn lot
		com das dos ele ela eles era foi meu nas nem nos não por que sem ser seu sim sua uma uns
		muito nada nesse nessa obrigado para pela pelo pode porque posso qual quando quem saber seja sobre também tem tenho tudo uma você`) {
		frequent[w] = true
	}
}
