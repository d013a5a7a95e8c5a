//go:build !nocuda && ((linux && (amd64 || arm64)) || darwin || (windows && amd64))

package driver_test

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/kernels/cuda/driver"
	"forja/kernels/cuda/sim"
)

// scale is a kernel that multiplies n numbers by a factor.
const scale = `.version 7.0
.target sm_80
.address_size 64
.visible .entry scale(
	.param .u64 scale_param_0,
	.param .f32 scale_param_1,
	.param .u32 scale_param_2
)
.maxntid 32, 1, 1
{
	.reg .pred %p<2>;
	.reg .f32 %f<4>;
	.reg .b32 %r<6>;
	.reg .b64 %rd<5>;
	ld.param.u64 %rd1, [scale_param_0];
	ld.param.f32 %f1, [scale_param_1];
	ld.param.u32 %r1, [scale_param_2];
	mov.u32 %r2, %ctaid.x;
	mov.u32 %r3, %tid.x;
	mad.lo.s32 %r4, %r2, 32, %r3;
	setp.ge.s32 %p1, %r4, %r1;
	@%p1 bra $done;
	cvta.to.global.u64 %rd2, %rd1;
	mul.wide.s32 %rd3, %r4, 4;
	add.s64 %rd4, %rd2, %rd3;
	ld.global.f32 %f2, [%rd4];
	mul.f32 %f3, %f2, %f1;
	st.global.f32 [%rd4], %f3;
$done:
	ret;
}
`

// onEach runs a test on the simulated cards, and on a real one where there is one. The test has the thread to itself.
func onEach(t *testing.T, test func(t *testing.T, api *driver.API)) {
	for _, capability := range []int{80, 90} {
		t.Run(map[int]string{80: "simulated 8.0", 90: "simulated 9.0"}[capability], func(t *testing.T) {
			m, err := sim.New(sim.Options{Capability: capability, Memory: 64 << 20, Check: true})
			require.NoError(t, err)
			run(t, m.Resolve, test)
			require.NoError(t, m.Close())
		})
	}
	t.Run("card", func(t *testing.T) {
		resolve, err := driver.System()
		if errors.Is(err, driver.ErrNoDriver) && os.Getenv("FORJA_CUDA") != "1" {
			t.Skip(err)
		}
		require.NoError(t, err)
		run(t, resolve, test)
	})
}

func run(t *testing.T, resolve driver.Resolve, test func(t *testing.T, api *driver.API)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	api, err := driver.Bind(resolve)
	require.NoError(t, err)
	test(t, api)
}

// device is an open device with a stream, closed with the test.
type device struct {
	*driver.Context
	api    *driver.API
	stream *driver.Stream
	host   *driver.Host
	launch *driver.Launch
}

func open(t *testing.T, api *driver.API) *device {
	c, err := api.Open(0)
	require.NoError(t, err)
	d := &device{Context: c, api: api}
	d.stream, err = c.NewStream()
	require.NoError(t, err)
	d.host, err = c.AllocHost(4096)
	require.NoError(t, err)
	d.launch = d.stream.NewLaunch()
	return d
}

func (d *device) close(t *testing.T) {
	d.launch.Close()
	require.NoError(t, d.host.Free())
	require.NoError(t, d.stream.Close())
	require.NoError(t, d.Context.Close())
}

func TestADeviceSaysWhatItIs(t *testing.T) {
	onEach(t, func(t *testing.T, api *driver.API) {
		assert.GreaterOrEqual(t, api.Version(), 11080)
		n, err := api.Devices()
		require.NoError(t, err)
		assert.Positive(t, n)
		d := open(t, api)
		defer d.close(t)
		for _, which := range []driver.Attribute{
			driver.MaxThreadsPerBlock, driver.MaxGridX, driver.MaxSharedMemory, driver.WarpSize, driver.MaxRegistersPerBlock,
			driver.ClockRate, driver.Multiprocessors, driver.MemoryClockRate, driver.MemoryBusWidth, driver.L2CacheSize,
			driver.MaxThreadsPerProcessor, driver.CapabilityMajor, driver.SharedMemoryPerProcessor, driver.MaxSharedMemoryOptIn,
		} {
			v, err := d.Attribute(which)
			require.NoError(t, err, which)
			assert.Positive(t, v, which)
		}
		name, err := d.Name()
		require.NoError(t, err)
		assert.Contains(t, name, "NVIDIA")
		uuid, err := d.UUID()
		require.NoError(t, err)
		assert.Regexp(t, `^GPU(-[0-9a-f]+){5}$`, uuid)
		bus, err := d.PCIBusID()
		require.NoError(t, err)
		assert.Regexp(t, `^[0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.0$`, bus)
		free, total, err := d.Memory()
		require.NoError(t, err)
		assert.Positive(t, free)
		assert.GreaterOrEqual(t, total, free)
	})
}

