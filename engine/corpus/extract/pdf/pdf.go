// Package pdf makes text of PDF documents: words, lines, columns and paragraphs in reading order.
//
// The tables, objects, encryption and most filters of a file are the kept library's (github.com/ledongthuc/pdf). What is drawn is
// read here: programs of pages, fonts and their maps to Unicode, since a page must survive a mistake in it, and layout needs
// every glyph's true place. From the places come lines (what stands on one baseline), columns (a gap that runs through many
// lines, both sides of which are filled), paragraphs (leading, indentation, lines that end early), tables (gaps that stand below
// one another) and code (letters of one width). Running headers, footers and page numbers are found by their repetition.
//
// A hostile file can make the library take endless time or memory, or overflow the stack, which ends the process: Text belongs in
// a process of its own (see engine/corpus/extract/guard). It turns the library's panics into errors.
//
// Deliberately absent: text in pictures (no character recognition), passwords, AES-256, forms that people fill in, notes, and
// a parser of PDF's file structure.
package pdf

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Limits of one document. Beyond those of memory and time, the rest of the document is left out.
const (
	MaxInput = 256 << 20 // bytes of the file

	maxPages     = 20_000
	maxPageDepth = 64
	maxUnpacked  = 1 << 30   // bytes of all streams
	maxStream    = 64 << 20  // bytes of a page's program
	maxMapBytes  = 16 << 20  // bytes of a character map or a font's program
	maxOps       = 5_000_000 // operators of a page
	maxForms     = 10_000    // forms drawn on a page
	maxFormDepth = 12
	maxGlyphs    = 500_000 // of a page
	maxText      = 16 << 20
	maxReread    = 256       // times the file that is read in all
	maxObjects   = 1_000_000 // objects and their numbers, when tables are made anew
	maxObjectID  = 1 << 20

	maxUnknown = 0.1 // of all letters: text with more holes is none
)

var (
	// ErrFormat is of bytes that are no PDF.
	ErrFormat = errors.New("not a PDF: there is no %PDF- in its first 1024 bytes")
	// ErrEncrypted is of a document that cannot be decrypted without a password, or here.
	ErrEncrypted = errors.New("encrypted")
	// ErrNoText is of a document that draws no letters, or does not say which.
	ErrNoText = errors.New("no text")
)

// A Document is what a PDF says. Fields that it does not say are empty.
type Document struct {
	Title  string `json:"title,omitempty"`
	Author string `json:"author,omitempty"`
	Date   string `json:"date,omitempty"` // YYYY-MM-DD
	Lang   string `json:"lang,omitempty"` // as BCP 47 writes it
	Pages  int    `json:"pages"`
	Text   string `json:"text"`
}

// Is tells whether bytes begin as a PDF does.
func Is(data []byte) bool {
	return strings.Contains(string(data[:min(len(data), 1024)]), "%PDF-")
}

// Text reads a document. Pages that are damaged are left out.
func Text(data []byte) (doc Document, err error) {
	defer recovered(&err)
	if len(data) > MaxInput {
		return Document{}, fmt.Errorf("%d bytes or more: a PDF may have %d", len(data), MaxInput)
	}
	d, err := open(data)
	if err != nil {
		return Document{}, err
	}
	doc.Pages = len(d.pages)
	d.about(&doc)
	var sheets []sheet
	known, unknown, size := 0.0, 0.0, 0
	var damage error
	for _, v := range d.pages {
		s, err := d.page(v)
		if err != nil && damage == nil {
			damage = err
		}
		known, unknown = known+float64(s.known), unknown+float64(s.unknown)
		for _, p := range s.pieces {
			size += len(p.text)
		}
		sheets = append(sheets, s)
		if size > maxText {
			break
		}
	}
	switch {
	case known+unknown == 0 && damage != nil:
		return Document{}, damage
	case known+unknown == 0:
		return Document{}, fmt.Errorf("%w on its %d pages: they may be pictures", ErrNoText, doc.Pages)
	case unknown > maxUnknown*(known+unknown):
		return Document{}, fmt.Errorf("%w: its fonts do not say which letters they draw", ErrNoText)
	}
	dropRunning(sheets)
	text, headline := flow(sheets)
	if text == "" {
		return Document{}, fmt.Errorf("%w but what repeats on its pages", ErrNoText)
	}
	if doc.Title == "" {
		doc.Title = headline
	}
	doc.Text = text
	return doc, nil
}

var (
	pdfDate = regexp.MustCompile(`^(?:D:)?(\d{4})(\d\d)(\d\d)`)
	// nameOfFile is a title that a program made up: of the file, or none.
	nameOfFile = regexp.MustCompile(`(?i)^(untitled|title|document\d*|microsoft \w+ - .*|.*\.(docx?|dvi|tex|pdf|odt|rtf|indd|qxd|ps|html?|xlsx?|pptx?))$`)
)

// about reads what the document says of itself.
func (d *file) about(doc *Document) {
	var err error
	defer recovered(&err) // a damaged description is none
	trailer := d.r.Trailer()
	doc.Lang = clean(decodeText([]byte(trailer.Key("Root").Key("Lang").RawString())))
	info := trailer.Key("Info")
	said := func(key string) string { return clean(decodeText([]byte(info.Key(key).RawString()))) }
	doc.Author = said("Author")
	if t := said("Title"); !nameOfFile.MatchString(t) {
		doc.Title = t
	}
	if m := pdfDate.FindStringSubmatch(said("CreationDate")); m != nil && m[1] > "1900" && m[2] > "00" && m[2] < "13" && m[3] > "00" && m[3] < "32" {
		doc.Date = m[1] + "-" + m[2] + "-" + m[3]
	}
}

// clean is a line of at most 500 letters.
func clean(s string) string {
	s = norm.NFC.String(strings.Join(strings.Fields(letters(strings.ToValidUTF8(s, ""))), " "))
	for k := range s {
		if k > 500 {
			return s[:k]
		}
	}
	return s
}
