package tokenizer

import (
	"fmt"
	"io"
	"strings"

	"forja/tokenizer/internal/jsonread"
	"forja/tokenizer/split"
)

// ReadJSON reads the tokenizer.json of Hugging Face tokenizers. It reads
// byte-level BPE: the model BPE with the pre-tokenizer ByteLevel, or with a
// Split by one of the expressions of package split before ByteLevel, and no
// normalizer but NFC. Anything else that would change ids is refused by name.
//
// Its ids are those that Hugging Face gives without added tokens: what the
// file says of truncation, padding and post-processing is ignored. All its
// added_tokens become special tokens, those that are not "special" Visible.
//
// Errors say what is wrong with line and column or token. Files of more than
// 256 MiB or MaxVocab tokens are refused.
func ReadJSON(r io.Reader) (Tokenizer, error) {
	data, err := readBounded(r)
	if err != nil {
		return nil, fmt.Errorf("read tokenizer.json: %w", err)
	}
	f := jsonFile{Reader: jsonread.New(data)}
	config, err := f.read()
	if err != nil {
		return nil, fmt.Errorf("read tokenizer.json: %w", err)
	}
	b, err := NewBPE(config)
	if err != nil {
		return nil, fmt.Errorf("read tokenizer.json: %w", err)
	}
	return b, nil
}

// jsonFile is a tokenizer.json while it is read, its strings as spelled.
type jsonFile struct {
	*jsonread.Reader
	config   BPEConfig
	vocab    map[string]int32
	tokens   []string // the keys of vocab, in the order of the file
	merges   [][2]string
	hasModel bool
	hasPre   bool
}

func (f *jsonFile) read() (BPEConfig, error) {
	for field := range f.Fields() {
		switch field {
		case "added_tokens":
			f.addedTokens()
		case "normalizer":
			f.normalizer()
		case "pre_tokenizer":
			f.preTokenizer()
		case "decoder":
			f.decoder()
		case "model":
			f.hasModel = true
			f.model()
		default:
			f.Skip()
		}
	}
	switch {
	case f.Err() != nil:
	case !f.hasModel:
		f.Fail("no model: is this a tokenizer.json?")
	case !f.hasPre:
		f.Fail("no pre_tokenizer; only byte-level BPE can be read")
	}
	if err := f.End(); err != nil {
		return BPEConfig{}, err
	}
	if err := f.assemble(); err != nil {
		return BPEConfig{}, err
	}
	return f.config, nil
}

// id reads the id of a token.
func (f *jsonFile) id(token string) int32 {
	id := f.Int()
	if id < 0 || id >= MaxVocab {
		f.Fail("token %q has the id %d, not one from 0 to %d", token, id, MaxVocab-1)
		return 0
	}
	return int32(id)
}

func (f *jsonFile) addedTokens() {
	if f.Null() {
		return
	}
	for range f.Elements() {
		s := Special{ID: -1, Visible: true}
		for field := range f.Fields() {
			switch field {
			case "id":
				s.ID = f.id("")
			case "content":
				s.Content = f.String()
			case "special":
				s.Visible = !f.Bool()
			case "lstrip":
				s.LStrip = f.Bool()
			case "rstrip":
				s.RStrip = f.Bool()
			case "single_word":
				s.SingleWord = f.Bool()
			case "normalized":
				s.Normalized = f.Bool()
			default:
				f.Skip()
			}
		}
		if s.ID < 0 || s.Content == "" {
			f.Fail("an added token needs an id and a content")
		}
		if len(f.config.Specials) >= MaxVocab {
			f.Fail("more than %d added tokens", MaxVocab)
		}
		if f.Err() != nil {
			return
		}
		f.config.Specials = append(f.config.Specials, s)
	}
}

// A component is a normalizer, pre-tokenizer or decoder: an object with a type
// and settings, or a Sequence of others.
type component struct {
	kind    string
	parts   []component
	flags   map[string]bool
	pattern string // of Split
	is      string // what pattern is: Regex or String
	how     string // behavior of Split
}

func (c component) flag(name string, otherwise bool) bool {
	if value, ok := c.flags[name]; ok {
		return value
	}
	return otherwise
}

// component reads one, or nothing for null; a sequence gives its parts.
func (f *jsonFile) component() []component {
	if f.Null() {
		return nil
	}
	c := component{flags: map[string]bool{}}
	for field := range f.Fields() {
		switch kind := f.Kind(); {
		case field == "type" && kind == '"':
			c.kind = f.String()
		case field == "behavior" && kind == '"':
			c.how = f.String()
		case field == "pattern" && kind == '{':
			for c.is = range f.Fields() {
				c.pattern = f.String()
			}
		case kind == '[' && (field == "normalizers" || field == "pretokenizers" || field == "decoders"):
			for range f.Elements() {
				c.parts = append(c.parts, f.component()...)
			}
		case kind == 't' || kind == 'f':
			c.flags[field] = f.Bool()
		default:
			f.Skip()
		}
	}
	if c.kind == "Sequence" {
		return c.parts
	}
	return []component{c}
}

func (f *jsonFile) normalizer() {
	for _, c := range f.component() {
		if c.kind != "NFC" {
			f.Fail("the normalizer %s is not supported; only NFC is", c.kind)
		}
		f.config.NFC = true
	}
}

func (f *jsonFile) decoder() {
	for _, c := range f.component() {
		if c.kind != "ByteLevel" {
			f.Fail("the decoder %s is not supported; only ByteLevel is", c.kind)
		}
	}
}

