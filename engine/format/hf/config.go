package hf

import (
	"bytes"
	"encoding/json"
	"fmt"

	"forja/engine/model"
)

// config is the union of the keys of config.json that change what a model computes, in the spellings of transformers 4
// and 5. Pointers tell absent from zero.
type config struct {
	Architectures []string `json:"architectures"`
	ModelType     string   `json:"model_type"`
	VocabSize     int      `json:"vocab_size"`
	BOS           ids      `json:"bos_token_id"`
	EOS           ids      `json:"eos_token_id"`
	InitStd       float64  `json:"initializer_range"`
	Tied          *bool    `json:"tie_word_embeddings"`

	// GPT-2
	Positions  int     `json:"n_positions"`
	Embd       int     `json:"n_embd"`
	Layer      int     `json:"n_layer"`
	Head       int     `json:"n_head"`
	Inner      int     `json:"n_inner"`
	Activation string  `json:"activation_function"`
	LayerEps   float64 `json:"layer_norm_epsilon"`

	// LLaMA and Qwen2
	HiddenSize   int       `json:"hidden_size"`
	Intermediate int       `json:"intermediate_size"`
	HiddenLayers int       `json:"num_hidden_layers"`
	Heads        int       `json:"num_attention_heads"`
	KVHeads      int       `json:"num_key_value_heads"`
	HeadDim      int       `json:"head_dim"`
	HiddenAct    string    `json:"hidden_act"`
	MaxPositions int       `json:"max_position_embeddings"`
	RMSEps       float64   `json:"rms_norm_eps"`
	AttnBias     bool      `json:"attention_bias"`
	MLPBias      bool      `json:"mlp_bias"`
	Sliding      bool      `json:"use_sliding_window"`
	RopeTheta    float64   `json:"rope_theta"`
	RopeScaling  *ropeJSON `json:"rope_scaling"`
	RopeParams   *ropeJSON `json:"rope_parameters"`
}

type ropeJSON struct {
	Type     string  `json:"rope_type,omitempty"`
	OldType  string  `json:"type,omitempty"`
	Theta    float64 `json:"rope_theta,omitempty"`
	Factor   float64 `json:"factor,omitempty"`
	LowFreq  float64 `json:"low_freq_factor,omitempty"`
	HighFreq float64 `json:"high_freq_factor,omitempty"`
	Original int     `json:"original_max_position_embeddings,omitempty"`
}

// ids is one id, a list of ids, or null.
type ids []int32

func (x *ids) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		return nil
	}
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, (*[]int32)(x))
	}
	var one int32
	if err := json.Unmarshal(b, &one); err != nil {
		return err
	}
	*x = ids{one}
	return nil
}

// value is what to write: null, the id, or the list.
func (x ids) value() any {
	switch len(x) {
	case 0:
		return nil
	case 1:
		return x[0]
	}
	return []int32(x)
}

// ParseConfig reads a config.json. Whatever would change the function and forja does not compute is an error.
func ParseConfig(b []byte) (model.Config, error) {
	var c config
	if err := json.Unmarshal(b, &c); err != nil {
		return model.Config{}, fmt.Errorf("config.json: %w", err)
	}
	m := model.Config{Vocab: c.VocabSize, InitStd: c.InitStd, BOS: c.BOS, EOS: c.EOS}
	var err error
	switch c.ModelType {
	case "gpt2":
		err = c.gpt2(&m)
	case "llama", "qwen2", "mistral":
		err = c.llama(&m)
	default:
		err = fmt.Errorf("model_type %q is not one of gpt2, llama, mistral, qwen2", c.ModelType)
	}
	if err != nil {
		return m, fmt.Errorf("config.json: %w", err)
	}
	m = m.Fill()
	if err := m.Validate(); err != nil {
		return m, fmt.Errorf("config.json: %w", err)
	}
	return m, nil
}

func (c *config) gpt2(m *model.Config) error {
	m.Arch, m.Context, m.Layers, m.Channels, m.Heads, m.FFN = model.GPT2, c.Positions, c.Layer, c.Embd, c.Head, c.Inner
	m.NormEps, m.Tied = c.LayerEps, true
	switch {
	case c.Activation != "" && c.Activation != "gelu_new" && c.Activation != "gelu_pytorch_tanh":
		return fmt.Errorf("activation_function %q is not gelu_new", c.Activation)
	case c.Tied != nil && !*c.Tied:
		return fmt.Errorf("a GPT-2 whose head is not its embedding is not supported")
	}
	return nil
}

