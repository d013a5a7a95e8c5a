package filter

import (
	"unsafe"

	"forja/engine/corpus"
)

// A Verdict is what becomes of a document. Text is the document's after the filters that change it, C4's and no other.
type Verdict struct {
	Keep         bool
	Filter, Rule string  // the first that was broken
	Value, Limit float64 // of that rule
	Text         string
}

// A Finding is the outcome of one rule.
type Finding struct {
	Filter string  `json:"filter"`
	Rule   string  `json:"rule"`
	Value  float64 `json:"value"`
	Limit  float64 `json:"limit"`
	Least  bool    `json:"least"` // the limit is the least value that is kept, not the greatest
	OK     bool    `json:"ok"`
}

// Filters names the filters in their order.
func Filters() []string {
	return []string{urlFilter, languageFilter, repetitionFilter, qualityFilter, c4Filter, finewebFilter}
}

// A Checker applies the rules. It reuses its memory from document to document and is for one goroutine at a time.
type Checker struct {
	config Config
	only   string
	stop   map[string]map[uint64]int

	each   func(Finding) // sees every rule; nil: the first broken rule ends it
	broken Finding
	failed bool

	seen   set
	counts counts
	words  []word
	prefix []uint64
	lower  []byte
	out    []byte
}

// New makes a checker of the whole recipe.
func New(c Config) *Checker { return &Checker{config: c, stop: stopTables()} }

// NewOnly makes a checker of one filter, by its name in [Filters].
func NewOnly(c Config, name string) *Checker {
	return &Checker{config: c, stop: stopTables(), only: name}
}

// Check finds the first rule that a document breaks. Score is the confidence of the document's language, 1 if it is certain.
func (c *Checker) Check(d corpus.Document, score float64) Verdict {
	c.each = nil
	text := c.run(d, score)
	v := Verdict{Keep: !c.failed, Text: text}
	if c.failed {
		v.Filter, v.Rule, v.Value, v.Limit = c.broken.Filter, c.broken.Rule, c.broken.Value, c.broken.Limit
	}
	return v
}

// Explain gives the outcome of every rule, also of those after the first broken one. FineWeb's rules see what C4 leaves.
func (c *Checker) Explain(d corpus.Document, score float64) (findings []Finding, v Verdict) {
	c.each = func(f Finding) { findings = append(findings, f) }
	text := c.run(d, score)
	c.each = nil
	return findings, Verdict{!c.failed, c.broken.Filter, c.broken.Rule, c.broken.Value, c.broken.Limit, text}
}

// run applies the filters in order.
func (c *Checker) run(d corpus.Document, score float64) string {
	c.failed, c.broken = false, Finding{}
	text := d.Text
	on := func(name string) bool { return (c.only == "" || c.only == name) && (!c.failed || c.each != nil) }
	if on(urlFilter) {
		c.url(d.URL)
	}
	if on(languageFilter) {
		c.language(d.Lang, score)
	}
	if on(repetitionFilter) || on(qualityFilter) {
		c.words = scan(c.words, text)
	}
	if on(repetitionFilter) {
		c.repetition(text)
	}
	if on(qualityFilter) {
		language := d.Lang
		if language == "" {
			language = c.config.Language
		}
		c.quality(text, language)
	}
	if on(c4Filter) {
		if c.lineRules(text); view(c.out) != text {
			text = string(c.out)
		}
	}
	if on(finewebFilter) {
		c.lineShares(text)
	}
	return text
}

// most holds a value to a limit above, least to one below, none to zero; a limit of 0 turns most and least off. They say
// whether to go on.
func (c *Checker) most(filter, rule string, value, limit float64) bool {
	return limit == 0 || c.report(Finding{filter, rule, value, limit, false, value <= limit})
}

func (c *Checker) least(filter, rule string, value, limit float64) bool {
	return limit == 0 || c.report(Finding{filter, rule, value, limit, true, value >= limit})
}

func (c *Checker) none(filter, rule string, count int) bool {
	return c.report(Finding{filter, rule, float64(count), 0, false, count == 0})
}

func (c *Checker) report(f Finding) bool {
	if !f.OK && !c.failed {
		c.failed, c.broken = true, f
	}
	if c.each == nil {
		return f.OK
	}
	c.each(f)
	return true
}

// view is bytes as a string that changes with them.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