func TestCopiesKernelsAndEventsFollowTheStream(t *testing.T) {
	onEach(t, func(t *testing.T, api *driver.API) {
		d := open(t, api)
		defer d.close(t)
		p, err := d.Alloc(4096)
		require.NoError(t, err)
		m, err := d.Load(scale)
		require.NoError(t, err)
		f, err := m.Function("scale")
		require.NoError(t, err)
		threads, err := f.Attribute(driver.FunctionMaxThreads)
		require.NoError(t, err)
		assert.Equal(t, 32, threads)
		blocks, err := f.BlocksPerProcessor(32, 0)
		require.NoError(t, err)
		assert.Positive(t, blocks)
		start, err := d.NewEvent(true)
		require.NoError(t, err)
		end, err := d.NewEvent(true)
		require.NoError(t, err)

		const n = 100
		for i := range n {
			putFloat(d.host.Bytes[4*i:], float32(i))
		}
		require.NoError(t, start.Record(d.stream))
		require.NoError(t, d.stream.Fill(p, 0xff, 4096))
		require.NoError(t, d.stream.Upload(p, d.host, 0, 4*n))
		places := pack(d.launch.Params(), uint64(p), float32(2), uint32(n))
		require.NoError(t, d.launch.Do(f, 4, 1, 1, 32, 0, places))
		require.NoError(t, d.stream.Copy(p+2048, p, 4*n))
		require.NoError(t, d.stream.Download(d.host, 1024, p+2048, 4*n))
		require.NoError(t, d.stream.DownloadRows(d.host, 2048, p, 40, 8, 10)) // two of every ten
		require.NoError(t, end.Record(d.stream))
		require.NoError(t, end.Synchronize())
		done, err := end.Done()
		require.NoError(t, err)
		assert.True(t, done)
		seconds, err := start.Elapsed(end)
		require.NoError(t, err)
		assert.Positive(t, seconds)
		for i := range n {
			assert.Equal(t, float32(2*i), getFloat(d.host.Bytes[1024+4*i:]), i)
		}
		for i := range 20 {
			assert.Equal(t, float32(2*(i/2*10+i%2)), getFloat(d.host.Bytes[2048+4*i:]), i)
		}
		require.NoError(t, d.stream.UploadRows(p, 40, d.host, 2048, 8, 10))
		require.NoError(t, d.stream.Download(d.host, 0, p, 4*n))
		require.NoError(t, d.stream.Synchronize())
		for i := range n {
			assert.Equal(t, float32(2*i), getFloat(d.host.Bytes[4*i:]), i)
		}

		for _, c := range []interface{ Close() error }{start, end, m} {
			require.NoError(t, c.Close())
		}
		require.NoError(t, d.Free(p))
	})
}

func TestOneStreamWaitsForAnEventOfAnother(t *testing.T) {
	onEach(t, func(t *testing.T, api *driver.API) {
		d := open(t, api)
		defer d.close(t)
		p, err := d.Alloc(256)
		require.NoError(t, err)
		other, err := d.NewStream()
		require.NoError(t, err)
		filled, err := d.NewEvent(false)
		require.NoError(t, err)
		require.NoError(t, other.Fill(p, 7, 256))
		require.NoError(t, filled.Record(other))
		require.NoError(t, d.stream.Wait(filled))
		require.NoError(t, d.stream.Download(d.host, 0, p, 256))
		require.NoError(t, d.stream.Synchronize())
		assert.Equal(t, byte(7), d.host.Bytes[255])
		require.NoError(t, filled.Close())
		require.NoError(t, other.Close())
		require.NoError(t, d.Free(p))
	})
}

