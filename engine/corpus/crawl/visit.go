package crawl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"forja/engine/corpus/robots"
	"forja/engine/corpus/warc"
)

const (
	maxHops       = 10  // redirects in a row, or levels of sitemaps
	maxRobotsHops = 5   // RFC 9309, section 2.3.1.2
	maxSitemaps   = 100 // that a robots.txt names
	minRevisit    = 512 // bytes of a payload for which a reference is worth it
)

// A worker does one job after the other, and keeps its memory between them.
type worker struct {
	*crawl
	body, records []byte
}

// locate looks up a host's address, so that it does not get its requests at the time of its neighbours.
func (w *worker) locate(ctx context.Context, j job) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	w.frontier.locate(j, w.fetcher.lookup(ctx, split(j.host.key).hostname()))
}

// askRobots fetches a host's robots.txt. What a status means is RFC 9309, section 2.3.1: 4xx is no file and no rules;
// 5xx, half a file, and no answer, are a complete ban until it can be had.
func (w *worker) askRobots(ctx context.Context, j job) {
	u, err := url.Parse(j.host.key + "/robots.txt")
	if err != nil {
		w.fail(fmt.Errorf("host %q: %w", j.host.key, err))
		return
	}
	sent := report{sent: true}
	for hop := range maxRobotsHops + 1 {
		r, err := w.fetcher.get(ctx, u, validators{}, robots.MaxSize+1, w.body, func(r *response) bool { return r.status/100 == 2 })
		if err != nil {
			if hop == 0 && errors.Is(err, ErrAddress) {
				w.frontier.setRules(j, robots.Rules{}, true, report{}) // its pages will meet the same refusal
			} else {
				w.frontier.setRules(j, robots.Rules{}, false, sent)
			}
			return
		}
		if hop == 0 {
			sent.address = r.address
		}
		w.count(r)
		sent.elapsed = r.elapsed
		switch {
		case r.status/100 == 2 && (r.truncated == "" || r.truncated == warc.TruncatedLength):
			file := robots.Parse(r.body)
			r.close()
			w.addSitemaps(u, file.Sitemaps)
			w.frontier.setRules(j, file.For(w.o.Agent).Rewrite(normalRule), true, sent)
			return
		case isRedirect(r.status):
			if next, ok := Normalize(u, r.header.Get("Location")); ok {
				u = next
				continue
			}
		case r.status/100 == 2, r.status == http.StatusTooManyRequests, r.status/100 == 5:
			r.close()
			sent.after = retryAfter(r.header, time.Now())
			w.frontier.setRules(j, robots.Rules{}, false, sent)
			return
		}
		break
	}
	w.frontier.setRules(j, robots.Rules{}, true, sent)
}

func (c *crawl) addSitemaps(base *url.URL, refs []string) {
	if c.o.NoSitemaps {
		return
	}
	refs = refs[:min(len(refs), maxSitemaps)]
	left := maxListText
	c.fail(c.store.commit(done{page: none}, nil, appendLinks(nil, base, refs, link{list: true}, &left)))
}

func isRedirect(status int) bool {
	switch status {
	case 301, 302, 303, 307, 308:
		return true
	}
	return false
}

func (c *crawl) count(r *response) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fetched++
	c.received += int64(len(r.body))
}

// visit fetches a page and commits what comes of it.
func (w *worker) visit(ctx context.Context, j job) {
	l, err := w.store.link(j.page)
	if err != nil {
		w.fail(err)
		w.frontier.done(j, report{}, false)
		return
	}
	d := done{page: j.page, date: time.Now().UTC().Truncate(time.Microsecond)}
	u, err := url.Parse(l.url)
	switch {
	case err != nil:
		d.outcome = outcomeFailed
	case j.dead:
		d.outcome = outcomeHost
	case !j.rules.Allowed(l.url):
		d.outcome = outcomeRobots
	}
	if d.outcome != 0 {
		w.end(j, d, nil, nil, report{})
		return
	}
	before, limit := w.previous.page(l.url), w.o.MaxBody
	if l.list {
		limit = max(limit, maxList)
	}
	r, err := w.fetcher.get(ctx, u, before.validators, limit, w.body, func(r *response) bool {
		return r.status/100 == 2 && (l.list || w.wanted(r.header.Get("Content-Type")))
	})
	if ctx.Err() != nil {
		if err == nil {
			r.close()
		}
		w.frontier.done(j, report{}, false) // and so it stays in the log, to be fetched next time
		return
	}
	if err != nil {
		if errors.Is(err, ErrAddress) {
			d.outcome = outcomeAddress
			w.end(j, d, nil, nil, report{})
			return
		}
		d.outcome = outcomeFailed
		w.retry(j, d, report{sent: true, failed: unreachable(err), broken: true})
		return
	}
	defer r.close()
	if cap(r.body) <= 2*maxSmall {
		w.body = r.body
	}
	w.answer(j, d, l, r, before)
}

