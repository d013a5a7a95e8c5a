// Command extraction runs other Go extractors over pages, for comparison: `extraction TOOL FILE... > PREDICTIONS.jsonl`. It is a module of its own, so
// that forja does not depend on them. The rate that it prints is of one thread and leaves reading out.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"codeberg.org/readeck/go-readability/v2"
	"github.com/markusmobius/go-trafilatura"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: extraction trafilatura|trafilatura-fallback|trafilatura-recall|readability FILE...")
		os.Exit(2)
	}
	tool, out := os.Args[1], json.NewEncoder(os.Stdout)
	var spent time.Duration
	for _, name := range os.Args[2:] {
		page, err := read(name)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		start := time.Now()
		text := extract(tool, page)
		spent += time.Since(start)
		if err := out.Encode(map[string]string{"id": filepath.Base(name), "text": text}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	fmt.Fprintf(os.Stderr, "%s: %.1f documents/s\n", tool, float64(len(os.Args)-2)/spent.Seconds())
}

func read(name string) ([]byte, error) {
	b, err := os.ReadFile(name)
	if err == nil && strings.HasSuffix(name, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return io.ReadAll(z)
	}
	return b, err
}

// extract is a tool's text of a page, empty if it finds none. Trafilatura's is content and comments.
func extract(tool string, page []byte) string {
	if tool == "readability" {
		at, _ := url.Parse("https://example.org/")
		a, err := readability.FromReader(bytes.NewReader(page), at)
		if err != nil || a.Node == nil {
			return ""
		}
		var b strings.Builder
		_ = a.RenderText(&b)
		return b.String()
	}
	o := trafilatura.Options{}
	switch tool {
	case "trafilatura-fallback":
		o.EnableFallback = true
	case "trafilatura-recall":
		o.EnableFallback, o.Focus = true, trafilatura.FavorRecall
	}
	r, err := trafilatura.Extract(bytes.NewReader(page), o)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(r.ContentText + "\n" + r.CommentsText)
}
