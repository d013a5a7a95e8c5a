package pdf

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A maker writes PDFs: object k+1 is the k-th string.
type maker struct {
	objects []string
	trailer string // more of it
}

func (m *maker) add(object string) int {
	m.objects = append(m.objects, object)
	return len(m.objects)
}

func stream(dict, data string) string {
	return fmt.Sprintf("<<%s/Length %d>>stream\n%s\nendstream", dict, len(data), data)
}

func deflated(data string) string {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	_, _ = z.Write([]byte(data))
	_ = z.Close()
	return b.String()
}

// file writes the objects with a table. Object 1 is the catalogue.
func (m *maker) file() []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
	at := make([]int, len(m.objects))
	for k, o := range m.objects {
		at[k] = b.Len()
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", k+1, o)
	}
	table := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(at)+1)
	for _, a := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", a)
	}
	fmt.Fprintf(&b, "trailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n", len(at)+1, m.trailer, table)
	return b.Bytes()
}

// The fonts of documents that pages writes, by their names in programs.
const testFonts = "/Font<</H<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>/C<</Type/Font/Subtype/Type1/BaseFont/Courier/Encoding/WinAnsiEncoding>>" +
	"/D<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding<</BaseEncoding/WinAnsiEncoding/Differences[1/ffi/uni0151/acute/dotlessi/f_l/nosuchname]>>>>>>"

// pages is a document with a page for every program.
func pages(resources string, programs ...string) *maker {
	m := &maker{objects: []string{"<</Type/Catalog/Pages 2 0 R/Lang(en-GB)>>", ""}}
	var kids strings.Builder
	for _, p := range programs {
		c := m.add(stream("/Filter/FlateDecode", deflated(p)))
		fmt.Fprintf(&kids, "%d 0 R ", m.add(fmt.Sprintf("<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents %d 0 R>>", c)))
	}
	m.objects[1] = fmt.Sprintf("<</Type/Pages/Count %d/Resources<<%s>>/Kids[%s]>>", len(programs), resources, kids.String())
	return m
}

// lines draws lines of text in a font of 10 points with a leading of 12, from a place on.
func lines(font string, x, y float64, text ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "BT /%s 10 Tf 12 TL %g %g Td ", font, x, y)
	for k, l := range text {
		if k > 0 {
			b.WriteString("T* ")
		}
		fmt.Fprintf(&b, "(%s) Tj ", strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`).Replace(l))
	}
	b.WriteString("ET\n")
	return b.String()
}

func textOf(t testing.TB, program string) string {
	d, err := Text(pages(testFonts, program).file())
	require.NoError(t, err)
	return d.Text
}
