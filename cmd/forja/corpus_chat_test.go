package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/corpus/dialogue"
	"forja/engine/data/chat"
)

// conversations reads what corpus chat printed.
func conversations(t *testing.T, lines string) (all []dialogue.Conversation) {
	for d := json.NewDecoder(strings.NewReader(lines)); d.More(); {
		var c dialogue.Conversation
		require.NoError(t, d.Decode(&c))
		all = append(all, c)
	}
	return all
}

// letterEncoder has a token for each byte.
type letterEncoder struct{}

func (letterEncoder) EncodeTo(dst []int32, text string) []int32 {
	for i := range len(text) {
		dst = append(dst, int32(text[i]))
	}
	return dst
}

// The fixtures of engine/corpus/dialogue, one of each kind of source.
func chatFixtures() (files []string) {
	for _, name := range []string{"declared-thread.html", "microdata.html", "faq.html", "documentation.pt.html", "faq.md", "questions.txt", "thread-turns.html", "list.mbox"} {
		files = append(files, filepath.Join("..", "..", "engine", "corpus", "dialogue", "testdata", name))
	}
	return files
}

func TestConversationsOfPagesAreWhatInstructionTuningReads(t *testing.T) {
	args := append([]string{"corpus", "chat", "--jsonl"}, chatFixtures()...)
	r := forjaIn(t, "", args...).done(t)
	all := conversations(t, r.stdout)
	kinds := map[string]int{}
	var order []string
	for _, c := range all {
		kinds[c.Type]++
		if len(order) == 0 || order[len(order)-1] != c.ID {
			order = append(order, c.ID)
		}
	}
	assert.Equal(t, map[string]int{"qa": 2, "faq": 14, "forum": 1, "mail": 3}, kinds)
	assert.Equal(t, []string{"declared-thread.html", "microdata.html", "faq.html", "documentation.pt.html", "faq.md", "questions.txt", "thread-turns.html", "list.mbox"}, order)
	assert.Equal(t, r.stdout, forjaIn(t, "", args...).done(t).stdout, "the same again")

	path := filepath.Join(t.TempDir(), "chats.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(r.stdout), 0o644))
	template, err := chat.Parse("{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}")
	require.NoError(t, err)
	codec, err := chat.NewCodec(chat.CodecOptions{Template: template, Encoder: letterEncoder{}, Special: map[string]int32{"<|end|>": 256}, EOS: "<|end|>"})
	require.NoError(t, err)
	set, err := chat.Load(chat.ReadFile(path, chat.ReadOptions{}), path, codec, chat.DatasetOptions{Length: 4096})
	require.NoError(t, err)
	assert.Equal(t, len(all), set.Examples)
	assert.Equal(t, len(all), set.Samples)
	assert.Zero(t, set.Dropped)
	assert.Positive(t, set.Trainable)
}

func TestConversationsOfACrawlNameTheirPages(t *testing.T) {
	b, err := os.ReadFile(chatFixtures()[2])
	require.NoError(t, err)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			fmt.Fprint(w, `<html lang=en><title>Garden</title><a href="/dials">dials</a> <a href="/plan">plan</a>`)
		case "/dials":
			_, _ = w.Write(b)
		case "/plan":
			w.Header().Set("Content-Type", "application/pdf")
			fmt.Fprint(w, "%PDF-1.4 \x00\x01")
		default:
			http.NotFound(w, r)
		}
	}))
	defer s.Close()
	dir := t.TempDir()
	site := filepath.Join(dir, "site")
	forjaIn(t, "", "crawl", s.URL, "-o", site, "--contact", "me@example.org", "--delay", "0", "--workers", "1", "--allow-network", "127.0.0.0/8").done(t)
	r := forjaIn(t, "", "corpus", "chat", "--jsonl", filepath.Join(site, "warc", "crawl-00000.warc.gz")).done(t)
	all := conversations(t, r.stdout)
	require.Len(t, all, 6)
	assert.Equal(t, []string{s.URL + "/dials", "crawl-00000.warc.gz", "en"}, []string{all[0].URL, all[0].Source, all[0].Lang})
	assert.Contains(t, all[0].ID, "urn:uuid:")

	out := filepath.Join(dir, "chats")
	forjaIn(t, "", "corpus", "chat", "--in", filepath.Join(site, "warc"), "--out", out).done(t)
	n := 0
	for _, err := range chat.ReadFile(filepath.Join(out, "crawl-00000.jsonl.gz"), chat.ReadOptions{}) {
		require.NoError(t, err)
		n++
	}
	assert.Equal(t, 6, n)
	assert.NotZero(t, forjaIn(t, "", "corpus", "chat", "--in", filepath.Join(site, "warc"), "--out", out, "--chat.max_answer", "100").code, "other settings need another place")
}

func TestADocumentThatCannotBeReadIsToldAndTheRestGoOn(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.bin")
	require.NoError(t, os.WriteFile(bad, []byte{0, 1, 2}, 0o644))
	r := forjaIn(t, "", "corpus", "chat", bad, chatFixtures()[0], "none.html")
	assert.NotZero(t, r.code)
	assert.Contains(t, r.stdout, "user: How do I temper a chisel?")
	assert.Contains(t, r.err, "bad.bin")
	assert.Contains(t, r.err, "none.html")
	assert.Contains(t, r.err, "2 of 3 documents could not be read")

	assert.NotZero(t, forjaIn(t, "", "corpus", "chat", "--url", "https://example.org/", "a.html", "b.html").code)
	assert.NotZero(t, forjaIn(t, "", "corpus", "chat", "--in", "a", "--out", "b", "--format", "parquet").code)
}
