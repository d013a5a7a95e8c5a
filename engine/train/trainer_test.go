package train_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/data"
	"forja/engine/graph"
	"forja/engine/model"
	"forja/engine/optim"
	"forja/engine/train"
	"forja/kernels"
	"forja/kernels/cpu"
)

func backend(t testing.TB) kernels.Backend {
	b, err := cpu.Open(cpu.Options{Threads: 2})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

var tiny = map[string]model.Config{
	"gpt2":  {Arch: model.GPT2, Vocab: 61, Context: 32, Layers: 2, Channels: 32, Heads: 4, Tied: true},
	"llama": {Arch: model.LLaMA, Vocab: 61, Context: 32, Layers: 2, Channels: 32, Heads: 4, KVHeads: 2, Tied: true},
	"qwen2": {Arch: model.Qwen2, Vocab: 61, Context: 32, Layers: 2, Channels: 32, Heads: 4, KVHeads: 2},
}

type setting struct {
	config model.Config
	dtype  kernels.DType
	kind   string
	shape  train.Shape
	lora   *model.LoRA
	rate   float64
}

func trainer(t testing.TB, b kernels.Backend, s setting) *train.Trainer {
	m, err := model.New(s.config)
	require.NoError(t, err)
	m.SetDType(s.dtype)
	if s.lora != nil {
		require.NoError(t, m.Adapt(*s.lora))
	}
	o, err := optim.New(optim.Config{Kind: s.kind, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Decay: 0.1, Momentum: 0.95, MuonScale: 5, Clip: 1}, m)
	require.NoError(t, err)
	p, err := train.Compile(m, o, s.shape)
	require.NoError(t, err)
	before := b.Usage().Now
	tr, err := train.NewTrainer(b, m, o, p)
	require.NoError(t, err)
	require.Equal(t, p.Memory().Total(), b.Usage().Now-before, "the plan is exact to the byte")
	t.Cleanup(tr.Close)
	tr.Schedule = optim.Schedule{Kind: "constant", Peak: s.rate, Steps: 1000}
	require.NoError(t, tr.Load(train.Initial(m, 1)))
	return tr
}

// document is a batch of random rows, two documents each.
func document(rows, length, vocab int) *data.Batch {
	r := rand.New(rand.NewPCG(1, 2))
	b := data.NewBatch(rows, length)
	for i := range b.Tokens {
		b.Tokens[i] = int32(r.IntN(vocab))
	}
	for i := range b.Tokens {
		at, start := i%length, 0
		if at >= length/3 {
			start = length / 3
		}
		b.Positions[i], b.Lo[i], b.Targets[i] = int32(at-start), int32(start), data.NoTarget
		if at+1 < length && at+1 != length/3 {
			b.Targets[i], b.Mask[i] = b.Tokens[i+1], 1
			b.Count++
		}
	}
	return b
}

func TestTinyModelsOverfitABatch(t *testing.T) {
	for name, c := range tiny {
		for _, kind := range []string{"adamw", "muon"} {
			for _, d := range []kernels.DType{kernels.F32, kernels.BF16} {
				t.Run(name+"/"+kind+"/"+d.String(), func(t *testing.T) {
					tr := trainer(t, backend(t), setting{config: c, dtype: d, kind: kind, shape: train.Shape{Rows: 4, Micro: 2, Length: 24}, rate: 5e-3})
					b := document(4, 24, c.Vocab)
					var first, last train.Stats
					for i := range 60 {
						st, err := tr.Update(b)
						require.NoError(t, err)
						if i == 0 {
							first = st
						}
						last = st
					}
					assert.InDelta(t, 4.11, first.Loss, 0.3, "an untrained model is uniform: ln 61")
					assert.Less(t, last.Loss, 0.3)
				})
			}
		}
	}
}

func TestLoRATrainsOnlyItsAdapters(t *testing.T) {
	b := backend(t)
	l := &model.LoRA{Rank: 4, Alpha: 8, Dropout: 0.1, Targets: []string{"all-linear"}}
	tr := trainer(t, b, setting{config: tiny["llama"], kind: "adamw", shape: train.Shape{Rows: 4, Micro: 4, Length: 24}, rate: 1e-2, lora: l})
	read := func() (out [][]float32) {
		for _, v := range tr.Model.Params() {
			x := make([]float32, v.Shape.Size())
			graph.Get(tr.Session(), v, x)
			out = append(out, x)
		}
		require.NoError(t, b.Sync())
		return out
	}
	base := read()
	batch := document(4, 24, 61)
	var first, last train.Stats
	for i := range 60 {
		st, err := tr.Update(batch)
		require.NoError(t, err)
		if i == 0 {
			first = st
		}
		last = st
	}
	assert.Less(t, last.Loss, first.Loss-0.2, "a frozen random head bounds what adapters can do")
	assert.Equal(t, base, read())
}
