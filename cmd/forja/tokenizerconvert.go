package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"forja/engine/vfs"
	"forja/tokenizer"
)

// tokenizerWriters are the formats by the end of a file's name.
var tokenizerWriters = []struct {
	ending, name string
	write        func(w io.Writer, t tokenizer.Tokenizer) error
}{
	{".json", "tokenizer.json", tokenizer.WriteJSON},
	{".model", "SentencePiece", tokenizer.WriteSentencePiece},
	{".tiktoken", ".tiktoken", tokenizer.WriteTiktoken},
	{".gguf", "GGUF", tokenizer.WriteGGUF},
	{"vocab.txt", "vocab.txt", tokenizer.WriteVocab},
}

func (a *app) tokenizerConvertCmd() *cobra.Command {
	var f tokenizerFlags
	c := &cobra.Command{Use: "convert FROM TO", Short: "write a tokenizer in another format", Args: cobra.ExactArgs(2),
		Example: "  forja tokenizer convert cl100k_base.tiktoken tokenizer.json\n  forja tokenizer convert tok tok.gguf\n  forja tokenizer convert tok out/vocab.json"}
	f.addMeaning(c)
	c.Long += "\n\nThe name of TO says its format: tokenizer.json or any other .json, .model, .tiktoken, .gguf, vocab.txt, or vocab.json, which\n" +
		"merges.txt is written beside. What a format cannot express is an error, never left out."
	c.RunE = func(_ *cobra.Command, args []string) error {
		t, err := f.openPath(args[0])
		if err != nil {
			return err
		}
		files, err := convert(t, filepath.Base(args[1]))
		if err != nil {
			return err
		}
		dir := filepath.Dir(args[1])
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		disk, err := vfs.OS(dir)
		if err != nil {
			return err
		}
		defer disk.Close()
		var names []string
		for _, file := range files {
			if err := vfs.WriteFile(disk, file.name, file.content); err != nil {
				return err
			}
			names = append(names, filepath.Join(dir, file.name))
		}
		return a.print(names, func(w io.Writer) {
			for _, name := range names {
				fmt.Fprintln(w, name)
			}
		})
	}
	return c
}

type namedFile struct {
	name    string
	content []byte
}

// convert makes the files of a tokenizer in the format that a name tells.
func convert(t tokenizer.Tokenizer, name string) ([]namedFile, error) {
	if name == "vocab.json" || name == "merges.txt" {
		var vocab, merges bytes.Buffer
		err := tokenizer.WriteMerges(&vocab, &merges, t)
		return []namedFile{{"vocab.json", vocab.Bytes()}, {"merges.txt", merges.Bytes()}}, err
	}
	var endings []string
	for _, format := range tokenizerWriters {
		if strings.HasSuffix(name, format.ending) {
			var b bytes.Buffer
			err := format.write(&b, t)
			return []namedFile{{name, b.Bytes()}}, err
		}
		endings = append(endings, format.ending)
	}
	return nil, usagef("%q names no format\n   names that do end in %s, or are vocab.json", name, strings.Join(endings, ", "))
}
