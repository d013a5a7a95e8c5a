package interp

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheHeapGivesWhatWasAskedForAndNoMore(t *testing.T) {
	h := NewHeap(1 << 20)
	a, err := h.Alloc(1000)
	require.NoError(t, err)
	b, err := h.Alloc(3 << 18)
	require.NoError(t, err)
	for _, addr := range []uint64{a, b} {
		require.Zero(t, addr%256)
		require.NotZero(t, addr%512, "nothing is aligned better than promised")
	}
	_, err = h.Alloc(1 << 20)
	require.ErrorContains(t, err, "out of memory")
	_, err = h.Alloc(0)
	require.Error(t, err)

	mem, err := h.Bytes(a+8, 992)
	require.NoError(t, err)
	require.Len(t, mem, 992)
	require.True(t, math.IsNaN(float64(math.Float32frombits(le.Uint32(mem)))), "nobody has written it")
	for _, x := range []struct {
		addr uint64
		n    int
	}{{a - 1, 1}, {a, 1001}, {a + 1000, 1}, {a + 5000, 1}, {b + 3<<18 - 1, 2}, {0, 1}, {math.MaxUint64, 1}, {math.MaxUint64, math.MaxInt}, {a, -1}, {1 << 62, 1}} {
		_, err = h.Bytes(x.addr, x.n)
		require.Error(t, err, "%#x %d", x.addr, x.n)
		require.False(t, h.Written(x.addr, x.n))
		h.MarkWritten(x.addr, x.n)
	}

	require.False(t, h.Written(a, 1))
	h.MarkWritten(a+3, 200)
	require.True(t, h.Written(a+3, 200))
	require.False(t, h.Written(a+2, 2))
	require.False(t, h.Written(a+100, 104))

	require.Len(t, h.Live(), 2)
	require.Error(t, h.Free(a+256))
	require.NoError(t, h.Free(a))
	require.ErrorContains(t, h.Free(a), "freed before")
	_, err = h.Bytes(a, 1)
	require.ErrorContains(t, err, "has been freed")
	require.Equal(t, 3<<18, h.Used())
	require.Equal(t, []string{"allocation 2 at " + "0x" + hex(b) + ": 786432 bytes"}, h.Live())
	require.NoError(t, h.Free(b))
	require.Empty(t, h.Live())
}

func download1(t *testing.T, h *Heap, addr uint64) []byte {
	t.Helper()
	b, err := h.Bytes(addr, 4)
	require.NoError(t, err)
	return b
}

func TestVariablesOfAModule(t *testing.T) {
	m, err := Parse(`.version 8.0
.target sm_80
.address_size 64
.const .align 4 .b8 bytes[5] = {1, 2, 0xff, 4};
.global .align 8 .f32 floats[3] = {0f3F800000, 0f40000000};
.global .u32 counter = 40;
.entry k(.param .u64 out) {
	.local .align 8 .b8 depot[16];
	.reg .b32 %r<9>; .reg .b64 %rd<9>;
	ld.param.u64 %rd1, [out];
	mov.u64 %rd2, bytes; ld.const.s8 %r1, [%rd2+2]; ld.const.u8 %r2, [bytes+4];
	ld.global.f32 %r3, [floats+4]; atom.global.add.u32 %r4, [counter], 1;
	mov.u64 %rd3, depot; cvta.local.u64 %rd4, %rd3; st.local.u32 [%rd3+4], %r1; ld.u32 %r5, [%rd4+4];
	cvta.global.u64 %rd5, %rd1; st.v4.u32 [%rd5], {%r1, %r2, %r3, %r4}; st.u32 [%rd5+16], %r5;
	ret;
}`)
	require.NoError(t, err)
	h := NewHeap(1 << 20)
	out, err := h.Alloc(32)
	require.NoError(t, err)
	for i := range uint32(2) {
		require.NoError(t, m.Kernels["k"].Launch(h, x1(1), x1(1), 0, args(out), Options{Check: true}))
		b, err := h.Bytes(out, 20)
		require.NoError(t, err)
		for j, want := range []uint32{math.MaxUint32, 0, 0x40000000, 40 + i, math.MaxUint32} {
			require.Equal(t, want, le.Uint32(b[4*j:]), "word %d", j)
		}
	}
	require.Len(t, h.Live(), 1, "the module's variables are nobody's leak")
	require.Equal(t, 32+5+12+4, h.Used())
	h.Unload(m)
	require.Equal(t, 32, h.Used())
	require.NoError(t, m.Kernels["k"].Launch(h, x1(1), x1(1), 0, args(out), Options{}))
	require.Equal(t, uint32(40), le.Uint32(download1(t, h, out+12)), "loaded anew")
}

func TestLoadsAndStoresOfEveryWidth(t *testing.T) {
	results(t, 64, `mov.b32 %r2, dyn; shl.b32 %r3, %r0, 4; add.u32 %r2, %r2, %r3; mov.b64 %rd3, {%r0, %r0};
st.shared.v2.b64 [%r2], {%rd3, -1}; st.shared.b8 [%r2+1], 0x85; st.shared.b16 [%r2+6], 0xfffe;
ld.shared.v4.b32 {%r4, %r5, %r6, %r7}, [%r2]; ld.shared.s8 %r8, [%r2+1]; ld.shared.s16 %r10, [%r2+6]; ld.shared.u16 %h1, [%r2+2]; cvt.u32.u16 %r11, %h1;
add.u32 %r1, %r4, %r5; add.u32 %r1, %r1, %r6; add.u32 %r1, %r1, %r8; add.u32 %r1, %r1, %r10; add.u32 %r1, %r1, %r11; cvta.shared.u64 %rd4, dyn;
cvt.u64.u32 %rd5, %r3; add.u64 %rd4, %rd4, %rd5; ld.b8 %r12, [%rd4+8]; add.u32 %r1, %r1, %r12;`, 0, func(i int) uint32 {
		v := uint32(i)
		return v&^0xff00 | 0x8500 + (v&0xffff | 0xfffe0000) - 1 + uint32(0xffffff85) - 2 + v>>16 + 255 + 0
	})
}
