package dialogue

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/internal/shareddata"
)

// Of 240 pages, 49 of them of forums, most threads of which are talk. The floors are a little under what was found when fifty of each kind
// were read.
func TestPagesOfTheWebGiveConversationsOfEachKind(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(shareddata.Path(t, "html/pages"), "*.html.gz"))
	require.NoError(t, err)
	require.Len(t, files, 240)
	kinds := map[string]int{}
	for _, name := range files {
		f, err := os.Open(name)
		require.NoError(t, err)
		z, err := gzip.NewReader(f)
		require.NoError(t, err)
		data, err := io.ReadAll(z)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		for _, c := range read(t, Default(), "page.html", data).Conversations {
			kinds[c.Type]++
			question, answer := c.Messages[0].Content, c.Messages[len(c.Messages)-1].Content
			assert.NotEqual(t, question, answer, name)
			assert.NotContains(t, answer, "\u00b6", name)
			assert.LessOrEqual(t, len(answer), Default().MaxAnswer+100, name) // placeholders may be longer than what they replace
		}
	}
	t.Log(kinds)
	assert.GreaterOrEqual(t, kinds[Declared], 43)
	assert.GreaterOrEqual(t, kinds[FAQ], 230)
	assert.GreaterOrEqual(t, kinds[Forum], 11)
}
