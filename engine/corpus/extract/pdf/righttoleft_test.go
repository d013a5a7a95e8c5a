package pdf

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWhatIsSeenFromLeftToRightIsReadAsItIsWritten(t *testing.T) {
	for seen, want := range map[string]string{
		"abc":                   "abc",
		"םלוע םולש":             "שלום עולם",
		"2023 תנשב":             "בשנת 2023",
		"(PDF 1.7) ץבוק":        "קובץ (PDF 1.7)",
		"the word םולש is here": "the word שלום is here",
		"ﻡﻼﺳ":                   "سلام", // forms of letters, one of them two letters
	} {
		assert.Equal(t, want, readingOrder(seen), seen)
	}
}

func TestPagesFromRightToLeftAreReadFromTheRight(t *testing.T) {
	pieces := []piece{{x: 100, end: 200, size: 12, text: "םולש", letters: 4}, {x: 210, end: 300, size: 12, text: "םלוע", letters: 4}}
	toReadingOrder(pieces)
	rows := rowsOf(pieces)
	assert.Equal(t, "עולם שלום", rows[0].text())
}
