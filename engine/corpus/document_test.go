package corpus

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestDocumentsComeBackAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want []Document
		var b bytes.Buffer
		for range rapid.IntRange(0, 5).Draw(t, "documents") {
			s := rapid.String()
			d := Document{s.Draw(t, "id"), s.Draw(t, "url"), s.Draw(t, "text"), s.Draw(t, "title"), s.Draw(t, "lang"), s.Draw(t, "type"),
				s.Draw(t, "date"), s.Draw(t, "license"), s.Draw(t, "source"), s.Draw(t, "sha256")}
			want = append(want, d)
			require.NoError(t, Write(&b, d))
		}
		var got []Document
		for d, err := range Read(&b) {
			require.NoError(t, err)
			got = append(got, d)
		}
		assert.Equal(t, want, got)
	})
}

func TestReadNamesTheLineThatIsWrong(t *testing.T) {
	n := 0
	var last error
	for _, err := range Read(strings.NewReader("{\"id\":\"a\",\"text\":\"\"}\n\n{\"id\":3}\n{\"id\":\"b\"}\n")) {
		last = err
		n++
	}
	assert.Equal(t, 2, n)
	assert.ErrorContains(t, last, "line 3")
}

func TestWhatIsNoDocumentIsToldInWordsOfJSON(t *testing.T) {
	for line, want := range map[string]string{
		`{"id":"a"}`:                `not a document: it has no "text"`,
		`{"text":null}`:             `not a document: it has no "text"`,
		`{"text":5}`:                `not a document: "text" is of type number: want a text`,
		`{"text":"a","url":["b"]}`:  `not a document: "url" is of type array: want a text`,
		`{"text":"a","id":{"b":1}}`: `not a document: "id" is {"b":1}: want a text or a number`,
		`["a"]`:                     `not a document: it is of type array: want an object such as {"text": "..."}`,
		`hello`:                     `not a document: not JSON: invalid character 'h' looking for beginning of value`,
	} {
		_, err := Parse([]byte(line))
		assert.EqualError(t, err, want)
	}
}

func TestAnIDMayBeANumber(t *testing.T) {
	for line, want := range map[string]string{`{"id":17,"text":""}`: "17", `{"id":-1.5,"text":""}`: "-1.5", `{"id":null,"text":""}`: "", `{"text":""}`: "", `{"id":"é\n","text":""}`: "é\n"} {
		d, err := Parse([]byte(line))
		require.NoError(t, err)
		assert.Equal(t, want, d.ID)
	}
}

func TestAByteOrderMarkAndLineEndsOfWindowsAreNotPartOfADocument(t *testing.T) {
	var texts []string
	for d, err := range Read(strings.NewReader("\xef\xbb\xbf{\"text\":\"a\"}\r\n{\"text\":\"b\"}\r\n")) {
		require.NoError(t, err)
		texts = append(texts, d.Text)
	}
	assert.Equal(t, []string{"a", "b"}, texts)
}

func TestALongLineIsAnErrorAndNotAllOfMemory(t *testing.T) {
	endless := io.MultiReader(strings.NewReader("{}\n"), zeros{})
	var last error
	for _, err := range Lines(endless) {
		last = err
	}
	assert.ErrorContains(t, last, "line 2: longer than")

	broken := errors.New("broken")
	for _, err := range Lines(io.MultiReader(strings.NewReader("{}"), failing{broken})) {
		last = err
	}
	assert.ErrorIs(t, last, broken)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func FuzzRead(f *testing.F) {
	f.Add([]byte("{\"id\":\"a\",\"text\":\"b\"}\n"))
	f.Add([]byte("\n\r\n{}"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		for range Read(bytes.NewReader(b)) {
		}
	})
}
