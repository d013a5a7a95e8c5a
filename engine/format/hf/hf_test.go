package hf

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/format/safetensors"
	"forja/engine/graph"
	"forja/engine/model"
	"forja/engine/vfs"
)

var configs = []model.Config{
	{Arch: model.GPT2, Vocab: 70, Context: 8, Layers: 2, Channels: 8, Heads: 2, Tied: true, BOS: []int32{1}, EOS: []int32{1}},
	{Arch: model.LLaMA, Vocab: 70, Context: 8, Layers: 2, Channels: 8, Heads: 4, KVHeads: 2, EOS: []int32{2, 3}},
	{Arch: model.LLaMA, Vocab: 70, Context: 64, Layers: 1, Channels: 8, Heads: 2, Tied: true,
		Rope: model.Rope{Theta: 5e5, Scaling: "llama3", Factor: 8, LowFreq: 1, HighFreq: 4, Original: 16}},
	{Arch: model.Qwen2, Vocab: 70, Context: 8, Layers: 1, Channels: 12, Heads: 3, KVHeads: 1, Rope: model.Rope{Scaling: "linear", Factor: 2}},
}

func TestConfigsReadBack(t *testing.T) {
	for _, c := range configs {
		c = c.Fill()
		got, err := ParseConfig(FormatConfig(c, "float32"))
		require.NoError(t, err)
		assert.Equal(t, c, got)
	}
}

// transformers 4 keeps rope's base beside rope_scaling, 5 inside rope_parameters; what is written serves both.
func TestBothGenerationsOfRopeKeysAreRead(t *testing.T) {
	dir := filepath.Join("..", "..", "train", "testdata", "parity")
	for _, name := range []string{"llama-gqa", "llama-tied", "qwen2"} {
		read := func(file string) model.Config {
			b, err := os.ReadFile(filepath.Join(dir, name, file))
			require.NoError(t, err)
			c, err := ParseConfig(b)
			require.NoError(t, err)
			return c
		}
		assert.Equal(t, read("config.json"), read("config_v4.json"), name)
		var written map[string]any
		require.NoError(t, json.Unmarshal(FormatConfig(read("config.json"), "float32"), &written))
		assert.NotNil(t, written["rope_theta"])
		assert.NotNil(t, written["rope_parameters"])
	}
}

func TestConfigsThatForjaDoesNotComputeAreRefused(t *testing.T) {
	good := string(FormatConfig(configs[1].Fill(), "float32"))
	for change, want := range map[string]string{
		`"hidden_act": "gelu"`: "hidden_act", `"attention_bias": true`: "attention_bias", `"model_type": "mamba"`: "model_type",
		`"num_attention_heads": 0`: "heads", `"vocab_size": -4`: "vocab", `"eos_token_id": "x"`: "config.json",
		`"rope_parameters": {"rope_type": "yarn", "factor": 4}`: "yarn", `"hidden_size": 1e300`: "config.json",
	} {
		var m map[string]json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(good), &m))
		require.NoError(t, json.Unmarshal([]byte("{"+change+"}"), &m))
		b, err := json.Marshal(m)
		require.NoError(t, err)
		_, err = ParseConfig(b)
		assert.ErrorContains(t, err, want, change)
	}
}

func FuzzParseConfig(f *testing.F) {
	for _, c := range configs {
		f.Add(FormatConfig(c.Fill(), "bfloat16"))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseConfig(b)
		if err == nil {
			_, err = ParseConfig(FormatConfig(c, "float32"))
			require.NoError(t, err)
		}
	})
}

