package interp

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// hopperBug is a bug planted in PTX: the n-th match of old (0: every one) after the entry's name becomes new. The checker must say
// what caught says; where it is "wrong", the text of a descriptor or address is legal but not meant, and the result must be wrong.
type hopperBug struct {
	name, old string
	n         int
	new       string
	caught    string
}

// plant makes the mutated text.
func (b *hopperBug) plant(t *testing.T, src, entry string) string {
	t.Helper()
	start := strings.Index(src, ".entry "+entry+"(")
	require.GreaterOrEqual(t, start, 0)
	end := start + strings.Index(src[start:], "\n}")
	body, count := src[start:end], 0
	re := regexp.MustCompile(b.old)
	planted := ""
	last := 0
	for _, m := range re.FindAllStringSubmatchIndex(body, -1) {
		if count++; b.n != 0 && count != b.n {
			continue
		}
		planted += body[last:m[0]] + string(re.ExpandString(nil, b.new, body, m))
		last = m[1]
	}
	require.Positive(t, last, "the kernel has no %d. %q", b.n, b.old)
	return src[:start] + planted + body[last:] + src[end:]
}

// A wait for an mbarrier, and one that is always over.
const (
	tryWait   = `mbarrier\.try_wait\S+ p, \[(%r\d+)\], (%r\d+);`
	waitEnded = `setp.eq.u32 p, 0, 0;`
)

