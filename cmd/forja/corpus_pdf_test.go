package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/corpus"
)

// pdfPage is the objects of a document of one page.
func pdfPage(text string) []string {
	program := fmt.Sprintf("BT /H 10 Tf 72 700 Td (%s) Tj ET", text)
	return []string{
		"<</Type/Catalog/Pages<</Kids[2 0 R]>>>>",
		"<</Type/Page/MediaBox[0 0 612 792]/Contents 3 0 R/Resources<</Font<</H<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>",
		fmt.Sprintf("<</Length %d>>stream\n%s\nendstream", len(program), program),
	}
}

// pdfBody writes objects, and says where each is.
func pdfBody(objects ...string) (b *bytes.Buffer, at []int) {
	b = bytes.NewBufferString("%PDF-1.4\n")
	for k, o := range objects {
		at = append(at, b.Len())
		fmt.Fprintf(b, "%d 0 obj\n%s\nendobj\n", k+1, o)
	}
	return b, at
}

func pdfFile(objects ...string) string {
	b, at := pdfBody(objects...)
	table := b.Len()
	fmt.Fprintf(b, "xref\n1 %d\n", len(at))
	for _, a := range at {
		fmt.Fprintf(b, "%010d 00000 n \n", a)
	}
	fmt.Fprintf(b, "trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(at)+1, table)
	return b.String()
}

// pdfPacked is a document whose root is in a stream of objects: number 1, in stream, which is object 2. stream itself may be said to be
// in another.
func pdfPacked(stream string, within byte) string {
	b, at := pdfBody("null", stream)
	table := b.Len()
	entry := func(kind byte, where int, index byte) []byte {
		return append(binary.BigEndian.AppendUint16([]byte{kind}, uint16(where)), index)
	}
	rows := append(entry(0, 0, 0), entry(2, 2, 0)...)
	if within != 0 {
		rows = append(rows, entry(2, int(within), 0)...)
	} else {
		rows = append(rows, entry(1, at[1], 0)...)
	}
	fmt.Fprintf(b, "3 0 obj\n<</Type/XRef/Size 3/W[1 2 1]/Root 1 0 R/Length %d>>stream\n%s\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n", len(rows), rows, table)
	return b.String()
}

// hostilePDFs end, hang or swell the library that reads them, and so the process that it runs in.
var hostilePDFs = map[string]struct{ data, told string }{
	"hang.pdf":    {pdfPacked("<</Type/ObjStm/N 1/First 4/Length 9>>stream\n1 0 <aabb\nendstream", 0), "took too long: more than "},
	"recurse.pdf": {pdfPacked("<</Type/ObjStm/N 1/First 4/Length 9>>stream\n1 0 <<>> \nendstream", 2), "crashed: runtime: goroutine stack exceeds"},
	"swell.pdf":   {strings.Replace(pdfFile(pdfPage("x")...), "xref\n1 3", "xref\n3000000000 3", 1), "needed too much memory: more than 256 MiB"},
	"cut.pdf":     {pdfFile(pdfPage("x")...)[:40], "damaged"},
	"picture.pdf": {pdfFile(pdfPage("")...), "no text on its 1 pages: they may be pictures"},
}

func TestAHostilePDFCostsItselfOnly(t *testing.T) {
	dir := t.TempDir()
	put := func(name, data string) string {
		name = filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(name, []byte(data), 0o644))
		return name
	}
	args := []string{"corpus", "extract", "--jsonl"}
	var want []string
	for k, bad := range []string{"hang.pdf", "recurse.pdf", "swell.pdf", "cut.pdf", "picture.pdf"} {
		good := fmt.Sprintf("good-%d.pdf", k)
		args = append(args, put(bad, hostilePDFs[bad].data), put(good, pdfFile(pdfPage(fmt.Sprintf("Page %d.", k))...)))
		want = append(want, fmt.Sprintf("Page %d.", k))
	}
	r := forjaIn(t, "", args...)
	assert.Equal(t, exitFailed, r.code)
	var texts []string
	for d, err := range corpus.Read(strings.NewReader(r.stdout)) {
		require.NoError(t, err)
		texts = append(texts, d.Text)
		assert.Equal(t, "article", d.Type)
	}
	assert.Equal(t, want, texts)
	for name, bad := range hostilePDFs {
		assert.Regexp(t, name+`.*`+bad.told, r.err)
	}
	assert.Contains(t, r.err, "5 of 10 files or pages could not be read")
}

func TestPDFsAreKnownByWhatTheyAre(t *testing.T) {
	page := pdfFile(pdfPage("A page.")...)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write([]byte("\r\n" + page))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	assert.Equal(t, "A page.\n", forjaIn(t, page, "corpus", "extract", "-").done(t).stdout, "by their first bytes")
	assert.Equal(t, "A page.\n", forja(t, "corpus", "extract", write(t, "page.pdf.gz", packed.String())).done(t).stdout, "packed")
	assert.Equal(t, "A page.\n", forja(t, "corpus", "extract", write(t, "page.pdf", "junk "+page)).done(t).stdout, "by their name")
	assert.Equal(t, "How %PDF- files begin\n", forja(t, "corpus", "extract", write(t, "page.html", "<html><p>How %PDF- files begin</p>")).done(t).stdout, "what only speaks of them")
}
