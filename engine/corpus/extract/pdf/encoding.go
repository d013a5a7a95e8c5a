package pdf

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/ledongthuc/pdf"
	"golang.org/x/text/encoding/charmap"
)

// standardHigh is the upper half of Adobe's standard encoding, from 0xa1 on; its lower half is ASCII but for two quotes.
const standardHigh = "¡¢£⁄¥ƒ§¤'“«‹›ﬁﬂ\x00–†‡·\x00¶•‚„”»…‰\x00¿\x00`´ˆ˜¯˘˙¨\x00˚¸\x00˝˛ˇ—"

var standardRest = map[byte]rune{0xe1: 'Æ', 0xe3: 'ª', 0xe8: 'Ł', 0xe9: 'Ø', 0xea: 'Œ', 0xeb: 'º', 0xf1: 'æ', 0xf5: 'ı', 0xf8: 'ł', 0xf9: 'ø',
	0xfa: 'œ', 0xfb: 'ß'}

// baseEncoding returns what the bytes of a simple font stand for before its differences. Zero is nothing.
func baseEncoding(called string) (table [256]rune) {
	for c := range table {
		switch called {
		case "WinAnsiEncoding":
			table[c] = charmap.Windows1252.DecodeByte(byte(c))
		case "MacRomanEncoding":
			table[c] = charmap.Macintosh.DecodeByte(byte(c))
		default:
			if c < 0x7f {
				table[c] = rune(c)
			} else {
				table[c] = standardRest[byte(c)]
			}
		}
		if c < ' ' || table[c] == '\ufffd' {
			table[c] = 0
		}
	}
	if called != "WinAnsiEncoding" && called != "MacRomanEncoding" {
		table['\''], table['`'] = '’', '‘'
		c := 0xa1
		for _, r := range standardHigh {
			table[c] = r
			c++
		}
	}
	return table
}

// unknownGlyph is where glyph names are asked for: no glyph has a name in this range of controls, so an answer in it says that the
// library does not know the name.
const (
	unknownGlyph = 0x80
	glyphsAtOnce = 0x20
)

// glyphNames finds what glyph names stand for by the library's list, which it gives only as the encoding of a font: so
// one is written for it to read.
func glyphNames(names []string) map[string]string {
	found := make(map[string]string, len(names))
	var ask []string
	for _, n := range names {
		if s := systematic(n); s != "" {
			found[n] = s
		} else if n != "" && n != ".notdef" && len(n) < 64 && !strings.ContainsFunc(n, func(r rune) bool { return r <= ' ' || r >= 0x7f || isDelimiter(byte(r)) || r == '#' }) {
			ask = append(ask, n)
		}
	}
	for len(ask) > 0 {
		some := ask[:min(len(ask), glyphsAtOnce)]
		ask = ask[len(some):]
		doc := fmt.Sprintf("%%PDF-1.7\nxref\n0 0\ntrailer\n<</Size 1/Root<</Encoding<</Differences[%d/%s]>>>>>>\nstartxref\n9\n%%%%EOF%s", unknownGlyph, strings.Join(some, "/"), strings.Repeat("\n", 40))
		r, err := pdf.NewReader(bytes.NewReader([]byte(doc)), int64(len(doc)))
		if err != nil {
			continue
		}
		f := pdf.Font{V: r.Trailer().Key("Root")}
		for k, n := range some {
			if s := f.Encoder().Decode(string([]byte{unknownGlyph + byte(k)})); s != string(rune(unknownGlyph+k)) {
				found[n] = s
			}
		}
	}
	return found
}

// systematic reads the names that say their letter: a, uni00E1, u1F600, f_f_i, and any of them with an ending (a.sc), by the rules of
// Adobe's glyph list.
func systematic(called string) string {
	base, _, _ := strings.Cut(called, ".")
	var b strings.Builder
	for part := range strings.SplitSeq(base, "_") {
		hex, uni := strings.CutPrefix(part, "uni")
		switch {
		case len(part) == 1:
			b.WriteString(part)
		case uni && len(hex) >= 4 && len(hex)%4 == 0:
			for ; len(hex) >= 4; hex = hex[4:] {
				r, err := strconv.ParseUint(hex[:4], 16, 16)
				if err != nil {
					return ""
				}
				b.WriteRune(rune(r))
			}
		case part != "" && part[0] == 'u' && len(part) >= 5 && len(part) <= 7:
			r, err := strconv.ParseUint(part[1:], 16, 21)
			if err != nil {
				return ""
			}
			b.WriteRune(rune(r))
		default:
			return ""
		}
	}
	return b.String()
}

// numbered reads names like a65 and C0065, which the makers of bitmap fonts give to the letter of that number.
func numbered(called string) string {
	digits := strings.TrimLeft(called, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	if n, err := strconv.Atoi(digits); err == nil && len(called)-len(digits) <= 2 && n > ' ' && n < 0x7f {
		return string(rune(n))
	}
	return ""
}
