// Package extract turns documents into text for training: HTML by kind of page (articles, documentation, forums and comment
// threads, products, lists), plain text, Markdown, EPUB, and mbox. The kind is found out, never given.
//
// A page becomes a flat list of nodes in document order; every rule is a loop over it, so no input can exhaust the stack and
// the time is linear in the page's size up to a bounded depth. The rules: what is hidden or named as navigation is left out
// unless it holds a large share of the running text; the content is the smallest element with most of what remains, and the
// introduction between the heading and it; captions and blocks of links go; in a discussion, which is known by a repeated
// element that is named as a message and names authors or dates, each message gives its author, date and text.
//
// Deliberately absent: rules for single sites, running scripts, a learned model, and PDF, which is package pdf: its parser is let
// run in a guarded process only.
package extract

import (
	"errors"
	"fmt"
	"mime"
	"net/url"
	"path"
	"strings"
)

// Types of documents.
const (
	Article       = "article"
	Documentation = "documentation"
	Forum         = "forum"
	Product       = "product"
	List          = "list"
	Text          = "text"
	Book          = "book"
	Mail          = "mail"
)

// maxText is the most bytes of text of one document; what is beyond is left out.
const maxText = 16 << 20

// MaxInput is the largest document that Extract takes, in bytes.
const MaxInput = 256 << 20

// ErrFormat is of a document that is in no format known here.
var ErrFormat = errors.New("not HTML, text, Markdown, EPUB, or mbox")

// A Source is where a document came from: all fields may be empty.
type Source struct {
	Name        string // file name; its ending tells the format
	URL         string // relative links are resolved against it
	ContentType string // the header that it came with
}

// A Result is a document's text and what the document says about itself. Fields that it does not say are empty.
type Result struct {
	Text    string
	Title   string
	Author  string
	Date    string   // of publication, YYYY-MM-DD
	Lang    string   // declared, as BCP 47 writes it
	License string   // a hint: SPDX name of a Creative Commons licence, else what the document says
	Type    string   // one of the types above
	Links   []string // of the whole page in order; resolved if the URL is known, else as written

	body string // the article's text in schema.org data
}

// Extract reads a document of any known format.
func Extract(src Source, data []byte) (Result, error) {
	if len(data) > MaxInput {
		return Result{}, fmt.Errorf("%d bytes or more: a document may have %d", len(data), MaxInput)
	}
	switch format(src, data) {
	case "html":
		r := HTML(data, src.ContentType)
		r.Links = resolve(src.URL, r.Links)
		return r, nil
	case "epub":
		return EPUB(data)
	case "mbox":
		return Mbox(data), nil
	case "markdown":
		return Markdown(decode(data, src.ContentType)), nil
	case "text":
		return Result{Text: plain(string(decode(data, src.ContentType))), Type: Text}, nil
	}
	return Result{}, ErrFormat
}

// format tells a document's format by the header, the name, and the first bytes, in this order.
func format(src Source, data []byte) string {
	kind, _, _ := mime.ParseMediaType(src.ContentType)
	switch kind {
	case "text/html", "application/xhtml+xml":
		return "html"
	case "application/epub+zip":
		return "epub"
	case "application/mbox":
		return "mbox"
	case "text/markdown":
		return "markdown"
	}
	switch strings.ToLower(path.Ext(src.Name)) {
	case ".html", ".htm", ".xhtml", ".shtml", ".php", ".asp", ".aspx", ".jsp":
		return "html"
	case ".epub":
		return "epub"
	case ".mbox", ".mbx":
		return "mbox"
	case ".md", ".markdown", ".mkd":
		return "markdown"
	case ".txt", ".text", ".rst", ".adoc":
		return "text"
	}
	start := strings.ToLower(string(data[:min(len(data), 1024)]))
	switch {
	case strings.HasPrefix(start, "pk\x03\x04") && strings.Contains(start, "application/epub+zip"):
		return "epub"
	case strings.Contains(start, "<html") || strings.Contains(start, "<!doctype html") || strings.Contains(start, "<body"):
		return "html"
	case strings.HasPrefix(start, "from ") && strings.Contains(start, "\nsubject:"):
		return "mbox"
	case strings.IndexByte(start, 0) >= 0 && !strings.HasPrefix(start, "\xff\xfe") && !strings.HasPrefix(start, "\xfe\xff") || strings.HasPrefix(start, "%pdf-"):
		return ""
	}
	return "text"
}

// resolve makes links absolute, leaves out those that are not of the web, and each after its first time.
func resolve(base string, links []string) []string {
	from, err := url.Parse(base)
	if base == "" || err != nil {
		from = nil
	}
	seen := make(map[string]bool, len(links))
	out := links[:0:0]
	for _, l := range links {
		u, err := url.Parse(strings.TrimSpace(l))
		if err != nil {
			continue
		}
		if from != nil {
			u = from.ResolveReference(u)
			u.Fragment, u.RawFragment = "", ""
		}
		if u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https" {
			continue
		}
		if s := u.String(); s != "" && !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}
