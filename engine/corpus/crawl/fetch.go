package crawl

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"forja/engine/corpus/warc"
)

const (
	maxResponseHeader = 256 << 10
	dialTimeout       = 10 * time.Second
	headerTimeout     = 30 * time.Second
)

// A fetcher makes single requests: it follows no redirect, keeps no cookie and uses no proxy, which would hide where a
// connection goes.
type fetcher struct {
	transport *http.Transport
	agent     string
	timeout   time.Duration
}

// Limits of one request.
type fetchOptions struct {
	agent    string
	perHost  int
	timeout  time.Duration
	networks []netip.Prefix // not public, yet allowed
	resolver *net.Resolver  // nil is the system's
	roots    *x509.CertPool // nil are the system's
}

func newFetcher(o fetchOptions) *fetcher {
	dialer := &net.Dialer{Timeout: dialTimeout, Control: guard(o.networks), Resolver: o.resolver}
	return &fetcher{
		transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: o.roots},
			ForceAttemptHTTP2:      true,
			DisableCompression:     true, // decoded here, under a limit
			MaxResponseHeaderBytes: maxResponseHeader,
			MaxIdleConns:           1000,
			MaxIdleConnsPerHost:    o.perHost,
			IdleConnTimeout:        30 * time.Second,
			TLSHandshakeTimeout:    dialTimeout,
			ResponseHeaderTimeout:  min(headerTimeout, o.timeout),
		},
		agent: o.agent, timeout: o.timeout,
	}
}

func (f *fetcher) close() { f.transport.CloseIdleConnections() }

// A response is what a server answered, its body decoded.
type response struct {
	url       *url.URL
	status    int
	header    http.Header
	http2     bool
	body      []byte
	truncated string // why the body is not whole, as [warc.TruncatedLength]
	date      time.Time
	elapsed   time.Duration
}

// validators are what a server gave an earlier copy, for a conditional request.
type validators struct{ etag, modified string }

// get fetches a URL, at most limit bytes of it. wanted looks at status and header and says whether the body is wanted.
func (f *fetcher) get(ctx context.Context, u *url.URL, v validators, limit int64, wanted func(*response) bool) (*response, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	header := http.Header{
		"User-Agent":      {f.agent},
		"Accept":          {"text/html,application/xhtml+xml,application/xml;q=0.9,text/*;q=0.8,*/*;q=0.5"},
		"Accept-Encoding": {"gzip, br, zstd"},
	}
	if v.etag != "" {
		header["If-None-Match"] = []string{v.etag}
	}
	if v.modified != "" {
		header["If-Modified-Since"] = []string{v.modified}
	}
	request := (&http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
	start := time.Now()
	got, err := f.transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer got.Body.Close()
	r := &response{url: u, status: got.StatusCode, header: got.Header, http2: got.ProtoMajor == 2, date: start.UTC().Truncate(time.Microsecond)}
	if wanted(r) {
		err = r.read(got, limit)
	}
	r.elapsed = time.Since(start)
	return r, err
}

// read reads and decodes the body. A body that breaks off in the middle is kept, and says so.
func (r *response) read(got *http.Response, limit int64) error {
	received := &io.LimitedReader{R: got.Body, N: limit + 1}
	decoded, err := warc.DecodeContent(received, got.Header.Values("Content-Encoding"))
	if err != nil {
		return err
	}
	defer decoded.Close()
	buffer := make([]byte, 0, max(512, min(got.ContentLength+1, 1<<20)))
	for {
		if len(buffer) == cap(buffer) {
			buffer = append(buffer, 0)[:len(buffer)]
		}
		n, err := decoded.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		if int64(len(buffer)) > limit {
			r.body, r.truncated = buffer[:limit], warc.TruncatedLength
			return nil
		}
		if err == nil {
			continue
		}
		r.body = buffer
		var timeout net.Error
		switch {
		case err == io.EOF:
		case len(buffer) == 0:
			return err
		case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
			r.truncated = warc.TruncatedTime
		case errors.Is(err, context.Canceled):
			return err
		case received.N <= 0:
			r.truncated = warc.TruncatedLength
		default: // the connection broke, or the encoding did
			r.truncated = warc.TruncatedDisconnect
		}
		return nil
	}
}

// message is the response as an HTTP message, and where its body starts. As in Common Crawl's archives the body
// stands decoded, and the fields that spoke of its encoding are kept under other names.
func (r *response) message() (message []byte, body int) {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", r.status, http.StatusText(r.status))
	h := r.header.Clone()
	for _, name := range []string{"Content-Encoding", "Content-Length", "Transfer-Encoding"} {
		if v := h.Values(name); v != nil {
			h["X-Crawl-"+name] = v
			h.Del(name)
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(r.body)))
	_ = h.Write(&b) // in the order of names
	b.WriteString("\r\n")
	return append([]byte(b.String()), r.body...), b.Len()
}

// retryAfter is how long a server asks to wait; 0 if it does not.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if s, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}
