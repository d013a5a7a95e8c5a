package tokenizer

import (
	"encoding/base64"
	"fmt"
	"unicode/utf8"

	"forja/tokenizer/decode"
	"forja/tokenizer/internal/bytelevel"
	"forja/tokenizer/normalize"
	"forja/tokenizer/pretokenize"
	"forja/tokenizer/split"
)

// A part is a normalizer, pre-tokenizer, post-processor or decoder of a
// tokenizer.json: its type and its settings. The first error sticks.
type part struct {
	role   string // normalizer and so on, for errors
	kind   string
	fields map[string]any
	err    *error
}

// asPart reads the type of a part; nil is none.
func asPart(role string, value any, err *error) (part, bool) {
	p := part{role: role, err: err}
	if value == nil || *err != nil {
		return p, false
	}
	var ok bool
	if p.fields, ok = value.(map[string]any); !ok {
		p.fail("is not an object")
		return p, false
	}
	if p.kind, ok = p.fields["type"].(string); !ok {
		p.fail("has no type")
		return p, false
	}
	return p, true
}

func (p part) fail(format string, args ...any) {
	if *p.err == nil {
		name := p.role
		if p.kind != "" {
			name += " " + p.kind
		}
		*p.err = fmt.Errorf("the %s "+format, append([]any{name}, args...)...)
	}
}

func (p part) flag(name string, otherwise bool) bool {
	switch v := p.fields[name].(type) {
	case bool:
		return v
	case nil:
		return otherwise
	}
	p.fail("has a %s that is neither true nor false", name)
	return otherwise
}

func (p part) text(name, otherwise string) string {
	switch v := p.fields[name].(type) {
	case string:
		return v
	case nil:
		return otherwise
	}
	p.fail("has a %s that is no text", name)
	return otherwise
}

func (p part) number(name string, least, most int) int {
	v, ok := p.fields[name].(float64)
	if !ok || v != float64(int(v)) || int(v) < least || int(v) > most {
		p.fail("has a %s that is no number from %d to %d", name, least, most)
		return least
	}
	return int(v)
}

// list reads the parts of a Sequence.
func (p part) list(name string) []any {
	v, ok := p.fields[name].([]any)
	if !ok {
		p.fail("has no list of %s", name)
	}
	return v
}

// pattern reads {"String": ..} or {"Regex": ..}.
func (p part) pattern() (text string, expression bool) {
	v, _ := p.fields["pattern"].(map[string]any)
	if text, ok := v["String"].(string); ok {
		return text, false
	}
	text, expression = v["Regex"].(string)
	if !expression {
		p.fail("has no pattern")
	}
	return text, expression
}

// flatten returns the parts of a value in order, sequences resolved.
func flatten(role, list string, value any, err *error) (parts []part) {
	p, ok := asPart(role, value, err)
	switch {
	case !ok:
		return nil
	case p.kind != "Sequence":
		return []part{p}
	}
	for _, v := range p.list(list) {
		parts = append(parts, flatten(role, list, v, err)...)
	}
	return parts
}

func readNormalizers(value any) (out normalize.Sequence, err error) {
	for _, p := range flatten("normalizer", "normalizers", value, &err) {
		out = append(out, p.normalizer())
	}
	return out, err
}

func (p part) normalizer() normalize.Normalizer {
	switch p.kind {
	case "NFC":
		return normalize.NFC
	case "NFD":
		return normalize.NFD
	case "NFKC":
		return normalize.NFKC
	case "NFKD":
		return normalize.NFKD
	case "Lowercase":
		return normalize.Lowercase{}
	case "StripAccents":
		return normalize.StripAccents{}
	case "Nmt":
		return normalize.Nmt{}
	case "ByteLevel":
		return normalize.ByteLevel{}
	case "Strip":
		return normalize.Strip{Left: p.flag("strip_left", true), Right: p.flag("strip_right", true)}
	case "Prepend":
		return normalize.Prepend{Prefix: p.text("prepend", "")}
	case "BertNormalizer":
		lower := p.flag("lowercase", true)
		return normalize.Bert{CleanText: p.flag("clean_text", true), Chinese: p.flag("handle_chinese_chars", true),
			StripAccents: p.flag("strip_accents", lower), Lowercase: lower}
	case "Replace":
		text, expression := p.pattern()
		if !expression {
			return normalize.NewReplace(text, p.text("content", ""))
		}
		r, err := normalize.NewReplaceRegexp(text, p.text("content", ""))
		if err != nil {
			p.fail("cannot be read: %w", err)
		}
		return r
	case "Precompiled":
		blob, err := base64.StdEncoding.DecodeString(p.text("precompiled_charsmap", ""))
		if err != nil {
			p.fail("has a precompiled_charsmap that is not base64")
			return nil
		}
		charsmap, err := normalize.ParseCharsmap(blob)
		if err != nil {
			p.fail("cannot be read: %w", err)
		}
		return normalize.Precompiled{Map: charsmap}
	}
	p.fail("is not supported")
	return nil
}

