package cuda

import (
	"encoding/binary"
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"forja/kernels"
)

// simulate opens a simulated device on the test's own thread, and closes it with the test.
func simulate(t testing.TB, o Options) *Backend {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	o.Simulate, o.Check = true, true
	b, err := Open(o)
	require.NoError(t, err)
	t.Cleanup(func() {
		if b.machine != nil {
			require.NoError(t, b.Close())
		}
	})
	return b
}

// lose closes a device that has failed.
func lose(b *Backend) error {
	err := b.Close()
	b.machine = nil
	return err
}

// numbers allocates a vector of floats.
func numbers(t testing.TB, b *Backend, v ...float32) kernels.Tensor {
	t.Helper()
	buf, err := b.Alloc(4 * len(v))
	require.NoError(t, err)
	x := kernels.New(buf, kernels.F32, len(v))
	b.Upload(x, floatBytes(v))
	return x
}

func floatBytes(v []float32) []byte {
	b := make([]byte, 4*len(v))
	for i, x := range v {
		binary.NativeEndian.PutUint32(b[4*i:], math.Float32bits(x))
	}
	return b
}

func floatsOf(b []byte) []float32 {
	v := make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.NativeEndian.Uint32(b[4*i:]))
	}
	return v
}

// zero launches the kernel that Fill uses, on n numbers from x.
func zero(b *Backend, x kernels.Tensor, g dim3, shared, n int) {
	b.fill(fillX32, g, shared, b.addr(x), 0, int64(n), 1, int32(n))
}

// read waits for the device and downloads a tensor.
func read(t testing.TB, b *Backend, x kernels.Tensor) []float32 {
	t.Helper()
	dst := make([]byte, 4*x.Size())
	b.Download(dst, x)
	require.NoError(t, b.Sync())
	return floatsOf(dst)
}
