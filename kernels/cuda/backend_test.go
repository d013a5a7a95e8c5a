package cuda

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/kernels"
	"forja/kernels/cuda/driver"
)

func TestADeviceChoosesItsKernels(t *testing.T) {
	for _, c := range []struct {
		capability int
		target     string
		tier       string
		err        string
	}{
		{90, "", "sm_90a", ""}, {90, "sm_80", "sm_80", ""}, {90, "sm_90a", "sm_90a", ""},
		{80, "", "sm_80", ""}, {80, "sm_90a", "", "SM version 90a"},
		{90, "sm_70", "", "want sm_80 or sm_90a"}, {70, "", "", "want 80 or 90"},
	} {
		b, err := Open(Options{Simulate: true, Capability: c.capability, Target: c.target})
		if c.err != "" {
			require.ErrorContains(t, err, c.err)
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, c.tier, b.Info().Tier)
		assert.Equal(t, "sim", b.Info().Kind)
		assert.Contains(t, b.Info().Name, "simulated")
		assert.Empty(t, b.Notes())
		require.NoError(t, b.Close())
	}
	_, err := Open(Options{Simulate: true, Ordinal: 3})
	require.ErrorIs(t, err, driver.InvalidDevice)
	_, err = Open(Options{Simulate: true, Memory: 1 << 20})
	require.ErrorContains(t, err, "working memory")
}

// A driver for CUDA 11.8 knows nothing of Hopper's instructions: the card runs, with the other kernels, and says so.
func TestAnOldDriverGetsTheKernelsItTakes(t *testing.T) {
	old := Options{Capability: 90, Driver: 11080}
	b := simulate(t, old)
	assert.Equal(t, "sm_80", b.Info().Tier)
	require.Len(t, b.Notes(), 1)
	assert.Contains(t, b.Notes()[0], "current version is '7.8'")
	x := numbers(t, b, 1, 2)
	b.Add(x, x, x)
	assert.Equal(t, []float32{2, 4}, read(t, b, x))
	b.tensorMapOf(driver.TensorShape{})
	require.ErrorContains(t, b.Sync(), "install one for CUDA 12.0")

	old.Simulate, old.Target = true, "sm_90a"
	_, err := Open(old)
	require.ErrorIs(t, err, driver.UnsupportedPTXVersion)
	require.ErrorContains(t, err, "12.0 or later for Hopper")
}

// A kernel that goes wrong makes every later call fail, and is named by the first.
func TestAnErrorOfAKernelIsTheDevicesEnd(t *testing.T) {
	b := simulate(t, Options{})
	x := numbers(t, b, 1, 2, 3)
	zero(b, x, dim3{1, 1, 1}, 0, 100) // of 3
	err := b.Sync()
	require.ErrorIs(t, err, driver.IllegalAddress)
	require.ErrorContains(t, err, "fill__x32")
	require.ErrorContains(t, err, "allocation")
	b.Add(x, x, x)
	require.ErrorIs(t, b.Sync(), driver.IllegalAddress)
	require.ErrorIs(t, lose(b), driver.IllegalAddress)
}

// An error of a call is told once, and the device goes on.
func TestAnErrorOfACallIsToldOnce(t *testing.T) {
	b := simulate(t, Options{})
	x := numbers(t, b, 1, 2, 3)
	zero(b, x, dim3{1, 1 << 20, 1}, 0, 3)
	b.Add(x, x, x) // not done after an error
	require.ErrorContains(t, b.Sync(), "launch fill__x32 on 1×1048576×1 blocks")
	assert.Equal(t, []float32{1, 2, 3}, read(t, b, x))
	zero(b, x, dim3{1, 1, 1}, 1<<20, 3)
	require.ErrorContains(t, b.Sync(), "dynamic shared memory")
	b.begin()
	b.u32(1)
	b.launch(fillX32, dim3{1, 1, 1}, 0)
	require.ErrorContains(t, b.Sync(), "4 bytes of parameters, its PTX has 32")
	zero(b, x, dim3{0, 1, 1}, 0, 3) // nothing to do
	assert.Equal(t, []float32{1, 2, 3}, read(t, b, x))
}

func TestParametersOfEveryKernelFitTheirBlock(t *testing.T) {
	for _, k := range kernelTable {
		assert.LessOrEqual(t, k.size, driver.MaxParams, k.entry)
	}
}

