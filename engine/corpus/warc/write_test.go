package warc

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"forja/engine/vfs"
)

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	page := []byte("<html>é</html>")
	message := append([]byte("HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n"), page...)
	response := Draft{Type: TypeResponse, Date: day, URI: "http://example.org/", ContentType: "application/http;msgtype=response", Head: message[:len(message)-len(page)], Block: page, Payload: Digest(page),
		Truncated: TruncatedLength}
	drafts := []Draft{
		Info(day, Header{{"software", "forja"}, {"robots", "classic\r\ninjected: no"}}),
		response,
		{Type: TypeRequest, Date: day, URI: "http://example.org/", ContentType: "application/http;msgtype=request", Block: []byte("GET / HTTP/1.1\r\n\r\n"),
			Extra: Header{{"WARC-Concurrent-To", "<" + response.Identify() + ">"}}},
		Revisit(day, "http://example.org/again", ProfileSamePayload, "http://example.org/", day, Digest(page), []byte("HTTP/1.1 200 OK\r\n\r\n")),
		Conversion(day, "http://example.org/", response.ID, []byte("é")),
	}
	for _, e := range []*Encoder{{}, {Gzip: true}, {Gzip: true, Level: 9}} {
		var b []byte
		for i := range drafts {
			b = e.Append(b, &drafts[i])
		}
		all := readAll(t, b)
		require.Len(t, all, len(drafts))
		ids := map[string]bool{}
		for i, r := range all {
			assert.Equal(t, drafts[i].Type, r.Type())
			assert.Equal(t, "1.1", r.Version)
			assert.Equal(t, string(drafts[i].Head)+string(drafts[i].Block), r.block)
			when, err := r.Date()
			require.NoError(t, err)
			assert.Equal(t, day, when)
			assert.Regexp(t, `^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, r.ID())
			ids[r.ID()] = true
		}
		assert.Len(t, ids, len(drafts))
		assert.Equal(t, "software: forja\r\nrobots: classic  injected: no\r\n", all[0].block)
		assert.Equal(t, Digest(page), all[1].Get("WARC-Payload-Digest"))
		assert.Equal(t, "length", all[1].Truncated())
		assert.Equal(t, "http://example.org/", all[3].Get("WARC-Refers-To-Target-URI"))
		assert.Equal(t, ProfileSamePayload, all[3].Get("WARC-Profile"))
		assert.Equal(t, "<"+response.ID+">", all[4].Get("WARC-Refers-To"))
	}
}

func TestDigestsAreAsInOtherArchives(t *testing.T) {
	assert.Equal(t, "sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ", Digest()) // that of no bytes, in every archive with empty payloads
}

func TestAnyHeaderAndBlockComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := Draft{Type: TypeResource, Date: day, URI: "urn:x", ContentType: "x/y", Block: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "block")}
		value := rapid.String().Draw(t, "value")
		d.Extra = Header{{"X-Value", value}}
		e := Encoder{Gzip: rapid.Bool().Draw(t, "gzip")}
		r, err := NewReader(bytes.NewReader(e.Append(e.Append(nil, &d), &d)))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			record, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			if got, want := record.Get("X-Value"), strings.TrimSpace(strings.ToValidUTF8(oneLine(value), "\ufffd")); got != want {
				t.Fatalf("%q, want %q", got, want)
			}
			var b bytes.Buffer
			if _, err := b.ReadFrom(record.Block); err != nil || !bytes.Equal(b.Bytes(), d.Block) {
				t.Fatal("another block", err)
			}
		}
	})
}

func TestGzipSaysThatTheFileIsWhole(t *testing.T) {
	tool, err := exec.LookPath("gzip")
	if err != nil {
		t.Skip("no gzip program")
	}
	e := Encoder{Gzip: true}
	d := Info(day, Header{{"a", "b"}})
	cmd := exec.Command(tool, "-t")
	cmd.Stdin = bytes.NewReader(e.Append(e.Append(nil, &d), &d))
	out, err := cmd.CombinedOutput()
	assert.NoError(t, err, "%s", out)
}

func archiveOptions() ArchiveOptions {
	return ArchiveOptions{Dir: "warc", Prefix: "crawl", Suffix: ".warc", MaxSize: 100, Head: func(name string) []byte {
		e := Encoder{}
		d := Info(day, Header{{"filename", name}})
		return e.Append(nil, &d)
	}}
}

func resource(i int) []byte {
	e := Encoder{}
	return e.Append(nil, &Draft{Type: TypeResource, Date: day, URI: fmt.Sprintf("urn:%d", i), Block: fmt.Appendf(nil, "block %d", i)})
}

func TestFilesAreRotatedBySize(t *testing.T) {
	m := vfs.NewMem()
	require.NoError(t, vfs.MkdirAll(m, "warc"))
	a, err := OpenArchive(m, archiveOptions(), Position{})
	require.NoError(t, err)
	for i := range 3 {
		at, err := a.Append(resource(i))
		require.NoError(t, err)
		assert.Equal(t, i, at.File)
		assert.Positive(t, at.Offset, "the warcinfo record is first")
	}
	require.NoError(t, a.Close())
	for i := range 3 {
		b, err := vfs.ReadFile(m, fmt.Sprintf("warc/crawl-%05d.warc", i), 1<<20)
		require.NoError(t, err)
		all := readAll(t, b)
		require.Len(t, all, 2)
		assert.Equal(t, fmt.Sprintf("filename: crawl-%05d.warc\r\n", i), all[0].block)
		assert.Equal(t, fmt.Sprintf("urn:%d", i), all[1].URI())
	}
}

// Power fails at every operation in turn; what was synced is there, and going on from there gives a whole archive.
func TestSyncedRecordsSurvivePowerLoss(t *testing.T) {
	for n := 0; ; n++ {
		m := vfs.NewMem()
		require.NoError(t, vfs.MkdirAll(m, "warc"))
		m.Hook = vfs.FailNth(n, fmt.Errorf("power"))
		var synced Position
		kept := 0
		failed := func() bool {
			a, err := OpenArchive(m, archiveOptions(), Position{})
			if err != nil {
				return true
			}
			for i := range 3 {
				if _, err := a.Append(resource(i)); err != nil {
					return true
				}
				if err := a.Sync(); err != nil {
					return true
				}
				synced, kept = a.End(), i+1
			}
			return a.Close() != nil
		}()
		m.Hook = nil
		disk := m.Crash(rand.New(rand.NewPCG(uint64(n), 0)), .5)
		a, err := OpenArchive(disk, archiveOptions(), synced)
		require.NoError(t, err)
		for i := kept; i < 4; i++ {
			_, err := a.Append(resource(i))
			require.NoError(t, err)
		}
		require.NoError(t, a.Close())
		next := 0
		entries, err := disk.ReadDir("warc")
		require.NoError(t, err)
		for _, e := range entries {
			b, err := vfs.ReadFile(disk, "warc/"+e.Name(), 1<<20)
			require.NoError(t, err)
			for _, r := range readAll(t, b) {
				if r.Type() == TypeResource {
					assert.Equal(t, fmt.Sprintf("urn:%d", next), r.URI())
					next++
				}
			}
		}
		assert.Equal(t, 4, next)
		if !failed {
			assert.Greater(t, n, 15, "operations")
			return
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	var page bytes.Buffer
	for i := 0; page.Len() < 20_000; i++ {
		fmt.Fprintf(&page, "<p class=\"row\">Paragraph %d of a page with <a href=\"/page/%d\">links</a> and some words.</p>\n", i, i*7919%1000)
	}
	e := Encoder{Gzip: true}
	b.SetBytes(int64(page.Len()))
	for b.Loop() {
		e.Append(nil, &Draft{Type: TypeResponse, Date: day, URI: "http://x/", Block: page.Bytes(), Payload: Digest(page.Bytes())})
	}
}
