package chat

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ardanlabs/jinja"
)

// ChatML is the template that most models of today follow. It needs the
// special tokens <|im_start|> and <|im_end|>.
const ChatML = `{%- for message in messages -%}
    {{- '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- '<|im_start|>assistant\n' -}}
{%- endif -%}
`

// Plain is forja's template for models without special tokens for turns. It
// needs nothing but an end-of-text token.
const Plain = `{%- for message in messages -%}
    {%- if message['role'] == 'system' -%}
        {{- message['content'] + '\n\n' -}}
    {%- elif message['role'] == 'user' -%}
        {{- 'User: ' + message['content'] + '\n' -}}
    {%- elif message['role'] == 'assistant' -%}
        {{- 'Assistant: ' + message['content'] + eos_token + '\n' -}}
    {%- else -%}
        {{- raise_exception('the roles of this template are system, user and assistant, not ' + message['role']) -}}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- 'Assistant:' -}}
{%- endif -%}
`

// Characters that text cannot contain (Unicode noncharacters) mark places in
// a rendering.
const (
	trainBegin = "\uFDD0" // what follows is trained
	trainEnd   = "\uFDD1"
	notSpecial = "\uFDD2" // inside something that looks like a special token and came from a message
)

// maxRendered is the most bytes a rendered conversation may have.
const maxRendered = 64 << 20

// A Template is a compiled chat template. It is safe for concurrent use.
type Template struct {
	source    string
	rewritten string // as the library got it
	compiled  *jinja.Template
	marks     bool // it says itself what is trained, with {% generation %}
}

// Parse compiles a chat template. The dialect is that of Hugging Face: Jinja2
// with trim_blocks and lstrip_blocks, loop controls, {% generation %},
// raise_exception and strftime_now.
func Parse(source string) (t *Template, err error) {
	// The library should not panic; if it does, it is the template's fault.
	defer func() {
		if r := recover(); r != nil {
			t, err = nil, fmt.Errorf("chat template: cannot be compiled: %v", r)
		}
	}()
	rewritten, err := rewrite(source)
	if err != nil {
		return nil, fmt.Errorf("chat template: %w", err)
	}
	compiled, err := jinja.Compile(rewritten)
	if err != nil {
		return nil, fmt.Errorf("chat template: %w", err)
	}
	return &Template{source: source, rewritten: rewritten, compiled: compiled, marks: strings.Contains(rewritten, hidden+"mark(")}, nil
}

// Source is the template as it was given to [Parse].
func (t *Template) Source() string { return t.source }

// RenderOptions are what a template sees beside the messages.
type RenderOptions struct {
	AddGenerationPrompt bool           // end where the assistant's answer begins
	BOS, EOS            string         // the contents of bos_token and eos_token
	Variables           map[string]any // more variables: nil, bool, int, float64, string, []any, map[string]any
	Now                 time.Time      // what strftime_now tells; zero is 1970, so that training is deterministic
}

// Render returns the text of a conversation.
func (t *Template) Render(messages []Message, o RenderOptions) (string, error) {
	return t.render(messages, o, false)
}

// render marks what {% generation %} encloses, if marks is set.
func (t *Template) render(messages []Message, o RenderOptions, marks bool) (out string, err error) {
	defer func() {
		if r := recover(); r != nil {
			out, err = "", fmt.Errorf("chat template: cannot be executed: %v", r)
		}
	}()
	if o.Now.IsZero() {
		o.Now = time.Unix(0, 0).UTC()
	}
	values := builtins(t.rewritten, o.Now, func(begin bool) string {
		switch {
		case !marks:
			return ""
		case begin:
			return trainBegin
		}
		return trainEnd
	})
	for key, v := range o.Variables {
		if strings.HasPrefix(key, hidden) {
			return "", fmt.Errorf("chat template: the variable %q has a reserved name", key)
		}
		values[key] = jinja.FromGoValue(v)
	}
	list := make([]jinja.Value, len(messages))
	for i, m := range messages {
		list[i] = jinja.NewDict()
		list[i].AsDict().Set("role", jinja.NewString(m.Role))
		list[i].AsDict().Set("content", jinja.NewString(m.Content))
	}
	values["messages"] = jinja.NewList(list)
	values["add_generation_prompt"] = jinja.NewBool(o.AddGenerationPrompt)
	values["bos_token"], values["eos_token"] = jinja.NewString(o.BOS), jinja.NewString(o.EOS)
	out, err = t.compiled.RenderValues(values)
	if err != nil {
		return "", fmt.Errorf("chat template: %w", err)
	}
	if len(out) > maxRendered {
		return "", fmt.Errorf("chat template: the rendered conversation has %d bytes, at most %d are allowed", len(out), maxRendered)
	}
	return out, nil
}

// Default returns ChatML if a tokenizer has its special tokens, else Plain.
func Default(special map[string]int32) *Template {
	source := Plain
	if hasAll(special, "<|im_start|>", "<|im_end|>") {
		source = ChatML
	}
	t, err := Parse(source)
	if err != nil {
		panic(err) // the two are constants
	}
	return t
}

func hasAll(special map[string]int32, contents ...string) bool {
	return !slices.ContainsFunc(contents, func(content string) bool { _, ok := special[content]; return !ok })
}
