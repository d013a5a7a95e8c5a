package interp

import (
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestShufflesMoveValuesBetweenLanes(t *testing.T) {
	const member = "0xffffffff"
	value := func(i int) uint32 { return uint32(i)*3 + 1 } // what lane i holds
	set := "mad.lo.u32 %r2, %r0, 3, 1;"
	for _, x := range []struct {
		text string
		from func(lane int) (int, bool)
	}{
		{"bfly.b32 %r1|%p1, %r2, 5, 0x1f", func(l int) (int, bool) { return l ^ 5, true }},
		{"bfly.b32 %r1|%p1, %r2, 9, 0x1807", func(l int) (int, bool) { return l ^ 9, l^9 <= l&24|7 }},
		{"up.b32 %r1|%p1, %r2, 3, 0", func(l int) (int, bool) { return l - 3, l >= 3 }},
		{"up.b32 %r1|%p1, %r2, 3, 0x1800", func(l int) (int, bool) { return l - 3, l&7 >= 3 }},
		{"down.b32 %r1|%p1, %r2, 4, 0x1f", func(l int) (int, bool) { return l + 4, l+4 <= 31 }},
		{"down.b32 %r1|%p1, %r2, 2, 0x1c03", func(l int) (int, bool) { return l + 2, l&3+2 <= 3 }},
		{"idx.b32 %r1|%p1, %r2, 6, 0x1f", func(l int) (int, bool) { return 6, true }},
		{"idx.b32 %r1|%p1, %r2, 13, 0x180f", func(l int) (int, bool) { return l&24 | 5, l&24|5 <= l&24|7 }},
	} {
		results(t, 64, set+"shfl.sync."+x.text+", "+member+"; selp.b32 %r3, 1000, 0, %p1; add.u32 %r1, %r1, %r3;", 0, func(i int) uint32 {
			from, ok := x.from(i % 32)
			if !ok {
				return value(i)
			}
			return value(i/32*32+from) + 1000
		})
	}
}

func TestVotesMatchesAndReductions(t *testing.T) {
	odd := "and.b32 %r2, %r0, 5; setp.eq.b32 %p1, %r2, 5;"
	is := func(l int) bool { return l&5 == 5 }
	results(t, 64, odd+"vote.sync.ballot.b32 %r1, %p1, -1;", 0, func(int) uint32 {
		var m uint32
		for l := range 32 {
			m |= b32(is(l)) << l
		}
		return m
	})
	for text, want := range map[string]uint32{"any.pred %p2, %p1": 1, "all.pred %p2, %p1": 0, "uni.pred %p2, %p1": 0, "any.pred %p2, !%p1": 1} {
		results(t, 32, odd+"vote.sync."+text+", -1; selp.b32 %r1, 1, 0, %p2;", 0, func(int) uint32 { return want })
	}
	results(t, 32, "setp.lt.u32 %p1, %r0, 99; vote.sync.all.pred %p2, %p1, -1; selp.b32 %r1, 1, 0, %p2;", 0, func(int) uint32 { return 1 })
	results(t, 32, "shr.u32 %r2, %r0, 3; match.any.sync.b32 %r1, %r2, -1;", 0, func(i int) uint32 { return 0xff << (i / 8 * 8) })
	results(t, 32, "match.all.sync.b32 %r1|%p1, %r0, -1;", 0, func(int) uint32 { return 0 })
	results(t, 32, "match.all.sync.b32 %r2|%p1, 3, -1; selp.b32 %r1, %r2, 0, %p1;", 0, func(int) uint32 { return full })
	for text, want := range map[string]uint32{
		"add.s32": 496 - 160, "min.s32": ^uint32(0) - 4, "max.s32": 26, "min.u32": 0, "max.u32": full, "and.b32": 0, "or.b32": full,
	} {
		results(t, 32, "sub.s32 %r2, %r0, 5; redux.sync."+text+" %r1, %r2, -1;", 0, func(int) uint32 { return want })
	}
	results(t, 40, "activemask.b32 %r1;", 0, func(i int) uint32 { return [2]uint32{full, 0xff}[i/32] })
	results(t, 64, "elect.sync %r2|%p1, -1; selp.b32 %r1, 1, 0, %p1;", 0, func(i int) uint32 { return b32(i%32 == 0) })
	// a part of the warp, with the right mask
	results(t, 32, "setp.lt.u32 %p1, %r0, 8; @!%p1 bra end; redux.sync.add.u32 %r1, %r0, 0xff; end:", 0, func(i int) uint32 { return 28 * b32(i < 8) })
}

func TestWrongMemberMasksAreFaults(t *testing.T) {
	for text, want := range map[string]string{
		"shfl.sync.bfly.b32 %r1, %r0, 1, 0x1f, 0xffff;":                                            "0x0000ffff",
		"setp.lt.u32 %p1, %r0, 8; @%p1 shfl.sync.bfly.b32 %r1, %r0, 1, 0x1f, -1;":                  "divergent",
		"setp.lt.u32 %p1, %r0, 8; @%p1 vote.sync.ballot.b32 %r1, %p1, 0xf0;":                       "leaves out the executing lane",
		"setp.lt.u32 %p1, %r0, 8; @%p1 bar.warp.sync -1;":                                          "divergent",
		"setp.lt.u32 %p1, %r0, 8; @%p1 bar.sync 0;":                                                "divergent",
		"setp.lt.u32 %p1, %r0, 8; @%p1 shfl.sync.idx.b32 %r1, %r0, 9, 0x1f, 0xff;":                 "reads from lane 9, which does not take part",
		"setp.lt.u32 %p1, %r0, 8; @!%p1 bra end; elect.sync %r1|%p2, 0xffff; end: mov.b32 %r1, 0;": "divergent",
	} {
		_, err := perThread(t, 32, text, 0, Options{Check: true})
		require.ErrorContains(t, err, want, text)
	}
}

func TestBarriersCountThreads(t *testing.T) {
	// producers arrive, consumers wait: two pairs of warps over two barriers
	results(t, 128, `shl.b32 %r2, %r0, 2; mov.b32 %r3, dyn; add.u32 %r3, %r3, %r2; shr.u32 %r4, %r0, 5; shr.u32 %r5, %r4, 1; add.u32 %r5, %r5, 3;
and.b32 %r6, %r4, 1; setp.eq.b32 %p1, %r6, 0; @%p1 bra produce;
bar.sync %r5, 64; ld.shared.b32 %r1, [%r3+-128]; bra.uni end;
produce: st.shared.b32 [%r3], %r0; bar.arrive %r5, 64; mov.b32 %r1, 77; end:`, 0, func(i int) uint32 {
		if i/32%2 == 0 {
			return 77
		}
		return uint32(i) - 32
	})
	for text, want := range map[string]func(n int) uint32{
		"bar.red.popc.u32 %r1, 2, %p1;":                                             func(n int) uint32 { return uint32(n+2) / 3 },
		"bar.red.or.pred %p2, 0, %p1; selp.b32 %r1, 1, 0, %p2;":                     func(int) uint32 { return 1 },
		"bar.red.and.pred %p2, 0, %p1; selp.b32 %r1, 1, 0, %p2;":                    func(int) uint32 { return 0 },
		"bar.red.and.pred %p2, 0, 96, !%p3; selp.b32 %r1, 1, 0, %p2;":               func(int) uint32 { return 1 },
		"barrier.cta.red.popc.aligned.u32 %r1, 1, 96, %p1; bar.sync 1; bar.sync 1;": func(n int) uint32 { return uint32(n+2) / 3 },
	} {
		results(t, 96, "rem.u32 %r2, %r0, 3; setp.eq.b32 %p1, %r2, 0; setp.gt.u32 %p3, %r0, 96;"+text, 0, func(int) uint32 { return want(96) })
	}
	// warps that have ended are not waited for
	results(t, 96, "mul.wide.u32 %rd2, %r0, 4; add.s64 %rd2, %rd1, %rd2; st.global.b32 [%rd2], 0; setp.lt.u32 %p1, %r0, 32; @%p1 ret; bar.sync 0;", 0, func(int) uint32 { return 0 })
	for text, want := range map[string]string{
		"bar.sync 16;":    "a block has 16",
		"bar.sync 0, 40;": "not a multiple of 32",
		"setp.lt.u32 %p1, %r0, 32; @%p1 bra a; bar.sync 0, 64; bra.uni b; a: bar.sync 0; b:": "barrier 0 expects",
		"setp.lt.u32 %p1, %r0, 32; @%p1 bra a; bar.sync 2; bra.uni b; a: bar.sync 1; b:":     "deadlock: no warp can go on: block [0 0 0] warps 0 wait at line 9",
		"bar.arrive 1, 96; bar.arrive 1, 96;":                                                "for the second time",
		"setp.lt.u32 %p1, %r0, 32; @%p1 bra a; bar.sync 1, 96; a:":                           "deadlock",
	} {
		_, err := perThread(t, 64, text, 0, Options{Check: true})
		require.ErrorContains(t, err, want, text)
	}
}

func TestAtomicsUpdateOneLaneAtATime(t *testing.T) {
	shared := "mov.b32 %r3, dyn; setp.eq.b32 %p1, %r0, 0; @%p1 st.shared.b32 [%r3], %r9; bar.sync 0; %s bar.sync 0; ld.shared.b32 %r1, [%r3];"
	for _, x := range []struct {
		text   string
		start  int32
		update func(v uint32, thread uint32) uint32
	}{
		{"red.shared.add.u32 [%r3], %r0;", 5, func(v, i uint32) uint32 { return v + i }},
		{"atom.shared.min.s32 %r2, [%r3], %r0;", -7, func(v, i uint32) uint32 { return uint32(min(int32(v), int32(i))) }},
		{"atom.shared.max.u32 %r2, [%r3], %r0;", 7, func(v, i uint32) uint32 { return max(v, i) }},
		{"red.shared.xor.b32 [%r3], %r0;", 123, func(v, i uint32) uint32 { return v ^ i }},
		{"red.shared.or.b32 [%r3], %r0;", 0, func(v, i uint32) uint32 { return v | i }},
		{"red.shared.and.b32 [%r3], 6;", 15, func(v, _ uint32) uint32 { return v & 6 }},
		{"atom.shared.inc.u32 %r2, [%r3], 9;", 0, func(v, _ uint32) uint32 { return (v + 1) % 10 }},
		{"atom.shared.dec.u32 %r2, [%r3], 9;", 3, func(v, _ uint32) uint32 {
			if v == 0 {
				return 9
			}
			return v - 1
		}},
		{"atom.acq_rel.cta.shared.cas.b32 %r2, [%r3], 5, 6;", 5, func(v, _ uint32) uint32 { return 6 }},
		{"cvt.rn.f32.u32 %r4, %r0; red.shared.add.f32 [%r3], %r4;", 0, func(v, i uint32) uint32 { return uint32(u32(f32(uint64(v)) + float32(i))) }},
	} {
		v := uint32(x.start)
		for i := range uint32(96) {
			v = x.update(v, i)
		}
		text := replaceOnce(shared, "%s", x.text)
		results(t, 96, text, x.start, func(int) uint32 { return v })
	}
	// every thread gets a different old value
	got, err := perThread(t, 64, "mov.b32 %r3, dyn; setp.eq.b32 %p1, %r0, 0; @%p1 st.shared.b32 [%r3], 0; bar.sync 0; atom.shared.add.u32 %r1, [%r3], 1;", 0, Options{Check: true, Seed: 3})
	require.NoError(t, err)
	var seen uint64
	for _, v := range got {
		seen |= 1 << v
	}
	require.Equal(t, 64, bits.OnesCount64(seen))
	// a lock, taken by one lane of each warp
	results(t, 128, `mov.b32 %r3, dyn; setp.lt.u32 %p1, %r0, 2; shl.b32 %r2, %r0, 2; add.u32 %r2, %r2, %r3; @%p1 st.shared.b32 [%r2], 0; bar.sync 0;
and.b32 %r4, %r0, 31; setp.ne.b32 %p1, %r4, 0; @%p1 bra end;
take: atom.acquire.cta.shared.cas.b32 %r5, [%r3], 0, 1; setp.ne.b32 %p2, %r5, 0; @%p2 bra take;
ld.shared.b32 %r6, [%r3+4]; add.u32 %r6, %r6, 1; st.shared.b32 [%r3+4], %r6; atom.release.cta.shared.exch.b32 %r5, [%r3], 0;
end: bar.sync 0; ld.shared.b32 %r1, [%r3+4];`, 0, func(int) uint32 { return 4 })
}

func replaceOnce(s, old, new string) string {
	for i := range len(s) - len(old) + 1 {
		if s[i:i+len(old)] == old {
			return s[:i] + new + s[i+len(old):]
		}
	}
	return s
}
