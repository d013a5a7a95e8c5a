package pdf

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLinesBecomeParagraphs(t *testing.T) {
	text := textOf(t, lines("H", 72, 700,
		"The forge is hot, and the smith has the iron on the anvil. He lifts the",
		"hammer and strikes until the bar is thin enough to be a blade, and then it",
		"goes into the water, which hisses, and the apprentice steps back.")+
		lines("H", 72, 640, "A new paragraph stands apart."))
	assert.Equal(t, "The forge is hot, and the smith has the iron on the anvil. He lifts the hammer and strikes until the bar is thin enough to be a blade, and then it "+
		"goes into the water, which hisses, and the apprentice steps back.\n\nA new paragraph stands apart.", text)
}

func TestIndentationAndShortLinesBeginParagraphs(t *testing.T) {
	text := textOf(t, lines("H", 90, 700, "The first line of this paragraph is set in, as in books, and the")+
		lines("H", 72, 688, "next one is not. This line ends before the margin.")+
		lines("H", 90, 676, "So this is another one, which is set in as well, and which goes on")+
		lines("H", 72, 664, "for one more line that is as long as all the others are in here."))
	assert.Len(t, strings.Split(text, "\n\n"), 2, text)
}

func TestHyphensAtLineEndsGoWhereTheyDoNotBelong(t *testing.T) {
	text := textOf(t, lines("H", 72, 700,
		"It is a well-known fact that smiths like their anvils, and that informa-",
		"tion about them is hard to find. Another fact, well known, is the well-",
		"known hammer: the Anglo-",
		"Saxon one of the years 900-",
		"950, which is famous."))
	assert.Contains(t, text, "information about")
	assert.Contains(t, text, "the well-known hammer")
	assert.Contains(t, text, "Anglo-Saxon one")
	assert.Contains(t, text, "900-950")
}

func TestColumnsAreReadOneAfterTheOther(t *testing.T) {
	left := []string{"Columns are narrow, and many lines", "of them are needed to say what one", "line of a page could have said, but", "they are easier to read by far than", "long lines are in small letters, so", "papers have them."}
	right := []string{"The right column goes on after the", "left one has ended, although lines", "of both are at the same height, and", "a reader who knew no columns would", "have mixed them up word for word in", "a way that no one can read."}
	var mixed strings.Builder
	mixed.WriteString(lines("H", 72, 720, "A title that runs across both of the columns and belongs to neither of the two"))
	for k := range left { // as some programs write them
		y := 700 - 12*float64(k)
		mixed.WriteString(lines("H", 72, y, left[k]) + lines("H", 320, y, right[k]))
	}
	text := textOf(t, mixed.String())
	assert.Contains(t, text, strings.Join(left, " "))
	assert.Contains(t, text, strings.Join(right, " "))
	assert.Less(t, strings.Index(text, "papers have"), strings.Index(text, "The right column"))
	assert.True(t, strings.HasPrefix(text, "A title that runs"))
}

func TestRowsOfATableStayTogether(t *testing.T) {
	var b strings.Builder
	for k, r := range [][3]string{{"metal", "melts at", "use"}, {"iron", "1538", "anvils"}, {"copper", "1085", "kettles"}, {"tin", "232", "solder"}, {"lead", "327", "weights"}} {
		y := 700 - 14*float64(k)
		b.WriteString(lines("H", 72, y, r[0]) + lines("H", 200, y, r[1]) + lines("H", 330, y, r[2]))
	}
	assert.Equal(t, "metal | melts at | use\niron | 1538 | anvils\ncopper | 1085 | kettles\ntin | 232 | solder\nlead | 327 | weights", textOf(t, b.String()))
}

func TestCodeKeepsItsLinesAndIndentation(t *testing.T) {
	text := textOf(t, lines("H", 72, 720, "This is how a program begins in that language, and most others are no shorter:")+
		lines("C", 72, 690, "func main() {")+lines("C", 96, 678, "if x {")+lines("C", 120, 666, "return  1")+lines("C", 96, 654, "}")+lines("C", 72, 642, "}")+
		lines("H", 72, 610, "Then it ends, and so does the chapter that is about the beginning of programs."))
	assert.Contains(t, text, "```\nfunc main() {\n    if x {\n        return  1\n    }\n}\n```")
}

