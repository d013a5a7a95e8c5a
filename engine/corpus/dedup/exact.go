package dedup

import (
	"strings"

	"github.com/zeebo/xxh3"
)

// Exact finds what has occurred before, byte for byte but for white space around it, by 128-bit hashes: about 40 bytes of
// memory for each different text.
type Exact struct {
	seen map[xxh3.Uint128]struct{}
}

// NewExact has seen nothing.
func NewExact() *Exact { return &Exact{seen: map[xxh3.Uint128]struct{}{}} }

// New says whether a text occurs for the first time.
func (e *Exact) New(text string) bool {
	h := xxh3.HashString128(strings.TrimSpace(text))
	if _, ok := e.seen[h]; ok {
		return false
	}
	e.seen[h] = struct{}{}
	return true
}

// A Unit is what [Exact] compares.
type Unit string

// The units.
const (
	Documents  Unit = "document"
	Paragraphs Unit = "paragraph" // set apart by empty lines
	Lines      Unit = "line"
)

// Cut removes the paragraphs or lines of a text that occur not for the first time, in it or in a text before, and those
// without any character. It says how many it removed for having occurred.
func (e *Exact) Cut(text string, unit Unit) (kept string, removed int) {
	separator := "\n"
	if unit == Paragraphs {
		separator = "\n\n"
	}
	var parts []string
	for part := range strings.SplitSeq(text, separator) {
		switch {
		case strings.TrimSpace(part) == "":
		case e.New(part):
			parts = append(parts, part)
		default:
			removed++
		}
	}
	if removed == 0 {
		return text, 0
	}
	return strings.Join(parts, separator), removed
}
