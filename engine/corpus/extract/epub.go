package extract

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"
)

// Limits of an EPUB. Chapters beyond them are left out.
const (
	maxChapters = 10_000
	maxEntry    = 16 << 20 // bytes of one file in the archive, unpacked
)

// EPUB reads a book: the chapters of its spine in order.
func EPUB(data []byte) (Result, error) {
	w := &writer{max: maxText}
	r, err := chapters(data, func(p *page) bool {
		p.render(w, p.body)
		return w.b.Len() < maxText
	})
	if err != nil {
		return Result{}, err
	}
	r.Text = strings.TrimSpace(w.b.String())
	return r, nil
}

// chapters calls visit with each chapter of a book in order, cleaned, until it has enough, and says what the book says about
// itself.
func chapters(data []byte, visit func(*page) bool) (Result, error) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return Result{}, fmt.Errorf("epub: %w", err)
	}
	files := make(map[string]*zip.File, len(z.File))
	for _, f := range z.File {
		if files[f.Name] == nil {
			files[f.Name] = f
		}
	}
	var container struct {
		Roots []struct {
			Path string `xml:"full-path,attr"`
		} `xml:"rootfiles>rootfile"`
	}
	if err := entryXML(files, "META-INF/container.xml", &container); err != nil {
		return Result{}, err
	}
	if len(container.Roots) == 0 {
		return Result{}, fmt.Errorf("epub: META-INF/container.xml names no package")
	}
	root := container.Roots[0].Path
	var book struct {
		Title    []string `xml:"metadata>title"`
		Creator  []string `xml:"metadata>creator"`
		Date     []string `xml:"metadata>date"`
		Language []string `xml:"metadata>language"`
		Rights   []string `xml:"metadata>rights"`
		Items    []struct {
			ID         string `xml:"id,attr"`
			Href       string `xml:"href,attr"`
			Properties string `xml:"properties,attr"`
		} `xml:"manifest>item"`
		Spine []struct {
			ID     string `xml:"idref,attr"`
			Linear string `xml:"linear,attr"`
		} `xml:"spine>itemref"`
	}
	if err := entryXML(files, root, &book); err != nil {
		return Result{}, err
	}
	href := make(map[string]string, len(book.Items))
	for _, it := range book.Items {
		if !strings.Contains(it.Properties, "nav") {
			href[it.ID] = it.Href
		}
	}
	r := Result{Type: Book, Title: oneLine(first(book.Title...)), Author: oneLine(strings.Join(book.Creator, "; ")),
		Date: day(first(book.Date...)), Lang: language(first(book.Language...)), License: licenseName(first(book.Rights...))}
	seen := map[string]bool{} // a spine may name a chapter a million times
	for k, it := range book.Spine {
		h := href[it.ID]
		if k >= maxChapters {
			break
		}
		if h == "" || it.Linear == "no" || seen[h] {
			continue
		}
		seen[h] = true
		if u, err := url.PathUnescape(h); err == nil {
			h = u
		}
		b, err := entry(files, path.Join(path.Dir(root), h))
		if err != nil {
			return Result{}, err
		}
		p := measure(parse(decode(b, "")))
		p.clean()
		if !visit(p) {
			break
		}
	}
	return r, nil
}

func entry(files map[string]*zip.File, name string) ([]byte, error) {
	f := files[name]
	if f == nil {
		return nil, fmt.Errorf("epub: %s is not in the archive", clip(name, 200))
	}
	in, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("epub: %s: %w", name, err)
	}
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, maxEntry))
	if err != nil {
		return nil, fmt.Errorf("epub: %s: %w", name, err)
	}
	return b, nil
}

func entryXML(files map[string]*zip.File, name string, v any) error {
	b, err := entry(files, name)
	if err != nil {
		return err
	}
	if err := xml.Unmarshal(b, v); err != nil {
		return fmt.Errorf("epub: %s: %w", clip(name, 200), err)
	}
	return nil
}
