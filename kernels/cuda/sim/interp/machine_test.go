package interp

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSpecialRegistersOfThreeDimensions(t *testing.T) {
	m, err := Parse(`.version 8.0
.target sm_90a
.address_size 64
.visible .entry k(.param .u64 out)
.reqnctapercluster 2, 1, 1
{
	.reg .b32 %r<40>; .reg .b64 %rd<9>;
	mov.u32 %r1, %tid.x; mov.u32 %r2, %tid.y; mov.u32 %r3, %tid.z; mov.u32 %r4, %ntid.x; mov.u32 %r5, %ntid.y; mov.u32 %r6, %ntid.z;
	mov.u32 %r7, %ctaid.x; mov.u32 %r8, %ctaid.y; mov.u32 %r9, %ctaid.z; mov.u32 %r10, %nctaid.x; mov.u32 %r11, %nctaid.y; mov.u32 %r12, %nctaid.z;
	mov.u32 %r13, %clusterid.x; mov.u32 %r14, %cluster_ctaid.x; mov.u32 %r15, %cluster_ctarank; mov.u32 %r16, %cluster_nctarank;
	mov.u32 %r17, %laneid; mov.u32 %r18, %warpid; mov.u32 %r19, %lanemask_lt; mov.u32 %r20, %lanemask_ge;
	mad.lo.u32 %r21, %r3, %r5, %r2; mad.lo.u32 %r21, %r21, %r4, %r1;
	mad.lo.u32 %r22, %r9, %r11, %r8; mad.lo.u32 %r22, %r22, %r10, %r7;
	mul.lo.u32 %r23, %r4, %r5; mul.lo.u32 %r23, %r23, %r6; mad.lo.u32 %r24, %r22, %r23, %r21;
	ld.param.u64 %rd1, [out]; mul.wide.u32 %rd2, %r24, 80; add.u64 %rd1, %rd1, %rd2;
	st.global.v4.b32 [%rd1], {%r1, %r2, %r3, %r4}; st.global.v4.b32 [%rd1+16], {%r5, %r6, %r7, %r8};
	st.global.v4.b32 [%rd1+32], {%r9, %r10, %r11, %r12}; st.global.v4.b32 [%rd1+48], {%r13, %r14, %r15, %r16};
	st.global.v4.b32 [%rd1+64], {%r17, %r18, %r19, %r20};
	ret;
}`)
	require.NoError(t, err)
	h := NewHeap(1 << 20)
	dim, grid := [3]uint32{5, 3, 4}, [3]uint32{4, 2, 3}
	n := 60 * 24
	out, err := h.Alloc(80 * n)
	require.NoError(t, err)
	require.NoError(t, m.Kernels["k"].Launch(h, grid, dim, 0, args(out), Options{Check: true}))
	b, err := h.Bytes(out, 80*n)
	require.NoError(t, err)
	for i := range uint32(n) {
		thread, block := i%60, i/60
		lane := thread % 32
		for j, want := range []uint32{
			thread % 5, thread / 5 % 3, thread / 15, 5, 3, 4, block % 4, block / 4 % 2, block / 8, 4, 2, 3,
			block % 4 / 2, block % 2, block % 2, 2, lane, thread / 32, 1<<lane - 1, full << lane,
		} {
			require.Equal(t, want, le.Uint32(b[80*i+uint32(4*j):]), "thread %d of block %d, word %d", thread, block, j)
		}
	}
}

func TestGenericAddressesKnowTheirSpace(t *testing.T) {
	results(t, 32, `cvta.global.u64 %rd3, %rd1; mov.u64 %rd4, dyn; cvta.shared.u64 %rd4, %rd4; mov.u64 %rd5, out; cvta.param.u64 %rd5, %rd5;
isspacep.global %p1, %rd3; isspacep.shared %p2, %rd4; isspacep.global %p3, %rd4; isspacep.shared %p4, %rd3; isspacep.param %p5, %rd5;
selp.b32 %r2, 1, 0, %p1; selp.b32 %r3, 2, 0, %p2; selp.b32 %r4, 4, 0, %p3; selp.b32 %r5, 8, 0, %p4; selp.b32 %r6, 16, 0, %p5;
add.u32 %r1, %r2, %r3; add.u32 %r1, %r1, %r4; add.u32 %r1, %r1, %r5; add.u32 %r1, %r1, %r6;
ld.b64 %rd6, [%rd5]; setp.eq.u64 %p6, %rd6, %rd1; selp.b32 %r7, 32, 0, %p6; add.u32 %r1, %r1, %r7;
{ .reg .b64 t; mov.b64 t, n; ld.param.b32 %r8, [t]; } add.u32 %r1, %r1, %r8;
cvta.to.shared.u64 %rd7, %rd4; cvt.u32.u64 %r10, %rd7; mov.b32 %r11, dyn; sub.u32 %r12, %r10, %r11; add.u32 %r1, %r1, %r12;`, 1000,
		func(int) uint32 { return 1 + 2 + 16 + 32 + 1000 })
}

