package pattern

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func all(t testing.TB, expression, text string) (out []string) {
	t.Helper()
	e, err := Compile(expression)
	require.NoError(t, err, expression)
	for start, end := range e.Matches(text) {
		out = append(out, text[start:end])
	}
	return out
}

func TestMatchesAreThoseOfTheEnginesOfTokenizers(t *testing.T) {
	for _, c := range []struct {
		expression, text string
		want             []string
	}{
		{`\s+`, "a \u0085\u3000b\x1c\ufeff\n", []string{" \u0085\u3000", "\n"}},
		{`[^\s]+`, "a \u00a0b", []string{"a", "b"}},
		{`\S`, "a \u00a0b", []string{"a", "b"}},
		{`\w+|[^\w\s]+`, "héllo_1, नमस्ते!", []string{"héllo_1", ",", "नमस्ते", "!"}},
		{`\d{1,3}`, "1234 ٣", []string{"123", "4", "٣"}},
		{`\d{1,3}(?=(?:\d{3})*\b)`, "1234567", []string{"1", "234", "567"}},
		{`\p{N}{1,2}+`, "12345", []string{"12345"}},
		{`a++b|a`, "aab aac", []string{"aab", "a", "a"}},
		{`(ab)?+c|ab`, "abc ab c", []string{"abc", "ab", "c"}},
		{`[ab]*+b|x`, "abx", []string{"x"}},
		{`é++.`, "ééa", []string{"ééa"}},
		{`\p{L}+`, "a\u1c89\U0002ebf0b", []string{"a\u1c89\U0002ebf0b"}},
		{`x*`, "axxb", []string{"xx"}},
		{`(?!a)\p{L}`, "a\xffb\xe4\xb8c", []string{"b", "c"}},
		{`[]a]+`, "]a", []string{"]a"}},
		{`\+\++`, "+++", []string{"+++"}},
		{`(?i:'s|'t)`, "'S't", []string{"'S", "'t"}},
		{`\p{Han}+`, "a漢字b", []string{"漢字"}},
	} {
		assert.Equal(t, c.want, all(t, c.expression, c.text), c.expression)
	}
}

func TestWhatCannotBeCompiledIsRefused(t *testing.T) {
	for _, expression := range []string{`(`, `[a`, `a{2,1}`, `\`, `(?<n`, "\xff", strings.Repeat("a", maxExpression+1), `*`, `++`, `(+`, `\p{`, `\p{Nope}`} {
		_, err := Compile(expression)
		assert.Error(t, err, "%.20q", expression)
	}
}

func TestExponentialExpressionsEnd(t *testing.T) {
	e, err := Compile(`(?:a+)+(?=b)`)
	require.NoError(t, err)
	require.NotNil(t, e.back)
	e.back.MatchTimeout = 50 * time.Millisecond
	start := time.Now()
	for range e.Matches(strings.Repeat("a", 200)) {
		t.Fatal("there is no match")
	}
	assert.Less(t, time.Since(start), 5*time.Second)
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{`'s|'t| ?\p{L}++|\s+(?!\S)`, `[^\r\n\p{L}]?+\p{N}{1,3}+`, `a{2}b`, `(?<=a)b`, `[\]\\]`, `((((`} {
		f.Add(s, "it's 42  \n ok")
	}
	f.Fuzz(func(t *testing.T, expression, text string) {
		e, err := Compile(expression)
		if err != nil {
			return
		}
		if e.back != nil {
			e.back.MatchTimeout = 20 * time.Millisecond
		}
		last := 0
		for start, end := range e.Matches(text) {
			require.True(t, last <= start && start < end && end <= len(text))
			last = end
		}
	})
}
