package interp

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// In a block of 64 threads with 1 KB of shared memory at dyn; %r3 is the thread's own word there.
const ownWord = "shl.b32 %r2, %r0, 2; mov.b32 %r3, dyn; add.u32 %r3, %r3, %r2; setp.lt.u32 %p1, %r0, 32; and.b32 %r4, %r0, 31;"

func TestTheCheckerNamesWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"ld.shared.b32 %r1, [%r3];":                                               "nobody has written",
		"st.shared.b16 [%r3], 1; ld.shared.b32 %r1, [%r3];":                       "nobody has written",
		"st.shared.b32 [%r3+2], 1;":                                               "not a multiple of the 4 bytes",
		"ld.shared.b32 %r1, [%r3+1024];":                                          "out of bounds at offset 1024 of 1024",
		"ld.shared.b32 %r1, [%r3+-4];":                                            "out of bounds at offset -4",
		"ld.global.b32 %r1, [%rd1];":                                              "nobody has written",
		"ld.global.b32 %r1, [%rd1+-4];":                                           "4 bytes before allocation 1 of 256 bytes",
		"ld.global.b32 %r1, [%rd1+256];":                                          "offset 256 of allocation 1",
		"ld.global.b32 %r1, [%r9];":                                               "no allocation is there",
		"mov.u64 %rd5, n; cvta.param.u64 %rd5, %rd5; st.b32 [%rd5], 1;":           "writes a parameter",
		"ld.local.b32 %r1, [8];":                                                  "local memory out of bounds",
		"st.global.b32 [%rd1], %r0;":                                              "race: writes offset 0 of allocation 1, which thread 0 has written at line 10",
		"st.shared.b32 [dyn], %r0;":                                               "race: writes shared memory at offset 0, which thread 0 has written",
		"st.shared.b32 [%r3], %r0; ld.shared.b32 %r1, [dyn+8];":                   "race: reads shared memory at offset 8, which thread 2 has written at line 10",
		"st.shared.b32 [%r3], %r0; bar.warp.sync -1; ld.shared.b32 %r1, [dyn+8];": "thread 32: race: reads shared memory at offset 8, which thread 2",
		"st.shared.b32 [%r3], %r0; bar.sync 0; ld.shared.b32 %r1, [dyn]; st.shared.b32 [%r3], 1;":               "thread 0: race: writes shared memory at offset 0, which thread 31 has read",
		"st.shared.b32 [%r3], 1; bar.sync 0; @%p1 red.shared.add.u32 [dyn], 1; @!%p1 ld.shared.b32 %r1, [dyn];": "race",
		"@%p1 st.global.b32 [%rd1], 5; ld.global.b32 %r1, [%rd1];":                                              "race",
		"add.u32 %r1, %r50, 1; bar.sync 0;":                                                                     "register %r1 has not been written",
		"@%p5 mov.b32 %r1, 1;":                                                                                  "predicate has not been set",
		"@%p1 mov.b32 %r50, 1; mov.b32 %r51, %r50; st.shared.b32 [%r3], %r51;":                                  "thread 32: register %r51 has not been written",
		"selp.b32 %r51, %r50, 1, %p1; st.shared.b32 [%r3], %r51;":                                               "thread 0: register %r51",
	} {
		_, err := perThread(t, 64, ownWord+"\n"+text, 0, Options{Check: true, Workers: 1})
		require.ErrorIs(t, err, ErrProgram, text)
		assert.ErrorContains(t, err, want, text)
	}
}

func TestTheCheckerIsContentWithOrderedPrograms(t *testing.T) {
	for _, text := range []string{
		"st.shared.b32 [%r3], %r0; bar.warp.sync -1; xor.b32 %r2, %r2, 12; mov.b32 %r5, dyn; add.u32 %r5, %r5, %r2; ld.shared.b32 %r1, [%r5];",
		"st.shared.b32 [%r3], %r0; bar.sync 0; ld.shared.b32 %r1, [dyn+16]; bar.sync 0; st.shared.b32 [%r3], 3; ld.shared.b32 %r1, [%r3];",
		"st.shared.b32 [%r3], 1; bar.sync 0; red.shared.add.u32 [dyn], 1; bar.sync 0; ld.shared.b32 %r1, [dyn];",
		"selp.b32 %r51, 1, %r50, %p1; selp.b32 %r1, %r51, 2, %p1;", // the unwritten one is not chosen
		"add.u32 %r51, %r50, 1; mov.b64 %rd9, {%r51, %r51};",       // and here nobody uses it
		"st.shared.b8 [%r3], 1; st.shared.b8 [%r3+1], 2; ld.shared.b16 %h1, [%r3]; cvt.u32.u16 %r1, %h1;",
		"@%p1 st.shared.b32 [%r3], 4; bar.sync 0; @!%p1 ld.shared.b32 %r1, [%r3+-128]; bar.sync 0; @%p1 st.shared.b32 [%r3], 5;",
	} {
		for seed := range uint64(3) {
			_, err := perThread(t, 64, ownWord+text, 0, Options{Check: true, Seed: seed})
			require.NoError(t, err, text)
		}
	}
}

