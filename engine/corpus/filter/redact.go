package filter

import (
	"net/netip"
	"strings"
)

// Replacements of personal data: FineWeb's first e-mail and IP addresses, which belong to nobody, and Dolma's mark.
const (
	EmailReplacement = "email@example.com"
	IPReplacement    = "22.214.171.124"
	PhoneReplacement = "|||PHONE_NUMBER|||"
)

// Redactions counts what [Redact] has replaced.
type Redactions struct{ Emails, IPs, Phones int }

// Redact replaces e-mail addresses, public IPv4 and IPv6 addresses, and telephone numbers. A number is a telephone's if it
// begins with + and has 8 to 15 digits, or is written like one of North America, (212) 555-0123, or of Brazil,
// (11) 91234-5678. Text without any comes back as it is.
func Redact(text string) (string, Redactions) {
	var n Redactions
	var out []byte
	done := 0 // what is before has been looked at
	replace := func(start, end int, by string) {
		out = append(append(out, text[done:start]...), by...)
		done = end
	}
	for i := 0; i < len(text); i++ {
		switch b := text[i]; {
		case b == '@':
			if start, end := email(text, done, i); end > 0 {
				replace(start, end, EmailReplacement)
				n.Emails++
				i = end - 1
			}
		case b == '+' || b == '(' || b >= '0' && b <= '9' || b == ':' || hexLetter(b):
			if i > done && joins(text[i-1]) {
				continue
			}
			if end := publicIP(text[i:]); end > 0 {
				replace(i, i+end, IPReplacement)
				n.IPs++
				i += end - 1
			} else if end := phone(text[i:]); end > 0 {
				replace(i, i+end, PhoneReplacement)
				n.Phones++
				i += end - 1
			}
		}
	}
	if done == 0 {
		return text, n
	}
	return string(append(out, text[done:]...)), n
}

func alphanumeric(b byte) bool {
	return b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'z'
}

func hexLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'f' }

// joins says that what follows belongs to what stands before.
func joins(b byte) bool {
	return alphanumeric(b) || b == '_' || b == '.' || b == ':' || b == '+' || b >= 0x80
}

// email finds the address around an @, not before a byte; end is 0 if there is none. The local part is what RFC 5322 calls
// a dot-atom, the domain has two labels or more and the last one a letter.
func email(text string, from, at int) (start, end int) {
	for start = at; start > from && (alphanumeric(text[start-1]) || strings.IndexByte(".!#$%&'*+/=?^_`{|}~-", text[start-1]) >= 0); {
		start--
	}
	for start < at && !alphanumeric(text[start]) && text[start] != '_' {
		start++
	}
	if start == at || text[at-1] == '.' || strings.Contains(text[start:at], "..") {
		return 0, 0
	}
	labels, letter := 0, false
	for i := at + 1; i < len(text); i++ {
		begin := i
		hasLetter := false
		for i < len(text) && (alphanumeric(text[i]) || text[i] == '-') {
			hasLetter = hasLetter || text[i] > '9'
			i++
		}
		stop := i
		for stop > begin && text[stop-1] == '-' {
			stop--
		}
		if stop == begin || text[begin] == '-' {
			break
		}
		labels, letter, end = labels+1, hasLetter, stop
		if stop < i || i == len(text) || text[i] != '.' {
			break
		}
	}
	if labels < 2 || !letter {
		return 0, 0
	}
	return start, end
}

// publicIP is the length of the public address at the start of a text, or 0.
func publicIP(text string) int {
	end := 0
	dots, colons := 0, 0
	for end < len(text) && end < 40 && (text[end] >= '0' && text[end] <= '9' || hexLetter(text[end]) || text[end] == '.' || text[end] == ':') {
		dots += b2i(text[end] == '.')
		colons += b2i(text[end] == ':')
		end++
	}
	if dots < 3 && colons < 2 || end < len(text) && (alphanumeric(text[end]) || text[end] == '_' || text[end] >= 0x80) {
		return 0
	}
	for end > 0 && (text[end-1] == '.' || text[end-1] == ':' && !strings.HasSuffix(text[:end], "::")) {
		end-- // punctuation of the sentence
	}
	address := text[:end]
	if dots >= 3 && strings.Contains(address, ":") { // a port
		address, _, _ = strings.Cut(address, ":")
	}
	ip, err := netip.ParseAddr(address)
	if err != nil || !public(ip) {
		return 0
	}
	return len(address)
}

// special are the blocks of IANA's registries of special purpose that netip has no name for.
var special = func() (blocks []netip.Prefix) {
	for _, s := range []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
		"240.0.0.0/4", "2001:db8::/32", "2001::/23"} {
		blocks = append(blocks, netip.MustParsePrefix(s))
	}
	return blocks
}()

// allocated is all of IPv6 that IANA has given out for hosts.
var allocated = netip.MustParsePrefix("2000::/3")

func public(ip netip.Addr) bool {
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.Is6() && !allocated.Contains(ip) {
		return false
	}
	for _, block := range special {
		if block.Contains(ip) {
			return false
		}
	}
	return true
}

// phone is the length of the telephone number at the start of a text, or 0. Groups of digits are set apart by one space,
// point or hyphen, and the first may stand in brackets.
func phone(text string) int {
	i, digits, bracketed := 0, 0, 0
	var groups [8]int
	n := 0
	plus := text[0] == '+'
	if plus {
		i++
	}
	for i < len(text) && n < len(groups) {
		begin := i
		open := text[i] == '('
		if open {
			i++
		}
		first := i
		for i < len(text) && text[i] >= '0' && text[i] <= '9' {
			i++
		}
		if i == first || i-first > 15 {
			i = begin
			break
		}
		length := i - first
		if open {
			if bracketed > 0 || i == len(text) || text[i] != ')' {
				i = begin
				break
			}
			bracketed = n + 1
			i++
		}
		groups[n] = length
		n++
		digits += length
		if i+1 < len(text) && (text[i] == ' ' || text[i] == '-' || text[i] == '.') && (text[i+1] == '(' || text[i+1] >= '0' && text[i+1] <= '9') {
			i++
		} else if !open && !(i < len(text) && text[i] == '(') {
			break
		}
	}
	for i > 0 && (text[i-1] == ' ' || text[i-1] == '-' || text[i-1] == '.' || text[i-1] == '(') {
		i--
	}
	if i < len(text) && (alphanumeric(text[i]) || text[i] == '_' || text[i] == '@') {
		return 0
	}
	g := groups[:n]
	is := func(want ...int) bool {
		if len(g) != len(want) {
			return false
		}
		for k := range want {
			if g[k] != want[k] {
				return false
			}
		}
		return true
	}
	switch {
	case plus && digits >= 8 && digits <= 15,
		is(3, 3, 4) && bracketed <= 1,
		is(1, 3, 3, 4) && text[0] == '1',
		bracketed == 1 && (is(2, 4, 4) || is(2, 5, 4) || is(2, 1, 4, 4)):
		return i
	}
	return 0
}
