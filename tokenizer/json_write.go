package tokenizer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"forja/tokenizer/internal/bytelevel"
	"forja/tokenizer/unigram"
	"forja/tokenizer/wordpiece"
)

// WriteJSON writes t as a tokenizer.json that Hugging Face tokenizers load and
// that gives the same ids there. The special tokens are in added_tokens, with
// the ids they have. Equal tokenizers give equal bytes.
//
// A BPE with ranks is written with every way to merge, as the published files
// of such tokenizers are; where two ways to make one token overlap, its ids
// may differ from those by ranks, about twice in a million tokens. A model of
// SentencePiece is written with the normalizer and pre-tokenizer that come
// nearest, as transformers converts it: its scores are compared in float64
// there, and its charsmap is applied to grapheme clusters.
//
// It fails, saying why, if the file cannot express t.
func WriteJSON(w io.Writer, t Tokenizer) error {
	file, err := describe(t)
	if err != nil {
		return fmt.Errorf("write tokenizer.json: %w", err)
	}
	if err := writeObject(w, file); err != nil {
		return fmt.Errorf("write tokenizer.json: %w", err)
	}
	return nil
}

func writeObject(w io.Writer, file jsonObject) error {
	buffered := bufio.NewWriterSize(w, 1<<16)
	j := &jsonWriter{buffered}
	j.object(file, "")
	j.WriteByte('\n')
	return buffered.Flush()
}

// errSentencePiece is of parts that only a .model file holds.
var errSentencePiece = errors.New("a rule of SentencePiece has no form in tokenizer.json")

// describe is the whole tokenizer.json of t.
func describe(t Tokenizer) (jsonObject, error) {
	var parts struct{ normalizer, preTokenizer, decoder, model any }
	var template *Template
	var err error
	switch t := unwrap(t).(type) {
	case *BPE:
		if t.config.NFC {
			parts.normalizer = object("NFC")
		}
		parts.preTokenizer = describeSplit(t.config.Split)
		parts.decoder = describeByteLevel(true, true)
		parts.model, err = describeBPE(t)
		template = t.config.Template
	case *Pipeline:
		if t, err = t.plain(); err != nil {
			return nil, err
		}
		if parts.normalizer, err = describeNormalizer(t.config.Normalizer); err != nil {
			return nil, err
		}
		if parts.preTokenizer, err = describePreTokenizer(t.config.PreTokenizer); err != nil {
			return nil, err
		}
		if parts.decoder, err = describeDecoder(t.config.Decoder); err != nil {
			return nil, err
		}
		parts.model, err = describeModel(t.config.Model)
		template = t.config.Template
	default:
		return nil, fmt.Errorf("a %T cannot be written; a BPE and a Pipeline can", t)
	}
	if err != nil {
		return nil, err
	}
	return jsonObject{
		{"version", "1.0"}, {"truncation", nil}, {"padding", nil},
		{"added_tokens", describeSpecials(t.Specials())},
		{"normalizer", parts.normalizer}, {"pre_tokenizer", parts.preTokenizer},
		{"post_processor", describeTemplate(template)}, {"decoder", parts.decoder}, {"model", parts.model},
	}, nil
}

func describeModel(m Model) (any, error) {
	switch m := m.(type) {
	case *BPE:
		return describeBPE(m)
	case *CharBPE:
		return describeCharBPE(m)
	case *wordpiece.Model:
		o := m.Options()
		return object("WordPiece", jsonMember{"unk_token", m.Text(o.Unknown)}, jsonMember{"continuing_subword_prefix", o.Prefix},
			jsonMember{"max_input_chars_per_word", o.MaxWord}, jsonMember{"vocab", vocabulary(m.Len(), m.Text)}), nil
	case *unigram.Model:
		o := m.Options()
		var unknown any
		if o.Unknown >= 0 {
			unknown = int(o.Unknown)
		}
		pieces := make(jsonRows, 0, m.Len())
		for _, p := range o.Pieces {
			pieces = append(pieces, []any{p.Text, p.Score})
		}
		return object("Unigram", jsonMember{"unk_id", unknown}, jsonMember{"vocab", pieces}, jsonMember{"byte_fallback", o.ByteFallback}), nil
	}
	return nil, fmt.Errorf("the model %T has no form in tokenizer.json", m)
}

// vocabulary lists tokens with their ids.
func vocabulary(n int, text func(id int32) string) jsonObject {
	out := make(jsonObject, 0, n)
	for id := range int32(n) {
		if token := text(id); token != "" {
			out = append(out, jsonMember{token, int(id)})
		}
	}
	return out
}

