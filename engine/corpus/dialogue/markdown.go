package dialogue

import (
	"regexp"
	"strings"
)

var (
	atxRE     = regexp.MustCompile(`^ {0,3}(#{1,6})\s+(.+?)\s*#*$`)
	boldRE    = regexp.MustCompile(`^\s*(?:[-*]\s+)?(?:\*\*|__)([^*]{3,300}\?)\s*(?:\*\*|__)\s*(.*)$`)
	summaryRE = regexp.MustCompile(`(?i)^\s*(?:<details[^>]*>)?\s*<summary[^>]*>(.{1,300}?)</summary>\s*(.*)$`)
	labelRE   = regexp.MustCompile(`^\s{0,3}((?:Q|P|Question|Pergunta)\s?\d*\s?[:.)]\s+.{3,})$`)
	markupRE  = regexp.MustCompile(`<[^<>]{1,200}>`)
	linkRE    = regexp.MustCompile(`\[([^\[\]]*)\]\([^()]*\)`)
)

// maxSections bounds the headings of a document.
const maxSections = 20_000

// markdown finds the questions of Markdown or plain text: headings, bold lines, what unfolds, and lines marked Q. In plain text there
// are only the last.
func (f *finder) markdown(text string, markup bool) {
	lines := strings.Split(text, "\n")
	type part struct{ head, first, last int } // lines: of the heading, and of what is below
	var all []section
	var parts []part
	var rest []string // what stands behind a heading on its line
	code := false
	add := func(level int, text string, at, from int, behind string) {
		if n := len(parts); n > 0 && parts[n-1].last < 0 {
			parts[n-1].last = at
		}
		text = strings.NewReplacer("`", "", "**", "", "__", "").Replace(linkRE.ReplaceAllString(markupRE.ReplaceAllString(text, ""), "$1"))
		all = append(all, section{level: level, text: strings.TrimSpace(text)})
		parts = append(parts, part{at, from, -1})
		rest = append(rest, behind)
	}
	faq := false
	for i, line := range lines {
		bare := strings.TrimSpace(line)
		if strings.HasPrefix(bare, "```") || strings.HasPrefix(bare, "~~~") {
			code = !code
		}
		if code || bare == "" || len(line) > 1000 || len(all) >= maxSections {
			continue
		}
		if m := labelRE.FindStringSubmatch(line); m != nil && endsRE.MatchString(bare) {
			add(7, m[1], i, i+1, "")
			continue
		}
		if !markup {
			if len(all) == 0 && faqRE.MatchString(bare) {
				faq = true
			}
			continue
		}
		if m := atxRE.FindStringSubmatch(line); m != nil {
			add(len(m[1]), m[2], i, i+1, "")
		} else if m := summaryRE.FindStringSubmatch(line); m != nil {
			add(7, m[1], i, i+1, m[2])
		} else if m := boldRE.FindStringSubmatch(line); m != nil {
			add(8, m[1], i, i+1, m[2])
		} else if i+1 < len(lines) && underlineRE.MatchString(lines[i+1]) && len(bare) <= 300 {
			level := 1
			if strings.HasPrefix(strings.TrimSpace(lines[i+1]), "-") {
				level = 2
			}
			if !strings.HasPrefix(bare, "|") && !underlineRE.MatchString(line) {
				add(level, bare, i, i+2, "")
			}
		}
	}
	for k := range all {
		if parts[k].last < 0 {
			parts[k].last = len(lines)
		}
		all[k].answer = func(ends func(int) bool) string {
			to := len(lines)
			for next := k + 1; next < len(all); next++ {
				if ends(next) {
					to = parts[next].head
					break
				}
			}
			to = min(to, parts[k].first+2000) // lines; no answer is as long
			if parts[k].first >= to {
				return rest[k]
			}
			body := strings.Join(lines[parts[k].first:to], "\n")
			if all[k].level == 7 {
				body, _, _ = strings.Cut(body, "</details>")
			}
			return strings.TrimSpace(rest[k] + "\n" + body)
		}
	}
	f.questions(all, faq)
}

var underlineRE = regexp.MustCompile(`^ {0,3}(={3,}|-{3,})\s*$`)