func TestAGraphRepeatsWhatWasRecorded(t *testing.T) {
	onEach(t, func(t *testing.T, api *driver.API) {
		d := open(t, api)
		defer d.close(t)
		p, err := d.Alloc(256)
		require.NoError(t, err)
		m, err := d.Load(scale)
		require.NoError(t, err)
		f, err := m.Function("scale")
		require.NoError(t, err)
		putFloat(d.host.Bytes, 1)
		require.NoError(t, d.stream.Upload(p, d.host, 0, 4))
		require.NoError(t, d.stream.Synchronize())

		require.NoError(t, d.stream.BeginCapture())
		places := pack(d.launch.Params(), uint64(p), float32(2), uint32(1))
		for range 3 {
			require.NoError(t, d.launch.Do(f, 1, 1, 1, 32, 0, places))
		}
		g, err := d.stream.EndCapture()
		require.NoError(t, err)
		assert.Equal(t, 3, g.Nodes())
		clear(d.launch.Params()) // the recording has its own copy
		for range 4 {
			require.NoError(t, g.Launch(d.stream))
		}
		require.NoError(t, d.stream.Download(d.host, 0, p, 4))
		require.NoError(t, d.stream.Synchronize())
		assert.Equal(t, float32(1<<12), getFloat(d.host.Bytes))

		// Waiting for a stream that records is refused, and spoils the recording.
		require.NoError(t, d.stream.BeginCapture())
		require.ErrorIs(t, d.stream.Synchronize(), driver.CaptureUnsupported)
		_, err = d.stream.EndCapture()
		require.ErrorIs(t, err, driver.CaptureInvalidated)
		require.NoError(t, d.stream.Synchronize())

		require.NoError(t, g.Close())
		require.Error(t, g.Close())
		require.NoError(t, m.Close())
		require.NoError(t, d.Free(p))
	})
}

func TestTensorMapsAreEncodedOnHopperOnly(t *testing.T) {
	onEach(t, func(t *testing.T, api *driver.API) {
		d := open(t, api)
		defer d.close(t)
		p, err := d.Alloc(64 * 128 * 2)
		require.NoError(t, err)
		shape := driver.TensorShape{
			Base: p, Type: driver.TensorBF16, Rank: 2, Dim: [5]uint64{128, 64}, Stride: [4]uint64{256}, Box: [5]uint32{64, 64},
			Swizzle: driver.Swizzle128,
		}
		tensors, err := d.Attribute(driver.TensorMapAccess)
		require.NoError(t, err)
		if tensors != 0 {
			m, err := api.EncodeTensorMap(&shape)
			require.NoError(t, err)
			assert.NotZero(t, m)
			shape.Stride[0] = 250
			_, err = api.EncodeTensorMap(&shape)
			require.ErrorIs(t, err, driver.InvalidValue)
			require.ErrorContains(t, err, "250")
		} else {
			_, err := api.EncodeTensorMap(&shape)
			require.Error(t, err)
		}
		require.NoError(t, d.Free(p))
	})
}

func TestAModuleThatDoesNotCompileComesWithTheCompilersLog(t *testing.T) {
	onEach(t, func(t *testing.T, api *driver.API) {
		d := open(t, api)
		defer d.close(t)
		_, err := d.Load(".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry k() {\n\tfrobnicate.u32;\n\tret;\n}\n")
		require.ErrorIs(t, err, driver.InvalidPTX)
		require.ErrorContains(t, err, "frobnicate")
		_, err = d.Load(".version 99.0\n.target sm_80\n.address_size 64\n")
		require.ErrorIs(t, err, driver.UnsupportedPTXVersion)
		m, err := d.Load(scale)
		require.NoError(t, err)
		_, err = m.Function("absent")
		require.ErrorIs(t, err, driver.NotFound)
		require.NoError(t, m.Close())
	})
}

func TestMemoryRunsOut(t *testing.T) {
	onEach(t, func(t *testing.T, api *driver.API) {
		d := open(t, api)
		defer d.close(t)
		_, total, err := d.Memory()
		require.NoError(t, err)
		_, err = d.Alloc(total + 1)
		require.ErrorIs(t, err, driver.OutOfMemory)
		_, err = d.Alloc(0)
		require.ErrorIs(t, err, driver.InvalidValue)
	})
}

