package stats

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/zeebo/xxh3"

	"forja/engine/corpus"
)

// Options say what is counted beyond what documents say themselves.
type Options struct {
	Count     func(text string) int // tokens of a text, if they are wanted; from any goroutine
	Tokenizer string                // its name
	Hash      string                // its fingerprint
	Every     int                   // count tokens in one document of so many, chosen by a hash of the text; 0 and 1 are all
	Top       int                   // rows of a table: 20
	Workers   int                   // of [Collect]: one a processor
}

// Fields of a document, in the order in which a report has them.
var fieldNames = [...]string{"url", "title", "lang", "type", "date", "license", "source", "sha256"}

// The kinds of table, as indices into a Collector's.
const (
	languages = iota
	types
	hosts
	sources
	licenses
	years
	tables
)

// maxBits bounds a length: no document has 2^47 bytes.
const maxBits = 48

func bitsOf(n int64) int { return min(bits.Len64(uint64(n)), maxBits-1) }

// A Collector sums up documents and the records of archives.
type Collector struct {
	o          Options
	files      int
	whole      Row // of all documents
	characters int64
	without    int64 // text
	fields     [len(fieldNames)]int64
	tables     [tables]table
	lengths    [maxBits]Row // by the bits of the number of bytes
	tokens     [maxBits]Row // by the bits of the number of tokens, of those documents where they were counted
	sampled    Row          // documents whose tokens were counted
	longest    []Long
	archive    archive
	damaged    []string // archives, with what is wrong with them
}

// NewCollector makes a collector.
func NewCollector(o Options) *Collector {
	o.Every, o.Top = max(o.Every, 1), cmp.Or(o.Top, 20)
	c := &Collector{o: o, archive: newArchive()}
	for i := range c.tables {
		c.tables[i] = newTable()
	}
	return c
}

// Add takes a document in.
func (c *Collector) Add(d *corpus.Document) {
	size, tokens := int64(len(d.Text)), int64(0)
	if c.o.Count != nil && (c.o.Every == 1 || xxh3.HashString(d.Text)%uint64(c.o.Every) == 0) {
		n := int64(c.o.Count(d.Text))
		c.tokens[bitsOf(n)].add(size, n)
		c.sampled.add(size, n)
		if c.o.Every == 1 {
			tokens = n
		}
	}
	c.whole.add(size, tokens)
	c.characters += int64(utf8.RuneCountInString(d.Text))
	c.lengths[bitsOf(size)].add(size, tokens)
	if size == 0 {
		c.without++
	}
	for i, value := range [...]string{d.URL, d.Title, d.Lang, d.Type, d.Date, d.License, d.Source, d.SHA256} {
		if value != "" {
			c.fields[i]++
		}
	}
	for i, name := range [tables]string{d.Lang, d.Type, Host(d.URL), d.Source, d.License, yearOf(d.Date)} {
		c.tables[i].add(name, size, tokens)
	}
	c.long(d)
}

func (r *Row) add(bytes, tokens int64) {
	r.Documents++
	r.Bytes += bytes
	r.Tokens += tokens
}

func (r *Row) merge(o Row) {
	r.Documents += o.Documents
	r.Bytes += o.Bytes
	r.Tokens += o.Tokens
}

// Merge takes in what another collector of the same options has seen.
func (c *Collector) Merge(o *Collector) {
	c.files += o.files
	c.damaged = append(c.damaged, o.damaged...)
	c.whole.merge(o.whole)
	c.characters += o.characters
	c.without += o.without
	for i, n := range o.fields {
		c.fields[i] += n
	}
	for i := range c.tables {
		c.tables[i].merge(&o.tables[i])
	}
	for i := range c.lengths {
		c.lengths[i].merge(o.lengths[i])
		c.tokens[i].merge(o.tokens[i])
	}
	c.sampled.merge(o.sampled)
	for _, l := range o.longest {
		c.place(l)
	}
	c.archive.merge(&o.archive)
}

// A Long is a document that is among the longest.
type Long struct {
	ID    string `json:"id"`
	Title string `json:"title,omitempty"`
	URL   string `json:"url,omitempty"`
	Bytes int64  `json:"bytes"`
}

// longs is how many of the longest documents are kept.
const longs = 10

func (c *Collector) long(d *corpus.Document) {
	if n := len(c.longest); n == longs && int64(len(d.Text)) < c.longest[n-1].Bytes {
		return
	}
	c.place(Long{clean(d.ID), clean(d.Title), clean(d.URL), int64(len(d.Text))})
}

func (c *Collector) place(l Long) {
	at, _ := slices.BinarySearchFunc(c.longest, l, func(a, b Long) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), strings.Compare(a.ID, b.ID), strings.Compare(a.URL, b.URL), strings.Compare(a.Title, b.Title))
	})
	if at < longs {
		c.longest = slices.Insert(c.longest, at, l)
		c.longest = c.longest[:min(len(c.longest), longs)]
	}
}

// Host is the host of a URL with its port, in small letters; empty where there is none.
func Host(url string) string {
	_, rest, found := strings.Cut(url, "://")
	if !found {
		return ""
	}
	if end := strings.IndexAny(rest, "/?#\\"); end >= 0 {
		rest = rest[:end]
	}
	return strings.ToLower(rest[strings.LastIndexByte(rest, '@')+1:])
}

// yearOf is the year of a date that begins with one, as those of RFC 3339 do.
func yearOf(date string) string {
	if len(date) < 4 || len(date) > 4 && date[4] != '-' {
		return ""
	}
	for i := range 4 {
		if date[i] < '0' || date[i] > '9' {
			return ""
		}
	}
	return date[:4]
}
