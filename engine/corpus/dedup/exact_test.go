package dedup

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

func TestTheFirstOfEqualTextsIsNew(t *testing.T) {
	e := NewExact()
	assert.True(t, e.New("a"))
	assert.False(t, e.New(" a\n"))
	assert.True(t, e.New("A"))
}

func TestRepeatedLinesAndParagraphsAreCut(t *testing.T) {
	e := NewExact()
	kept, removed := e.Cut("menu\n\nfirst\nmenu", Lines)
	assert.Equal(t, "menu\nfirst", kept)
	assert.Equal(t, 1, removed)
	kept, removed = e.Cut("  menu \nsecond\nfirst", Lines)
	assert.Equal(t, "second", kept)
	assert.Equal(t, 2, removed)

	e = NewExact()
	kept, removed = e.Cut("a\nb\n\na\n\na\nb\n\n\nc", Paragraphs)
	assert.Equal(t, "a\nb\n\na\n\n\nc", kept)
	assert.Equal(t, 1, removed)
	unchanged := "x\n\n\n\n\ny"
	kept, removed = e.Cut(unchanged, Paragraphs)
	assert.Equal(t, unchanged, kept, "nothing to cut: as it was")
	assert.Zero(t, removed)
}

func TestCutKeepsEveryLineOnce(t *testing.T) {
	line := rapid.StringMatching(`[ab ]{0,3}`)
	rapid.Check(t, func(t *rapid.T) {
		e := NewExact()
		seen := map[string]bool{}
		for range rapid.IntRange(1, 4).Draw(t, "documents") {
			lines := rapid.SliceOfN(line, 1, 8).Draw(t, "lines")
			kept, removed := e.Cut(strings.Join(lines, "\n"), Lines)
			want, again := []string{}, 0
			for _, l := range lines {
				if key := strings.TrimSpace(l); key != "" && !seen[key] {
					seen[key] = true
					want = append(want, l)
				} else if key != "" {
					again++
				}
			}
			assert.Equal(t, again, removed)
			if removed > 0 {
				assert.Equal(t, strings.Join(want, "\n"), kept)
			}
		}
	})
}