func TestParametersAreLaidOutAsInC(t *testing.T) {
	l := launcher{buf: make([]byte, driver.MaxParams)}
	m := &driver.TensorMap{1, 2, 3}
	for range 2 {
		l.begin()
		l.u32(1)
		l.tensorMap(m)
		l.i32(-1)
		l.ptr(5)
		l.f32(1)
		l.i64(-2)
	}
	assert.Equal(t, 64+128+8+8+8+8, l.n)
	assert.Equal(t, []int{0, 64, 192, 200, 208, 216}, l.places)
	assert.Equal(t, byte(2), l.buf[64+8])
	assert.Equal(t, byte(5), l.buf[200])
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		l.begin()
		l.tensorMap(m)
		l.ptr(1)
	}))
}

func TestTensorMapsAreMadeOnce(t *testing.T) {
	b := simulate(t, Options{})
	x := numbers(t, b, make([]float32, 64)...)
	shape := driver.TensorShape{
		Base: driver.Ptr(b.addr(x)), Type: driver.TensorF32, Rank: 2, Dim: [5]uint64{8, 8}, Stride: [4]uint64{32}, Box: [5]uint32{4, 8},
	}
	m := b.tensorMapOf(shape)
	assert.Same(t, m, b.tensorMapOf(shape))
	assert.Zero(t, testing.AllocsPerRun(100, func() { b.tensorMapOf(shape) }))
	shape.Box[0] = 8
	assert.NotEqual(t, *m, *b.tensorMapOf(shape))
	require.NoError(t, b.Sync())
	shape.Stride[0] = 33
	b.tensorMapOf(shape)
	require.ErrorContains(t, b.Sync(), "33")
}

func TestAGraphRepeatsItsOperations(t *testing.T) {
	b := simulate(t, Options{})
	x, y := numbers(t, b, 1, 2), numbers(t, b, 0, 0)
	b.Add(y, y, x)
	require.NoError(t, b.BeginCapture())
	b.Add(y, y, x)
	b.Add(y, y, x)
	g, err := b.EndCapture()
	require.NoError(t, err)
	assert.Equal(t, []float32{1, 2}, read(t, b, y), "recording does nothing")
	for range 5 {
		b.Replay(g)
	}
	assert.Equal(t, []float32{11, 22}, read(t, b, y))
	b.Upload(x, floatBytes([]float32{10, 0}))
	b.Replay(g)
	assert.Equal(t, []float32{31, 22}, read(t, b, y), "with what the tensors hold by then")
	b.Forget(g)
	b.Forget(g)
	b.Replay(g)
	require.ErrorContains(t, b.Sync(), "replay graph 0: there is none")
	b.Replay(7)
	require.Error(t, b.Sync())
}

func TestWhatAGraphCannotRepeatIsRefused(t *testing.T) {
	for name, misuse := range map[string]func(*Backend, kernels.Tensor){
		"sync":     func(b *Backend, _ kernels.Tensor) { b.fail(b.Sync()) },
		"upload":   func(b *Backend, x kernels.Tensor) { b.Upload(x, make([]byte, 8)) },
		"download": func(b *Backend, x kernels.Tensor) { b.Download(make([]byte, 8), x) },
		"mark":     func(b *Backend, x kernels.Tensor) { b.Mark() },
		"free":     func(b *Backend, x kernels.Tensor) { b.Free(x.Buf) },
		"alloc":    func(b *Backend, x kernels.Tensor) { _, err := b.Alloc(4); b.fail(err) },
		"again":    func(b *Backend, x kernels.Tensor) { b.fail(b.BeginCapture()) },
	} {
		t.Run(name, func(t *testing.T) {
			b := simulate(t, Options{})
			x := numbers(t, b, 1, 2)
			require.NoError(t, b.BeginCapture())
			b.Add(x, x, x)
			misuse(b, x)
			_, err := b.EndCapture()
			require.ErrorContains(t, err, "record")
			_, err = b.EndCapture()
			require.ErrorContains(t, err, "none is being recorded")
			assert.Equal(t, []float32{1, 2}, read(t, b, x))
		})
	}
}

func TestADeviceClosesWhileItRecords(t *testing.T) {
	b := simulate(t, Options{})
	x := numbers(t, b, 1, 2)
	require.NoError(t, b.BeginCapture())
	b.Add(x, x, x)
}

