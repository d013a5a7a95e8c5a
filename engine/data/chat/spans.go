package chat

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

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
