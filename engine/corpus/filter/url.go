package filter

import (
	"bufio"
	"fmt"
	"io"
	"net/url"
	"strings"
)

const (
	urlFilter      = "url"
	languageFilter = "language"
)

// Lists block documents by their URL. Words are runs of ASCII letters and digits, in lower case.
type Lists struct {
	Domains   map[string]bool // with all that is below them
	URLs      map[string]bool // as written, without scheme and a slash at the end
	Words     map[string]bool // one blocks
	SoftWords map[string]bool // SoftLimit different ones block, at least 2
	Subwords  []string        // anywhere in the URL, all other characters removed
	SoftLimit int             // FineWeb's is 2; less is taken for it
}

// ReadList reads a block list: an entry a line; empty lines and those that begin with # are passed over.
func ReadList(r io.Reader) (map[string]bool, error) {
	list := map[string]bool{}
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		if entry := strings.ToLower(strings.TrimSpace(s.Text())); entry != "" && entry[0] != '#' {
			list[bare(entry)] = true
		}
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("block list after %d entries: %w", len(list), err)
	}
	return list, nil
}

// bare is a URL without its scheme and a slash at the end.
func bare(address string) string {
	if _, rest, ok := strings.Cut(address, "://"); ok {
		address = rest
	}
	return strings.TrimSuffix(address, "/")
}

// url applies the block lists. A document without a URL passes.
func (c *Checker) url(address string) {
	l := c.config.Lists
	if l == nil || address == "" {
		return
	}
	if c.listed("domain", l.domain(address)) && c.listed("url", l.URLs[bare(strings.ToLower(address))]) {
		hard, soft, joined := l.words(address)
		_ = c.none(urlFilter, "hard_blacklisted", hard) &&
			c.most(urlFilter, "soft_blacklisted", float64(soft), float64(l.softLimit()-1)) &&
			c.listed("blacklisted_subword", containsAny(joined, l.Subwords))
	}
}

func (c *Checker) listed(rule string, is bool) bool { return c.none(urlFilter, rule, b2i(is)) }

func (l *Lists) softLimit() int {
	return max(2, l.SoftLimit)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// domain says that a URL's host, or what it is below, is listed.
func (l *Lists) domain(address string) bool {
	if len(l.Domains) == 0 {
		return false
	}
	host := strings.ToLower(bare(address))
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		host = strings.ToLower(u.Hostname())
	}
	for host = strings.TrimSuffix(host, "."); host != ""; {
		if l.Domains[host] {
			return true
		}
		_, host, _ = strings.Cut(host, ".")
	}
	return false
}

// words counts the different listed words of a URL, and joins all of its words.
func (l *Lists) words(address string) (hard, soft int, joined string) {
	seen := map[string]bool{}
	words := strings.FieldsFunc(strings.ToLower(address), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	for _, w := range words {
		if seen[w] {
			continue
		}
		seen[w] = true
		hard += b2i(l.Words[w])
		soft += b2i(l.SoftWords[w])
	}
	return hard, soft, strings.Join(words, "")
}

// language keeps the wanted languages, where the classifier is sure of them.
func (c *Checker) language(language string, score float64) {
	if len(c.config.Languages) == 0 {
		return
	}
	wanted := false
	for _, l := range c.config.Languages {
		wanted = wanted || l == language
	}
	_ = c.none(languageFilter, "language", b2i(!wanted)) &&
		c.report(Finding{languageFilter, "language_score", score, c.config.LanguageScore, true, c.config.LanguageScore == 0 || score > c.config.LanguageScore})
}
