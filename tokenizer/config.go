package tokenizer

import (
	"encoding/json"
	"fmt"
	"io"
)

// A Config is what a tokenizer_config.json says beside the tokenizer.json: the
// chat template and the roles of special tokens.
type Config struct {
	ChatTemplate string            // Jinja; the one called default where there are several
	Templates    map[string]string // the others, by name

	BOS, EOS, Pad, Unknown, CLS, SEP, Mask string // contents, "" if there is none

	AddBOS, AddEOS *bool // what encoding adds, nil if the file does not say
	MaxLength      int   // 0: not limited or not said
}

// configFile is the file as JSON.
type configFile struct {
	ChatTemplate any      `json:"chat_template,omitempty"`
	BOS          any      `json:"bos_token,omitempty"`
	EOS          any      `json:"eos_token,omitempty"`
	Pad          any      `json:"pad_token,omitempty"`
	Unknown      any      `json:"unk_token,omitempty"`
	CLS          any      `json:"cls_token,omitempty"`
	SEP          any      `json:"sep_token,omitempty"`
	Mask         any      `json:"mask_token,omitempty"`
	AddBOS       *bool    `json:"add_bos_token,omitempty"`
	AddEOS       *bool    `json:"add_eos_token,omitempty"`
	MaxLength    *float64 `json:"model_max_length,omitempty"`
	Class        string   `json:"tokenizer_class,omitempty"`
	Cleanup      *bool    `json:"clean_up_tokenization_spaces,omitempty"`
}

// ReadConfig reads a tokenizer_config.json. Special tokens may be texts or
// objects with a content, chat templates one text or a list of named ones.
func ReadConfig(r io.Reader) (*Config, error) {
	data, err := readBounded(r)
	if err != nil {
		return nil, fmt.Errorf("read tokenizer_config.json: %w", err)
	}
	var f configFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("read tokenizer_config.json: %w", err)
	}
	c := &Config{AddBOS: f.AddBOS, AddEOS: f.AddEOS}
	for _, token := range []struct {
		name  string
		value any
		to    *string
	}{
		{"bos_token", f.BOS, &c.BOS}, {"eos_token", f.EOS, &c.EOS}, {"pad_token", f.Pad, &c.Pad}, {"unk_token", f.Unknown, &c.Unknown},
		{"cls_token", f.CLS, &c.CLS}, {"sep_token", f.SEP, &c.SEP}, {"mask_token", f.Mask, &c.Mask},
	} {
		if object, ok := token.value.(map[string]any); ok {
			token.value = object["content"]
		}
		switch v := token.value.(type) {
		case nil:
		case string:
			*token.to = v
		default:
			return nil, fmt.Errorf("read tokenizer_config.json: %s is neither a text nor an object with a content", token.name)
		}
	}
	// Files write 1e30 for "no limit".
	if f.MaxLength != nil && *f.MaxLength > 0 && *f.MaxLength < 1e9 {
		c.MaxLength = int(*f.MaxLength)
	}
	switch v := f.ChatTemplate.(type) {
	case nil:
	case string:
		c.ChatTemplate = v
	case []any:
		c.Templates = map[string]string{}
		for _, item := range v {
			object, _ := item.(map[string]any)
			name, ok1 := object["name"].(string)
			template, ok2 := object["template"].(string)
			if !ok1 || !ok2 {
				return nil, fmt.Errorf("read tokenizer_config.json: a chat template has no name or no text")
			}
			if name == "default" {
				c.ChatTemplate = template
			} else {
				c.Templates[name] = template
			}
		}
	default:
		return nil, fmt.Errorf("read tokenizer_config.json: the chat_template is neither a text nor a list")
	}
	return c, nil
}

// WriteConfig writes a tokenizer_config.json that transformers reads.
func WriteConfig(w io.Writer, c *Config) error {
	optional := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	no := false
	f := configFile{
		BOS: optional(c.BOS), EOS: optional(c.EOS), Pad: optional(c.Pad), Unknown: optional(c.Unknown), CLS: optional(c.CLS), SEP: optional(c.SEP),
		Mask: optional(c.Mask), AddBOS: c.AddBOS, AddEOS: c.AddEOS, ChatTemplate: optional(c.ChatTemplate), Class: "PreTrainedTokenizerFast", Cleanup: &no,
	}
	if c.MaxLength > 0 {
		length := float64(c.MaxLength)
		f.MaxLength = &length
	}
	if len(c.Templates) > 0 {
		list := []any{}
		if c.ChatTemplate != "" {
			list = append(list, map[string]string{"name": "default", "template": c.ChatTemplate})
		}
		for _, name := range sortedKeys(c.Templates) {
			list = append(list, map[string]string{"name": name, "template": c.Templates[name]})
		}
		f.ChatTemplate = list
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(f); err != nil {
		return fmt.Errorf("write tokenizer_config.json: %w", err)
	}
	return nil
}
