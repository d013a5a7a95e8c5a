package chat

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

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

// A marked conversation is one whose special-token look-alikes are broken up.
type marked struct {
	codec   *Codec
	changed bool
}

// renderMarked checks that the messages are free of the characters used as marks.
func (c *Codec) renderMarked(messages []Message) (*marked, error) {
	r := &marked{codec: c}
	for i, m := range messages {
		if strings.ContainsAny(m.Role+m.Content, trainBegin+trainEnd+notSpecial) {
			return nil, fmt.Errorf("message %d contains a Unicode noncharacter, U+FDD0 to U+FDD2; remove it", i+1)
		}
		r.changed = r.changed || c.breakUp(m.Content) != m.Content || c.breakUp(m.Role) != m.Role
	}
	return r, nil
}

// breakUp puts a mark into everything in s that looks like a special token.
func (c *Codec) breakUp(s string) string {
	var b strings.Builder
	done := 0
	for at := range len(s) {
		if c.starts[s[at]] && c.specialAt(s[at:]) != "" {
			_, size := utf8.DecodeRuneInString(s[at:])
			b.WriteString(s[done : at+size])
			b.WriteString(notSpecial)
			done = at + size
		}
	}
	if done == 0 {
		return s
	}
	return b.String() + s[done:]
}

// specialAt is the longest special token that s starts with, or "".
func (c *Codec) specialAt(s string) string {
	for _, content := range c.specials {
		if strings.HasPrefix(s, content) {
			return content
		}
	}
	return ""
}

// render renders messages with marks in them, and with {% generation %} marked.
func (r *marked) render(messages []Message, prompt bool) (string, error) {
	c := r.codec
	o := RenderOptions{AddGenerationPrompt: prompt, BOS: c.o.BOS, EOS: c.o.EOS, Variables: c.o.Variables}
	plain, err := c.o.Template.render(messages, o, true)
	if err != nil || !r.changed {
		return plain, err
	}
	broken := make([]Message, len(messages))
	for i, m := range messages {
		broken[i] = Message{c.breakUp(m.Role), c.breakUp(m.Content)}
	}
	text, err := c.o.Template.render(broken, o, true)
	if err == nil && strings.ReplaceAll(text, notSpecial, "") != plain {
		err = fmt.Errorf("a message contains a special token of the model, and the chat template depends on it; remove it from the message")
	}
	return text, err
}

// textSpan is a range of bytes of a rendering.
type textSpan struct{ from, to int }

// assistantSpans finds the text of every assistant turn in a rendering.
func (r *marked) assistantSpans(text string, messages []Message) (spans []textSpan, err error) {
	if r.codec.o.Template.marks {
		for from := 0; ; {
			i := strings.Index(text[from:], trainBegin)
			if i < 0 {
				return spans, nil
			}
			from += i + len(trainBegin)
			n := strings.Index(text[from:], trainEnd)
			if n < 0 {
				n = len(text) - from
			}
			spans = append(spans, textSpan{from, from + n})
			from += n
		}
	}
	for i, m := range messages {
		if m.Role != Assistant {
			continue
		}
		s, err := r.turn(text, messages, i)
		if err != nil {
			return spans, err
		}
		spans = append(spans, s)
	}
	return spans, nil
}

// turn finds the text of one assistant turn by rendering what comes before it
// and what ends with it; both must be beginnings of text.
func (r *marked) turn(text string, messages []Message, i int) (textSpan, error) {
	before, err := r.render(messages[:i], true)
	if err != nil {
		return textSpan{}, err
	}
	through, err := r.render(messages[:i+1], false)
	if err != nil {
		return textSpan{}, err
	}
	if !strings.HasPrefix(through, before) || !strings.HasPrefix(text, through) {
		return textSpan{}, &NotPrefixError{Turn: i}
	}
	return textSpan{len(before), len(through)}, nil
}

// A fragment is a special token, or text that has none.
type fragment struct {
	textSpan
	id int32 // -1 for text
}

// fragments cuts a rendering at its special tokens.
func (c *Codec) fragments(text string) (out []fragment) {
	from := 0
	for at := 0; at < len(text); {
		content := ""
		if c.starts[text[at]] {
			content = c.specialAt(text[at:])
		}
		if content == "" {
			at++
			continue
		}
		if at > from {
			out = append(out, fragment{textSpan{from, at}, -1})
		}
		from = at + len(content)
		out = append(out, fragment{textSpan{at, from}, c.o.Special[content]})
		at = from
	}
	if from < len(text) {
		out = append(out, fragment{textSpan{from, len(text)}, -1})
	}
	return out
}

// tokens encodes a rendering. Tokens never cross the edge of a span, as they
// cannot when the model writes that span itself. White space behind the
// special token that ends a span is not trained: generation stops before it.
// If all is set, everything is trained.
func (c *Codec) tokens(text string, spans []textSpan, all bool) Encoded {
	e := Encoded{Stop: -1}
	parts := c.fragments(text)
	spans = slices.Clone(spans)
	for i := range spans {
		spans[i], e.Stop = shorten(text, spans[i], parts)
	}
	clean := strings.NewReplacer(trainBegin, "", trainEnd, "", notSpecial, "")
	put := func(s string, train bool) {
		s = clean.Replace(s)
		e.IDs = c.o.Encoder.EncodeTo(e.IDs, s)
		for len(e.Mask) < len(e.IDs) {
			e.Mask = append(e.Mask, train || all)
		}
		if train || all {
			e.TextBytes += len(s)
		}
	}
	for _, part := range parts {
		if part.id >= 0 {
			inside := slices.ContainsFunc(spans, func(s textSpan) bool { return s.from <= part.from && part.to <= s.to })
			e.IDs, e.Mask = append(e.IDs, part.id), append(e.Mask, inside || all)
			continue
		}
		at := part.from
		for _, s := range spans {
			if s.to <= at || s.from >= part.to {
				continue
			}
			if s.from > at {
				put(text[at:s.from], false)
				at = s.from
			}
			end := min(s.to, part.to)
			put(text[at:end], true)
			at = end
		}
		if at < part.to {
			put(text[at:part.to], false)
		}
	}
	return e
}

// shorten ends a span at its last special token if only white space follows,
// and returns the token's id, or -1.
func shorten(text string, s textSpan, parts []fragment) (textSpan, int32) {
	for _, part := range slices.Backward(parts) {
		if part.id >= 0 && part.from >= s.from && part.to <= s.to {
			if strings.TrimFunc(text[part.to:s.to], unicode.IsSpace) != "" {
				return s, -1
			}
			return textSpan{s.from, part.to}, part.id
		}
	}
	return s, -1
}
