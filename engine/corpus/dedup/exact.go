package dedup

import (
	"fmt"
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
	h := hash(text)
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

// Validate refuses what is no unit.
func (u Unit) Validate() error {
	if u != Documents && u != Paragraphs && u != Lines {
		return fmt.Errorf("unit %q: want %s, %s or %s", string(u), Documents, Paragraphs, Lines)
	}
	return nil
}

// Cut removes the paragraphs or lines of a text that occur not for the first time, in it or in a text before, and those
// without any character. It says how many it removed for having occurred.
func (e *Exact) Cut(text string, unit Unit) (kept string, removed int) {
	kept, removed, _ = cut(text, unit, func(part string) (bool, error) { return !e.New(part), nil })
	return kept, removed
}

// separator is what stands between paragraphs or lines.
func (u Unit) separator() string {
	if u == Paragraphs {
		return "\n\n"
	}
	return "\n"
}

// cut removes the paragraphs or lines for which again is true, and if there are any, those without any character too.
func cut(text string, unit Unit, again func(part string) (bool, error)) (kept string, removed int, err error) {
	var parts []string
	for part := range strings.SplitSeq(text, unit.separator()) {
		if strings.TrimSpace(part) == "" {
			continue
		}
		repeated, err := again(part)
		if err != nil {
			return "", 0, err
		}
		if repeated {
			removed++
		} else {
			parts = append(parts, part)
		}
	}
	if removed == 0 {
		return text, 0, nil
	}
	return strings.Join(parts, unit.separator()), removed, nil
}

// hashes appends those of a text's units, two numbers each.
func hashes(dst []uint64, text string, unit Unit) []uint64 {
	if unit == Documents {
		h := hash(text)
		return append(dst, h.Hi, h.Lo)
	}
	_, _, _ = cut(text, unit, func(part string) (bool, error) {
		h := hash(part)
		dst = append(dst, h.Hi, h.Lo)
		return false, nil
	})
	return dst
}

func hash(text string) xxh3.Uint128 { return xxh3.HashString128(strings.TrimSpace(text)) }
