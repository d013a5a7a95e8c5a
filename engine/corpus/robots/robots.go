// Package robots reads robots.txt files and answers whether a crawler may fetch a URL: RFC 9309, with the leniencies of
// Google's parser (misspelt keys, a missing colon, /index.html as its directory), because sites are written against it.
//
// Deliberately absent: fetching, caching and what HTTP status codes mean, which are the crawler's business; and the
// meta element and header of the same name, which speak of pages.
package robots

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

const (
	// MaxSize is how many bytes of a file are read; RFC 9309, section 2.5, asks for at least 500 KiB.
	MaxSize = 500 << 10
	// maxLine is where Google's parser cuts a line.
	maxLine = 2083*8 - 1
	// maxDelay is the longest Crawl-delay that is believed.
	maxDelay = 24 * time.Hour
)

// File is a parsed robots.txt. The nil File allows everything.
type File struct {
	groups   []group
	Sitemaps []string // as written: usually absolute URLs
}

// A group is some rules and the crawlers that they are for.
type group struct {
	agents []string // lower case; "*" is everybody else
	rules  []rule
	delay  time.Duration
}

type rule struct {
	allow   bool
	pattern pattern
}

// Parse reads a file. Nothing is an error: lines that mean nothing are skipped, and so is what lies behind MaxSize.
func Parse(data []byte) *File {
	if len(data) > MaxSize {
		data = data[:MaxSize]
		if end := bytes.LastIndexAny(data, "\r\n"); end >= 0 {
			data = data[:end] // half a rule may mean the opposite
		}
	}
	f := &File{}
	open := false // the last group takes more agents
	for line := range lines(trimBOM(data)) {
		key, value, ok := split(line)
		if !ok {
			continue
		}
		switch k := kindOf(key); k {
		case keyAgent:
			if !open {
				f.groups = append(f.groups, group{})
				open = true
			}
			g := &f.groups[len(f.groups)-1]
			g.agents = append(g.agents, token(value))
		case keyAllow, keyDisallow:
			if len(f.groups) == 0 {
				continue // rules before any agent are nobody's
			}
			open = false
			if value == "" {
				continue // an empty rule matches nothing
			}
			g := &f.groups[len(f.groups)-1]
			g.rules = append(g.rules, rule{k == keyAllow, newPattern(value)})
			if dir, ok := indexDirectory(value); ok && k == keyAllow {
				g.rules = append(g.rules, rule{true, newPattern(dir)})
			}
		case keyDelay: // not of RFC 9309, whose groups it does not end
			if s, err := strconv.ParseFloat(value, 64); err == nil && s > 0 && len(f.groups) > 0 {
				g := &f.groups[len(f.groups)-1]
				g.delay = time.Duration(min(s, maxDelay.Seconds()) * float64(time.Second))
			}
		case keySitemap:
			f.Sitemaps = append(f.Sitemaps, value)
		}
	}
	return f
}

// trimBOM removes a byte order mark, whole or cut short.
func trimBOM(b []byte) []byte {
	for _, c := range []byte("\xef\xbb\xbf") {
		if len(b) == 0 || b[0] != c {
			break
		}
		b = b[1:]
	}
	return b
}

// lines yields the lines of a file, which end in LF, CR or CRLF, cut to maxLine.
func lines(b []byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for len(b) > 0 {
			end := bytes.IndexAny(b, "\r\n")
			line, rest := b, []byte(nil)
			if end >= 0 {
				line, rest = b[:end], b[end+1:]
			}
			if b = rest; !yield(string(line[:min(len(line), maxLine)])) {
				return
			}
		}
	}
}

const blank = " \t\v\f"

// split takes a line apart at its colon, without comment. As in Google's parser white space serves for a missing colon,
// if the line is two words.
func split(line string) (key, value string, ok bool) {
	line, _, _ = strings.Cut(line, "#")
	key, value, ok = strings.Cut(line, ":")
	if !ok {
		words := strings.Fields(line)
		if len(words) != 2 {
			return "", "", false
		}
		key, value = words[0], words[1]
	}
	key, value = strings.Trim(key, blank), strings.Trim(value, blank)
	return key, value, key != ""
}

