package data

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// ErrEmpty is found in the error of a corpus without a single document.
var ErrEmpty = errors.New("no documents")

// ReadOptions say which files of a folder are read and how large they may be.
type ReadOptions struct {
	Extensions []string // of the files of a folder; default .jsonl, .md and .txt, each also with .gz
	MaxBytes   int      // of one JSONL line or one text file, unpacked; default 64 MiB
}

func (o ReadOptions) withDefaults() ReadOptions {
	if len(o.Extensions) == 0 {
		o.Extensions = []string{".jsonl", ".md", ".txt", ".jsonl.gz", ".md.gz", ".txt.gz"}
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 64 << 20
	}
	return o
}

// Read yields the documents of a file or folder. Files named .jsonl hold one
// object with a "text" on each line; every other file is one document. Files
// that start like gzip are unpacked. A folder is walked in lexical order;
// hidden files and symbolic links are left out. The sequence ends at the
// first error; one that yields no document ends with [ErrEmpty].
func Read(path string, o ReadOptions) iter.Seq2[Document, error] {
	o = o.withDefaults()
	return func(yield func(Document, error) bool) {
		files, err := listFiles(path, o)
		if err != nil {
			yield(Document{}, err)
			return
		}
		count := 0
		for _, file := range files {
			for doc, err := range readFile(file, o) {
				if !yield(doc, err) || err != nil {
					return
				}
				count++
			}
		}
		if count == 0 {
			yield(Document{}, fmt.Errorf("%s: %w in %d files: every one is empty", path, ErrEmpty, len(files)))
		}
	}
}

// listFiles is path itself, or the files below it that have a wanted name.
func listFiles(path string, o ReadOptions) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read corpus: %w", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	seen := 0
	err = filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("read corpus: %w", err)
		}
		if name != path && strings.HasPrefix(entry.Name(), ".") {
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		seen++
		if slices.ContainsFunc(o.Extensions, func(ext string) bool { return strings.HasSuffix(entry.Name(), ext) }) {
			files = append(files, name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: %w: none of its %d files ends in %s; name the folder that holds them, or the extensions to read",
			path, ErrEmpty, seen, strings.Join(o.Extensions, ", "))
	}
	return files, nil
}

func readFile(path string, o ReadOptions) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(Document{}, fmt.Errorf("read corpus: %w", err))
			return
		}
		defer f.Close()
		r, err := unpack(f)
		if err != nil {
			yield(Document{}, fmt.Errorf("%s: %w", path, err))
			return
		}
		if strings.HasSuffix(strings.TrimSuffix(path, ".gz"), ".jsonl") {
			for doc, err := range ReadJSONL(r, path, o) {
				if !yield(doc, err) {
					return
				}
			}
			return
		}
		doc, err := ReadText(r, path, o)
		if err != nil || doc.Text != "" {
			yield(doc, err)
		}
	}
}

// unpack removes a gzip layer, recognised by its first two bytes.
func unpack(r io.Reader) (io.Reader, error) {
	buffered := bufio.NewReaderSize(r, 1<<16)
	if head, _ := buffered.Peek(2); !bytes.Equal(head, []byte{0x1f, 0x8b}) {
		return buffered, nil
	}
	return gzip.NewReader(buffered)
}

// ReadText reads one document. An empty input gives an empty text.
func ReadText(r io.Reader, name string, o ReadOptions) (Document, error) {
	o = o.withDefaults()
	text, err := io.ReadAll(io.LimitReader(r, int64(o.MaxBytes)+1))
	if err != nil {
		return Document{}, fmt.Errorf("%s: %w", name, err)
	}
	if len(text) > o.MaxBytes {
		return Document{}, fmt.Errorf("%s: one document of more than %d bytes; split it into smaller files or JSONL", name, o.MaxBytes)
	}
	if err := checkUTF8(text, name, 0); err != nil {
		return Document{}, err
	}
	text = bytes.TrimPrefix(text, []byte("\uFEFF"))
	return Document{ID: name, Text: string(text), Source: name}, nil
}