func TestRunningHeadersAndPageNumbersGo(t *testing.T) {
	var programs []string
	for k := range 5 {
		programs = append(programs, lines("H", 72, 770, fmt.Sprintf("Chapter %d. Of smiths", k/2))+
			lines("H", 72, 600, fmt.Sprintf("This is what page %d says about smiths in its first line, which none other has.", k))+
			lines("H", 72, 500, "Same words on every page, but in the middle of it.")+
			lines("H", 300, 30, fmt.Sprintf("%d", 17+k)))
	}
	d, err := Text(pages(testFonts, programs...).file())
	require.NoError(t, err)
	assert.NotContains(t, d.Text, "Chapter")
	assert.NotContains(t, d.Text, "18")
	assert.Equal(t, 5, strings.Count(d.Text, "Same words"))
	assert.Contains(t, d.Text, "what page 4 says")
	assert.Equal(t, 5, d.Pages)
}

func TestAParagraphGoesOnOverThePage(t *testing.T) {
	d, err := Text(pages(testFonts, lines("H", 72, 60, "The sentence that begins on this page does not end before the"), lines("H", 72, 700, "next one has begun, and that is that.")).file())
	require.NoError(t, err)
	assert.Equal(t, "The sentence that begins on this page does not end before the next one has begun, and that is that.", d.Text)
}

func TestGapsSeparateWords(t *testing.T) {
	for program, want := range map[string]string{
		"BT /H 10 Tf 72 700 Td [(one)-278(two)-20(th)15(ree)] TJ ET":                                       "one twothree",
		"BT /H 10 Tf 72 700 Td (one) Tj 25 0 Td (two) Tj ET":                                               "one two",
		"BT /H 10 Tf 72 700 Td 5 Tw (a b) Tj ET":                                                           "a b",
		"BT /H 10 Tf 72 700 Td [(t)-400(r)-400(a)-400(c)-400(k)-400(e)-400(d)-900(l)-400(e)-400(t)] TJ ET": "tracked let",
		"BT /H 10 Tf 72 700 Td (E = mc) Tj /H 6 Tf 4 Ts (2) Tj ET":                                         "E = mc2",
		"q .1 0 0 .1 0 0 cm BT /H 1 Tf 100 0 0 100 720 7000 Tm (scaled up) Tj ET Q":                        "scaled up",
		"BT /H 10 Tf 0 10 -10 0 300 300 Tm (turned) Tj 0 10 -10 0 312 300 Tm (lines) Tj ET":                "turned lines",
		"BT /H 10 Tf 72 700 Td (bold) Tj ET BT /H 10 Tf 72.3 700 Td (bold) Tj ET":                          "bold",
		"BT /H 10 Tf 7 7 -7 7 300 300 Tm (STAMP) Tj ET BT /H 10 Tf 72 700 Td (kept) Tj ET":                 "kept",
		"BT /H 10 Tf 72 700 Td (seen) Tj 0 9000 Td (far off the page) Tj ET":                               "seen",
	} {
		assert.Equal(t, want, textOf(t, program), program)
	}
}

