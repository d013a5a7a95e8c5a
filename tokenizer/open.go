package tokenizer

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"forja/tokenizer/split"
)

// OpenOptions say what files of some formats do not.
type OpenOptions struct {
	// Split is that of a .tiktoken file or of vocab.json with merges.txt. Nil
	// follows the name of a .tiktoken file, and is GPT2 for the latter.
	Split *split.Pattern

	// Cased keeps case and accents with a vocab.txt.
	Cased bool
}

// Open reads a tokenizer from a file or a folder. What a file is follows its
// name and its start: tokenizer.json, a SentencePiece .model, a .tiktoken file,
// vocab.json with merges.txt beside it, a vocab.txt of BERT, GGUF; each may be
// compressed by gzip. In a folder, the first of these that is there is read.
// Errors name the file.
func Open(path string, o OpenOptions) (Tokenizer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open tokenizer: %w", err)
	}
	if info.IsDir() {
		if path, err = fileIn(path); err != nil {
			return nil, fmt.Errorf("open tokenizer: %w", err)
		}
	}
	t, err := openFile(path, o)
	if err != nil {
		return nil, fmt.Errorf("open tokenizer %s: %w", path, err)
	}
	return t, nil
}

// folderNames are what to look for in a folder, in this order.
var folderNames = []string{"tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "*.model", "*.tiktoken", "vocab.json", "vocab.txt", "*.gguf"}

func fileIn(dir string) (string, error) {
	for _, name := range folderNames {
		for _, suffix := range []string{"", ".gz"} {
			found, err := filepath.Glob(filepath.Join(escapeGlob(dir), name+suffix))
			if err == nil && len(found) > 1 && strings.Contains(name, "*") {
				return "", fmt.Errorf("%s holds several %s files: name one", dir, name)
			}
			if err == nil && len(found) > 0 {
				return found[0], nil
			}
		}
	}
	return "", fmt.Errorf("%s holds no tokenizer: there is no %s: %w", dir, strings.Join(folderNames, ", "), fs.ErrNotExist)
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`).Replace(path)
}

// openFile reads one file by what it is.
func openFile(path string, o OpenOptions) (Tokenizer, error) {
	f, err := unpacked(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	start, err := f.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	name := strings.TrimSuffix(filepath.Base(path), ".gz")
	switch {
	case bytes.HasPrefix(start, []byte("GGUF")):
		return ReadGGUF(f)
	case isRanks(start):
		return openTiktoken(f, name, o)
	case strings.HasSuffix(name, ".model"):
		return ReadSentencePiece(f)
	case name == "vocab.json" || name == "merges.txt":
		return openMerges(path, o)
	case strings.HasSuffix(name, ".json") || bytes.HasPrefix(bytes.TrimLeft(start, " \t\r\n"), []byte("{")):
		return ReadJSON(f)
	case strings.HasSuffix(name, ".tiktoken"):
		return openTiktoken(f, name, o)
	case strings.HasSuffix(name, ".txt"):
		return ReadVocab(f, o.Cased)
	case len(start) > 1 && start[0] == 0x0a: // the first field of a .model
		return ReadSentencePiece(f)
	}
	return nil, errors.New("neither its name nor its start say what it is: a tokenizer.json, .model, .tiktoken, vocab.json, vocab.txt and GGUF can be read")
}

// isRanks reports whether a file starts like a .tiktoken file.
func isRanks(start []byte) bool {
	line, _, whole := bytes.Cut(start, []byte("\n"))
	tokens, err := parseTiktoken(line)
	return whole && err == nil && len(tokens) > 0 && bytes.Contains(line, []byte("=")) || whole && err == nil && bytes.HasPrefix(line, []byte("IQ== 0"))
}

// openFileCloser is a file, unpacked if it is compressed.
type openFileCloser struct {
	*bufio.Reader
	file *os.File
}

func (f openFileCloser) Close() error { return f.file.Close() }

func unpacked(path string) (openFileCloser, error) {
	file, err := os.Open(path)
	if err != nil {
		return openFileCloser{}, err
	}
	r := bufio.NewReaderSize(file, 1<<16)
	if magic, _ := r.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		zr, err := gzip.NewReader(r)
		if err != nil {
			file.Close()
			return openFileCloser{}, err
		}
		r = bufio.NewReaderSize(zr, 1<<16)
	}
	return openFileCloser{r, file}, nil
}

// An encoding is a published .tiktoken file.
type encoding struct {
	split    *split.Pattern
	specials map[string]int32
}

// encodings are those of OpenAI, and LLaMA 3's, by the base name of the file.
var encodings = map[string]encoding{
	"gpt2":        {split.GPT2, map[string]int32{"<|endoftext|>": 50256}},
	"r50k_base":   {split.GPT2, map[string]int32{"<|endoftext|>": 50256}},
	"p50k_base":   {split.GPT2, map[string]int32{"<|endoftext|>": 50256}},
	"cl100k_base": {split.CL100K, map[string]int32{"<|endoftext|>": 100257, "<|fim_prefix|>": 100258, "<|fim_middle|>": 100259, "<|fim_suffix|>": 100260, "<|endofprompt|>": 100276}},
	"o200k_base":  {split.O200K, map[string]int32{"<|endoftext|>": 199999, "<|endofprompt|>": 200018}},
}

func openTiktoken(r io.Reader, name string, o OpenOptions) (Tokenizer, error) {
	known, ok := encodings[strings.TrimSuffix(name, ".tiktoken")]
	pattern := known.split
	if o.Split != nil {
		pattern = o.Split
	}
	if pattern == nil {
		return nil, fmt.Errorf("a .tiktoken file does not say its split: name the file like one of %s, or name the split", strings.Join(sortedKeys(encodings), ", "))
	}
	var specials []Special
	if ok {
		for _, content := range sortedKeys(known.specials) {
			specials = append(specials, Special{ID: known.specials[content], Content: content})
		}
	}
	return LoadTiktoken(r, pattern, specials...)
}

// openMerges reads vocab.json and merges.txt, given one of them.
func openMerges(path string, o OpenOptions) (Tokenizer, error) {
	var files [2]openFileCloser
	for i, name := range []string{"vocab.json", "merges.txt"} {
		beside := filepath.Join(filepath.Dir(path), name)
		if _, err := os.Stat(beside); errors.Is(err, fs.ErrNotExist) {
			beside += ".gz"
		}
		f, err := unpacked(beside)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		files[i] = f
	}
	if o.Split == nil {
		o.Split = split.GPT2
	}
	return ReadMerges(files[0], files[1], o.Split)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
