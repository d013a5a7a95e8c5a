package pdf

import (
	"bytes"
	"compress/lzw"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func sample(t testing.TB, name string) []byte {
	b, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	return b
}

func TestEncryptionWithoutAPasswordIsUndone(t *testing.T) {
	for _, name := range []string{"rc4-128.pdf", "aes-128.pdf"} {
		d, err := Text(sample(t, name))
		require.NoError(t, err, name)
		assert.Equal(t, "The smith keeps no secrets.", d.Text, name)
		assert.Equal(t, "Secrets", d.Title, name)
	}
	for name, why := range map[string]string{"password.pdf": "with a password", "aes-256.pdf": "not read here", "rc4-40.pdf": "128 bits"} {
		_, err := Text(sample(t, name))
		require.ErrorIs(t, err, ErrEncrypted, name)
		assert.ErrorContains(t, err, why, name)
	}
}

func TestObjectsInStreamsAreFound(t *testing.T) {
	whole := sample(t, "packed.pdf")
	d, err := Text(whole)
	require.NoError(t, err)
	assert.Equal(t, "The smith keeps no secrets.", d.Text)
	assert.Equal(t, "Secrets", d.Title)

	cut := whole[:bytes.LastIndex(whole, []byte("startxref"))]
	cut = regexp.MustCompile(`/Type ?/XRef`).ReplaceAll(cut, []byte("/Type/Lost"))
	d, err = Text(cut)
	require.NoError(t, err, "and without tables")
	assert.Equal(t, "The smith keeps no secrets.", d.Text)
}

func TestDamagedFilesAreReadAsFarAsTheyGo(t *testing.T) {
	whole := pages(testFonts, lines("H", 72, 700, "First page."), lines("H", 72, 700, "Second page.")).file()
	both := "First page.\n\nSecond page."
	replaced := func(old, new string) []byte { return bytes.Replace(whole, []byte(old), []byte(new), 1) }
	k := bytes.Index(whole, []byte("startxref"))
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"junk before":       {append([]byte("HTTP/1.1 200 OK\r\n\r\n"), whole...), both},
		"junk behind":       {append(bytes.Clone(whole), "\n<!-- served in 3 ms -->"...), both},
		"another version":   {replaced("%PDF-1.4\n", "%PDF-2.0\r"), both},
		"no end":            {whole[:k], both},
		"no table":          {whole[:bytes.Index(whole, []byte("xref\n0"))], both},
		"wrong table place": {regexp.MustCompile(`startxref\n\d+`).ReplaceAll(whole, []byte("startxref\n7")), both},
		"wrong offsets":     {regexp.MustCompile(`\n\d{10} 00000 n`).ReplaceAll(whole, []byte("\n0000000011 00000 n")), both},
		"no catalogue":      {replaced("/Type/Catalog", "/Type/Catalan"), both},
		"second page lost":  {whole[:bytes.LastIndex(whole, []byte("/Type/Page"))], "First page."},
	} {
		d, err := Text(c.data)
		if assert.NoError(t, err, name) {
			assert.Equal(t, c.want, d.Text, name)
		}
	}
}

func TestFiltersThatTheLibraryLacksAreUndone(t *testing.T) {
	program := lines("H", 72, 700, strings.Repeat("A line that is packed in one of the old ways, again and again. ", 300))
	short := lines("H", 72, 700, "A short line.")
	var z bytes.Buffer
	w := lzw.NewWriter(&z, lzw.MSB, 8)
	_, err := w.Write([]byte(short)) // the standard library's codes grow later than PDF's, unless told otherwise
	require.NoError(t, err)
	require.NoError(t, w.Close())
	var runs strings.Builder
	for rest := program; rest != ""; {
		n := min(len(rest), 128)
		runs.WriteByte(byte(n - 1))
		runs.WriteString(rest[:n])
		rest = rest[n:]
	}
	runs.WriteByte(128)
	want := textOf(t, program)
	const row = 50
	var rows strings.Builder
	padded := program + strings.Repeat(" ", (row-len(program)%row)%row)
	for k := 0; k < len(padded); k += row {
		kind := byte(k / row % 5)
		rows.WriteByte(kind)
		for j := range row {
			var left, above, corner byte
			if j > 0 {
				left = padded[k+j-1]
			}
			if k > 0 {
				above = padded[k-row+j]
			}
			if j > 0 && k > 0 {
				corner = padded[k-row+j-1]
			}
			guess := []byte{0, left, above, byte((int(left) + int(above)) / 2), paeth(left, above, corner)}
			rows.WriteByte(padded[k+j] - guess[kind])
		}
	}
	for name, c := range map[string]struct{ dict, data, want string }{
		"hex":        {"/Filter/ASCIIHexDecode", hex.EncodeToString([]byte(program)) + ">", want},
		"run length": {"/Filter/RunLengthDecode", runs.String(), want},
		"two":        {"/Filter[/ASCIIHexDecode/RunLengthDecode]", hex.EncodeToString([]byte(runs.String())), want},
		"lzw":        {"/Filter/LZWDecode/DecodeParms<</EarlyChange 0>>", z.String(), textOf(t, short)},
		"predicted":  {fmt.Sprintf("/Filter/FlateDecode/DecodeParms<</Predictor 15/Columns %d>>", row), deflated(rows.String()), want},
	} {
		m := pages(testFonts, "")
		m.objects[2] = stream(c.dict, c.data)
		d, err := Text(m.file())
		if assert.NoError(t, err, name) {
			assert.Equal(t, c.want, d.Text, name)
		}
	}
}