func TestLettersOfFonts(t *testing.T) {
	for program, want := range map[string]string{
		`BT /D 10 Tf 72 700 Td (o\001ce \002 \005y) Tj ET`:                                                              "office ő fly",
		`BT /D 10 Tf 72 700 Td [(caf\003)333(e)] TJ ET`:                                                                 "café",
		`BT /D 10 Tf 72 700 Td [(s\003)300(\004)] TJ ET`:                                                                "sí",
		`BT /H 10 Tf 72 700 Td (na\357ve \223quotes\224 \200) Tj ET`:                                                    "naïve “quotes” €",
		`BT /H 10 Tf 72 700 Td <48 65 6c6C 6f> Tj ET`:                                                                   "Hello",
		`BT /H 10 Tf 72 700 Td (a \(b\) \101\` + "\n" + `c \q) Tj ET`:                                                   "a (b) Ac q",
		`/Span <</ActualText(really)>> BDC BT /H 10 Tf 72 700 Td (rea11y) Tj ET EMC`:                                    "really",
		`/Artifact BMC BT /H 10 Tf 72 760 Td (p. 4) Tj ET EMC BT /H 10 Tf 72 700 Td (body) Tj ET`:                       "body",
		"BT /H 10 Tf 72 700 Td (before) Tj ET BI /W 2 /H 2 ID \x00(]>>EI\xff)( EI\nBT /H 10 Tf 72 600 Td (after) Tj ET": "before\n\nafter",
	} {
		assert.Equal(t, want, textOf(t, program), program)
	}
}

func TestCodesOfSeveralBytesAreMappedToUnicode(t *testing.T) {
	const toUnicode = `/CIDInit /ProcSet findresource begin 12 dict begin begincmap
1 begincodespacerange <0000> <FFFF> endcodespacerange
2 beginbfchar <0001> <0041> <0002> <00660066> endbfchar
2 beginbfrange <0010> <0012> <0430> <0020> <0021> [<D83DDE00> <00E9>] endbfrange
endcmap end end`
	m := pages("/Font<</T 3 0 R>>", "BT /T 10 Tf 72 700 Td <00010002001000110012> Tj 100 0 Td <00200021> Tj ET")
	// Pages and its programs stand before: the font goes where the first program was.
	m.objects = append(m.objects[:2], append([]string{"<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/Identity-H/ToUnicode 4 0 R/DescendantFonts[<</Subtype/CIDFontType2/DW 600/W[1[700 800] 16 18 500]>>]>>",
		stream("", toUnicode)}, m.objects[2:]...)...)
	m.objects[5] = strings.Replace(m.objects[5], "/Contents 3 0 R", "/Contents 5 0 R", 1)
	m.objects[1] = strings.Replace(m.objects[1], "Kids[4 0 R", "Kids[6 0 R", 1)
	d, err := Text(m.file())
	require.NoError(t, err)
	assert.Equal(t, "Affабв 😀é", d.Text)
}

func TestPredefinedMapsOfEastAsia(t *testing.T) {
	for encoding, program := range map[string]string{
		"90ms-RKSJ-H":   "<93fa967b8cea>",
		"UniJIS-UCS2-H": "<65e5672c8a9e>",
		"EUC-H":         "<c6fccbdcb8ec>",
	} {
		font := "/Font<</T<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/" + encoding + "/DescendantFonts[<</Subtype/CIDFontType0>>]>>>>"
		d, err := Text(pages(font, "BT /T 10 Tf 72 700 Td "+program+" Tj ET").file())
		require.NoError(t, err, encoding)
		assert.Equal(t, "日本語", d.Text, encoding)
	}
}

func TestFormsAreDrawnWhereTheyAreCalled(t *testing.T) {
	m := pages(testFonts+"/XObject<</F 3 0 R>>", "")
	m.objects[2] = stream("/Type/XObject/Subtype/Form/Matrix[1 0 0 1 0 100]", lines("H", 72, 500, "in a form"))
	c := m.add(stream("", lines("H", 72, 700, "before it")+" q /F Do Q "+lines("H", 72, 400, "behind it")))
	m.objects[3] = strings.Replace(m.objects[3], "/Contents 3 0 R", fmt.Sprintf("/Contents %d 0 R", c), 1)
	d, err := Text(m.file())
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(d.Text, "before it\n\nin a form"), d.Text)
	assert.True(t, strings.HasSuffix(d.Text, "behind it"))
}

func TestWhatADocumentSaysOfItself(t *testing.T) {
	m := pages(testFonts, lines("H", 72, 700, "body"))
	m.trailer = "/Info<</Title(\xfe\xff\x00S\x00m\x00\xed\x00t\x00h)/Author(A. Smith)/CreationDate(D:20230709120000Z)>>"
	d, err := Text(m.file())
	require.NoError(t, err)
	assert.Equal(t, Document{Title: "Smíth", Author: "A. Smith", Date: "2023-07-09", Lang: "en-GB", Pages: 1, Text: "body"}, d)

	m = pages(testFonts, "BT /H 24 Tf 72 700 Td (Of Iron) Tj ET "+lines("H", 72, 600, "The text below the headline is smaller, and there is more of it than of that."))
	m.trailer = "/Info<</Title(paper-final2.dvi)/CreationDate(D:00000000)>>"
	d, err = Text(m.file())
	require.NoError(t, err)
	assert.Equal(t, "Of Iron", d.Title)
	assert.Empty(t, d.Date)
}
