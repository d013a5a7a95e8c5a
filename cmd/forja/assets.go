package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"forja/engine/data"
	"forja/engine/data/chat"
	"forja/tokenizer"
)

// The names of a tokenizer's files in a model directory.
const (
	tokenizerFile       = "tokenizer.json"
	tokenizerConfigFile = "tokenizer_config.json"
	templateFile        = "chat_template.jinja"
)

// The special tokens of a tokenizer that forja trains, unless the recipe names others.
var defaultSpecials = []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"}

// An encoder is a tokenizer with what a model needs to know about it.
type encoder struct {
	tokenizer.Tokenizer
	fingerprint string
	end         int32  // end-of-text id, -1 if there is none
	endText     string // its content
	template    *chat.Template
	files       map[string][]byte // as they go into checkpoints and models
}

// openTokenizer reads a tokenizer of any format, or a folder with one and perhaps a chat template. What it is in another
// format goes into checkpoints as tokenizer.json, so it must have that form.
func openTokenizer(path string) (*encoder, error) {
	dir := path
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		dir = filepath.Dir(path)
	} else if file := filepath.Join(path, tokenizerFile); exists(file) {
		path = file
	}
	var b []byte
	t, err := tokenizer.Open(path, tokenizer.OpenOptions{})
	if err == nil {
		if filepath.Base(path) == tokenizerFile {
			b, err = os.ReadFile(path)
		} else {
			var file bytes.Buffer
			err = tokenizer.WriteJSON(&file, t)
			b = file.Bytes()
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("there is no tokenizer in %s\n   train one: forja tokenizer train PATH -o DIR", path)
	} else if err != nil {
		return nil, fmt.Errorf("%w\n   restore it: every checkpoint and model keeps a copy", err)
	}
	e := newEncoder(t)
	e.files[tokenizerFile] = b
	switch src, err := os.ReadFile(filepath.Join(dir, templateFile)); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		if err := e.useTemplate(string(src)); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, templateFile), err)
		}
	}
	return e, nil
}

func newEncoder(t tokenizer.Tokenizer) *encoder {
	e := &encoder{Tokenizer: t, fingerprint: tokenizer.Fingerprint(t), end: -1, files: map[string][]byte{}}
	for _, name := range []string{"<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>"} {
		if id, ok := e.specials()[name]; ok {
			e.end, e.endText = id, name
			break
		}
	}
	e.template = chat.Default(e.specials())
	return e
}

// useTemplate sets the chat template; tokenizer_config.json repeats it for readers that look there.
func (e *encoder) useTemplate(src string) (err error) {
	if e.template, err = chat.Parse(src); err != nil {
		return err
	}
	return e.describe()
}

// describe makes the files that go with the chat template.
func (e *encoder) describe() error {
	src := e.template.Source()
	config := map[string]any{"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": src, "clean_up_tokenization_spaces": false}
	if e.end >= 0 {
		config["eos_token"] = e.endText
	}
	b, err := json.MarshalIndent(config, "", "  ")
	e.files[templateFile], e.files[tokenizerConfigFile] = []byte(src), append(b, '\n')
	return err
}

// specials are the special tokens by content.
func (e *encoder) specials() map[string]int32 {
	m := map[string]int32{}
	for _, s := range e.Specials() {
		m[s.Content] = s.ID
	}
	return m
}

// format is what token shards made with this tokenizer share.
func (e *encoder) format() data.Format {
	f := data.Format{VocabSize: e.VocabSize(), Begin: -1, End: e.end}
	f.Fingerprint = e.sum()
	return f
}

func (e *encoder) sum() (sum [32]byte) {
	b, err := hex.DecodeString(e.fingerprint)
	if err != nil || len(b) != len(sum) {
		panic("tokenizer.Fingerprint is not a SHA-256")
	}
	copy(sum[:], b)
	return sum
}

// codec renders and encodes conversations.
func (e *encoder) codec() (*chat.Codec, error) {
	return chat.NewCodec(chat.CodecOptions{Template: e.template, Encoder: e, Special: e.specials(), EOS: e.endText})
}