func TestEveryMisuseIsAnError(t *testing.T) {
	onEach(t, func(t *testing.T, api *driver.API) {
		d := open(t, api)
		defer d.close(t)
		_, err := api.Open(99)
		require.ErrorIs(t, err, driver.InvalidDevice)
		p, err := d.Alloc(256)
		require.NoError(t, err)
		m, err := d.Load(scale)
		require.NoError(t, err)
		f, err := m.Function("scale")
		require.NoError(t, err)
		places := pack(d.launch.Params(), uint64(p), float32(2), uint32(0))
		gone, err := d.NewEvent(false)
		require.NoError(t, err)
		require.NoError(t, gone.Close())

		for name, call := range map[string]struct {
			call func() error
			want error
		}{
			"an empty grid":                 {func() error { return d.launch.Do(f, 0, 1, 1, 32, 0, places) }, driver.InvalidValue},
			"a grid too high":               {func() error { return d.launch.Do(f, 1, 70000, 1, 32, 0, places) }, driver.InvalidValue},
			"a block too large":             {func() error { return d.launch.Do(f, 1, 1, 1, 2048, 0, places) }, driver.InvalidValue},
			"too much shared memory":        {func() error { return d.launch.Do(f, 1, 1, 1, 32, 64<<10, places) }, driver.InvalidValue},
			"too many parameters":           {func() error { return d.launch.Do(f, 1, 1, 1, 32, 0, make([]int, driver.MaxParamCount+1)) }, driver.InvalidValue},
			"a parameter outside":           {func() error { return d.launch.Do(f, 1, 1, 1, 32, 0, []int{driver.MaxParams}) }, driver.InvalidValue},
			"a shared limit above the card": {func() error { return f.SetDynamicShared(1 << 20) }, driver.InvalidValue},
			"a copy past the host's end":    {func() error { return d.stream.Upload(p, d.host, 4000, 200) }, driver.InvalidValue},
			"a copy before its begin":       {func() error { return d.stream.Download(d.host, -8, p, 16) }, driver.InvalidValue},
			"a negative copy":               {func() error { return d.stream.Upload(p, d.host, 0, -1) }, driver.InvalidValue},
		} {
			require.ErrorIs(t, call.call(), call.want, name)
		}

		require.ErrorContains(t, gone.Close(), "freed already")
		require.NoError(t, d.Free(p))
		require.ErrorContains(t, d.Free(p), "freed already")
		require.ErrorContains(t, d.Free(p+16), "not of this context")
		h, err := d.AllocHost(16)
		require.NoError(t, err)
		require.NoError(t, h.Free())
		require.ErrorContains(t, h.Free(), "freed already")
		require.ErrorIs(t, d.stream.Upload(p, h, 0, 16), driver.InvalidValue)
		require.NoError(t, m.Close())
		require.ErrorContains(t, m.Close(), "freed already")
	})
}

func TestCallsFromAnotherThreadFail(t *testing.T) {
	onEach(t, func(t *testing.T, api *driver.API) {
		d := open(t, api)
		defer d.close(t)
		result := make(chan error)
		go func() {
			runtime.LockOSThread()
			_, err := d.Alloc(16)
			result <- err
		}()
		err := <-result
		require.ErrorIs(t, err, driver.InvalidContext)
		require.ErrorContains(t, err, "Device.Do")
	})
}

func TestAClosedContextReportsWhatWasNotFreed(t *testing.T) {
	m, err := sim.New(sim.Options{})
	require.NoError(t, err)
	run(t, m.Resolve, func(t *testing.T, api *driver.API) {
		c, err := api.Open(0)
		require.NoError(t, err)
		_, err = c.Alloc(100)
		require.NoError(t, err)
		_, err = c.Alloc(200)
		require.NoError(t, err)
		s, err := c.NewStream()
		require.NoError(t, err)
		_, err = c.NewEvent(false)
		require.NoError(t, err)
		require.NoError(t, s.Close())
		require.EqualError(t, c.Close(), "close a CUDA context: not freed: 1 × event, 2 × device allocation (300 bytes)")
		require.ErrorContains(t, c.Close(), "closed already")
	})
	// So does the simulated machine, which counted for itself.
	err = m.Close()
	require.ErrorContains(t, err, "200 bytes")
	require.ErrorContains(t, err, "event")
	require.ErrorContains(t, m.Close(), "closed already")
}