func TestBlocksMustNotRace(t *testing.T) {
	run := func(text string, workers int) error {
		m, err := Parse(body("ld.param.u64 %rd1, [out]; mov.u32 %r1, %ctaid.x; mov.u32 %r2, %tid.x; mad.lo.u32 %r3, %r1, 32, %r2; mul.wide.u32 %rd2, %r3, 4; add.s64 %rd3, %rd1, %rd2;\n" + text))
		require.NoError(t, err)
		h := NewHeap(1 << 20)
		out := upload(t, h, make([]float32, 32*8))
		return m.Kernels["k"].Launch(h, x1(8), x1(32), 0, args(out, int32(0)), Options{Check: true, Workers: workers})
	}
	for _, workers := range []int{1, 4} {
		require.NoError(t, run("st.global.b32 [%rd3], 1; ld.global.b32 %r4, [%rd3];", workers))
		require.NoError(t, run("ld.global.nc.b32 %r4, [%rd1]; ld.global.b32 %r5, [%rd3];", workers))
		require.NoError(t, run("red.global.add.u32 [%rd1], 1;", workers))
		require.ErrorContains(t, run("setp.eq.u32 %p1, %r2, 0; @%p1 st.global.b32 [%rd1], %r1;", workers), "race")
		require.ErrorContains(t, run("ld.global.b32 %r4, [%rd1]; st.global.b32 [%rd3], 1;", workers), "race")
		require.ErrorContains(t, run("red.global.add.u32 [%rd1], 1; ld.global.b32 %r4, [%rd1];", workers), "race")
	}
}

func TestCountersOfMemoryTraffic(t *testing.T) {
	count := func(text string) *Stats {
		s := &Stats{}
		_, err := perThread(t, 64, ownWord+text+" mov.b32 %r1, 0;", 0, Options{Stats: s})
		require.NoError(t, err)
		return s
	}
	s := count("")
	require.EqualValues(t, 2, s.GlobalStores)
	require.EqualValues(t, 8, s.GlobalStoreSectors)
	require.EqualValues(t, 256, s.GlobalBytesWritten)
	require.Zero(t, s.GlobalLoads)
	require.EqualValues(t, 4, s.Instructions["shl.b32"]+s.Instructions["setp.lt.u32"])
	// a word of each 16 bytes from a 256-byte block, every lane of a half warp the same
	s = count("and.b32 %r5, %r0, 15; mul.wide.u32 %rd3, %r5, 16; add.s64 %rd3, %rd1, %rd3; ld.global.b32 %r1, [%rd3];")
	require.EqualValues(t, 2, s.GlobalLoads)
	require.EqualValues(t, 16, s.GlobalLoadSectors)
	require.EqualValues(t, 256, s.GlobalBytesRead)
	// shared memory: no conflict, 2-way, 32-way, one word for all, 16 bytes per lane
	for text, want := range map[string][2]int64{
		"st.shared.b32 [%r3], 1;": {2, 2},
		"shl.b32 %r5, %r4, 3; mov.b32 %r6, dyn; add.u32 %r6, %r6, %r5; st.shared.b32 [%r6], 1;":                                                {4, 2},
		"mul.lo.u32 %r5, %r0, 4; and.b32 %r5, %r5, 7; shl.b32 %r5, %r5, 7; mov.b32 %r6, dyn; add.u32 %r6, %r6, %r5; ld.shared.b32 %r1, [%r6];": {4, 2},
		"ld.shared.b32 %r1, [dyn];": {2, 2},
		"shl.b32 %r5, %r0, 4; mov.b32 %r6, dyn; add.u32 %r6, %r6, %r5; ld.shared.v4.b32 {%r1, %r7, %r8, %r10}, [%r6];": {8, 8},
		"shl.b32 %r5, %r4, 5; mov.b32 %r6, dyn; add.u32 %r6, %r6, %r5; ld.shared.v2.b32 {%r1, %r7}, [%r6];":            {16, 4},
	} {
		s := count(text)
		require.Equal(t, want, [2]int64{s.SharedWavefronts, s.SharedIdeal}, text)
		require.EqualValues(t, 2, s.SharedRequests)
	}
}
