package train_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/data"
	"forja/engine/format/hf"
	"forja/engine/format/safetensors"
	"forja/engine/gen"
	"forja/engine/graph"
	"forja/engine/model"
	"forja/engine/optim"
	"forja/engine/train"
	"forja/engine/vfs"
	"forja/kernels"
)

// A golden is what PyTorch computed in float64 for one case: see testdata/parity/README.md.
type golden struct {
	Loss   float64   `json:"loss"`
	Losses []float64 `json:"losses"`
	AdamW  struct {
		LR    float64 `json:"lr"`
		Beta1 float64 `json:"beta1"`
		Beta2 float64 `json:"beta2"`
		Eps   float64 `json:"eps"`
		Decay float64 `json:"weight_decay"`
	} `json:"adamw"`
	After map[string]struct {
		Sum   float64   `json:"sum"`
		L2    float64   `json:"l2"`
		Moved float64   `json:"moved_l2"`
		Head  []float64 `json:"head"`
	} `json:"after"`
	tensors *safetensors.Set
}

const parityB, parityT, parityV = 2, 23, 97

func parityFS(t *testing.T) vfs.FS {
	d, err := vfs.OS(filepath.Join("testdata", "parity"))
	require.NoError(t, err)
	t.Cleanup(func() { d.Close() })
	return d
}

