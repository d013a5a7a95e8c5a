package filter

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

func TestPersonalDataIsReplacedAndNothingElse(t *testing.T) {
	for text, want := range map[string]string{
		"write to Ana.Silva+spam@mail.example.com.br.":    "write to E.",
		"<joe@example.org>, (x_y@a-b.io)":                 "<E>, (E)",
		"a@b no, @handle no, user@localhost no, x@1.2 no": "a@b no, @handle no, user@localhost no, x@1.2 no",
		"é@exemplo.com":                                           "é@exemplo.com",
		"the host 8.8.8.8, and 8.8.4.4:53.":                       "the host I, and I:53.",
		"10.0.0.1 192.168.1.1 127.0.0.1 192.0.2.7 169.254.1.1":    "10.0.0.1 192.168.1.1 127.0.0.1 192.0.2.7 169.254.1.1",
		"2606:4700:4700::1111 is public, fe80::1 and ::1 are not": "I is public, fe80::1 and ::1 are not",
		"version 1.2.3.4.5 and 300.1.2.3":                         "version 1.2.3.4.5 and 300.1.2.3",
		"std::vector and a::b, at 12:30:45":                       "std::vector and a::b, at 12:30:45",
		"call +55 11 91234-5678 now":                              "call P now",
		"call (11) 91234-5678 or (11) 1234-5678.":                 "call P or P.",
		"call (212) 555-0123, 212-555-0123 or 1-212-555-0123":     "call P, P or P",
		"+1 (212) 555-0123":                                       "P",
		"from 2020-01-02 to 2021.03.04, 1234567890 times":         "from 2020-01-02 to 2021.03.04, 1234567890 times",
		"(1) 2345 and 3.14159 and +5 and (2024) 10":               "(1) 2345 and 3.14159 and +5 and (2024) 10",
		"isbn 978-3-16-148410-0, 555-0123-4567-8901":              "isbn 978-3-16-148410-0, 555-0123-4567-8901",
		"": "",
	} {
		want = strings.NewReplacer("E", EmailReplacement, "I", IPReplacement, "P", PhoneReplacement).Replace(want)
		got, _ := Redact(text)
		assert.Equal(t, want, got)
	}
}

func TestRedactionIsStableAndCounted(t *testing.T) {
	text, n := Redact("a.b@example.net 9.9.9.9 +44 20 7946 0958 and c@d.ee")
	assert.Equal(t, Redactions{Emails: 2, IPs: 1, Phones: 1}, n)
	again, n := Redact(text)
	assert.Equal(t, text, again)
	assert.Equal(t, Redactions{Emails: 2, IPs: 1}, n)
}

func TestRedactionKeepsWhatIsAround(t *testing.T) {
	piece := rapid.StringMatching(`[ a-z,()+@.:0-9é-]{0,30}`)
	rapid.Check(t, func(t *rapid.T) {
		before, after := piece.Draw(t, "before"), piece.Draw(t, "after")
		text, n := Redact(before + " \njohn@example.com\n " + after)
		assert.Contains(t, text, "\n"+EmailReplacement+"\n")
		assert.Positive(t, n.Emails)
	})
}

func FuzzRedact(f *testing.F) {
	f.Add("a@b.c 1.2.3.4 ::1 +123456789 (11) 91234-5678 (")
	f.Add("@.@..@-.")
	f.Fuzz(func(t *testing.T, text string) {
		got, n := Redact(text)
		if n == (Redactions{}) {
			assert.Equal(t, text, got)
		}
	})
}
