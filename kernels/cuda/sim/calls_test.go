//go:build !nocuda && ((linux && (amd64 || arm64)) || darwin || (windows && amd64))

package sim_test

import (
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"forja/kernels/cuda/sim"
)

func TestCallsBeforeTheBeginningAndAfterTheEndFail(t *testing.T) {
	m, err := sim.New(sim.Options{})
	require.NoError(t, err)
	r := &rig{t, m}
	var n int32
	r.fails(3, "cuDeviceGetCount", uintptr(unsafe.Pointer(&n)))
	r.ok("cuInit", 0)
	r.ok("cuDeviceGetCount", uintptr(unsafe.Pointer(&n)))
	assert.EqualValues(t, 1, n)
	r.fails(101, "cuDeviceGet", uintptr(unsafe.Pointer(&n)), 1)
	r.fails(201, "cuCtxSynchronize")
	r.fails(201, "cuCtxSetCurrent", 12345)
	require.NoError(t, m.Close())
	r.fails(4, "cuDeviceGetCount", uintptr(unsafe.Pointer(&n)))
	_, err = m.Resolve("cuMemAllocManaged")
	require.ErrorContains(t, err, "cuMemAllocManaged")
}

func TestAContextIsCurrentOnOneThread(t *testing.T) {
	r := start(t, sim.Options{})
	var got int
	done := make(chan bool)
	go func() {
		runtime.LockOSThread()
		defer close(done)
		got = r.call("cuCtxSynchronize")
	}()
	<-done
	assert.Equal(t, 201, got)
	assert.Contains(t, r.why(201), "thread")
	r.ok("cuCtxSynchronize")
	r.stop()
}

func TestAStreamsWorkIsDoneWhenSomethingWaits(t *testing.T) {
	r := start(t, sim.Options{})
	s, p, h := r.stream(), r.alloc(64), r.host(64)
	at := uintptr(unsafe.Pointer(&h[0]))
	before := h[0]
	r.ok("cuMemsetD8Async", p, 9, 64, s)
	r.ok("cuMemcpyDtoHAsync_v2", at, p, 64, s)
	assert.Equal(t, before, h[63], "not done yet")
	r.ok("cuStreamSynchronize", s)
	assert.Equal(t, byte(9), h[63])

	// The host's memory is read when the copy is done, not when it is asked for.
	h[0] = 1
	r.ok("cuMemcpyHtoDAsync_v2", p, at, 1, s)
	h[0] = 2
	r.ok("cuMemcpyDtoHAsync_v2", at+1, p, 1, s)
	r.ok("cuCtxSynchronize")
	assert.Equal(t, byte(2), h[1])

	r.ok("cuMemFreeHost", at)
	r.ok("cuMemFree_v2", p)
	r.ok("cuStreamDestroy_v2", s)
	r.stop()
}

func TestEventsTellHowFarAStreamIs(t *testing.T) {
	r := start(t, sim.Options{})
	s, p, e := r.stream(), r.alloc(64), r.event()
	r.ok("cuEventQuery", e) // never recorded
	r.ok("cuMemsetD8Async", p, 9, 64, s)
	r.ok("cuEventRecord", e, s)
	r.fails(600, "cuEventQuery", e)
	for range 3 { // asking again and again gets on
		r.call("cuEventQuery", e)
	}
	r.ok("cuEventQuery", e)
	var ms float32
	r.ok("cuEventElapsedTime", uintptr(unsafe.Pointer(&ms)), e, e)
	assert.Zero(t, ms)
	r.ok("cuEventRecord", e, s)
	r.fails(600, "cuEventElapsedTime", uintptr(unsafe.Pointer(&ms)), e, e)
	r.ok("cuEventSynchronize", e)
	r.ok("cuEventDestroy_v2", e)
	r.ok("cuStreamDestroy_v2", s)
	r.ok("cuMemFree_v2", p)
	r.stop()
}

func TestCopiesRefuseMemoryThatIsNotPageLocked(t *testing.T) {
	r := start(t, sim.Options{})
	s, p, h := r.stream(), r.alloc(64), r.host(64)
	at := uintptr(unsafe.Pointer(&h[0]))
	slice := make([]byte, 64)
	r.fails(1, "cuMemcpyHtoDAsync_v2", p, uintptr(unsafe.Pointer(&slice[0])), 64, s)
	assert.Contains(t, r.why(1), "not page-locked")
	r.fails(1, "cuMemcpyDtoHAsync_v2", uintptr(unsafe.Pointer(&slice[0])), p, 64, s)
	r.fails(1, "cuMemcpyHtoDAsync_v2", p, at+1, 64, s)     // one byte past the host's end
	r.fails(1, "cuMemcpyHtoDAsync_v2", p+1, at, 64, s)     // and past the card's
	r.fails(1, "cuMemcpyDtoDAsync_v2", p, p+(1<<30), 8, s) // nowhere
	r.fails(1, "cuMemsetD8Async", p, 0, 65, s)
	r.ok("cuMemFreeHost", at)
	r.fails(1, "cuMemcpyHtoDAsync_v2", p, at, 64, s)
	r.ok("cuStreamDestroy_v2", s)
	r.ok("cuMemFree_v2", p)
	r.stop()
}

