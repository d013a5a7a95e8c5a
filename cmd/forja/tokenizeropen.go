package main

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"forja/tokenizer"
	"forja/tokenizer/split"
)

// tokenizerFlags name a tokenizer and say what its file does not.
type tokenizerFlags struct {
	path    string
	pattern string
	cased   bool
}

const tokenizerFormats = "\n\nA tokenizer is a file or a folder, packed by gzip or not: tokenizer.json, a SentencePiece .model, .tiktoken,\n" +
	"vocab.json with merges.txt, a vocab.txt of BERT, or GGUF. The split of a .tiktoken file follows its name\n" +
	"(gpt2 or r50k_base, p50k_base, cl100k_base, o200k_base) or --pattern; a vocab.txt is of uncased BERT unless --cased."

// add defines the flags and tells of the formats.
func (f *tokenizerFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.path, "tokenizer", "", "the tokenizer, instead of the first argument")
	f.addMeaning(c)
}

// addMeaning defines the flags that say what files do not.
func (f *tokenizerFlags) addMeaning(c *cobra.Command) {
	c.Flags().StringVar(&f.pattern, "pattern", "", "split of a .tiktoken file or of merges.txt: a name ("+strings.Join(patternNames(), ", ")+") or a regular expression")
	c.Flags().BoolVar(&f.cased, "cased", false, "a vocab.txt keeps case and accents")
	c.Long = strings.ToUpper(c.Short[:1]) + c.Short[1:] + "." + tokenizerFormats
}

func patternNames() (names []string) {
	for _, p := range split.Patterns() {
		names = append(names, p.Name())
	}
	return names
}

// open opens the tokenizer of --tokenizer or of the first argument, and returns the other arguments, at most most.
func (f *tokenizerFlags) open(args []string, most int) (tokenizer.Tokenizer, []string, error) {
	path := f.path
	if path == "" {
		if len(args) == 0 {
			return nil, nil, usagef("no tokenizer\n   name it: --tokenizer PATH, or as the first argument")
		}
		path, args = args[0], args[1:]
	}
	if len(args) > most {
		return nil, nil, usagef("%q: one argument too many", args[most])
	}
	t, err := f.openPath(path)
	return t, args, err
}

func (f *tokenizerFlags) openPath(path string) (tokenizer.Tokenizer, error) {
	o := tokenizer.OpenOptions{Cased: f.cased}
	if f.pattern != "" {
		var ok bool
		if o.Split, ok = split.ByName(f.pattern); !ok {
			var err error
			if o.Split, err = split.Compile(f.pattern); err != nil {
				return nil, usagef("--pattern: %w\n   names: %s", err, strings.Join(patternNames(), ", "))
			}
		}
	}
	t, err := tokenizer.Open(path, o)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("there is no tokenizer in %s\n   train one: forja tokenizer train PATH -o DIR", path)
	}
	return t, err
}
