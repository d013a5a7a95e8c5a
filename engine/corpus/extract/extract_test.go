package extract

import (
	"archive/zip"
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const sentence = "The quick brown fox jumps over the lazy dog near the old river bank, and nobody minds at all. "

func article(inner string) string {
	return `<html lang="pt_br"><head><title>On foxes | The Den</title><meta name=author content="Ana Raposa">
<meta property="article:published_time" content="2024-3-05T10:00:00Z"><link rel=license href="https://creativecommons.org/licenses/by-sa/4.0/"></head>
<body><nav><ul><li><a href="/">Home</a><li><a href="/about">About us</a></ul></nav><div class="sidebar"><a href="/x">Other story</a></div>
<article><h1>On foxes</h1>` + inner + `</article><footer>All rights reserved by the den</footer></body></html>`
}

func TestAnArticleIsItsTextWithoutWhatStandsAround(t *testing.T) {
	r, err := Extract(Source{Name: "a.html", URL: "https://den.example/foxes/"}, []byte(article("<p>"+strings.Repeat(sentence, 3)+
		"</p><div class='share-buttons'><a href='#'>Share this on everything</a></div><p>"+sentence+"</p>")))
	require.NoError(t, err)
	assert.Equal(t, "On foxes\n\n"+strings.TrimSpace(strings.Repeat(sentence, 3))+"\n\n"+strings.TrimSpace(sentence), r.Text)
	assert.Equal(t, "On foxes", r.Title)
	assert.Equal(t, "Ana Raposa", r.Author)
	assert.Equal(t, "2024-03-05", r.Date)
	assert.Equal(t, "pt-BR", r.Lang)
	assert.Equal(t, "CC-BY-SA-4.0", r.License)
	assert.Equal(t, Article, r.Type)
	assert.Equal(t, []string{"https://den.example/", "https://den.example/about", "https://den.example/x"}, r.Links)
}

func TestCodeTablesAndListsKeepTheirForm(t *testing.T) {
	r := HTML([]byte(article("<p>"+sentence+sentence+"</p><pre><code>if x {\n\treturn\n}</code></pre><table><tr><th>Key<th>Value<tr><td>a<td>1</table>"+
		"<ol><li>one<ul><li>deep</ul><li>two</ol><p>"+sentence+"</p>")), "")
	assert.Contains(t, r.Text, "\n\n```\nif x {\n\treturn\n}\n```\n\n")
	assert.Contains(t, r.Text, "Key | Value\na | 1\n")
	assert.Contains(t, r.Text, "1. one\n  - deep\n2. two\n")
}

func TestADiscussionIsItsMessagesInOrderWithTheirAuthors(t *testing.T) {
	var b strings.Builder
	b.WriteString(`<body><div class="topbar"><a href="/">Forums</a></div><div class="posts">`)
	for _, who := range []string{"alice", "bob", "carol"} {
		b.WriteString(`<div class="post" id="p1"><div class="userinfo"><a class="username" href="/u">` + who + `</a><div class="usertitle">Senior Member since 2003</div></div>
<time datetime="2024-01-02">2 January 2024</time><div class="post-body">` + who + ` says: ` + sentence + `</div><div class="signature">Sent from my toaster</div></div>`)
	}
	r := HTML([]byte(b.String()+"</div></body>"), "")
	assert.Equal(t, Forum, r.Type)
	assert.NotContains(t, r.Text, "toaster")
	assert.NotContains(t, r.Text, "Senior")
	parts := strings.Split(r.Text, "\n\n")
	require.Len(t, parts, 6)
	assert.Equal(t, "bob\n2 January 2024", parts[2])
	assert.Equal(t, "bob says: "+strings.TrimSpace(sentence), parts[3])
}

func TestReadersCommentsAreNotTheArticle(t *testing.T) {
	var b strings.Builder
	for range 20 {
		b.WriteString(`<li class="comment"><b class="comment-author">Reader</b><div class="comment-content">I disagree. ` + sentence + `</div></li>`)
	}
	r := HTML([]byte(article("<p>"+strings.Repeat(sentence, 18)+"</p>")+`<ol class="commentlist">`+b.String()+"</ol>"), "")
	assert.Contains(t, r.Text, "quick brown fox")
	assert.NotContains(t, r.Text, "disagree")
}

func TestCommentsInNestedTablesKeepTheirQuestion(t *testing.T) {
	var b strings.Builder
	for k, who := range []string{"dan", "eve", "fay"} {
		b.WriteString(`<tr class="athing comtr" id="4` + who + `"><td><table><tr><td class="ind"><td class="default"><span class="comhead"><a class="hnuser" href="u">` + who +
			`</a> <span class="age"><a href="i">` + string(rune('1'+k)) + ` hours ago</a></span></span><div class="comment"><div class="commtext">` + who + ` thinks. ` + sentence + `<p>More of it.</div></div></table>`)
	}
	r := HTML([]byte("<body><table><tr><td><div class='toptext'>Why? "+sentence+sentence+"</div><table>"+b.String()+"</table></table>"), "")
	assert.Equal(t, Forum, r.Type)
	assert.Equal(t, "Why? "+strings.TrimSpace(sentence+sentence)+"\n\ndan\n1 hours ago\n\ndan thinks. "+strings.TrimSpace(sentence)+"\n\nMore of it.", strings.Join(strings.Split(r.Text, "\n\n")[:4], "\n\n"))
	assert.Equal(t, 3, strings.Count(r.Text, "More of it."))
}

func TestEntriesOfABlogAreNoMessages(t *testing.T) {
	var b strings.Builder
	for range 5 {
		b.WriteString(`<div class="post"><h2><a href="/entry">The title of one of the entries</a></h2><span class="author">Ana</span><p>` + sentence + `</p></div>`)
	}
	r := HTML([]byte("<body>"+b.String()+"</body>"), "")
	assert.NotEqual(t, Forum, r.Type)
	assert.Contains(t, r.Text, "The title of one of the entries")
}

func TestWhatIsAboutOtherTextsGoesWithItsHeading(t *testing.T) {
	r := HTML([]byte(article("<p>"+strings.Repeat(sentence, 6)+"</p><h2>Related articles</h2><p>A fox in the city. "+sentence+"</p><h2>Sources</h2><p>"+sentence+"</p>")), "")
	assert.NotContains(t, r.Text, "Related")
	assert.NotContains(t, r.Text, "city")
	assert.Contains(t, r.Text, "Sources\n\nThe quick")
}

func TestTheIntroductionBesideTheBodyIsPartOfTheText(t *testing.T) {
	page := `<body><div class="page"><header><h1>On foxes</h1></header><div class="intro"><p>Introduction. ` + sentence + `</p><figure><figcaption>Foxes at noon. ` + sentence +
		`</figcaption></figure></div><div class="columns"><div class="text"><p>` + strings.Repeat(sentence, 9) + `</p><p>` + sentence + `</p></div></div></div></body>`
	r := HTML([]byte(page), "")
	assert.True(t, strings.HasPrefix(r.Text, "Introduction. The quick"), r.Text)
	assert.NotContains(t, r.Text, "noon")
	r = HTML([]byte(strings.Replace(page, "<h1>On foxes</h1>", "", 1)), "")
	assert.NotContains(t, r.Text, "Introduction", "without a heading nothing says that it belongs to the text")
}

func TestCaptionsGoAndLongTextsInFiguresStay(t *testing.T) {
	r := HTML([]byte(article("<p>"+strings.Repeat(sentence, 4)+"</p><figure><figcaption>A fox. Photo: Ana</figcaption></figure><div class='wp-caption-text'>Ana, with hat</div>"+
		"<figure><figcaption>At length. "+strings.Repeat(sentence, 4)+"</figcaption></figure><p>"+sentence+"</p>")), "")
	assert.NotContains(t, r.Text, "Ana")
	assert.Contains(t, r.Text, "At length")
}

func TestCustomersOpinionsAreNotTheProduct(t *testing.T) {
	page := article(`<p>A fox of plush. ` + sentence + `</p><ul><li>Made of wool</ul><section class="product-reviews"><p>I love it. ` + strings.Repeat(sentence, 9) + `</p></section>`)
	r := HTML([]byte(strings.Replace(page, "<head>", `<head><meta property="og:type" content="product">`, 1)), "")
	assert.Equal(t, Product, r.Type)
	assert.Contains(t, r.Text, "Made of wool")
	assert.NotContains(t, r.Text, "love it")
	assert.Contains(t, HTML([]byte(page), "").Text, "love it", "a page about something else may consist of opinions")
}

func TestQuotesOfMessagesOnThePageAreNotRepeated(t *testing.T) {
	post := func(who, text string) string {
		return `<div class="post"><span class="username">` + who + `</span><time>2 May 2024</time><div class="post-body">` + text + `</div></div>`
	}
	r := HTML([]byte("<body>"+post("alice", "Foxes first. "+sentence)+
		post("bob", `<blockquote class="quote"><cite>alice said:</cite><div>Foxes first. `+sentence+`</div></blockquote>I agree. `+sentence)+
		post("carol", `<blockquote class="quote"><div>From a page before this one, long ago.</div></blockquote>So it was. `+sentence)+"</body>"), "")
	assert.Equal(t, Forum, r.Type)
	assert.Equal(t, 1, strings.Count(r.Text, "Foxes first"))
	assert.NotContains(t, r.Text, "alice said")
	assert.Contains(t, r.Text, "From a page before")
}

func TestABodyOfAMessageThatHoldsLittleOfItIsNotItsText(t *testing.T) {
	post := `<div class="post"><span class="author">Ana</span><div class="content">In short</div><div><p>` + strings.Repeat(sentence, 3) + `</p></div></div>`
	r := HTML([]byte("<body>"+post+post+"</body>"), "")
	assert.Equal(t, 6, strings.Count(r.Text, "quick brown fox"))
}

func TestFormsToFillInGoAndFormsAroundTheTextStay(t *testing.T) {
	form := `<form action="/subscribe"><p>Foxes in your letter box.</p><input type=email><button>Send</button></form>`
	r := HTML([]byte(article("<p>"+strings.Repeat(sentence, 9)+"</p>"+form+"<p>"+sentence+"</p>")), "")
	assert.NotContains(t, r.Text, "letter box")
	r = HTML([]byte("<body><form method=post><input type=text>"+article("<p>"+strings.Repeat(sentence, 9)+"</p>")+"</form></body>"), "")
	assert.Contains(t, r.Text, "quick brown fox")
}

func TestAPageWithoutSentencesIsNotLeftOutWhole(t *testing.T) {
	var b strings.Builder
	for range 40 {
		b.WriteString("<li><a href='/x'>A fox of plush</a> <span>12 EUR</span></li>")
	}
	r := HTML([]byte("<body><nav><a href='/'>Home</a></nav><div style='display: none'><ul>"+b.String()+"</ul></div></body>"), "")
	assert.Equal(t, 40, strings.Count(r.Text, "fox of plush"))
	assert.NotContains(t, r.Text, "Home")
}

func TestAnEmptyTitleInADrawingSwallowsNothing(t *testing.T) {
	r := HTML([]byte(article(`<a href="#"><svg><title/><style/><path d=""/></svg></a><p>`+sentence+sentence+"</p>")), "")
	assert.Contains(t, r.Text, "quick brown fox")
}

func TestCharsetsComeFromMarkHeaderAndMeta(t *testing.T) {
	latin := []byte(article("<p>Cora\xe7\xe3o. " + sentence + "</p>"))
	for name, c := range map[string]struct {
		page   []byte
		header string
	}{
		"header":          {latin, "text/html; charset=iso-8859-1"},
		"meta":            {bytes.Replace(latin, []byte("<head>"), []byte("<head><meta charset=windows-1252>"), 1), ""},
		"nothing":         {latin, ""},
		"UTF-8":           {[]byte(article("<p>Coração. " + sentence + "</p>")), ""},
		"UTF-8, mistaken": {[]byte(article("<p>Coração. " + sentence + "</p>")), "text/html; charset=iso-8859-1"},
		"mark":            {append([]byte("\xef\xbb\xbf"), article("<p>Coração. "+sentence+"</p>")...), "text/html; charset=iso-8859-1"},
		"UTF-16":          {utf16be(article("<p>Coração. " + sentence + "</p>")), ""},
	} {
		assert.Contains(t, HTML(c.page, c.header).Text, "Coração. The quick", name)
	}
}

func utf16be(s string) []byte {
	b := []byte{0xfe, 0xff}
	for _, r := range s {
		b = append(b, byte(r>>8), byte(r))
	}
	return b
}

func TestABodyThatBeginsInTheHeadOrEndsEarlyLosesNothing(t *testing.T) {
	p := "<p>" + sentence + sentence + "</p>"
	for _, page := range []string{"<html><head><title>x</title><body></head>" + p, "<html><head></head><body></body>" + p, "<title>x</title>" + p, "<head>" + p + "</head>"} {
		assert.Equal(t, strings.TrimSpace(sentence+sentence), HTML([]byte(page), "").Text, page)
	}
}

func TestHostilePagesTakeBoundedTime(t *testing.T) {
	p := "<p>" + sentence + "</p>"
	for name, page := range map[string]string{
		"deep nesting":        strings.Repeat("<div>", 200_000) + p,
		"deep lists":          strings.Repeat("<ul><li>", 100_000) + p,
		"deep quotes, closed": strings.Repeat("<blockquote>", 100_000) + p + strings.Repeat("</blockquote>", 100_000),
		"deep tables":         strings.Repeat("<table><tr><td>", 60_000) + p,
		"huge colspan":        "<table><tr><td colspan=1000000000 rowspan=1000000000>a<td>b</table>" + p,
		"many cells":          "<table>" + strings.Repeat("<tr><td>a<td>b", 60_000) + "</table>" + p,
		"many stray ends":     strings.Repeat("<b><i><div>", 100) + strings.Repeat("</p></span></a>", 60_000) + p,
		"open paragraphs":     strings.Repeat("<p><b><a href=x>", 60_000) + p,
		"long attribute":      "<div class='" + strings.Repeat("post comment ", 100_000) + "'>" + p + "</div>",
		"many attributes":     "<div " + strings.Repeat("class=a id=b data-c=d ", 100_000) + ">" + p,
		"nested messages":     strings.Repeat("<div class='comment'><b class=author>x</b><div class=body>y", 30_000) + p,
		"many messages":       strings.Repeat("<div class='post'><b class=author>x</b>"+p+"</div>", 5_000),
		"nested pre":          strings.Repeat("<pre>", 60_000) + p,
		"open tag":            "<div " + strings.Repeat("x", 1<<20),
		"open comment":        p + "<!--" + strings.Repeat("-", 1<<20),
		"open svg":            "<svg>" + p,
		"deep JSON":           "<script type='application/ld+json'>" + strings.Repeat("[", 1<<18) + "</script>" + p,
	} {
		start := time.Now()
		r := HTML([]byte(page), "")
		assert.Less(t, time.Since(start), 5*time.Second, name)
		if name != "open tag" && name != "many cells" { // nothing to see; a table so large is the content
			assert.True(t, strings.Contains(r.Text, "quick"), name)
		}
	}
}

func TestFormatsAreToldApart(t *testing.T) {
	for _, c := range []struct {
		src  Source
		data string
		want string
	}{
		{Source{Name: "x.html"}, "", "html"},
		{Source{}, "<!DOCTYPE html><p>", "html"},
		{Source{ContentType: "text/html; charset=utf-8", Name: "x.txt"}, "", "html"},
		{Source{Name: "README.md"}, "# A", "markdown"},
		{Source{Name: "list.mbox"}, "", "mbox"},
		{Source{}, "From ana Mon Jan  1 00:00:00 2024\nSubject: a\n", "mbox"},
		{Source{}, "Once upon a time", "text"},
		{Source{}, "%PDF-1.7", ""},
		{Source{}, "\x7fELF\x00\x00", ""},
	} {
		assert.Equal(t, c.want, format(c.src, []byte(c.data)), "%v %q", c.src, c.data)
	}
	_, err := Extract(Source{}, []byte("%PDF-1.7"))
	assert.ErrorIs(t, err, ErrFormat)
}

func TestMarkdownGivesUpItsFrontMatter(t *testing.T) {
	r := Markdown([]byte("---\ntitle: \"A: B\"\ndate: 2020-01-02\nlang: pt\n---\n# Head\n\n\n\ntext  \n"))
	assert.Equal(t, Result{Title: "A: B", Date: "2020-01-02", Lang: "pt", Type: Text, Text: "# Head\n\ntext"}, r)
}

func TestAMailboxIsItsMessagesWithoutAddresses(t *testing.T) {
	r := Mbox([]byte("From a@x Mon Jan  1 00:00:00 2024\nFrom: =?utf-8?q?Jos=C3=A9?= <jose@x.example>\nDate: Mon, 1 Jan 2024 10:00:00 +0000\nSubject: Hello\n\n" +
		"First text.\n\nFrom b@x Mon Jan  1 00:00:00 2024\nFrom: bea@x.example\nSubject: Re: Hello\nContent-Type: multipart/alternative; boundary=q\n\n" +
		"--q\nContent-Type: text/html\n\n<p>no</p>\n--q\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nol=E1 =\nBea\n--q--\n"))
	assert.Equal(t, "José\n2024-01-01\nHello\n\nFirst text.\n\nbea\nRe: Hello\n\nolá Bea", r.Text)
	assert.Equal(t, "Hello", r.Title)
	assert.NotContains(t, r.Text, "@")
}

func book(t testing.TB, chapters ...string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	put := func(name, s string) {
		w, err := z.Create(name)
		require.NoError(t, err)
		_, err = w.Write([]byte(s))
		require.NoError(t, err)
	}
	put("mimetype", "application/epub+zip")
	put("META-INF/container.xml", `<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>`)
	var items, spine string
	for k, c := range chapters {
		id := string(rune('a' + k))
		items += `<item id="` + id + `" href="` + id + `%20.xhtml"/>`
		spine = `<itemref idref="` + id + `"/>` + spine
		put("OPS/"+id+" .xhtml", c)
	}
	put("OPS/book.opf", `<package xmlns:dc="x"><metadata><dc:title>Dom Casmurro</dc:title><dc:creator>Machado</dc:creator><dc:date>1899-01-01</dc:date>
<dc:language>pt-BR</dc:language></metadata><manifest>`+items+`</manifest><spine>`+spine+`</spine></package>`)
	require.NoError(t, z.Close())
	return b.Bytes()
}

func TestABookIsItsChaptersInTheOrderOfItsSpine(t *testing.T) {
	r, err := Extract(Source{Name: "b.epub"}, book(t, "<html><body><p>second</p></body></html>", "<html><body><h1>first</h1><p>text</p></body></html>"))
	require.NoError(t, err)
	assert.Equal(t, Result{Type: Book, Title: "Dom Casmurro", Author: "Machado", Date: "1899-01-01", Lang: "pt-BR", Text: "first\n\ntext\n\nsecond"}, r)
	_, err = EPUB([]byte("PK\x03\x04 broken"))
	assert.Error(t, err)
}

func FuzzHTML(f *testing.F) {
	f.Add([]byte(article("<p>" + sentence + "</p><pre>x\n<table><tr><td>1</table>")))
	f.Add([]byte("<div class='post comment'><b class=author>x</b><div class=body>y</div></div><div class='post'><time>1</time>z"))
	f.Add([]byte("<p><table><li></p></table><a><a></svg><svg><title></p><select><option>x</html>"))
	f.Add([]byte("\xff\xfe<\x00p\x00>\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := HTML(b, "")
		if !bytes.Contains(b, []byte("\x00")) && len(r.Text) > 8*len(b)+1000 {
			t.Fatalf("%d bytes of page gave %d of text", len(b), len(r.Text))
		}
		tr := parse(b)
		for i := 1; i < len(tr.nodes); i++ {
			n := tr.nodes[i]
			if n.parent < 0 || int(n.parent) >= i || int(n.end) <= i || n.end > tr.nodes[n.parent].end {
				t.Fatalf("node %d: parent %d, end %d, parent's end %d", i, n.parent, n.end, tr.nodes[n.parent].end)
			}
		}
	})
}

func FuzzEPUB(f *testing.F) {
	f.Add(book(f, "<p>one</p>", "<p>two</p>"))
	f.Fuzz(func(_ *testing.T, b []byte) { EPUB(b) })
}

func FuzzMbox(f *testing.F) {
	f.Add([]byte("From a\nFrom: b <c@d>\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\ntext\n--x\nContent-Type: text/html\n\n<p>a\n--x--\n"))
	f.Fuzz(func(_ *testing.T, b []byte) { Mbox(b) })
}

func FuzzMarkdown(f *testing.F) {
	f.Add([]byte("---\ntitle: x\n---\n# a\n```\ncode\n```\n"))
	f.Fuzz(func(_ *testing.T, b []byte) { Markdown(b) })
}

func TestMarksThatPointToAHeadingAreNoText(t *testing.T) {
	r, err := Extract(Source{Name: "a.html"}, []byte(`<h1>Bellows<a class="headerlink" href="#bellows" title="Permalink">¶</a></h1>
		<p>A bellows feeds the fire with air<a href="#fn1">1</a>, and section <a href="law.html#5">§ 5</a> says how much of it is too much for a forge in a village.</p>
		<dl><dt>press(hard)<a href="#press"><span>#</span></a></dt><dd>Sends air into the fire, as much as fits into the skin of a goat.</dd></dl>`))
	require.NoError(t, err)
	assert.Contains(t, r.Text, "Bellows\n")
	assert.Contains(t, r.Text, "press(hard)\n")
	assert.Contains(t, r.Text, "air1, and section § 5 says")
}