func TestWhatIsFreedIsGone(t *testing.T) {
	r := start(t, sim.Options{})
	s, e, p, h := r.stream(), r.event(), r.alloc(64), r.host(64)
	at := uintptr(unsafe.Pointer(&h[0]))
	module, function := r.kernel(poke, "poke")
	r.fails(400, "cuEventDestroy_v2", s)
	assert.Contains(t, r.why(400), "is a stream, not an event")
	r.fails(1, "cuMemFree_v2", p+8)
	for _, c := range []struct {
		free   string
		handle uintptr
		again  int
	}{
		{"cuMemFree_v2", p, 1}, {"cuMemFreeHost", at, 1}, {"cuEventDestroy_v2", e, 400}, {"cuModuleUnload", module, 400},
		{"cuStreamDestroy_v2", s, 400},
	} {
		r.ok(c.free, c.handle)
		r.fails(c.again, c.free, c.handle)
		assert.NotEmpty(t, r.why(c.again))
	}
	assert.Equal(t, 400, r.launch(function, s, 1, 0, 0))
	q := r.stream()
	assert.NotEqual(t, s, q, "handles are never used twice")
	r.fails(400, "cuMemsetD8Async", r.alloc(8), 0, 8, 0)
	assert.Contains(t, r.why(400), "default stream")
	r.ok("cuDevicePrimaryCtxRelease_v2", 0)
	err := r.m.Close()
	require.ErrorContains(t, err, "stream")
	require.ErrorContains(t, err, "8 bytes")
}

func TestMemoryHasALimit(t *testing.T) {
	r := start(t, sim.Options{Memory: 1000})
	p := r.alloc(600)
	var q, free, total uintptr
	r.fails(2, "cuMemAlloc_v2", uintptr(unsafe.Pointer(&q)), 401)
	assert.Contains(t, r.why(2), "401 bytes asked for, 600 of 1000")
	r.fails(2, "cuMemAlloc_v2", uintptr(unsafe.Pointer(&q)), ^uintptr(0))
	r.fails(1, "cuMemAlloc_v2", uintptr(unsafe.Pointer(&q)), 0)
	r.ok("cuMemGetInfo_v2", uintptr(unsafe.Pointer(&free)), uintptr(unsafe.Pointer(&total)))
	assert.Equal(t, [2]uintptr{400, 1000}, [2]uintptr{free, total})
	r.ok("cuMemFree_v2", p)
	r.ok("cuMemFree_v2", r.alloc(1000))
	r.stop()
}

func TestModulesThatACardCannotRunAreRefusedWithALog(t *testing.T) {
	hopper := strings.NewReplacer("7.0", "8.0", "sm_80", "sm_90a").Replace(poke)
	for _, c := range []struct {
		capability int
		ptx        string
		result     int
		log        string
	}{
		{80, poke, 0, ""}, {90, poke, 0, ""}, {90, hopper, 0, ""}, {80, hopper, 218, "90a"},
		{90, strings.Replace(poke, "sm_80", "sm_100", 1), 218, "sm_90"},
		{90, strings.Replace(poke, "sm_80", "sm_80a", 1), 218, "sm_90"},
		{80, strings.Replace(poke, "7.0", "8.5", 1), 222, "8.5"},
		{80, strings.Replace(poke, "st.global.u32", "st.globe.u32", 1), 218, "line 16"},
		{80, "", 218, "Missing"},
	} {
		r := start(t, sim.Options{Capability: c.capability})
		image, log := append([]byte(c.ptx), 0), make([]byte, 200)
		var pins runtime.Pinner
		pins.Pin(&log[0])
		options, values := [2]uint32{5, 6}, [2]uintptr{uintptr(unsafe.Pointer(&log[0])), 200}
		var module uintptr
		got := r.call("cuModuleLoadDataEx", uintptr(unsafe.Pointer(&module)), uintptr(unsafe.Pointer(&image[0])), 2,
			uintptr(unsafe.Pointer(&options)), uintptr(unsafe.Pointer(&values)))
		pins.Unpin()
		assert.Equal(t, c.result, got, "%+v", c)
		assert.Contains(t, string(log), c.log)
		if got == 0 {
			r.ok("cuModuleUnload", module)
		}
		r.stop()
	}
}

