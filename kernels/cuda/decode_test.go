package cuda

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"forja/kernels"
)

// A long sequence is divided among blocks, a short one leaves most of them idle, and groups of any size share what they read.
func TestLongSequencesAreDivided(t *testing.T) {
	const page, pages, longest = 16, 24, 24 * 16
	for _, c := range []struct {
		kind             kernels.DType
		heads, kv, depth int
		align            int
	}{
		{kernels.BF16, 2, 2, 64, 16}, {kernels.BF16, 6, 2, 64, 16}, {kernels.BF16, 9, 1, 64, 16}, {kernels.BF16, 4, 1, 128, 16},
		{kernels.BF16, 8, 1, 96, 16}, {kernels.BF16, 1, 1, 264, 16}, {kernels.F32, 1, 1, 64, 16}, {kernels.F32, 5, 1, 40, 16}, {kernels.F32, 2, 1, 300, 4},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			b, r := simulatedCard(t, 80), rand.New(rand.NewPCG(1, 2))
			keys, values := newSheet(t, b, r, c.kind, c.align, longest, c.kv*c.depth), newSheet(t, b, r, c.kind, c.align, longest, c.kv*c.depth)
			q, o := newSheet(t, b, r, c.kind, 16, 3, c.heads*c.depth), newSheet(t, b, r, kernels.F32, 16, 3, c.heads*c.depth)
			order := make([]int32, pages)
			for i, p := range r.Perm(pages) {
				order[i] = int32(p)
			}
			table := newIndices(t, b, order...).Reshape(1, pages)
			positions := []int32{longest - 1, 40, 0}
			require.Greater(t, b.stretches(3*c.heads, longest, 1), 1)
			b.PagedAttention(o.t, q.t, keys.t, values.t, table, newIndices(t, b, 0, 0, -1), newIndices(t, b, positions...), page,
				kernels.Attn{Heads: c.heads, KVHeads: c.kv, HeadDim: c.depth})
			got := o.fetch(t, b)
			for i, last := range positions {
				for h := range c.heads {
					want := make([]float64, c.depth)
					if i < 2 {
						want = attended(q.v[(i*c.heads+h)*c.depth:][:c.depth], keys, values, order, page, int(last), h/(c.heads/c.kv)*c.depth)
					}
					for d, x := range want {
						require.InDelta(t, x, got[(i*c.heads+h)*c.depth+d], 0x1p-18*math.Sqrt(float64(c.depth)), "query %d head %d column %d", i, h, d)
					}
				}
			}
		})
	}
}

// attended is attention of one query to positions 0..last, in float64. The head's columns begin at `from`.
func attended(q []float64, keys, values *sheet, order []int32, page, last, from int) []float64 {
	o, sum, cols := make([]float64, len(q)), 0.0, keys.t.Cols()
	for p := range last + 1 {
		row := (int(order[p/page])*page + p%page) * cols
		var s float64
		for d, x := range q {
			s += x * keys.v[row+from+d]
		}
		w := math.Exp(s / math.Sqrt(float64(len(q))))
		sum += w
		for d := range o {
			o[d] += w * values.v[row+from+d]
		}
	}
	for d := range o {
		o[d] /= sum
	}
	return o
}
