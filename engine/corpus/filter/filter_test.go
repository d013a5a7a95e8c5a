package filter

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"forja/engine/corpus"
)

func words(text string) (list []string) {
	for i := 0; ; {
		start, end, _, _ := nextWord(text, i)
		if start == len(text) {
			return list
		}
		list = append(list, text[start:end])
		i = end
	}
}

func TestWordsAreCutWhereReadersCutThem(t *testing.T) {
	for text, want := range map[string]string{
		"Don't stop, l’été!":       "Don't|stop|,|l’été|!",
		"3.14 or 1,000. v2.0":      "3.14|or|1,000|.|v2.0",
		"wait... what?! -- ###":    "wait|...|what|?|!|--|###",
		"the 'quoted' word's end'": "the|'|quoted|'|word's|end|'",
		"你好world":                  "你|好|world",
		"نص عربي":                  "نص|عربي",
		"a_b  c\u00a0d":            "a_b|c|d",
		"":                         "",
	} {
		assert.Equal(t, want, strings.Join(words(text), "|"))
	}
}

func TestWordsCoverATextWithoutItsSpace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		at, total := 0, 0
		for i := 0; ; {
			start, end, runes, _ := nextWord(text, i)
			for j := at; j < start; {
				c, n := class(text, j)
				assert.EqualValues(t, space, c)
				j += n
			}
			if start == len(text) {
				break
			}
			assert.Equal(t, utf8.RuneCountInString(text[start:end]), runes)
			require.Greater(t, end, start)
			at, i = end, end
			total += runes
		}
		all := scan(nil, text)
		assert.Equal(t, total, all[len(all)-1].before)
	})
}

func TestURLsAreBlockedByEachList(t *testing.T) {
	list := func(entries ...string) map[string]bool {
		l, err := ReadList(strings.NewReader("# comment\n\n" + strings.Join(entries, "\n") + "\n"))
		require.NoError(t, err)
		return l
	}
	config := Default()
	config.Lists = &Lists{Domains: list("bad.example"), URLs: list("http://ok.example/page/"), Words: list("casino"), SoftWords: list("win", "cash"),
		Subwords: []string{"freemoney"}}
	c := NewOnly(config, "url")
	for url, rule := range map[string]string{
		"https://bad.example/":               "domain",
		"https://a.b.BAD.example:8080/x":     "domain",
		"https://notbad.example/":            "",
		"https://ok.example/page":            "url",
		"https://ok.example/page2":           "",
		"https://x.example/best-casino.html": "hard_blacklisted",
		"https://x.example/casinos":          "",
		"https://x.example/win/win":          "",
		"https://x.example/win?cash=1":       "soft_blacklisted",
		"https://x.example/get-free-mo.ney/": "blacklisted_subword",
		"":                                   "",
		"https://[broken":                    "",
	} {
		assert.Equal(t, rule, c.Check(corpus.Document{URL: url}, 1).Rule, url)
	}
}

func TestOnlySureDocumentsOfAWantedLanguageAreKept(t *testing.T) {
	config := Default()
	config.Languages = []string{"en", "pt"}
	c := NewOnly(config, "language")
	assert.True(t, c.Check(corpus.Document{Lang: "pt"}, 0.66).Keep)
	assert.Equal(t, "language_score", c.Check(corpus.Document{Lang: "pt"}, 0.65).Rule, "FineWeb keeps what is above")
	assert.Equal(t, "language", c.Check(corpus.Document{Lang: "de"}, 1).Rule)
	assert.True(t, NewOnly(Default(), "language").Check(corpus.Document{Lang: "de"}, 0).Keep)
}

func TestStopWordsAreThoseOfTheLanguage(t *testing.T) {
	text := strings.Repeat("palavra casa livro mesa ", 20) + "que não"
	c := NewOnly(Default(), "gopher_quality")
	assert.True(t, c.Check(corpus.Document{Text: text, Lang: "pt"}, 1).Keep)
	assert.Equal(t, "gopher_enough_stop_words", c.Check(corpus.Document{Text: text}, 1).Rule)
	assert.True(t, c.Check(corpus.Document{Text: text, Lang: "tlh"}, 1).Keep, "a language without a list")
	for _, language := range StopWordLanguages() {
		list := strings.Fields(stopWords[language])
		assert.LessOrEqual(t, len(list), 64, language)
		for _, w := range list {
			assert.Equal(t, []string{w}, words(w), language)
		}
	}
}

func TestAZeroTurnsARuleOff(t *testing.T) {
	c := New(Config{})
	for _, text := range []string{"x\nx\nx", "{ lorem ipsum", "# # # ...", "of the the the the cat [1]"} {
		findings, v := c.Explain(corpus.Document{Text: text}, 0)
		assert.True(t, v.Keep, "%s: %s", text, v.Rule)
		for _, f := range findings {
			assert.True(t, f.OK, "%s: %+v", text, f)
		}
	}
}

func TestEmptyAndOddTextsHaveAVerdict(t *testing.T) {
	c := New(Default())
	rapid.Check(t, func(t *rapid.T) {
		d := corpus.Document{Text: strings.Repeat(rapid.String().Draw(t, "text"), rapid.IntRange(0, 3).Draw(t, "times"))}
		v := c.Check(d, 1)
		assert.Equal(t, v, New(Default()).Check(d, 1), "a checker's memory of the document before")
		findings, _ := c.Explain(d, 1)
		for _, f := range findings {
			assert.False(t, f.Value != f.Value || f.Value < 0, "%+v", f)
		}
	})
}

func TestADocumentCostsNoMemoryPerWord(t *testing.T) {
	d := corpus.Document{Text: strings.Repeat("the cat sat and that dog ran with me to be of have.\n", 1) + strings.Repeat("w ", 5000)}
	c := New(Default())
	c.Check(d, 1)
	assert.LessOrEqual(t, testing.AllocsPerRun(10, func() { c.Check(d, 1) }), 1.0)
}

func TestEvaluationTextsAreFoundInDocuments(t *testing.T) {
	c := NewContamination(5)
	c.Add("What is the capital of France? Paris, of course.")
	c.Add("Too short")
	c.Add("Four words are enough")
	assert.Equal(t, 0, c.Find("The capital of France is Paris."))
	assert.Equal(t, 1, c.Find("Somebody asked: THE CAPITAL; of france — paris!"))
	assert.Equal(t, 5, c.Find("what is the capital of france paris of course"))
	assert.Equal(t, 1, c.Find("So four words are enough today"))
	assert.Equal(t, 0, c.Find("too short"))
	assert.Equal(t, 0, NewContamination(0).Find("anything"))
}

func FuzzCheck(f *testing.F) {
	f.Add("The cat...\n\n• a {b} [1] lorem ipsum\u2028x", "http://a.b/c")
	f.Add("[[]][edit] \xff\xfe ’'’", "::")
	c := New(Default())
	c.config.Lists = &Lists{Domains: map[string]bool{"a": true}, Subwords: []string{"zz"}}
	f.Fuzz(func(_ *testing.T, text, url string) {
		c.Check(corpus.Document{Text: text, URL: url}, 1)
		c.Explain(corpus.Document{Text: text, URL: url}, 1)
	})
}
