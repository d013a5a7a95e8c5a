package cuda

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"forja/kernels"
)

// integers replaces a sheet's content by small integers, whose sums are exact.
func (s *sheet) integers(b *Backend, r *rand.Rand, least, most int) {
	for i := range s.v {
		s.v[i] = put(s.host[i*s.t.DType.Size():], s.t.DType, float64(least+r.IntN(most-least+1)))
	}
	b.Upload(s.t, s.host)
}

// Many rows are summed in chunks, wide ones in ranges of columns, and no row is lost or counted twice.
func TestSumsOfManyRows(t *testing.T) {
	for _, c := range []struct {
		d                 kernels.DType
		rows, cols, align int
	}{
		{kernels.F32, 300, 130, 16}, {kernels.BF16, 300, 260, 16}, {kernels.BF16, 129, 33, 2}, {kernels.F32, 1, 5, 4}, {kernels.BF16, 0, 7, 16},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			b, r := simulatedCard(t, 80), rand.New(rand.NewPCG(1, 2))
			dy, db := newSheet(t, b, r, c.d, c.align, c.rows, c.cols), newSheet(t, b, r, kernels.F32, 16, 1, c.cols)
			dy.integers(b, r, -9, 9)
			want := make([]float64, c.cols)
			for i, v := range dy.v {
				want[i%c.cols] += v
			}
			b.BiasGrad(db.t, dy.t, false)
			require.Equal(t, want, db.fetch(t, b))
			b.BiasGrad(db.t, dy.t, true)
			for i := range want {
				want[i] *= 2
			}
			require.Equal(t, want, db.fetch(t, b))
		})
	}
}
