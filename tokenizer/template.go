package tokenizer

import (
	"errors"
	"fmt"
)

// A Template puts special tokens around texts for a model that was trained so,
// like BERT's [CLS] and [SEP] or LLaMA's <s>. Encode never does that by itself.
type Template struct {
	Single []TemplatePiece // for one text
	Pair   []TemplatePiece // for two; nil: there is no such form
}

// A TemplatePiece is a text or special tokens.
type TemplatePiece struct {
	Text int     // 1 or 2: the first or the second text; 0: IDs
	Name string  // of the special tokens
	IDs  []int32 // of the special tokens
	Type int32   // the token_type_id of all its tokens
}

// Apply puts the special tokens around the ids of a text. A nil Template puts
// none.
func (t *Template) Apply(ids []int32) []int32 {
	if t == nil {
		return ids
	}
	out, _ := fill(t.Single, ids, nil)
	return out
}

// ApplyPair joins the ids of two texts and tells the type of every token. It
// fails if the template has no form for two texts.
func (t *Template) ApplyPair(first, second []int32) (ids, types []int32, err error) {
	if t == nil || t.Pair == nil {
		return nil, nil, errors.New("the tokenizer has no template for two texts")
	}
	ids, types = fill(t.Pair, first, second)
	return ids, types, nil
}

func fill(pieces []TemplatePiece, first, second []int32) (ids, types []int32) {
	for _, p := range pieces {
		part := p.IDs
		switch p.Text {
		case 1:
			part = first
		case 2:
			part = second
		}
		ids = append(ids, part...)
		for range part {
			types = append(types, p.Type)
		}
	}
	return ids, types
}

// check fails if an id is no token.
func (t *Template) check(size int) error {
	if t == nil {
		return nil
	}
	for _, pieces := range [][]TemplatePiece{t.Single, t.Pair} {
		for _, p := range pieces {
			for _, id := range p.IDs {
				if id < 0 || int(id) >= size {
					return fmt.Errorf("the post-processor puts %q, id %d, which is no token", p.Name, id)
				}
			}
		}
	}
	return nil
}

// TemplateOf returns the template that the file of a tokenizer holds, nil if
// there is none.
func TemplateOf(t Tokenizer) *Template {
	switch t := unwrap(t).(type) {
	case *BPE:
		return t.config.Template
	case *Pipeline:
		return t.config.Template
	}
	return nil
}