// ReadJSONL reads one document per line: an object with "text" and optionally
// "id", "source", "lang" and "license". Blank lines and documents without text
// are left out. name stands for the input in errors.
func ReadJSONL(r io.Reader, name string, o ReadOptions) iter.Seq2[Document, error] {
	o = o.withDefaults()
	return func(yield func(Document, error) bool) {
		for line, err := range Lines(r, name, o.MaxBytes) {
			if err != nil {
				yield(Document{}, err)
				return
			}
			var fields struct {
				Document
				Text *string `json:"text"`
			}
			if err := json.Unmarshal(line.Bytes, &fields); err != nil {
				yield(Document{}, fmt.Errorf("%s:%d: %w; want one object per line, like {\"text\": \"...\"}", name, line.Number, jsonError(err)))
				return
			}
			if fields.Text == nil {
				yield(Document{}, fmt.Errorf("%s:%d: the object has no \"text\"; want one like {\"text\": \"...\"}", name, line.Number))
				return
			}
			doc := fields.Document
			doc.Text = *fields.Text
			if doc.Text == "" {
				continue
			}
			if doc.ID == "" {
				doc.ID = fmt.Sprintf("%s:%d", name, line.Number)
			}
			if doc.Source == "" {
				doc.Source = name
			}
			if !yield(doc, nil) {
				return
			}
		}
	}
}

// jsonError rewords encoding/json's errors, which speak of Go types.
func jsonError(err error) error {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		if kind.Field == "" {
			return fmt.Errorf("a JSON %s", kind.Value)
		}
		return fmt.Errorf("%q is a JSON %s", kind.Field, kind.Value)
	}
	return fmt.Errorf("not JSON: %w", err)
}

// A Line is a line of text without its end. Bytes is valid until the next one.
type Line struct {
	Number int // from 1
	Bytes  []byte
}

// Lines yields the lines of r that are not blank, which must be UTF-8 and at
// most maxBytes long. It ends at the first error, which names the place.
func Lines(r io.Reader, name string, maxBytes int) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		buffered := bufio.NewReaderSize(r, 1<<16)
		var line []byte
		offset := int64(0)
		for number := 1; ; number++ {
			line = line[:0]
			var err error
			for {
				var part []byte
				part, err = buffered.ReadSlice('\n')
				line = append(line, part...)
				if len(line) > maxBytes {
					yield(Line{}, fmt.Errorf("%s:%d: line longer than %d bytes, at byte offset %d; is it JSONL, with one object per line?", name, number, maxBytes, offset))
					return
				}
				if err != bufio.ErrBufferFull {
					break
				}
			}
			if err != nil && err != io.EOF {
				yield(Line{}, fmt.Errorf("%s:%d: %w", name, number, err))
				return
			}
			if e := checkUTF8(line, fmt.Sprintf("%s:%d", name, number), offset); e != nil {
				yield(Line{}, e)
				return
			}
			offset += int64(len(line))
			text := line
			if number == 1 {
				text = bytes.TrimPrefix(text, []byte("\uFEFF"))
			}
			if text = bytes.TrimSpace(text); len(text) > 0 && !yield(Line{number, text}, nil) {
				return
			}
			if err == io.EOF {
				return
			}
		}
	}
}

// checkUTF8 finds the first byte that is not UTF-8. offset is the place of
// text in its file.
func checkUTF8(text []byte, name string, offset int64) error {
	if utf8.Valid(text) {
		return nil
	}
	at := 0
	for at < len(text) {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	hint := "convert it, for example with: iconv -f LATIN1 -t UTF-8"
	switch start := text[:min(4, len(text))]; {
	case offset == 0 && (bytes.HasPrefix(start, []byte{0xff, 0xfe}) || bytes.HasPrefix(start, []byte{0xfe, 0xff})):
		hint = "it starts like UTF-16; convert it with: iconv -f UTF-16 -t UTF-8"
	case bytes.IndexByte(text[:at], 0) >= 0:
		hint = "it has zero bytes, so it is probably not text; leave it out"
	}
	return fmt.Errorf("%s: not UTF-8: byte 0x%02x at offset %d; %s", name, text[at], offset+int64(at), hint)
}
