package dialogue

import (
	"archive/zip"
	"bytes"
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

func TestChaptersOfABookAreReadLikePages(t *testing.T) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range [][2]string{
		{"mimetype", "application/epub+zip"},
		{"META-INF/container.xml", `<container><rootfiles><rootfile full-path="book.opf"/></rootfiles></container>`},
		{"book.opf", `<package><metadata><title>Bread</title><rights>https://creativecommons.org/licenses/by/4.0/</rights></metadata>
<manifest><item id="a" href="a.xhtml"/><item id="b" href="b.xhtml"/></manifest><spine><itemref idref="a"/><itemref idref="b"/></spine></package>`},
		{"a.xhtml", "<html><body><h1>Bread</h1><p>It is about bread.</p></body></html>"},
		{"b.xhtml", "<html><body><h1>Dough</h1><h2>Why does the dough not rise?</h2><p>The kitchen is too cold: put the bowl beside the stove and wait another hour.</p></body></html>"},
	} {
		w, err := z.Create(f[0])
		require.NoError(t, err)
		_, err = w.Write([]byte(f[1]))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	assert.Equal(t, "=== faq en CC-BY-4.0\n<user>\nWhy does the dough not rise?\n<assistant>\n"+
		"The kitchen is too cold: put the bowl beside the stove and wait another hour.\n", written(read(t, Default(), "bread.epub", b.Bytes())))
	_, err := Read(Default(), extract.Source{Name: "bread.epub"}, []byte("PK"))
	assert.Error(t, err)
	_, err = Read(Default(), extract.Source{Name: "bread"}, []byte{0, 1, 2})
	assert.ErrorIs(t, err, extract.ErrFormat)
}