func FuzzAdapterConfig(f *testing.F) {
	f.Add([]byte(`{"peft_type":"LORA","r":4,"lora_alpha":8,"target_modules":["q_proj"]}`))
	f.Add([]byte(`{"peft_type":"LORA","r":4,"lora_alpha":8,"target_modules":"all-linear"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := parseAdapter(b); err == nil {
			m, err := model.New(configs[1])
			require.NoError(t, err)
			_ = m.Adapt(a.LoRA) // may refuse, must not panic
		}
	})
}

// files collects what a writer creates, in a file system.
func files(t *testing.T, fsys vfs.FS, write func(Create) error) {
	require.NoError(t, write(func(name string, w func(io.Writer) error) error { return vfs.WriteStream(fsys, name, w) }))
}

func random(vars []*graph.Var) map[*graph.Var][]float32 {
	r := rand.New(rand.NewPCG(1, 1))
	m := map[*graph.Var][]float32{}
	for _, v := range vars {
		x := make([]float32, v.Shape.Size())
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		m[v] = x
	}
	return m
}

func TestModelsReadBackWithoutTheirPadding(t *testing.T) {
	for _, c := range configs {
		m, err := model.New(c)
		require.NoError(t, err)
		values := random(m.Params())
		fsys := vfs.NewMem()
		files(t, fsys, func(create Create) error {
			return Save(create, m, safetensors.F32, func(v *graph.Var) ([]float32, error) { return values[v], nil })
		})
		f, err := Open(fsys, ".")
		require.NoError(t, err)
		assert.Equal(t, c.Fill(), f.Config)
		n, err := model.New(f.Config)
		require.NoError(t, err)
		get, err := f.Values(n)
		require.NoError(t, err)
		for i, v := range n.Params() {
			x, err := get(v)
			require.NoError(t, err)
			want := values[m.Params()[i]]
			if v.Name == "wte" || v.Name == "head" { // padded
				clear(want[c.Vocab*c.Channels:])
			}
			assert.True(t, slices.Equal(want, x), v.Name)
		}
		again := vfs.NewMem()
		files(t, again, func(create Create) error { return Save(create, n, safetensors.F32, get) })
		for _, name := range []string{"config.json", "model.safetensors"} {
			a, err := vfs.ReadFile(fsys, name, 1<<20)
			require.NoError(t, err)
			b, err := vfs.ReadFile(again, name, 1<<20)
			require.NoError(t, err)
			assert.True(t, bytes.Equal(a, b), "export changes nothing: %s", name)
		}
		first, err := f.Hash(sha256.New())
		require.NoError(t, err)
		g, err := Open(again, ".")
		require.NoError(t, err)
		second, err := g.Hash(sha256.New())
		require.NoError(t, err)
		assert.Equal(t, first, second)
	}
}

func TestAnotherModelsTensorsAreRefused(t *testing.T) {
	m, err := model.New(configs[1])
	require.NoError(t, err)
	values := random(m.Params())
	fsys := vfs.NewMem()
	files(t, fsys, func(create Create) error {
		return Save(create, m, safetensors.F32, func(v *graph.Var) ([]float32, error) { return values[v], nil })
	})
	try := func(change func(*model.Config)) error {
		c := configs[1].Fill()
		change(&c)
		require.NoError(t, vfs.WriteFile(fsys, "config.json", FormatConfig(c, "float32")))
		f, err := Open(fsys, ".")
		require.NoError(t, err)
		defer f.Close()
		n, err := model.New(f.Config)
		require.NoError(t, err)
		_, err = f.Values(n)
		return err
	}
	assert.NoError(t, try(func(*model.Config) {}))
	assert.ErrorContains(t, try(func(c *model.Config) { c.Layers = 3 }), "missing")
	assert.ErrorContains(t, try(func(c *model.Config) { c.Layers = 1 }), "belongs to no part")
	assert.ErrorContains(t, try(func(c *model.Config) { c.FFN = 32 }), "has shape")
}

func TestAdaptersReadBack(t *testing.T) {
	for _, targets := range [][]string{{"q_proj", "down_proj"}, {"all-linear"}, {`.*\.mlp\..*`}, {"v_proj"}} {
		m, err := model.New(configs[1])
		require.NoError(t, err)
		require.NoError(t, m.Adapt(model.LoRA{Rank: 3, Alpha: 6, RSLoRA: true, Targets: targets}))
		values := random(m.Trainable())
		fsys := vfs.NewMem()
		files(t, fsys, func(create Create) error {
			return SaveAdapter(create, m, "base", "hash", func(v *graph.Var) ([]float32, error) { return values[v], nil })
		})
		a, err := OpenAdapter(fsys, ".")
		require.NoError(t, err)
		assert.Equal(t, "base hash", a.Base+" "+a.BaseHash)
		n, err := model.New(configs[1])
		require.NoError(t, err)
		require.NoError(t, n.Adapt(a.LoRA))
		get, err := a.Values(n)
		require.NoError(t, err)
		for i, v := range n.Trainable() {
			x, err := get(v)
			require.NoError(t, err)
			assert.Equal(t, values[m.Trainable()[i]], x)
		}
	}
}
