package interp

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// barrierKernel runs body in 64 threads with an mbarrier of count arrivals at [%r1], and stores %r9 of every thread at p0.
func barrierKernel(count, body string) string {
	return entry(64, 1, []string{".u64"}, ".shared .align 8 .b8 bar[16];\nld.param.u64 %rd0, [p0];\nmov.u32 %r0, %tid.x;\nmov.u64 %rd1, bar;\ncvt.u32.u64 %r1, %rd1;\n"+
		"mov.u32 %r9, 0;\nsetp.ne.u32 %p0, %r0, 0;\n@!%p0 mbarrier.init.shared::cta.b64 [%r1], "+count+";\nbar.sync 0;\n"+body+
		"\nmul.wide.u32 %rd2, %r0, 4;\nadd.u64 %rd0, %rd0, %rd2;\nst.global.u32 [%rd0], %r9;\n")
}

func runBarrier(t *testing.T, count, body string, o Options) ([]uint32, error) {
	t.Helper()
	r := newRig(t)
	out := r.empty(256)
	o.Workers, o.Steps = 1, 1<<20
	err := parse(t, barrierKernel(count, body)).Launch(r.h, [3]uint32{1, 1, 1}, [3]uint32{64, 1, 1}, 0, params(out), o)
	if err != nil {
		return nil, err
	}
	return r.wordsAt(out, 64), nil
}

func TestMbarrierInstructions(t *testing.T) {
	for _, x := range []struct{ name, count, body string }{
		{"arrivals with a state, waits for it", "64", `
			mbarrier.arrive.shared::cta.b64 %rd3, [%r1];
			A: mbarrier.test_wait.shared.b64 %p1, [%r1], %rd3; @!%p1 bra A;
			mbarrier.arrive.shared.b64 %rd4, [%r1];
			B: mbarrier.try_wait.acquire.cta.shared::cta.b64 %p1, [%r1], %rd4, 100; @!%p1 bra B;
			mov.u32 %r9, 1;`},
		{"generic addresses and counts", "128", `
			cvta.shared.u64 %rd5, %rd1;
			mbarrier.arrive.release.cta.b64 _, [%rd5], 2;
			A: mbarrier.try_wait.parity.b64 %p1, [%rd5], 0; @!%p1 bra A;
			mov.u32 %r9, 1;`},
		{"expected bytes that the program completes itself", "1", `
			@!%p0 mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%r1], 100;
			@!%p0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r1], 28;
			setp.eq.u32 %p2, %r0, 40;
			@%p2 mbarrier.complete_tx.relaxed.cluster.shared::cluster.b64 [%r1], 128;
			A: mbarrier.try_wait.parity.shared::cta.b64 %p1, [%r1], 0; @!%p1 bra A;
			mov.u32 %r9, 1;`},
		{"threads that drop out", "64", `
			setp.ge.u32 %p2, %r0, 48;
			@%p2 mbarrier.arrive_drop.shared::cta.b64 _, [%r1];
			@!%p2 mbarrier.arrive.shared::cta.b64 _, [%r1];
			A: mbarrier.try_wait.parity.shared::cta.b64 %p1, [%r1], 0; @!%p1 bra A;
			@%p2 bra E;
			mbarrier.arrive.shared::cta.b64 _, [%r1];
			B: mbarrier.try_wait.parity.shared::cta.b64 %p1, [%r1], 1; @!%p1 bra B;
			E: mov.u32 %r9, 1;`},
		{"no completion", "65", `
			mbarrier.arrive.noComplete.release.cta.shared::cta.b64 %rd3, [%r1], 1;
			bar.sync 0;
			@!%p0 mbarrier.arrive.shared::cta.b64 _, [%r1];
			A: mbarrier.test_wait.parity.shared::cta.b64 %p1, [%r1], 0; @!%p1 bra A;
			mov.u32 %r9, 1;`},
		{"memory used for another mbarrier", "64", `
			mbarrier.arrive.shared::cta.b64 _, [%r1];
			A: mbarrier.try_wait.parity.shared::cta.b64 %p1, [%r1], 0; @!%p1 bra A;
			bar.sync 0;
			@!%p0 mbarrier.inval.shared::cta.b64 [%r1];
			@!%p0 mbarrier.init.shared::cta.b64 [%r1], 2;
			bar.sync 0;
			and.b32 %r2, %r0, 31; setp.eq.u32 %p3, %r2, 5;
			@%p3 mbarrier.arrive.shared::cta.b64 _, [%r1];
			B: mbarrier.try_wait.parity.shared::cta.b64 %p1, [%r1], 0; @!%p1 bra B;
			bar.sync 0;
			@!%p0 mbarrier.inval.shared::cta.b64 [%r1];
			@!%p0 st.shared.u32 [%r1], 1;
			bar.sync 0;
			ld.shared.u32 %r9, [%r1];`},
	} {
		for _, o := range []Options{{}, {Check: true}, {Seed: 1}, {Check: true, Seed: 2}} {
			got, err := runBarrier(t, x.count, x.body, o)
			require.NoError(t, err, "%s %+v", x.name, o)
			for _, v := range got {
				require.Equal(t, uint32(1), v, x.name)
			}
		}
	}
}

