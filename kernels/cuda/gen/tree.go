package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"forja/kernels/cuda/ptx"
)

// A tree is the folder kernels/cuda.
type tree string

// findTree looks for the module's root from the current folder upwards.
func findTree() (tree, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return tree(filepath.Join(dir, "kernels", "cuda")), nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no go.mod here or above: run it within the repository")
		}
		dir = up
	}
}

func (t tree) src() string               { return filepath.Join(string(t), "src") }
func (t tree) module(name string) string { return filepath.Join(string(t), "ptx", name+".ptx.gz") }

// sources are the names of the .cu files, without the suffix, sorted.
func (t tree) sources() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(t.src(), "*.cu"))
	for i, f := range files {
		files[i] = strings.TrimSuffix(filepath.Base(f), ".cu")
	}
	slices.Sort(files)
	return files, err
}

var include = regexp.MustCompile(`(?m)^\s*#\s*include\s+"([^"]+)"`)

// hash identifies a source: the compiler's arguments, the file and all headers of this folder that it includes.
func (t tree) hash(name string) (string, error) {
	contents := map[string][]byte{}
	todo := []string{name + ".cu"}
	for len(todo) > 0 {
		file := todo[0]
		todo = todo[1:]
		if _, ok := contents[file]; ok {
			continue
		}
		b, err := os.ReadFile(filepath.Join(t.src(), file))
		if errors.Is(err, fs.ErrNotExist) && file != name+".cu" {
			b, err = nil, nil // the compiler complains if it matters
		}
		if err != nil {
			return "", err
		}
		contents[file] = b
		for _, m := range include.FindAllSubmatch(b, -1) {
			todo = append(todo, string(m[1]))
		}
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q\n", arguments(name))
	var order []string
	for file := range contents {
		order = append(order, file)
	}
	slices.Sort(order)
	for _, file := range order {
		fmt.Fprintf(h, "%s %d\n", file, len(contents[file]))
		h.Write(contents[file])
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

// read is the text of a committed module, empty if there is none.
func (t tree) read(name string) (string, error) {
	b, err := os.ReadFile(t.module(name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	text, err := ptx.Decompress(bytes.NewReader(b))
	if err != nil {
		return "", fmt.Errorf("%s: %w", t.module(name), err)
	}
	return text, nil
}

// write stores a module, compressed without a date so that equal texts are equal files.
func (t tree) write(name, text string) error {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write([]byte(text)); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return replace(t.module(name), b.Bytes())
}

// replace writes a file in one step, so that nobody ever reads half of it.
func replace(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".gen-*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