func (f *jsonFile) preTokenizer() {
	parts := f.component()
	if f.Err() != nil || len(parts) == 0 {
		return
	}
	last := parts[len(parts)-1]
	switch {
	case last.kind != "ByteLevel" || len(parts) > 2:
		var kinds []string
		for _, c := range parts {
			kinds = append(kinds, c.kind)
		}
		f.Fail("the pre-tokenizer %s is not supported; ByteLevel, and Split before ByteLevel, are", strings.Join(kinds, ", "))
	case last.flag("add_prefix_space", true):
		f.Fail("the pre-tokenizer ByteLevel with add_prefix_space is not supported")
	case len(parts) == 1 && last.flag("use_regex", true):
		f.config.Split = split.GPT2
	case len(parts) == 1:
		f.Fail("the pre-tokenizer ByteLevel without use_regex is not supported: nothing splits the text")
	default:
		f.config.Split = f.splitBy(parts[0], last)
	}
	f.hasPre = true
}

func (f *jsonFile) splitBy(first, second component) *split.Pattern {
	switch {
	case first.kind != "Split":
		f.Fail("the pre-tokenizer %s before ByteLevel is not supported; Split is", first.kind)
	case second.flag("use_regex", true):
		f.Fail("the pre-tokenizer Split before ByteLevel is supported only where ByteLevel does not split again (use_regex false)")
	case first.is != "Regex" || first.how != "Isolated" || first.flag("invert", false):
		f.Fail("the pre-tokenizer Split is supported only with a Regex, behavior Isolated, invert false")
	}
	pattern, ok := split.ByRegexp(first.pattern)
	if !ok {
		f.Fail("the pre-tokenizer Split has an expression that is none of the known ones: %.200s", first.pattern)
	}
	return pattern
}

func (f *jsonFile) model() {
	if f.Kind() != '{' {
		f.Fail("the model is not an object")
	}
	kind := "BPE" // old files do not say
	for field := range f.Fields() {
		switch field {
		case "type":
			if kind = f.String(); kind != "BPE" {
				f.Fail("the model %s is not supported; byte-level BPE is", kind)
			}
		case "dropout":
			if !f.Null() && !f.zero() {
				f.Fail("a BPE model with dropout is not supported")
			}
		case "continuing_subword_prefix", "end_of_word_suffix":
			if !f.Null() && f.String() != "" {
				f.Fail("a BPE model with %s is not supported; it is not byte-level", field)
			}
		case "ignore_merges":
			f.config.WholeWords = f.Bool()
		case "vocab":
			f.vocabulary()
		case "merges":
			f.mergeList()
		default:
			f.Skip()
		}
	}
}

// zero consumes a number if it is 0 or 0.0.
func (f *jsonFile) zero() bool {
	return f.Kind() == 0 && f.Number() == 0
}

func (f *jsonFile) vocabulary() {
	f.vocab = map[string]int32{}
	for token := range f.Entries() {
		id := f.id(token)
		if _, twice := f.vocab[token]; twice {
			f.Fail("token %q is listed twice", token)
			return
		}
		f.vocab[token] = id
		f.tokens = append(f.tokens, token)
	}
}

// mergeList reads merges as "left right" or ["left","right"].
func (f *jsonFile) mergeList() {
	for i := range f.Elements() {
		if i >= maxMerges {
			f.Fail("more than %d merges", maxMerges)
			return
		}
		var merge [2]string
		if f.Kind() == '[' {
			n := 0
			for j := range f.Elements() {
				if n++; j > 1 {
					f.Fail("merge %d joins more than two tokens", i)
					return
				}
				merge[j] = f.String()
			}
			if n != 2 {
				f.Fail("merge %d joins %d tokens, not two", i, n)
			}
		} else {
			var ok bool
			line := f.String()
			merge[0], merge[1], ok = strings.Cut(line, " ")
			if !ok || merge[0] == "" || merge[1] == "" || strings.Contains(merge[1], " ") {
				f.Fail("merge %d is %q, not two tokens with a blank between", i, line)
			}
		}
		if f.Err() != nil {
			return
		}
		f.merges = append(f.merges, merge)
	}
}

// assemble turns what was read into a configuration.
func (f *jsonFile) assemble() error {
	f.config.Merges = make([][2]int32, len(f.merges))
	added := make(map[string]int32, len(f.config.Specials))
	lengths := make(map[int]bool)
	for _, s := range f.config.Specials {
		added[s.Content] = s.ID
		lengths[len(s.Content)] = true
	}
	merged := make(map[string]bool) // at least the added tokens that merges give
	for i, merge := range f.merges {
		for j, half := range merge {
			id, ok := f.vocab[half]
			if !ok {
				return fmt.Errorf("merge %d of %q and %q: %q is not in the vocabulary", i, merge[0], merge[1], half)
			}
			f.config.Merges[i][j] = id
		}
		if lengths[len(merge[0])+len(merge[1])] {
			merged[merge[0]+merge[1]] = true
		}
	}
	for _, spelled := range f.tokens {
		id := f.vocab[spelled]
		for int(id) >= len(f.config.Tokens) {
			f.config.Tokens = append(f.config.Tokens, "")
		}
		if want, ok := added[spelled]; ok {
			if id != want {
				return fmt.Errorf("added token %q has the id %d, but %d in the vocabulary", spelled, want, id)
			}
			if !merged[spelled] {
				continue // text cannot produce it
			}
		}
		token, err := readSpelling(spelled)
		if err != nil {
			return fmt.Errorf("token %q with id %d: %w", spelled, id, err)
		}
		if f.config.Tokens[id] != "" {
			return fmt.Errorf("tokens %q and %q have the same id %d", f.config.Tokens[id], token, id)
		}
		f.config.Tokens[id] = token
	}
	return nil
}
