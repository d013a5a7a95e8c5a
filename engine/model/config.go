package model

import "fmt"

// The architectures.
const (
	GPT2  = "gpt2"  // learned positions, LayerNorm, GELU, biases; GPT-3 is the same with other sizes
	LLaMA = "llama" // RoPE, RMSNorm, SwiGLU, grouped queries
	Qwen2 = "qwen2" // LLaMA with biases on q, k and v
)

// Config is everything that determines the shapes and the function of a model.
type Config struct {
	Arch     string
	Vocab    int // ids
	Context  int // positions
	Layers   int
	Channels int
	Heads    int
	KVHeads  int
	HeadDim  int
	FFN      int // channels between the two feed-forward projections
	NormEps  float64
	Rope     Rope
	Tied     bool    // the head is the embedding
	InitStd  float64 // of normal initialisation
	BOS      []int32 // begin-of-text ids, none if empty
	EOS      []int32 // ids that end a text
}

// Rope holds the rotary embedding's parameters.
type Rope struct {
	Theta   float64
	Scaling string  // "", "linear" or "llama3"
	Factor  float64 // by which positions are stretched
	// LLaMA 3.1's interpolation between unscaled high and scaled low frequencies.
	LowFreq, HighFreq float64
	Original          int // context before scaling
}

// Fill sets what has a customary default and returns the result.
func (c Config) Fill() Config {
	def := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	def(&c.KVHeads, c.Heads)
	if c.Heads > 0 {
		def(&c.HeadDim, c.Channels/c.Heads)
	}
	if c.Arch == GPT2 {
		def(&c.FFN, 4*c.Channels)
	} else {
		def(&c.FFN, (8*c.Channels/3+63)/64*64)
	}
	if c.NormEps == 0 {
		c.NormEps = 1e-5
	}
	if c.InitStd == 0 {
		c.InitStd = 0.02
	}
	if c.Arch != GPT2 && c.Rope.Theta == 0 {
		c.Rope.Theta = 10000
	}
	return c
}

// Validate reports the first impossible value, naming the field as a recipe does.
func (c Config) Validate() error {
	for _, f := range []struct {
		name   string
		v, max int
	}{{"vocab", c.Vocab, 1 << 21}, {"context", c.Context, 1 << 24}, {"layers", c.Layers, 1 << 12}, {"channels", c.Channels, 1 << 17},
		{"heads", c.Heads, 1 << 12}, {"kv_heads", c.KVHeads, 1 << 12}, {"head_dim", c.HeadDim, 1 << 12}, {"ffn", c.FFN, 1 << 20}} {
		if f.v <= 0 || f.v > f.max {
			return fmt.Errorf("model.%s: %d is not between 1 and %d", f.name, f.v, f.max)
		}
	}
	switch {
	case c.Arch != GPT2 && c.Arch != LLaMA && c.Arch != Qwen2:
		return fmt.Errorf("model.arch: %q is not one of gpt2, llama, qwen2", c.Arch)
	case c.Arch == GPT2 && (c.HeadDim*c.Heads != c.Channels || c.KVHeads != c.Heads):
		return fmt.Errorf("model.heads: %d channels cannot be split into %d heads", c.Channels, c.Heads)
	case c.Heads%c.KVHeads != 0:
		return fmt.Errorf("model.kv_heads: %d heads cannot share %d key-value heads evenly", c.Heads, c.KVHeads)
	case c.HeadDim%2 != 0:
		return fmt.Errorf("model.head_dim: %d is odd; a rotary embedding needs pairs", c.HeadDim)
	case c.Arch == GPT2 && !c.Tied:
		return fmt.Errorf("model.tied: GPT-2's head is its embedding")
	case c.Rope.Scaling != "" && c.Rope.Scaling != "linear" && c.Rope.Scaling != "llama3":
		return fmt.Errorf("model.rope.scaling: %q is not one of linear, llama3", c.Rope.Scaling)
	case c.Rope.Scaling != "" && !(c.Rope.Factor >= 1):
		return fmt.Errorf("model.rope.factor: %g is below 1", c.Rope.Factor)
	case c.Rope.Scaling == "llama3" && !(c.Rope.LowFreq > 0 && c.Rope.HighFreq > c.Rope.LowFreq && c.Rope.Original > 0):
		return fmt.Errorf("model.rope: llama3 scaling needs 0 < low_freq < high_freq and an original context")
	}
	return nil
}

// vocabPad is the multiple that the vocabulary's storage is padded to: whole tiles for every matrix kernel.
const vocabPad = 64

// PaddedVocab is the number of rows of the embedding's storage, and of columns of logits.
func (c Config) PaddedVocab() int { return (c.Vocab + vocabPad - 1) / vocabPad * vocabPad }

// Params is the number of parameters, padding not counted.
func (c Config) Params() int {
	kv := c.KVHeads * c.HeadDim
	q := c.Heads * c.HeadDim
	n := c.Vocab * c.Channels
	if c.Arch == GPT2 {
		n += c.Context * c.Channels
		n += c.Layers * (c.Channels*(q+2*kv) + q + 2*kv + q*c.Channels + c.Channels + 2*c.Channels*c.FFN + c.FFN + c.Channels +
			4*c.Channels)
		return n + 2*c.Channels
	}
	if !c.Tied {
		n *= 2
	}
	per := c.Channels*(q+2*kv) + q*c.Channels + 3*c.Channels*c.FFN + 2*c.Channels
	if c.Arch == Qwen2 {
		per += q + 2*kv
	}
	return n + c.Layers*per + c.Channels
}

// FLOPs is the arithmetic of training on one token at context T by llm.c's formula, 6N + 6·L·C·T: N counts every
// parameter but the positions', and attention is counted causal.
func (c Config) FLOPs(T int) float64 {
	n := c.Params()
	if c.Arch == GPT2 {
		n -= c.Context * c.Channels
	} else if !c.Tied {
		n -= c.Vocab * c.Channels // looking up an embedding is no arithmetic
	}
	return 6*float64(n) + 6*float64(c.Layers)*float64(c.Heads*c.HeadDim)*float64(T)
}
