package cuda

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/kernels"
)

// The gradient of a table adds rows up in order of their positions: the sums are those of a loop over them, to the bit. With
// many indices the sort has several tiles and its scan several rounds, with many rows three passes; with little working
// memory it is done in pieces.
func TestGradientsOfATableAreSummedInOrder(t *testing.T) {
	const n, cols = 17000, 4
	b := simulate(t, Options{Capability: 80})
	for _, c := range []struct{ rows, pieces int }{{5, 1}, {300, 1}, {70000, 1}, {300, 3}} {
		index := func(i, j int) float64 { return float64(dice(1, i, j)%(c.rows+1) - 1) }
		dy := operandSpec{kernels.F32, n, cols, normal(2)}.make(t, b, placements[0])
		idx := operandSpec{kernels.I32, 1, n, index}.make(t, b, placements[0])
		dtable := operandSpec{kernels.F32, c.rows, cols, nil}.make(t, b, placements[0])
		want := make([]float32, c.rows*cols)
		for i := range n {
			if r := int(index(0, i)); r >= 0 {
				for j := range cols {
					want[r*cols+j] += float32(normal(2)(i, j))
				}
			}
		}
		whole := b.usage.Overhead
		if c.pieces > 1 {
			b.usage.Overhead = 3 * (16*sortTile + 4*sortRadix)
			require.Equal(t, c.pieces, ceilDiv(n, 3*sortTile))
		}
		b.EmbedGrad(dtable, dy, idx, false)
		b.usage.Overhead = whole
		assert.Equal(t, want, read(t, b, dtable), "%d rows in %d pieces", c.rows, c.pieces)
		for _, x := range []kernels.Tensor{dy, idx, dtable} {
			b.Free(x.Buf)
		}
	}
}

// Indices that a table does not have are left out by the gradient, whatever they are.
func TestIndicesOutOfRangeHaveNoGradient(t *testing.T) {
	b := simulate(t, Options{Capability: 80})
	dy := numbers(t, b, 1, 2, 3, 4, 5, 6).Reshape(6, 1)
	buf, err := b.Alloc(24)
	require.NoError(t, err)
	idx := kernels.New(buf, kernels.I32, 6)
	host := make([]byte, 24)
	for i, v := range []int32{1, -1, 3, -1 << 31, 1<<31 - 1, 1} {
		binary.NativeEndian.PutUint32(host[4*i:], uint32(v))
	}
	b.Upload(idx, host)
	dtable := numbers(t, b, 10, 20, 30).Reshape(3, 1)
	b.EmbedGrad(dtable, dy, idx, true)
	assert.Equal(t, []float32{10, 27, 30}, read(t, b, dtable))
}
