package tokenizer

import (
	"errors"

	"forja/tokenizer/decode"
	"forja/tokenizer/normalize"
)

// plain is the pipeline with the parts of SentencePiece replaced by those that
// tokenizer.json has for the same effect.
func (p *Pipeline) plain() (*Pipeline, error) {
	rules, ok := p.config.Normalizer.(normalize.SentencePiece)
	if !ok {
		return p, nil
	}
	if rules.Suffix || !rules.Escape {
		return nil, errors.New("SentencePiece's blanks behind words, or blanks that stay blanks, have no form in tokenizer.json")
	}
	var out normalize.Sequence
	if rules.Map != nil {
		out = append(out, normalize.Precompiled{Map: rules.Map})
	}
	if rules.RemoveExtra {
		for _, r := range [][2]string{{`\A +| +\z`, ""}, {` {2,}`, " "}} {
			replace, err := normalize.NewReplaceRegexp(r[0], r[1])
			if err != nil {
				return nil, err
			}
			out = append(out, replace)
		}
	}
	if rules.Prefix {
		out = append(out, normalize.Prepend{Prefix: normalize.Meta})
	}
	out = append(out, normalize.NewReplace(" ", normalize.Meta))
	config := p.config
	config.Normalizer = out
	config.Decoder = nil
	for _, step := range p.config.Decoder {
		s, ok := step.(decode.SentencePiece)
		if !ok {
			config.Decoder = append(config.Decoder, step)
			continue
		}
		config.Decoder = append(decode.Chain{decode.NewReplace(normalize.Meta, " ")}, config.Decoder...)
		config.Decoder = append(config.Decoder, decode.Fuse{})
		if s.Trim {
			config.Decoder = append(config.Decoder, decode.Strip{Content: ' ', Start: 1})
		}
	}
	config.Specials = p.userSpecials()
	return NewPipeline(config)
}

// userSpecials are the special tokens with the user-defined tokens, which in
// tokenizer.json are added tokens that are not special.
func (p *Pipeline) userSpecials() []Special {
	specials := p.Specials()
	if b, ok := p.config.Model.(*CharBPE); ok {
		for _, id := range b.config.User {
			specials = append(specials, Special{ID: id, Content: b.Text(id), Visible: true})
		}
	}
	return specials
}
