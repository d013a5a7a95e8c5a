package model

import (
	"fmt"
	"slices"
	"strings"
)

// gpt is a GPT-2 or GPT-3 of the published sizes (Radford et al. 2019, table 2; Brown et al. 2020, table 2.1).
func gpt(layers, channels, heads, context int) Config {
	return Config{Arch: GPT2, Vocab: 50257, Context: context, Layers: layers, Channels: channels, Heads: heads, Tied: true,
		BOS: []int32{50256}, EOS: []int32{50256}}
}

// llama is a LLaMA 1 or 2 (Touvron et al. 2023, table 2).
func llama(layers, channels, heads, kv, ffn, context int, eps float64) Config {
	return Config{Arch: LLaMA, Vocab: 32000, Context: context, Layers: layers, Channels: channels, Heads: heads, KVHeads: kv, FFN: ffn,
		NormEps: eps, BOS: []int32{1}, EOS: []int32{2}}
}

// llama3 is a Llama 3 to 3.2 (Grattafiori et al. 2024 and the published config.json files).
func llama3(layers, channels, heads, ffn int, factor float64, tied bool) Config {
	c := Config{Arch: LLaMA, Vocab: 128256, Context: 8192, Layers: layers, Channels: channels, Heads: heads, KVHeads: 8, FFN: ffn, Tied: tied,
		Rope: Rope{Theta: 500000}, BOS: []int32{128000}, EOS: []int32{128001, 128009}}
	if factor > 0 {
		c.Context = 131072
		c.Rope = Rope{Theta: 500000, Scaling: "llama3", Factor: factor, LowFreq: 1, HighFreq: 4, Original: 8192}
	}
	return c
}

// qwen2 is a Qwen2 (Yang et al. 2024).
func qwen2(layers, channels, heads, kv, ffn, vocab int, tied bool) Config {
	return Config{Arch: Qwen2, Vocab: vocab, Context: 32768, Layers: layers, Channels: channels, Heads: heads, KVHeads: kv, FFN: ffn, Tied: tied,
		NormEps: 1e-6, Rope: Rope{Theta: 1e6}, EOS: []int32{151643}}
}

var presets = map[string]Config{
	"gpt2":         gpt(12, 768, 12, 1024),
	"gpt2-medium":  gpt(24, 1024, 16, 1024),
	"gpt2-large":   gpt(36, 1280, 20, 1024),
	"gpt2-xl":      gpt(48, 1600, 25, 1024),
	"gpt3-small":   gpt(12, 768, 12, 2048),
	"gpt3-medium":  gpt(24, 1024, 16, 2048),
	"gpt3-large":   gpt(24, 1536, 16, 2048),
	"gpt3-xl":      gpt(24, 2048, 16, 2048),
	"gpt3-2.7b":    gpt(32, 2560, 32, 2048),
	"gpt3-6.7b":    gpt(32, 4096, 32, 2048),
	"gpt3-13b":     gpt(40, 5120, 40, 2048),
	"llama-7b":     llama(32, 4096, 32, 32, 11008, 2048, 1e-6),
	"llama-13b":    llama(40, 5120, 40, 40, 13824, 2048, 1e-6),
	"llama2-7b":    llama(32, 4096, 32, 32, 11008, 4096, 1e-5),
	"llama2-13b":   llama(40, 5120, 40, 40, 13824, 4096, 1e-5),
	"llama2-70b":   llama(80, 8192, 64, 8, 28672, 4096, 1e-5),
	"tinyllama":    llama(22, 2048, 32, 4, 5632, 2048, 1e-5),
	"llama3-8b":    llama3(32, 4096, 32, 14336, 0, false),
	"llama3.1-8b":  llama3(32, 4096, 32, 14336, 8, false),
	"llama3.1-70b": llama3(80, 8192, 64, 28672, 8, false),
	"llama3.2-1b":  llama3(16, 2048, 32, 8192, 32, true),
	"llama3.2-3b":  llama3(28, 3072, 24, 8192, 32, true),
	"qwen2-0.5b":   qwen2(24, 896, 14, 2, 4864, 151936, true),
	"qwen2-1.5b":   qwen2(28, 1536, 12, 2, 8960, 151936, true),
	"qwen2-7b":     qwen2(28, 3584, 28, 4, 18944, 152064, false),
	"smollm2-135m": {Arch: LLaMA, Vocab: 49152, Context: 8192, Layers: 30, Channels: 576, Heads: 9, KVHeads: 3, FFN: 1536, Tied: true,
		Rope: Rope{Theta: 100000}, BOS: []int32{1}, EOS: []int32{2}},
}

// Presets lists the published models by name.
func Presets() []string {
	var names []string
	for n := range presets {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Preset is the configuration of a published model.
func Preset(name string) (Config, error) {
	c, ok := presets[name]
	if !ok {
		return c, fmt.Errorf("there is no %q; there are %s", name, strings.Join(Presets(), ", "))
	}
	return c.Fill(), nil
}

// A Dial is a model and how to train it, derived from one number.
type Dial struct {
	Config
	LearningRate float64 // of AdamW
	BatchTokens  int     // per update
	Tokens       int     // horizon
}

// Depth turns the one dial: a LLaMA of depth layers, 64 channels a layer and heads of 64, context as given. The
// horizon is 20 tokens a parameter (Hoffmann et al. 2022); the batch grows with its square root and the learning rate
// falls with the width, from values found on small models.
func Depth(depth, vocab, context int) Dial {
	c := Config{Arch: LLaMA, Vocab: vocab, Context: context, Layers: depth, Channels: 64 * depth, Heads: depth, Tied: true}.Fill()
	d := Dial{Config: c, Tokens: 20 * c.Params(), LearningRate: 3e-3 * 4 / float64(max(4, depth))}
	d.BatchTokens = 4096
	for d.BatchTokens < 1<<19 && d.BatchTokens*d.BatchTokens < 16*d.Tokens {
		d.BatchTokens *= 2
	}
	return d
}
