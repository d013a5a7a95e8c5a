package interp

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// mutation is a bug planted in the text of a kernel: the n-th occurrence of old in the entry becomes new.
type mutation struct {
	name, problem string
	old           string
	n             int
	new           string
	caught        string // part of the error, or "wrong" for a wrong result
}

const barrierText = "bar.sync 0;"

// mutations are bugs that kernels have had, or nearly had. Every one must be caught by the checker, or
// give a wrong result.
var mutations = []mutation{
	{"one element too many", "axpy", "setp.ge.s32 	%p1, %r1, %r3", 1, "setp.gt.s32 	%p1, %r1, %r3", "out of bounds"},
	{"no test of the bound", "axpy", "@%p1 bra", 1, "// bra", "out of bounds"},
	{"elements of eight bytes", "axpy", "mul.wide.s32 	%rd5, %r1, 4", 1, "mul.wide.s32 	%rd5, %r1, 8", "out of bounds"},
	{"every block at the first place", "axpy", "mov.u32 	%r4, %ctaid.x", 1, "mov.u32 	%r4, 0", "race"},
	{"elements of two bytes", "axpy", "mul.wide.s32 	%rd5, %r1, 4", 1, "mul.wide.s32 	%rd5, %r1, 2", "not a multiple"},
	{"the sum is never stored", "axpy", "st.global.b32", 1, "// st", "wrong"},
	{"a register that is never set", "axpy", "ld.global.b32 	%r7, [%rd6];", 1, "", "%r9 has not been written"},
	{"vectors at odd addresses", "gelu", "ld.global.v4.b32 	{%r38, %r39, %r40, %r41}, [%rd6]", 1, "ld.global.v4.b32 {%r38, %r39, %r40, %r41}, [%rd6+8]", "not a multiple"},
	{"reads what it is to write", "gelu", "ld.global.v4.b32 	{%r38, %r39, %r40, %r41}, [%rd6]", 1, "add.s64 %rd7, %rd2, %rd5; ld.global.v4.b32 {%r38, %r39, %r40, %r41}, [%rd7]", "nobody has written"},
	{"halves exchanged", "gelu", "st.global.v4.b32 	[%rd7], {%r14, %r21", 1, "st.global.v4.b32 	[%rd7], {%r21, %r14", "wrong"},

	{"first barrier missing", "total", barrierText, 1, "", "nobody has written"},
	{"second barrier missing", "total", barrierText, 2, "", ""},
	{"fence before the counter missing", "total", "fence.acq_rel.gpu;", 1, "", "race"},
	{"counter not atomic", "total", "atom.global.add.u32 %r26, [%rd13], 1;", 1, "ld.global.u32 %r26, [%rd13]; add.u32 %r26, %r26, 1; st.global.u32 [%rd13], %r26; sub.u32 %r26, %r26, 1;", "race"},
	{"a block too early is last", "total", "add.s32 	%r35, %r34, -1", 1, "add.s32 	%r35, %r34, -2", ""},
	{"a step of the butterfly twice", "total", "mov.b32 	%r14, 8", 1, "mov.b32 	%r14, 16", "wrong"},
	{"not every lane shuffles", "total", "0x1f, 0xffffffff;", 2, "0x1f, 0xfffffff;", "member mask"},
	{"warps overwrite each other", "total", "shr.u32 	%r25, %r2, 5", 1, "shr.u32 	%r25, %r2, 6", "race"},
	{"a warp's sum left out", "total", "ld.shared.b32 	%r32, [_ZZ5totalE4warp+12]", 1, "ld.shared.b32 	%r32, [_ZZ5totalE4warp+16]", ""},

	{"counts not cleared", "histogram", "st.shared.b32 	[%rd3], 0;", 1, "", "nobody has written"},
	{"no barrier after clearing", "histogram", barrierText, 1, "", "race"},
	{"no barrier before gathering", "histogram", barrierText, 2, "", "race"},
	{"shared counts not atomic", "histogram", "red.shared.add.u32 [%r8], 1;", 1, "{ .reg .u32 t; ld.shared.u32 t, [%r8]; add.u32 t, t, 1; st.shared.u32 [%r8], t; }", "race"},
	{"global counts not atomic", "histogram", "red.global.add.u32 [%rd14], %r11;", 1, "{ .reg .u32 t; ld.global.u32 t, [%rd14]; add.u32 t, t, %r11; st.global.u32 [%rd14], t; }", "race"},
	{"too many buckets", "histogram", "and.b32 	%r10, %r9, 63", 1, "and.b32 	%r10, %r9, 127", ""},

	{"barrier before the maxima missing", "softmax", barrierText, 1, "", "race"},
	{"barrier before the scratch is used again missing", "softmax", barrierText, 2, "", "race"},
	{"barrier before the sums missing", "softmax", barrierText, 3, "", "race"},
	{"one column too many", "softmax", "setp.lt.s32 	%p3, %r73, %r7", 1, "setp.le.s32 	%p3, %r73, %r7", ""},
	{"shuffle under divergence", "softmax", "$L__BB0_3:", 1, "setp.gt.u32 %p2, %r77, 3; @%p2 bra $L__BB0_4;\n$L__BB0_3:", ""},
	{"barrier in a divergent branch", "softmax", "@%p8 bra 	$L__BB0_9;", 1, "@%p8 bra 	$L__BB0_9; bar.sync 0;", "divergent"},
	{"barrier of fewer threads", "softmax", barrierText, 1, "bar.sync 0, 128;", ""},
	{"barrier of more threads", "softmax", barrierText, 3, "bar.sync 0, 512;", "deadlock"},
	{"barriers of two numbers", "softmax", barrierText, 2, "setp.lt.u32 %p2, %r77, 64; @%p2 bra two; bar.sync 0; bra.uni go; two: bar.sync 1; go:", ""},
	{"a warp leaves before the barrier", "softmax", barrierText, 3, "setp.lt.u32 %p2, %r77, 32; @%p2 ret; bar.sync 0;", ""},
	{"sum of the lanes above", "softmax", "shfl.sync.bfly.b32 %r53", 1, "shfl.sync.up.b32 %r53", "wrong"},
	{"stride of half a block", "softmax", "add.s32 	%r77, %r77, 256", 1, "add.s32 	%r77, %r77, 128", ""},

	{"barrier missing", "gemm", barrierText, 1, "", ""},
	{"waits for one group too few", "gemm", "cp.async.wait_group 1", 1, "cp.async.wait_group 2", ""},
	{"never waits", "gemm", "cp.async.wait_group 1", 1, "", ""},
	{"a group is not closed", "gemm", "cp.async.commit_group", 3, "", ""},
	{"no swizzle when reading", "gemm", "xor.b32 	%r78, %r62, %r63", 1, "mov.b32 	%r78, %r63", "wrong"},
	{"no swizzle when writing", "gemm", "xor.b32 	%r44, %r164, %r34", 1, "mov.b32 	%r44, %r34", "wrong"},
	{"a stage too early", "gemm", "add.s32 	%r102, %r104, 16384", 1, "add.s32 	%r102, %r104, 8192", ""},
	{"two stages", "gemm", "mul.lo.s32 	%r97, %r96, 24576", 1, "mul.lo.s32 	%r97, %r96, 16384", ""},
	{"rows of A for B", "gemm", "add.s32 	%r103, %r104, 20480", 1, "add.s32 	%r103, %r104, 16384", ""},
	{"half a tile stored", "gemm", "st.global.b32 	[%rd107+4], %r182", 1, "", "wrong"},
	{"a row of the result twice", "gemm", "st.global.b32 	[%rd98], %r167", 1, "st.global.b32 	[%rd97], %r167", "wrong"},
}

