package crawl

import (
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// maxURL is the longest URL that is followed, in bytes.
const maxURL = 2000

// tracking are query parameters that say who is looking, not at what: session ids and marks of campaigns.
var tracking = set(`phpsessid jsessionid aspsessionid sid sessionid session_id cfid cftoken utm_source utm_medium utm_campaign utm_term utm_content utm_id
	gclid fbclid msclkid mc_cid mc_eid yclid igshid`)

// sessionInPath is how session ids stand in paths: behind a semicolon, or as ASP.NET writes them.
var sessionInPath = regexp.MustCompile(`(?i);(jsessionid|phpsessid|sid)=[^/?]*|/\([a-z]\([a-z0-9]{20,32}\)\)`)

// What stands unescaped in paths and queries beside letters, digits and -._~.
const (
	inPath  = "!$&'()*+,;=:@/"
	inQuery = "!$&'()*+,;=:@/?|{}[]^`\\"
)

// normalRule writes a rule of a robots.txt as [Normalize] writes URLs.
func normalRule(rule string) string {
	path, query, ok := strings.Cut(rule, "?")
	if path = normalEscapes(path, inPath); !ok {
		return path
	}
	return path + "?" + normalEscapes(query, inQuery)
}

// Normalize resolves a reference against the URL of its page (nil for none) and writes it in the one form that stands
// for all that fetch the same page: lower-case scheme and host, punycode, no default port, fragment, dot segments or
// session id, escapes in upper case and only where needed. ok is false for what is no page of the web.
func Normalize(base *url.URL, ref string) (u *url.URL, ok bool) {
	ref = strings.Trim(ref, "\t\n\f\r ")
	if len(ref) > 2*maxURL || ref == "" && base == nil {
		return nil, false
	}
	if strings.ContainsAny(ref, "\t\n\r") {
		ref = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(ref)
	}
	u, err := url.Parse(mendEscapes(withoutSession(ref)))
	if err != nil {
		return nil, false
	}
	if base != nil {
		u = base.ResolveReference(u)
	} else {
		u = u.ResolveReference(&url.URL{RawQuery: u.RawQuery, ForceQuery: u.ForceQuery}) // removes dot segments
	}
	u.Scheme = strings.ToLower(u.Scheme)
	if u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "" || u.User != nil {
		return nil, false
	}
	if u.Host, ok = normalHost(u); !ok {
		return nil, false
	}
	path := normalEscapes(u.EscapedPath(), inPath)
	if path == "" {
		path = "/"
	}
	plain, err := url.PathUnescape(path)
	if err != nil {
		return nil, false
	}
	u.Path, u.RawPath = plain, path
	u.RawQuery = normalEscapes(withoutTracking(u.RawQuery), inQuery)
	u.ForceQuery, u.Fragment, u.RawFragment = false, "", ""
	return u, len(u.String()) <= maxURL
}

func normalHost(u *url.URL) (host string, ok bool) {
	host = strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if strings.Contains(host, ":") {
		a, err := netip.ParseAddr(host)
		if err != nil || a.Zone() != "" {
			return "", false
		}
		host = "[" + a.String() + "]"
	} else if host, ok = normalName(host); !ok || oddAddress(host) {
		return "", false
	}
	if p := u.Port(); p != "" && !(p == "80" && u.Scheme == "http" || p == "443" && u.Scheme == "https") {
		host += ":" + p
	}
	return host, true
}

// domains are the names that browsers look up: those of IDNA, and those with underscores and hyphens where no registry would have them.
var domains = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(false), idna.CheckHyphens(false), idna.VerifyDNSLength(true))

// normalName is a host's name as name servers know it.
func normalName(name string) (ascii string, ok bool) {
	ascii, err := domains.ToASCII(name)
	return ascii, err == nil && strings.Trim(ascii, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == ""
}

// oddAddress reports whether a host is an address of version 4 that is not written as four numbers: 2130706433 and 0x7f.1 are, to
// some resolvers, 127.0.0.1. No name ends in a number.
func oddAddress(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	if last == "" || last[0] < '0' || last[0] > '9' {
		return false
	}
	if _, err := strconv.ParseUint(last, 0, 64); err != nil && strings.Trim(last, "0123456789") != "" {
		return false
	}
	_, err := netip.ParseAddr(host)
	return err != nil
}

// A place is a URL in the form of [Normalize], taken apart. The parts share the memory of the text.
type place struct{ text, origin, host, path, query string }

func split(text string) place {
	p := place{text: text, origin: text}
	start := strings.Index(text, "://") + len("://")
	if start < len("://") {
		return p
	}
	end := strings.IndexAny(text[start:], "/?")
	if end < 0 {
		p.host = text[start:]
		return p
	}
	p.origin, p.host = text[:start+end], text[start:start+end]
	p.path, p.query, _ = strings.Cut(text[start+end:], "?")
	return p
}

// hostname is the host without its port.
func (p place) hostname() string {
	if colon := strings.LastIndexByte(p.host, ':'); colon > strings.LastIndexByte(p.host, ']') {
		return p.host[:colon]
	}
	return p.host
}

// withoutSession removes session ids from the path of a reference.
func withoutSession(ref string) string {
	end := strings.IndexAny(ref, "?#")
	if end < 0 {
		end = len(ref)
	}
	if !strings.ContainsAny(ref[:end], ";(") {
		return ref
	}
	return sessionInPath.ReplaceAllString(ref[:end], "") + ref[end:]
}

// mendEscapes writes the percent signs that begin no escape as %25, which browsers tolerate and url.Parse does not, and
// escaped dots as dots, for they may be segments that mean directories.
func mendEscapes(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '%':
			b.WriteByte(s[i])
		case i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]):
			b.WriteString("%25")
		case s[i+1] == '2' && s[i+2]|0x20 == 'e':
			b.WriteByte('.')
			i += 2
		default:
			b.WriteByte('%')
		}
	}
	return b.String()
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&0xf + 9
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

// normalEscapes decodes escaped characters that never need it, and escapes bytes that are neither unreserved nor in plain.
func normalEscapes(s, plain string) string {
	clean := true
	for i := range len(s) {
		if !unreserved(s[i]) && strings.IndexByte(plain, s[i]) < 0 {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	const digits = "0123456789ABCDEF"
	b := make([]byte, 0, len(s)+8)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			if c = unhex(s[i+1])<<4 | unhex(s[i+2]); unreserved(c) {
				b = append(b, c)
			} else {
				b = append(b, '%', digits[c>>4], digits[c&15])
			}
			i += 2
		case unreserved(c) || strings.IndexByte(plain, c) >= 0:
			b = append(b, c)
		default:
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(b)
}

// withoutTracking removes tracking parameters and keeps the rest in its order, which may matter.
func withoutTracking(query string) string {
	if query == "" {
		return ""
	}
	var kept []string
	for part := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(part, "=")
		if part != "" && !tracking[strings.ToLower(name)] {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, "&")
}
