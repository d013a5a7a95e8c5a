package cuda

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"forja/kernels"
)

// newIndices is a dense vector of integers.
func newIndices(t *testing.T, b *Backend, values ...int32) kernels.Tensor {
	t.Helper()
	buf, err := b.Alloc(4 * len(values))
	require.NoError(t, err)
	t.Cleanup(func() { b.Free(buf) })
	x := kernels.New(buf, kernels.I32, len(values))
	host := make([]byte, 0, 4*len(values))
	for _, v := range values {
		host = append(host, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
	}
	b.Upload(x, host)
	return x
}

// Rows of logits that a block takes in several steps: the gradient overwrites what was read, and nothing else.
func TestLongRowsOfLogits(t *testing.T) {
	const rows, c, vocab, padded = 3, 8, 4501, 4504
	for _, kind := range []kernels.DType{kernels.F32, kernels.BF16} {
		t.Run(fmt.Sprint(kind), func(t *testing.T) {
			b, r := simulatedCard(t, 80), rand.New(rand.NewPCG(1, 2))
			x, w := newSheet(t, b, r, kind, 16, rows, c), newSheet(t, b, r, kind, 16, padded, c)
			logits, dw := newSheet(t, b, r, kernels.F32, 16, 2, padded), newSheet(t, b, r, kernels.F32, 16, padded, c)
			dx := newSheet(t, b, r, kernels.F32, 16, rows, c)
			var vectors [4]*sheet
			for i := range vectors {
				vectors[i] = newSheet(t, b, r, kernels.F32, 16, 1, rows)
			}
			logp, lse, entropy, dlogp := vectors[0], vectors[1], vectors[2], vectors[3]
			targets := []int32{vocab - 1, -1, 5}
			b.LinearLogProbBoth(logp.t, lse.t, entropy.t, dx.t, dw.t, kernels.Tensor{}, logits.t, dlogp.t, kernels.Tensor{}, x.t, w.t,
				kernels.Tensor{}, newIndices(t, b, targets...), vocab, false)

			// |z| is below 2⁵, sums of probabilities are good to 2⁻¹⁸, and BF16 gradients to 2⁻⁸ of each.
			near := func(name string, want, got, size float64) {
				t.Helper()
				limit := 0x1p-16 * (1 + math.Abs(want))
				if kind == kernels.BF16 {
					limit += 0x1p-8 * size
				}
				require.InDelta(t, want, got, limit, name)
			}
			values := [3][]float64{logp.fetch(t, b), lse.fetch(t, b), entropy.fetch(t, b)}
			wantDW, sizeDW := make([]float64, padded*c), make([]float64, padded*c)
			gotDX := dx.fetch(t, b)
			for i := range rows {
				z, sum, mean := make([]float64, vocab), 0.0, 0.0
				for j := range z {
					for k := range c {
						z[j] += x.v[i*c+k] * w.v[j*c+k]
					}
					sum += math.Exp(z[j])
					mean += math.Exp(z[j]) * z[j]
				}
				all, picked, gain := math.Log(sum), 0.0, 0.0
				if targets[i] >= 0 {
					picked, gain = z[targets[i]]-all, dlogp.v[i]
				}
				near("logp", picked, values[0][i], 0)
				near("lse", all, values[1][i], 0)
				near("entropy", all-mean/sum, values[2][i], 0)
				var wantDX, sizeDX [c]float64
				for j := range z {
					d := -gain * math.Exp(z[j]) / sum
					if j == int(targets[i]) {
						d += gain
					}
					for k := range c {
						wantDX[k] += d * w.v[j*c+k]
						sizeDX[k] += math.Abs(d * w.v[j*c+k])
						wantDW[j*c+k] += d * x.v[i*c+k]
						sizeDW[j*c+k] += math.Abs(d * x.v[i*c+k])
					}
				}
				for k := range c {
					near(fmt.Sprintf("dx(%d,%d)", i, k), wantDX[k], gotDX[i*c+k], sizeDX[k])
				}
			}
			for i, got := range dw.fetch(t, b) {
				near(fmt.Sprintf("dw %d", i), wantDW[i], got, sizeDW[i])
			}
		})
	}
}