func TestPropertiesOfFloatsAndPlacesOfBits(t *testing.T) {
	for what, want := range map[string]func(v uint64) bool{
		"finite":     func(v uint64) bool { return v&0x7f800000 != 0x7f800000 },
		"infinite":   func(v uint64) bool { return v&0x7fffffff == 0x7f800000 },
		"number":     func(v uint64) bool { return v&0x7fffffff <= 0x7f800000 },
		"notanumber": func(v uint64) bool { return v&0x7fffffff > 0x7f800000 },
		"normal":     func(v uint64) bool { return v&0x7f800000 != 0x7f800000 && v&0x7f800000 != 0 },
		"subnormal":  func(v uint64) bool { return v&0x7f800000 == 0 && v&0x7fffffff != 0 },
	} {
		x := instruction{text: "testp." + what + ".f32 d, a", types: "1 32"}
		x.compute(t, func(a, _, _, got uint64) { require.Equal(t, b2u(want(a)), got, "%s %#x", x.text, a) })
	}
	for _, n := range []int{-3, -1, 0, 1, 2} {
		x := instruction{text: "fns.b32 d, a, b, " + itoaSigned(n), types: "32 32 32"}
		x.compute(t, func(a, b, _, got uint64) {
			var places []int // of set bits from b on, in the direction of n
			at, step := int(b&31), 1
			if n < 0 {
				step = -1
			}
			for ; at >= 0 && at < 32; at += step {
				if a>>at&1 != 0 {
					places = append(places, at)
				}
			}
			want := uint64(0xffffffff)
			switch k := max(n, -n); {
			case n == 0 && a>>(b&31)&1 != 0:
				want = b & 31
			case n != 0 && k <= len(places):
				want = uint64(places[k-1])
			}
			require.Equal(t, want, got, "%s a=%#x b=%d", x.text, a, b&31)
		})
	}
}

func itoaSigned(n int) string {
	if n < 0 {
		return "-" + itoa(uint64(-n))
	}
	return itoa(uint64(n))
}

func TestInstructionsWithoutEffectAreAccepted(t *testing.T) {
	results(t, 64,
		`prefetch.global.L2 [%rd1]; griddepcontrol.wait; griddepcontrol.launch_dependents; nanosleep.u32 20; fence.acq_rel.gpu; fence.sc.cta; membar.sys;
createpolicy.fractional.L2::evict_first.b64 %rd3, 0f3F800000; pmevent 1; mov.u64 %rd4, %clock64; mov.u64 %rd5, %clock64; setp.lt.u64 %p1, %rd4, %rd5; selp.b32 %r1, 9, 0, %p1;`,
		0, func(int) uint32 { return 9 })
}

func TestTheFirstBlockThatFailsIsReported(t *testing.T) {
	m, err := Parse(body("mov.u32 %r1, %ctaid.x; setp.gt.u32 %p1, %r1, 16; @!%p1 bra end; setp.lt.u32 %p2, %r1, 20; @!%p2 bra go;\n" +
		"mov.u32 %r2, 0; wait: add.u32 %r2, %r2, 1; setp.lt.u32 %p3, %r2, 3000; @%p3 bra wait; go: trap; end:"))
	require.NoError(t, err)
	for range 5 {
		err = m.Kernels["k"].Launch(NewHeap(1), x1(64), x1(32), 0, args(uint64(0), int32(0)), Options{Workers: 4})
		require.ErrorContains(t, err, "block [17 0 0]")
	}
}

func TestResultsDoNotDependOnWorkers(t *testing.T) {
	k := kernel(t, source(t, "ampere/vec"), "gelu")
	var first []byte
	for _, o := range []Options{{Workers: 1}, {Workers: 2, Seed: 1}, {Workers: 7, Seed: 9, Check: true}} {
		p := geluProblem(t, 8*3000)
		require.NoError(t, p.run(k, o))
		require.Empty(t, p.wrong())
		b, err := p.heap.Bytes(le.Uint64(p.args), 16*3000)
		require.NoError(t, err)
		if first == nil {
			first = b
		}
		require.Equal(t, first, b)
	}
}
