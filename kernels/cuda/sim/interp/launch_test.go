package interp

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

const axpyPTX = `
.version 7.0
.target sm_80
.address_size 64
.visible .entry axpy(
	.param .u64 .ptr .align 1 axpy_param_0,
	.param .u64 .ptr .align 1 axpy_param_1,
	.param .f32 axpy_param_2,
	.param .u32 axpy_param_3
)
.maxntid 256
{
	.reg .pred 	%p<2>;
	.reg .b32 	%r<11>;
	.reg .b64 	%rd<8>;
// %bb.0:
	ld.param.b32 	%r2, [axpy_param_3];
	mov.u32 	%r3, %ctaid.x;
	mov.u32 	%r4, %ntid.x;
	mov.u32 	%r5, %tid.x;
	mad.lo.s32 	%r1, %r3, %r4, %r5;
	setp.ge.s32 	%p1, %r1, %r2;
	@%p1 bra 	$L__BB0_2;
	ld.param.b32 	%r6, [axpy_param_2];
	ld.param.b64 	%rd3, [axpy_param_0];
	ld.param.b64 	%rd4, [axpy_param_1];
	cvta.to.global.u64 	%rd1, %rd3;
	cvta.to.global.u64 	%rd2, %rd4;
	mul.wide.s32 	%rd5, %r1, 4;
	add.s64 	%rd6, %rd2, %rd5;
	ld.global.b32 	%r7, [%rd6];
	add.s64 	%rd7, %rd1, %rd5;
	ld.global.b32 	%r8, [%rd7];
	fma.rn.f32 	%r9, %r6, %r7, %r8;
	st.global.b32 	[%rd7], %r9;
$L__BB0_2:
	ret;
}
`

// args lays out kernel arguments with C alignment: uint64 is a pointer or an integer, int32, uint32 and
// float32 are themselves.
func args(values ...any) []byte {
	var b []byte
	for _, v := range values {
		switch v := v.(type) {
		case uint64:
			for len(b)%8 != 0 {
				b = append(b, 0)
			}
			b = le.AppendUint64(b, v)
		case int32:
			b = le.AppendUint32(b, uint32(v))
		case uint32:
			b = le.AppendUint32(b, v)
		case float32:
			b = le.AppendUint32(b, math.Float32bits(v))
		default:
			panic(v)
		}
	}
	return b
}

// upload puts float32s on the heap.
func upload(t testing.TB, h *Heap, values []float32) uint64 {
	t.Helper()
	addr, err := h.Alloc(4 * len(values))
	require.NoError(t, err)
	b, err := h.Bytes(addr, 4*len(values))
	require.NoError(t, err)
	for i, v := range values {
		le.PutUint32(b[4*i:], math.Float32bits(v))
	}
	h.MarkWritten(addr, len(b))
	return addr
}

// download reads n float32s from the heap.
func download(t testing.TB, h *Heap, addr uint64, n int) []float32 {
	t.Helper()
	b, err := h.Bytes(addr, 4*n)
	require.NoError(t, err)
	values := make([]float32, n)
	for i := range values {
		values[i] = math.Float32frombits(le.Uint32(b[4*i:]))
	}
	return values
}

func TestAGridOfBlocksRuns(t *testing.T) {
	m, err := Parse(axpyPTX)
	require.NoError(t, err)
	h := NewHeap(1 << 20)
	const n = 1000
	x, y := make([]float32, n), make([]float32, n)
	for i := range x {
		x[i], y[i] = float32(i), 1
	}
	xs, ys := upload(t, h, x), upload(t, h, y)
	require.NoError(t, m.Kernels["axpy"].Launch(h, [3]uint32{4, 1, 1}, [3]uint32{256, 1, 1}, 0, args(ys, xs, float32(2), int32(n)), Options{}))
	for i, v := range download(t, h, ys, n) {
		require.Equal(t, 2*float32(i)+1, v)
	}
}
