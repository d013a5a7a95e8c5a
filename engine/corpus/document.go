// Package corpus is what the stages of data collection hand to one another: documents, one a line of JSON.
//
// The stages are its sub-packages: robots, crawl and warc fetch and keep pages, extract makes text of them, lang, filter
// and dedup clean it.
//
// Deliberately absent: the stages themselves, and token shards, which are engine/data.
package corpus

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
)

// MaxLine bounds a line of JSON, and so a document.
const MaxLine = 64 << 20

// A Document is one text and where it came from.
type Document struct {
	ID      string `json:"id"`
	URL     string `json:"url,omitempty"`
	Text    string `json:"text"`
	Title   string `json:"title,omitempty"`
	Lang    string `json:"lang,omitempty"`    // ISO 639-1 where there is one
	Type    string `json:"type,omitempty"`    // of page: article, forum, documentation
	Date    string `json:"date,omitempty"`    // RFC 3339, or its date alone
	License string `json:"license,omitempty"` // SPDX where there is one
	Source  string `json:"source,omitempty"`
	SHA256  string `json:"sha256,omitempty"` // of the bytes that the text was made from, in hex
}

// Read yields the documents of JSON lines; empty lines are passed over. The first error, which names the line, ends it.
func Read(r io.Reader) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for line, err := range Lines(r) {
			var d Document
			if err == nil {
				if err = json.Unmarshal(line.JSON, &d); err != nil {
					err = fmt.Errorf("line %d: not a document: %w", line.Number, err)
				}
			}
			if !yield(d, err) || err != nil {
				return
			}
		}
	}
}

// A Line is one document as it was written.
type Line struct {
	Number int    // from 1
	JSON   []byte // valid until the next line
}

// Lines yields the lines of a file that are not empty, of at most [MaxLine] bytes each. The first error ends it.
func Lines(r io.Reader) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		in := bufio.NewReaderSize(r, 1<<16)
		var long []byte
		for n := 1; ; n++ {
			long = long[:0]
			line, err := in.ReadSlice('\n')
			for errors.Is(err, bufio.ErrBufferFull) {
				if long = append(long, line...); len(long) > MaxLine {
					yield(Line{Number: n}, fmt.Errorf("line %d: longer than %d bytes: split the document", n, MaxLine))
					return
				}
				line, err = in.ReadSlice('\n')
			}
			if len(long) > 0 {
				long = append(long, line...)
				line = long
			}
			if err != nil && !errors.Is(err, io.EOF) {
				yield(Line{Number: n}, fmt.Errorf("line %d: %w", n, err))
				return
			}
			if line = bytes.TrimSpace(line); len(line) > 0 && !yield(Line{n, line}, nil) {
				return
			}
			if err != nil {
				return
			}
		}
	}
}

// Write appends a document as a line of JSON.
func Write(w io.Writer, d Document) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(d)
}
