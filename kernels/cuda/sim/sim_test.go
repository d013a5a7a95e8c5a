//go:build !nocuda && ((linux && (amd64 || arm64)) || darwin || (windows && amd64))

package sim_test

import (
	"runtime"
	"testing"
	"unsafe"

	"github.com/ebitengine/purego"
	"github.com/stretchr/testify/require"

	"forja/kernels/cuda/sim"
)

// rig calls the functions of a simulated driver as a C program would: nothing stands between the test and the driver.
type rig struct {
	t *testing.T
	m *sim.Machine
}

// start makes a machine with a context that is current on the test's thread.
func start(t *testing.T, o sim.Options) *rig {
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	o.Check = true
	m, err := sim.New(o)
	require.NoError(t, err)
	r := &rig{t, m}
	var context uintptr
	r.ok("cuInit", 0)
	r.ok("cuDevicePrimaryCtxRetain", uintptr(unsafe.Pointer(&context)), 0)
	r.ok("cuCtxSetCurrent", context)
	return r
}

// stop ends the machine, whose memory must all be freed.
func (r *rig) stop() {
	r.ok("cuDevicePrimaryCtxRelease_v2", 0)
	require.NoError(r.t, r.m.Close())
}

//go:uintptrescapes
func (r *rig) call(name string, args ...uintptr) int {
	f, err := r.m.Resolve(name)
	require.NoError(r.t, err)
	result, _, _ := purego.SyscallN(f, args...)
	return int(int32(result))
}

//go:uintptrescapes
func (r *rig) ok(name string, args ...uintptr) {
	r.t.Helper()
	require.Zero(r.t, r.call(name, args...), name)
}

//go:uintptrescapes
func (r *rig) fails(want int, name string, args ...uintptr) {
	r.t.Helper()
	require.Equal(r.t, want, r.call(name, args...), name)
}

// why is the driver's text for a result.
func (r *rig) why(result int) string {
	var p *byte
	r.ok("cuGetErrorString", uintptr(result), uintptr(unsafe.Pointer(&p)))
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(p, n))
}

// The next functions make things, and return their addresses or handles.
func (r *rig) alloc(n uintptr) (p uintptr) {
	r.ok("cuMemAlloc_v2", uintptr(unsafe.Pointer(&p)), n)
	return p
}

func (r *rig) host(n uintptr) []byte {
	var p unsafe.Pointer
	r.ok("cuMemHostAlloc", uintptr(unsafe.Pointer(&p)), n, 0)
	return unsafe.Slice((*byte)(p), n)
}

func (r *rig) stream() (s uintptr) {
	r.ok("cuStreamCreate", uintptr(unsafe.Pointer(&s)), 1)
	return s
}

func (r *rig) event() (e uintptr) {
	r.ok("cuEventCreate", uintptr(unsafe.Pointer(&e)), 0)
	return e
}

func (r *rig) kernel(ptx, name string) (module, function uintptr) {
	image, entry := append([]byte(ptx), 0), append([]byte(name), 0)
	r.ok("cuModuleLoadDataEx", uintptr(unsafe.Pointer(&module)), uintptr(unsafe.Pointer(&image[0])), 0, 0, 0)
	r.ok("cuModuleGetFunction", uintptr(unsafe.Pointer(&function)), module, uintptr(unsafe.Pointer(&entry[0])))
	return module, function
}

// launch starts a kernel of one parameter with blocks of 32 threads.
func (r *rig) launch(function, stream, blocks, shared uintptr, param uint64) int {
	params := [1]unsafe.Pointer{unsafe.Pointer(&param)}
	return r.call("cuLaunchKernel", function, blocks, 1, 1, 32, 1, 1, shared, stream, uintptr(unsafe.Pointer(&params)), 0)
}

// poke stores the thread's number behind a pointer, once for each of 32 threads.
const poke = `.version 7.0
.target sm_80
.address_size 64
.visible .entry poke(
	.param .u64 poke_param_0
)
.maxntid 32, 1, 1
{
	.reg .b32 %r<2>;
	.reg .b64 %rd<5>;
	ld.param.u64 %rd1, [poke_param_0];
	cvta.to.global.u64 %rd2, %rd1;
	mov.u32 %r1, %tid.x;
	mul.wide.u32 %rd3, %r1, 4;
	add.s64 %rd4, %rd2, %rd3;
	st.global.u32 [%rd4], %r1;
	ret;
}
`