// The waits of gemm, in the order of its text: the consumers', the producer's, and its last three.
var gemmBugs = []hopperBug{
	{"no fence between threads' writes and the TMA store", `fence\.proxy\.async\.shared::cta;`, 1, ``, "without a fence.proxy.async after it"},
	{"fence for global memory only", `fence\.proxy\.async\.shared::cta;`, 1, `fence.proxy.async.global;`, "without a fence.proxy.async after it"},
	{"fence after the barrier, by one thread", `(?s)fence\.proxy\.async\.shared::cta;(.*?)(cp\.async\.bulk\.tensor\.2d\.global)`, 1, `$1 fence.proxy.async.shared::cta; $2`, "without a fence.proxy.async after it"},
	{"no barrier before the TMA store", `bar\.sync %r\d+, 128;`, 1, ``, "with no synchronisation between"},
	{"no wait until the store has read", `cp\.async\.bulk\.wait_group\.read 0;`, 1, ``, "cp.async.bulk.wait_group.read is missing"},
	{"waits for one store too few", `cp\.async\.bulk\.wait_group\.read 0;`, 1, `cp.async.bulk.wait_group.read 1;`, "cp.async.bulk.wait_group.read is missing"},
	{"store not committed", `cp\.async\.bulk\.commit_group;`, 1, ``, "without having committed its bulk store"},
	{"store to the left of the matrix", `(cp\.async\.bulk\.tensor\.2d\.global\S+ \[%rd\d+, \{)%r\d+(.*;)`, 1, `{ .reg .b32 q; mov.u32 q, -64; ${1}q$2 }`, "coordinate 0 is -64"},
	{"store at an odd place", `(cp\.async\.bulk\.tensor\.2d\.global\S+ \[%rd\d+, \{)%r\d+(.*;)`, 1, `{ .reg .b32 q; mov.u32 q, 5; ${1}q$2 }`, "a box must begin at a multiple of 16 bytes"},

	{"no wgmma.fence", `wgmma\.fence\.sync\.aligned;`, 1, ``, "needs a wgmma.fence before it"},
	{"accumulators touched after wgmma.fence", `wgmma\.fence\.sync\.aligned;`, 1, `wgmma.fence.sync.aligned; mov.b32 %r170, %r170;`, ""},
	{"a group too few waited for", `wgmma\.wait_group\.sync\.aligned 1;`, 1, `wgmma.wait_group.sync.aligned 2;`, "which the wgmma of warpgroup"},
	{"stage released without a wait", `wgmma\.wait_group\.sync\.aligned 1;`, 1, ``, "which the wgmma of warpgroup"},
	{"accumulators read in flight", `wgmma\.wait_group\.sync\.aligned 0;`, 1, `wgmma.wait_group.sync.aligned 1;`, "an accumulator of a wgmma under way"},
	{"groups not committed", `wgmma\.commit_group\.sync\.aligned;`, 1, ``, ""},
	{"stride of 512 bytes between groups of rows", `4611686293305360384`, 1, fmt.Sprint(uint64(1<<62 | 32<<32 | 1<<16)), "the stride dimension byte offset 512 is not a multiple of the 1024 bytes"},
	{"stride of 2048 bytes between groups of rows", `4611686293305360384`, 2, fmt.Sprint(uint64(1<<62 | 128<<32 | 1<<16)), ""},
	{"stride of 0 between groups of rows", `4611686293305360384`, 2, fmt.Sprint(uint64(1<<62 | 1<<16)), "make parts of the matrix overlap"},
	{"descriptor with 64-byte swizzle", `4611686293305360384`, 1, fmt.Sprint(uint64(2<<62 | 64<<32 | 1<<16)), "the descriptor says 64-byte swizzle, but"},
	{"descriptor without swizzle", `4611686293305360384`, 1, fmt.Sprint(uint64(64<<32 | 512<<16)), "the descriptor says no swizzle, but"},
	{"descriptor with a base offset", `4611686293305360384`, 1, fmt.Sprint(uint64(1<<62 | 64<<32 | 1<<16 | 1<<49)), "base offset 1"},
	{"address not masked", `4611686293305360384`, 1, fmt.Sprint(uint64(1<<62 | 64<<32 | 1<<16 | 1<<14)), "reserved bits"},
	{"half of a pattern off", `bfe\.u32 \s*(%r\d+), (%r\d+), 4, 14;`, 1, `bfe.u32 $1, $2, 4, 14; add.u32 $1, $1, 32;`, "into a pattern"},
	{"k step of 64 bytes", `65538`, 1, `65540`, "wrong"},
	{"k step left out", `65538`, 2, `65536`, "wrong"},

	{"consumers do not wait for the copies", tryWait, 1, waitEnded, "the wait for it is missing"},
	{"consumers wait with the wrong parity", tryWait, 1, `{ .reg .b32 q; xor.b32 q, $2, 1; mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [$1], q; }`, "the wait for it is missing"},
	{"producer does not wait for empty stages", tryWait, 2, waitEnded, ""},
	{"producer waits with the wrong parity", tryWait, 2, `{ .reg .b32 q; xor.b32 q, $2, 1; mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [$1], q; }`, "deadlock: no warp can go on"},
	{"relaxed arrival", `mbarrier\.arrive\.release\.cluster\.shared::cluster`, 0, `mbarrier.arrive.relaxed.cluster.shared::cluster`, "with no synchronisation between"},
	{"fewer bytes expected", `mov\.b32 (\s*%r\d+), 24576;`, 1, `mov.b32 $1, 20480;`, "it expected too few bytes"},
	{"more bytes expected", `mov\.b32 (\s*%r\d+), 24576;`, 1, `mov.b32 $1, 24592;`, "0 of 1 arrivals and 16 bytes pending"},
	{"far too many bytes expected", `mov\.b32 (\s*%r\d+), 24576;`, 1, `mov.b32 $1, 1048576;`, "the count ends at 1048575"},
	{"bytes expected twice", `mbarrier\.arrive\.expect_tx\.(\S+) _, (\[%r\d+\], %r\d+);`, 1, `mbarrier.expect_tx.relaxed.cta.$1 $2; mbarrier.arrive.expect_tx.$1 _, $2;`, "24576 bytes pending"},
	{"multicast to one block", `mov\.b16 (\s*%rs1), 3;`, 1, `mov.b16 $1, 1;`, "deadlock"},
	{"multicast to the other block only", `mov\.b16 (\s*%rs1), 3;`, 1, `{ .reg .b32 r, s; mov.u32 r, %cluster_ctarank; mov.u32 s, 2; shr.u32 s, s, r; cvt.u16.u32 $1, s; }`, "deadlock"},
	{"multicast to a block too many", `mov\.b16 (\s*%rs1), 3;`, 1, `mov.b16 $1, 7;`, "multicast to the blocks 0x7 of a cluster of 2"},
	{"multicast to nobody", `mov\.b16 (\s*%rs1), 3;`, 1, `mov.b16 $1, 0;`, "multicast to the blocks 0x0"},
	{"both halves in one place", `shl\.b32 (\s*%r\d+, %r\d+), 12;`, 1, `shl.b32 $1, 11;`, "race: overwrites shared memory"},
	{"destination misaligned", `(cp\.async\.bulk\.tensor\.2d\.shared::cluster\.global\.mbarrier::complete_tx::bytes) \[(%r\d+)\]`, 1, `add.u32 $2, $2, 64; $1 [$2]`, "is not a multiple of 128"},
	{"destination outside", `(cp\.async\.bulk\.tensor\.2d\.shared::cluster\.global\.mbarrier::complete_tx::bytes) \[(%r\d+)\]`, 1, `add.u32 $2, $2, 131072; $1 [$2]`, "out of bounds"},
	{"copy completes at the other barrier", `(\}\], \[)(%r\d+)(\];)`, 1, `$1$2+24$3`, ""},
	{"copy completes at no barrier", `(\}\], \[)(%r\d+)(\];)`, 1, `$1$2+48$3`, "there is no mbarrier"},
	{"tensor map of the wrong rank", `(bulk\.tensor\.)2d(\.shared::cluster\.global\.mbarrier::complete_tx::bytes \[%r\d+\], \[%rd\d+, \{%r\d+),%r\d+`, 1, `${1}1d$2`, "a copy of 1 dimensions with a tensor map of 2"},
	{"not a tensor map", `mov\.b64 (\s*%rd\d+), gemm_param_0;`, 1, `mov.b64 $1, gemm_param_0+64;`, "are not a tensor map"},

	{"mbarriers not fenced", `fence\.mbarrier_init\.release\.cluster;`, 1, ``, "without a fence.mbarrier_init"},
	{"one arrival too many expected", `(mov\.b32 \s*%r\d+), 4;`, 1, `$1, 5;`, "1 of 5 arrivals and 0 bytes pending"},
	{"one arrival too few expected", `(mov\.b32 \s*%r\d+), 4;`, 1, `$1, 3;`, ""},
	{"mbarrier initialised twice", `(mbarrier\.init\.shared::cta\.b64 \[%r\d+\], %r\d+;)`, 2, `$1 $1`, "there is an mbarrier"},
	{"blocks do not wait for each other at first", `barrier\.cluster\.(arrive\.release|wait\.acquire)\.aligned;`, 0, ``, ""},
	{"relaxed arrival at the cluster's barrier", `barrier\.cluster\.arrive\.release\.aligned;`, 1, `barrier.cluster.arrive.relaxed.aligned;`, "with no synchronisation between"},
	{"waits at the cluster's barrier without arriving", `barrier\.cluster\.arrive\.release\.aligned;`, 1, ``, "without having arrived"},
	{"arrives at the cluster's barrier twice", `(barrier\.cluster\.arrive\.release\.aligned;)`, 1, `$1 $1`, "arrived at the cluster's barrier before"},
	{"producer does not wait for the last arrivals", `(?s)(multicast::cluster.*?)mbarrier\.try_wait[^;]*;(.*?)mbarrier\.try_wait[^;]*;(.*?)mbarrier\.try_wait[^;]*;`, 1,
		`$1 setp.eq.u32 p, 0, 0; $2 setp.eq.u32 p, 0, 0; $3 setp.eq.u32 p, 0, 0;`, "the block ends while warp"},
	{"more registers than there are", `(setmaxnreg\.inc\.sync\.aligned\.u32) 240;`, 1, `$1 248;`, "for 2560 registers of which 512 are free"},
	{"registers not given back", `setmaxnreg\.dec\.sync\.aligned\.u32 24;`, 1, ``, "registers of which 0 are free"},
	{"giving back registers that it has not", `(setmaxnreg\.dec\.sync\.aligned\.u32) 24;`, 1, `$1 184;`, "setmaxnreg.dec to 184 registers of a thread that has 168"},
}

