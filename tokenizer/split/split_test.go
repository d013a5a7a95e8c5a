package split

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/dlclark/regexp2/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/tokenizer/internal/ucd"
)

// alphabet holds what the expressions tell apart, and neighbours of it.
var alphabet = []string{
	"a", "z", "A", "Z", "s", "S", "t", "T", "re", "RE", "ve", "m", "M", "ll", "lL", "d", "D", "é", "ß", "ſ", "K", "ǅ", "ʰ", "中", "文", "\U0002ebf0", "\u1c89", "あ", "ก", "अ",
	"0", "7", "42", "123", "1234", "²", "½", "Ⅷ", "٣", "𝟘", "\U00010d40",
	"'", "'", "'s", "'S", "'ſ", "'re", "'LL", "’", ".", "!", "-", "_", "/", "$", "€", "😀", "\u0301", "\u200b", "\ufeff", "\u00ad", "\x00", "\x7f", "\ue000", "\U0010ffff",
	" ", " ", "  ", "\t", "\n", "\n\n", "\r", "\r\n", "\v", "\f", "\u0085", "\u00a0", "\u1680", "\u2003", "\u2028", "\u2029", "\u202f", "\u3000", "\x1c", "\x1f", "\u180e",
}

func randomText(rng *rand.Rand) string {
	var b strings.Builder
	for range rng.IntN(24) {
		b.WriteString(alphabet[rng.IntN(len(alphabet))])
	}
	return b.String()
}

// reference compiles an expression for a backtracking engine. It spells out
// where engines differ: what \s is, letters and numbers newer than the engine's
// tables, and that s folds to U+017F.
func reference(t testing.TB, expression string) *regexp2.Regexp {
	const white = `\t-\r \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}`
	later := func(table [][2]rune) (ranges string) {
		for _, r := range table {
			ranges += fmt.Sprintf(`\x{%x}-\x{%x}`, r[0], r[1])
		}
		return ranges
	}
	letters, numbers := `\p{L}`+later(ucd.Letters), `\p{N}`+later(ucd.Numbers)
	// Capitals and small letters of o200k, with the letters that came later.
	capital, small := `\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}`, `\p{Ll}\p{Lm}\p{Lo}\p{M}`
	both := later(ucd.Marks)
	for _, r := range ucd.Letters {
		for c := r[0]; c <= r[1]; c++ {
			if in := [][2]rune{{c, c}}; !ucd.Contains(ucd.Upper, c) && !ucd.Contains(ucd.Lower, c) {
				both += later(in)
			}
		}
	}
	capital, small = `[`+capital+later(ucd.Upper)+both+`]`, `[`+small+later(ucd.Lower)+both+`]`
	expression = strings.NewReplacer(
		`[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`, capital, `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`, small,
		`++`, `+`, `?+`, `?`, `*+`, `*`,
		`[^\s\p{L}\p{N}]`, `[^`+white+letters+numbers+`]`, `[^\r\n\p{L}\p{N}]`, `[^\r\n`+letters+numbers+`]`,
		`[\p{L}]`, `[`+letters+`]`, `[\p{N}]`, `[`+numbers+`]`, `\p{L}`, `[`+letters+`]`, `\p{N}`, `[`+numbers+`]`,
		`(?!\S)`, `(?![^`+white+`])`, `\s`, `[`+white+`]`,
		`(?i:'s|'t|'re|'ve|'m|'ll|'d)`, `(?:'ſ|(?i:'s|'t|'re|'ve|'m|'ll|'d))`, `'(?i:[sdmt]`, `'(?:ſ)|'(?i:[sdmt]`,
	).Replace(expression)
	re, err := regexp2.Compile(expression)
	require.NoError(t, err, expression)
	return re
}

func matches(t testing.TB, re *regexp2.Regexp, text string) []string {
	var out []string
	m, err := re.FindStringMatch(text)
	for ; m != nil && err == nil; m, err = re.FindNextMatch(m) {
		out = append(out, m.String())
	}
	require.NoError(t, err)
	return out
}

func TestScannersGiveTheMatchesOfTheirExpressions(t *testing.T) {
	for _, p := range Patterns() {
		for _, expression := range append([]string{p.Regexp()}, p.equals...) {
			re := reference(t, expression)
			rng := rand.New(rand.NewPCG(1, 2))
			for range 1200 {
				text := randomText(rng)
				require.Equal(t, matches(t, re, text), slices.Collect(p.All(text)), "%s: %q", p.Name(), text)
			}
		}
	}
}

