package tokenizer

import (
	"fmt"
	"io"
	"strings"

	"forja/tokenizer/internal/jsonread"
)

// ReadJSON reads the tokenizer.json of Hugging Face tokenizers: the models BPE,
// WordPiece and Unigram with what GPT-2, LLaMA 1 to 3, Qwen, Mistral, Gemma,
// BERT and T5 put around them. What would change ids and is not supported is
// refused by name. Byte-level models with a pre-tokenizer of package split
// become a *BPE, the others a *Pipeline.
//
// Its ids are those that Hugging Face gives without added tokens and without
// post-processing: truncation and padding are ignored, TemplateOf has the
// post-processor. All added_tokens become special tokens, those that are not
// "special" Visible. Text never produces a token that is "special", not even a
// Unigram model that lists its spelling.
//
// Errors say what is wrong with line and column or token. Files of more than
// 256 MiB or MaxVocab tokens are refused.
func ReadJSON(r io.Reader) (Tokenizer, error) {
	data, err := readBounded(r)
	if err != nil {
		return nil, fmt.Errorf("read tokenizer.json: %w", err)
	}
	f := jsonFile{Reader: jsonread.New(data), kind: "BPE", unknownID: -1, maxWord: 100}
	t, err := f.read()
	if err != nil {
		return nil, fmt.Errorf("read tokenizer.json: %w", err)
	}
	return t, nil
}

// jsonFile is a tokenizer.json while it is read, its strings as spelled.
type jsonFile struct {
	*jsonread.Reader
	specials                                          []Special
	normalizer, preTokenizer, postProcessor, decoding any

	hasModel bool
	kind     string     // of the model; old files do not say
	tokens   []string   // the vocabulary in the order of the file
	ids      []int32    // of tokens
	table    tokenTable // places of tokens
	scores   []float64  // of a Unigram model
	merges   [][2]string

	unknown        string // unk_token
	unknownID      int64  // unk_id
	prefix, suffix string // of BPE and WordPiece
	hasPrefix      bool
	maxWord        int64
	fuseUnknown    bool
	byteFallback   bool
	wholeWords     bool
}

func (f *jsonFile) read() (Tokenizer, error) {
	for field := range f.Fields() {
		switch field {
		case "added_tokens":
			f.addedTokens()
		case "normalizer":
			f.normalizer = f.Value()
		case "pre_tokenizer":
			f.preTokenizer = f.Value()
		case "post_processor":
			f.postProcessor = f.Value()
		case "decoder":
			f.decoding = f.Value()
		case "model":
			f.hasModel = true
			f.model()
		default:
			f.Skip()
		}
	}
	if f.Err() == nil && !f.hasModel {
		f.Fail("no model: is this a tokenizer.json?")
	}
	if err := f.End(); err != nil {
		return nil, err
	}
	return f.build()
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
		if len(f.specials) >= MaxVocab {
			f.Fail("more than %d added tokens", MaxVocab)
		}
		if f.Err() != nil {
			return
		}
		f.specials = append(f.specials, s)
	}
}

func (f *jsonFile) model() {
	if f.Kind() != '{' {
		f.Fail("the model is not an object")
	}
	for field := range f.Fields() {
		switch field {
		case "type":
			f.kind = f.String()
		case "dropout":
			if !f.Null() && !f.zero() {
				f.Fail("a BPE model with dropout is not supported")
			}
		case "unk_token":
			f.unknown = f.optional()
		case "unk_id":
			if !f.Null() {
				f.unknownID = f.Int()
			}
		case "continuing_subword_prefix":
			f.hasPrefix = true
			f.prefix = f.optional()
		case "end_of_word_suffix":
			f.suffix = f.optional()
		case "max_input_chars_per_word":
			f.maxWord = f.Int()
		case "fuse_unk":
			f.fuseUnknown = f.Bool()
		case "byte_fallback":
			f.byteFallback = f.Bool()
		case "ignore_merges":
			f.wholeWords = f.Bool()
		case "vocab":
			if f.Kind() == '[' {
				f.pieces()
			} else {
				f.vocabulary()
			}
		case "merges":
			f.mergeList()
		default:
			f.Skip()
		}
	}
}

// optional reads a string or null.
func (f *jsonFile) optional() string {
	if f.Null() {
		return ""
	}
	return f.String()
}

// zero consumes a number if it is 0 or 0.0.
func (f *jsonFile) zero() bool {
	return f.Kind() == 0 && f.Number() == 0
}

func (f *jsonFile) vocabulary() {
	for token := range f.Entries() {
		if len(f.tokens) >= MaxVocab {
			f.Fail("more than %d tokens", MaxVocab)
			return
		}
		f.ids = append(f.ids, f.id(token))
		f.tokens = append(f.tokens, token)
	}
	f.index()
}

// index makes tokens findable.
func (f *jsonFile) index() {
	var second int32
	if f.table, _, second = newTokenTable(f.tokens); second >= 0 {
		f.Fail("token %q is listed twice", f.tokens[second])
	}
}

// find returns the id of a token in the vocabulary.
func (f *jsonFile) find(token string) (int32, bool) {
	if len(f.table.slots) == 0 {
		return 0, false
	}
	place, ok := f.table.find(token)
	if !ok {
		return 0, false
	}
	return f.ids[place], true
}

// pieces reads the vocabulary of a Unigram model: pieces with scores, by id.
func (f *jsonFile) pieces() {
	for id := range f.Elements() {
		var piece string
		var score float64
		n := 0
		for i := range f.Elements() {
			switch n++; i {
			case 0:
				piece = f.String()
			case 1:
				score = f.Number()
			default:
				f.Fail("piece %d is not a text with a score", id)
			}
		}
		if n != 2 || id >= MaxVocab {
			f.Fail("piece %d is not a text with a score, or one too many", id)
		}
		if f.Err() != nil {
			return
		}
		f.tokens = append(f.tokens, piece)
		f.ids = append(f.ids, int32(id))
		f.scores = append(f.scores, score)
	}
	f.index()
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