func readPreTokenizers(value any) (out pretokenize.Sequence, err error) {
	for _, p := range flatten("pre-tokenizer", "pretokenizers", value, &err) {
		out = append(out, p.preTokenizer())
	}
	return out, err
}

func (p part) preTokenizer() pretokenize.PreTokenizer {
	switch p.kind {
	case "BertPreTokenizer":
		return pretokenize.Bert{}
	case "Whitespace":
		return pretokenize.Whitespace{}
	case "WhitespaceSplit":
		return pretokenize.WhitespaceSplit{}
	case "Punctuation":
		return pretokenize.Punctuation{Behavior: p.behavior(pretokenize.Isolated)}
	case "Digits":
		return pretokenize.Digits{Individual: p.flag("individual_digits", false)}
	case "ByteLevel":
		return pretokenize.ByteLevel{PrefixSpace: p.flag("add_prefix_space", true), Split: p.flag("use_regex", true), Spell: true}
	case "CharDelimiterSplit":
		return pretokenize.Split{Literal: p.text("delimiter", ""), Behavior: pretokenize.Removed}
	case "Metaspace":
		replacement, scheme := p.metaspace()
		return pretokenize.Metaspace{Replacement: replacement, Prepend: scheme, Split: p.flag("split", true)}
	case "Split":
		out := pretokenize.Split{Behavior: p.behavior(""), Invert: p.flag("invert", false)}
		text, expression := p.pattern()
		if !expression {
			out.Literal = text
			return out
		}
		var err error
		if out.Pattern, err = split.Compile(text); err != nil {
			p.fail("cannot be read: %w", err)
		}
		return out
	}
	p.fail("is not supported")
	return nil
}

func (p part) behavior(otherwise pretokenize.Behavior) pretokenize.Behavior {
	b, err := pretokenize.ParseBehavior(p.text("behavior", string(otherwise)))
	if err != nil {
		p.fail("has an %w", err)
	}
	return b
}

// metaspace reads both generations of settings.
func (p part) metaspace() (replacement string, scheme pretokenize.Scheme) {
	replacement = p.text("replacement", normalize.Meta)
	if utf8.RuneCountInString(replacement) != 1 {
		p.fail("has a replacement that is not one character")
	}
	scheme = pretokenize.Always
	if !p.flag("add_prefix_space", true) {
		scheme = pretokenize.Never
	}
	switch s := pretokenize.Scheme(p.text("prepend_scheme", string(scheme))); s {
	case pretokenize.Always, pretokenize.First, pretokenize.Never:
		return replacement, s
	}
	p.fail("has an unknown prepend_scheme")
	return replacement, scheme
}

// readDecoders reads a decoder; none joins tokens with blanks.
func readDecoders(value any) (out decode.Chain, err error) {
	for _, p := range flatten("decoder", "decoders", value, &err) {
		out = append(out, p.decoder())
	}
	if len(out) == 0 && err == nil {
		out = decode.Chain{decode.Spaced{}}
	}
	if err == nil {
		err = out.Check()
	}
	return out, err
}

