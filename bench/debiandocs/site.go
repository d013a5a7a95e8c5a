package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
)

// A site is one package as a web server shows it: its files, a first page with links, robots.txt and a sitemap.
type site struct {
	name  string
	root  *os.Root
	files http.Handler
	pages []string // paths from the root, without the first slash
	bytes int64
}

// newSite serves the folder that has all of a package's pages, and nothing outside it.
func newSite(p debian) (*site, error) {
	base := path.Dir(p.pages[0])
	for _, page := range p.pages {
		for base != "." && !strings.HasPrefix(page, base+"/") {
			base = path.Dir(base)
		}
	}
	root, err := os.OpenRoot(path.Join(p.root, base))
	if err != nil {
		return nil, err
	}
	s := &site{name: p.name, root: root, files: http.FileServerFS(root.FS())}
	for _, page := range p.pages {
		page = strings.TrimPrefix(page, base+"/")
		info, err := root.Stat(page)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, errors.Join(err, root.Close())
		}
		s.bytes += info.Size()
		s.pages = append(s.pages, page)
	}
	return s, nil
}

func (s *site) close() { s.root.Close() }

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/":
		s.first(w)
	case r.URL.Path == "/robots.txt":
		fmt.Fprintf(w, "User-agent: *\nAllow: /\n\nSitemap: http://%s/sitemap.xml\n", r.Host)
	case r.URL.Path == "/sitemap.xml":
		s.sitemap(w, r.Host)
	default:
		if htmlName.MatchString(r.URL.Path) {
			w.Header().Set("Content-Type", "text/html") // the page itself knows its charset
		}
		s.files.ServeHTTP(w, r)
	}
}

// first links to the topmost pages, as the start page of a documentation server does.
func (s *site) first(w http.ResponseWriter) {
	top := strings.Count(s.pages[0], "/")
	for _, page := range s.pages {
		top = min(top, strings.Count(page, "/"))
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<!doctype html><title>%s</title><h1>%[1]s</h1><ul>\n", html.EscapeString(s.name))
	for _, page := range s.pages {
		if strings.Count(page, "/") == top || strings.HasPrefix(path.Base(page), "index.") {
			fmt.Fprintf(w, "<li><a href=\"%s\">%s</a>\n", html.EscapeString(address(page)), html.EscapeString(page))
		}
	}
	fmt.Fprintln(w, "</ul>")
}

func (s *site) sitemap(w http.ResponseWriter, host string) {
	w.Header().Set("Content-Type", "application/xml")
	fmt.Fprint(w, xml.Header, `<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">`, "\n")
	for _, page := range s.pages {
		fmt.Fprint(w, "<url><loc>")
		xml.EscapeText(w, []byte("http://"+host+address(page)))
		fmt.Fprintln(w, "</loc></url>")
	}
	fmt.Fprintln(w, "</urlset>")
}

func address(page string) string { return (&url.URL{Path: "/" + page}).EscapedPath() }
