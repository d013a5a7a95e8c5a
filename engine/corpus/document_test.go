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