func TestClassesAreThoseOfUnicode16(t *testing.T) {
	letters, numbers, marks := 0, 0, 0
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		class, size := classAt(string(r), 0)
		require.Equal(t, utf8.RuneLen(r), size)
		if class&letter != 0 != (unicode.IsLetter(r) || ucd.Contains(ucd.Letters, r)) || class&number != 0 != (unicode.IsNumber(r) || ucd.Contains(ucd.Numbers, r)) ||
			class&space != 0 != unicode.IsSpace(r) || class&mark != 0 != (unicode.IsMark(r) || ucd.Contains(ucd.Marks, r)) ||
			class&upper != 0 != (unicode.In(r, unicode.Lu, unicode.Lt) || ucd.Contains(ucd.Upper, r)) || class&lower != 0 != (unicode.IsLower(r) && unicode.Is(unicode.Ll, r) || ucd.Contains(ucd.Lower, r)) || class&newline != 0 != (r == '\r' || r == '\n') {
			t.Fatalf("%U has class %b", r, class)
		}
		letters += int(class & letter)
		numbers += int(class & number / number)
		marks += int(class & mark / mark)
	}
	// A Go release with later tables must not change pre-tokens unnoticed.
	assert.Equal(t, 141028, letters)
	assert.Equal(t, 1911, numbers)
	assert.Equal(t, 2501, marks)
}

func TestEdgeCases(t *testing.T) {
	for _, c := range []struct {
		pattern *Pattern
		text    string
		want    []string
	}{
		{GPT2, "", nil},
		{GPT2, " ", []string{" "}},
		{GPT2, "   x", []string{"  ", " x"}},
		{GPT2, "x \n y", []string{"x", " \n", " y"}},
		{GPT2, "a\n\nb", []string{"a", "\n", "\n", "b"}},
		{GPT2, "it's IT'S", []string{"it", "'s", " IT", "'", "S"}},
		{GPT2, "2026-01", []string{"2026", "-", "01"}},
		{CL100K, "it's IT'S", []string{"it", "'s", " IT", "'S"}},
		{CL100K, "12345", []string{"123", "45"}},
		{CL100K, "a.\n\n  b", []string{"a", ".\n\n", " ", " b"}},
		{CL100K, "\t\n \n  x", []string{"\t\n \n", " ", " x"}},
		{CL100K, "$name", []string{"$name"}},
		{Qwen2, "12", []string{"1", "2"}},
		{Nanochat, "12345", []string{"12", "34", "5"}},
		{O200K, "HelloWorld HTTPServer don'tX", []string{"Hello", "World", " HTTPServer", " don't", "X"}},
		{O200K, "\u0301ABC1", []string{"\u0301", "ABC", "1"}},
		{O200K, "中ABC", []string{"中", "ABC"}},
		{O200K, "a/b//\n/c", []string{"a", "/b", "//\n/", "c"}},
		{GPT2, "a\xff\xfeb", []string{"a", "\xff\xfe", "b"}},
		{CL100K, "\xe4\xb8", []string{"\xe4\xb8"}},
	} {
		assert.Equal(t, c.want, slices.Collect(c.pattern.All(c.text)), "%s %q", c.pattern.Name(), c.text)
	}
}

func TestBoundaryIsWhereEveryPatternStartsAPreToken(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	cuts := 0
	for range 3000 {
		text := randomText(rng) + "a b" + randomText(rng)
		for at := Boundary(text, 0); at < len(text); at = Boundary(text, at+1) {
			cuts++
			for _, p := range Patterns() {
				halves := append(slices.Collect(p.All(text[:at])), slices.Collect(p.All(text[at:]))...)
				require.Equal(t, slices.Collect(p.All(text)), halves, "%s %q", p.Name(), text)
			}
		}
	}
	assert.Greater(t, cuts, 3000)
	assert.Equal(t, 3, Boundary("abc", 0))
	assert.Equal(t, 5, Boundary("a b\nc d", 2))
}

func TestPatternsAreFoundByNameAndExpression(t *testing.T) {
	for _, p := range Patterns() {
		for _, name := range append(p.aliases, p.Name()) {
			got, ok := ByName(name)
			require.True(t, ok)
			assert.Same(t, p, got, name)
		}
		for _, expression := range append(p.equals, p.Regexp()) {
			got, ok := ByRegexp(expression)
			require.True(t, ok)
			assert.Same(t, p, got, expression)
		}
	}
	_, ok := ByName("gpt5")
	assert.False(t, ok)
	_, ok = ByRegexp(`\w+`)
	assert.False(t, ok)
}

func FuzzScanners(f *testing.F) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		f.Add(randomText(rng))
	}
	f.Add("a\xffb \xe4\xb8 ")
	references := map[string]*regexp2.Regexp{}
	for _, p := range Patterns() {
		references[p.Name()] = reference(f, p.Regexp())
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range Patterns() {
			pieces := slices.Collect(p.All(text))
			require.Equal(t, text, strings.Join(pieces, ""))
			if utf8.ValidString(text) {
				require.Equal(t, matches(t, references[p.Name()], text), pieces, p.Name())
			}
		}
	})
}

func BenchmarkSplit(b *testing.B) {
	text := strings.Repeat("The quick brown fox, aged 42, doesn't jump over 1,234 lazy dogs.\n\n  Voilà: ça marche. ", 1000)
	for _, p := range Patterns() {
		b.Run(p.Name(), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				for rest := text; len(rest) > 0; rest = rest[p.Next(rest):] {
				}
			}
		})
	}
}
