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
	"reflect"
	"strings"
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
				if d, err = Parse(line.JSON); err != nil {
					err = fmt.Errorf("line %d: %w", line.Number, err)
				}
			}
			if !yield(d, err) || err != nil {
				return
			}
		}
	}
}

// ErrNoText is why a line of JSON is no document where nothing else is wrong with it.
var ErrNoText = errors.New(`it has no "text"`)

// Parse reads a document of its JSON. There must be a text; an ID may be a number.
func Parse(line []byte) (Document, error) {
	var in struct {
		Document
		ID   json.RawMessage `json:"id"`
		Text *string         `json:"text"`
	}
	if err := json.Unmarshal(line, &in); err != nil {
		return Document{}, NoDocument(err)
	}
	if in.Text == nil {
		return Document{}, NoDocument(ErrNoText)
	}
	d := in.Document
	d.Text = *in.Text
	switch id := in.ID; {
	case len(id) == 0 || id[0] == 'n': // null
	case id[0] == '"':
		if err := json.Unmarshal(id, &d.ID); err != nil {
			return Document{}, NoDocument(err)
		}
	case id[0] == '-' || '0' <= id[0] && id[0] <= '9':
		d.ID = string(id)
	default:
		return Document{}, NoDocument(fmt.Errorf(`"id" is %.20s: want a text or a number`, id))
	}
	return d, nil
}

// NoDocument says why a line is no document: err is what decoding it came to.
func NoDocument(err error) error { return fmt.Errorf("not a document: %w", Reason(err)) }

// Reason says in words of JSON, not of Go, why it could not be decoded.
func Reason(err error) error {
	var mismatch *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &mismatch) && mismatch.Field == "":
		return fmt.Errorf(`it is of type %s: want an object such as {"text": "..."}`, mismatch.Value)
	case errors.As(err, &mismatch):
		field := mismatch.Field[strings.LastIndexByte(mismatch.Field, '.')+1:] // without the struct that it is in
		return fmt.Errorf("%q is of type %s: want %s", strings.ToLower(field), mismatch.Value, wanted(mismatch.Type))
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON: %w", err)
	}
	return err
}

// wanted is what JSON calls a type.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Bool:
		return "true or false"
	}
	return "a number"
}

// A Line is one document as it was written.
type Line struct {
	Number int    // from 1
	JSON   []byte // valid until the next line
}

// byteOrderMark is what some editors put before text in UTF-8.
var byteOrderMark = []byte("\xef\xbb\xbf")

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
			if n == 1 {
				line = bytes.TrimPrefix(line, byteOrderMark)
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
