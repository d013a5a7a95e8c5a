package chat

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"forja/engine/data"
)

// CodecOptions say what a [Codec] is made of.
type CodecOptions struct {
	Template *Template        // nil for [Default]
	Encoder  data.Encoder     // of ordinary text
	Special  map[string]int32 // the special tokens that the template may use, by content

	// BOS and EOS are the contents of bos_token and eos_token; "" for none.
	// Raw text, which no template touches, starts and ends with them.
	BOS, EOS string

	Variables map[string]any // further variables of the template
}

// A Codec turns conversations into tokens: the template of a model with its
// tokenizer. Training and chatting must use the same one. It is safe for
// concurrent use.
type Codec struct {
	o        CodecOptions
	specials []string  // longest first
	starts   [256]bool // bytes that some special token starts with
}

// NewCodec makes a codec. BOS and EOS must be special tokens.
func NewCodec(o CodecOptions) (*Codec, error) {
	if o.Template == nil {
		o.Template = Default(o.Special)
	}
	c := &Codec{o: o}
	for content := range o.Special {
		if content == "" {
			return nil, errors.New("chat: a special token is empty")
		}
		c.specials = append(c.specials, content)
		c.starts[content[0]] = true
	}
	slices.SortFunc(c.specials, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	for _, content := range []string{o.BOS, o.EOS} {
		if _, ok := o.Special[content]; !ok && content != "" {
			return nil, fmt.Errorf("chat: %q is not a special token of the tokenizer", content)
		}
	}
	if o.EOS == "" && o.Template.source == Plain {
		return nil, errors.New("chat: the plain template needs an end-of-text token, and the tokenizer has none; add one, or give a template")
	}
	return c, nil
}

// Template is the template of the codec.
func (c *Codec) Template() *Template { return c.o.Template }

// Encoded is a conversation in tokens.
type Encoded struct {
	IDs  []int32
	Mask []bool // the token is to be learned

	// Stop is the special token at the end of the last trained span, -1 if
	// that span ends in ordinary text: a model trained so never stops.
	Stop int32
	// TextBytes is the size of the text in the trained spans, special tokens not counted.
	TextBytes int
}

// NotPrefixError says that a template renders the beginning of a conversation
// differently once it goes on, so that its turns cannot all be learned in one
// sequence. [Codec.EncodeTurns] makes one sequence per turn.
type NotPrefixError struct{ Turn int }

func (e *NotPrefixError) Error() string {
	return fmt.Sprintf("the chat template changes what comes before message %d once it is there", e.Turn+1)
}

// Prompt returns the tokens of a conversation up to where the assistant's
// next answer begins.
func (c *Codec) Prompt(messages []Message) ([]int32, error) {
	r, err := c.renderMarked(messages)
	if err != nil {
		return nil, err
	}
	text, err := r.render(messages, true)
	if err != nil {
		return nil, err
	}
	// The assistant's earlier turns are cut into tokens as they were in training.
	spans, err := r.assistantSpans(text, messages)
	var notPrefix *NotPrefixError
	if errors.As(err, &notPrefix) {
		spans = nil // see EncodeTurns
	} else if err != nil {
		return nil, err
	}
	return c.tokens(text, spans, false).IDs, nil
}

// Encode returns the tokens of an example and which of them are to be learned.
func (c *Codec) Encode(example Example, on TrainOn) (Encoded, error) {
	if err := on.check(); err != nil {
		return Encoded{}, err
	}
	if len(example.Messages) == 0 {
		return c.raw(example, on), nil
	}
	r, err := c.renderMarked(example.Messages)
	if err != nil {
		return Encoded{}, err
	}
	text, err := r.render(example.Messages, false)
	if err != nil {
		return Encoded{}, err
	}
	spans, err := r.assistantSpans(text, example.Messages)
	if err != nil && on != TrainAll { // where all is trained, spans matter little
		return Encoded{}, err
	}
	if on == TrainCompletion && len(spans) > 0 {
		spans = spans[len(spans)-1:]
	}
	return c.tokens(text, spans, on == TrainAll), nil
}

// EncodeTurns returns one sequence for each trained turn of a conversation:
// what the model would have seen at that point, and its answer.
func (c *Codec) EncodeTurns(example Example, on TrainOn) ([]Encoded, error) {
	var turns []Encoded
	last := -1
	for i, m := range example.Messages {
		if m.Role == Assistant {
			last = i
		}
	}
	for i, m := range example.Messages {
		if m.Role != Assistant || on == TrainCompletion && i != last {
			continue
		}
		r, err := c.renderMarked(example.Messages[:i+1])
		if err != nil {
			return nil, err
		}
		text, err := r.render(example.Messages[:i+1], false)
		if err != nil {
			return nil, err
		}
		s, err := r.turn(text, example.Messages, i)
		if err != nil {
			return nil, err
		}
		turns = append(turns, c.tokens(text, []textSpan{s}, false))
	}
	return turns, nil
}

// raw encodes an example that no template touches.
func (c *Codec) raw(example Example, on TrainOn) Encoded {
	e := Encoded{Stop: -1}
	add := func(train bool, ids ...int32) {
		for _, id := range ids {
			e.IDs, e.Mask = append(e.IDs, id), append(e.Mask, train || on == TrainAll)
		}
	}
	if id, ok := c.o.Special[c.o.BOS]; ok {
		add(false, id)
	}
	add(false, c.o.Encoder.EncodeTo(nil, example.Prompt)...)
	add(true, c.o.Encoder.EncodeTo(nil, example.Completion)...)
	e.TextBytes = len(example.Completion)
	if on == TrainAll {
		e.TextBytes += len(example.Prompt)
	}
	if id, ok := c.o.Special[c.o.EOS]; ok {
		add(true, id)
		e.Stop = id
	}
	return e
}
