package train_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/engine/data"
	"forja/engine/train"
	"forja/kernels"
)

// after trains a few steps and returns losses, and all parameters.
func after(t *testing.T, b kernels.Backend, s setting, batches ...*data.Batch) (losses []float64, params [][]float32) {
	tr := trainer(t, b, s)
	defer tr.Close()
	for _, x := range batches {
		st, err := tr.Update(x)
		require.NoError(t, err)
		losses = append(losses, st.Loss)
	}
	for _, v := range tr.Model.Params() {
		x, err := train.Floats(tr.Session(), v)
		require.NoError(t, err)
		params = append(params, x)
	}
	return losses, params
}

// Splitting a batch differently changes only roundings: gradients are sums of the same terms in another order. AdamW
// divides by the gradient's own size, so an element whose gradient is all rounding may move by the learning rate; the
// comparison is of losses after a few updates.
func TestMicroBatchesAreEquivalent(t *testing.T) {
	b := backend(t)
	batch := document(8, 16, 61)
	for name, c := range tiny {
		var want []float64
		for _, micro := range []int{8, 4, 2, 1} {
			got, _ := after(t, b, setting{config: c, kind: "adamw", shape: train.Shape{Rows: 8, Micro: micro, Length: 16}, rate: 1e-3}, batch, batch, batch)
			if want == nil {
				want = got
			}
			assert.InDeltaSlice(t, want, got, 1e-5, "%s in micro-batches of %d", name, micro)
		}
	}
}

func TestRecomputationChangesNoBit(t *testing.T) {
	b := backend(t)
	batch := document(4, 16, 61)
	for name, c := range tiny {
		for _, d := range []kernels.DType{kernels.F32, kernels.BF16} {
			s := setting{config: c, kind: "muon", dtype: d, shape: train.Shape{Rows: 4, Micro: 2, Length: 16}, rate: 1e-3}
			wantL, want := after(t, b, s, batch, batch)
			s.shape.Recompute = true
			gotL, got := after(t, b, s, batch, batch)
			assert.Equal(t, wantL, gotL, name)
			assert.True(t, equal(want, got), "%s %v", name, d)
		}
	}
}

func equal(a, b [][]float32) bool {
	for i := range a {
		for k := range a[i] {
			if math.Float32bits(a[i][k]) != math.Float32bits(b[i][k]) {
				return false
			}
		}
	}
	return len(a) == len(b)
}

func TestRecomputationTakesLessMemory(t *testing.T) {
	b := backend(t)
	c := tiny["llama"]
	c.Layers = 8
	arena := func(recompute bool) int {
		return trainer(t, b, setting{config: c, kind: "adamw", shape: train.Shape{Rows: 4, Micro: 4, Length: 32, Recompute: recompute}}).Memory().Arena
	}
	assert.Less(t, arena(true), arena(false)/2)
}

// Two documents packed into a row give the loss of the same documents in rows of their own, padded.
func TestPackedRowsEqualPaddedRows(t *testing.T) {
	b := backend(t)
	packed := document(2, 24, 61) // two documents of 8 and 16 in each row
	padded := data.NewBatch(4, 24)
	for r := range 2 {
		for k, cut := range [][2]int{{0, 8}, {8, 24}} {
			row := padded.Row(2*r + k)
			n := cut[1] - cut[0]
			from := packed.Row(r)
			copy(row.Tokens, from.Tokens[cut[0]:cut[1]])
			copy(row.Targets, from.Targets[cut[0]:cut[1]])
			copy(row.Mask, from.Mask[cut[0]:cut[1]])
			for i := range n {
				row.Positions[i] = int32(i)
			}
			row.Pad(n, 0)
		}
	}
	padded.Count = packed.Count
	for name, c := range tiny {
		a, _ := after(t, b, setting{config: c, kind: "adamw", shape: train.Shape{Rows: 2, Micro: 1, Length: 24}, rate: 1e-3}, packed, packed, packed)
		p, _ := after(t, b, setting{config: c, kind: "adamw", shape: train.Shape{Rows: 4, Micro: 4, Length: 24}, rate: 1e-3}, padded, padded, padded)
		assert.InDeltaSlice(t, a, p, 1e-5, name)
	}
}

// What another document's tokens are must not matter at all.
func TestDocumentsOfARowDoNotSeeEachOther(t *testing.T) {
	b := backend(t)
	for name, c := range tiny {
		loss := func(change bool) float64 {
			x := document(1, 24, 61)
			for i := range 8 { // the first document counts for nothing
				x.Mask[i], x.Targets[i] = 0, data.NoTarget
				if change {
					x.Tokens[i] = (x.Tokens[i] + 7) % 61
				}
			}
			x.Count = 15
			l, _ := after(t, b, setting{config: c, kind: "adamw", shape: train.Shape{Rows: 1, Micro: 1, Length: 24}, rate: 1e-3}, x)
			return l[0]
		}
		assert.Equal(t, loss(false), loss(true), name)
	}
}
