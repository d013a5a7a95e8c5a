package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Format is a way of writing one example as a JSON object.
type Format string

const (
	FormatMessages         Format = "messages"          // {"messages": [{"role", "content"}, …]}
	FormatShareGPT         Format = "sharegpt"          // {"conversations": [{"from", "value"}, …], "system"?}
	FormatAlpaca           Format = "alpaca"            // {"instruction", "input"?, "output", "system"?, "history"?}
	FormatPromptCompletion Format = "prompt-completion" // {"prompt", "completion"}, both text or both messages
	FormatText             Format = "text"              // {"text"}
)

// Formats are all formats, in the order in which they are tried.
var Formats = []Format{FormatMessages, FormatShareGPT, FormatAlpaca, FormatPromptCompletion, FormatText}

// shareGPTRoles are the names that ShareGPT has for roles.
var shareGPTRoles = map[string]string{
	"human": User, "user": User, "gpt": Assistant, "assistant": Assistant, "system": System, "function_call": Assistant, "observation": Tool, "tool": Tool,
}

// object is one example, undecoded.
type object map[string]json.RawMessage

func (o object) has(keys ...string) bool {
	return !slices.ContainsFunc(keys, func(key string) bool { _, ok := o[key]; return !ok })
}

// detect recognises the format of an object by its keys.
func detect(o object) (Format, error) {
	switch {
	case o.has("chosen", "rejected"):
		return "", errors.New("this is preference data (chosen, rejected), for forja dpo or forja reward, not for instruction tuning")
	case o.has("prompt", "completion", "label"):
		return "", errors.New("this is preference data (a completion with a label), not instructions with answers")
	case o.has("messages"):
		return FormatMessages, nil
	case o.has("conversations"):
		return FormatShareGPT, nil
	case o.has("instruction", "output"):
		return FormatAlpaca, nil
	case o.has("prompt", "completion"):
		return FormatPromptCompletion, nil
	case o.has("text"):
		return FormatText, nil
	}
	keys := make([]string, 0, len(o))
	for key := range o {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return "", fmt.Errorf("no known format has the keys %s; want messages, or conversations, or instruction and output, or prompt and completion, or text",
		strings.Join(keys[:min(len(keys), 8)], ", "))
}

// convert makes an example of an object. roles renames roles.
func convert(o object, format Format, roles map[string]string) (Example, error) {
	var e Example
	var err error
	switch format {
	case FormatMessages:
		e.Messages, err = messages(o["messages"], "messages")
	case FormatShareGPT:
		e.Messages, err = shareGPT(o)
	case FormatAlpaca:
		e.Messages, err = alpaca(o)
	case FormatPromptCompletion:
		e, err = promptCompletion(o)
	case FormatText:
		e.Completion, err = content(o["text"], "text")
		if err == nil && e.Completion == "" {
			err = errors.New("the text is empty")
		}
	default:
		err = fmt.Errorf("unknown format %q", string(format))
	}
	for i, m := range e.Messages {
		if to, ok := roles[m.Role]; ok {
			e.Messages[i].Role = to
		}
	}
	return e, err
}

// messages decodes a list of {"role", "content"}.
func messages(raw json.RawMessage, key string) ([]Message, error) {
	return turns(raw, key, "role", "content", nil)
}

// turns decodes a list of objects with a role and a content under the given keys.
func turns(raw json.RawMessage, key, roleKey, contentKey string, roles map[string]string) ([]Message, error) {
	var list []object
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("%q must be a list of objects with %q and %q", key, roleKey, contentKey)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%q is empty", key)
	}
	out := make([]Message, len(list))
	for i, o := range list {
		at := fmt.Sprintf("%s[%d]", key, i)
		role, err := content(o[roleKey], at+"."+roleKey)
		if err != nil {
			return nil, err
		}
		if role == "" {
			return nil, fmt.Errorf("%s has no %s", at, roleKey)
		}
		if to, ok := roles[role]; ok {
			role = to
		}
		if o.has("tool_calls") && !isNull(o["tool_calls"]) {
			return nil, fmt.Errorf("%s calls a tool; tool calls are not supported", at)
		}
		if out[i].Content, err = content(o[contentKey], at+"."+contentKey); err != nil {
			return nil, err
		}
		out[i].Role = role
	}
	return out, nil
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || bytes.Equal(raw, []byte("null")) }

// content decodes a string, or a list of {"type": "text", "text"} parts.
// Absent and null are the empty string.
func content(raw json.RawMessage, at string) (string, error) {
	if isNull(raw) {
		return "", nil
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s, nil
	}
	var parts []struct{ Type, Text string }
	if json.Unmarshal(raw, &parts) != nil {
		return "", fmt.Errorf("%s must be text", at)
	}
	var b strings.Builder
	for _, part := range parts {
		if part.Type != "text" {
			return "", fmt.Errorf("%s has a part of type %q; only text is supported", at, part.Type)
		}
		b.WriteString(part.Text)
	}
	return b.String(), nil
}

func shareGPT(o object) ([]Message, error) {
	out, err := turns(o["conversations"], "conversations", "from", "value", shareGPTRoles)
	if err != nil {
		return nil, err
	}
	return withSystem(o, out)
}

// withSystem puts the object's "system" in front, if it has one.
func withSystem(o object, rest []Message) ([]Message, error) {
	system, err := content(o["system"], "system")
	if err != nil || system == "" {
		return rest, err
	}
	return append([]Message{{System, system}}, rest...), nil
}

// alpaca makes a conversation: earlier turns, then the instruction with its
// input below it, then the output.
func alpaca(o object) ([]Message, error) {
	instruction, err1 := content(o["instruction"], "instruction")
	input, err2 := content(o["input"], "input")
	output, err3 := content(o["output"], "output")
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	var out []Message
	if !isNull(o["history"]) {
		var history [][2]string
		if json.Unmarshal(o["history"], &history) != nil {
			return nil, errors.New(`"history" must be a list of pairs of question and answer`)
		}
		for _, pair := range history {
			out = append(out, Message{User, pair[0]}, Message{Assistant, pair[1]})
		}
	}
	if input != "" {
		instruction += "\n\n" + input
	}
	return withSystem(o, append(out, Message{User, instruction}, Message{Assistant, output}))
}

func promptCompletion(o object) (Example, error) {
	var list []json.RawMessage
	if json.Unmarshal(o["completion"], &list) == nil && list != nil {
		completion, err := messages(o["completion"], "completion")
		if err != nil {
			return Example{}, err
		}
		prompt, err := messages(o["prompt"], "prompt")
		return Example{Messages: append(prompt, completion...)}, err
	}
	prompt, err1 := content(o["prompt"], "prompt")
	completion, err2 := content(o["completion"], "completion")
	err := errors.Join(err1, err2)
	if err == nil && completion == "" {
		err = errors.New("the completion is empty")
	}
	return Example{Prompt: prompt, Completion: completion}, err
}
