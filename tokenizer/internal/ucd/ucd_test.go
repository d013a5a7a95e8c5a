package ucd

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTablesAreSorted(t *testing.T) {
	for _, table := range [][]Range{Letters, Upper, Lower, Modifier, Other, Numbers, Marks, Punctuation, Symbols, OldMarks, OldCombining, OldPunctuation, OldFormat, OldDecomposed} {
		last := rune(-1)
		for _, r := range table {
			assert.True(t, last < r[0] && r[0] <= r[1], "%x", r)
			assert.True(t, Contains(table, r[0]) && Contains(table, r[1]) && Contains(table, (r[0]+r[1])/2), "%x", r)
			assert.Equal(t, last == r[0]-1, Contains(table, r[0]-1), "%x", r)
			last = r[1]
		}
		assert.False(t, Contains(table, last+1))
		assert.False(t, Contains(table, 'a'))
	}
}