func openGolden(t *testing.T, fsys vfs.FS, name string) golden {
	var g golden
	b, err := os.ReadFile(filepath.Join("testdata", "parity", name, "golden.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &g))
	g.tensors, err = safetensors.OpenSet(fsys, name, "golden")
	require.NoError(t, err)
	t.Cleanup(func() { g.tensors.Close() })
	return g
}

func (g golden) f32(t *testing.T, name string) []float32 {
	info, ok := g.tensors.Tensor(name)
	require.True(t, ok, name)
	x := make([]float32, info.Elements())
	require.NoError(t, g.tensors.ReadF32(name, x))
	return x
}

func (g golden) i32(t *testing.T, name string) []int32 {
	info, ok := g.tensors.Tensor(name)
	require.True(t, ok, name)
	raw := make([]byte, info.Size)
	require.NoError(t, g.tensors.ReadTensor(name, raw))
	x := make([]int32, info.Elements())
	for i := range x {
		x[i] = int32(raw[4*i]) | int32(raw[4*i+1])<<8 | int32(raw[4*i+2])<<16 | int32(raw[4*i+3])<<24
	}
	return x
}

// batch is one of the golden batches: rows are single documents.
func (g golden) batch(t *testing.T, n string) *data.Batch {
	b := data.NewBatch(parityB, parityT)
	copy(b.Tokens, g.i32(t, "tokens."+n))
	for i, target := range g.i32(t, "targets."+n) {
		b.Positions[i], b.Targets[i] = int32(i%parityT), data.NoTarget
		if target >= 0 {
			b.Targets[i], b.Mask[i] = target, 1
			b.Count++
		}
	}
	return b
}

// parity opens a case as a trainer with the golden AdamW settings. base is where the model is; adapter may be "".
func parity(t *testing.T, b kernels.Backend, fsys vfs.FS, base, adapter string, g golden, micro int) *train.Trainer {
	f, err := hf.Open(fsys, base)
	require.NoError(t, err)
	defer f.Close()
	m, err := model.New(f.Config)
	require.NoError(t, err)
	var lora hf.Fetch
	if adapter != "" {
		a, err := hf.OpenAdapter(fsys, adapter)
		require.NoError(t, err)
		defer a.Close()
		require.NoError(t, m.Adapt(a.LoRA))
		lora, err = a.Values(m)
		require.NoError(t, err)
	}
	o, err := optim.New(optim.Config{Kind: "adamw", Beta1: g.AdamW.Beta1, Beta2: g.AdamW.Beta2, Eps: g.AdamW.Eps, Decay: g.AdamW.Decay}, m)
	require.NoError(t, err)
	p, err := train.Compile(m, o, train.Shape{Rows: parityB, Micro: micro, Length: parityT})
	require.NoError(t, err)
	tr, err := train.NewTrainer(b, m, o, p)
	require.NoError(t, err)
	t.Cleanup(tr.Close)
	values, err := f.Values(m)
	require.NoError(t, err)
	adapters := map[*graph.Var]bool{}
	for _, a := range m.Adapters() {
		adapters[a.Var] = true
	}
	require.NoError(t, tr.Load(func(v *graph.Var) ([]float32, error) {
		if adapters[v] {
			return lora(v)
		}
		return values(v)
	}))
	tr.Schedule = optim.Schedule{Kind: "constant", Peak: g.AdamW.LR, Steps: 20}
	return tr
}

// logits computes the logits of the golden tokens.
func logits(t *testing.T, tr *train.Trainer, b *data.Batch) []float32 {
	i32 := func(x []int32) (*graph.Var, *graph.Var) {
		return graph.NewVar("in", kernels.I32, parityB, parityT), nil
	}
	tokens, _ := i32(nil)
	positions, _ := i32(nil)
	g := graph.New()
	x := tr.Model.Hidden(g, model.Inputs{Tokens: g.Leaf(tokens), Positions: g.Leaf(positions)})
	g.Output("logits", tr.Model.Logits(g, x))
	p, err := g.Compile(graph.Options{})
	require.NoError(t, err)
	st, err := tr.Session().Bind(p)
	require.NoError(t, err)
	graph.Set(tr.Session(), tokens, b.Tokens)
	graph.Set(tr.Session(), positions, b.Positions)
	padded := (parityV + 63) / 64 * 64
	out := make([]float32, parityB*parityT*padded)
	st.Run()
	require.NoError(t, graph.Output(st, "logits", out))
	require.NoError(t, tr.Session().Backend().Sync())
	var x2 []float32
	for r := range parityB * parityT {
		x2 = append(x2, out[r*padded:r*padded+parityV]...)
	}
	return x2
}

// near compares with a tolerance of steps roundings of F32 on values as large as the largest of want: an error in one
// element of a sum shows in all of its results, so the scale is the tensor's, not the element's.
func near(t *testing.T, want, got []float32, steps float64, name string) {
	require.Equal(t, len(want), len(got), name)
	scale, worst := 0.0, 0.0
	for i := range want {
		scale = max(scale, math.Abs(float64(want[i])))
		worst = max(worst, math.Abs(float64(want[i])-float64(got[i])))
	}
	assert.LessOrEqual(t, worst, steps*0x1p-24*scale+1e-9, "%s: off by %.3g of %.3g", name, worst, scale)
}

// roundings bounds the F32 roundings on the longest path of these two-layer models, in units of half the last place of a
// tensor's largest value: about 30 operations, each off by one. Sums inside an operation add in quadrature.
const roundings = 30

var parityCases = []struct{ name, base, adapter string }{
	{"gpt2", "gpt2", ""}, {"llama-gqa", "llama-gqa", ""}, {"llama-tied", "llama-tied", ""}, {"qwen2", "qwen2", ""},
	{"lora-llama-gqa", "llama-gqa", "lora-llama-gqa"},
	{"lora-llama-gqa-all-rslora", "llama-gqa", "lora-llama-gqa-all-rslora"},
	{"lora-gpt2", "gpt2", "lora-gpt2"},
}

func TestLogitsLossAndGradientsMatchPyTorch(t *testing.T) {
	fsys := parityFS(t)
	for _, c := range parityCases {
		t.Run(c.name, func(t *testing.T) {
			g := openGolden(t, fsys, c.name)
			tr := parity(t, backend(t), fsys, c.base, c.adapter, g, parityB)
			b := g.batch(t, "0")
			near(t, g.f32(t, "logits"), logits(t, tr, b), roundings, "logits")

			grads := tr.Optim.Grads()
			tr.Schedule.Peak = 0 // look at the gradients of one update that changes nothing
			st, err := tr.Update(b)
			require.NoError(t, err)
			assert.InDelta(t, g.Loss, st.Loss, roundings*0x1p-24*g.Loss)

			ts, prefix := tr.Model.Tensors(), "grad."
			if c.adapter != "" {
				ts, prefix = tr.Model.Adapters(), "grad.base_model.model."
			}
			for _, e := range hf.Entries(ts, "", safetensors.F32, func(v *graph.Var) *graph.Var { return grads[v] },
				func(v *graph.Var) ([]float32, error) { return train.Floats(tr.Session(), v) }) {
				var raw strings.Builder
				require.NoError(t, e.Data(&raw))
				got := make([]float32, raw.Len()/4)
				require.NoError(t, safetensors.DecodeF32(got, []byte(raw.String()), safetensors.F32))
				near(t, g.f32(t, prefix+e.Name), got, 4*roundings, e.Name)
			}
		})
	}
}

func TestTwentyStepsOfAdamWMatchPyTorch(t *testing.T) {
	fsys := parityFS(t)
	for _, c := range parityCases {
		for _, micro := range []int{2, 1} {
			t.Run(c.name, func(t *testing.T) {
				g := openGolden(t, fsys, c.name)
				tr := parity(t, backend(t), fsys, c.base, c.adapter, g, micro)
				batches := []*data.Batch{g.batch(t, "0"), g.batch(t, "1")}
				require.Len(t, g.Losses, 20)
				for i, want := range g.Losses {
					st, err := tr.Update(batches[i%2])
					require.NoError(t, err)
					// Errors grow with the number of updates.
					assert.InDelta(t, want, st.Loss, float64(i+1)*roundings*0x1p-24*want, "loss before update %d", i+1)
				}
			})
		}
	}
}

func TestMergedAdaptersComputeWhatPEFTsDo(t *testing.T) {
	fsys := parityFS(t)
	for _, c := range parityCases {
		if c.adapter == "" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			g := openGolden(t, fsys, c.name)
			tr := parity(t, backend(t), fsys, c.base, c.adapter, g, parityB)
			unmerged := logits(t, tr, g.batch(t, "0"))
			require.NoError(t, tr.Model.Merge(tr.Session().Backend(), 1))
			restore := tr.Model.Detach()
			merged := logits(t, tr, g.batch(t, "0"))
			near(t, g.f32(t, "merged.logits"), merged, roundings, "merged")
			near(t, unmerged, merged, 2*roundings, "merged against unmerged")
			restore()
			require.NoError(t, tr.Model.Merge(tr.Session().Backend(), -1))
			near(t, unmerged, logits(t, tr, g.batch(t, "0")), 2*roundings, "unmerged again")
		})
	}
}

func TestGreedyContinuationMatchesPyTorch(t *testing.T) {
	fsys := parityFS(t)
	for _, c := range parityCases {
		if c.adapter != "" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			g := openGolden(t, fsys, c.name)
			tr := parity(t, backend(t), fsys, c.base, c.adapter, g, parityB)
			for _, chunk := range []int{4, 16} {
				gn, err := gen.New(tr.Session(), tr.Model, gen.Size{Chunk: chunk, Page: 4})
				require.NoError(t, err)
				var got []int32
				_, err = gn.Generate(t.Context(), g.i32(t, "decode.prompt"), gen.Sampling{}, 16, func(tok gen.Token) bool {
					got = append(got, tok.ID)
					return true
				})
				require.NoError(t, err)
				assert.Equal(t, g.i32(t, "decode.tokens"), got)
				gn.Close()
			}
		})
	}
}
