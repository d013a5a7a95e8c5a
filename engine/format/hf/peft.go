package hf

import (
	"encoding/json"
	"fmt"
	"path"

	"forja/engine/format/safetensors"
	"forja/engine/model"
	"forja/engine/vfs"
)

// adapterConfig is what adapter_config.json must say for a LoRA that forja computes exactly.
type adapterConfig struct {
	PEFTType     string          `json:"peft_type"`
	TaskType     string          `json:"task_type"`
	Base         string          `json:"base_model_name_or_path"`
	BaseHash     string          `json:"forja_base_sha256,omitempty"`
	Revision     *string         `json:"revision"`
	R            int             `json:"r"`
	Alpha        float64         `json:"lora_alpha"`
	Dropout      float64         `json:"lora_dropout"`
	Bias         string          `json:"bias"`
	FanInFanOut  bool            `json:"fan_in_fan_out"`
	RSLoRA       bool            `json:"use_rslora"`
	DoRA         bool            `json:"use_dora"`
	Init         json.RawMessage `json:"init_lora_weights,omitempty"`
	Inference    bool            `json:"inference_mode"`
	Targets      json.RawMessage `json:"target_modules"`
	RankPattern  map[string]int  `json:"rank_pattern"`
	AlphaPattern map[string]any  `json:"alpha_pattern"`
	Save         []string        `json:"modules_to_save"`
	Layers       json.RawMessage `json:"layers_to_transform"`
}

// peftPrefix is what PEFT puts before the name of a module of the causal language model.
const peftPrefix = "base_model.model."

// An Adapter is an open PEFT adapter directory.
type Adapter struct {
	LoRA     model.LoRA
	Base     string // where the base model was
	BaseHash string // of the base model's tensors; empty if not forja's
	set      *safetensors.Set
	dir      string
}

// OpenAdapter reads an adapter's configuration. Kinds of LoRA that forja does not compute are errors.
func OpenAdapter(fsys vfs.FS, dir string) (*Adapter, error) {
	where := fsys.Path(dir)
	b, err := vfs.ReadFile(fsys, path.Join(dir, "adapter_config.json"), maxJSON)
	if err != nil {
		return nil, fmt.Errorf("no adapter in %s: %w", where, err)
	}
	a, err := parseAdapter(b)
	if err != nil {
		return nil, fmt.Errorf("%s/adapter_config.json: %w", where, err)
	}
	if a.set, err = safetensors.OpenSet(fsys, dir, "adapter_model"); err != nil {
		return nil, err
	}
	a.dir = where
	return a, nil
}

func parseAdapter(b []byte) (*Adapter, error) {
	var c adapterConfig
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, err
	}
	switch {
	case c.PEFTType != "LORA":
		return nil, fmt.Errorf("peft_type %q is not LORA", c.PEFTType)
	case c.DoRA:
		return nil, fmt.Errorf("use_dora is not supported")
	case c.Bias != "" && c.Bias != "none":
		return nil, fmt.Errorf("bias %q is not supported", c.Bias)
	case len(c.Save) > 0 || len(c.RankPattern) > 0 || len(c.AlphaPattern) > 0:
		return nil, fmt.Errorf("modules_to_save, rank_pattern and alpha_pattern are not supported")
	case len(c.Layers) > 0 && string(c.Layers) != "null":
		return nil, fmt.Errorf("layers_to_transform is not supported")
	}
	a := &Adapter{Base: c.Base, BaseHash: c.BaseHash}
	a.LoRA = model.LoRA{Rank: c.R, Alpha: c.Alpha, Dropout: c.Dropout, RSLoRA: c.RSLoRA}
	if err := json.Unmarshal(c.Targets, &a.LoRA.Targets); err != nil {
		var one string // a regular expression, or all-linear
		if json.Unmarshal(c.Targets, &one) != nil {
			return nil, fmt.Errorf("target_modules is neither a list of names nor a text")
		}
		a.LoRA.Targets = []string{one}
	}
	return a, nil
}

// peft renames adapter tensors as PEFT does.
func peft(ts []model.Tensor) []model.Tensor {
	out := make([]model.Tensor, len(ts))
	for i, t := range ts {
		t.Name = peftPrefix + t.Name
		out[i] = t
	}
	return out
}

// Values checks the file against a model that LoRA has been applied to, and gives its adapters' values.
func (a *Adapter) Values(m *model.Model) (Fetch, error) {
	ts := peft(m.Adapters())
	if err := Check(ts, a.set.Names(), a.set); err != nil {
		return nil, fmt.Errorf("%s: %w", a.dir, err)
	}
	return Values(ts, "", a.set), nil
}

// Close closes the files.
func (a *Adapter) Close() error { return a.set.Close() }

// SaveAdapter writes a model's adapters in F32, and a configuration that names its base and the hash of the base's
// tensors.
func SaveAdapter(create Create, m *model.Model, base, baseHash string, fetch Fetch) error {
	l := m.LoRA()
	if l == nil {
		return fmt.Errorf("the model has no adapters to save")
	}
	targets, err := json.Marshal(l.Targets)
	if err != nil {
		return err
	}
	if len(l.Targets) == 1 { // PEFT takes a single expression, or all-linear, as a text
		if targets, err = json.Marshal(l.Targets[0]); err != nil {
			return err
		}
		if isName(l.Targets[0]) {
			targets = []byte("[" + string(targets) + "]")
		}
	}
	c := adapterConfig{PEFTType: "LORA", TaskType: "CAUSAL_LM", Base: base, BaseHash: baseHash, R: l.Rank, Alpha: l.Alpha, Dropout: l.Dropout,
		Bias: "none", FanInFanOut: m.Arch == model.GPT2, RSLoRA: l.RSLoRA, Init: []byte("true"), Inference: true, Targets: targets,
		RankPattern: map[string]int{}, AlphaPattern: map[string]any{}, Layers: []byte("null")}
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	if err := WriteBytes(create, "adapter_config.json", append(b, '\n')); err != nil {
		return err
	}
	es := Entries(peft(m.Adapters()), "", safetensors.F32, itself, fetch)
	return safetensors.WriteSet(create, "adapter_model", es, safetensors.MaxShardBytes, nil)
}

// isName tells a plain module name from a regular expression or all-linear.
func isName(s string) bool {
	if s == "all-linear" {
		return false
	}
	for _, r := range s {
		if !(r == '_' || r == '.' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9') {
			return false
		}
	}
	return true
}
