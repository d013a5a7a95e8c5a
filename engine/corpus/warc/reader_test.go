package warc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type read struct {
	*Record
	block string
}

// readAll reads all records and their blocks.
func readAll(t testing.TB, b []byte) []read {
	t.Helper()
	r, err := NewReader(bytes.NewReader(b))
	require.NoError(t, err)
	defer r.Close()
	var all []read
	for {
		record, err := r.Next()
		if err == io.EOF {
			return all
		}
		require.NoError(t, err)
		block, err := io.ReadAll(record.Block)
		require.NoError(t, err)
		assert.Len(t, block, int(record.Length))
		all = append(all, read{record, string(block)})
	}
}

func record(version, kind string, fields string, block string) string {
	return fmt.Sprintf("WARC/%s\r\nWARC-Type: %s\r\n%sContent-Length: %d\r\n\r\n%s\r\n\r\n", version, kind, fields, len(block), block)
}

func zip(parts ...string) []byte {
	var b bytes.Buffer
	for _, p := range parts {
		z := gzip.NewWriter(&b)
		z.Write([]byte(p))
		z.Close()
	}
	return b.Bytes()
}

func TestWhatWgetWritesIsRead(t *testing.T) {
	b, err := os.ReadFile("testdata/wget.warc.gz")
	require.NoError(t, err)
	all := readAll(t, b) // checks the block digests, too
	var types []string
	pages := map[string]string{}
	r, err := NewReader(bytes.NewReader(b))
	require.NoError(t, err)
	for _, a := range all {
		types = append(types, a.Type())
		record, err := r.Next()
		require.NoError(t, err)
		if record.Type() != TypeResponse {
			continue
		}
		response, err := record.Response()
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		assert.Equal(t, record.Get("WARC-Payload-Digest"), Digest(body))
		if response.StatusCode == 200 {
			pages[record.URI()] = string(body)
		}
	}
	assert.Equal(t, []string{"warcinfo", "request", "response", "request", "response", "request", "response"}, types[:7])
	assert.Equal(t, map[string]string{
		"http://127.0.0.1:8765/":       "<html><a href=b.html>b</a><p>caf&eacute;</html>\n",
		"http://127.0.0.1:8765/b.html": "<html>second</html>\n",
	}, pages)
	when, err := all[0].Date()
	require.NoError(t, err)
	assert.Equal(t, 2026, when.Year())
}

// The wget of this machine, if it has one, fetches a site with all that HTTP does to bodies.
func TestWhatWgetWritesHereIsRead(t *testing.T) {
	wget, err := exec.LookPath("wget")
	if err != nil {
		t.Skip("no wget program")
	}
	want := map[string]string{"/": "<html><a href=plain>1</a><a href=chunked>2</a><a href=packed>3</a><a href=gone>4</a><a href=moved>5</a>", "/plain": strings.Repeat("plain ", 1000),
		"/chunked": strings.Repeat("chunked ", 1000), "/packed": strings.Repeat("packed ", 1000)}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := want[r.URL.Path]
		switch {
		case r.URL.Path == "/moved":
			http.Redirect(w, r, "/plain", http.StatusFound)
		case text == "":
			http.NotFound(w, r)
		case r.URL.Path == "/packed":
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(zip(text))
		case r.URL.Path == "/chunked":
			for _, word := range strings.SplitAfter(text, " ") {
				io.WriteString(w, word)
				w.(http.Flusher).Flush()
			}
		default:
			io.WriteString(w, text)
		}
	}))
	defer s.Close()
	for _, more := range [][]string{nil, {"--no-warc-compression"}} {
		dir := t.TempDir()
		args := append([]string{"-q", "-r", "-nH", "-P", dir, "--warc-tempdir", dir, "--warc-file", filepath.Join(dir, "site"), s.URL}, more...)
		out, err := exec.Command(wget, args...).CombinedOutput()
		if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 8) { // 8 is for the page that is gone
			t.Fatalf("%v: %s", err, out)
		}
		files, err := filepath.Glob(filepath.Join(dir, "site.warc*"))
		require.NoError(t, err)
		require.Len(t, files, 1)
		b, err := os.ReadFile(files[0])
		require.NoError(t, err)
		require.NotEmpty(t, readAll(t, b), "and every block is what its digest says")
		got := map[string]string{}
		for p, err := range Pages(bytes.NewReader(b), 1<<20) {
			require.NoError(t, err)
			if strings.HasPrefix(p.URL, s.URL) && strings.TrimPrefix(p.URL, s.URL) != "/robots.txt" { // it keeps its own log, too
				got[strings.TrimPrefix(p.URL, s.URL)] = string(p.Body)
			}
		}
		assert.Equal(t, want, got, more)
	}
}

