package tokenizer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"forja/tokenizer/decode"
	"forja/tokenizer/normalize"
	"forja/tokenizer/pretokenize"
	"forja/tokenizer/wordpiece"
)

// bertSpecials are the special tokens of BERT's vocabularies.
var bertSpecials = []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}

// ReadVocab reads a vocab.txt of BERT: one token a line, its id the number of
// lines before it. The file does not say how text is normalized: cased keeps
// case and accents, as the cased models of Google do. Errors name the line.
func ReadVocab(r io.Reader, cased bool) (*Pipeline, error) {
	data, err := readBounded(r)
	if err != nil {
		return nil, fmt.Errorf("read vocab.txt: %w", err)
	}
	tokens, err := vocabLines(data)
	if err != nil {
		return nil, fmt.Errorf("read vocab.txt: %w", err)
	}
	p, err := NewBert(tokens, cased)
	if err != nil {
		return nil, fmt.Errorf("read vocab.txt: %w", err)
	}
	return p, nil
}

func vocabLines(data []byte) ([]string, error) {
	var tokens []string
	lines := make(map[string]int)
	for n := 1; len(data) > 0; n++ {
		var row []byte
		row, data, _ = bytes.Cut(data, []byte("\n"))
		token := string(bytes.TrimSuffix(row, []byte("\r")))
		switch {
		case token == "":
			return nil, fmt.Errorf("line %d: an empty token", n)
		case !utf8.ValidString(token):
			return nil, fmt.Errorf("line %d: token %q is not UTF-8", n, token)
		case len(tokens) >= MaxVocab:
			return nil, fmt.Errorf("line %d: more than %d tokens", n, MaxVocab)
		}
		if first, twice := lines[token]; twice {
			return nil, fmt.Errorf("line %d: token %q is also in line %d", n, token, first)
		}
		lines[token] = n
		tokens = append(tokens, token)
	}
	return tokens, nil
}

// NewBert makes a tokenizer as BERT has it of a list of tokens, by id.
func NewBert(tokens []string, cased bool) (*Pipeline, error) {
	o := wordpiece.Options{Tokens: tokens, Unknown: -1, Prefix: "##"}
	var specials []Special
	ids := map[string]int32{}
	for id, token := range tokens {
		if slices.Contains(bertSpecials, token) {
			specials = append(specials, Special{ID: int32(id), Content: token})
			ids[token] = int32(id)
		}
		if token == "[UNK]" {
			o.Unknown = int32(id)
		}
	}
	if o.Unknown < 0 {
		return nil, errors.New("no token is [UNK]: is this a vocabulary of BERT?")
	}
	o.Hidden = func(id int32) bool { return slices.Contains(bertSpecials, tokens[id]) }
	model, err := wordpiece.New(o)
	if err != nil {
		return nil, err
	}
	config := PipelineConfig{
		Normalizer:   normalize.Bert{CleanText: true, Chinese: true, StripAccents: !cased, Lowercase: !cased},
		PreTokenizer: pretokenize.Bert{},
		Model:        model,
		Decoder:      decode.Chain{decode.WordPiece{Prefix: "##", Cleanup: true}},
		Specials:     specials,
	}
	cls, hasCLS := ids["[CLS]"]
	sep, hasSEP := ids["[SEP]"]
	if hasCLS && hasSEP {
		first, last := TemplatePiece{Name: "[CLS]", IDs: []int32{cls}}, TemplatePiece{Name: "[SEP]", IDs: []int32{sep}}
		second := last
		second.Type = 1
		config.Template = &Template{Single: []TemplatePiece{first, {Text: 1}, last}, Pair: []TemplatePiece{first, {Text: 1}, last, {Text: 2, Type: 1}, second}}
	}
	return NewPipeline(config)
}

// WriteVocab writes the tokens of a WordPiece model as a vocab.txt. It fails
// if t is another model, if an id is no token, or if a token has a line break.
func WriteVocab(w io.Writer, t Tokenizer) error {
	p, ok := unwrap(t).(*Pipeline)
	if ok {
		_, ok = p.config.Model.(*wordpiece.Model)
	}
	if !ok {
		return errors.New("write vocab.txt: the file is for WordPiece models, which this tokenizer is not")
	}
	out := bufio.NewWriter(w)
	for id := range int32(p.VocabSize()) {
		token, ok := p.Token(id)
		if !ok || strings.ContainsAny(token.Bytes, "\r\n") {
			return fmt.Errorf("write vocab.txt: id %d has no token that fits on a line", id)
		}
		out.WriteString(token.Bytes)
		out.WriteByte('\n')
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write vocab.txt: %w", err)
	}
	return nil
}
