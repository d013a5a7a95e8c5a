package warc

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func pages(t *testing.T, b []byte, limit int64) (all []Page, err error) {
	for p, e := range Pages(bytes.NewReader(b), limit) {
		if e != nil {
			return all, e
		}
		all = append(all, p)
	}
	return all, nil
}

func TestThePagesOfAnArchive(t *testing.T) {
	const common = "WARC-Date: 2026-01-02T03:04:05Z\r\nWARC-Target-URI: http://x/"
	response := func(path, head, body string) string {
		return record("1.1", "response", common+path+"\r\nContent-Type: application/http;msgtype=response\r\n", "HTTP/1.1 "+head+"\r\n\r\n"+body)
	}
	b := []byte(record("1.1", "warcinfo", common+"\r\n", "a: b") +
		response("plain", "200 OK\r\nContent-Type: text/html", "<p>plain") +
		response("packed", "200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip", string(zip("<p>packed"))) +
		response("chunked", "200 OK\r\nTransfer-Encoding: chunked", "3\r\nchu\r\n4\r\nnked\r\n0\r\n\r\n") +
		response("not-packed", "200 OK\r\nContent-Encoding: gzip", "<p>plain after all") +
		response("not-chunked", "200 OK\r\nTransfer-Encoding: chunked", "face it: no chunks") +
		response("cut", "200 OK\r\nContent-Length: 100", "half") +
		response("bomb", "200 OK\r\nContent-Encoding: gzip", string(zip(strings.Repeat("a", 100_000)))) +
		response("gone", "404 Not Found", "sorry") +
		response("nonsense", "hello", "") +
		record("1.1", "revisit", common+"again\r\nContent-Type: application/http\r\n", "HTTP/1.1 200 OK\r\n\r\n") +
		record("1.1", "conversion", common+"text\r\nContent-Type: text/plain\r\n", "texto"))
	all, err := pages(t, b, 1000)
	require.NoError(t, err)
	var got []string
	for _, p := range all {
		got = append(got, p.URL+" "+p.ContentType+" "+p.Truncated+" "+string(p.Body[:min(9, len(p.Body))]))
		assert.Equal(t, 2026, p.Date.Year())
		assert.LessOrEqual(t, len(p.Body), 1000)
	}
	assert.Equal(t, []string{"http://x/plain text/html  <p>plain", "http://x/packed text/html  <p>packed", "http://x/chunked   chunked", "http://x/not-packed   <p>plain ",
		"http://x/not-chunked   face it: ", "http://x/cut  disconnect half",
		"http://x/bomb  length aaaaaaaaa", "http://x/text text/plain  texto"}, got)
	_, err = pages(t, b[:len(b)-10], 1000)
	assert.Error(t, err, "a file that ends in the middle of a record")
}

// What can be read of a body whose encoding breaks is a page that is cut, whatever breaks it.
func TestBrokenBodiesAreKeptAsFarAsTheyGo(t *testing.T) {
	var text strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&text, "line %d\n", i*i)
	}
	packed := zip(text.String())
	copy(packed[len(packed)/2:], "\xff\xff\xff\xff\xff\xff\xff\xff")
	sum := zip(text.String())
	sum[len(sum)-8] ^= 1
	for name, body := range map[string]string{
		"Content-Encoding: gzip":     string(packed),
		"content-encoding: gzip":     string(sum),
		"Transfer-Encoding: chunked": fmt.Sprintf("%x\r\n%s\r\nzz\r\n", text.Len(), text.String()),
	} {
		all, err := pages(t, []byte(record("1.1", "response", "WARC-Date: 2026-01-02T03:04:05Z\r\nContent-Type: application/http\r\n", "HTTP/1.1 200 OK\r\n"+name+"\r\n\r\n"+body)), 10<<20)
		require.NoError(t, err)
		if assert.Len(t, all, 1, name) {
			assert.Equal(t, TruncatedDisconnect, all[0].Truncated)
			assert.True(t, len(all[0].Body) > 1000 && strings.HasPrefix(text.String()[:1000], string(all[0].Body[:1000])), name)
		}
	}
}

func TestHeadersThatServersSentAreMended(t *testing.T) {
	for head, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nno colon\r\nContent-Type: text/x\r\n\r\nbody":                         "text/x body",
		"HTTP/1.1 200 OK\r\nbad name: x\r\n: y\r\n\tz\r\nContent-Type: text/x\r\n\r\nbody":        "text/x body",
		"HTTP/1.1 200 OK\r\nContent-Type:\r\n text/x\r\n\r\nbody":                                 "text/x body",
		"HTTP/2 200\nContent-Type: text/x\n\nbody":                                                "text/x body",
		"HTTP/1.1 200\r\nContent-Length: x\r\nContent-Length: 4\r\nContent-Length: 9\r\n\r\nbody": " body",
		"HTTP/1.0 200 OK\r\nContent-Length: -1\r\n\r\nbody":                                       " body",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nbody":                              " body",
		"HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("long", 5000):                                  " " + strings.Repeat("long", 5000),
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 10_000) + "\r\n\r\nbody":                   " body",
	} {
		all, err := pages(t, []byte(record("1.0", "response", "WARC-Date: 2026-01-02T03:04:05Z\r\nContent-Type: application/http; msgtype=response\r\n", head)), 1<<20)
		require.NoError(t, err)
		if assert.Len(t, all, 1, "%.80q", head) {
			assert.Equal(t, want, all[0].ContentType+" "+string(all[0].Body), "%.80q", head)
			assert.Empty(t, all[0].Truncated)
		}
	}
	for _, head := range []string{"", "ICY 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nX: y", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 2<<20)} {
		all, err := pages(t, []byte(record("1.0", "response", "WARC-Date: 2026-01-02T03:04:05Z\r\nContent-Type: application/http\r\n", head)), 1<<20)
		assert.NoError(t, err)
		assert.Empty(t, all)
	}
}

func TestThePagesThatWgetKept(t *testing.T) {
	b, err := os.ReadFile("testdata/wget.warc.gz")
	require.NoError(t, err)
	all, err := pages(t, b, 1<<20)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(all), 2)
	assert.Equal(t, "http://127.0.0.1:8765/", all[0].URL)
	assert.Equal(t, "text/html", all[0].ContentType)
}
