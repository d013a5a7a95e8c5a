package train_test

import (
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/graph"
	"forja/engine/model"
	"forja/engine/train"
	"forja/kernels"
	"forja/kernels/cpu"
	"forja/kernels/cuda"
)

// curve trains on one batch and returns the loss and gradient norm of every step. Initial values are multiplied by 1 + noise·u
// with u uniform in [-1, 1].
func curve(t *testing.T, open func() (kernels.Backend, error), s setting, steps int, noise float64) (losses, norms []float64) {
	dev, err := kernels.OpenDevice(open)
	require.NoError(t, err)
	defer func() { require.NoError(t, dev.Close()) }()
	require.NoError(t, dev.Do(t.Context(), func(b kernels.Backend) error {
		tr := trainer(t, b, s)
		defer tr.Close()
		initial, r := train.Initial(tr.Model, 1), rand.New(rand.NewPCG(3, 4))
		if err := tr.Load(func(v *graph.Var) ([]float32, error) {
			x, err := initial(v)
			for i := range x {
				x[i] *= float32(1 + noise*(2*r.Float64()-1))
			}
			return x, err
		}); err != nil {
			return err
		}
		batch := document(s.shape.Rows, s.shape.Length, s.config.Vocab)
		for range steps {
			st, err := tr.Update(batch)
			if err != nil {
				return err
			}
			losses, norms = append(losses, st.Loss), append(norms, st.GradNorm)
		}
		assert.NoError(t, tr.Session().NotRecorded())
		return nil
	}))
	return losses, norms
}

// A plain Backend hides that its device records.
type plain struct{ kernels.Backend }

func TestARecordedStepChangesNoBit(t *testing.T) {
	s := setting{config: tiny["llama"], dtype: kernels.BF16, kind: "muon", shape: train.Shape{Rows: 3, Micro: 1, Length: 16}, rate: 1e-3}
	run := func(wrap func(kernels.Backend) kernels.Backend) (losses, norms []float64) {
		return curve(t, func() (kernels.Backend, error) {
			b, err := cuda.Open(cuda.Options{Simulate: true, Memory: 64 << 20})
			return wrap(b), err
		}, s, 3, 0)
	}
	losses, norms := run(func(b kernels.Backend) kernels.Backend { return plain{b} })
	recordedLosses, recordedNorms := run(func(b kernels.Backend) kernels.Backend { return b })
	assert.Equal(t, losses, recordedLosses)
	assert.Equal(t, norms, recordedNorms)
}

// The simulated card trains as the processor does. What rounding may do to a run is measured, not chosen: the processor's
// own runs from initial values that differ by a rounding error of the format drift apart by some distance, which grows
// with the steps; the card must stay within a few such distances.
func TestASimulatedCardTrainsAsTheProcessorDoes(t *testing.T) {
	const steps, runs, distances = 20, 4, 4
	capabilities := []int{90}
	if os.Getenv("FORJA_LONG") == "1" {
		capabilities = []int{80, 90}
	}
	gpt2 := model.Config{Arch: model.GPT2, Vocab: 61, Context: 32, Layers: 2, Channels: 64, Heads: 1, Tied: true}
	llama := model.Config{Arch: model.LLaMA, Vocab: 61, Context: 32, Layers: 2, Channels: 64, Heads: 2, KVHeads: 1, HeadDim: 64, Tied: true}
	shape := train.Shape{Rows: 2, Micro: 1, Length: 32}
	for name, s := range map[string]setting{
		"gpt2":  {config: gpt2, kind: "adamw", shape: shape, rate: 3e-3},
		"llama": {config: llama, kind: "adamw", shape: shape, rate: 3e-3},
		"lora": {config: llama, kind: "adamw", shape: shape, rate: 1e-2,
			lora: &model.LoRA{Rank: 4, Alpha: 8, Dropout: 0.1, Targets: []string{"all-linear"}}},
	} {
		for _, d := range []kernels.DType{kernels.F32, kernels.BF16} {
			s.dtype = d
			eps := map[kernels.DType]float64{kernels.F32: 0x1p-24, kernels.BF16: 0x1p-9}[d]
			onCPU := func() (kernels.Backend, error) { return cpu.Open(cpu.Options{Threads: 2}) }
			loss, norm := curve(t, onCPU, s, steps, 0)
			// drift is how far runs were apart at most until a step.
			drift := func(a, b []float64, i int) (d float64) {
				for k := range i + 1 {
					d = max(d, math.Abs(a[k]-b[k]))
				}
				return d
			}
			lossDrift, normDrift := make([]float64, steps), make([]float64, steps)
			for k := range runs {
				l, n := curve(t, onCPU, s, steps, float64(k+1)*eps)
				for i := range steps {
					lossDrift[i], normDrift[i] = max(lossDrift[i], drift(loss, l, i)), max(normDrift[i], drift(norm, n, i))
				}
			}
			for _, c := range capabilities {
				t.Run(name+"/"+d.String(), func(t *testing.T) {
					l, n := curve(t, func() (kernels.Backend, error) {
						return cuda.Open(cuda.Options{Simulate: true, Capability: c, Memory: 256 << 20})
					}, s, steps, 0)
					assert.Less(t, l[steps-1], l[0]-0.5, "it learns")
					for i := range steps {
						assert.InDelta(t, loss[i], l[i], distances*lossDrift[i]+eps*loss[i], "loss of step %d", i)
						assert.InDelta(t, norm[i], n[i], distances*normDrift[i]+eps*norm[i], "gradient norm of step %d", i)
					}
					t.Logf("loss %.4f to %.4f; apart by %.2g, the processor from itself by %.2g", loss[0], loss[steps-1],
						drift(loss, l, steps-1), lossDrift[steps-1])
				})
			}
		}
	}
}