func TestHopperGEMMBugsAreCaught(t *testing.T) {
	src := hopperSource(t, "gemm.ptx")
	for _, b := range gemmBugs {
		t.Run(b.name, func(t *testing.T) {
			m, err := Parse(b.plant(t, src, "gemm"))
			require.NoError(t, err)
			g := newHopperGEMM(t, 384)
			err = g.launch(m.Kernels["gemm"], Options{Check: true, Steps: 1 << 22})
			t.Log(err)
			if b.caught == "wrong" {
				require.NoError(t, err)
				require.False(t, reflect.DeepEqual(g.want, g.result()), "nobody noticed")
				return
			}
			require.ErrorIs(t, err, ErrProgram)
			require.ErrorContains(t, err, b.caught)
		})
	}
}

// asyncBugs are bugs in testdata/hopper/async.cu, by kernel.
var asyncBugs = map[string][]hopperBug{
	"pipeline__groups": {
		{"waits for one group too few", `cp\.async\.wait_group 2;`, 1, `cp.async.wait_group 3;`, "which an asynchronous copy has written"},
		{"does not wait", `cp\.async\.wait_group 2;`, 1, ``, "which an asynchronous copy has written"},
		{"no barrier", `bar\.sync \s*0;`, 1, ``, "with no synchronisation between"},
		{"a group is not closed", `cp\.async\.commit_group;`, 2, ``, "which an asynchronous copy has written"},
		{"copies are overwritten", `(cp\.async\.cg\.shared\.global \[)(%r\d+)(\], \[%rd\d+\], 16, %r\d+;)`, 2, `$1$2-2048$3`, "with no synchronisation between"},
		{"misaligned", `(cp\.async\.cg\.shared\.global \[)(%r\d+)(\], \[%rd\d+\], 16, %r\d+;)`, 2, `$1$2+8$3`, "is not a multiple of 16 bytes"},
		{"reads beyond the source", `(cp\.async\.cg\.shared\.global \[%r\d+\], \[)(%rd\d+)`, 4, `$1$2+4096`, "global access"},
	},
	"pipeline__mbarrier": {
		{"arrival that counts itself", `cp\.async\.mbarrier\.arrive\.noinc`, 0, `cp.async.mbarrier.arrive`, "arrivals and 0 bytes pending"},
		{"does not wait for the copies", tryWait, 1, waitEnded, "which an asynchronous copy has written"},
		{"does not wait for the readers", tryWait, 2, waitEnded, ""},
		{"readers do not arrive", `mbarrier\.arrive\.shared::cta\.b64 _, \[%r\d+\];`, 1, ``, "128 of 128 arrivals and 0 bytes pending"},
		{"readers arrive twice", `(mbarrier\.arrive\.shared::cta\.b64 _, \[%r\d+\];)`, 1, `$1 $1`, ""},
		{"arrival before the copy", `(?s)(cp\.async\.cg\.shared\.global [^;]*;)(.*?)(cp\.async\.mbarrier\.arrive\.noinc\.shared::cta\.b64 \[%r\d+\];)`, 1, `$3 $1 $2`, "which an asynchronous copy has written"},
		{"mbarriers used before they are initialised", `bar\.sync \s*0;`, 1, ``, "mbarrier"},
		{"an mbarrier is read", `(mbarrier\.arrive\.shared::cta\.b64 _, \[(%r\d+)\];)`, 1, `$1 { .reg .b32 q; ld.shared.b32 q, [$2]; }`, "an mbarrier"},
		{"an mbarrier is overwritten", `(mbarrier\.arrive\.shared::cta\.b64 _, \[(%r\d+)\];)`, 1, `$1 { .reg .b32 q; mov.u32 q, 0; st.shared.b32 [$2], q; }`, "an mbarrier"},
	},
	"bulk__all": {
		{"reads what it has just written", `(cp\.async\.bulk\.shared::cluster\.global\S+ \[%r\d+\], \[(%rd\d+)\])`, 1, `{ .reg .b32 q; ld.global.u32 q, [$2]; st.global.u32 [$2], q; } $1`, "without a fence.proxy.async after it"},
		{"reads what it has just written, after a fence for shared memory", `(cp\.async\.bulk\.shared::cluster\.global\S+ \[%r\d+\], \[(%rd\d+)\])`, 1,
			`{ .reg .b32 q; ld.global.u32 q, [$2]; st.global.u32 [$2], q; fence.proxy.async.shared::cta; } $1`, "without a fence.proxy.async after it"},
		{"no fence before the stores", `fence\.proxy\.async\.shared::cta;`, 1, ``, "without a fence.proxy.async after it"},
		{"no barrier before the stores", `bar\.sync \s*0;`, 2, ``, "with no synchronisation between"},
		{"does not wait for the load", tryWait, 1, waitEnded, "which an asynchronous copy has written"},
		{"does not wait for the stores", `cp\.async\.bulk\.wait_group 0;`, 1, ``, "wait_group.read is missing"},
		{"odd size", `(cp\.async\.bulk\.global\.shared::cta\.bulk_group \[%rd\d+\], \[%r\d+\], )(%r\d+);`, 1, `{ .reg .b32 q; add.u32 q, $2, 8; ${1}q; }`, "a multiple of 16 expected"},
		{"source misaligned", `(cp\.async\.bulk\.global\.shared::cta\.bulk_group \[%rd\d+\], \[%r\d+)`, 1, `$1+8`, "is not a multiple of 16"},
		{"stores too much", `(cp\.async\.bulk\.global\.shared::cta\.bulk_group \[%rd\d+)`, 1, `$1+16`, "global access out of bounds"},
		{"changed while it is stored", `(cp\.async\.bulk\.wait_group 0;)`, 1, `{ .reg .b32 q; mov.u32 q, 0; st.shared.b32 [buffer], q; } $1`, "which the bulk store of thread 0"},
		{"result read before the stores are over", `(cp\.async\.bulk\.commit_group;)`, 1, `$1 cp.async.bulk.wait_group.read 0; ld.global.u32 %r15, [%rd7];`, "nobody has written"},
	},
	"cluster__exchange": {
		{"no barrier at first", `barrier\.cluster\.(arrive\.release|wait\.acquire)\.aligned;`, 1, ``, "without having arrived"},
		{"no barriers", `barrier\.cluster\.(arrive\.release|wait\.acquire)\.aligned;`, 0, ``, "may not have started"},
		{"relaxed barrier", `barrier\.cluster\.arrive\.release\.aligned;`, 2, `barrier.cluster.arrive.relaxed.aligned;`, ""},
		{"no such block", `mapa\.shared::cluster\.u32 (%r\d+), (%r\d+), (%r\d+);`, 1, `mapa.shared::cluster.u32 $1, $2, 4;`, "none of rank 4"},
		{"address of the cluster for the block", `st\.shared::cluster\.u32`, 1, `st.shared::cta.u32`, "reaches only the block's own memory"},
		{"beyond the other's memory", `st\.shared::cluster\.u32 \[(%r\d+)\]`, 1, `st.shared::cluster.u32 [$1+16384]`, "out of bounds"},
	},
	"cluster__signal": {
		{"wait without cluster scope", `try_wait\.parity\.acquire\.cluster`, 0, `try_wait.parity.acquire.cta`, "with no synchronisation between"},
		{"relaxed wait", `try_wait\.parity\.acquire\.cluster`, 0, `try_wait.parity.relaxed.cluster`, "with no synchronisation between"},
		{"arrival without cluster scope", `mbarrier\.arrive\.release\.cluster\.shared::cluster`, 0, `mbarrier.arrive.shared::cluster`, "with no synchronisation between"},
		{"relaxed arrival", `mbarrier\.arrive\.release\.cluster\.shared::cluster`, 0, `mbarrier.arrive.relaxed.cluster.shared::cluster`, "with no synchronisation between"},
		{"arrives before it writes", `(?s)(st\.shared::cluster\.u32 [^;]*;)(.*?)(mbarrier\.arrive\.release[^;]*;)`, 1, `$2 $3 $1`, ""},
		{"does not wait", tryWait, 0, waitEnded, ""},
	},
	"cluster__reduce": {
		{"no fence before the reduction", `fence\.proxy\.async\.shared::cta;`, 1, ``, "without a fence.proxy.async after it"},
		{"multicast to one block", `(1024, \[%r\d+\]), %rs\d+;`, 1, `$1, 1;`, "1024 bytes pending"},
		{"too few bytes expected", `mov\.b32 (\s*%r\d+), 1024;`, 1, `mov.b32 $1, 512;`, "bytes pending"},
	},
	"cluster__send": {
		{"no fence before the copy", `fence\.proxy\.async\.shared::cta;`, 1, ``, "without a fence.proxy.async after it"},
		{"completes at the sender's barrier", `mapa\.shared::cluster\.u32 (%r\d+), (%r\d+), %r\d+;`, 2, `mov.u32 $1, $2;`, "the mbarrier belongs to the block of rank 0"},
		{"to the block itself", `mapa\.shared::cluster\.u32 (%r\d+), (%r\d+), %r\d+;`, 0, `mov.u32 $1, $2;`, "must be in the shared memory of another block"},
		{"does not wait", tryWait, 0, waitEnded, ""},
	},
}

