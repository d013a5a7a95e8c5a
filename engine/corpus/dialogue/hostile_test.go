package dialogue

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/corpus/extract"
)

// quickly holds hostile input to a minute: each takes less than a second of a processor, and input that has no bound would take hours.
func quickly(t *testing.T, name, data string) Found {
	start := time.Now()
	f := read(t, Default(), name, []byte(data))
	assert.Less(t, time.Since(start), time.Minute, "%d bytes", len(data))
	return f
}

func TestHostilePagesTakeBoundedTime(t *testing.T) {
	deep := func(open, in, end string, n int) string { return strings.Repeat(open, n) + in + strings.Repeat(end, n) }
	ld := func(s string) string {
		return `<html><script type="application/ld+json">` + s + `</script><p>text</p></html>`
	}
	qa := `{"@type":"Question","name":"Is it deep enough?","acceptedAnswer":{"@type":"Answer","text":"It is as deep as the well behind the house of my uncle was."}}`
	for name, data := range map[string]string{
		"lists in lists":             ld(deep("[", qa, "]", 9_000)),
		"things in things":           ld(deep(`{"mainEntity":`, qa, "}", 9_000)),
		"no end":                     ld(strings.Repeat(`{"@graph":[`, 100_000)),
		"many things":                ld("[" + strings.Repeat(`{"@type":"Question","name":"Why?"},`, 60_000) + qa + "]"),
		"control characters":         ld("\x01\x02" + qa),
		"many scripts":               strings.Repeat(ld(qa), 5_000),
		"properties in properties":   "<html>" + deep(`<div itemprop=text>`, strings.Repeat("word ", 100_000), "</div>", 250) + "</html>",
		"properties of one":          "<div itemscope itemtype=x/Question>" + deep(`<div itemprop=text>`, strings.Repeat("<b>word</b> ", 30_000), "</div>", 250) + "</div>",
		"items in items":             "<html>" + deep(`<div itemscope itemprop="mainEntity item comment hasPart" itemtype=x/FAQPage>`, "", "</div>", 250) + "</html>",
		"questions and nothing else": "<html>" + strings.Repeat("<h2>Why is it so?</h2>", 15_000) + "</html>",
		"questions in questions":     "<html>" + deep("<dl><dt>Why is it so deep?<dd>", "x", "", 15_000) + "</html>",
		"links to questions":         "<html>" + strings.Repeat(`<a href="#q">Why is it so?</a><a name=q></a>`, 20_000) + "</html>",
		"unfolding":                  "<html>" + strings.Repeat(`<div class=accordion-title>Why is it so?</div>`, 15_000) + "</html>",
		"quotations":                 "<html>" + strings.Repeat(`<div class=post><b class=author>`+"u"+`</b><blockquote>`+strings.Repeat("word ", 50)+`</blockquote><p>What do you mean by this and that?</p></div>`, 1_500) + "</html>",
		"rules":                      "<html><div class=post><i class=author>a</i>" + strings.Repeat("<p>----<p>-----<p>------", 8_000) + "</div><div class=post><i class=author>b</i>" + strings.Repeat("<p>a rule here", 1000) + "</div></html>",
	} {
		t.Run(name, func(t *testing.T) { quickly(t, "page.html", data) })
	}
}

func TestHostileMailboxesTakeBoundedTime(t *testing.T) {
	letter := func(id, answers, text string) string {
		return fmt.Sprintf("From x Mon Jan  7 10:00:00 2002\nFrom: %s\nSubject: s\nMessage-ID: <%s>\nIn-Reply-To: <%s>\n\n%s\n\n", id, id, answers, text)
	}
	var ring, chain strings.Builder
	for k := range 2_000 {
		ring.WriteString(letter(fmt.Sprint(k), fmt.Sprint((k+1)%2_000), "> why is the ring round?\n\nbecause it has no end"))
		chain.WriteString(letter(fmt.Sprint(k), fmt.Sprint(k-1), "Why is the chain so long? Any help is welcome, dear friends of the chain."))
	}
	for name, data := range map[string]string{
		"a ring":         ring.String(),
		"a chain":        chain.String(),
		"itself":         letter("a", "a", "Why?"),
		"rules":          letter("a", "", strings.Repeat("----\n-----\n", 100_000)),
		"quoted":         letter("a", "", strings.Repeat("> a\nb\n", 100_000)) + letter("b", "a", strings.Repeat("> a\nb\n", 9_000)),
		"broken headers": strings.Repeat("From x\nSubject\n\n", 50_000),
	} {
		t.Run(name, func(t *testing.T) { quickly(t, "list.mbox", data) })
	}
}

func TestHostileMarkdownTakesBoundedTime(t *testing.T) {
	for name, data := range map[string]string{
		"questions": strings.Repeat("# Why is it so?\n", 15_000),
		"below one": "# Why is it so?\n" + strings.Repeat("## a title\n", 100_000),
		"bold":      strings.Repeat("**", 1_000_000),
		"one line":  strings.Repeat("# Why? ", 1_000_000),
	} {
		t.Run(name, func(t *testing.T) { quickly(t, "faq.md", data) })
	}
}

func TestAConversationIsTakenOnceWhateverSaysIt(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "declared-faq.html"))
	require.NoError(t, err)
	assert.Len(t, read(t, Default(), "faq.html", append(data, data...)).Conversations, 2)
}

func FuzzPages(f *testing.F) {
	names, err := filepath.Glob(filepath.Join("testdata", "*.*"))
	require.NoError(f, err)
	for _, name := range names {
		data, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(filepath.Base(name), data)
	}
	f.Add("a.html", []byte(`<div itemscope itemtype=Question><b itemprop=name>Why?<script type="application/ld+json">{"@type":["Question",1],"name":{"@value":["a"]}}`))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		for _, name := range []string{name, "a.html"} {
			got, err := Read(Default(), extract.Source{Name: name}, data)
			if err != nil {
				continue
			}
			for _, c := range got.Conversations {
				require.GreaterOrEqual(t, len(c.Messages), 2)
				require.Zero(t, len(c.Messages)%2, "a conversation ends with an answer")
				for k, m := range c.Messages {
					require.Equal(t, []string{"user", "assistant"}[k%2], m.Role)
					require.NotEmpty(t, strings.TrimSpace(m.Content))
				}
			}
		}
	})
}