// The shapes of Common Crawl's files: headers in their order, a truncated response, the text of a page.
func TestWhatCommonCrawlWritesIsRead(t *testing.T) {
	http := "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nX-Crawl-Content-Encoding: gzip\r\nContent-Length: 1000000\r\n\r\n<html>half"
	all := readAll(t, zip(
		record("1.0", "warcinfo", "WARC-Date: 2024-05-18T06:00:00Z\r\nWARC-Record-ID: <urn:uuid:1>\r\nContent-Type: application/warc-fields\r\nWARC-Filename: CC-MAIN.warc.gz\r\n", "isPartOf: CC-MAIN-2024-22\r\n"),
		record("1.0", "response", "WARC-Date: 2024-05-18T06:00:01Z\r\nWARC-Record-ID: <urn:uuid:2>\r\nContent-Type: application/http; msgtype=response\r\nWARC-Target-URI: http://example.org/\r\nWARC-Identified-Payload-Type: text/html\r\nWARC-Truncated: length\r\n", http),
		record("1.0", "metadata", "WARC-Date: 2024-05-18T06:00:01Z\r\nWARC-Record-ID: <urn:uuid:3>\r\nWARC-Refers-To: <urn:uuid:2>\r\nContent-Type: application/warc-fields\r\n", "fetchTimeMs: 241\r\n"),
	))
	require.Len(t, all, 3)
	assert.Equal(t, "length", all[1].Truncated())
	assert.Equal(t, "http://example.org/", all[1].URI())

	wet := readAll(t, zip(record("1.0", "conversion", "WARC-Target-URI: http://example.org/é\r\nWARC-Date: 2024-05-18T06:00:01Z\r\nWARC-Refers-To: <urn:uuid:2>\r\nWARC-Block-Digest: "+
		Digest([]byte("Olá\nmundo\n"))+"\r\nWARC-Identified-Content-Language: por\r\nContent-Type: text/plain\r\n", "Olá\nmundo\n")))
	require.Len(t, wet, 1)
	assert.Equal(t, TypeConversion, wet[0].Type())
	assert.Equal(t, "Olá\nmundo\n", wet[0].block)
}

func TestATruncatedBodyIsReadAsFarAsItGoes(t *testing.T) {
	r, err := NewReader(strings.NewReader(record("1.1", "response", "Content-Type: application/http\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf")))
	require.NoError(t, err)
	record, err := r.Next()
	require.NoError(t, err)
	response, err := record.Response()
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.Equal(t, "half", string(body))
}