func TestAsynchronousCopyBugsAreCaught(t *testing.T) {
	src := hopperSource(t, "async.ptx")
	words := make([]uint32, 512*6)
	for kernel, bugs := range asyncBugs {
		for _, b := range bugs {
			t.Run(kernel+"/"+b.name, func(t *testing.T) {
				m, err := Parse(b.plant(t, src, kernel))
				require.NoError(t, err)
				k, r := m.Kernels[kernel], newRig(t)
				var p []byte
				grid := [3]uint32{1, 1, 1}
				switch kernel {
				case "bulk__all":
					p = params(r.empty(1024), r.words(words[:256]), r.bytes(make([]byte, 1024)), r.words(words[:256]), r.words(words[:256]), int32(1024))
				case "cluster__exchange":
					p, grid[0] = params(r.empty(1024)), 4
				case "cluster__reduce":
					p, grid[0] = params(r.empty(2048), r.words(words[:256])), 2
				case "cluster__send", "cluster__signal":
					p, grid[0] = params(r.empty(2048)), 2
				default:
					p = params(r.empty(2048), r.words(words), int32(6))
				}
				err = k.Launch(r.h, grid, [3]uint32{uint32(k.Threads), 1, 1}, 2048, p, Options{Check: true, Workers: 1, Steps: 1 << 20})
				t.Log(err)
				require.ErrorIs(t, err, ErrProgram)
				require.ErrorContains(t, err, b.caught)
			})
		}
	}
}

