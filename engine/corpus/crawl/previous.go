package crawl

import (
	"fmt"

	"github.com/zeebo/xxh3"

	"forja/engine/corpus/warc"
	"forja/engine/vfs"
)

// previous is an earlier crawl, which is only read. The nil previous knows nothing.
type previous struct {
	fsys   vfs.FS
	reader vfs.Reader
	end    int64                  // of what counts in its log
	pages  map[xxh3.Uint128]int64 // offsets of the P records of pages that were archived
}

// seenBefore is what an earlier crawl knows of a page.
type seenBefore struct {
	known bool
	url   string
	done
}

func openPrevious(fsys vfs.FS) (*previous, error) {
	end, _, err := recoverLog(fsys, warc.ArchiveOptions{Dir: "warc", Prefix: "crawl", Suffix: ".warc.gz"})
	if err != nil {
		return nil, fmt.Errorf("earlier crawl: %w", err)
	}
	r, err := fsys.Open(LogName)
	if err != nil {
		return nil, fmt.Errorf("earlier crawl: %w", err)
	}
	p := &previous{fsys: fsys, reader: r, end: end, pages: map[xxh3.Uint128]int64{}}
	var prints []xxh3.Uint128
	_, err = scan(r, end, func(kind byte, offset int64, c *cursor) error {
		switch kind {
		case kindLinks:
			for _, l := range c.links() {
				prints = append(prints, fingerprint(l.url))
			}
		case kindPage:
			d := c.done()
			if c.err == nil && d.size > 0 && int(d.page) < len(prints) {
				p.pages[prints[d.page]] = offset
			}
		}
		return nil
	})
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("earlier crawl: %w", err)
	}
	return p, nil
}

func (p *previous) close() { p.reader.Close() }

// page is what is known of a URL.
func (p *previous) page(url string) (before seenBefore) {
	if p == nil {
		return before
	}
	at, ok := p.pages[fingerprint(url)]
	if !ok {
		return before
	}
	buffer := make([]byte, maxDone)
	n, _ := p.reader.ReadAt(buffer, at)
	c := &cursor{b: buffer[:n], pos: 1}
	d := c.done()
	if c.err != nil {
		return before
	}
	return seenBefore{known: true, url: url, done: d}
}

// links gives all that the earlier crawl found, some at a time. The log has a link where it was found first only, so what a page that
// has not changed leads to cannot be told otherwise.
func (p *previous) links(visit func([]link) error) error {
	r, err := p.fsys.Open(LogName)
	if err != nil {
		return fmt.Errorf("earlier crawl: %w", err)
	}
	defer r.Close()
	_, err = scan(r, p.end, func(kind byte, _ int64, c *cursor) error {
		if kind != kindLinks {
			return nil
		}
		return visit(c.links())
	})
	return err
}
