package stats

import (
	"slices"
	"strings"
)

// A Report is what a corpus is made of. As JSON it is what `forja corpus stats --json` prints; docs/formats.md names the keys.
type Report struct {
	Name       string   `json:"name"` // where the documents are
	Files      int      `json:"files"`
	Documents  int64    `json:"documents"`
	Empty      int64    `json:"empty"` // documents without text
	Bytes      int64    `json:"bytes"` // of texts, in UTF-8
	Characters int64    `json:"characters"`
	Tokens     *Tokens  `json:"tokens,omitempty"`
	Fields     []Field  `json:"fields"`
	Languages  Table    `json:"languages"`
	Types      Table    `json:"types"` // of page
	Hosts      Table    `json:"hosts"`
	Sources    Table    `json:"sources"`
	Licenses   Table    `json:"licenses"`
	Years      Table    `json:"years"`   // the newest first
	Lengths    []Bin    `json:"lengths"` // in bytes
	Longest    []Long   `json:"longest"`
	Steps      []Step   `json:"steps"` // that made the corpus, in order
	Archive    *Archive `json:"archive,omitempty"`
	Warnings   []string `json:"warnings"`
}

// Tokens are how many tokens a corpus has, without those that packing puts between documents.
type Tokens struct {
	Tokenizer string `json:"tokenizer"`
	Hash      string `json:"sha256,omitempty"`
	Every     int    `json:"every"`     // one document of so many was counted; 1 is all
	Documents int64  `json:"documents"` // that were counted
	Bytes     int64  `json:"bytes"`     // of their texts
	Counted   int64  `json:"counted"`   // tokens in them
	Total     int64  `json:"total"`     // of all documents: counted, or estimated from the bytes
	Lengths   []Bin  `json:"lengths"`   // of those that were counted, in tokens
}

// A Field is how many documents have a value in a field.
type Field struct {
	Name      string `json:"name"`
	Documents int64  `json:"documents"`
}

// A Bin is the documents of a range of lengths: From ≤ length < To, where To is twice From. The first may be those of length 0.
type Bin struct {
	From      int64 `json:"from"`
	To        int64 `json:"to"`
	Documents int64 `json:"documents"`
	Bytes     int64 `json:"bytes"`
}

// Report sums up. The steps are those that made the corpus, in order.
func (c *Collector) Report(name string, steps []Step) *Report {
	r := &Report{Name: clean(name), Files: c.files, Documents: c.whole.Documents, Empty: c.without, Bytes: c.whole.Bytes, Characters: c.characters,
		Lengths: bins(&c.lengths), Longest: append([]Long{}, c.longest...), Steps: []Step{}, Archive: c.archive.report(c.o.Top)}
	for i, n := range c.fields {
		r.Fields = append(r.Fields, Field{fieldNames[i], n})
	}
	for i, to := range [tables]*Table{&r.Languages, &r.Types, &r.Hosts, &r.Sources, &r.Licenses, &r.Years} {
		*to = c.tables[i].report(c.top(i), c.whole)
	}
	slices.SortStableFunc(r.Years.Rows, func(a, b Row) int { return strings.Compare(b.Name, a.Name) })
	if c.o.Count != nil {
		r.Tokens = c.counted()
	}
	if r.Archive != nil {
		steps = r.Archive.first(steps)
	}
	for _, s := range steps {
		r.Steps = append(r.Steps, s.tidy())
	}
	r.Warnings = append(append([]string{}, c.damaged...), warnings(r.Steps, c.whole)...)
	return r
}

// top is how many rows a table has. Years are few.
func (c *Collector) top(table int) int {
	if table == years {
		return max(c.o.Top, maxYears)
	}
	return c.o.Top
}

func (c *Collector) counted() *Tokens {
	t := &Tokens{Tokenizer: clean(c.o.Tokenizer), Hash: c.o.Hash, Every: c.o.Every, Documents: c.sampled.Documents, Bytes: c.sampled.Bytes,
		Counted: c.sampled.Tokens, Total: c.sampled.Tokens, Lengths: bins(&c.tokens)}
	if c.o.Every > 1 && t.Bytes > 0 {
		t.Total = int64(float64(t.Counted) / float64(t.Bytes) * float64(c.whole.Bytes))
	}
	return t
}

// bins are those from the first that is not empty to the last.
func bins(by *[maxBits]Row) []Bin {
	first, last := len(by), -1
	for i, r := range by {
		if r.Documents > 0 {
			first, last = min(first, i), i
		}
	}
	list := []Bin{}
	for i := first; i <= last; i++ {
		b := Bin{From: 0, To: 1, Documents: by[i].Documents, Bytes: by[i].Bytes}
		if i > 0 {
			b.From, b.To = 1<<(i-1), 1<<i
		}
		list = append(list, b)
	}
	return list
}

// median is the bin of the document in the middle.
func median(bins []Bin) (b Bin, ok bool) {
	var all, so int64
	for _, b := range bins {
		all += b.Documents
	}
	for _, b := range bins {
		if so += b.Documents; 2*so >= all && all > 0 {
			return b, true
		}
	}
	return b, false
}
