package crawl

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"sync"
	"time"

	"github.com/zeebo/xxh3"

	"forja/engine/corpus/shard"
	"forja/engine/corpus/warc"
	"forja/engine/vfs"
)

// A store is the state of a crawl on disk, and what of it must be at hand: 128-bit fingerprints of the URLs that were
// seen, and where each URL stands in the log. A crash loses at most what was in flight: see [store.commit].
type store struct {
	mu      sync.Mutex
	log     *vfs.Journal
	fsys    vfs.FS
	readers sync.RWMutex // guards reader
	reader  vfs.Reader   // of the log
	archive *warc.Archive
	unsure  bool // something was written since the last S

	seen     map[xxh3.Uint128]struct{} // fingerprints of URLs
	offsets  []int64                   // in the log, of each page's link
	finished []bool                    // by page
	payloads map[xxh3.Uint128]int64    // offset of the P record of the first page with a digest
	queries  map[uint64]uint16         // URLs with a query, by path
	hosts    map[string]bool           // of seeds
	sizes    map[uint64]uint32         // URLs by host
	domains  map[uint64]uint32         // hosts by registrable domain
	counts   [outcomes]int
	bytes    int64 // archived

	share shard.Share
	scope *Scope
	now   func() time.Time
	limit int                            // of pages archived; 0 is none
	fresh func(page uint32, host string) // told of every page that is to be fetched
}

// openStore goes on where a crawl ended, however it ended. fresh is called for every page that is not done.
func openStore(fsys vfs.FS, o warc.ArchiveOptions, scope *Scope, now func() time.Time, fresh func(page uint32, host string)) (*store, error) {
	if err := vfs.MkdirAll(fsys, o.Dir); err != nil {
		return nil, err
	}
	end, at, err := recoverLog(fsys, o)
	if err != nil {
		return nil, err
	}
	s := &store{fsys: fsys, seen: map[xxh3.Uint128]struct{}{}, payloads: map[xxh3.Uint128]int64{}, queries: map[uint64]uint16{}, hosts: map[string]bool{},
		sizes: map[uint64]uint32{}, domains: map[uint64]uint32{}, share: shard.All, scope: scope, now: now}
	if s.log, err = vfs.OpenJournalAt(fsys, LogName, end); err != nil {
		return nil, err
	}
	if s.reader, err = fsys.Open(LogName); err != nil {
		s.log.Close()
		return nil, err
	}
	if s.archive, err = warc.OpenArchive(fsys, o, at); err != nil {
		s.close()
		return nil, err
	}
	if _, err = scan(s.reader, end, s.replay); err != nil {
		s.close()
		return nil, err
	}
	if len(s.finished) != len(s.offsets) {
		s.close()
		return nil, fmt.Errorf("%s: %d pages, %d links", fsys.Path(LogName), len(s.finished), len(s.offsets))
	}
	for page, finished := range s.finished {
		if finished {
			continue
		}
		l, err := s.link(uint32(page))
		if err != nil {
			s.close()
			return nil, err
		}
		fresh(uint32(page), split(l.url).origin)
	}
	s.fresh = fresh
	return s, nil
}

// replay takes in a record of the log.
func (s *store) replay(kind byte, offset int64, c *cursor) error {
	switch kind {
	case kindLinks:
		c.number()
		for c.err == nil && c.pos < len(c.b) {
			at := offset + int64(c.pos)
			if l := c.link(); c.err == nil {
				s.add(l, at)
			}
		}
	case kindPage:
		d := c.done()
		if c.err == nil && int(d.page) < len(s.finished) && !d.outcome.again() {
			s.settle(d, offset)
		}
	case kindShare:
		if index, of := int(c.number()), int(c.number()); c.err == nil {
			s.share = shard.Share{Index: index, Of: of}
		}
	}
	return nil
}

func fingerprint(url string) xxh3.Uint128 { return xxh3.HashString128(url) }

// add notes a link that is in the log.
func (s *store) add(l link, at int64) {
	s.seen[fingerprint(l.url)] = struct{}{}
	s.offsets = append(s.offsets, at)
	s.finished = append(s.finished, l.foreign)
	if l.foreign {
		s.counts[outcomeForeign]++
	}
	p := split(l.url)
	if l.seed {
		s.hosts[strings.Clone(p.host)] = true
	}
	if p.query != "" {
		s.queries[pathKey(p)]++
	}
	key := xxh3.HashString(p.host)
	if s.sizes[key]++; s.sizes[key] == 1 {
		s.domains[xxh3.HashString(p.domain())]++
	}
}

// pathKey stands for a URL without its query.
func pathKey(p place) uint64 { return xxh3.HashString(p.text[:len(p.text)-len(p.query)]) }

// settle notes that a page is done.
func (s *store) settle(d done, at int64) {
	if s.finished[d.page] {
		return
	}
	s.finished[d.page] = true
	if d.outcome < outcomes {
		s.counts[d.outcome]++
	}
	s.bytes += d.size
	if d.outcome == outcomeStored && d.digest != "" {
		if _, ok := s.payloads[fingerprint(d.digest)]; !ok {
			s.payloads[fingerprint(d.digest)] = at
		}
	}
}

