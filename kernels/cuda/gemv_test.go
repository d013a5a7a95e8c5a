package cuda

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"forja/kernels"
)

// Products of few rows come out right whatever the number of rows, columns at the edge of a block and k at that of a step.
func TestFewRowsMultiply(t *testing.T) {
	for _, c := range []struct {
		kind kernels.DType
		rows []int
	}{{kernels.BF16, []int{1, 3, 8, 9, 16, 17, 32}}, {kernels.F32, []int{1, 2, 4, 5, 8}}} {
		t.Run(fmt.Sprint(c.kind), func(t *testing.T) {
			b := simulatedCard(t, 80)
			for turn, m := range c.rows {
				for _, v := range []struct{ n, k int }{{37, 8}, {16, 264}, {5, 1288}} {
					f := finishing{
						out: []kernels.DType{kernels.F32, kernels.BF16}[turn%2], bias: turn%2 == 0, pre: turn%3 == 0, residual: turn%3 == 1,
						act: kernels.Activation(turn % 5),
					}
					tr := newTrial(t, b, nt, m, v.n, v.k, 16, [2]kernels.DType{c.kind, c.kind}, f)
					want, _, slack := tr.want()
					require.True(t, b.gemv(&tr.product))
					for i, got := range tr.out.fetch(t, b) {
						limit := 2 * slack[i]
						if f.out == kernels.BF16 {
							limit += 0x1p-8 * (math.Abs(want[i]) + slack[i])
						}
						require.InDelta(t, want[i], got, limit, "(%d,%d) of %d rows", i/v.n, i%v.n, m)
					}
				}
			}
		})
	}
}

// Rows that cannot be read 16 bytes at a time, many rows and mixed types are left to others.
func TestOtherProductsAreLeft(t *testing.T) {
	b := simulatedCard(t, 80)
	h, f := kernels.BF16, kernels.F32
	for _, c := range []struct {
		l        layout
		m, k     int
		align    int
		kinds    [2]kernels.DType
		gradient bool
	}{
		{nt, 33, 16, 16, [2]kernels.DType{h, h}, false}, {nt, 9, 16, 16, [2]kernels.DType{f, f}, false}, {nt, 2, 16, 16, [2]kernels.DType{f, h}, false},
		{nt, 2, 12, 16, [2]kernels.DType{h, h}, false}, {nt, 2, 16, 2, [2]kernels.DType{h, h}, false}, {nn, 2, 16, 16, [2]kernels.DType{h, h}, false},
		{nt, 2, 16, 16, [2]kernels.DType{h, h}, true},
	} {
		tr := newTrial(t, b, c.l, c.m, 8, c.k, c.align, c.kinds, finishing{out: f, pre: c.gradient, gradient: c.gradient})
		require.False(t, b.gemv(&tr.product), "%+v", c)
	}
}