// plant makes the mutated text of an entry's module.
func (m *mutation) plant(t *testing.T, src string) string {
	t.Helper()
	at := strings.Index(src, ".entry "+m.problem+"(")
	require.GreaterOrEqual(t, at, 0)
	for range m.n {
		i := strings.Index(src[at+1:], m.old)
		require.GreaterOrEqual(t, i, 0, "the kernel has no %q", m.old)
		at += 1 + i
	}
	return src[:at] + m.new + src[at+len(m.old):]
}

func TestEveryPlantedBugIsCaught(t *testing.T) {
	for _, m := range mutations {
		t.Run(m.problem+"/"+m.name, func(t *testing.T) {
			for _, x := range ampere {
				p := x.make(t)
				if p.entry != m.problem {
					continue
				}
				err := p.run(kernel(t, m.plant(t, source(t, x.file)), p.entry), Options{Check: true, Steps: 1 << 20})
				if err != nil {
					t.Log(err)
					require.ErrorIs(t, err, ErrProgram)
					require.Contains(t, err.Error(), m.caught)
					return
				}
				require.NotEmpty(t, p.wrong(), "nobody noticed")
				require.Contains(t, []string{"wrong", ""}, m.caught)
				return
			}
			t.Fatal("no such problem")
		})
	}
}