func TestMbarrierInstructionsRefuseWhatIsUndefined(t *testing.T) {
	for _, x := range []struct{ name, count, body, want string }{
		{"count 0", "0", "", "0 expected arrivals"},
		{"misaligned", "1", "mbarrier.arrive.shared::cta.b64 _, [%r1+4];", "not a multiple of 8"},
		{"not initialised", "1", "mbarrier.arrive.shared::cta.b64 _, [%r1+8];", "it has not been initialised"},
		{"too many arrivals", "63", "mbarrier.arrive.shared::cta.b64 _, [%r1];", ""},
		{"arrival of nobody", "64", "mbarrier.arrive.shared::cta.b64 _, [%r1], 0;", "arrival count 0"},
		{"completes with noComplete", "64", "mbarrier.arrive.noComplete.shared::cta.b64 _, [%r1], 1;", "an arrival with .noComplete completed the phase"},
		{"wait for a foreign state", "64", "mov.u64 %rd3, 5; mbarrier.test_wait.shared::cta.b64 %p1, [%r1], %rd3;", "no state"},
		{"invalidated", "64", "@!%p0 mbarrier.inval.shared::cta.b64 [%r1]; bar.sync 0; mbarrier.arrive.shared::cta.b64 _, [%r1];", "it has not been initialised"},
		{"phase that nobody waited for", "32", "mbarrier.arrive.shared::cta.b64 _, [%r1];", "before any wait has seen"},
		{"never completes", "65", "mbarrier.arrive.shared::cta.b64 _, [%r1]; A: mbarrier.try_wait.parity.shared::cta.b64 %p1, [%r1], 0; @!%p1 bra A;",
			"wait for parity 0 of the mbarrier at shared 0x400 (phase 0, parity 0: 1 of 65 arrivals and 0 bytes pending)"},
		{"memory outside", "64", "mbarrier.arrive.shared::cta.b64 _, [%r1+65536];", "out of bounds"},
		{"address that is not shared", "64", "mbarrier.arrive.b64 _, [%rd0];", "is not in shared memory"},
		{"another block", "64", "mapa.shared::cluster.u32 %r2, %r1, 1;", "none of rank 1"},
	} {
		_, err := runBarrier(t, x.count, x.body, Options{Check: true})
		require.ErrorContains(t, err, x.want, x.name)
	}
	good := barrierKernel("64", "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r1], 16;")
	for _, x := range [][2]string{
		{"arrive.expect_tx.shared::cta.b64 _", "arrive.expect_tx.shared::cluster.b64 %rd3"}, {"expect_tx", "expect"}, {".b64 _", ".b32 _"}, {", 16;", ";"},
		{"mbarrier.init.shared::cta", "mbarrier.init.shared::cluster"}, {"arrive.expect_tx", "pending_count"},
	} {
		_, err := Parse(strings.Replace(good, x[0], x[1], 1))
		require.Error(t, err, x[1])
	}
}