func TestPlainGzipAndZstdAreTheSame(t *testing.T) {
	one, two := record("1.1", "resource", "WARC-Record-ID: <urn:a>\r\n", "one"), record("1.1", "resource", "WARC-Record-ID: <urn:b>\r\n", strings.Repeat("two", 5000))
	squeeze := func(dictionary []byte, parts ...string) (b []byte) {
		o := []zstd.EOption{zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1 << 16)}
		if dictionary != nil {
			o = append(o, zstd.WithEncoderDict(dictionary))
		}
		z, err := zstd.NewWriter(nil, o...)
		require.NoError(t, err)
		for _, p := range parts {
			b = z.EncodeAll([]byte(p), b)
		}
		return b
	}
	var samples [][]byte
	for i := range 40 {
		samples = append(samples, fmt.Appendf(nil, "WARC/1.1\r\nWARC-Type: resource\r\nContent-Length: %d\r\n\r\nsample %d", i, i*i))
	}
	dictionary, err := zstd.BuildDict(zstd.BuildDictOptions{ID: 7, Contents: samples, History: bytes.Repeat(samples[0], 4), Offsets: [3]int{1, 4, 8}})
	require.NoError(t, err)
	frame := func(b []byte) []byte {
		head := binary.LittleEndian.AppendUint32(nil, dictionaryMagic)
		return append(binary.LittleEndian.AppendUint32(head, uint32(len(b))), b...)
	}
	for name, b := range map[string][]byte{
		"plain":                           []byte(one + two),
		"gzip":                            zip(one, two),
		"gzip in one member":              zip(one + two),
		"zstd":                            squeeze(nil, one, two),
		"zstd with dictionary":            append(frame(dictionary), squeeze(dictionary, one, two)...),
		"zstd with compressed dictionary": append(frame(squeeze(nil, string(dictionary))), squeeze(dictionary, one, two)...),
		"line feeds alone":                []byte(strings.ReplaceAll(one, "\r", "") + strings.ReplaceAll(two, "\r", "")),
	} {
		all := readAll(t, b)
		if assert.Len(t, all, 2, name) {
			assert.Equal(t, "one", all[0].block, name)
			assert.Equal(t, "urn:b", all[1].ID(), name)
			assert.Len(t, all[1].block, 15000, name)
		}
	}
}

func TestWhatTheZstdProgramPacksIsRead(t *testing.T) {
	program, err := exec.LookPath("zstd")
	if err != nil {
		t.Skip("no zstd program")
	}
	var packed []byte
	for i, level := range []string{"-1", "-19", "--long=27"} { // the last asks for a window of 128 MiB
		cmd := exec.Command(program, "-q", "-c", level)
		cmd.Stdin = strings.NewReader(record("1.1", "resource", "", strings.Repeat(fmt.Sprint("block ", i), 10_000)))
		b, err := cmd.Output()
		require.NoError(t, err)
		packed = append(packed, b...)
	}
	all := readAll(t, packed)
	require.Len(t, all, 3)
	assert.True(t, strings.HasPrefix(all[2].block, "block 2block 2"))
}

func TestUnreadBlocksAreSkipped(t *testing.T) {
	r, err := NewReader(strings.NewReader(record("1.1", "resource", "", "one") + record("1.1", "metadata", "", "two")))
	require.NoError(t, err)
	_, err = r.Next()
	require.NoError(t, err)
	second, err := r.Next()
	require.NoError(t, err)
	assert.Equal(t, TypeMetadata, second.Type())
	_, err = r.Next()
	assert.Equal(t, io.EOF, err)
}

func TestAContinuedFieldIsOneField(t *testing.T) {
	all := readAll(t, []byte("WARC/1.0\r\nX-Long: a\r\n  b\r\nContent-Length: 0\r\n\r\n\r\n\r\n"))
	assert.Equal(t, "a b", all[0].Get("x-long"))
}

func TestAnEmptyFileHasNoRecords(t *testing.T) {
	assert.Empty(t, readAll(t, nil))
}

func TestDatesAreAsPreciseAsTheyAre(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2026":                           time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		"2026-11":                        time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
		"2026-11-26":                     time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC),
		"2026-11-26T12:34Z":              time.Date(2026, 11, 26, 12, 34, 0, 0, time.UTC),
		"2026-11-26T12:34:56Z":           time.Date(2026, 11, 26, 12, 34, 56, 0, time.UTC),
		"2026-11-26T12:34:56.123456789Z": time.Date(2026, 11, 26, 12, 34, 56, 123456789, time.UTC),
	} {
		got, err := Header{{"WARC-Date", text}}.Date()
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	for _, text := range []string{"", "today", "2026-13", "20261126123456"} {
		_, err := Header{{"WARC-Date", text}}.Date()
		assert.ErrorIs(t, err, ErrFormat, text)
	}
}

