package extract

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// outline writes items as one line each.
func outline(b *strings.Builder, it *Item, indent string) {
	fmt.Fprintf(b, "%s%s\n", indent, it.Type)
	for _, p := range it.Properties {
		if p.Item != nil {
			fmt.Fprintf(b, "%s .%s\n", indent, p.Name)
			outline(b, p.Item, indent+"  ")
			continue
		}
		fmt.Fprintf(b, "%s .%s %q\n", indent, p.Name, p.Text)
	}
}

func outlines(page string) string {
	var b strings.Builder
	for _, it := range Open([]byte(page), "").Items() {
		outline(&b, &it, "")
	}
	return b.String()
}

func TestDataAndMarkupDescribeTheSameThings(t *testing.T) {
	data := outlines(`<script type="application/ld+json">
[{"@type": ["http://schema.org/FAQPage"], "name": {"@value": "Ovens"}, "url": "left out", "mainEntity": [{"@type": "Question", "name": "How
hot &amp; how long?", "acceptedAnswer": {"@type": "Answer", "text": "<p>Very <b>hot</b>.</p><ul><li>two hours</ul>", "upvoteCount": 3, "author": {"@type": "Person", "name": "Bo"}}}]}]
</script>`)
	assert.Equal(t, `FAQPage
 .mainEntity
  Question
   .name "How hot & how long?"
   .acceptedAnswer
    Answer
     .text "Very hot.\n\n- two hours"
     .author
      Person
       .name "Bo"
     .upvoteCount "3"
 .name "Ovens"
`, data)

	markup := outlines(`<div itemscope itemtype="https://schema.org/FAQPage"><h1 itemprop="name">Ovens</h1><i itemprop="url">left out</i>
<div itemprop="mainEntity" itemscope itemtype="https://schema.org/Question"><h2 itemprop="name">How hot?</h2>
<div itemprop="acceptedAnswer" itemscope itemtype="https://schema.org/Answer"><meta itemprop="upvoteCount" content="3"><div itemprop="text"><p>Very <b>hot</b>.</p><ul><li>two hours</ul></div></div></div></div>
<span itemprop="name">of nothing</span><div itemscope>no type</div>`)
	assert.Equal(t, `FAQPage
 .name "Ovens"
 .mainEntity
  Question
   .name "How hot?"
   .acceptedAnswer
    Answer
     .upvoteCount "3"
     .text "Very hot.\n\n- two hours"

`, markup)
}

func TestLettersSayWhatTheyAnswer(t *testing.T) {
	box := "From a Mon Jan  7 10:00:00 2002\nFrom: Ann <ann@x.example>\nSubject: =?utf-8?q?p=C3=A3o?=\nMessage-ID: <1@x>\nDate: Mon, 7 Jan 2002 10:00:00 +0100\n\nHow?\n" +
		"\nFrom b Mon Jan  7 11:00:00 2002\nFrom: bo@x.example\nSubject: Re: x\nIn-Reply-To: message <2@x> of today\nReferences: <0@x> <1@x>\n <2@x>\n\n> How?\nSo.\n"
	var got []Letter
	for l := range Letters([]byte(box)) {
		got = append(got, l)
	}
	require.Len(t, got, 2)
	assert.Equal(t, Letter{ID: "1@x", Author: "Ann", Date: "2002-01-07", Subject: "pão", Text: "How?"}, got[0])
	assert.Equal(t, Letter{Answers: []string{"2@x", "2@x", "1@x", "0@x"}, Author: "bo", Subject: "Re: x", Text: "> How?\nSo."}, got[1])
}

func TestTheWordsOfAHeadingInAnIDSayNothingOfItsPart(t *testing.T) {
	p := "<p>" + strings.Repeat(sentence, 4) + "</p>"
	r := HTML([]byte("<body><main><section><h1>Foxes</h1>"+strings.Repeat(p, 6)+`</section><section id="how-do-foxes-share-their-food"><h2><a class="toc-backref" href="#c">How do foxes share?</a></h2>`+p+"</section></main></body>"), "")
	assert.Contains(t, r.Text, "How do foxes share?\n\nThe quick brown fox")
}

func FuzzItems(f *testing.F) {
	f.Add(`{"@type":"Question","name":["a",{"@value":1}],"acceptedAnswer":{"text":"&lt;p&gt;b"}}`, `<div itemscope itemtype=a/b itemprop="text name"><b itemprop=text>c<i itemscope>`)
	f.Add(strings.Repeat(`{"mainEntity":[`, 50), strings.Repeat(`<p itemscope itemprop=item>`, 50))
	f.Add("\x00{", "<div itemscope itemtype=/><meta itemprop=name content=x>")
	f.Fuzz(func(t *testing.T, data, markup string) {
		page := `<script type="application/ld+json">` + data + "</script>" + markup
		first := outlines(page)
		require.LessOrEqual(t, strings.Count(first, "\n"), 10*len(page)+maxItems)
		require.Equal(t, first, outlines(page))
		p := Open([]byte(markup), "")
		p.Thread()
		headings := p.Headings()
		for k := range headings {
			p.Below(headings, k, func(next int) bool { return headings[next].Level <= headings[k].Level })
		}
	})
}
