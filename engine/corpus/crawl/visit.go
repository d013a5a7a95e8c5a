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

// askRobots fetches a host's robots.txt. What a status means is RFC 9309, section 2.3.1: 4xx is no file and no rules;
// 5xx, and no answer, are a complete ban until it can be had.
func (c *crawl) askRobots(ctx context.Context, j job) {
	u, err := url.Parse(j.host.key + "/robots.txt")
	if err != nil {
		c.fail(fmt.Errorf("host %q: %w", j.host.key, err))
		return
	}
	sent := report{sent: true}
	for range maxRobotsHops + 1 {
		r, err := c.fetcher.get(ctx, u, validators{}, robots.MaxSize, func(r *response) bool { return r.status/100 == 2 })
		if errors.Is(err, ErrAddress) {
			c.frontier.setRules(j, robots.Rules{}, true, report{}) // its pages will meet the same refusal
			return
		}
		if err != nil {
			c.frontier.setRules(j, robots.Rules{}, false, sent)
			return
		}
		c.count(r)
		sent.elapsed, sent.after = r.elapsed, 0
		switch {
		case r.status/100 == 2:
			file := robots.Parse(r.body)
			c.addSitemaps(u, file.Sitemaps)
			c.frontier.setRules(j, file.For(c.o.Agent), true, sent)
			return
		case isRedirect(r.status):
			if next, ok := Normalize(u, r.header.Get("Location")); ok {
				u = next
				continue
			}
		case r.status == http.StatusTooManyRequests, r.status/100 == 5:
			sent.after = retryAfter(r.header, time.Now())
			c.frontier.setRules(j, robots.Rules{}, false, sent)
			return
		}
		break
	}
	c.frontier.setRules(j, robots.Rules{}, true, sent)
}