func TestDamageIsReported(t *testing.T) {
	good := record("1.1", "resource", "", "0123456789")
	for name, c := range map[string]struct {
		data string
		want error
	}{
		"no WARC":                {"<html>", ErrFormat},
		"cut in the header":      {good[:20], io.ErrUnexpectedEOF},
		"cut in the block":       {good[:len(good)-8], io.ErrUnexpectedEOF},
		"negative length":        {"WARC/1.1\r\nContent-Length: -1\r\n\r\n", ErrFormat},
		"no length":              {"WARC/1.1\r\nWARC-Type: resource\r\n\r\n", ErrFormat},
		"length of 20 digits":    {"WARC/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", ErrFormat},
		"line without colon":     {"WARC/1.1\r\nhello\r\n\r\n", ErrFormat},
		"endless header line":    {"WARC/1.1\r\nA: " + strings.Repeat("x", 2<<20), ErrFormat},
		"endless fields":         {"WARC/1.1\r\n" + strings.Repeat("A: b\r\n", 2000), ErrFormat},
		"endless gap":            {good + strings.Repeat("\r\n", 1<<17), ErrFormat},
		"wrong digest":           {record("1.1", "resource", "WARC-Block-Digest: "+Digest([]byte("x"))+"\r\n", "y"), ErrDigest},
		"wrong digest in hex":    {record("1.1", "resource", "WARC-Block-Digest: sha256:"+strings.Repeat("ab", 32)+"\r\n", "y"), ErrDigest},
		"a dictionary too large": {"\x5d\x2a\x4d\x18\xff\xff\xff\xffxxxx", ErrFormat},
	} {
		err := func() error {
			r, err := NewReader(strings.NewReader(c.data))
			for err == nil {
				var record *Record
				if record, err = r.Next(); err == nil {
					_, err = io.Copy(io.Discard, record.Block)
				}
			}
			return err
		}()
		assert.ErrorIs(t, err, c.want, name)
	}
	r, err := NewReader(bytes.NewReader(zip(good)[:20]))
	if err == nil {
		_, err = r.Next()
	}
	assert.True(t, err != nil && !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF), "a cut gzip member: %v", err)
}

func FuzzReader(f *testing.F) {
	wget, err := os.ReadFile("testdata/wget.warc.gz")
	require.NoError(f, err)
	f.Add(wget)
	f.Add([]byte(record("1.1", "response", "Content-Type: application/http\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")))
	f.Add([]byte(record("1.0", "resource", "WARC-Block-Digest: sha1:AAAA\r\n X: y\r\n", "abc")))
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	require.NoError(f, err)
	f.Add(z.EncodeAll([]byte(record("1.1", "warcinfo", "", "a: b")), nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		for p := range Pages(bytes.NewReader(data), 1<<16) {
			if len(p.Body) > 1<<16 {
				t.Fatal("a page longer than asked for")
			}
		}
		r, err := NewReader(bytes.NewReader(data))
		if err != nil {
			return
		}
		defer r.Close()
		for range 100 {
			record, err := r.Next()
			if err != nil {
				_, again := r.Next()
				assert.Equal(t, err, again)
				return
			}
			if response, err := record.Response(); err == nil {
				_, _ = io.CopyN(io.Discard, response.Body, 1<<20)
			}
			if n, err := io.CopyN(io.Discard, record.Block, 1<<20); err == nil && n > record.Length {
				t.Fatal("a block longer than it says")
			}
		}
	})
}

var day = time.Date(2026, 11, 26, 12, 0, 0, 123456000, time.UTC)
