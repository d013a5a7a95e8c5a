package crawl

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/net/html/charset"
)

// Bounds of a sitemap (sitemaps.org allows 50 MB and 50,000 URLs) or feed.
const (
	maxList     = 50 << 20 // bytes, unpacked
	maxListURLs = 50_000
	maxListText = 16 << 20 // bytes of those URLs
	maxDepthXML = 100
)

// A list is what a sitemap or feed names.
type list struct {
	pages []string
	lists []string // of a sitemap index
}

// errNoList says that a document is neither a sitemap nor a feed.
var errNoList = errors.New("neither a sitemap nor a feed")

// parseList reads a sitemap, a sitemap index, RSS or Atom, plain or in gzip, or a sitemap that is lines of URLs. What
// was read before an error counts.
func parseList(body []byte) (l list, err error) {
	if bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return l, fmt.Errorf("sitemap: %w", err)
		}
		unpacked, err := io.ReadAll(io.LimitReader(z, maxList)) // what an error cuts off is left out
		if len(unpacked) == 0 && err != nil {
			return l, fmt.Errorf("sitemap: %w", err)
		}
		body = unpacked
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), " \t\r\n")
	if bytes.HasPrefix(text, []byte("http://")) || bytes.HasPrefix(text, []byte("https://")) {
		for line := range bytes.Lines(text) {
			if line = bytes.TrimSpace(line); len(line) > 0 && len(l.pages) < maxListURLs {
				l.pages = append(l.pages, string(line))
			}
		}
		return l, nil
	}
	d := xml.NewDecoder(bytes.NewReader(text))
	d.Strict = false
	d.CharsetReader = charset.NewReaderLabel
	return parseXML(d)
}

// parseXML walks a document. It looks at local names only: sites get name spaces wrong.
func parseXML(d *xml.Decoder) (l list, err error) {
	var path []string
	text := "" // of the element that is open: only its end shows that no limit cut it
	for len(l.pages)+len(l.lists) < maxListURLs {
		token, err := d.RawToken() // keeps no stack of its own
		if err == io.EOF {
			return l, nil
		}
		if err != nil {
			return l, fmt.Errorf("sitemap or feed: %w", err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			name := strings.ToLower(t.Name.Local)
			if len(path) == 0 {
				switch name {
				case "urlset", "sitemapindex", "rss", "feed", "rdf":
				default:
					return l, errNoList
				}
			}
			text = ""
			if path = append(path, name); len(path) > maxDepthXML {
				return l, fmt.Errorf("sitemap or feed: more than %d elements deep", maxDepthXML)
			}
			if path[0] == "feed" && name == "link" {
				l.atomLink(t)
			}
		case xml.EndElement:
			if n := len(path); n >= 2 && text != "" {
				l.text(path[0], path[n-2], path[n-1], text)
			}
			path, text = path[:max(0, len(path)-1)], ""
		case xml.CharData:
			if trimmed := bytes.TrimSpace(t); len(trimmed) > 0 {
				text = string(trimmed)
			}
		}
	}
	return l, nil
}

func (l *list) text(root, parent, name, text string) {
	switch {
	case root == "sitemapindex" && parent == "sitemap" && name == "loc":
		l.lists = append(l.lists, text)
	case root == "urlset" && parent == "url" && name == "loc",
		(root == "rss" || root == "rdf") && parent == "item" && name == "link":
		l.pages = append(l.pages, text)
	}
}

func (l *list) atomLink(t xml.StartElement) {
	href, rel := "", "alternate"
	for _, a := range t.Attr {
		switch a.Name.Local {
		case "href":
			href = a.Value
		case "rel":
			rel = a.Value
		}
	}
	switch {
	case href == "":
	case rel == "alternate":
		l.pages = append(l.pages, href)
	case rel == "next":
		l.lists = append(l.lists, href)
	}
}

// found are the links of a list at a URL, whose own link is from. Further lists, on the same host, count as hops, not as depth.
func (l list) found(at *url.URL, from link) []link {
	left := maxListText
	links := appendLinks(nil, at, l.pages, link{depth: from.depth + 1}, &left)
	if from.hops < maxHops {
		links = append(links, onHost(at.Host, appendLinks(nil, at, l.lists, link{depth: from.depth, hops: from.hops + 1, list: true}, &left))...)
	}
	return links
}