func TestLaunchesKeepToTheCardsLimits(t *testing.T) {
	cluster := `.version 8.0
.target sm_90a
.address_size 64
.visible .entry pair(
	.param .u64 pair_param_0
)
.maxntid 32, 1, 1
.reqnctapercluster 2, 1, 1
{
	ret;
}
`
	for capability, most := range map[int]uintptr{80: 163 << 10, 90: 227 << 10} {
		r := start(t, sim.Options{Capability: capability})
		s, p := r.stream(), r.alloc(128)
		module, f := r.kernel(poke, "poke")
		param := uint64(p)
		assert.Zero(t, r.launch(f, s, 1, 48<<10, param))
		assert.Equal(t, 1, r.launch(f, s, 1, 48<<10+1, param))
		r.fails(1, "cuFuncSetAttribute", f, 8, most+1)
		r.ok("cuFuncSetAttribute", f, 8, most)
		assert.Zero(t, r.launch(f, s, 1, most, param))
		assert.Equal(t, 1, r.launch(f, s, 0, 0, param))
		params := [1]unsafe.Pointer{unsafe.Pointer(&param)}
		for _, size := range [][6]uintptr{{1, 65536, 1, 32, 1, 1}, {1, 1, 65536, 32, 1, 1}, {1, 1, 1, 33, 1, 1}, {1, 1, 1, 1, 1, 65}, {1, 1, 1, 0, 1, 1}} {
			r.fails(1, "cuLaunchKernel", f, size[0], size[1], size[2], size[3], size[4], size[5], 0, s,
				uintptr(unsafe.Pointer(&params)), 0)
		}
		r.fails(1, "cuLaunchKernel", f, 1, 1, 1, 32, 1, 1, 0, s, 0, 0) // no parameters
		assert.Contains(t, r.why(1), "poke without parameters")
		if capability == 90 {
			other, pair := r.kernel(cluster, "pair")
			assert.Zero(t, r.launch(pair, s, 2, 0, param))
			assert.Equal(t, 912, r.launch(pair, s, 3, 0, param))
			r.ok("cuCtxSynchronize")
			r.ok("cuModuleUnload", other)
		}
		r.ok("cuMemFree_v2", p)
		r.ok("cuModuleUnload", module)
		r.ok("cuStreamDestroy_v2", s)
		r.stop()
	}
}

// Native code for sm_90 has the map at byte 0x30 of its parameters, which begin at 0x210 of a constant bank.
func TestATensorMapIsNoPartOfOneBlockOfParameters(t *testing.T) {
	r := start(t, sim.Options{Capability: 90})
	s := r.stream()
	module, taken := r.kernel(`.version 8.0
.target sm_90a
.address_size 64
.visible .entry takes(
	.param .align 64 .b8 takes_param_0[128],
	.param .u64 takes_param_1
)
.maxntid 32, 1, 1
{
	ret;
}
`, "takes")
	block, size := new([136]byte), new(uintptr)
	*size = uintptr(len(block))
	extra := [5]uintptr{1, uintptr(unsafe.Pointer(block)), 2, uintptr(unsafe.Pointer(size)), 0}
	r.fails(1, "cuLaunchKernel", taken, 1, 1, 1, 32, 1, 1, 0, s, 0, uintptr(unsafe.Pointer(&extra)))
	assert.Contains(t, r.why(1), "takes with parameters in one block")
	runtime.KeepAlive(size)
	params := [2]unsafe.Pointer{unsafe.Pointer(block), unsafe.Pointer(&block[128])}
	r.ok("cuLaunchKernel", taken, 1, 1, 1, 32, 1, 1, 0, s, uintptr(unsafe.Pointer(&params)), 0)
	r.ok("cuCtxSynchronize")
	r.ok("cuModuleUnload", module)
	r.ok("cuStreamDestroy_v2", s)
	r.stop()
}

func TestAKernelsErrorSticksUntilTheContextIsGone(t *testing.T) {
	r := start(t, sim.Options{})
	s, p := r.stream(), r.alloc(64) // room for 16 of 32 threads
	_, f := r.kernel(poke, "poke")
	assert.Zero(t, r.launch(f, s, 1, 0, uint64(p)), "the launch itself is fine")
	r.fails(700, "cuStreamSynchronize", s)
	assert.Contains(t, r.why(700), "poke")
	assert.Contains(t, r.why(700), "allocation 1")
	r.fails(700, "cuMemFree_v2", p)
	r.fails(700, "cuStreamSynchronize", s)
	var context uintptr
	r.ok("cuDevicePrimaryCtxRelease_v2", 0)
	r.ok("cuDevicePrimaryCtxRetain", uintptr(unsafe.Pointer(&context)), 0)
	r.ok("cuCtxSetCurrent", context)
	r.ok("cuMemFree_v2", r.alloc(64))
	r.stop()
}

