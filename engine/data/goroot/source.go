// Package goroot makes training data of Go's own standard library, which every
// machine with Go has: tens of megabytes of real text under a BSD licence.
//
// It yields documents for pretraining (one Go file each), instruction pairs
// (what does strings.Cut do, document or implement this function) and
// preference pairs (the right explanation against that of another function).
// Generated, vendored, testdata and test files are left out. Train and
// validation are split by package, the same way for all three. Everything is a
// pure function of the files: no clock, no machine, no random order.
//
// Deliberately absent: any other source tree's layout; those are read as
// ordinary folders by engine/data.
package goroot

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"forja/engine/data"
)

// A Part is one side of the split by package.
type Part uint8

const (
	Train      Part = iota // about 19 of 20 packages
	Validation             // the rest
)

// PartOf says on which side a package is, by its import path alone.
func PartOf(importPath string) Part {
	// With this word, the rest is a twentieth of the bytes and of the pairs of
	// go1.26, not only of the packages, which differ a lot in size.
	if hash("split16", importPath)%20 == 0 {
		return Validation
	}
	return Train
}

// hash is a number that depends on the words alone.
func hash(words ...string) uint64 {
	sum := sha256.Sum256([]byte(strings.Join(words, "\x00")))
	return binary.LittleEndian.Uint64(sum[:])
}

// Find returns the root of a Go installation: dir if it is not empty, else
// $GOROOT, else what the go command says.
func Find(ctx context.Context, dir string) (string, error) {
	given := dir
	if dir == "" {
		dir = os.Getenv("GOROOT")
	}
	if dir == "" {
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
		if err != nil {
			return "", fmt.Errorf("find Go's standard library: %w; install Go, set GOROOT, or give a folder of your own text", err)
		}
		dir = strings.TrimSpace(string(out))
	}
	if info, err := os.Stat(filepath.Join(dir, "src", "fmt")); err != nil || !info.IsDir() {
		what := "GOROOT"
		if given != "" {
			what = "the folder given"
		}
		return "", fmt.Errorf("find Go's standard library: %s, %q, has no src/fmt; give the folder that `go env GOROOT` prints", what, dir)
	}
	return dir, nil
}

// A file is one Go file of the library.
type file struct {
	path string // below src, with slashes
	pkg  string // import path
}

// maxFile is the most bytes of a file; the few larger ones are tables.
const maxFile = 256 << 10

// files lists the Go files below root/src that may be good text, by path.
func files(root string) ([]file, error) {
	src := filepath.Join(root, "src")
	var list []file
	err := filepath.WalkDir(src, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := entry.Name()
		if entry.IsDir() {
			if base == "vendor" || base == "testdata" || name != src && strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
				return filepath.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() || !strings.HasSuffix(base, ".go") || strings.HasSuffix(base, "_test.go") {
			return nil
		}
		relative, err := filepath.Rel(src, name)
		if err != nil {
			return err
		}
		relative = filepath.ToSlash(relative)
		list = append(list, file{relative, path.Dir(relative)})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read Go's standard library: %w", err)
	}
	slices.SortFunc(list, func(a, b file) int { return strings.Compare(a.path, b.path) })
	return list, nil
}

// generated is the line that marks generated files: https://go.dev/s/generatedcode.
var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// read returns the content of a file, or false if it is not good text.
func (f file) read(root string) ([]byte, bool, error) {
	name := filepath.Join(root, "src", filepath.FromSlash(f.path))
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, false, fmt.Errorf("read Go's standard library: %w", err)
	}
	before, _, _ := bytes.Cut(b, []byte("\npackage "))
	return b, len(b) <= maxFile && !generated.Match(before), nil
}

// Documents yields one document for each Go file of one part of the library
// and the go command's own sources. The order looks random, so that any
// beginning is a fair sample, but is always the same. The copyright line that
// all files share is left out: it would only make a model look good.
func Documents(root string, part Part) iter.Seq2[data.Document, error] {
	return func(yield func(data.Document, error) bool) {
		list, err := files(root)
		if err != nil {
			yield(data.Document{}, err)
			return
		}
		list = slices.DeleteFunc(list, func(f file) bool { return PartOf(f.pkg) != part })
		slices.SortStableFunc(list, func(a, b file) int { return cmp.Compare(hash("order", a.path), hash("order", b.path)) })
		version := Version(root)
		seen := map[[sha256.Size]byte]bool{}
		for _, f := range list {
			b, good, err := f.read(root)
			if err != nil {
				yield(data.Document{}, err)
				return
			}
			text := withoutCopyright(string(b))
			sum := sha256.Sum256([]byte(text))
			if !good || seen[sum] || strings.TrimSpace(text) == "" {
				continue
			}
			seen[sum] = true
			doc := data.Document{ID: f.path, Text: text, Source: version, Lang: "go", License: "BSD-3-Clause"}
			if !yield(doc, nil) {
				return
			}
		}
		if len(seen) == 0 {
			yield(data.Document{}, fmt.Errorf("%s: %w of Go source", root, data.ErrEmpty))
		}
	}
}

// withoutCopyright removes the first comment of a file if it is the licence's.
func withoutCopyright(text string) string {
	if first, rest, ok := strings.Cut(text, "\n\n"); ok && strings.HasPrefix(first, "// Copyright ") {
		return strings.TrimLeft(rest, "\n")
	}
	return text
}

// Version is the version of the installation at root, such as "go1.26.0".
func Version(root string) string {
	b, err := os.ReadFile(filepath.Join(root, "VERSION"))
	if err != nil {
		return "go"
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}

var errNoPairs = errors.New("no instruction pair in Go's standard library: it may be incomplete")
