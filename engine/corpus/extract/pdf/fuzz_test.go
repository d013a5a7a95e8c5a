package pdf

import (
	"bytes"
	"regexp"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// endless is what can make the library take endless time, stack or memory: numbers of a size that no small file needs, and
// objects in streams. A process around it is for those.
var endless = regexp.MustCompile(`\d{6}|ObjStm|XRef`)

func sound(t *testing.T, d Document, err error) {
	if err != nil {
		require.Empty(t, d.Text)
		return
	}
	require.NotEmpty(t, d.Text)
	require.LessOrEqual(t, len(d.Text), maxText)
	for _, s := range []string{d.Text, d.Title, d.Author, d.Date, d.Lang} {
		require.True(t, utf8.ValidString(s), "%q", s)
	}
}

func FuzzText(f *testing.F) {
	small := func(m *maker) []byte { // offsets of ten digits would be left out
		return regexp.MustCompile(`\n0000(\d{6}) `).ReplaceAll(m.file(), []byte("\n$1 "))
	}
	f.Add(small(pages(testFonts, lines("H", 72, 700, "one page"))))
	m := pages(testFonts, lines("H", 72, 700, "one page"), lines("C", 72, 700, "and another"))
	m.trailer = "/Info<</Title(Smith)/CreationDate(D:2023)>>"
	f.Add(small(m)[:900])
	f.Add([]byte("%PDF-1.4\n1 0 obj<</Type/Page/Contents 2 0 R/Resources<</Font<</F<</BaseFont/Times>>>>>>>>endobj 2 0 obj<</Length 30>>stream\nBT /F 9 Tf 9 9 Td (x) Tj\nendstream"))
	f.Add([]byte("%PDF-1.7\nstartxref\n9\n%%EOF"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<13 || endless.Match(bytes.ReplaceAll(data, []byte("0000"), nil)) {
			return
		}
		d, err := Text(data)
		sound(t, d, err)
	})
}

func FuzzPage(f *testing.F) {
	f.Add([]byte(lines("H", 72, 700, "one line", "and another")+lines("C", 72, 600, "code")), []byte("1 beginbfchar <01> <0041> endbfchar"))
	f.Add([]byte("BT /T 10 Tf 72 700 Td [<0001>-300(ab)] TJ 0 10 -10 0 300 300 Tm (up) ' ET q 2 0 0 2 0 0 cm /F Do Q"), []byte("1 begincodespacerange <00> <ff> endcodespacerange 1 beginbfrange <00> <ff> <0041> endbfrange"))
	f.Add([]byte("/Span<</ActualText(x)>>BDC (a)Tj EMC BI /W 1 ID xx EI /Artifact BMC"), []byte("1 begincidrange <0000> <ffff> 7 endcidrange 2 beginbfrange <00> <05> [<0041> <>] endbfrange"))
	f.Fuzz(func(t *testing.T, program, charMap []byte) {
		if len(program)+len(charMap) > 1<<14 {
			return
		}
		const resources = testFonts + "/XObject<</F 5 0 R>>"
		m := &maker{objects: []string{"<</Type/Catalog/Pages<</Kids[2 0 R 2 0 R]>>>>", "",
			stream("", string(program)), stream("", string(charMap)), stream("/Subtype/Form", string(program))}}
		wide := "/T<</Subtype/Type0/BaseFont/X/Encoding 4 0 R/ToUnicode 4 0 R/DescendantFonts[<</DW 500/W[1[300 400] 7 9 200]>>]>>"
		m.objects[1] = "<</Type/Page/MediaBox[0 0 612 792]/Contents 3 0 R/Resources<<" + regexp.MustCompile(`^/Font<<`).ReplaceAllString(resources, "/Font<<"+wide) + ">>>>"
		d, err := Text(m.file())
		sound(t, d, err)
	})
}
