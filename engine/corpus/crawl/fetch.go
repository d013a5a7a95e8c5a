package crawl

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"forja/engine/corpus/warc"
)

const (
	maxResponseHeader = 256 << 10
	dialTimeout       = 10 * time.Second
	headerTimeout     = 30 * time.Second
	maxSmall          = 256 << 10 // bytes of a body that any number of workers may hold
	maxLarge          = 8         // larger bodies that are held at a time
	maxHeavy          = 2         // of them, that are worked on
)

// A fetcher makes single requests: it follows no redirect, keeps no cookie and uses no proxy, which would hide where a
// connection goes.
type fetcher struct {
	transport *http.Transport
	resolver  *net.Resolver
	agent     string
	timeout   time.Duration
	large     chan struct{} // has an element for each large body in memory
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
			DialContext:            dialLocal(dialer.DialContext),
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
		resolver: o.resolver, agent: o.agent, timeout: o.timeout, large: make(chan struct{}, maxLarge),
	}
}

func (f *fetcher) close() { f.transport.CloseIdleConnections() }

// lookup is the first address of a host, or not valid.
func (f *fetcher) lookup(ctx context.Context, hostname string) netip.Addr {
	if a, err := netip.ParseAddr(strings.Trim(hostname, "[]")); err == nil {
		return a
	}
	if belowLocalhost(hostname) {
		return localAddress
	}
	if found, err := f.resolver.LookupNetIP(ctx, "ip", hostname); err == nil && len(found) > 0 {
		return found[0]
	}
	return netip.Addr{} // a request will tell why
}

// A response is what a server answered, its body decoded.
type response struct {
	url       *url.URL
	sent      http.Header
	status    int
	header    http.Header
	address   netip.Addr // of the server
	http2     bool
	body      []byte
	truncated string // why the body is not whole, as [warc.TruncatedLength]
	date      time.Time
	elapsed   time.Duration
	release   func() // gives a large body's place to another; nil for a small one
}

// close says that the body is not needed any more.
func (r *response) close() {
	if r.release != nil {
		r.release()
		r.release = nil
	}
}

// validators are what a server gave an earlier copy, for a conditional request.
type validators struct{ etag, modified string }

// get fetches a URL, at most limit bytes of it. wanted looks at status and header and says whether the body is wanted; it is read
// into buffer as far as it fits. The response must be closed.
func (f *fetcher) get(ctx context.Context, u *url.URL, v validators, limit int64, buffer []byte, wanted func(*response) bool) (*response, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	r := &response{url: u, sent: http.Header{
		"User-Agent":      {f.agent},
		"Accept":          {"text/html,application/xhtml+xml,application/xml;q=0.9,text/*;q=0.8,*/*;q=0.5"},
		"Accept-Encoding": {"gzip, br, zstd"},
	}}
	if v.etag != "" {
		r.sent["If-None-Match"] = []string{v.etag}
	}
	if v.modified != "" {
		r.sent["If-Modified-Since"] = []string{v.modified}
	}
	request := &http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: r.sent, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	start := time.Now()
	got, err := f.transport.RoundTrip(request.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) {
		if at, err := netip.ParseAddrPort(c.Conn.RemoteAddr().String()); err == nil {
			r.address = at.Addr().Unmap()
		}
	}})))
	if err != nil {
		return nil, err
	}
	defer got.Body.Close()
	r.status, r.header, r.http2, r.date = got.StatusCode, got.Header, got.ProtoMajor == 2, start.UTC().Truncate(time.Microsecond)
	if wanted(r) {
		if err = f.read(ctx, r, got, limit, buffer[:0]); err != nil {
			r.close()
		}
	}
	r.elapsed = time.Since(start)
	return r, err
}

// read reads and decodes the body. A body that breaks off in the middle is kept, and says so.
func (f *fetcher) read(ctx context.Context, r *response, got *http.Response, limit int64, buffer []byte) error {
	received := &io.LimitedReader{R: got.Body, N: limit + 1}
	decoded, err := warc.DecodeContent(received, got.Header.Values("Content-Encoding"))
	if err != nil {
		return err
	}
	defer decoded.Close()
	for {
		if len(buffer) == cap(buffer) {
			if len(buffer) >= maxSmall && r.release == nil {
				if err := f.reserve(ctx, r); err != nil {
					return err
				}
			}
			buffer = slices.Grow(buffer, int(min(int64(max(len(buffer), 32<<10)), limit+1-int64(len(buffer)))))
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

// errBusy says that there was no place for a large body, which is no fault of its host's.
var errBusy = errors.New("too many large bodies at once")

// reserve waits for a place for a large body. Servers that send without end must not fill the memory together.
func (f *fetcher) reserve(ctx context.Context, r *response) error {
	select {
	case f.large <- struct{}{}:
		r.release = func() { <-f.large }
		return nil
	case <-ctx.Done():
		return errBusy
	}
}

// head is the response's header as that of an HTTP message. As in Common Crawl's archives the body stands decoded, and the fields
// that spoke of its encoding are kept under other names.
func (r *response) head() []byte {
	var b bytes.Buffer
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
	return b.Bytes()
}

// request is what was sent, as an HTTP/1.1 message whatever was spoken.
func (r *response) request() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\n", r.url.RequestURI(), r.url.Host)
	_ = r.sent.Write(&b)
	b.WriteString("\r\n")
	return b.Bytes()
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
