package tokenizer

import (
	"encoding/base64"
	"fmt"
	"slices"

	"forja/tokenizer/decode"
	"forja/tokenizer/normalize"
	"forja/tokenizer/pretokenize"
	"forja/tokenizer/split"
)

// A jsonObject is written in the order of its members.
type jsonObject []jsonMember

type jsonMember struct {
	key   string
	value any // nil, bool, int, float64, string, []any or jsonObject
}

func object(kind string, members ...jsonMember) jsonObject {
	return append(jsonObject{{"type", kind}}, members...)
}

// describeNormalizer is the tokenizer.json of a normalizer. It fails for those
// that Hugging Face does not have.
func describeNormalizer(n normalize.Normalizer) (any, error) {
	switch n := n.(type) {
	case nil:
		return nil, nil
	case normalize.Sequence:
		parts := []any{}
		for _, inner := range n {
			part, err := describeNormalizer(inner)
			if err != nil {
				return nil, err
			}
			parts = append(parts, part)
		}
		switch len(parts) {
		case 0:
			return nil, nil
		case 1:
			return parts[0], nil
		}
		return object("Sequence", jsonMember{"normalizers", parts}), nil
	case normalize.Form:
		return object(n.Name()), nil
	case normalize.Lowercase:
		return object("Lowercase"), nil
	case normalize.StripAccents:
		return object("StripAccents"), nil
	case normalize.Nmt:
		return object("Nmt"), nil
	case normalize.ByteLevel:
		return object("ByteLevel"), nil
	case normalize.Strip:
		return object("Strip", jsonMember{"strip_left", n.Left}, jsonMember{"strip_right", n.Right}), nil
	case normalize.Prepend:
		return object("Prepend", jsonMember{"prepend", n.Prefix}), nil
	case normalize.Bert:
		return object("BertNormalizer", jsonMember{"clean_text", n.CleanText}, jsonMember{"handle_chinese_chars", n.Chinese},
			jsonMember{"strip_accents", n.StripAccents}, jsonMember{"lowercase", n.Lowercase}), nil
	case normalize.Replace:
		text, expression := n.Pattern()
		return object("Replace", jsonMember{"pattern", describePattern(text, expression)}, jsonMember{"content", n.Content()}), nil
	case normalize.Precompiled:
		return object("Precompiled", jsonMember{"precompiled_charsmap", base64.StdEncoding.EncodeToString(n.Map.Blob())}), nil
	case normalize.SentencePiece:
		return nil, errSentencePiece
	}
	return nil, fmt.Errorf("the normalizer %T has no form in tokenizer.json", n)
}

func describePattern(text string, expression bool) jsonObject {
	if expression {
		return jsonObject{{"Regex", text}}
	}
	return jsonObject{{"String", text}}
}

func describePreTokenizer(p pretokenize.PreTokenizer) (any, error) {
	switch p := p.(type) {
	case nil:
		return nil, nil
	case pretokenize.Sequence:
		parts := []any{}
		for _, inner := range p {
			part, err := describePreTokenizer(inner)
			if err != nil {
				return nil, err
			}
			parts = append(parts, part)
		}
		switch len(parts) {
		case 0:
			return nil, nil
		case 1:
			return parts[0], nil
		}
		return object("Sequence", jsonMember{"pretokenizers", parts}), nil
	case pretokenize.Bert:
		return object("BertPreTokenizer"), nil
	case pretokenize.Whitespace:
		return object("Whitespace"), nil
	case pretokenize.WhitespaceSplit:
		return object("WhitespaceSplit"), nil
	case pretokenize.Punctuation:
		return object("Punctuation", jsonMember{"behavior", string(p.Behavior)}), nil
	case pretokenize.Digits:
		return object("Digits", jsonMember{"individual_digits", p.Individual}), nil
	case pretokenize.ByteLevel:
		return describeByteLevel(p.PrefixSpace, p.Split), nil
	case pretokenize.Metaspace:
		return object("Metaspace", jsonMember{"replacement", p.Replacement}, jsonMember{"prepend_scheme", string(p.Prepend)}, jsonMember{"split", p.Split}), nil
	case pretokenize.Split:
		pattern := describePattern(p.Literal, false)
		if p.Pattern != nil {
			pattern = describePattern(p.Pattern.Regexp(), true)
		}
		return object("Split", jsonMember{"pattern", pattern}, jsonMember{"behavior", string(p.Behavior)}, jsonMember{"invert", p.Invert}), nil
	}
	return nil, fmt.Errorf("the pre-tokenizer %T has no form in tokenizer.json", p)
}

