package model

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/graph"
)

func TestPresetsHaveTheirPublishedSizes(t *testing.T) {
	for name, millions := range map[string]float64{
		"gpt2": 124.44, "gpt2-medium": 354.82, "gpt2-large": 774.03, "gpt2-xl": 1557.61,
		"llama-7b": 6738.42, "llama2-7b": 6738.42, "llama2-70b": 68976.65, "tinyllama": 1100.05, "llama3-8b": 8030.26,
		"llama3.2-1b": 1235.81, "llama3.2-3b": 3212.75, "qwen2-0.5b": 494.03, "qwen2-7b": 7615.62, "smollm2-135m": 134.52,
	} {
		c, err := Preset(name)
		require.NoError(t, err)
		assert.InDelta(t, millions, float64(c.Params())/1e6, 0.01, name)
	}
	_, err := Preset("gpt5")
	assert.ErrorContains(t, err, "smollm2-135m")
}

func TestEveryPresetCanBeLaidOut(t *testing.T) {
	for _, name := range Presets() {
		c, err := Preset(name)
		require.NoError(t, err)
		m, err := New(c)
		require.NoError(t, err, name)
		n := 0
		for _, x := range m.Tensors() {
			k := 1
			for _, d := range x.Shape {
				k *= d
			}
			n += k
		}
		assert.Equal(t, c.Params(), n, "%s: the tensors of the file are the parameters", name)
	}
}

func TestTensorsCoverStorageOnce(t *testing.T) {
	for _, c := range []Config{{Arch: GPT2, Vocab: 70, Context: 8, Layers: 2, Channels: 8, Heads: 2, Tied: true},
		{Arch: LLaMA, Vocab: 70, Context: 8, Layers: 2, Channels: 8, Heads: 4, KVHeads: 2},
		{Arch: Qwen2, Vocab: 70, Context: 8, Layers: 1, Channels: 8, Heads: 2, Tied: true}} {
		m, err := New(c)
		require.NoError(t, err)
		seen := map[*graph.Var][]int{}
		for _, x := range m.Tensors() {
			cols := 1
			if len(x.Var.Shape) > 1 {
				cols = x.Var.Shape[1]
			}
			rows := x.Var.Shape.Size() / cols
			if seen[x.Var] == nil {
				seen[x.Var] = make([]int, rows)
			}
			n := x.Rows
			if len(x.Var.Shape) == 1 && n == 1 {
				n = rows
			}
			for r := x.Row; r < x.Row+n; r++ {
				seen[x.Var][r]++
			}
		}
		for _, v := range m.Params() {
			for r, n := range seen[v] {
				want := 1
				if (v == m.wte || v == m.head) && r >= m.Vocab {
					want = 0 // padding is in no file
				}
				require.Equal(t, want, n, "%s row %d", v.Name, r)
			}
		}
	}
}

func TestDepthSetsTheRest(t *testing.T) {
	small, large := Depth(4, 4096, 256), Depth(12, 50304, 1024)
	assert.Equal(t, 256, small.Channels)
	assert.Equal(t, 12, large.Heads)
	assert.Equal(t, 64, large.HeadDim)
	assert.Greater(t, small.LearningRate, large.LearningRate)
	assert.Less(t, small.BatchTokens, large.BatchTokens)
	assert.Equal(t, 20*large.Params(), large.Tokens)
	for _, d := range []Dial{small, large} {
		_, err := New(d.Config)
		assert.NoError(t, err)
	}
}

func TestImpossibleConfigurationsAreRefused(t *testing.T) {
	good := Config{Arch: LLaMA, Vocab: 64, Context: 8, Layers: 1, Channels: 8, Heads: 2}
	for name, change := range map[string]func(*Config){
		"arch": func(c *Config) { c.Arch = "gru" }, "vocab": func(c *Config) { c.Vocab = 0 }, "heads": func(c *Config) { c.Heads = 3; c.KVHeads = 2 },
		"split": func(c *Config) { c.Arch, c.Tied, c.Heads = GPT2, true, 3 }, "tied": func(c *Config) { c.Arch = GPT2 },
		"scaling": func(c *Config) { c.Rope.Scaling = "yarn" }, "factor": func(c *Config) { c.Rope.Scaling, c.Rope.Factor = "linear", math.NaN() },
		"layers": func(c *Config) { c.Layers = 1 << 20 },
	} {
		c := good
		change(&c)
		_, err := New(c)
		assert.ErrorContains(t, err, "model.", name)
	}
}