// answer ends a page by what its server answered.
func (w *worker) answer(j job, d done, l link, r *response, before seenBefore) {
	w.count(r)
	d.status, d.date = r.status, r.date
	sent := report{sent: true, elapsed: r.elapsed, address: r.address, failed: r.truncated == warc.TruncatedTime}
	switch {
	case r.status == 429 || r.status == 503:
		sent.throttled, sent.after = true, retryAfter(r.header, time.Now())
		d.outcome = outcomeFailed // and so the next run asks again
		w.retry(j, d, sent)
	case r.status == 408 || r.status == 425 || r.status/100 == 5:
		d.outcome = outcomeStatus
		w.retry(j, d, sent)
	case isRedirect(r.status):
		d.outcome = outcomeRedirect
		w.end(j, d, nil, redirect(r.url, l, r.header.Get("Location")), sent)
	case r.status == http.StatusNotModified && before.known:
		w.unchanged(j, d, l, r, before, sent)
	case r.status/100 == 2:
		w.content(j, d, l, r, before, sent)
	default:
		d.outcome = outcomeStatus
		w.end(j, d, nil, nil, sent)
	}
}

// unreachable tells a host that cannot be reached, or is silent, from one that talks nonsense.
func unreachable(err error) bool {
	var network net.Error
	var dial *net.OpError
	return errors.As(err, &dial) && dial.Op == "dial" || errors.As(err, &network) && network.Timeout()
}

// retry leaves a page for later, or ends it after the last attempt.
func (c *crawl) retry(j job, d done, r report) {
	if !c.frontier.done(j, r, true) {
		c.fail(c.store.commit(d, nil, nil))
	}
}

// end commits a page and releases its host. The links come first: a frontier without work in flight has ended.
func (c *crawl) end(j job, d done, records []byte, links []link, r report) {
	c.fail(c.store.commit(d, records, links))
	if c.store.full() {
		c.frontier.stop()
	}
	c.frontier.done(j, r, false)
}

func redirect(from *url.URL, l link, location string) []link {
	to, ok := Normalize(from, location)
	if !ok || location == "" || l.hops >= maxHops {
		return nil
	}
	l.url, l.hops = to.String(), l.hops+1
	return []link{l}
}

// wanted reports whether a body of a media type is worth having: for the archive, or for the links in it.
func (c *crawl) wanted(contentType string) bool {
	kind := mediaType(contentType)
	return kind == "" || isXML(kind) || kind == "application/gzip" || kind == "application/x-gzip" || c.archives(kind)
}

func (c *crawl) archives(kind string) bool {
	return anyOf(c.o.Types, func(p string) bool { return strings.HasPrefix(kind, p) })
}

func mediaType(contentType string) string {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind, _, _ = strings.Cut(contentType, ";")
	}
	return strings.ToLower(strings.TrimSpace(kind))
}

func isHTML(kind string) bool { return kind == "text/html" || kind == "application/xhtml+xml" }

func isXML(kind string) bool {
	return kind == "text/xml" || kind == "application/xml" || strings.HasSuffix(kind, "+xml") && kind != "image/svg+xml"
}

// content ends a page that was answered with a body.
func (w *worker) content(j job, d done, l link, r *response, before seenBefore, sent report) {
	if len(r.body) > maxSmall { // what is made of it is as large again
		w.heavy <- struct{}{}
		defer func() { <-w.heavy }()
	}
	contentType := r.header.Get("Content-Type")
	kind := mediaType(contentType)
	if kind == "" {
		kind = mediaType(http.DetectContentType(r.body))
	}
	if l.list || !isHTML(kind) && looksLikeList(kind, r.body) {
		if links, ok := w.list(r, l); ok {
			d.outcome = outcomeList
			w.end(j, d, nil, links, sent)
			return
		}
	}
	var links []link
	var about directives
	if isHTML(kind) {
		p := parse(r.body, contentType, w.o.Agent)
		about = p.directives
		links = p.found(r.url, l, !w.o.NoSitemaps)
	}
	about.addHeader(r.header, w.o.Agent)
	if about.noFollow {
		links = nil
	}
	switch {
	case about.noStore:
		d.outcome = outcomeNoStore
	case l.list || !w.archives(kind):
		d.outcome = outcomeType
	case len(r.body) == 0:
		d.outcome = outcomeEmpty
	}
	if d.outcome != 0 {
		w.end(j, d, nil, links, sent)
		return
	}
	d.digest = warc.Digest(r.body)
	d.validators = validators{etag: short(r.header.Get("Etag")), modified: short(r.header.Get("Last-Modified"))}
	w.end(j, d, w.archived(&d, r, before), links, sent)
}

// list reads a sitemap or feed; ok is false if it is neither. They can be large, so one is read at a time.
func (w *worker) list(r *response, from link) (links []link, ok bool) {
	w.reading.Lock()
	defer w.reading.Unlock()
	l, err := parseList(r.body)
	return l.found(r.url, from), err == nil || len(l.pages)+len(l.lists) > 0
}

// short drops a validator that is too long to keep: a cut one would be wrong.
func short(s string) string {
	if len(s) > maxValidator {
		return ""
	}
	return s
}

// looksLikeList reports whether a document that was not announced as a sitemap or feed may be one.
func looksLikeList(kind string, body []byte) bool {
	return isXML(kind) || bytes.HasPrefix(body, []byte{0x1f, 0x8b})
}