func describeByteLevel(prefixSpace, split bool) jsonObject {
	return object("ByteLevel", jsonMember{"add_prefix_space", prefixSpace}, jsonMember{"trim_offsets", true}, jsonMember{"use_regex", split})
}

// describeSplit is the pre-tokenizer of a byte-level BPE.
func describeSplit(p *split.Pattern) jsonObject {
	if p == split.GPT2 {
		return describeByteLevel(false, true)
	}
	return object("Sequence", jsonMember{"pretokenizers", []any{
		object("Split", jsonMember{"pattern", describePattern(p.Regexp(), true)}, jsonMember{"behavior", "Isolated"}, jsonMember{"invert", false}),
		describeByteLevel(false, false),
	}})
}

func describeDecoder(chain decode.Chain) (any, error) {
	parts := []any{}
	for _, step := range chain {
		switch s := step.(type) {
		case decode.Spaced:
			return nil, nil
		case decode.ByteLevel:
			parts = append(parts, describeByteLevel(true, true))
		case decode.ByteFallback:
			parts = append(parts, object("ByteFallback"))
		case decode.Fuse:
			parts = append(parts, object("Fuse"))
		case decode.BPE:
			parts = append(parts, object("BPEDecoder", jsonMember{"suffix", s.Suffix}))
		case decode.WordPiece:
			parts = append(parts, object("WordPiece", jsonMember{"prefix", s.Prefix}, jsonMember{"cleanup", s.Cleanup}))
		case decode.Metaspace:
			scheme := pretokenize.Always
			if s.Keep {
				scheme = pretokenize.Never
			}
			parts = append(parts, object("Metaspace", jsonMember{"replacement", s.Replacement}, jsonMember{"prepend_scheme", string(scheme)}, jsonMember{"split", true}))
		case decode.Strip:
			parts = append(parts, object("Strip", jsonMember{"content", string(s.Content)}, jsonMember{"start", s.Start}, jsonMember{"stop", s.Stop}))
		case decode.Replace:
			text, expression := s.Pattern()
			parts = append(parts, object("Replace", jsonMember{"pattern", describePattern(text, expression)}, jsonMember{"content", s.Content()}))
		case decode.SentencePiece:
			return nil, errSentencePiece
		default:
			return nil, fmt.Errorf("the decoder %T has no form in tokenizer.json", s)
		}
	}
	switch len(parts) {
	case 0:
		return describeByteLevel(true, true), nil
	case 1:
		return parts[0], nil
	}
	return object("Sequence", jsonMember{"decoders", parts}), nil
}

func describeTemplate(t *Template) any {
	if t == nil {
		return nil
	}
	specials := jsonObject{}
	form := func(pieces []TemplatePiece) []any {
		list := []any{}
		for _, p := range pieces {
			kind, id := "Sequence", "A"
			if p.Text == 2 {
				id = "B"
			}
			if p.Text == 0 {
				kind, id = "SpecialToken", p.Name
				if !slices.ContainsFunc(specials, func(m jsonMember) bool { return m.key == id }) {
					ids := []any{}
					for _, id := range p.IDs {
						ids = append(ids, int(id))
					}
					specials = append(specials, jsonMember{id, jsonObject{{"id", id}, {"ids", ids}, {"tokens", []any{id}}}})
				}
			}
			list = append(list, jsonObject{{kind, jsonObject{{"id", id}, {"type_id", int(p.Type)}}}})
		}
		return list
	}
	single, pair := form(t.Single), form(t.Pair)
	return object("TemplateProcessing", jsonMember{"single", single}, jsonMember{"pair", pair}, jsonMember{"special_tokens", specials})
}

// describeSpecials are the added_tokens.
func describeSpecials(specials []Special) []any {
	list := []any{}
	for _, s := range specials {
		list = append(list, jsonObject{{"id", int(s.ID)}, {"content", s.Content}, {"single_word", s.SingleWord}, {"lstrip", s.LStrip},
			{"rstrip", s.RStrip}, {"normalized", s.Normalized}, {"special", !s.Visible}})
	}
	return list
}