func TestLZWByTheExampleOfTheStandard(t *testing.T) { // ISO 32000-1, 7.4.4.2
	assert.Equal(t, []byte{45, 45, 45, 45, 45, 65, 45, 45, 45, 66}, unLZW([]byte{0x80, 0x0b, 0x60, 0x50, 0x22, 0x0c, 0x0c, 0x85, 0x01}, true, 100))
}

func TestDocumentsWithoutLettersSaySo(t *testing.T) {
	_, err := Text([]byte("<html>%PD F"))
	require.ErrorIs(t, err, ErrFormat)
	_, err = Text(pages("/XObject<</I<</Subtype/Image>>>>", "/I Do").file())
	require.ErrorIs(t, err, ErrNoText)
	assert.ErrorContains(t, err, "pictures")
	_, err = Text(pages("/Font<</X<</Subtype/Type0/Encoding/Identity-H/DescendantFonts[<<>>]>>>>", "BT /X 9 Tf 9 9 Td <00010002> Tj ET").file())
	require.ErrorIs(t, err, ErrNoText)
	assert.ErrorContains(t, err, "fonts")
}

// hostile documents and the text that is got out of them all the same. What makes the library itself endless is not here: that is for
// the process around it (see cmd/forja).
func hostile() map[string][]byte {
	body := lines("H", 72, 700, "text")
	bad := map[string][]byte{}
	m := pages(testFonts, body)
	m.objects[1] = strings.Replace(m.objects[1], "Kids[", "Kids[2 0 R 2 0 R 1 0 R ", 1)
	bad["pages in a circle"] = m.file()
	m = pages(testFonts, body)
	m.objects[1] = strings.Replace(m.objects[1], "/Count 1", "/Count 999999999999", 1)
	bad["a count"] = m.file()
	m = pages(testFonts, body)
	m.trailer = "/Prev 15"
	m.objects[0] += strings.Repeat(" ", 100)
	bad["tables in a circle"] = regexp.MustCompile(`/Prev 15`).ReplaceAll(m.file(), fmt.Appendf(nil, "/Prev %d", bytes.Index(m.file(), []byte("xref\n0"))))
	m = pages(testFonts, body+strings.Repeat("[", 1<<20)+body)
	bad["nesting"] = m.file()
	m = pages(testFonts, body+strings.Repeat("q ", 1<<20)+strings.Repeat("/P BMC ", 1<<18))
	bad["saved states"] = m.file()
	m = pages(testFonts+"/XObject<</F 3 0 R>>", "")
	m.objects[2] = stream("/Subtype/Form", body+strings.Repeat(" /F Do", 50))
	m.objects[3] = strings.Replace(m.objects[3], "/Contents 3 0 R", "/Contents 3 0 R", 1)
	bad["forms in a circle"] = m.file()
	m = pages(testFonts, body+strings.Repeat(" ", 80<<20))
	bad["a bomb"] = m.file()
	m = pages(testFonts, body+lines("H", 1e300, 1e300, "x")+"BT /H 1e9 Tf 1e38 0 0 1e38 1e38 1e38 Tm (far) Tj ET")
	bad["numbers"] = m.file()
	m = pages(testFonts+"/Dummy<<"+strings.Repeat("/A[", 5000)+">>", body)
	bad["objects in one another"] = m.file()
	m = pages("/Font<</H<</Subtype/Type0/Encoding 5 0 R/ToUnicode 5 0 R/DescendantFonts[<</W[0 4000000000 1 0 99999999999 5]>>]>>>>", body)
	m.add(stream("", "1 begincodespacerange <00> <ff> endcodespacerange 1 beginbfrange <00> <ffffffff> <0041> endbfrange "+
		strings.Repeat("<00> <ff> [<0041>] ", 1000)+" endbfrange "+strings.Repeat("<00> <ffffffff> 5 ", 1000)+" endcidrange"))
	bad["maps"] = m.file()
	return bad
}

func TestHostileFilesTakeBoundedTime(t *testing.T) {
	for name, data := range hostile() {
		begin := time.Now()
		d, err := Text(data)
		if err == nil {
			assert.NotEmpty(t, d.Text, name)
		}
		t.Logf("%s: %v %.40q %v", name, time.Since(begin).Round(time.Millisecond), d.Text, err)
		assert.Less(t, time.Since(begin), 10*time.Second, name)
	}
}
