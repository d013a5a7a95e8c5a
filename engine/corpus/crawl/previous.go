package crawl

import (
	"fmt"

	"github.com/zeebo/xxh3"

	"forja/engine/corpus/warc"
	"forja/engine/vfs"
)

// previous is an earlier crawl, which is only read. The nil previous knows nothing.
type previous struct {
	reader vfs.Reader
	pages  map[xxh3.Uint128]places
}

// places are where the log speaks of a page.
type places struct {
	done  int64   // of its P record
	links []int64 // of the L records with what it led to first
}

// seenBefore is what an earlier crawl knows of a page.
type seenBefore struct {
	known bool
	url   string
	links []int64
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
	p := &previous{reader: r, pages: map[xxh3.Uint128]places{}}
	var prints []xxh3.Uint128
	led := map[uint32][]int64{}
	_, err = scan(r, end, func(kind byte, offset int64, c *cursor) error {
		switch kind {
		case kindLinks:
			from := uint32(c.number())
			if from != none {
				led[from] = append(led[from], offset)
			}
			for c.err == nil && c.pos < len(c.b) {
				if l := c.link(); c.err == nil {
					prints = append(prints, fingerprint(l.url))
				}
			}
		case kindPage:
			d := c.done()
			if c.err == nil && d.size > 0 && int(d.page) < len(prints) {
				p.pages[prints[d.page]] = places{offset, led[d.page]}
			}
			delete(led, d.page)
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
	n, _ := p.reader.ReadAt(buffer, at.done)
	c := &cursor{b: buffer[:n], pos: 1}
	d := c.done()
	if c.err != nil {
		return before
	}
	return seenBefore{known: true, url: url, links: at.links, done: d}
}

// links are what a page led to first.
func (p *previous) links(before seenBefore) (links []link, err error) {
	for _, at := range before.links {
		var head [4]byte
		if _, err := p.reader.ReadAt(head[:], at-8); err != nil {
			return nil, fmt.Errorf("earlier crawl: %w", err)
		}
		size := min(uint32(head[0])|uint32(head[1])<<8|uint32(head[2])<<16|uint32(head[3])<<24, maxRecord)
		payload := make([]byte, size)
		if _, err := p.reader.ReadAt(payload, at); err != nil {
			return nil, fmt.Errorf("earlier crawl: %w", err)
		}
		c := &cursor{b: payload, pos: 1}
		c.number()
		for c.err == nil && c.pos < len(c.b) {
			if l := c.link(); c.err == nil {
				links = append(links, link{url: l.url, list: l.list})
			}
		}
	}
	return links, nil
}
