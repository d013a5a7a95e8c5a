package kernels_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"forja/kernels"
)

// elements are the bytes of a tensor's elements.
func elements(t kernels.Tensor) map[int]bool {
	all := map[int]bool{}
	for i := range t.Rows() {
		for j := range t.Cols() * t.DType.Size() {
			all[(t.Off+i*t.Stride)*t.DType.Size()+j] = true
		}
	}
	return all
}

func drawView(t *rapid.T, b kernels.Buffer, name string) kernels.Tensor {
	cols := rapid.IntRange(1, 6).Draw(t, name+" columns")
	return kernels.Tensor{
		Buf: b, Off: rapid.IntRange(0, 30).Draw(t, name+" offset"), DType: rapid.SampledFrom([]kernels.DType{kernels.F32, kernels.BF16}).Draw(t, name+" dtype"),
		Shape: kernels.Shape{rapid.IntRange(0, 5).Draw(t, name+" rows"), cols}, Stride: cols + rapid.IntRange(0, 6).Draw(t, name+" gap"),
	}
}

func TestViewsOverlapIfTheyShareAByte(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := &host{1 << 10}
		x, y := drawView(t, b, "x"), drawView(t, b, "y")
		if rapid.Bool().Draw(t, "column ranges of one matrix") {
			y.Stride, y.DType = x.Stride, x.DType
			y.Shape[1] = min(y.Shape[1], y.Stride)
		}
		shared := false
		for k := range elements(x) {
			shared = shared || elements(y)[k]
		}
		require.Equal(t, x.Overlaps(y), y.Overlaps(x))
		if shared {
			require.True(t, x.Overlaps(y))
		}
		// Where rows are equally far apart nothing is refused without reason, but views of rows that wrap around.
		if !shared && x.Stride == y.Stride && x.DType == y.DType && x.Off/x.Stride == y.Off/y.Stride && x.Off%x.Stride+x.Cols() <= x.Stride && y.Off%y.Stride+y.Cols() <= y.Stride {
			require.False(t, x.Overlaps(y))
		}
		y.Buf = &host{1 << 10}
		require.False(t, x.Overlaps(y), "another buffer")
	})
}

func TestViewsOfATensor(t *testing.T) {
	x := kernels.New(&host{4 * 24}, kernels.F32, 2, 3, 4)
	assert.True(t, x.Dense())
	assert.Equal(t, []int{6, 4, 24}, []int{x.Rows(), x.Cols(), x.Size()})

	c := x.Columns(1, 3)
	assert.Equal(t, kernels.Tensor{Buf: x.Buf, Off: 1, Shape: kernels.Shape{2, 3, 2}, Stride: 4, DType: kernels.F32}, c)
	assert.False(t, c.Dense())
	assert.Equal(t, kernels.Shape{2, 3, 4}, x.Shape, "the original keeps its shape")

	r := c.RowRange(2, 5)
	assert.Equal(t, kernels.Tensor{Buf: x.Buf, Off: 9, Shape: kernels.Shape{3, 2}, Stride: 4, DType: kernels.F32}, r)

	assert.Equal(t, 12, x.Reshape(2, 12).Stride)
	assert.Equal(t, 4, c.Reshape(6, 2).Stride, "the rows stay apart")
	assert.Panics(t, func() { c.Reshape(3, 4) })
	assert.Panics(t, func() { x.Reshape(5, 5) })
	assert.True(t, x.Same(x.Reshape(6, 4)))
	assert.False(t, x.Same(c))
	assert.True(t, kernels.Tensor{}.Nil())
}

func TestSizesThatOverflowAreRefused(t *testing.T) {
	assert.Equal(t, 1, kernels.Shape{}.Size())
	assert.Equal(t, 0, kernels.Shape{0, 5}.Size())
	for _, s := range []kernels.Shape{{-1}, {3, -2}, {1 << 32, 1 << 32}, {math.MaxInt, 2}, {1 << 40, 1 << 20, 8}} {
		assert.Equal(t, -1, s.Size(), "%v", s)
	}
}

func TestBF16RoundsToNearestEven(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var wide [1]float32
	for range 100000 {
		x := math.Float32frombits(rng.Uint32())
		h := kernels.ToBF16([]float32{x})
		kernels.FromBF16(wide[:], h)
		if x != x {
			require.True(t, wide[0] != wide[0])
			continue
		}
		// The neighbours of x in BF16, below and above in magnitude.
		bits := math.Float32bits(x)
		down, up := math.Float32frombits(bits&^0xffff), math.Float32frombits(bits&^0xffff+0x10000)
		below, above := math.Abs(float64(x)-float64(down)), math.Abs(float64(up)-float64(x))
		if math.IsInf(float64(up), 0) {
			above = 0x1p128 - math.Abs(float64(x))
		}
		want := down
		if above < below || above == below && bits&0x10000 != 0 {
			want = up
		}
		require.Equal(t, want, wide[0], "%g", x)
	}
	assert.Equal(t, uint16(0x3f80), kernels.RoundBF16(1+0x1p-8), "a tie goes to the even neighbour")
	assert.Equal(t, uint16(0x3f82), kernels.RoundBF16(1+3*0x1p-8))
	assert.Equal(t, uint16(0x7f80), kernels.RoundBF16(math.MaxFloat32), "too large is infinite")
}
