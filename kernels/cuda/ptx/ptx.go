// Package ptx holds the compiled kernels: PTX, the assembly language that every NVIDIA driver compiles for its card, one
// compressed module for each file of the sources in kernels/cuda/src. The generator in kernels/cuda/gen writes them.
//
// A module begins with comments that say what it was made from and what its kernels take:
//
//	// forja module: softmax
//	// compiler: Debian clang version 22.1.8 (1~deb12u1)
//	// source: the SHA-256 of the .cu file, its headers and the compiler's arguments
//	// kernel: softmax__bf16(ptr y, ptr x, int32 rows, int32 cols)
//
// Deliberately absent: loading (kernels/cuda), running (kernels/cuda/sim), and machine code of any card.
package ptx

import (
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"strings"
	"sync"
)

//go:embed *.ptx.gz
var files embed.FS

const suffix = ".ptx.gz"

// Modules are the names of all modules, sorted.
func Modules() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil // the root of an embedded file system can be read
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), suffix))
	}
	return names
}

var texts sync.Map // of module name to text

// Module is the text of a module.
func Module(name string) (string, error) {
	if t, ok := texts.Load(name); ok {
		return t.(string), nil
	}
	f, err := files.Open(name + suffix)
	if err != nil {
		return "", fmt.Errorf("ptx: no module %q: %w", name, err)
	}
	defer f.Close()
	text, err := Decompress(f)
	if err != nil {
		return "", fmt.Errorf("ptx: module %q: %w", name, err)
	}
	texts.Store(name, text)
	return text, nil
}

// Decompress reads a module's file. A module of more than 64 MiB is an error.
func Decompress(r io.Reader) (string, error) {
	const most = 64 << 20
	z, err := gzip.NewReader(r)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(z, most+1))
	if err != nil {
		return "", err
	}
	if len(b) > most {
		return "", fmt.Errorf("more than %d bytes", most)
	}
	return string(b), nil
}

// Extract is a module with a single kernel: what a driver has to compile to run it.
func Extract(module, entry string) (string, error) {
	text, err := Module(module)
	if err != nil {
		return "", err
	}
	cut, err := Cut(text, entry)
	if err != nil {
		return "", fmt.Errorf("ptx: module %q: %w", module, err)
	}
	return cut, nil
}
