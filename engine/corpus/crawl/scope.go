package crawl

import (
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Scope says which URLs belong to a crawl. A URL must be on the host of a seed or of Hosts, under a prefix if there are
// any, match one of Include if there are any and none of Exclude, and be no further than MaxDepth links from a seed.
type Scope struct {
	AnyHost  bool     // follow links to other hosts
	Hosts    []string // more hosts; ".example.org" is that host and all below it
	Prefixes []string // of whole URLs
	Include  []*regexp.Regexp
	Exclude  []*regexp.Regexp
	MaxDepth int // links from a seed; negative is no limit
	HostURLs int // of a host, at most: 1,000,000
}

// Limits of what a site can have before it looks like a trap that makes pages for ever.
const (
	maxSegments   = 24   // of a path
	maxRepeats    = 3    // of one segment in a path
	maxParameters = 12   // of a query
	maxQueries    = 5000 // of one path
	maxHostURLs   = 1_000_000
	maxHosts      = 1000 // of one registrable domain
)

// outside says why a URL is out of scope, or "". hosts are those of seeds.
func (s *Scope) outside(p place, depth int, hosts map[string]bool) string {
	if s.MaxDepth >= 0 && depth > s.MaxDepth {
		return "depth"
	}
	if !s.hasHost(p, hosts) {
		return "host"
	}
	if len(s.Prefixes) > 0 && !anyOf(s.Prefixes, func(prefix string) bool { return strings.HasPrefix(p.text, prefix) }) {
		return "prefix"
	}
	if len(s.Include) > 0 && !anyOf(s.Include, func(r *regexp.Regexp) bool { return r.MatchString(p.text) }) {
		return "include"
	}
	if anyOf(s.Exclude, func(r *regexp.Regexp) bool { return r.MatchString(p.text) }) {
		return "exclude"
	}
	return ""
}

func (s *Scope) hasHost(p place, hosts map[string]bool) bool {
	return s.AnyHost || hosts[p.host] || s.named(p.hostname())
}

func (s *Scope) named(host string) bool {
	return anyOf(s.Hosts, func(h string) bool {
		return host == strings.TrimPrefix(h, ".") || strings.HasPrefix(h, ".") && strings.HasSuffix(host, h)
	})
}

func anyOf[T any](list []T, ok func(T) bool) bool {
	for _, x := range list {
		if ok(x) {
			return true
		}
	}
	return false
}

// calendar finds a year with a month, whichever way they are written.
var calendar = regexp.MustCompile(`(?:^|[/=_&-])((?:1[0-9]|2[0-9])\d\d)(?:[/_-](?:0?[1-9]|1[0-2])|(?:0[1-9]|1[0-2])[0-3]\d)(?:[/_&T-]|$)` +
	`|\b(?:year|yr|y|ano|annee|jahr)=((?:1[0-9]|2[0-9])\d\d)\b`)

// trap says why a URL looks like one of endlessly many, or "".
func trap(p place, now time.Time) string {
	count, seen := 0, map[string]int{}
	for segment := range strings.SplitSeq(strings.Trim(p.path, "/"), "/") {
		if count++; count > maxSegments {
			return "path of many segments"
		}
		if segment == "" {
			continue
		}
		if seen[segment]++; seen[segment] > maxRepeats {
			return "repeated segments"
		}
	}
	if strings.Count(p.query, "&") >= maxParameters {
		return "many parameters"
	}
	for _, text := range []string{p.path, p.query} {
		if !hasYear(text) {
			continue
		}
		if m := calendar.FindStringSubmatch(text); m != nil {
			if year, _ := strconv.Atoi(m[1] + m[2]); year > now.Year()+1 || year < 1900 {
				return "calendar"
			}
		}
	}
	return ""
}

// hasYear reports whether digits that may begin with a year stand in a text, which is quicker to say than what calendar does.
func hasYear(text string) bool {
	digits := 0
	for i := range len(text) {
		if c := text[i]; c < '0' || c > '9' || digits == 0 && c > '2' {
			digits = 0
		} else if digits++; digits == 4 {
			return true
		}
	}
	return false
}

// skipped are extensions of files that hold no text; their links are not followed.
var skipped = set(`7z avi bin bmp bz2 css deb dmg doc docx eot exe flac gif ico iso jar jpeg jpg js m4a m4v mkv mov mp3 mp4 mpeg mpg msi odp ods odt ogg
	ogv otf png ppt pptx rar rpm svg tar tgz tif tiff ttf wav webm webp wma wmv woff woff2 xls xlsx xz zip`)

func set(words string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}

func hasNoText(p place) bool {
	return skipped[strings.TrimPrefix(strings.ToLower(path.Ext(p.path)), ".")]
}
