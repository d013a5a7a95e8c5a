package dialogue

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/corpus/extract"
)

func read(t testing.TB, c Config, name string, data []byte) Found {
	f, err := Read(c, extract.Source{Name: name, URL: "https://example.org/" + name}, data)
	require.NoError(t, err)
	return f
}

// written is a conversation as the files of expectations have it.
func written(f Found) string {
	var b strings.Builder
	for _, c := range f.Conversations {
		fmt.Fprintln(&b, strings.TrimSpace("=== "+c.Type+" "+c.Lang+" "+c.License))
		for _, m := range c.Messages {
			fmt.Fprintf(&b, "<%s>\n%s\n", m.Role, m.Content)
		}
	}
	return b.String()
}

func TestEachSourceGivesTheConversationsThatAReaderFinds(t *testing.T) {
	for _, name := range []string{"declared-thread.html", "declared-faq.html", "microdata.html", "faq.html", "documentation.pt.html", "faq.md",
		"questions.txt", "thread-turns.html", "thread-votes.html", "thread-accepted.html", "thread-chat.html", "list.mbox"} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("testdata", name))
			require.NoError(t, err)
			want, err := os.ReadFile(filepath.Join("testdata", strings.TrimSuffix(name, ".html")+".want"))
			require.NoError(t, err)
			got := read(t, Default(), name, data)
			assert.Equal(t, string(want), written(got))
			for _, c := range got.Conversations {
				assert.Equal(t, "https://example.org/"+name, c.URL)
			}
			assert.Equal(t, got, read(t, Default(), name, data), "the same again")
		})
	}
}