// Bugs around one wgmma whose operands threads have written; a letter r marks those with A in registers.
func TestWgmmaBugsAreCaught(t *testing.T) {
	const wait, multiply = `wgmma\.wait_group\.sync\.aligned 0;`, `(wgmma\.mma_async[^;]*;)`
	for _, b := range []hopperBug{
		{"no fence between threads' writes and wgmma", `fence\.proxy\.async;`, 1, ``, "without a fence.proxy.async after it"},
		{"cp.async after the fence", `fence\.proxy\.async;`, 1, `fence.proxy.async; cp.async.cg.shared.global [%r1], [%rd0], 16; cp.async.wait_all;`, "without a fence.proxy.async after it"},
		{"cp.async not waited for", `fence\.proxy\.async;`, 1, `cp.async.cg.shared.global [%r1], [%rd0], 16; cp.async.commit_group; fence.proxy.async;`, "which an asynchronous copy has written"},
		{"no barrier between them", `bar\.sync 0;`, 1, ``, "that nobody has written"},
		{"accumulator set after the fence", `(wgmma\.fence\.sync\.aligned;)`, 1, `$1 mov.f32 %f3, %f2;`, "register %f2, an accumulator, has been used since"},
		{"accumulator read in flight", wait, 1, `mov.f32 %f100, %f3; wgmma.wait_group.sync.aligned 0;`, "reads register %f3, an accumulator of a wgmma under way"},
		{"accumulator written in flight", wait, 1, `mov.f32 %f3, %f100; wgmma.wait_group.sync.aligned 0;`, ""},
		{"operand overwritten in flight", wait, 1, `bar.sync 0; st.shared.b32 [dynamic+16], %r0; wgmma.wait_group.sync.aligned 0;`, "which the wgmma of warpgroup 0"},
		{"r: operand written in flight", wait, 1, `mov.b32 %r21, 0; wgmma.wait_group.sync.aligned 0;`, "writes register %r21, an operand of a wgmma under way"},
		{"r: operand set after the fence", `(wgmma\.fence\.sync\.aligned;)`, 1, `$1 mov.b32 %r22, 0;`, "register %r22, an operand, has been used since"},
		{"not waited for", wait, 1, `wgmma.wait_group.sync.aligned 1;`, "an accumulator of a wgmma under way"},
		{"not committed", `wgmma\.commit_group\.sync\.aligned;`, 1, ``, "an accumulator of a wgmma under way"},
		{"second product without a fence after the first is read", wait, 1, `wgmma.wait_group.sync.aligned 0; mov.f32 %f100, %f3; AGAIN wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0;`,
			"has been used since the last wgmma.fence"},
		{"accumulators not set", `ld\.global\.f32 %f2, [^;]*;`, 1, ``, "accumulator %f2 has not been written"},
		{"operand not written", `st\.shared\.v4\.b32 \[%r1\+2048\][^;]*;`, 1, ``, "nobody has written"},
		{"half of the warpgroup", multiply, 1, `setp.lt.u32 %p5, %r0, 64; @%p5 $1`, "until all warps of the warpgroup have issued the wgmma"},
	} {
		t.Run(b.name, func(t *testing.T) {
			name, fromRegisters := strings.CutPrefix(b.name, "r: ")
			flags := "1, 1, 0, 0"
			if fromRegisters {
				flags = "1, 1, 0"
			}
			src := productKernel(16, "bf16", fromRegisters, flags)
			again := regexp.MustCompile(`wgmma\.mma_async[^;]*;`).FindString(src)
			src = strings.Replace(b.plant(t, src, "k"), "AGAIN", again, 1)
			r := newRig(t)
			a := descriptor(reservedShared, 16, 1024, swizzle128)
			if fromRegisters {
				a = r.bytes(make([]byte, 2048))
			}
			p := params(r.bytes(make([]byte, 32<<10)), r.bytes(make([]byte, 4096)), r.empty(4096), a, descriptor(reservedShared+8192, 16, 1024, swizzle128), uint32(1))
			err := parse(t, src).Launch(r.h, [3]uint32{1, 1, 1}, [3]uint32{128, 1, 1}, 32<<10, p, Options{Workers: 1, Check: true})
			t.Log(name, err)
			require.ErrorIs(t, err, ErrProgram)
			require.ErrorContains(t, err, b.caught)
		})
	}
}