// read parses what stands in the log at an offset, at most size bytes.
func (s *store) read(at int64, size int, parse func(c *cursor)) error {
	buffer := make([]byte, size)
	for again := false; ; again = true {
		s.readers.RLock()
		n, err := s.reader.ReadAt(buffer, at)
		s.readers.RUnlock()
		c := &cursor{b: buffer[:n]}
		if parse(c); c.err == nil {
			return nil
		}
		if again {
			return fmt.Errorf("%s: at %d: %w (%v)", LogName, at, c.err, err)
		}
		if err := s.reopen(); err != nil { // a reader may see only what was there when it was opened
			return err
		}
	}
}

func (s *store) reopen() error {
	s.readers.Lock()
	defer s.readers.Unlock()
	r, err := s.fsys.Open(LogName)
	if err != nil {
		return err
	}
	s.reader.Close()
	s.reader = r
	return nil
}

// link reads a page's link back.
func (s *store) link(page uint32) (l link, err error) {
	s.mu.Lock()
	at := s.offsets[page]
	s.mu.Unlock()
	err = s.read(at, maxURL+64, func(c *cursor) { l = c.link() })
	return l, err
}

// first says where and when a payload was stored first, if it was.
func (s *store) first(digest string) (url string, date time.Time, ok bool) {
	s.mu.Lock()
	at, ok := s.payloads[fingerprint(digest)]
	s.mu.Unlock()
	if !ok {
		return "", time.Time{}, false
	}
	var d done
	if err := s.read(at, maxDone, func(c *cursor) { c.byte(); d = c.done() }); err != nil || d.digest != digest {
		return "", time.Time{}, false
	}
	l, err := s.link(d.page)
	return l.url, d.date, err == nil
}

// admits reports whether a link is new and in scope. The lock must be held.
func (s *store) admits(l link) bool {
	if _, known := s.seen[fingerprint(l.url)]; known || len(s.offsets) >= none {
		return false
	}
	p := split(l.url)
	if l.list || l.seed {
		return l.seed || s.hasRoom(p)
	}
	if s.scope.outside(p, l.depth, s.hosts) != "" || hasNoText(p) || trap(p, s.now()) != "" {
		return false
	}
	return (p.query == "" || s.queries[pathKey(p)] < maxQueries) && s.hasRoom(p)
}

// hasRoom reports whether a host, and the domain of a new one, may have one more URL: a server can answer to any path, and any name.
func (s *store) hasRoom(p place) bool {
	if n := s.sizes[xxh3.HashString(p.host)]; n > 0 {
		return int(n) < cmp.Or(s.scope.HostURLs, maxHostURLs)
	}
	return s.domains[xxh3.HashString(p.domain())] < maxHosts
}

// full reports whether the archive has as many pages as were wanted.
func (s *store) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hasAll()
}

// hasAll is full for who holds the lock.
func (s *store) hasAll() bool { return s.limit > 0 && s.archived() >= s.limit }

// commit ends a page: its records go to the archive, then the links that are new and the page's end to the log, in one
// write. Whatever the moment of a crash, recovery finds the page's end and its records, or neither: the log's last records count only
// if the archive has their bytes. Links without the end of their page do no harm: it is fetched again. page is none for seeds. A
// page beyond the limit is left for another run.
func (s *store) commit(d done, records []byte, links []link) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(records) > 0 && s.hasAll() {
		return nil
	}
	var fresh []link
	var b []byte
	var places []int64
	base := s.log.Size()
	for len(links) > 0 {
		b = frame(b, func(b []byte) []byte {
			start := len(b)
			b = append(b, kindLinks)
			b = binary.AppendUvarint(b, uint64(d.page))
			for len(links) > 0 && len(b)-start < maxRecord/2 {
				l := links[0]
				links = links[1:]
				if !s.admits(l) {
					continue
				}
				l.foreign = !owns(s.share, split(l.url))
				places = append(places, base+int64(len(b)))
				fresh = append(fresh, l)
				s.seen[fingerprint(l.url)] = struct{}{} // here already, against twins on one page
				b = appendLink(b, l)
			}
			return b
		})
	}
	if len(fresh) == 0 {
		b = b[:0]
	}
	if len(records) > 0 {
		at, err := s.archive.Append(records)
		if err != nil {
			return err
		}
		d.at, d.size, d.sum = at, int64(len(records)), crc32.Checksum(records, castagnoli)
	}
	doneAt := base + int64(len(b)) + 8
	if d.page != none {
		b = frame(b, func(b []byte) []byte { return appendDone(b, d) })
	}
	if len(b) == 0 {
		return nil
	}
	if _, err := s.log.Write(b); err != nil {
		return err
	}
	s.unsure = true
	for i, l := range fresh {
		page := uint32(len(s.offsets))
		s.add(l, places[i])
		if !l.foreign {
			s.fresh(page, split(l.url).origin)
		}
	}
	if d.page != none {
		s.settle(d, doneAt)
	}
	return nil
}

// sync makes everything so far durable.
func (s *store) sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.unsure {
		return nil
	}
	if err := s.archive.Sync(); err != nil {
		return err
	}
	if _, err := s.log.Write(syncRecord()); err != nil {
		return err
	}
	if err := s.log.Sync(); err != nil {
		return err
	}
	s.unsure = false
	return nil
}

// close releases the files. Whether what came after the last sync is safe, it does not say.
func (s *store) close() {
	if s.archive != nil {
		_ = s.archive.Close() // sync has reported what matters
	}
	_ = s.log.Close()
	s.reader.Close()
}