func (p part) decoder() decode.Step {
	switch p.kind {
	case "ByteLevel":
		return decode.ByteLevel{Byte: bytelevel.Byte}
	case "ByteFallback":
		return decode.ByteFallback{}
	case "Fuse":
		return decode.Fuse{}
	case "BPEDecoder":
		return decode.BPE{Suffix: p.text("suffix", "</w>")}
	case "WordPiece":
		return decode.WordPiece{Prefix: p.text("prefix", "##"), Cleanup: p.flag("cleanup", true)}
	case "Metaspace":
		replacement, scheme := p.metaspace()
		return decode.Metaspace{Replacement: replacement, Keep: scheme == pretokenize.Never}
	case "Strip":
		content, n := utf8.DecodeRuneInString(p.text("content", ""))
		if n == 0 || n != len(p.text("content", "")) {
			p.fail("has a content that is not one character")
		}
		return decode.Strip{Content: content, Start: p.number("start", 0, 1<<16), Stop: p.number("stop", 0, 1<<16)}
	case "Replace":
		text, expression := p.pattern()
		if !expression {
			return decode.NewReplace(text, p.text("content", ""))
		}
		r, err := decode.NewReplaceRegexp(text, p.text("content", ""))
		if err != nil {
			p.fail("cannot be read: %w", err)
		}
		return r
	}
	p.fail("is not supported")
	return nil
}

// readTemplate reads a post-processor; nil if it adds nothing.
func readTemplate(value any) (out *Template, err error) {
	for _, p := range flatten("post-processor", "processors", value, &err) {
		switch p.kind {
		case "ByteLevel": // offsets only
		case "TemplateProcessing":
			out = &Template{Single: p.template("single"), Pair: p.template("pair")}
		case "BertProcessing":
			cls, sep := p.pairOf("cls"), p.pairOf("sep")
			second := sep
			second.Type = 1
			out = &Template{Single: []TemplatePiece{cls, {Text: 1}, sep}, Pair: []TemplatePiece{cls, {Text: 1}, sep, {Text: 2, Type: 1}, second}}
		case "RobertaProcessing":
			cls, sep := p.pairOf("cls"), p.pairOf("sep")
			out = &Template{Single: []TemplatePiece{cls, {Text: 1}, sep}, Pair: []TemplatePiece{cls, {Text: 1}, sep, sep, {Text: 2}, sep}}
		default:
			p.fail("is not supported")
		}
	}
	return out, err
}

// pairOf reads ["[SEP]", 102].
func (p part) pairOf(name string) TemplatePiece {
	v, _ := p.fields[name].([]any)
	if len(v) == 2 {
		content, ok1 := v[0].(string)
		id, ok2 := v[1].(float64)
		if ok1 && ok2 && id >= 0 && id < MaxVocab && id == float64(int32(id)) {
			return TemplatePiece{Name: content, IDs: []int32{int32(id)}}
		}
	}
	p.fail("has a %s that is not a token with its id", name)
	return TemplatePiece{}
}

func (p part) template(name string) (out []TemplatePiece) {
	if p.fields[name] == nil {
		return nil
	}
	specials, _ := p.fields["special_tokens"].(map[string]any)
	for _, v := range p.list(name) {
		object, _ := v.(map[string]any)
		var piece TemplatePiece
		for kind, inner := range object {
			fields, _ := inner.(map[string]any)
			id, _ := fields["id"].(string)
			kindOf, ok := fields["type_id"].(float64)
			if !ok || kindOf < 0 || kindOf > 1<<16 {
				p.fail("has a piece without type_id")
				return nil
			}
			piece.Type = int32(kindOf)
			switch {
			case kind == "Sequence" && id == "A":
				piece.Text = 1
			case kind == "Sequence" && id == "B":
				piece.Text = 2
			case kind == "SpecialToken":
				piece.Name = id
				special, _ := specials[id].(map[string]any)
				ids, _ := special["ids"].([]any)
				for _, v := range ids {
					n, ok := v.(float64)
					if !ok || n < 0 || n >= MaxVocab || n != float64(int32(n)) {
						p.fail("has the special token %q with an id that is none", id)
						return nil
					}
					piece.IDs = append(piece.IDs, int32(n))
				}
				if len(piece.IDs) == 0 {
					p.fail("uses the special token %q and does not say its ids", id)
				}
			}
		}
		if len(object) != 1 || piece.Text == 0 && piece.Name == "" {
			p.fail("has a piece that is neither a text nor a special token")
			return nil
		}
		out = append(out, piece)
	}
	return out
}