func TestARecordingAllowsNoWaiting(t *testing.T) {
	r := start(t, sim.Options{})
	s, e, p, h := r.stream(), r.event(), r.alloc(64), r.host(64)
	at := uintptr(unsafe.Pointer(&h[0]))
	var graph, exec, n uintptr
	r.fails(401, "cuStreamEndCapture", s, uintptr(unsafe.Pointer(&graph)))
	for name, wait := range map[string]func() int{
		"stream":  func() int { return r.call("cuStreamSynchronize", s) },
		"context": func() int { return r.call("cuCtxSynchronize") },
	} {
		r.ok("cuStreamBeginCapture_v2", s, 2)
		r.fails(401, "cuStreamBeginCapture_v2", s, 2)
		assert.Equal(t, 900, wait(), name)
		r.fails(901, "cuStreamEndCapture", s, uintptr(unsafe.Pointer(&graph)))
		assert.Zero(t, graph)
	}
	r.ok("cuStreamBeginCapture_v2", s, 2)
	r.ok("cuEventRecord", e, s)
	r.fails(907, "cuEventSynchronize", e)
	r.fails(901, "cuStreamEndCapture", s, uintptr(unsafe.Pointer(&graph)))

	r.ok("cuStreamBeginCapture_v2", s, 2)
	r.ok("cuMemsetD8Async", p, 5, 64, s)
	r.ok("cuMemcpyDtoHAsync_v2", at, p, 64, s)
	r.ok("cuStreamEndCapture", s, uintptr(unsafe.Pointer(&graph)))
	r.ok("cuGraphGetNodes", graph, 0, uintptr(unsafe.Pointer(&n)))
	assert.EqualValues(t, 2, n)
	r.ok("cuGraphInstantiateWithFlags", uintptr(unsafe.Pointer(&exec)), graph, 0)
	r.ok("cuGraphDestroy", graph)
	r.ok("cuStreamSynchronize", s)
	assert.NotEqual(t, byte(5), h[0], "nothing was done")
	r.ok("cuGraphLaunch", exec, s)
	r.ok("cuStreamSynchronize", s)
	assert.Equal(t, byte(5), h[0])
	r.ok("cuMemFree_v2", p) // what the graph needs
	r.ok("cuGraphLaunch", exec, s)
	r.fails(700, "cuStreamSynchronize", s)
	assert.Contains(t, r.why(700), "freed")
	r.stop()
}

func TestMachinesAreIndependent(t *testing.T) {
	var machines []*sim.Machine
	for range 16 {
		m, err := sim.New(sim.Options{})
		require.NoError(t, err)
		machines = append(machines, m)
	}
	_, err := sim.New(sim.Options{})
	require.ErrorContains(t, err, "close one")
	for _, m := range machines {
		require.NoError(t, m.Close())
	}
	a, b := start(t, sim.Options{Memory: 1000}), start(t, sim.Options{Memory: 2000})
	p := a.alloc(800)
	b.fails(1, "cuMemFree_v2", p)
	q := b.alloc(1600)
	a.ok("cuMemFree_v2", p)
	b.ok("cuMemFree_v2", q)
	a.stop()
	b.stop()
	for range 200 { // many, one after another: callbacks are reused
		r := start(t, sim.Options{})
		r.ok("cuMemFree_v2", r.alloc(8))
		r.stop()
	}
}

func TestResultsHaveTheirNames(t *testing.T) {
	r := start(t, sim.Options{})
	var p *byte
	r.ok("cuGetErrorName", 700, uintptr(unsafe.Pointer(&p)))
	assert.Equal(t, "CUDA_ERROR_ILLEGAL_ADDRESS", string(unsafe.Slice(p, 26)))
	r.fails(1, "cuGetErrorName", 12345, uintptr(unsafe.Pointer(&p)))
	r.stop()
}

func TestStatsNameTheKernels(t *testing.T) {
	r := start(t, sim.Options{Count: true})
	s, p := r.stream(), r.alloc(128)
	module, f := r.kernel(poke, "poke")
	for range 3 {
		assert.Zero(t, r.launch(f, s, 1, 0, uint64(p)))
	}
	assert.Empty(t, r.m.Stats(), "nothing has run")
	r.ok("cuCtxSynchronize")
	stats := r.m.Stats()
	require.Len(t, stats, 1)
	assert.Equal(t, "poke", stats[0].Kernel)
	assert.Equal(t, 3, stats[0].Launches)
	assert.Equal(t, 3, stats[0].Blocks)
	assert.EqualValues(t, 3, stats[0].Counters.Instructions["st.global.u32"])
	r.ok("cuMemFree_v2", p)
	r.ok("cuModuleUnload", module)
	r.ok("cuStreamDestroy_v2", s)
	r.stop()
}
