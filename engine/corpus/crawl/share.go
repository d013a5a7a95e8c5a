package crawl

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/zeebo/xxh3"
	"golang.org/x/net/publicsuffix"

	"forja/engine/corpus/shard"
	"forja/engine/vfs"
)

// ForeignName is the file in a crawl's directory with the links that belong to other shares of the crawl.
const ForeignName = "foreign.jsonl"

// owns reports whether a host belongs to a share of a crawl. All hosts of a registrable domain belong to one, so that whoever runs
// them meets one crawler.
func owns(share shard.Share, p place) bool {
	if share.Of <= 1 {
		return true
	}
	return share.Has(int(xxh3.HashString(p.domain()) % uint64(share.Of)))
}

// domain is the registrable domain of a host: example.co.uk of www.example.co.uk. An address is its own.
func (p place) domain() string {
	name := p.hostname()
	if c := name[max(0, len(name)-1):]; c == "]" || c >= "0" && c <= "9" {
		return name
	}
	if d, err := publicsuffix.EffectiveTLDPlusOne(name); err == nil {
		return d
	}
	return name
}

// setShare says which share the crawl is; a directory has the same for ever.
func (s *store) setShare(share shard.Share) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.log.Size() > 0 {
		if s.share != share {
			return fmt.Errorf("%s was begun as share %s and cannot go on as share %s: give the same, or another directory", s.fsys.Path("."), s.share, share)
		}
		return nil
	}
	s.share = share
	if share == shard.All {
		return nil
	}
	_, err := s.log.Write(frame(nil, func(b []byte) []byte {
		b = binary.AppendUvarint(append(b, kindShare), uint64(share.Index))
		return binary.AppendUvarint(b, uint64(share.Of))
	}))
	return err
}

// A foreignLink is a line of [ForeignName].
type foreignLink struct {
	URL   string `json:"url"`
	Depth int    `json:"depth"`
	Hops  int    `json:"hops,omitempty"`
	Seed  bool   `json:"seed,omitempty"`
	List  bool   `json:"list,omitempty"`
}

// writeForeign writes [ForeignName] anew, if there are such links.
func (s *store) writeForeign() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts[outcomeForeign] == 0 {
		return nil
	}
	r, err := s.fsys.Open(LogName)
	if err != nil {
		return err
	}
	defer r.Close()
	return vfs.WriteStream(s.fsys, ForeignName, func(w io.Writer) error {
		out := bufio.NewWriterSize(w, 1<<16)
		lines := json.NewEncoder(out)
		lines.SetEscapeHTML(false)
		_, err := scan(r, s.log.Size(), func(kind byte, _ int64, c *cursor) error {
			if kind != kindLinks {
				return nil
			}
			for _, l := range c.links() {
				if l.foreign {
					if err := lines.Encode(foreignLink{l.url, l.depth, l.hops, l.seed, l.list}); err != nil {
						return err
					}
				}
			}
			return nil
		})
		return errors.Join(err, out.Flush())
	})
}

// takeIn adds the links of this share from what others left in [ForeignName].
func (s *store) takeIn(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<16)
	var links []link
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var f foreignLink
		if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
			return fmt.Errorf("line %d of links: want lines such as those in %s: %w", n, ForeignName, err)
		}
		u, ok := Normalize(nil, f.URL)
		if !ok || f.Depth < 0 || f.Hops < 0 {
			return fmt.Errorf("line %d of links: %.100q is no http or https URL, or depth %d or hops %d are negative", n, f.URL, f.Depth, f.Hops)
		}
		l := link{url: u.String(), depth: f.Depth, hops: f.Hops, seed: f.Seed, list: f.List}
		if owns(s.share, split(l.url)) {
			links = append(links, l)
		}
		if len(links) == 1000 {
			if err := s.commit(done{page: none}, nil, links); err != nil {
				return err
			}
			links = links[:0]
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("links: %w", err)
	}
	return s.commit(done{page: none}, nil, links)
}