// modelBPE is a BPE model; empty texts are null.
func modelBPE(unknown, prefix, suffix string, fuse, bytes, whole bool, vocab jsonObject, merges jsonRows) jsonObject {
	optional := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	return object("BPE", jsonMember{"dropout", nil}, jsonMember{"unk_token", optional(unknown)},
		jsonMember{"continuing_subword_prefix", optional(prefix)}, jsonMember{"end_of_word_suffix", optional(suffix)},
		jsonMember{"fuse_unk", fuse}, jsonMember{"byte_fallback", bytes}, jsonMember{"ignore_merges", whole},
		jsonMember{"vocab", vocab}, jsonMember{"merges", merges})
}

func describeBPE(b *BPE) (any, error) {
	for _, s := range b.config.Specials {
		if token, err := bytelevel.Read(s.Content); err == nil && token != s.Content {
			if id, taken := b.ids.find(token); taken {
				return nil, fmt.Errorf("special token %q is spelled like token %d", s.Content, id)
			}
		}
	}
	vocab := vocabulary(b.VocabSize(), func(id int32) string {
		if s, ok := b.special[id]; ok {
			return s.Content
		}
		return bytelevel.Spell(b.ordinary(id))
	})
	merges := make(jsonRows, len(b.merges))
	for i, merge := range b.merges {
		merges[i] = bytelevel.Spell(b.ordinary(merge[0])) + " " + bytelevel.Spell(b.ordinary(merge[1]))
	}
	return modelBPE("", "", "", false, false, b.config.WholeWords, vocab, merges), nil
}

func describeCharBPE(b *CharBPE) (any, error) {
	c := &b.config
	pairs, err := b.mergeList()
	if err != nil {
		return nil, err
	}
	merges := make(jsonRows, len(pairs))
	for i, merge := range pairs {
		left, right := c.Tokens[merge[0]], c.Tokens[merge[1]]
		if strings.Contains(left+right, " ") {
			merges[i] = []any{left, right}
		} else {
			merges[i] = left + " " + right
		}
	}
	return modelBPE(b.Text(c.Unknown), c.Prefix, c.Suffix, c.FuseUnknown, c.ByteFallback, c.WholeWords, vocabulary(b.Len(), b.Text), merges), nil
}

// unwrap returns what WithSpecials was given.
func unwrap(t Tokenizer) Tokenizer {
	for {
		p, ok := t.(*specialParser)
		if !ok {
			return t
		}
		t = p.Tokenizer
	}
}

// jsonRows is a long list: each item has a line, whatever it is.
type jsonRows []any

// jsonWriter writes JSON with the line breaks of Hugging Face's files. Errors
// stay in the buffered writer.
type jsonWriter struct{ *bufio.Writer }

func (w *jsonWriter) object(o jsonObject, indent string) {
	if len(o) == 0 {
		w.WriteString("{}")
		return
	}
	w.WriteByte('{')
	for i, m := range o {
		w.separate(i, indent+"  ")
		w.quote(m.key)
		w.WriteString(": ")
		w.value(m.value, indent+"  ")
	}
	w.WriteByte('\n')
	w.WriteString(indent)
	w.WriteByte('}')
}

func (w *jsonWriter) list(items []any, indent string) {
	if len(items) == 0 {
		w.WriteString("[]")
		return
	}
	w.WriteByte('[')
	for i, item := range items {
		w.separate(i, indent+"  ")
		w.value(item, indent+"  ")
	}
	w.WriteByte('\n')
	w.WriteString(indent)
	w.WriteByte(']')
}

func (w *jsonWriter) value(value any, indent string) {
	switch v := value.(type) {
	case nil:
		w.WriteString("null")
	case bool:
		w.WriteString(strconv.FormatBool(v))
	case int:
		w.WriteString(strconv.Itoa(v))
	case float64:
		text := strconv.FormatFloat(v, 'g', -1, 64)
		w.WriteString(text)
		if !strings.ContainsAny(text, ".e") {
			w.WriteString(".0")
		}
	case string:
		w.quote(v)
	case jsonObject:
		w.object(v, indent)
	case jsonRows:
		w.list(v, indent)
	case []any:
		w.list(v, indent)
	}
}

// separate starts item i of a list on its own line.
func (w *jsonWriter) separate(i int, indent string) {
	if i > 0 {
		w.WriteByte(',')
	}
	w.WriteByte('\n')
	w.WriteString(indent)
}

// quote writes a string, escaping no more than JSON requires.
func (w *jsonWriter) quote(s string) {
	w.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			w.WriteByte('\\')
			w.WriteByte(byte(r))
		case r < ' ':
			fmt.Fprintf(w, "\\u%04x", r)
		default:
			w.WriteRune(r)
		}
	}
	w.WriteByte('"')
}