type keyKind int

const (
	keyOther keyKind = iota
	keyAgent
	keyAllow
	keyDisallow
	keyDelay
	keySitemap
)

var keys = []struct {
	kind   keyKind
	prefix []string
}{
	{keyAgent, []string{"user-agent", "useragent", "user agent"}},
	{keyAllow, []string{"allow"}},
	{keyDisallow, []string{"disallow", "dissallow", "dissalow", "disalow", "diasllow", "disallaw"}},
	{keyDelay, []string{"crawl-delay", "crawldelay"}},
	{keySitemap, []string{"sitemap", "site-map"}},
}

func kindOf(key string) keyKind {
	key = strings.ToLower(key)
	for _, k := range keys {
		for _, p := range k.prefix {
			if strings.HasPrefix(key, p) {
				return k.kind
			}
		}
	}
	return keyOther
}

// token is the product token at the start of a User-agent value, or "*".
func token(value string) string {
	if value == "*" || strings.HasPrefix(value, "*") && strings.ContainsRune(blank, rune(value[1])) {
		return "*"
	}
	end := strings.IndexFunc(value, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_')
	})
	if end < 0 {
		end = len(value)
	}
	return strings.ToLower(value[:end])
}

// indexDirectory turns /dir/index.html into a pattern for /dir/ alone.
func indexDirectory(value string) (string, bool) {
	slash := strings.LastIndexByte(value, '/')
	if slash < 0 || !strings.HasPrefix(value[slash:], "/index.htm") {
		return "", false
	}
	return value[:slash+1] + "$", true
}

// Rules are what a file says to one crawler. The zero Rules allow everything.
type Rules struct {
	rules []rule
	delay time.Duration
}

// For gathers the rules of all groups that name a crawler, or, if none does, of all groups for everybody. The agent is
// a product token, such as "ForjaBot"; a version behind a slash does not matter.
func (f *File) For(agent string) Rules {
	if f == nil {
		return Rules{}
	}
	agent, _, _ = strings.Cut(agent, "/")
	if r, ok := f.named(strings.ToLower(agent)); ok && agent != "" {
		return r
	}
	r, _ := f.named("*")
	return r
}

func (f *File) named(agent string) (r Rules, found bool) {
	for _, g := range f.groups {
		for _, a := range g.agents {
			if a == agent {
				found = true
				r.rules = append(r.rules, g.rules...)
				r.delay = max(r.delay, g.delay)
				break
			}
		}
	}
	return r, found
}

// Rewrite gives the rules with every path pattern as rewrite changes it, which must leave * and $ alone. A crawler that fetches URLs in
// a normal form of its own brings rules into the same: RFC 9309, section 2.2.2, wants /%62 and /b to be one.
func (r Rules) Rewrite(rewrite func(pattern string) string) Rules {
	rules := make([]rule, len(r.rules))
	for i, old := range r.rules {
		rules[i] = rule{old.allow, newPattern(rewrite(old.pattern.text))}
	}
	return Rules{rules, r.delay}
}

// Size is about how many bytes of memory the rules take.
func (r Rules) Size() (n int) {
	for _, rule := range r.rules {
		n += 96 + 2*len(rule.pattern.text) + 16*len(rule.pattern.parts)
	}
	return n
}

// CrawlDelay is the time that a site asks to let pass between requests; 0 if it asks for none.
func (r Rules) CrawlDelay() time.Duration { return r.delay }

// Allowed reports whether a URL may be fetched: the longest matching rule decides, and Allow wins a tie. The URL is
// compared as it is but for the case of escapes, so it should be in the percent-encoded form that goes over the wire.
func (r Rules) Allowed(url string) bool {
	path := upperEscapes(pathOf(url))
	if path == "/robots.txt" {
		return true
	}
	longest, allowed := 0, true
	for _, rule := range r.rules {
		n := rule.pattern.length
		if n < longest || n == longest && !rule.allow || !rule.pattern.match(path) {
			continue
		}
		longest, allowed = n, rule.allow
	}
	return allowed
}