func (c *crawl) addSitemaps(base *url.URL, refs []string) {
	if c.o.NoSitemaps {
		return
	}
	refs = refs[:min(len(refs), maxSitemaps)]
	c.fail(c.store.commit(done{page: none}, nil, c.links(base, refs, link{depth: -1}, true)))
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
func (c *crawl) visit(ctx context.Context, j job) {
	l, err := c.store.link(j.page)
	if err != nil {
		c.fail(err)
		c.frontier.done(j, report{}, false)
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
		c.end(j, d, nil, nil, report{})
		return
	}
	before := c.previous.page(l.url)
	r, err := c.fetcher.get(ctx, u, before.validators, c.o.MaxBody, func(r *response) bool {
		return r.status/100 == 2 && (l.list || c.wanted(r.header.Get("Content-Type")))
	})
	if ctx.Err() != nil {
		c.frontier.done(j, report{}, false) // and so it stays in the log, to be fetched next time
		return
	}
	if err != nil {
		if errors.Is(err, ErrAddress) {
			d.outcome = outcomeAddress
			c.end(j, d, nil, nil, report{})
			return
		}
		d.outcome = outcomeFailed
		c.retry(j, d, report{sent: true, failed: unreachable(err)})
		return
	}
	c.count(r)
	d.status, d.date = r.status, r.date
	sent := report{sent: true, elapsed: r.elapsed}
	switch {
	case r.status == 429 || r.status == 503:
		sent.throttled, sent.after = true, retryAfter(r.header, time.Now())
		d.outcome = outcomeStatus
		c.retry(j, d, sent)
	case r.status == 408 || r.status == 425 || r.status/100 == 5:
		d.outcome = outcomeStatus
		c.retry(j, d, sent)
	case isRedirect(r.status):
		d.outcome = outcomeRedirect
		c.end(j, d, nil, c.redirect(u, l, r.header.Get("Location")), sent)
	case r.status == http.StatusNotModified && before.known:
		c.unchanged(j, d, l, r, before, sent)
	case r.status/100 == 2:
		c.content(j, d, l, r, before, sent)
	default:
		d.outcome = outcomeStatus
		c.end(j, d, nil, nil, sent)
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
func (c *crawl) end(j job, d done, records []byte, links []found, r report) {
	err := c.store.commit(d, records, links)
	if errors.Is(err, errLimit) {
		c.frontier.stop()
	} else {
		c.fail(err)
	}
	c.frontier.done(j, r, false)
}

func (c *crawl) redirect(u *url.URL, l link, location string) []found {
	to, ok := Normalize(u, location)
	if !ok || location == "" || l.hops >= maxHops {
		return nil
	}
	return []found{{link{url: to.String(), depth: l.depth, hops: l.hops + 1, seed: l.seed, list: l.list}, to}}
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
func (c *crawl) content(j job, d done, l link, r *response, before seenBefore, sent report) {
	kind := mediaType(r.header.Get("Content-Type"))
	if kind == "" {
		kind = mediaType(http.DetectContentType(r.body))
	}
	if l.list || !isHTML(kind) && looksLikeList(kind, r.body) {
		if found, err := parseList(r.body); err == nil || len(found.pages)+len(found.lists) > 0 {
			d.outcome = outcomeList
			c.end(j, d, nil, c.listLinks(r.url, l, found), sent)
			return
		}
	}
	var links []found
	var about directives
	if isHTML(kind) {
		p := parse(r.body, c.o.Agent)
		about = p.directives
		links = c.pageLinks(p, r.url, l)
	}
	about.addHeader(r.header, c.o.Agent)
	if about.noFollow {
		links = nil
	}
	switch {
	case about.noStore:
		d.outcome = outcomeNoStore
	case l.list || !c.archives(kind):
		d.outcome = outcomeType
	case len(r.body) == 0:
		d.outcome = outcomeEmpty
	}
	if d.outcome != 0 {
		c.end(j, d, nil, links, sent)
		return
	}
	d.digest = warc.Digest(r.body)
	d.validators = validators{etag: short(r.header.Get("Etag")), modified: short(r.header.Get("Last-Modified"))}
	c.end(j, d, c.records(&d, r, before), links, sent)
}

// short drops a validator that is too long to keep: a cut one would be wrong.
func short(s string) string {
	if len(s) > maxValidator {
		return ""
	}
	return s
}

// records archives a page: whole, or as a reference to where the same payload stands. It sets the outcome.
func (c *crawl) records(d *done, r *response, before seenBefore) []byte {
	message, body := r.message()
	if len(r.body) >= minRevisit && r.truncated == "" {
		url, date, ok := c.store.first(d.digest)
		if !ok && before.digest == d.digest {
			url, date, ok = before.url, before.date, true
		}
		if ok {
			d.outcome = outcomeRevisit
			revisit := warc.Revisit(r.date, r.url.String(), warc.ProfileSamePayload, url, date, d.digest, message[:body])
			return c.encode(&revisit, r)
		}
	}
	d.outcome = outcomeStored
	return c.encode(&warc.Draft{Type: warc.TypeResponse, Date: r.date, URI: r.url.String(), ContentType: "application/http;msgtype=response",
		Truncated: r.truncated, Block: message, Payload: message[body:]}, r)
}

// encode appends the request to a record. The request is written as for HTTP/1.1 whatever was spoken.
func (c *crawl) encode(d *warc.Draft, r *response) []byte {
	if r.http2 {
		d.Extra = append(d.Extra, warc.Field{Name: "WARC-Protocol", Value: "h2"})
	}
	request := warc.Draft{Type: warc.TypeRequest, Date: r.date, URI: d.URI, ContentType: "application/http;msgtype=request",
		Extra: warc.Header{{Name: "WARC-Concurrent-To", Value: "<" + d.Identify() + ">"}},
		Block: fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\n\r\n", r.url.RequestURI(), r.url.Host, c.fetcher.agent)}
	return c.encoder.Append(c.encoder.Append(nil, d), &request)
}

// unchanged ends a page that is as it was in an earlier crawl, and goes where that page led.
func (c *crawl) unchanged(j job, d done, l link, r *response, before seenBefore, sent report) {
	message, _ := r.message()
	revisit := warc.Revisit(r.date, l.url, warc.ProfileNotModified, before.url, before.date, before.digest, message)
	d.outcome, d.digest, d.validators = outcomeUnchanged, before.digest, before.validators
	d.date = before.date // when the copy was made that stands in an archive
	refs, err := c.previous.links(before)
	c.fail(err)
	c.end(j, d, c.encode(&revisit, r), c.links(nil, refs, l, false), sent)
}

func (c *crawl) pageLinks(p *page, at *url.URL, from link) []found {
	base := p.baseURL(at)
	var links []found
	if p.canonical != "" { // the same page, so as deep as this one
		links = c.links(base, []string{p.canonical}, link{depth: from.depth - 1}, false)
	}
	links = append(links, c.links(base, p.links, from, false)...)
	if !c.o.NoSitemaps {
		links = append(links, c.feeds(base, p.lists, from)...)
	}
	return links
}

// feeds are read on the host of the page only: they are never out of scope.
func (c *crawl) feeds(base *url.URL, refs []string, from link) (links []found) {
	for _, f := range c.links(base, refs, from, true) {
		if f.u.Host == base.Host {
			links = append(links, f)
		}
	}
	return links
}

// listLinks are what a sitemap or feed names. Further sitemaps count as hops, not as depth.
func (c *crawl) listLinks(at *url.URL, from link, l list) []found {
	links := c.links(at, l.pages, from, false)
	if from.hops >= maxHops {
		return links
	}
	for _, f := range c.links(at, l.lists, link{depth: from.depth - 1}, true) {
		if f.hops = from.hops + 1; f.u.Host == at.Host {
			links = append(links, f)
		}
	}
	return links
}

// looksLikeList reports whether a document that was not announced as a sitemap or feed may be one.
func looksLikeList(kind string, body []byte) bool {
	if !isXML(kind) && !bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
		return false
	}
	return true
}