func (c *config) llama(m *model.Config) error {
	m.Arch, m.Context, m.Layers, m.Channels, m.Heads = model.LLaMA, c.MaxPositions, c.HiddenLayers, c.HiddenSize, c.Heads
	m.KVHeads, m.HeadDim, m.FFN, m.NormEps = c.KVHeads, c.HeadDim, c.Intermediate, c.RMSEps
	m.Tied = c.Tied != nil && *c.Tied
	if c.ModelType == "qwen2" {
		m.Arch = model.Qwen2
	}
	switch {
	case c.HiddenAct != "" && c.HiddenAct != "silu":
		return fmt.Errorf("hidden_act %q is not silu", c.HiddenAct)
	case c.AttnBias || c.MLPBias:
		return fmt.Errorf("attention_bias and mlp_bias are not supported")
	case c.Sliding:
		return fmt.Errorf("sliding-window attention is not supported")
	}
	r := c.RopeParams // transformers 5; 4 keeps theta beside rope_scaling
	if r == nil {
		r = c.RopeScaling
	}
	m.Rope.Theta = c.RopeTheta
	if r == nil {
		return nil
	}
	if r.Theta != 0 {
		m.Rope.Theta = r.Theta
	}
	kind := r.Type
	if kind == "" {
		kind = r.OldType
	}
	switch kind {
	case "", "default":
	case "linear", "llama3":
		m.Rope.Scaling, m.Rope.Factor, m.Rope.Original = kind, r.Factor, r.Original
		m.Rope.LowFreq, m.Rope.HighFreq = r.LowFreq, r.HighFreq
	default:
		return fmt.Errorf("rope scaling %q is not one of linear, llama3", kind)
	}
	return nil
}

// FormatConfig writes a config.json that transformers 4 and 5 and llama.cpp's converter read. dtype is float32 or
// bfloat16.
func FormatConfig(m model.Config, dtype string) []byte {
	c := map[string]any{
		"vocab_size": m.Vocab, "bos_token_id": ids(m.BOS).value(), "eos_token_id": ids(m.EOS).value(),
		"initializer_range": m.InitStd, "tie_word_embeddings": m.Tied, "dtype": dtype, "torch_dtype": dtype,
	}
	set := func(kv map[string]any) {
		for k, v := range kv {
			c[k] = v
		}
	}
	switch m.Arch {
	case model.GPT2:
		set(map[string]any{
			"architectures": []string{"GPT2LMHeadModel"}, "model_type": "gpt2", "activation_function": "gelu_new",
			"n_positions": m.Context, "n_ctx": m.Context, "n_embd": m.Channels, "n_layer": m.Layers, "n_head": m.Heads, "n_inner": m.FFN,
			"layer_norm_epsilon": m.NormEps, "attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0,
		})
	default:
		name := map[string]string{model.LLaMA: "LlamaForCausalLM", model.Qwen2: "Qwen2ForCausalLM"}[m.Arch]
		params := ropeJSON{Type: "default", Theta: m.Rope.Theta}
		if m.Rope.Scaling != "" {
			params = ropeJSON{Type: m.Rope.Scaling, Theta: m.Rope.Theta, Factor: m.Rope.Factor, LowFreq: m.Rope.LowFreq,
				HighFreq: m.Rope.HighFreq, Original: m.Rope.Original}
			scaling := params
			scaling.Theta = 0
			c["rope_scaling"] = scaling
		} else {
			c["rope_scaling"] = nil
		}
		set(map[string]any{
			"architectures": []string{name}, "model_type": m.Arch, "hidden_act": "silu",
			"hidden_size": m.Channels, "intermediate_size": m.FFN, "num_hidden_layers": m.Layers, "num_attention_heads": m.Heads,
			"num_key_value_heads": m.KVHeads, "head_dim": m.HeadDim, "max_position_embeddings": m.Context, "rms_norm_eps": m.NormEps,
			"attention_bias": false, "mlp_bias": false, "rope_theta": m.Rope.Theta, "rope_parameters": params,
		})
		if m.Arch == model.Qwen2 {
			c["use_sliding_window"] = false
		}
	}
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil { // maps of plain values always marshal; a NaN would have failed Validate
		panic(err)
	}
	return append(b, '\n')
}
