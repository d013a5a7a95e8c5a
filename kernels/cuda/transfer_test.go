package cuda

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"forja/kernels"
)

func noise(n int) []byte {
	b := make([]byte, n)
	rng := rand.New(rand.NewPCG(uint64(n), 1))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// Transfers of every size, dense and in rows, many at a time, arrive: smaller and larger than the page-locked memory.
func TestTransfersArriveWhateverTheirSize(t *testing.T) {
	b := simulate(t, Options{})
	buf, err := b.Alloc(3 << 20)
	require.NoError(t, err)
	shadow := noise(buf.Size())
	b.Upload(kernels.New(buf, kernels.U8, len(shadow)), shadow)
	rapid.Check(t, func(r *rapid.T) {
		type promise struct{ got, want []byte }
		var promises []promise
		for range rapid.IntRange(1, 12).Draw(r, "transfers") {
			largest := rapid.SampledFrom([]int{40, 5000, 300_000}).Draw(r, "largest")
			x := kernels.Tensor{Buf: buf, DType: kernels.U8}
			cols := rapid.IntRange(0, largest).Draw(r, "cols")
			rows := rapid.IntRange(1, 1+200_000/(cols+31)).Draw(r, "rows")
			x.Shape, x.Stride = kernels.Shape{rows, cols}, cols+rapid.IntRange(0, 30).Draw(r, "gap")
			x.Off = rapid.IntRange(0, 1<<20).Draw(r, "offset")
			host := make([]byte, rows*cols)
			if rapid.Bool().Draw(r, "up") {
				copy(host, noise(len(host)+rapid.IntRange(0, 9).Draw(r, "seed")))
				b.Upload(x, host)
				for i := range rows {
					copy(shadow[x.Off+i*x.Stride:][:cols], host[i*cols:])
				}
				clear(host) // Upload has returned
				continue
			}
			want := make([]byte, len(host))
			for i := range rows {
				copy(want[i*cols:][:cols], shadow[x.Off+i*x.Stride:])
			}
			b.Download(host, x)
			promises = append(promises, promise{host, want})
			if rapid.Bool().Draw(r, "await") {
				b.Await(b.Mark())
				require.Equal(r, want, host)
			}
		}
		require.NoError(r, b.Sync())
		for _, p := range promises {
			require.Equal(r, p.want, p.got)
		}
	})
}

// A value that is read late: the download is delivered while later work has not even begun.
func TestAMarkIsReachedBeforeLaterWorkIsDone(t *testing.T) {
	b := simulate(t, Options{})
	x := numbers(t, b, 1, 2, 3)
	y := numbers(t, b, 0, 0, 0)
	first, second := make([]byte, 12), make([]byte, 12)
	b.Add(y, x, x)
	b.Download(first, y)
	mark := b.Mark()
	b.Add(y, y, y)
	b.Download(second, y)
	assert.Equal(t, []float32{0, 0, 0}, floatsOf(first), "before anything waits")
	b.Await(mark)
	assert.Equal(t, []float32{2, 4, 6}, floatsOf(first))
	assert.Equal(t, []float32{0, 0, 0}, floatsOf(second), "after the mark")
	b.Await(mark) // again: nothing changes
	require.NoError(t, b.Sync())
	assert.Equal(t, []float32{4, 8, 12}, floatsOf(second))
}

// With more marks than there are events, old ones still hold.
func TestOldMarksHold(t *testing.T) {
	b := simulate(t, Options{})
	x := numbers(t, b, 1)
	var got [40][]byte
	var marks [40]int
	for i := range got {
		got[i] = make([]byte, 4)
		b.Add(x, x, numbers(t, b, 1))
		b.Download(got[i], x)
		marks[i] = b.Mark()
	}
	for i := range got {
		b.Await(marks[i])
		assert.Equal(t, float32(i+2), floatsOf(got[i])[0])
	}
	b.Await(0)
	b.Await(99)
	b.Await(-3)
	require.NoError(t, b.Sync())
}

func TestBuffersOfOthersAreRefused(t *testing.T) {
	b, other := simulate(t, Options{}), simulate(t, Options{})
	require.NotSame(t, b.machine, other.machine)
	x := numbers(t, other, 1)
	b.Download(make([]byte, 4), x)
	require.ErrorContains(t, b.Sync(), "another device")
	other.Free(x.Buf)
	other.Upload(x, make([]byte, 4))
	require.ErrorContains(t, other.Sync(), "freed")
	require.NoError(t, b.Sync())
	require.NoError(t, other.Sync())
}

func TestMemoryThatDoesNotFitIsRefusedWithFigures(t *testing.T) {
	b := simulate(t, Options{Memory: 64 << 20})
	_, err := b.Alloc(1)
	require.NoError(t, err)
	_, err = b.Alloc(60 << 20)
	require.ErrorContains(t, err, "allocate 62914560 bytes")
	require.ErrorContains(t, err, "of its 67108864 bytes are free, 1 are allocated here")
	_, err = b.Alloc(-1)
	require.ErrorContains(t, err, "negative")
	empty, err := b.Alloc(0)
	require.NoError(t, err)
	b.Fill(kernels.New(empty, kernels.F32, 0), 1)
	require.NoError(t, b.Sync())
	b.Free(empty)
}