// The published sum of Llama 3.1's table: 4096 positions of 128 channels, base 10,000.
func TestScaledRopeTableHasItsKnownSum(t *testing.T) {
	r := Rope{Theta: 10000, Scaling: "llama3", Factor: 8, LowFreq: 1, HighFreq: 4, Original: 8192}
	sum := 0.0
	for _, x := range r.Table(4096, 128) {
		sum += float64(x)
	}
	// The published figure is of F32 angles; an angle of 4096 radians is off by half of 2⁻¹², and 2^18 of them add up
	// at random.
	assert.InDelta(t, 91141.759, sum, 0.5)
}

func TestInitialValuesDependOnSeedAndNameAlone(t *testing.T) {
	c := Config{Arch: LLaMA, Vocab: 70, Context: 8, Layers: 4, Channels: 64, Heads: 4}
	a, err := New(c)
	require.NoError(t, err)
	b, err := New(c)
	require.NoError(t, err)
	std := func(x []float32) float64 {
		s := 0.0
		for _, v := range x {
			s += float64(v) * float64(v)
		}
		return math.Sqrt(s / float64(len(x)))
	}
	for i := len(a.Params()) - 1; i >= 0; i-- {
		x, y := a.Init(a.Params()[i], 3), b.Init(b.Params()[i], 3)
		require.Equal(t, x, y)
		switch v := a.Params()[i]; {
		case len(v.Shape) == 1:
			assert.EqualValues(t, 1, x[0])
		case v == a.wte || v == a.head:
			assert.Zero(t, std(x[a.Vocab*a.Channels:]), "padding")
			assert.NotEqual(t, x, a.Init(v, 4))
		case strings.HasSuffix(v.Name, ".o.w") || strings.HasSuffix(v.Name, ".down.w"):
			assert.InDelta(t, 0.02/math.Sqrt(8), std(x), 0.0006, v.Name)
		default:
			assert.InDelta(t, 0.02, std(x), 0.002, v.Name)
		}
	}
}

func TestLoRATargets(t *testing.T) {
	c := Config{Arch: LLaMA, Vocab: 70, Context: 8, Layers: 2, Channels: 8, Heads: 2}
	adapted := func(targets ...string) (names []string, err error) {
		m, err := New(c)
		require.NoError(t, err)
		err = m.Adapt(LoRA{Rank: 2, Alpha: 4, Targets: targets})
		for _, a := range m.Adapters() {
			names = append(names, a.Name)
		}
		return names, err
	}
	all, err := adapted("all-linear")
	require.NoError(t, err)
	assert.Len(t, all, 2*2*7)
	qv, err := adapted("q_proj", "v_proj")
	require.NoError(t, err)
	assert.Len(t, qv, 2*2*2)
	re, err := adapted(`model\.layers\.1\..*_proj`)
	require.NoError(t, err)
	assert.Len(t, re, 2*7)
	one, err := adapted("layers.0.mlp.up_proj")
	require.NoError(t, err)
	assert.Equal(t, []string{"model.layers.0.mlp.up_proj.lora_A.weight", "model.layers.0.mlp.up_proj.lora_B.weight"}, one)
	_, err = adapted("q_proj", "c_attn")
	assert.ErrorContains(t, err, `"c_attn" matches no projection of this model; it has q_proj, k_proj`)
	_, err = adapted("(")
	assert.ErrorContains(t, err, "not a regular expression")
	_, err = adapted()
	assert.ErrorContains(t, err, "none given")
}

func TestLoRAScale(t *testing.T) {
	assert.Equal(t, 2.0, (&LoRA{Rank: 16, Alpha: 32}).Scale())
	assert.Equal(t, 8.0, (&LoRA{Rank: 16, Alpha: 32, RSLoRA: true}).Scale())
}