func TestKernelsAreTimed(t *testing.T) {
	b := simulate(t, Options{})
	x := numbers(t, b, 1, 2)
	_, err := b.KernelTimes()
	require.ErrorContains(t, err, "call Time first")
	require.NoError(t, b.Time(true))
	for range 1100 { // more than there are pairs of events
		b.Add(x, x, x)
	}
	b.Fill(x, 0)
	times, err := b.KernelTimes()
	require.NoError(t, err)
	require.Len(t, times, 2)
	assert.Equal(t, 1100, times[0].Launches)
	assert.Equal(t, 1, times[1].Launches)
	assert.Contains(t, times[1].Kernel, "fill")
	assert.Positive(t, times[1].Seconds)
	require.ErrorContains(t, b.BeginCapture(), "timed")
	require.NoError(t, b.Time(false))
	b.Fill(x, 3)
	require.NoError(t, b.BeginCapture())
	require.Error(t, b.Time(true))
	_, err = b.EndCapture()
	require.NoError(t, err)
	assert.Equal(t, []float32{3, 3}, read(t, b, x))
}

func TestASimulatedMachineCounts(t *testing.T) {
	b := simulate(t, Options{Count: true})
	x := numbers(t, b, make([]float32, 1024)...)
	b.Fill(x, 1)
	b.Fill(x, 2)
	require.NoError(t, b.Sync())
	stats := b.Machine().Stats()
	require.Len(t, stats, 1)
	assert.Equal(t, "fill__x128", stats[0].Kernel)
	assert.Equal(t, 2, stats[0].Launches)
	assert.Positive(t, stats[0].Blocks)
	assert.NotEmpty(t, stats[0].Counters.Instructions)
	assert.EqualValues(t, 2*1024*4, stats[0].Counters.GlobalBytesWritten)
	assert.EqualValues(t, 2*1024*4/32, stats[0].Counters.GlobalStoreSectors)
}

func TestResultsDoNotDependOnTheOrderOfWarps(t *testing.T) {
	var first []float32
	for _, seed := range []uint64{0, 1, 2} {
		b := simulate(t, Options{Seed: seed, Workers: int(seed) + 1})
		v := make([]float32, 3000)
		for i := range v {
			v[i] = float32(i%17) / 3
		}
		x, y := numbers(t, b, v...), numbers(t, b, v...)
		b.Softmax(y.Reshape(3, 1000), x.Reshape(3, 1000))
		got := read(t, b, y)
		if seed == 0 {
			first = got
		}
		assert.Equal(t, first, got)
	}
}

func TestEveryKernelLoadsOnItsCard(t *testing.T) {
	for capability, all := range map[int]bool{80: false, 90: true} {
		b := simulate(t, Options{Capability: capability})
		list, err := b.LoadAll()
		require.NoError(t, err)
		if all {
			assert.Len(t, list, len(kernelTable))
		}
		for _, r := range list {
			assert.True(t, all || r.Target == "sm_80", r.Kernel)
			assert.LessOrEqual(t, r.StaticShared, 48<<10, r.Kernel)
		}
		assert.Greater(t, len(list), 50)
	}
}

func BenchmarkParameters(b *testing.B) {
	l := launcher{buf: make([]byte, driver.MaxParams)}
	for b.Loop() {
		l.begin()
		for range 6 {
			l.ptr(1)
		}
		for range 10 {
			l.i32(1)
		}
	}
}

func TestADeviceBelongsToItsThread(t *testing.T) {
	b := simulate(t, Options{})
	x := numbers(t, b, 1, 2)
	require.NoError(t, b.Sync())
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		b.Add(x, x, x)
		result <- b.Sync()
	}()
	require.ErrorIs(t, <-result, driver.InvalidContext)
	assert.Equal(t, []float32{1, 2}, read(t, b, x))
}

// Through kernels.Device, calls come from anywhere.
func TestGoroutinesShareADevice(t *testing.T) {
	d, err := kernels.OpenDevice(func() (kernels.Backend, error) { return Open(Options{Simulate: true}) })
	require.NoError(t, err)
	var group sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		group.Go(func() {
			errs[i] = d.Do(t.Context(), func(b kernels.Backend) error {
				buf, err := b.Alloc(400)
				if err != nil {
					return err
				}
				defer b.Free(buf)
				x, got := kernels.New(buf, kernels.F32, 100), make([]byte, 400)
				b.Fill(x, float32(i))
				b.Download(got, x)
				if err := b.Sync(); err != nil {
					return err
				}
				if v := floatsOf(got); v[0] != float32(i) || v[99] != float32(i) {
					return fmt.Errorf("%v is not %d", v, i)
				}
				return nil
			})
		})
	}
	group.Wait()
	require.NoError(t, errors.Join(errs...))
	require.NoError(t, d.Close())
}
